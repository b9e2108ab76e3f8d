"""Restyles pictures of any size in bounded memory: in tiles that overlap, with the statistics of the whole picture.

A tile contains all pixels that its inner area depends on, and instance norms use statistics of the whole picture
(`kgan.networks.statistics`). So the result has no seams. The statistics come from a thumbnail, or exactly from repeated
passes over all tiles, and then the result equals that of the whole picture.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from kgan.images import pictures as arrays
from kgan.images.blending import strips
from kgan.inference.stylist import reflected_indices

LARGEST = 1024
"""Largest side of a tile in pixels. Larger ones overlap less, but are not faster on the CPUs that were measured."""

CLOSE = 1e-4
"""Exact statistics are final when no mean moves by more than this fraction of its channel's deviation, and no deviation
by more than this fraction of itself."""

EPSILON = 1e-5
"""The variance that norms add to that of a channel."""

LANCZOS_RADIUS = 3


@dataclasses.dataclass(frozen=True)
class Functions:
    """The functions of a model with the statistics of pictures. Arguments are arrays by name.

    Attributes:
        statistics: from image and noise, float32 [N, H, W, ...], to the statistics of each picture, float32 [N, 2, M].
        stylized: from image, noise and statistics, and whether XLA compiles, to stylized pictures [N, H, W, C] of the
            dtype of the image, uint8 or float32 in [0, 1]: a tensor, which a GPU may still compute.
        tile: from image, noise, statistics, place and inner (`kgan.networks.statistics.Part`) to the stylized
            part [1, h, w, C] and the statistics of its inner area.
        stride: sides of tiles are multiples of this number.
        reach: the largest distance in pixels at which an input changes an output.
    """

    statistics: Callable[[dict[str, np.ndarray]], np.ndarray]
    stylized: Callable[[dict[str, np.ndarray], bool], tf.Tensor]
    tile: Callable[[dict[str, np.ndarray]], tuple[np.ndarray, np.ndarray]]
    stride: int
    reach: int

    @property
    def margin(self) -> int:
        """The number of pixels that tiles have around their inner area."""
        return margin(self.reach, self.stride)

    def side(self, affordable: int) -> int:
        """The side of tiles if the memory allows `affordable` x `affordable` pixels."""
        return side_of_tiles(min(affordable, LARGEST), self.margin, self.stride)


def margin(reach: int, stride: int) -> int:
    """The number of pixels that tiles have around their inner area: the reach, as a multiple of the stride."""
    return -(-reach // stride) * stride


def side_of_tiles(largest: int, margin: int, stride: int) -> int:
    """The side of tiles in pixels, of which at least a third is inner area.

    Args:
        largest: their largest side.
        margin: what they have around their inner area.
        stride: their side is a multiple of it.
    """
    return max(3 * margin, largest // stride * stride)


@dataclasses.dataclass(frozen=True)
class Source:
    """A picture of which parts are read, at another size and with other channels, without a copy of the whole.

    Attributes:
        picture: uint8 or float in [0, 1], [H, W, C].
        size: the height and width that it is read at.
        channels: the channels that it is read with.
    """

    picture: np.ndarray
    size: tuple[int, int]
    channels: int

    def window(self, rows: slice, columns: slice) -> np.ndarray:
        """A part of the resized picture, float32 [h, w, channels] in [0, 1]. Resizing is that of `tf.image.resize`."""
        windows = ((rows, 0), (columns, 1))
        scales = [self.size[axis] / self.picture.shape[axis] for axis in (0, 1)]
        read = [_read_for(window, scales[axis], self.picture.shape[axis]) for window, axis in windows]
        part = arrays.with_channels(arrays.to_float(self.picture[read[0], read[1]]), self.channels)
        if scales == [1.0, 1.0]:
            return part
        # The part begins at another pixel than the picture. Differences are taken before they are rounded to float32.
        shift = [read[axis].start * scales[axis] - window.start for window, axis in windows]
        size = [window.stop - window.start for window, _ in windows]
        resize = tf.raw_ops.ScaleAndTranslate(
            images=part[np.newaxis],
            size=size,
            scale=np.array(scales, np.float32),
            translation=np.array(shift, np.float32),
            kernel_type="lanczos3",
            antialias=True,
        )
        return np.clip(resize[0].numpy(), 0.0, 1.0)

    def whole(self) -> np.ndarray:
        """The whole resized picture. It is made in strips, so that nothing larger than the result is in memory."""
        height, width = self.size
        made = np.empty((height, width, self.channels), np.float32)
        share = self.picture.shape[0] * self.picture.shape[1] / (height * width)
        for rows in strips(height, int(width * max(1.0, share))):
            made[rows] = self.window(rows, slice(0, width))
        return made


def _read_for(window: slice, scale: float, length: int) -> slice:
    """The pixels of an axis that a window of the resized axis depends on."""
    if scale == 1:
        return window
    around = LANCZOS_RADIUS * max(1.0, 1 / scale) + 1
    return slice(
        max(0, math.floor(window.start / scale - around)), min(length, math.ceil(window.stop / scale + around))
    )


@dataclasses.dataclass(frozen=True)
class Span:
    """A tile along one axis of the padded picture: what the network sees, and the inner area."""

    start: int
    stop: int
    inner_start: int
    inner_stop: int


def spans(length: int, side: int, margin: int, stride: int) -> list[Span]:
    """Divide an axis into tiles of about equal size.

    Args:
        length: length of the padded axis, a multiple of the stride.
        side: largest side of a tile, more than twice the margin.
        margin: what a tile sees beside its inner area, where the picture goes on, a multiple of the stride.
        stride: the stride of the network.

    Returns:
        The tiles. Their inner areas follow one another.

    Example:

    >>> [(one.start, one.stop, one.inner_start, one.inner_stop) for one in spans(20, 12, 2, 2)]
    [(0, 8, 0, 6), (4, 14, 6, 12), (10, 20, 12, 20)]
    """
    count = 1 if length <= side else math.ceil(length / (side - 2 * margin))
    cuts = [stride * (k * (length // stride) // count) for k in range(count + 1)]
    return [
        Span(max(0, begin - margin), min(length, end + margin), begin, end) for begin, end in itertools.pairwise(cuts)
    ]


class Tiled:
    """A picture that is restyled in tiles.

    Args:
        functions: the model.
        source: the picture.
        noise: float32 [H, W, Nz], or None if the model takes none.
        side: largest side of a tile in pixels (`Functions.side`).
    """

    def __init__(self, functions: Functions, source: Source, noise: np.ndarray | None, side: int):
        self.functions, self.source, self.noise = functions, source, noise
        padded = [reflected_indices(tf.constant(length), functions.stride) for length in source.size]
        self._indices = [indices.numpy() for indices, _ in padded]
        self._first = [int(first) for _, first in padded]
        self.side = side
        self._spans = [spans(len(indices), self.side, functions.margin, functions.stride) for indices in self._indices]

    def __len__(self) -> int:
        return len(self._spans[0]) * len(self._spans[1])

    @property
    def lines(self) -> tuple[list[int], list[int]]:
        """The rows and columns of the picture at which a tile begins."""
        rows, columns = (
            [span.inner_start - first for span in axis[1:]]
            for axis, first in zip(self._spans, self._first, strict=True)
        )
        return rows, columns

    def thumbnail_statistics(self) -> np.ndarray:
        """The statistics of the picture, reduced so that it has as many pixels as a tile."""
        height, width = self.source.size
        scale = min(1.0, self.side / math.sqrt(height * width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        inputs = {"image": dataclasses.replace(self.source, size=size).whole()[np.newaxis]}
        if self.noise is not None:
            inputs["noise"] = np.resize(self.noise, (1, *size, self.noise.shape[-1]))  # the first values will do
        return self.functions.statistics(inputs)

    def exact_statistics(self) -> np.ndarray:
        """The statistics of the picture.

        Each pass over all tiles measures every layer with the former statistics of the layers before it. So pass k
        gives the exact values of layer k, and deep layers are close after a few passes.
        """
        statistics = self.thumbnail_statistics()
        for _ in range(statistics.shape[-1] + 1):
            measured = self._measured(statistics)
            done = _are_close(statistics, measured)
            statistics = measured
            if done:
                break
        return statistics

    def restyle(self, statistics: np.ndarray, dtype: type, tick: Callable[[], None]) -> np.ndarray:
        """The restyled picture.

        Args:
            statistics: float32 [1, 2, M].
            dtype: uint8, or float32 in [0, 1].
            tick: called after every tile.

        Returns:
            [H, W, C].
        """
        height, width = self.source.size
        made: np.ndarray = np.empty((height, width, self.source.channels), dtype)
        for rows, columns in self._tiles():
            part, _ = self._run(rows, columns, statistics)
            place, cut = zip(*(self._target(axis, span) for axis, span in enumerate((rows, columns))), strict=True)
            made[place] = arrays.to_uint8(part[0][cut]) if dtype == np.uint8 else part[0][cut]
            tick()
        return made

    def _tiles(self) -> Iterator[tuple[Span, Span]]:
        rows, columns = self._spans
        return itertools.product(rows, columns)

    def _target(self, axis: int, span: Span) -> tuple[slice, slice]:
        """Where the inner area of a tile goes in the picture, and where it is in the tile."""
        first, length = self._first[axis], self.source.size[axis]
        begin, end = (min(max(at - first, 0), length) for at in (span.inner_start, span.inner_stop))
        return slice(begin, end), slice(begin + first - span.start, end + first - span.start)

    def _measured(self, statistics: np.ndarray) -> np.ndarray:
        parts, weights = [], []
        for rows, columns in self._tiles():
            parts.append(self._run(rows, columns, statistics)[1].astype(np.float64))
            weights.append((rows.inner_stop - rows.inner_start) * (columns.inner_stop - columns.inner_start))
        means, variances = np.stack(parts, axis=-1)[:, 0], np.stack(parts, axis=-1)[:, 1]
        share = np.array(weights) / sum(weights)
        mean = means @ share
        variance = (variances + (means - mean[..., np.newaxis]) ** 2) @ share
        return np.stack([mean, variance], axis=1).astype(np.float32)

    def _run(self, rows: Span, columns: Span, statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Apply the network to a tile."""
        at = [self._indices[axis][span.start : span.stop] for axis, span in enumerate((rows, columns))]
        read = [slice(int(indices.min()), int(indices.max()) + 1) for indices in at]
        inside = np.ix_(*(indices - window.start for indices, window in zip(at, read, strict=True)))
        inputs = {"image": self.source.window(*read)[inside][np.newaxis], "statistics": statistics}
        if self.noise is not None:
            inputs["noise"] = self.noise[np.ix_(*at)][np.newaxis]
        whole = [len(indices) for indices in self._indices]
        inputs["place"] = np.array([[rows.start, columns.start, *whole]], np.int32)
        inner = [at - span.start for span in (rows, columns) for at in (span.inner_start, span.inner_stop)]
        return self.functions.tile(inputs | {"inner": np.array([inner], np.int32)})


def _are_close(before: np.ndarray, after: np.ndarray) -> bool:
    deviation, former = np.sqrt(after[:, 1] + EPSILON), np.sqrt(before[:, 1] + EPSILON)
    change = np.maximum(np.abs(after[:, 0] - before[:, 0]), np.abs(deviation - former)) / deviation
    return bool(np.all(change <= CLOSE))
