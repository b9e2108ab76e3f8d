"""The hidden working folder of a film: its finished segments, and what is needed to go on after them.

A segment is a film of its own with a fixed number of frames. It counts once its notes are written, which happens in
one step after its file is closed. So a process that is killed loses its running segment at most, and a film that is
resumed consists of the same segments as one that was never interrupted.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from kgan import files, locks
from kgan.errors import UserError

FRAMES = 120
"""Frames of a segment at most, and of one of small frames."""

FEWEST = 24
"""Frames of a segment at least. More segments make a film larger, as each begins with a whole frame."""

PIXELS = 2**25
"""Pixels of a segment, between these bounds."""

State = dict[str, np.ndarray]
"""What is remembered of earlier frames."""


@dataclasses.dataclass(frozen=True)
class Segment:
    """A finished segment.

    Attributes:
        path: its file.
        times: the time of each frame in units of the film's time base, int64.
        last: the duration of the last frame in the same unit.
    """

    path: pathlib.Path
    times: np.ndarray
    last: int

    @property
    def end(self) -> int:
        """When its last frame ends, in units of the film's time base."""
        return int(self.times[-1]) + self.last


def frames_of_segment(size: tuple[int, int]) -> int:
    """The number of frames of a segment for a height and a width, so that an interruption loses little work.

    Example:

    >>> frames_of_segment((256, 256)), frames_of_segment((720, 1280)), frames_of_segment((2160, 3840))
    (120, 36, 24)
    """
    return max(FEWEST, min(FRAMES, PIXELS // (size[0] * size[1])))


def folder_of(target: pathlib.Path) -> pathlib.Path:
    """The working folder of an output. It lies beside it, so that the finished film is on the same disk."""
    return target.with_name(f".{target.name[:200]}.film")


class Work:
    """The working folder of one film.

    Args:
        target: the output.
        settings: all that the frames depend on. A film is resumed with the same settings only.
    """

    def __init__(self, target: pathlib.Path, settings: dict[str, Any]):
        self.folder, self._target = folder_of(target), target
        self.settings = settings
        self.segments: list[Segment] = []
        self.state: State = {}  # what was remembered after the last segment

    @property
    def exists(self) -> bool:
        """Whether an interrupted run left something to go on with."""
        return self._notes.is_file()

    @property
    def _notes(self) -> pathlib.Path:
        return self.folder / "settings.json"

    def kept(self) -> dict[str, Any]:
        """The settings of the interrupted run."""
        try:
            return json.loads(self._notes.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UserError(f"{self._notes}: cannot be read; give --overwrite to start anew") from None

    @contextlib.contextmanager
    def opened(self, resume: bool) -> Iterator[None]:
        """A context in which no other process works in the folder. It is made, or with `resume` its segments are read.

        Raises:
            UserError: if another process works there.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"--output {self._target}: cannot be written ({error.strerror})") from None
        with locks.locked(self.folder, self._refuse):
            try:
                if resume:
                    self._read()
                else:
                    self.empty()
                    files.write_text(self._notes, json.dumps(self.settings, indent=1, sort_keys=True) + "\n")
                yield
            finally:
                if not self.segments:
                    self.remove()

    def _refuse(self) -> None:
        raise UserError(f"{self._target}: another process is making this film; wait for it, or name another --output")

    def empty(self) -> None:
        """Remove the contents of the folder."""
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def remove(self) -> None:
        """Remove the folder, once the film is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self) -> None:
        """Read the segments from the first to the last one whose notes and state can be read."""
        while (notes := _arrays(self.path(len(self.segments)).with_suffix(".npz"))) is not None:
            self.segments.append(Segment(self.path(len(self.segments)), notes["times"], int(notes["last"])))
        while self.segments and (state := _arrays(_state_path(self.segments[-1].path))) is None:
            self.segments.pop()
        self.state = state if self.segments and state is not None else {}

    def path(self, number: int) -> pathlib.Path:
        """The file of a segment."""
        return self.folder / f"{number:06d}.nut"

    def finish(self, times: list[int], last: int, state: State) -> None:
        """Write state and notes of the segment whose file was closed just now. It counts from then on.

        Only the latest two states are kept, because a state may hold whole frames.
        """
        path = self.path(len(self.segments))
        _write(_state_path(path), state)
        _write(path.with_suffix(".npz"), {"times": np.asarray(times, np.int64), "last": np.array(last)})
        self.segments.append(Segment(path, np.asarray(times, np.int64), last))
        self.state = state
        if len(self.segments) > 2:
            _state_path(self.segments[-3].path).unlink(missing_ok=True)


def _state_path(segment: pathlib.Path) -> pathlib.Path:
    return segment.with_suffix(".state.npz")


def _write(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    with files.whole(path) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())


def _arrays(path: pathlib.Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file, or None if it cannot be read."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
