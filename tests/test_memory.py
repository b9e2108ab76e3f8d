"""Available memory, the memory of a picture, and the guard, on fake systems and with real limits."""

import contextlib
import math
import os
import pathlib
import re
import subprocess
import sys
import threading
import types

import numpy as np
import pytest
import tensorflow as tf

from kgan import load, memory
from kgan.errors import RunError
from kgan.memory import HELD, OPENED, PictureMemory

MB = 2**20
MACHINE = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\nSwapFree: 500 kB\n"}


def system(root, files):
    """A folder with fake /proc and /sys."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def mounted(kind, options="rw", place="/sys/fs/cgroup", inner="/"):
    return f"41 31 0:38 {inner} {place} rw,relatime shared:3 - {kind} cgroup {options}\n"


def version_2(folder="sys/fs/cgroup", limit="max", high="max", used=0, stat="", swap=None):
    files = {"memory.max": limit, "memory.high": high, "memory.current": str(used), "memory.stat": stat}
    if swap is not None:
        files |= {"memory.swap.max": str(swap), "memory.swap.current": "0"}
    return {f"{folder}/{name}": f"{text}\n" for name, text in files.items()}


def version_1(folder, limit=9223372036854771712, used=0, stat=""):
    files = {"memory.limit_in_bytes": str(limit), "memory.usage_in_bytes": str(used), "memory.stat": stat}
    return {f"{folder}/{name}": f"{text}\n" for name, text in files.items()}


IN_2 = {"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": mounted("cgroup2")}
IN_1 = {
    "proc/self/cgroup": "5:cpu:/\n4:memory,hugetlb:/docker/x\n0::/\n",
    "proc/self/mountinfo": mounted("cgroup", "rw,cpu", "/sys/fs/cgroup/cpu") + mounted("cgroup", "rw,memory,hugetlb"),
}
CASES = {
    "the machine alone": ({}, 8000 * 1024),
    "the group itself": (IN_2 | version_2("sys/fs/cgroup/a/b", 4 * MB, used=3 * MB), MB),
    "the softer limit": (IN_2 | version_2("sys/fs/cgroup/a/b", 4 * MB, 2 * MB, used=MB), MB),
    "a group around it": (
        IN_2 | version_2("sys/fs/cgroup/a/b", 4 * MB) | version_2("sys/fs/cgroup/a", 2 * MB, used=MB),
        MB,
    ),
    "files can be freed, programs not": (
        IN_2 | version_2("sys/fs/cgroup/a/b", 4 * MB, used=3 * MB, stat=f"inactive_file {2 * MB}\nfile_mapped {MB}"),
        2 * MB,
    ),
    "no limit": (IN_2 | version_2("sys/fs/cgroup/a/b", used=MB), 8000 * 1024),
    "more than the machine has": (IN_2 | version_2("sys/fs/cgroup/a/b", 2**40), 8000 * 1024),
    "used up": (IN_2 | version_2("sys/fs/cgroup/a/b", MB, used=2 * MB), 0),
    "inside a container": (
        {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mounted("cgroup2")} | version_2(limit=3 * MB),
        3 * MB,
    ),
    "version 1": (IN_1 | version_1("sys/fs/cgroup/docker/x", 4 * MB, MB, f"total_inactive_file {MB}"), 4 * MB),
    "version 1, around it": (IN_1 | version_1("sys/fs/cgroup/docker/x") | version_1("sys/fs/cgroup", MB), MB),
    "version 1, mounted below the path": (
        {
            "proc/self/cgroup": "4:memory:/docker/x\n",
            "proc/self/mountinfo": mounted("cgroup", "rw,memory", inner="/docker/x"),
        }
        | version_1("sys/fs/cgroup", MB),
        MB,
    ),
    "nonsense": ({"proc/self/cgroup": "?\n\n0::", "proc/self/mountinfo": " - \n-\na b - cgroup2\n"}, 8000 * 1024),
}


@pytest.mark.parametrize("case", CASES)
def test_available_is_the_least_of_all_limits(tmp_path, case):
    files, expected = CASES[case]
    assert memory.available(root=system(tmp_path, MACHINE | files)) == expected


def test_swap_counts_where_it_may_be_used(tmp_path):
    inside = IN_2 | version_2("sys/fs/cgroup/a/b", MB, swap="max")
    assert memory.available(swap=True, root=system(tmp_path / "machine", MACHINE)) == 8500 * 1024
    assert memory.available(swap=True, root=system(tmp_path / "group", MACHINE | inside)) == MB + 500 * 1024
    none = IN_2 | version_2("sys/fs/cgroup/a/b", MB, swap=0)
    assert memory.available(swap=True, root=system(tmp_path / "none", MACHINE | none)) == MB


def test_a_system_that_says_nothing(tmp_path):
    """Without /proc, as on macOS, the result is a fraction of the machine's memory, and there is no error."""
    assert 0 < memory.available(root=tmp_path) < math.inf


