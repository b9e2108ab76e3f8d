"""Memory: how much is available, how much a picture needs, and a guard that ends a command before the kernel does.

The guard prints an error message, which the kernel does not. This module does not import TensorFlow.
"""

import contextlib
import dataclasses
import functools
import math
import os
import pathlib
import threading
from collections.abc import Callable, Iterator

from kgan.errors import RunError

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]

SHARE = 0.75
"""The fraction of the available memory that one picture may use by default."""

OPENED = 19
"""Bytes per pixel of a picture while it is decoded: the file's data, Pillow's image (4 bytes) and the array."""

OPENED_WITH_MASK = 26
"""Bytes per pixel of a picture while it is in memory and its mask is softened."""

HELD = 12
"""Bytes per pixel in use while the network runs: the picture, the network's input and the mask as float32."""

UNKNOWN = 8e9
"""Bytes that are assumed to be available if the system gives no information about its memory."""

RESERVE = 32e6
"""The guard ends the process when fewer bytes than this are available."""

FASTEST = 20e9
"""Bytes per second that a process can allocate at most. The guard checks again before the rest can be in use."""

LONGEST_WAIT = 0.5
"""The longest time between two checks of the guard in seconds."""

UNLIMITED = 2.0**60
"""Limits above this number of bytes mean no limit: version 1 of control groups writes a number near 2**63."""

ROOT = pathlib.Path("/")


# --- what is available ------------------------------------------------------------------------------------------------


def available(swap: bool = False, root: pathlib.Path = ROOT) -> float:
    """The memory that this process can still allocate.

    This is the least of what the machine, all control groups of the process (versions 1 and 2) and its own limits
    (`ulimit`) allow. Memory that the kernel can free without loss, such as cached files, counts as available. The
    function never raises an error: a limit that the system does not report is no limit.

    Args:
        swap: whether free swap space counts as available.
        root: the folder in which /proc and /sys are found.

    Returns:
        Bytes.
    """
    machine = _table(root / "proc/meminfo", 1024)
    swap_free = machine.get("SwapFree", 0) if swap else 0
    rooms = [machine.get("MemAvailable", math.inf) + swap_free, *_in_groups(root, swap_free), *_in_limits(root)]
    least = min(rooms)
    return max(0.0, least if least < math.inf else _without_proc())


def budget() -> float:
    """The memory that one picture may use by default, in bytes."""
    return SHARE * available()


def in_use() -> float:
    """The memory that this process uses, in bytes; 0 if the system does not report it."""
    return _table(ROOT / "proc/self/status", 1024).get("VmRSS", 0.0)


