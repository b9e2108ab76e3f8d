"""The films whose flicker is measured: clips, and camera moves that are computed over photos."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np
from PIL import ImageOps

from kgan.errors import UserError
from kgan.evaluation.scored import Item
from kgan.film.film import Film
from kgan.film.frames import Frame
from kgan.film.scenes import Scenes
from kgan.images.optical_flow import estimated_flow, opencv
from kgan.images.pictures import to_float, to_uint8, with_channels
from kgan.images.resizing import LANCZOS, resized, to_image, to_pixels
from kgan.metrics import SSIM_WINDOW
from kgan.metrics.flicker import Flow, View, pan, zoom

BLOCK = 5
"""Pairs of neighbouring frames of a clip that are drawn together for intervals, because they are alike."""

LENGTH = 8
"""Frames of a camera move."""

FINER = 2
"""How much a photo is enlarged, so that frames between its pixels are as sharp as others."""

MOVES_RATE = Fraction(10)
"""Frames a second at which camera moves are shown."""


@dataclasses.dataclass(frozen=True)
class Step:
    """A frame that is measured.

    Attributes:
        frame: the frame, uint8 [H, W, 3].
        flow: computes the flow from the frame before it. None where a scene begins.
        block: number of the block to which it belongs.
    """

    frame: Frame
    flow: Callable[[], Flow] | None
    block: int


class Footage(Protocol):
    """A film whose flicker is measured.

    Attributes:
        name: its name in tables.
        flow: how its flow is known.
        alike: what the blocks are.
        size: height and width of its frames in pixels.
        rate: frames a second.
        count: about how many frames there are, or None.
        notices: remarks for the user.
    """

    name: str
    flow: str
    alike: str
    size: tuple[int, int]
    rate: Fraction
    count: int | None
    notices: tuple[str, ...]

    def takes(self) -> Iterator[Iterator[Step]]:
        """The parts of the film that are restyled apart from each other."""
        ...


class Clip:
    """A film, an animation or a folder of frames, whose flow is estimated.

    Args:
        film: the film.
        side: its longer side in pixels, to which larger frames are reduced. None: as it is.

    Raises:
        UserError: if OpenCV is not installed, or frames are too small.
    """

    flow = "estimated"
    alike = f"blocks of {BLOCK} pairs"

    def __init__(self, film: Film, side: int | None = None):
        opencv()
        share = min(1.0, (side or math.inf) / max(film.size))
        self.name, self.rate, self.count, self.notices = film.path.name, film.rate, film.count, film.notices
        self.size = (max(1, round(film.size[0] * share)), max(1, round(film.size[1] * share)))
        self._film = film
        if min(self.size) < SSIM_WINDOW:
            raise UserError(
                f"{film.path}: frames of {self.size[1]}x{self.size[0]} are too small to be measured; they should have "
                f"at least {SSIM_WINDOW} pixels a side"
            )

    def takes(self) -> Iterator[Iterator[Step]]:
        """The whole film, as `kgan stylize` finds its cuts itself."""
        yield self._steps()

    def _steps(self) -> Iterator[Step]:
        scenes, block, age = Scenes(), 0, 0
        before: np.ndarray | None = None
        for frame in self._film:
            pixels = resized(as_rgb(frame.pixels), self.size)
            if scenes.begins(pixels) or before is None:
                age, flow = 0, None
            else:
                age, flow = age + 1, functools.partial(estimated_flow, before, pixels)
            block += age % BLOCK == 1  # the first frame of a scene has no pair
            yield Step(dataclasses.replace(frame, pixels=pixels), flow, block)
            before = pixels


class Moves:
    """A camera that moves over photos: two pans and a zoom over each. Their flow is computed.

    Args:
        photos: the photos. Each is resized and cropped at its centre.
        side: width of a frame in pixels. The height is three quarters of it.
    """

    flow = "exact"
    alike = "photos"
    rate = MOVES_RATE
    notices: tuple[str, ...] = ()

    def __init__(self, photos: Sequence[Item], side: int = 256):
        self.name = "camera moves"
        self.size = (side * 3 // 4, side)
        self._photos, self._moves = photos, camera_moves(self.size)
        self.count: int | None = len(photos) * len(self._moves) * LENGTH
        if min(self.size) < SSIM_WINDOW:
            raise UserError(f"--size {side}: frames of {self.size[1]}x{self.size[0]} are too small to be measured")

    def takes(self) -> Iterator[Iterator[Step]]:
        """Each move over each photo."""
        for number, item in enumerate(self._photos):
            photo = self._enlarged(item.read(3))
            for place, views in enumerate(self._moves):
                yield self._steps(photo, views, (number * len(self._moves) + place) * LENGTH, number)

    def _enlarged(self, photo: np.ndarray) -> np.ndarray:
        """The photo at the size that the moves cover, enlarged by FINER.

        It is reduced first, because frames would alias otherwise.
        """
        ends = [(view.top + (self.size[0] - 1) * view.step, view.left + (self.size[1] - 1) * view.step)
                for view in itertools.chain(*self._moves)]  # fmt: skip
        height, width = (math.ceil(max(each)) + 2 for each in zip(*ends, strict=True))
        fitted = ImageOps.fit(to_image(photo), (width, height), LANCZOS)
        return to_pixels(fitted.resize((width * FINER, height * FINER), LANCZOS))

    def _steps(self, photo: np.ndarray, views: Sequence[View], first: int, block: int) -> Iterator[Step]:
        for place, (before, view) in enumerate(zip([None, *views], views, strict=False)):
            frame = Frame(to_uint8(_finer(view).frame(photo, self.size)), (first + place) / self.rate, 1 / self.rate)
            yield Step(frame, None if before is None else functools.partial(self._flow, before, view), block)

    def _flow(self, before: View, view: View) -> Flow:
        return (before.flow_to(view, self.size),)


def _finer(view: View) -> View:
    """A view of a photo as a view of the enlarged one."""
    top, left = ((place + 0.5) * FINER - 0.5 for place in (view.top, view.left))
    return View(top, left, view.step * FINER)


def camera_moves(size: tuple[int, int]) -> list[list[View]]:
    """The views of the moves: to the right by 1.5 pixels a frame, slowly downwards, and nearer by 1%."""
    return [pan(LENGTH, 1.5), pan(LENGTH, 0.5, 1.0), zoom(LENGTH, 1.01, size)]


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] of uint8 [H, W, 1|3|4]. Transparent pixels are composited over white."""
    return pixels if pixels.shape[-1] == 3 else to_uint8(with_channels(to_float(pixels), 3))
