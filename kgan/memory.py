"""How much memory: what this process may still take, what a picture takes, and a guard that ends a command in words
before the kernel ends it without any. No TensorFlow here.
"""

import contextlib
import dataclasses
import functools
import math
import os
import pathlib
import threading
from collections.abc import Callable, Iterator

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None

SHARE = 0.75
"""The part of the available memory that one picture may take unless the user says otherwise."""

OPENED = 19
"""Bytes per pixel of a picture while it is decoded: as its file has it, as Pillow holds it (4 bytes), as an array."""

OPENED_WITH_MASK = 26
"""The same while its mask is softened beside it."""

HELD = 12
"""Bytes per pixel that stay beside the network: the picture, what the network is given, the mask as float32."""

UNKNOWN = 8e9
"""Bytes taken for available where the system says nothing of its memory."""

RESERVE = 32e6
"""Bytes left at which the guard ends the process."""

FASTEST = 20e9
"""Bytes a second that a process may take at most: the guard looks again before it can have taken the rest."""

LONGEST_WAIT = 0.5
"""Seconds between two looks of the guard at most."""

UNLIMITED = 2.0**60
"""Bytes: version 1 of control groups writes a number about 2**63 for no limit."""

ROOT = pathlib.Path("/")


# --- what is available ------------------------------------------------------------------------------------------------


def available(swap: bool = False, root: pathlib.Path = ROOT) -> float:
    """Bytes that this process may still take: what the machine, every control group around it (versions 1 and 2) and
    its own limits (`ulimit`) leave, whichever is least.

    What the kernel can free without loss, as files read before, counts as available; free swap only with `swap`. Never
    raises: what the system does not tell is no limit. `root` is where /proc and /sys are looked for.
    """
    machine = _table(root / "proc/meminfo", 1024)
    swap_free = machine.get("SwapFree", 0) if swap else 0
    rooms = [machine.get("MemAvailable", math.inf) + swap_free, *_in_groups(root, swap_free), *_in_limits(root)]
    least = min(rooms)
    return max(0.0, least if least < math.inf else _without_proc())


def budget() -> float:
    """Bytes that one picture may take unless the user says otherwise."""
    return SHARE * available()


def _without_proc() -> float:
    """Half of the machine's memory, as on macOS, where the system says no more."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
    except (AttributeError, ValueError, OSError):
        return UNKNOWN


def _in_limits(root: pathlib.Path) -> list[float]:
    """What RLIMIT_AS and RLIMIT_DATA leave."""
    known = {"RLIMIT_AS": "VmSize", "RLIMIT_DATA": "VmData"}
    limits = {what: resource.getrlimit(getattr(resource, name))[0] for name, what in known.items() if resource}
    limits = {what: limit for what, limit in limits.items() if limit != resource.RLIM_INFINITY}
    used = _table(root / "proc/self/status", 1024) if limits else {}
    return [limit - used[what] for what, limit in limits.items() if what in used]


def _in_groups(root: pathlib.Path, swap_free: float) -> list[float]:
    """What each control group that this process is in leaves."""
    left = {"cgroup2": _left_in_version_2, "memory": _left_in_version_1}
    return [left[kind](folder, swap_free) for kind, folder in _groups(root)]


@functools.cache  # a process stays in its groups, and the guard asks often
def _groups(root: pathlib.Path) -> list[tuple[str, pathlib.Path]]:
    """("cgroup2" or "memory" for version 1, folder) of each control group that limits this process."""
    found = []
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        kind = "cgroup2" if number == "0" else "memory" if "memory" in controllers.split(",") else None
        found += [(kind, folder) for folder in (_folders(root, kind, path) if kind else [])]
    return found


def _folders(root: pathlib.Path, kind: str, path: str) -> list[pathlib.Path]:
    """The group's folder and those of all groups around it, as far as they are mounted here."""
    for line in _lines(root / "proc/self/mountinfo"):
        words = line.split()
        if len(words) < 9 or (kind != words[-3] and not (words[-3] == "cgroup" and kind in words[-1].split(","))):
            continue
        mounted, place = words[3].rstrip("/"), root / words[4].lstrip("/")
        # Inside a container the mount may begin below the path, which is then not to be seen from here.
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
    """Bytes of files that are kept only to save reading them again; not those of programs at work."""
    files = sum(statistics.get(f"{prefix}{state}_file", 0.0) for state in ("active", "inactive"))
    return max(0.0, files - statistics.get(mapped, 0.0))


