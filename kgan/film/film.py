"""A film as an iterable of frames."""

import os
import pathlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

from kgan.errors import UserError
from kgan.film.frames import Facts, Frame
from kgan.film.kinds import is_film
from kgan.film.stills import Animation, FrameFolder
from kgan.film.video_file import VideoFile
from kgan.images.listing import existing_path

FPS = Fraction(25)
"""Frames a second of a folder of frames, if no other number is given."""


class Source(Protocol):
    """Where frames come from: a `VideoFile`, an `Animation` or a `FrameFolder`."""

    path: pathlib.Path
    facts: Facts
    notices: tuple[str, ...]

    def frames(self, since: Fraction | None = None) -> Iterator[Frame]:
        """Read the frames in their order, from a time in seconds on."""
        ...


class Film:
    """A film, an animation or a folder of numbered frames. Iterating over it decodes one frame after the other.

    Args:
        path: a film such as MP4, MOV, MKV or WebM, an animated GIF, WebP or PNG, or a folder of numbered pictures.
        start: seconds that are left out at its beginning.
        duration: seconds that are read, or None for the rest.
        fps: frames a second of a folder of frames. Default: 25. Other films tell the times of their frames.

    Attributes:
        path: the file or folder.
        facts: all that is known of it before its frames are read (`kgan.film.frames.Facts`).
        size: height and width of its upright frames in pixels.
        rate: the mean number of frames a second.
        count: about how many frames there are, or None if the file does not tell.
        notices: remarks for the user.
        source: the reader of the file or folder.
        is_part: whether `start` or `duration` was given.
        since: the time of the first frame that is read, in seconds on the film's own time line. None: from the start.
        until: the time in seconds from which no frame is read. None: to the end.

    Raises:
        UserError: if it cannot be read, or PyAV is not installed.

    Example:

    >>> film = Film("holiday.mp4", start=2, duration=10)  # doctest: +SKIP
    >>> for frame in film:  # doctest: +SKIP
    ...     print(float(frame.time), frame.pixels.shape)
    """

    def __init__(
        self, path: str | os.PathLike, start: float = 0.0, duration: float | None = None, fps: float | None = None
    ):
        if not start >= 0 or start == float("inf"):
            raise UserError(f"--start should be at least 0, in seconds. Received: {start:g}")
        if duration is not None and not duration > 0:
            raise UserError(f"--duration should be above 0, in seconds. Received: {duration:g}")
        self.source = _source(existing_path(os.path.expanduser(path)), fps)
        self.path, self.facts, self.notices = self.source.path, self.source.facts, self.source.notices
        self.size, self.rate = self.facts.size, self.facts.rate
        self.is_part = start > 0 or duration is not None
        duration = None if duration == float("inf") else duration
        self.since = self.facts.begin + _seconds(start) if start else None
        self.until = None if duration is None else (self.since or self.facts.begin) + _seconds(duration)
        self.count = self._count(start, duration)
        whole = self.facts.duration
        if whole is not None and start >= whole:
            raise UserError(f"--start {start:g}: {path} is only {float(whole):g} seconds long")

    @property
    def origin(self) -> Fraction:
        """The time in seconds that becomes 0 in a film that is made of this one."""
        return self.facts.origin if self.since is None else self.since

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(self, since: Fraction | None = None) -> Iterator[Frame]:
        """Read the frames from a time in seconds on, within `start` and `duration`."""
        for frame in self.source.frames(max((t for t in (since, self.since) if t is not None), default=None)):
            if self.until is not None and frame.time >= self.until:
                return
            yield frame

    def _count(self, start: float, duration: float | None) -> int | None:
        whole = self.facts.count
        if whole is None or not self.is_part:
            return whole
        left = max(1, whole - round(start * self.rate))
        return left if duration is None else min(left, max(1, round(_seconds(duration) * self.rate)))


def _seconds(number: float) -> Fraction:
    return Fraction(number).limit_denominator(1_000_000)


def _source(path: pathlib.Path, fps: float | None) -> Source:
    if path.is_dir():
        if fps is not None and not 0 < fps <= 1000:
            raise UserError(f"--fps should be above 0, at most 1000. Received: {fps:g}")
        return FrameFolder(path, FPS if fps is None else _rate(fps))
    if fps is not None:
        raise UserError(f"--fps {fps}: {path} tells the times of its frames; leave --fps out")
    return VideoFile(path) if is_film(path) else Animation(path)


def _rate(fps: float) -> Fraction:
    """Frames a second as an exact fraction: 29.97 is 30000/1001, as in television."""
    television = Fraction(round(fps * 1.001) * 1000, 1001)
    return television if abs(float(television) - fps) < 0.005 and fps != round(fps) else _seconds(fps)
