"""Stores programs that XLA compiled for a GPU between calls, so that a resumed run starts at once.

TensorFlow stores and finds the programs by a hash. It does not check that a stored program fits the machine. So each
combination of TensorFlow version, driver and GPU model has a folder of its own, and programs that fail are removed.
"""

import hashlib
import importlib.metadata
import os
import pathlib

from kgan.images.listing import make_cache
from kgan.paths import expanded

LARGEST = 500 * 2**20
"""The largest size of the cache in bytes. A training step takes 5 to 20 million."""

_FLAG = "--tf_xla_persistent_cache_directory="
_FOR_GPUS = "--tf_xla_persistent_cache_device_types=GPU"
_DRIVER = pathlib.Path("/proc/driver/nvidia")


def keep(cache: str, driver: pathlib.Path = _DRIVER) -> None:
    """Make TensorFlow read and store compiled programs below `cache`. Call it before TensorFlow is imported.

    It does nothing if there is no NVIDIA driver, if the folder is not writable, or if the environment variable
    TF_XLA_FLAGS names another folder.

    Args:
        cache: the folder of the cache.
        driver: where the NVIDIA driver describes itself.
    """
    flags = os.environ.get("TF_XLA_FLAGS", "")
    machine = _machine(driver)
    if not machine or _FLAG in flags:
        return
    made_by = [machine, _libraries(), os.environ.get("XLA_FLAGS", "")]
    folder = pathlib.Path(expanded(cache)) / "compiled" / hashlib.sha256(repr(made_by).encode()).hexdigest()[:16]
    try:
        make_cache(expanded(cache))
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder.parent)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        os.environ["TF_XLA_FLAGS"] = f"{flags} {_FLAG}{folder} {_FOR_GPUS}".strip()


def forget() -> bool:
    """Remove the programs that are stored for this machine. Returns whether there were any."""
    words = [word for word in os.environ.get("TF_XLA_FLAGS", "").split() if word.startswith(_FLAG)]
    kept = [path for word in words for path in pathlib.Path(word.removeprefix(_FLAG)).glob("xla_compile_cache*.pb")]
    for path in kept:
        path.unlink(missing_ok=True)
    return bool(kept)


def _machine(driver: pathlib.Path) -> list[str]:
    """The version of the driver and the model of the first GPU, as lines of text. Empty without a driver."""
    files = [driver / "version", *sorted(driver.glob("gpus/*/information"))[:1]]
    lines = [line.strip() for file in files if file.is_file() for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line.startswith(("NVRM version", "Model"))]


def _libraries() -> list[str]:
    """The names and versions of the TensorFlow and NVIDIA packages."""
    found = [(package.name or "", package.version) for package in importlib.metadata.distributions()]
    return sorted(f"{name} {version}" for name, version in found if name.startswith(("tensorflow", "nvidia-")))


def _make_room(folder: pathlib.Path) -> None:
    """Remove the oldest programs until the rest takes at most `LARGEST` bytes."""
    files = [(path.stat(), path) for path in folder.rglob("*") if path.is_file()]
    total = sum(stat.st_size for stat, _ in files)
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime):
        if total <= LARGEST:
            break
        path.unlink(missing_ok=True)
        total -= stat.st_size