def _lines(path: pathlib.Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return []


def _table(path: pathlib.Path, unit: int = 1) -> dict[str, float]:
    """Names and numbers, one of each a line, as in `MemFree: 3 kB` and `active_file 4096`."""
    rows = [line.replace(":", " ").split() for line in _lines(path)]
    return {row[0]: float(row[1]) * unit for row in rows if len(row) > 1 and row[1].isdigit()}


def _number(path: pathlib.Path, default: float = math.inf) -> float:
    """The number in a file; the default where there is none, as in `max`."""
    first = next(iter(_lines(path)), "")
    return float(first) if first.isdigit() else default


# --- what a picture takes ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Need:
    """Bytes per pixel that a picture takes. They are measured as the growth of a fresh process, and rounded up."""

    inside: float
    """While the network is at work, of every pixel that it sees."""
    opened: float = OPENED
    """While the file is read and decoded, of every pixel of the file."""

    def of(self, pixels: float) -> float:
        """Bytes of a picture that is restyled whole."""
        return pixels * max(self.opened, HELD + self.inside)

    def affordable_scale(self, pixels: float, memory: float, beside: float = 0.0) -> float:
        """The share of its side lengths at which a picture takes at most `memory` bytes: 1 where all of it fits, 0
        where it can't even be opened.

        `beside`: bytes to open another picture later. TensorFlow keeps what its network once had, so they must stay
        free; but at least a quarter of `memory` is the network's.

        >>> Need(inside=40.0).affordable_scale(100, 5200), Need(inside=40.0).affordable_scale(100, 2200)
        (1.0, 0.5)
        """
        if pixels * self.opened > memory:
            return 0.0
        room = max(memory - max(pixels * HELD, beside), memory / 4)
        return min(1.0, math.sqrt(room / (pixels * self.inside))) if pixels else 1.0


# --- the guard --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def guard(advice: str, room: Callable[[], float] = lambda: available(swap=True)) -> Iterator[None]:
    """While this lasts, end the process with one line and status 1 before the kernel kills it for its memory.

    The line says how much memory the process holds, and `advice`, what to do. A thread looks at what is left, the more
    often the less that is. For commands only: it ends the process at once, whatever else runs there.
    """
    over, terminal = threading.Event(), os.dup(2)  # the command may turn file 2 elsewhere for a while
    watching = threading.Thread(target=_watch, args=(over, room, advice, terminal), daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        os.close(terminal)


def _watch(over: threading.Event, room: Callable[[], float], advice: str, terminal: int) -> None:
    while (left := room()) >= RESERVE:
        if over.wait(min(LONGEST_WAIT, left / FASTEST)):
            return
    # Not by print: the main thread may hold its lock, and is not asked any more.
    clear = "\r\x1b[K\x1b[?25h" if os.isatty(terminal) else ""
    held = _table(ROOT / "proc/self/status", 1024).get("VmRSS", math.nan) / 1e9
    os.write(terminal, f"{clear}kgan: error: out of memory at {held:.1f} GB; {advice}\n".encode())
    os._exit(1)


def smaller_batch(batch_size: int, size: int, devices: int = 1) -> str:
    """What to try where a training runs out of memory.

    >>> smaller_batch(6, 256, devices=2), smaller_batch(1, 256)
    ('try --batch-size 2', 'try a --size below 256')
    """
    smaller = batch_size // 2 // devices * devices
    return f"try --batch-size {smaller}" if smaller else f"try a --size below {size}"
