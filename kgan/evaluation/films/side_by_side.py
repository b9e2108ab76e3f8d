"""What shows flicker to the eye: a film with several versions side by side, and a column of pixels over time."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from kgan import files
from kgan.evaluation.films.footage import Footage, Step
from kgan.evaluation.films.measure import Pictures, Watch
from kgan.film import encoding
from kgan.film.frames import BT709, LIMITED, Colours, Facts, Frame
from kgan.images.pictures import save_picture

CONTAINER = "webm"
"""Browsers play VP9 in WebM."""

GAP = 4
"""White pixels between two versions."""

MILLISECOND = Fraction(1, 1000)


@contextlib.contextmanager
def side_by_side(path: pathlib.Path, footage: Footage, rows: Sequence[str]) -> Iterator[Watch]:
    """A context that writes a film of several versions, and beside it their strips as a JPEG file of the same name.

    Args:
        path: the film, a .webm file.
        footage: the footage.
        rows: the versions from left to right.

    Returns:
        What sees each frame.
    """
    width = len(rows) * footage.size[1] + (len(rows) - 1) * GAP
    colours = Colours(BT709, LIMITED, BT709, BT709)
    facts = Facts((footage.size[0], width), footage.rate, MILLISECOND, colours=colours)
    coding = encoding.choose(facts, CONTAINER, None, None, threads=2)
    strips = {row: Strip() for row in rows}
    shown = Clock()

    def watch(step: Step, pictures: Pictures) -> None:
        for row, strip in strips.items():
            strip.add(pictures[row])
        writer.write(beside([pictures[row] for row in rows]), shown.at(step.frame))

    with files.whole(path) as partial:
        writer = encoding.SegmentWriter(partial, coding, facts, (CONTAINER,))
        try:
            yield watch
        finally:
            writer.close()
    save_picture(beside([strip.picture() for strip in strips.values()]), path.with_suffix(".jpg"))


class Clock:
    """Moves the times of a film so that it begins at 0. Frames are at least a millisecond apart, as the file needs."""

    def __init__(self) -> None:
        self._origin: Fraction | None = None
        self._last = -MILLISECOND

    def at(self, frame: Frame) -> Frame:
        """The frame at its new time."""
        self._origin = frame.time if self._origin is None else self._origin
        self._last = max(frame.time - self._origin, self._last + MILLISECOND)
        return dataclasses.replace(frame, time=self._last, duration=max(frame.duration, MILLISECOND))


class Strip:
    """The middle column of a film over time: a picture of the size of a frame, in which time goes to the right.

    A steady film has smooth lines. Flicker is grain along them. Of a film with more frames than columns, the strip
    shows the first ones.
    """

    def __init__(self) -> None:
        self._columns: list[np.ndarray] = []
        self._width = 0

    def add(self, pixels: np.ndarray) -> None:
        """Add a frame, uint8 [H, W, 3]."""
        self._width = pixels.shape[1]
        if len(self._columns) < self._width:
            self._columns.append(pixels[:, self._width // 2].copy())

    def picture(self) -> np.ndarray:
        """The strip, uint8 [H, W, 3]. Each frame has the same number of columns, up to one."""
        return np.stack(self._columns, axis=1)[:, np.arange(self._width) * len(self._columns) // self._width]


def beside(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of one size side by side, uint8 [H, W, 3]."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([part for picture in pictures for part in (gap, picture)][1:], axis=1)
