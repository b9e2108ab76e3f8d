"""A trained model as a function of pictures of any size."""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kgan import memory as memories
from kgan.errors import UserError, call
from kgan.gan import noise as noises
from kgan.images import pictures as arrays
from kgan.inference.steady import averaged, offsets
from kgan.inference.stylist import Facts
from kgan.inference.tiles import Functions, Source, Tiled

Run = Callable[[dict[str, np.ndarray]], np.ndarray]
"""A function from inputs by name (image, noise: float32 NHWC) to stylized pictures, float32 NHWC in [0, 1]."""

EXACT_PASSES = 7
"""How many times as long as with a thumbnail tiles take with exact statistics. Measured were 5, 7 and 11."""

ALWAYS_THERE = 256e6
"""Memory in bytes that is used without a look at how much there is."""


class Model:
    """A trained model as a function of pictures. `load` makes one from any kind of file.

    Args:
        name: name of the model in error messages.
        run: the function that computes the result.
        facts: channels, noise and memory of the model.
        engine: the library that `run` uses, "tensorflow", "litert" or "onnx".
        functions: what tiles need, or None if the model is a file without it.

    Example:

    >>> model = load("runs/cyclegan-1")  # doctest: +SKIP
    >>> stylized = model(picture, seed=3)  # doctest: +SKIP
    """

    def __init__(
        self, name: str, run: Run, facts: Facts, engine: str = "tensorflow", functions: Functions | None = None
    ):
        self.name = name
        self.facts = facts
        self.bytes_per_pixel = facts.bytes_per_pixel(engine)
        self._run, self._functions = run, functions

    @property
    def has_tiles(self) -> bool:
        """Whether pictures of any size can be restyled in fixed memory."""
        return self._functions is not None

    def __call__(
        self,
        pictures: np.ndarray,
        seed: int = 0,
        strokes: float = 1.0,
        memory: float | None = None,
        exact: bool = False,
        progress: Callable[[float], None] | None = None,
        steady: int = 1,
    ) -> np.ndarray:
        """Stylize one picture or a batch of pictures.

        A picture for which the memory is too small is restyled in tiles, whose size does not depend on that of the
        picture (`kgan.inference.tiles`).

        Args:
            pictures: [H, W, C], [N, H, W, C] or gray [H, W], uint8 or float in [0, 1]. Gray, RGB and RGBA pictures are
                converted to the channels of the model.
            seed: seed of the noise, if the model takes noise.
            strokes: the factor by which brush strokes become broader, at least 1. The picture is restyled at a reduced
                size, enlarged to twice that size and restyled again, until it has its own size.
            memory: the memory in GB that may be used. Default: a fraction of the free memory (`kgan.memory`).
            exact: whether tiles use the exact statistics of the picture instead of those of a thumbnail. Then they give
                the same result as the whole picture, in several times the time.
            progress: called with the number of pixels that were restyled, after each tile.
            steady: restyle so many shifted copies and average the results, so that films flicker less
                (`kgan.inference.steady`). It takes so many times as long.

        Returns:
            Pictures of the same dtype and size, with the channels of the model.

        Raises:
            UserError: if the model takes no content, the shape or the range of the pictures is wrong, or `strokes`,
                `memory` or `steady` is out of range.

        Reference: strokes from coarse to fine, [Gatys et al.](https://arxiv.org/abs/1611.07865).
        """
        if not self.facts.takes_content:
            raise UserError(f"{self.name}: makes pictures from noise alone; use {call('generate')}")
        if memory is not None and not memory > 0:
            raise UserError(f"--memory should be above 0, in GB. Received: {memory:g}")
        pictures = _as_array(pictures)
        if pictures.ndim not in (2, 3, 4) or 0 in pictures.shape:
            raise UserError(f"a picture should have the shape [H, W, C] or [N, H, W, C]. Received: {pictures.shape}")
        batch = pictures[..., None] if pictures.ndim == 2 else pictures
        batch = batch if batch.ndim == 4 else batch[None]
        how = _How(seed, strokes, memory and memory * 1e9, exact, progress or (lambda pixels: None))
        shifts = offsets(steady, self.facts.stride)
        made = averaged(lambda shifted: self._restyled(shifted, how), batch, shifts)
        return made if pictures.ndim == 4 else made[0]

    def _restyled(self, batch: np.ndarray, how: "_How") -> np.ndarray:
        """Stylize pictures [N, H, W, C], in tiles if the memory is too small for all of them at once."""
        if self._fits(batch.shape[:3], how.memory):
            return self._whole(batch, how)
        return np.concatenate([self._alone(batch, row, how) for row in range(len(batch))])

    def statistics(self, pictures: np.ndarray, seed: int = 0) -> np.ndarray:
        """The statistics of pictures, by which other pictures can be restyled with `with_statistics`.

        Args:
            pictures: [N, H, W, C], uint8 or float in [0, 1].
            seed: seed of the noise.

        Returns:
            Mean and variance of each channel that the network normalizes, float32 [N, 2, M].

        Raises:
            UserError: if the model has none: it is a .tflite or .onnx file or was exported by an older version.
        """
        return self._known().statistics(self._inputs(pictures, seed))

    def with_statistics(self, pictures: np.ndarray, statistics: np.ndarray, seed: int = 0) -> np.ndarray:
        """Stylize pictures with given statistics, such as those of the frames before, so that a film does not flicker.

        Args:
            pictures: [N, H, W, C], uint8 or float in [0, 1].
            statistics: float32 [N, 2, M].
            seed: seed of the noise.

        Returns:
            Pictures of the same dtype and size, with the channels of the model.

        Raises:
            UserError: as `statistics`.
        """
        return _as_dtype(self.begin(pictures, statistics, seed).numpy(), pictures.dtype)

    def begin(self, pictures: np.ndarray, statistics: np.ndarray, seed: int = 0, jit: bool = False) -> tf.Tensor:
        """As `with_statistics`, but does not wait for the result of a GPU.

        Args:
            pictures: [N, H, W, C], uint8 or float in [0, 1].
            statistics: float32 [N, 2, M].
            seed: seed of the noise.
            jit: compile the network with XLA for this shape of the pictures.

        Returns:
            Pictures of the same size, with the channels of the model, uint8 or float32 in [0, 1].
        """
        if pictures.dtype == np.uint8 and pictures.shape[-1] == self.facts.channels:
            inputs = self._with_noise(pictures, seed)  # a quarter of the bytes on the way to a GPU
        else:
            inputs = self._inputs(pictures, seed)
        return self._known().stylized(inputs | {"statistics": statistics}, jit)

    def _known(self) -> Functions:
        if self._functions is None:
            raise UserError(f"{self.name}: has no signatures with statistics; export the run again, as a SavedModel")
        return self._functions

    def _inputs(self, pictures: np.ndarray, seed: int, row: int = 0) -> dict[str, np.ndarray]:
        """The inputs of the network for a batch of pictures. The first has the noise of a row."""
        return self._with_noise(arrays.with_channels(arrays.to_float(pictures), self.facts.channels), seed, row)

    def _with_noise(self, image: np.ndarray, seed: int, row: int = 0) -> dict[str, np.ndarray]:
        inputs = {"image": np.ascontiguousarray(image)}
        if self.facts.noise_channels:
            inputs["noise"] = self.noise(seed, row + len(image), *image.shape[1:3])[row:]
        return inputs

    def work_per_pixel(self, pixels: int, memory: float, exact: bool) -> float:
        """How much a pixel takes in tiles, which overlap, if a whole picture takes 1.

        Args:
            pixels: number of pixels of the picture.
            memory: the memory in bytes.
            exact: as in `__call__`.
        """
        if self._functions is None or self._fits((1, pixels, 1), memory):
            return 1.0
        side = self._side(self._functions, memory)
        return (side / (side - 2 * self._functions.margin)) ** 2 * (EXACT_PASSES if exact else 1)

    def _side(self, functions: Functions, memory: float) -> int:
        """The side of tiles, in pixels."""
        room = max(memory - memories.in_use(), memory / 4)
        return functions.side(int(math.sqrt(room / self.bytes_per_pixel)))

    def _fits(self, shape: tuple[int, int, int], memory: float | None) -> bool:
        need = math.prod(shape) * (memories.HELD + self.bytes_per_pixel)
        if not self.has_tiles or (memory is None and need < ALWAYS_THERE):
            return True
        return need <= (memories.budget() if memory is None else memory)

    def _whole(self, batch: np.ndarray, how: "_How", row: int = 0) -> np.ndarray:
        """Stylize pictures [N, H, W, C] at once. The first has the noise of a row."""
        made = arrays.with_channels(arrays.to_float(batch), self.facts.channels)
        for share in shares_of_size(how.strokes):
            made = self._run(self._inputs(_resized(made, share, batch.shape[1:3]), how.seed, row))
        return _as_dtype(made, batch.dtype)

    def _alone(self, batch: np.ndarray, row: int, how: "_How") -> np.ndarray:
        """Stylize one picture of a batch, [1, H, W, C], whose noise depends on its row."""
        if self._functions is None or self._fits((1, *batch.shape[1:3]), how.memory):
            return self._whole(batch[row : row + 1], how, row)
        side = self._side(self._functions, memories.budget() if how.memory is None else how.memory)
        made = picture = batch[row]
        for share in shares_of_size(how.strokes):  # `Source` resizes the picture for each pass as `_resized` does
            size = _size_at(share, picture.shape[:2])
            noise = self.noise(how.seed, row + 1, *size)[row] if self.facts.noise_channels else None
            tiled = Tiled(self._functions, Source(made, size, self.facts.channels), noise, side)
            statistics = tiled.exact_statistics() if how.exact else tiled.thumbnail_statistics()
            dtype = np.uint8 if share == 1 and picture.dtype == np.uint8 else np.float32
            tick = functools.partial(how.progress, math.prod(size) / len(tiled))
            made = tiled.restyle(statistics, dtype, tick)
        return made.astype(picture.dtype, copy=False)[np.newaxis]

    def noise(self, seed: int, count: int, height: int, width: int, truncation: float | None = None) -> np.ndarray:
        """Noise maps with the distribution of the training.

        Args:
            seed: seed of the noise.
            count: number of maps.
            height: height in pixels.
            width: width in pixels.
            truncation: bound of normal or truncated noise in standard deviations. Default: that of the training.

        Returns:
            float32 [count, height, width, Nz].
        """
        distribution, bound = self.facts.distribution, self.facts.truncation
        if truncation is not None:
            distribution, bound = "truncated", truncation
        return noises.sample(seed, (count, height, width, self.facts.noise_channels), distribution, bound).numpy()

    def from_noise(self, noise: np.ndarray) -> np.ndarray:
        """Generate pictures from noise alone.

        Args:
            noise: noise maps, float32 [N, H, W, Nz].

        Returns:
            Pictures, float32 [N, H, W, C] in [0, 1].

        Raises:
            UserError: if the model takes content.
        """
        if self.facts.takes_content:
            raise UserError(f"{self.name}: needs pictures to restyle; use {call('stylize')}")
        return self._run({"noise": noise})