def python(code, **options):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, **options)


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="no /proc to read what a process holds")
def test_the_limits_of_the_shell_count():
    limit = 4 * 2**30
    code = f"""if True:
        import resource
        from kgan import memory
        before = memory.available()
        resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
        print(before, memory.available())"""
    before, after = map(float, python(code, check=True).stdout.split())
    assert 0 < after < min(before + 2**28, limit)


@pytest.mark.parametrize(
    ("pixels", "memory", "scale"),
    [
        (100, 100 * (HELD + 300), 1.0),  # all of it fits exactly
        (100, 100 * (HELD + 300 / 4), 0.5),
        (100, 100 * OPENED - 1, 0.0),  # too little to open it
        (0, 0, 1.0),  # no picture: decoding says why
    ],
)
def test_affordable_scale_by_hand(pixels, memory, scale):
    assert PictureMemory(inside=300).affordable_scale(pixels, memory) == pytest.approx(scale)


@pytest.mark.parametrize("pixels", [10_000, 12_000_000, 108_000_000])
def test_what_is_affordable_is_needed(pixels):
    need = PictureMemory(inside=640)
    for share in (0.1, 0.5, 0.99):
        scale = need.affordable_scale(pixels, share * need.of(pixels))
        assert pixels * (HELD + need.inside * scale**2) == pytest.approx(share * need.of(pixels))
    assert need.affordable_scale(pixels, need.of(pixels)) == 1


def peak_growth(act):
    """The growth of this process's peak memory while `act` runs, in bytes."""
    status = pathlib.Path("/proc/self/status")

    def read(name):
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        before = read("VmRSS")
    except OSError:
        pytest.skip("this system does not let a process ask for its own peak")
    act()
    return read("VmHWM") - before


@pytest.mark.parametrize("name", ["vangogh-mobile", "saved_models/vangogh-mobile/model_float16.tflite"])
def test_a_picture_takes_no_more_than_is_said(name):
    model = load(pathlib.Path(memory.__file__).parents[1] / name if "/" in name else name)
    picture = np.zeros((1024, 1024, 3), np.uint8)
    model(picture[:64, :64])
    grown = peak_growth(lambda: model(picture))
    assert grown <= 1.1 * picture[..., 0].size * model.bytes_per_pixel + 30e6


# --- the guard --------------------------------------------------------------------------------------------------------


def test_the_guard_ends_the_process_in_words():
    code = """if True:
        import itertools, time
        from kgan import memory
        left = itertools.chain([1e9, 1e8], itertools.repeat(1e6))
        with memory.guard("give --memory 1", lambda: next(left)):
            time.sleep(30)
        print("never")"""
    ran = python(code)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("kgan: error: out of memory at ")
    assert ran.stderr.endswith("; give --memory 1\n")
    assert ran.stderr.count("\n") == 1


