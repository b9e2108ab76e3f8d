"""Restyles the frames of a film, several at a time, and blends them with their originals."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from kgan.errors import UserError
from kgan.film.frames import Frame
from kgan.film.work import State
from kgan.images.resizing import resized
from kgan.inference.loading import Model

OPENED = 40
"""Bytes per pixel of a frame on its way from the decoder to the encoder."""

MOST_FRAMES = 8
"""Frames that a network gets at a time, at most."""

MOST_PIXELS = 2**24
"""Pixels that a network gets at a time, at most, unless one frame has more."""


@dataclasses.dataclass(frozen=True)
class Pass:
    """How many frames fit into memory.

    Attributes:
        frames: the frames that are restyled at a time.
        scale: the fraction of its sides at which a frame is restyled, below 1 if one frame alone does not fit.
    """

    frames: int
    scale: float = 1.0


def fitting(model: Model, size: tuple[int, int], memory: float) -> Pass:
    """How many frames fit into memory.

    Args:
        model: the model.
        size: height and width of a frame in pixels.
        memory: the memory in bytes.

    Raises:
        UserError: if not even a small version of one frame fits.
    """
    pixels = math.prod(size)
    one = pixels * (model.bytes_per_pixel + OPENED)
    if one <= memory:
        return Pass(max(1, min(MOST_FRAMES, int(memory / one), MOST_PIXELS // pixels)))
    scale = math.sqrt(max(0.0, memory - pixels * OPENED) / (pixels * model.bytes_per_pixel))
    if scale < 0.1:
        raise UserError(
            f"frames of {size[1]}x{size[0]} need about {one / 1e9:.2g} GB of memory; give a higher --memory"
        )
    return Pass(1, scale)


class Painter:
    """Restyles frames.

    Args:
        model: the model.
        each: how many frames are restyled at a time, and at which scale.
        seed: seed of the noise, the same for every frame, so that noise does not flicker.
        strokes: the factor by which strokes become broader.
    """

    def __init__(self, model: Model, each: Pass, seed: int = 0, strokes: float = 1.0):
        self._model, self._each, self._seed, self._strokes = model, each, seed, strokes

    @property
    def frames_at_a_time(self) -> int:
        """The frames that are restyled at a time."""
        return self._each.frames

    def paint(self, frames: Sequence[Frame]) -> np.ndarray:
        """Restyle frames, uint8 [N, H, W, 1|3|4]."""
        batch = np.stack([_seen(frame.pixels, self._model.facts.channels) for frame in frames])
        if self._each.scale == 1:
            return self._model(batch, self._seed, self._strokes)
        height, width = batch.shape[1:3]
        small = (max(1, int(height * self._each.scale)), max(1, int(width * self._each.scale)))
        made = self._model(
            np.stack([resized(each, small) for each in batch]), self._seed, max(1.0, self._strokes * self._each.scale)
        )
        return np.stack([resized(each, (height, width)) for each in made])

    @property
    def state(self) -> State:
        """What is remembered of earlier frames."""
        return {}

    @state.setter
    def state(self, state: State) -> None:
        pass


def _seen(pixels: np.ndarray, channels: int) -> np.ndarray:
    """The pixels for a network: RGBA for one with alpha. Fully transparent pixels are white."""
    if pixels.shape[-1] == 3:
        return pixels
    hidden = np.where(pixels[..., 3:] == 0, np.uint8(255), np.uint8(0))
    colours = pixels[..., :3] | hidden
    return np.concatenate([colours, pixels[..., 3:]], axis=-1) if channels == 4 else colours
