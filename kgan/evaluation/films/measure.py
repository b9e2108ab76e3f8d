"""Restyles footage in several ways at the same time, and measures each pair of neighbouring frames.

A few frames are in memory at a time, and a few numbers of each pair.
"""

import collections
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from kgan import console
from kgan.evaluation.films.footage import Footage, Step, as_rgb
from kgan.film.frames import Frame
from kgan.film.painting import Painter
from kgan.film.smoothing import Smoother
from kgan.images.pictures import to_float
from kgan.metrics.bootstrap import Interval, block_interval
from kgan.metrics.flicker import warping_error
from kgan.metrics.pairs import structure_kept

MEASURED = ("warping_error", "flicker", "content_structure", "style_reached")
"""The metrics of films. The last one needs pictures in the wanted style."""

Pictures = dict[str, np.ndarray]
"""A frame by the row of the report, uint8 [H, W, 3]: "identity" is that of the film itself."""

Watch = Callable[[Step, Pictures], None]
"""What sees each frame."""


@dataclasses.dataclass(frozen=True)
class Way:
    """A way to restyle footage.

    Attributes:
        painter: restyles the frames.
        smoother: smooths the restyled frames.
    """

    painter: Painter
    smoother: Smoother

    def restyled(self, frames: Sequence[Frame]) -> np.ndarray:
        """The next frames, uint8 [N, H, W, C]."""
        return self.smoother([frame.pixels for frame in frames], self.painter.paint(frames))


class Numbers:
    """The numbers of pairs of neighbouring frames, by the row of the report and the name of the metric.

    Attributes:
        frames: number of frames.
        scenes: number of scenes. The last frame of a scene and the first of the next one are no pair.
        blocks: the block of each pair.
        seen: for each pair, the fraction of the first frame that is seen in the second one too.
    """

    def __init__(self) -> None:
        self.frames = self.scenes = 0
        self.blocks: list[int] = []
        self.seen: list[float] = []
        self._values: dict[str, dict[str, list[float]]] = collections.defaultdict(lambda: collections.defaultdict(list))
        self._blocks_of: dict[str, list[int]] = {}

    def add(self, step: Step, before: Pictures, pictures: Pictures) -> None:
        """Add a frame. `before`: the pictures of the frame before it."""
        self.frames += 1
        if step.flow is None:
            self.scenes += 1
            return
        flow = step.flow()
        errors = {row: warping_error(before[row], pictures[row], *flow) for row in pictures}
        if math.isnan(errors["identity"]):  # nothing is seen in both frames
            return
        self.blocks.append(step.block)
        self.seen.append(float(flow[1].mean()) if len(flow) == 2 else 1.0)
        content = to_float(pictures["identity"])
        for row, error in errors.items():
            self._values[row]["warping_error"].append(error)
            if row != "identity":
                self._values[row]["flicker"].append(error - errors["identity"])
                self._values[row]["content_structure"].append(float(structure_kept(to_float(pictures[row]), content)))

    def put(self, row: str, name: str, values: np.ndarray, blocks: list[int]) -> None:
        """Put numbers that are not those of pairs, with the block of each."""
        self._values[row][name], self._blocks_of[name] = list(values), blocks

    def means(self, row: str, seed: int) -> dict[str, Interval]:
        """The mean and the interval of each number of a row."""
        return {name: self._interval(name, np.array(each), seed) for name, each in self._values[row].items()}

    def gains(self, over: str, seed: int) -> dict[str, Interval]:
        """The mean and the interval of the paired differences between the model and another row."""
        model = self._values["model"]
        return {
            name: self._interval(name, np.array(model[name]) - np.array(each), seed)
            for name, each in self._values[over].items()
        }

    def _interval(self, name: str, values: np.ndarray, seed: int) -> Interval:
        return block_interval(values, np.array(self._blocks_of.get(name, self.blocks)), seed)


def measure(footage: Footage, ways: Callable[[], Mapping[str, Way]], watches: Sequence[Watch] = ()) -> Numbers:
    """Restyle footage in several ways and measure it.

    Args:
        footage: the footage.
        ways: makes the ways by the row of the report. It is called for each take.
        watches: each of them sees each frame and its restyled pictures.

    Returns:
        The numbers.
    """
    numbers = Numbers()
    with console.progress(footage.count or 0, f"evaluate {footage.name}", unit="frames/s") as bar:
        for take in footage.takes():
            before: Pictures = {}
            for step, pictures in _restyled(take, ways()):
                for watch in watches:
                    watch(step, pictures)
                numbers.add(step, before, pictures)
                before = pictures
                bar.advance()
    return numbers


def _restyled(take: Iterator[Step], ways: Mapping[str, Way]) -> Iterator[tuple[Step, Pictures]]:
    size = min(way.painter.frames_at_a_time for way in ways.values())
    while batch := list(itertools.islice(take, size)):
        frames = [step.frame for step in batch]
        made = {row: way.restyled(frames) for row, way in ways.items()}
        for place, step in enumerate(batch):
            yield step, {"identity": step.frame.pixels, **{row: as_rgb(each[place]) for row, each in made.items()}}
