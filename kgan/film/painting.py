"""Restyles the frames of a film, several at a time, with norms whose statistics are shared along a scene."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from kgan.errors import UserError
from kgan.film import smoothing
from kgan.film.frames import Frame
from kgan.film.scene_statistics import SceneStatistics
from kgan.film.work import State
from kgan.images.resizing import resized
from kgan.inference.model import Model
from kgan.inference.steady import averaged, offsets

Painted: TypeAlias = np.ndarray | tf.Tensor
"""Restyled frames, uint8 [N, H, W, C]. A GPU may still compute a tensor; `np.asarray` waits for it."""

OPENED = 52
"""Bytes per pixel of a frame on its way from the decoder to the encoder."""

DECODED = 24
"""Bytes per pixel that a decoder holds, for all frames together: the frames from which later ones are predicted, and
one for each of its threads (`kgan.film.video_file.DECODERS`)."""

SMALLEST = 0.1
"""Smallest scale at which a frame is restyled by a model without tiles."""

MOST_FRAMES = 8
"""Frames that a network gets at a time, at most."""

MOST_PIXELS = 2**24
"""Pixels that a network gets at a time, at most, unless one frame has more."""


@dataclasses.dataclass(frozen=True)
class Pass:
    """How frames fit into memory.

    Attributes:
        frames: the frames that are restyled at a time.
        scale: the fraction of its sides at which a frame is restyled, below 1 if one frame alone does not fit and the
            model has no tiles.
        tiles: the memory in GB in which one frame is restyled in tiles, or None if frames fit as a whole.
    """

    frames: int
    scale: float = 1.0
    tiles: float | None = None


def fitting(
    model: Model, size: tuple[int, int], memory: float, encoded: float = 0.0, is_smoothed: bool = False
) -> Pass:
    """How frames fit into memory.

    Args:
        model: the model.
        size: height and width of a frame in pixels.
        memory: the memory in bytes.
        encoded: bytes per pixel that the encoder holds, for all frames together.
        is_smoothed: whether the restyled frames are smoothed (`kgan.film.smoothing`).

    Raises:
        UserError: if not even a small version of one frame fits.
    """
    pixels = math.prod(size)
    held = DECODED + encoded + (smoothing.BYTES if is_smoothed else 0)
    memory -= pixels * held
    one = pixels * (model.bytes_per_pixel + OPENED)
    # In a batch, each row has its own noise, which would flicker
    most = 1 if model.facts.noise_channels else MOST_FRAMES
    if one <= memory:
        return Pass(max(1, min(most, int(memory / one), MOST_PIXELS // pixels)))
    room = memory - pixels * OPENED
    if model.has_tiles and room > 0:
        return Pass(1, tiles=room / 1e9)
    least = 0.0 if model.has_tiles else SMALLEST**2 * pixels * model.bytes_per_pixel
    if room <= least:
        need = pixels * (OPENED + held) + least
        raise UserError(
            f"frames of {size[1]}x{size[0]} need at least {math.ceil(need / 1e8) / 10:.10g} GB of memory to be "
            "decoded, restyled and encoded; give a higher --memory"
        )
    return Pass(1, math.sqrt(room / (pixels * model.bytes_per_pixel)))


class Painter:
    """Restyles frames.

    Frames share statistics along a scene (`kgan.film.scene_statistics`) if the model can be given statistics, frames
    are restyled as a whole, and `strokes` is 1.

    Args:
        model: the model.
        each: how frames fit into memory.
        seed: seed of the noise, the same for every frame, so that noise does not flicker.
        strokes: the factor by which strokes become broader.
        steady: number of shifted copies of each frame whose results are averaged.
        shares: False if each frame uses its own statistics.
        jit: compile the network with XLA for the size of the frames, if they share statistics.
    """

    def __init__(
        self, model: Model, each: Pass, seed: int = 0, strokes: float = 1.0, steady: int = 1, shares: bool = True,
        jit: bool = False,
    ):  # fmt: skip
        self._steady, self._jit = steady, jit
        self._model, self._each, self._seed, self._strokes = model, each, seed, strokes
        can_share = model.has_tiles and each == Pass(each.frames) and strokes == 1
        self._scene = SceneStatistics() if shares and can_share else None

    @property
    def frames_at_a_time(self) -> int:
        """The frames that are restyled at a time."""
        return self._each.frames

    @property
    def shares_statistics(self) -> bool:
        """Whether frames share statistics along a scene."""
        return self._scene is not None

    def paint(self, frames: Sequence[Frame]) -> np.ndarray:
        """Restyle frames. Returns uint8 [N, H, W, C]."""
        return np.asarray(self.begin(frames))

    def begin(self, frames: Sequence[Frame]) -> Painted:
        """As `paint`, but does not wait for the result of a GPU."""
        batch = np.stack([_seen(frame.pixels, self._model.facts.channels) for frame in frames])
        if self._scene is not None:
            statistics = self._scene.of(batch, lambda measured: self._model.statistics(measured, self._seed))
            if self._steady == 1:
                return self._begin(batch, statistics)
            shifts = offsets(self._steady, self._model.facts.stride)
            return averaged(lambda moved: self._begin(moved, statistics).numpy(), batch, shifts)
        if self._each.scale == 1:
            room = math.inf if self._each.tiles is None else self._each.tiles
            return self._model(batch, self._seed, self._strokes, memory=room, steady=self._steady)
        height, width = batch.shape[1:3]
        small = (max(1, int(height * self._each.scale)), max(1, int(width * self._each.scale)))
        made = self._model(
            np.stack([resized(each, small) for each in batch]),
            self._seed,
            max(1.0, self._strokes * self._each.scale),
            steady=self._steady,
        )
        return np.stack([resized(each, (height, width)) for each in made])

    def _begin(self, batch: np.ndarray, statistics: np.ndarray) -> tf.Tensor:
        """The restyled frames, which a GPU may still compute. XLA gets full batches, as it compiles for each shape."""
        count = len(batch)
        if self._jit and count < self._each.frames:
            rows = np.minimum(np.arange(self._each.frames), count - 1)
            batch, statistics = batch[rows], statistics[rows]
        return self._model.begin(batch, statistics, self._seed, self._jit)[:count]

    @property
    def state(self) -> State:
        """What is remembered of earlier frames."""
        return {} if self._scene is None else self._scene.state

    @state.setter
    def state(self, state: State) -> None:
        if self._scene is not None:
            self._scene.state = state


def _seen(pixels: np.ndarray, channels: int) -> np.ndarray:
    """The pixels for a network: RGBA for one with alpha. Fully transparent pixels are white."""
    if pixels.shape[-1] == 3:
        return pixels
    hidden = np.where(pixels[..., 3:] == 0, np.uint8(255), np.uint8(0))
    colours = pixels[..., :3] | hidden
    return np.concatenate([colours, pixels[..., 3:]], axis=-1) if channels == 4 else colours
