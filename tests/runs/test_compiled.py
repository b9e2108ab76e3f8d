"""Compiled steps between calls: where and when they are stored, and that resumed runs find them."""

import functools
import os

import pytest
import small_runs

from kgan.runs import xla_cache as compiled

VERSION = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.10  Release Build\nGCC version: 12\n"
FIRST_GPU = "Model: \t\t NVIDIA H100\nIRQ:   \t\t 42\n"
KEPT = "xla_compile_cache__1__2__XLA_GPU_JIT.pb"


@pytest.fixture
def driver(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    folder = tmp_path / "driver"
    (folder / "gpus/0000:00:06.0").mkdir(parents=True)
    (folder / "version").write_text(VERSION, encoding="utf-8")
    (folder / "gpus/0000:00:06.0/information").write_text(FIRST_GPU, encoding="utf-8")
    return folder


def kept_in(monkeypatch, cache, driver):
    """The cache folder in TensorFlow's flags."""
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    compiled.keep(str(cache), driver)
    directory, devices = os.environ["TF_XLA_FLAGS"].split()
    assert devices == "--tf_xla_persistent_cache_device_types=GPU"
    return directory.removeprefix("--tf_xla_persistent_cache_directory=")


def test_equal_machines_share_a_folder_and_others_do_not(tmp_path, driver, monkeypatch):
    first = kept_in(monkeypatch, tmp_path, driver)
    assert os.path.isdir(first)
    (driver / "gpus/0000:00:06.0/information").write_text(FIRST_GPU.replace("42", "43"), encoding="utf-8")
    assert kept_in(monkeypatch, tmp_path, driver) == first
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_autotune_level=0")
    folders = {first, kept_in(monkeypatch, tmp_path, driver)}
    monkeypatch.delenv("XLA_FLAGS")
    (driver / "version").write_text(VERSION.replace("580.10", "581.0"), encoding="utf-8")
    folders.add(kept_in(monkeypatch, tmp_path, driver))
    (driver / "gpus/0000:00:06.0/information").write_text(FIRST_GPU.replace("H100", "A100"), encoding="utf-8")
    folders.add(kept_in(monkeypatch, tmp_path, driver))
    assert len(folders) == 4


def test_nothing_is_kept_without_a_driver(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    compiled.keep(str(tmp_path / "cache"), tmp_path / "driver")
    assert "TF_XLA_FLAGS" not in os.environ
    assert not (tmp_path / "cache").exists()


def test_nothing_is_kept_where_nothing_can_be_written(tmp_path, driver):
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    compiled.keep(str(tmp_path / "cache"), driver)
    assert "TF_XLA_FLAGS" not in os.environ


def test_the_users_own_flags_stay_and_have_the_last_word(tmp_path, driver, monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_clustering_debug")
    compiled.keep(str(tmp_path), driver)
    assert os.environ["TF_XLA_FLAGS"].startswith("--tf_xla_clustering_debug --tf_xla_persistent_cache_directory=")
    own = "--tf_xla_persistent_cache_directory=/elsewhere"
    monkeypatch.setenv("TF_XLA_FLAGS", own)
    compiled.keep(str(tmp_path), driver)
    assert os.environ["TF_XLA_FLAGS"] == own


def test_the_oldest_go_first(tmp_path, driver, monkeypatch):
    monkeypatch.setattr(compiled, "LARGEST", 250)
    old = tmp_path / "compiled/of another machine"
    old.mkdir(parents=True)
    for age, name in enumerate("abcd"):
        (old / name).write_bytes(bytes(100))
        os.utime(old / name, (1000 - age, 1000 - age))
    kept_in(monkeypatch, tmp_path, driver)
    assert sorted(path.name for path in old.iterdir()) == ["a", "b"]


def test_forgetting_takes_compiled_programs_alone(tmp_path, driver, monkeypatch):
    folder = kept_in(monkeypatch, tmp_path, driver)
    assert not compiled.forget()
    for name in (KEPT, "notes"):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write("not a program")
    assert compiled.forget()
    assert os.listdir(folder) == ["notes"]


# --- with TensorFlow --------------------------------------------------------------------------------------------------


def keep_in(folder):
    """Make TensorFlow store compiled steps in `folder`, on a CPU too, by the user's flags."""
    os.environ["TF_XLA_FLAGS"] = f"--tf_xla_persistent_cache_directory={folder}"


def train(words, folder):
    process = small_runs.Process(["train", *words], functools.partial(keep_in, folder))
    assert process.wait(300) == 0, process.output


def steps_in(folder):
    """The programs of whole training steps, which are by far the largest."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    return [name for name, size in sizes.items() if size > max(sizes.values()) / 2]


@pytest.mark.long
def test_a_resumed_run_finds_the_compiled_step_and_a_broken_one_is_compiled_anew(tmp_path):
    run, folder = tmp_path / "run", tmp_path / "kept"
    folder.mkdir()
    config = small_runs.settings(run, jit=True, steps=99, stop_after=3, weight=("features=0",))
    train(small_runs.arguments(config)[1:], folder)
    (step,) = steps_in(folder)
    train(["--run", str(run), "--resume", "--stop-after", "6"], folder)
    assert steps_in(folder) == [step]
    (folder / step).write_bytes(b"not a program")
    train(["--run", str(run), "--resume", "--stop-after", "9"], folder)
    assert small_runs.newest(run) == 9
    assert [path.name for path in folder.iterdir() if path.read_bytes() == b"not a program"] == []