def test_the_guard_leaves_nothing_behind():
    before = threading.active_count(), len(os.listdir("/dev/fd"))
    with memory.guard("-"):
        assert threading.active_count() == before[0] + 1
    with pytest.raises(ValueError, match="as it came"), memory.guard("-"):
        raise ValueError("as it came")
    assert (threading.active_count(), len(os.listdir("/dev/fd"))) == before


@pytest.mark.parametrize(
    "exhaust",
    [  # more than 47 bits can address, so that no system promises it; TensorFlow tries again for ten seconds
        lambda: np.empty((10**8, 10**8)),
        pytest.param(lambda: tf.random.normal((10**6, 10**6, 100)), marks=pytest.mark.long),
    ],
    ids=["numpy", "tensorflow"],
)
def test_more_than_there_is_at_once_is_told_too(exhaust):
    with pytest.raises(RunError, match="out of memory; give a smaller size"), memory.guard("give a smaller --size"):
        exhaust()


def test_a_disk_that_tensorflow_fills_is_no_lack_of_memory():
    full = tf.errors.ResourceExhaustedError(None, None, "out/saved_model.pb; No space left on device")
    with pytest.raises(RunError, match=r"^out/saved_model\.pb; No space left on device$"), memory.guard("-"):
        raise full


def test_the_guard_looks_again_before_the_rest_can_be_taken(tmp_path, monkeypatch):
    """At 20 GB/s; half a second is the longest wait, and it ends when 32 MB are left."""
    rooms, waits = iter([1e11, 1e9, 4e7, 3.1e7]), []
    clock = types.SimpleNamespace(wait=lambda seconds: waits.append(seconds))
    monkeypatch.setattr(os, "_exit", sys.exit)
    with open(tmp_path / "said", "wb") as said, pytest.raises(SystemExit, match="1"):
        memory._watch(clock, lambda: next(rooms), "-", said.fileno())
    assert waits == pytest.approx([0.5, 0.05, 0.002])
    assert (tmp_path / "said").read_text(encoding="utf-8").endswith("; -\n")


@pytest.fixture
def group():
    """A control group with a limit of 200 MB: the file to which a process writes its number."""
    places = {"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"}
    for place, name in places.items():
        folder = pathlib.Path(place, f"kgan-test-{os.getpid()}")
        with contextlib.suppress(OSError):
            folder.mkdir()
            try:
                (folder / name).write_text(str(200 * MB), encoding="utf-8")
                yield folder / "cgroup.procs"
                return
            finally:
                folder.rmdir()
    pytest.skip("no control group with a limit can be made here")


@pytest.mark.parametrize("chunk", [MB, 300 * MB])
def test_the_guard_is_faster_than_the_kernel(group, chunk):
    """Without the guard, the kernel kills the process with status -9 and no message."""
    code = f"""if True:
        import contextlib, os, sys
        import numpy as np
        from kgan import memory
        open({str(group)!r}, "w").write(str(os.getpid()))
        def looked():
            left = memory.available(swap=True)
            os.write(1, b".")
            return left
        held = []
        with memory.guard("take less", looked) if "guarded" in sys.argv else contextlib.nullcontext():
            while True:
                held.append(np.empty({chunk}, np.uint8))
                sys.stdin.buffer.readinto(held[-1])"""
    command = [sys.executable, "-c", code]
    with open("/dev/zero", "rb") as zeros:
        alone = subprocess.run(command, stdin=zeros, capture_output=True, text=True, timeout=60)
    assert (alone.returncode, alone.stderr) == (-9, "")
    status, said = fed([*command, "guarded"])
    assert status == 1, said
    assert re.fullmatch(r"kgan: error: out of memory at 0\.\d GB; take less\n", said)


def fed(command):
    """Status and errors of a process that gets a megabyte each time that its guard has looked, on any busy machine."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, bufsize=0, **pipes) as process:
        late = threading.Timer(120, process.kill)
        late.start()
        with contextlib.suppress(BrokenPipeError):
            while process.stdout.read(2**16):  # all looks until now
                process.stdin.write(bytes(MB))
        late.cancel()
        return process.wait(), process.stderr.read().decode()