def _as_array(pictures) -> np.ndarray:
    """An array of pictures, which may be lists or tensors."""
    try:
        return np.asarray(pictures)
    except ValueError:  # lists of different lengths
        raise UserError("pictures of a batch should have one size. Give pictures of several sizes one by one") from None


@dataclasses.dataclass(frozen=True)
class _How:
    """The arguments of a `Model`, with the memory in bytes."""

    seed: int
    strokes: float
    memory: float | None
    exact: bool
    progress: Callable[[float], None]


def shares_of_size(strokes: float) -> list[float]:
    """The scales at which a picture is restyled, one after the other, to get broader strokes.

    Args:
        strokes: the factor by which strokes become broader, at least 1.

    Returns:
        Fractions of the picture's sides; the last is 1.

    Raises:
        UserError: if `strokes` is less than 1.

    Example:

    >>> shares_of_size(1), shares_of_size(4)
    ([1.0], [0.25, 0.5, 1.0])
    """
    if not 1 <= strokes < math.inf:
        raise UserError(f"--strokes should be at least 1. Received: {strokes:g}")
    shares = [1.0 / strokes]
    while shares[-1] < 1:
        shares.append(min(1.0, 2.0 * shares[-1]))
    return shares


def _resized(image: np.ndarray, share: float, whole: tuple[int, int]) -> np.ndarray:
    """Float32 [N, H, W, C] in [0, 1], with sides that are a fraction of those of `whole`, but at least one pixel."""
    size = _size_at(share, whole)
    if image.shape[1:3] == size:
        return image
    return np.clip(tf.image.resize(image, size, "lanczos3", antialias=True).numpy(), 0.0, 1.0)


def _size_at(share: float, whole: tuple[int, int]) -> tuple[int, int]:
    height, width = (max(1, round(share * side)) for side in whole)
    return height, width


def _as_dtype(made: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return arrays.to_uint8(made) if dtype == np.uint8 else made.astype(dtype)
