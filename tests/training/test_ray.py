"""The Ray Train example of docs/machines.md: two workers of this machine; one is killed, and both go on."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import kgan

PAGE = pathlib.Path(kgan.__file__).parents[1] / "docs" / "machines.md"

STEPS = 40

SETTINGS = {"recipe": "mmd", "weight": ["features=0"], "size": 16, "filters": 4, "blocks": 1, "batch_size": 2,
            "steps": STEPS, "checkpoint_every": 4, "log_every": 1, "sample_every": 1000}  # fmt: skip

CHANGES = {
    'os.path.abspath("paintings")}': f'os.path.abspath("paintings"), **{SETTINGS}}}',
    "import kgan  # on the worker": 'import kgan; open(f"{RUN}.pids", "a").write(f"{os.getpid()}\\n")',
}
"""What the example says -> a small training whose workers tell their numbers."""

PATIENT = {
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",
    "RAY_health_check_initial_delay_ms": "60000",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_health_check_failure_threshold": "20",
}
"""Ray's patience with a machine that is busy with other tests."""


@pytest.fixture
def example(tmp_path):
    (text,) = re.findall(r"^```python\n(# ray_train\.py\n.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(text.splitlines()) <= 30
    for before, after in CHANGES.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    (tmp_path / "runs").mkdir()
    for folder in ("photos", "paintings"):
        (tmp_path / folder).mkdir()
        for seed in range(4):
            pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{seed}.png")
    (tmp_path / "ray_train.py").write_text(text, encoding="utf-8")
    return tmp_path


def wait_for(question, process, log, seconds=400):
    end = time.monotonic() + seconds
    while not question():
        assert process.poll() is None, log.read_text(encoding="utf-8")[-5000:]
        assert time.monotonic() < end, log.read_text(encoding="utf-8")[-5000:]
        time.sleep(0.05)


@pytest.mark.long
def test_a_killed_worker_is_started_again_and_the_run_goes_on(example):
    run, log, pids = example / "runs" / "ray", example / "log", example / "runs" / "ray.pids"
    environment = {**os.environ, **PATIENT, "HOME": str(example), "RAY_USAGE_STATS_ENABLED": "0"}
    with log.open("w", encoding="utf-8") as written:
        streams = {"stdout": written, "stderr": written}
        command = [sys.executable, "ray_train.py"]
        process = subprocess.Popen(command, cwd=example, env=environment, start_new_session=True, **streams)
    try:
        wait_for((run / "checkpoints" / "ckpt-4.index").exists, process, log)
        first = pids.read_text(encoding="utf-8").split()
        os.kill(int(first[1]), signal.SIGKILL)
        wait_for((run / "model_float16.tflite").exists, process, log)
        assert process.wait(120) == 0, log.read_text(encoding="utf-8")[-5000:]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert len(first) == 2
    assert len(set(pids.read_text(encoding="utf-8").split())) == 4
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert steps == sorted(set(steps))
    assert steps[-1] == STEPS