def _without_proc() -> float:
    """Half of the machine's memory, if the system does not report the available memory, as on macOS."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
    except (AttributeError, ValueError, OSError):
        return UNKNOWN


def _in_limits(root: pathlib.Path) -> list[float]:
    """The bytes that RLIMIT_AS and RLIMIT_DATA still allow."""
    known = {"RLIMIT_AS": "VmSize", "RLIMIT_DATA": "VmData"}
    limits = {what: resource.getrlimit(getattr(resource, name))[0] for name, what in known.items() if resource}
    limits = {what: limit for what, limit in limits.items() if limit != resource.RLIM_INFINITY}
    used = _table(root / "proc/self/status", 1024) if limits else {}
    return [limit - used[what] for what, limit in limits.items() if what in used]


def _in_groups(root: pathlib.Path, swap_free: float) -> list[float]:
    """The bytes that each control group of this process still allows."""
    left = {"cgroup2": _left_in_version_2, "memory": _left_in_version_1}
    return [left[kind](folder, swap_free) for kind, folder in _groups(root)]


@functools.cache  # a process stays in its groups, and the guard calls this often
def _groups(root: pathlib.Path) -> list[tuple[str, pathlib.Path]]:
    """(version, folder) of each control group of this process. The version is "cgroup2", or "memory" for version 1."""
    found: list[tuple[str, pathlib.Path]] = []
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        kind = "cgroup2" if number == "0" else "memory" if "memory" in controllers.split(",") else None
        if kind:
            found += [(kind, folder) for folder in _folders(root, kind, path)]
    return found


def _folders(root: pathlib.Path, kind: str, path: str) -> list[pathlib.Path]:
    """The folders of a group and of the groups that contain it, as far as they are mounted."""
    for line in _lines(root / "proc/self/mountinfo"):
        words = line.split()
        if len(words) < 9 or (kind != words[-3] and not (words[-3] == "cgroup" and kind in words[-1].split(","))):
            continue
        mounted, place = words[3].rstrip("/"), root / words[4].lstrip("/")
        # Inside a container the mount may begin below the path, which is then not visible.
        inside = path.removeprefix(mounted).split("/") if path.startswith(mounted) else []
        parts = [part for part in inside if part not in ("", "..")]
        return [place.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    return []


def _left_in_version_2(folder: pathlib.Path, swap_free: float) -> float:
    limit = min(_number(folder / "memory.max"), _number(folder / "memory.high"))
    if limit == math.inf:
        return limit
    swap = min(swap_free, _number(folder / "memory.swap.max") - _number(folder / "memory.swap.current", 0.0))
    kept = _reclaimable(_table(folder / "memory.stat"), "", "file_mapped")
    return limit - _number(folder / "memory.current", 0.0) + kept + max(0.0, swap)


def _left_in_version_1(folder: pathlib.Path, swap_free: float) -> float:
    limit = _number(folder / "memory.limit_in_bytes")
    if limit > UNLIMITED:
        return math.inf
    used = _number(folder / "memory.usage_in_bytes", 0.0)
    both, taken = _number(folder / "memory.memsw.limit_in_bytes"), _number(folder / "memory.memsw.usage_in_bytes", 0.0)
    swap = min(swap_free, (both - taken) - (limit - used))
    kept = _reclaimable(_table(folder / "memory.stat"), "total_", "total_mapped_file")
    return limit - used + kept + max(0.0, swap)


def _reclaimable(statistics: dict[str, float], prefix: str, mapped: str) -> float:
    """Bytes of cached files, without the mapped files of running programs."""
    files = sum(statistics.get(f"{prefix}{state}_file", 0.0) for state in ("active", "inactive"))
    return max(0.0, files - statistics.get(mapped, 0.0))


def _lines(path: pathlib.Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return []


def _table(path: pathlib.Path, unit: int = 1) -> dict[str, float]:
    """Read lines with a name and a number, such as `MemFree: 3 kB` or `active_file 4096`."""
    rows = [line.replace(":", " ").split() for line in _lines(path)]
    return {row[0]: float(row[1]) * unit for row in rows if len(row) > 1 and row[1].isdigit()}


def _number(path: pathlib.Path, default: float = math.inf) -> float:
    """The number in a file, or the default if it holds no number, such as `max`."""
    first = next(iter(_lines(path)), "")
    return float(first) if first.isdigit() else default


# --- the memory of a picture ------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class PictureMemory:
    """The memory that a picture needs, in bytes per pixel.

    The numbers are measured as the growth of a new process, and rounded up.

    Attributes:
        inside: bytes per pixel of the network's input, while the network runs.
        opened: bytes per pixel of the file, while it is read and decoded.
    """

    inside: float
    opened: float = OPENED

    def of(self, pixels: float) -> float:
        """The memory for a picture of this number of pixels at its full size, in bytes."""
        return pixels * max(self.opened, HELD + self.inside)

    def affordable_scale(self, pixels: float, memory: float, beside: float = 0.0) -> float:
        """The fraction of its sides at which a picture fits into the memory.

        Args:
            pixels: number of pixels of the picture.
            memory: the memory in bytes.
            beside: bytes that are needed later to open another picture. TensorFlow does not release the memory of its
                network, so these bytes must stay free. The network gets at least a quarter of `memory`.

        Returns:
            A number in [0, 1]: 1 if the whole picture fits, 0 if it cannot even be opened.

        Example:

        >>> PictureMemory(inside=40.0).affordable_scale(100, 5200)
        1.0
        >>> PictureMemory(inside=40.0).affordable_scale(100, 2200)
        0.5
        """
        if pixels * self.opened > memory:
            return 0.0
        room = max(memory - max(pixels * HELD, beside), memory / 4)
        return min(1.0, math.sqrt(room / (pixels * self.inside))) if pixels else 1.0


# --- the guard --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def guard(advice: str, room: Callable[[], float] = lambda: available(swap=True)) -> Iterator[None]:
    """A context that ends the process with an error message before the kernel kills it for its use of memory.

    A thread checks the available memory, more often when less is available. The exit status is 1. Use it for commands
    only, because it ends the process at once.

    Raises:
        RunError: if more memory is asked for at once than there is, or TensorFlow fills the disk.

    Args:
        advice: the end of the message, which says what the user can do.
        room: a function that returns the available memory in bytes.
    """
    over, terminal = threading.Event(), os.dup(2)  # the command may redirect file 2 for a while
    watching = threading.Thread(target=_watch, args=(over, room, advice, terminal), daemon=True)
    watching.start()
    try:
        yield
    except Exception as error:
        # TensorFlow, which this module does not import, has an error of its own, also for a full disk.
        exhausted = type(error).__name__ == "ResourceExhaustedError"
        if exhausted and any(word in str(error).lower() for word in ("space left", "quota")):
            raise RunError(str(error).partition("\n")[0]) from error
        if exhausted or isinstance(error, MemoryError):
            raise RunError(f"out of memory; {advice}") from error
        raise
    finally:
        over.set()
        watching.join()
        os.close(terminal)


def _watch(over: threading.Event, room: Callable[[], float], advice: str, terminal: int) -> None:
    while (left := room()) >= RESERVE:
        if over.wait(min(LONGEST_WAIT, left / FASTEST)):
            return
    # Not with print: the main thread may hold its lock.
    clear = "\r\x1b[K\x1b[?25h" if os.isatty(terminal) else ""
    os.write(terminal, f"{clear}kgan: error: out of memory at {in_use() / 1e9:.1f} GB; {advice}\n".encode())
    os._exit(1)


def smaller_batch(batch_size: int, size: int, devices: int = 1) -> str:
    """Advice for a training run that is out of memory.

    Args:
        batch_size: the batch size of the run.
        size: the side of the training crop in pixels.
        devices: number of devices; the advised batch size is a multiple of it.

    Returns:
        The advice.

    Example:

    >>> smaller_batch(6, 256, devices=2), smaller_batch(1, 256)
    ('try --batch-size 2', 'try a --size below 256')
    """
    smaller = batch_size // 2 // devices * devices
    return f"try --batch-size {smaller}" if smaller else f"try a --size below {size}"
