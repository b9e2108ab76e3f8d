"""The numbers that a generator computes from a whole picture, so that parts and films can use those of another.

An instance norm subtracts the mean of a whole map and divides by its deviation. So a part of a picture, restyled alone,
has another brightness than its neighbours, and a frame of a film another than the one before. Here such a layer takes
its numbers from outside: from a thumbnail of the picture ([URST](https://arxiv.org/abs/2103.11784)), from a pass over
all parts, or from the frames before.

The statistics of a network are float32 [N, 2, M]: mean and variance of M channels, in the order of the layers.
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterable, Iterator

import keras
import tensorflow as tf

MEAN, VARIANCE = 0, 1


@dataclasses.dataclass(frozen=True)
class Part:
    """The part of a picture that a network sees. All numbers are pixels, multiples of the network's stride.

    Attributes:
        place: row and column of the part in the picture, then height and width of the picture: int32 [4].
        inner: the rows (from, to) and columns (from, to) of the part of which statistics are measured: int32 [4]. The
            inner areas of all parts together are the picture.
    """

    place: tf.Tensor
    inner: tf.Tensor


class Recorded:
    """Layers compute their statistics as usual, and they are recorded."""

    def __init__(self):
        self._recorded: list[tuple[tf.Tensor, tf.Tensor]] = []

    def moments(self, x: tf.Tensor, moments_of: Callable) -> tuple[tf.Tensor, tf.Tensor]:
        """The mean and variance by which a layer normalizes its map [N, H, W, C], each [N, 1, 1, C].

        Args:
            x: the map.
            moments_of: computes them.
        """
        mean, variance = moments_of(x)
        self._recorded.append((mean, variance))
        return mean, variance

    def pooled(self, x: tf.Tensor) -> tf.Tensor:
        """The mean of a map [N, H, W, C] times the root of the number of its pixels, [N, 1, 1, C]."""
        pixels = tf.cast(tf.reduce_prod(tf.shape(x)[1:3]), x.dtype)
        pooled = tf.reduce_mean(x, axis=(1, 2), keepdims=True) * tf.sqrt(pixels)
        self._recorded.append((pooled, tf.zeros_like(pooled)))
        return pooled

    def spread(self, code: tf.Tensor, size, resize: Callable) -> tf.Tensor:
        """A small grid [N, g, g, C], resized to the map of the whole picture."""
        return resize(code, size)

    def statistics(self, count: tf.Tensor) -> tf.Tensor:
        """What was recorded, float32 [N, 2, M], for `count` pictures."""
        if not self._recorded:
            return tf.zeros([count, 2, 0])
        means, variances = (tf.concat([tf.cast(part, tf.float32) for part in column], axis=-1)[:, 0, 0]
                            for column in zip(*self._recorded, strict=True))  # fmt: skip
        return tf.stack([means, variances], axis=1)


class Given(Recorded):
    """Layers use given statistics, or their own as usual. Those of the part's inner area are recorded.

    The choice is a tensor, so that one function computes both: a file holds the network once.

    Args:
        statistics: float32 [N, 2, M].
        part: which part of the picture the network sees.
        height: height of the network's input in pixels.
        given: whether layers use `statistics`, a bool scalar.
    """

    def __init__(self, statistics: tf.Tensor, part: Part, height: tf.Tensor, given: tf.Tensor):
        super().__init__()
        self._part, self._height, self._given = part, height, given
        self._statistics = tf.unstack(statistics[:, :, tf.newaxis, tf.newaxis], axis=1)  # each [N, 1, 1, M]
        self._used = 0

    def moments(self, x: tf.Tensor, moments_of: Callable) -> tuple[tf.Tensor, tf.Tensor]:
        return self._chosen(*super().moments(self._inner_area(x), moments_of))

    def pooled(self, x: tf.Tensor) -> tf.Tensor:
        pixels = tf.cast(tf.reduce_prod(self._part.place[2:]), x.dtype)
        pooled = tf.reduce_mean(self._inner_area(x), axis=(1, 2), keepdims=True) * tf.sqrt(pixels)
        self._recorded.append((pooled, tf.zeros_like(pooled)))
        return self._chosen(*self._recorded[-1])[MEAN]

    def spread(self, code: tf.Tensor, size, resize: Callable) -> tf.Tensor:
        scale = self._height // size[0]
        top, left, height, width = tf.unstack(self._part.place // scale)
        rows = _interpolated(code, top, size[0], height, axis=1)
        return _interpolated(rows, left, size[1], width, axis=2)

    def _chosen(self, mean: tf.Tensor, variance: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The next given mean and variance, or those that were measured."""
        first, self._used = self._used, self._used + mean.shape[-1]
        taken = [tf.cast(each[..., first : self._used], mean.dtype) for each in self._statistics]
        return tf.where(self._given, taken[MEAN], mean), tf.where(self._given, taken[VARIANCE], variance)

    def _inner_area(self, x: tf.Tensor) -> tf.Tensor:
        top, bottom, left, right = tf.unstack(self._part.inner // (self._height // tf.shape(x)[1]))
        return x[:, top:bottom, left:right]


def channels_of(layers: Iterable[keras.Layer]) -> int:
    """M, the number of channels of the statistics of a network with these built layers."""
    return sum(getattr(layer, "measured_channels", 0) for layer in layers)


_ACTIVE: contextvars.ContextVar[Recorded | None] = contextvars.ContextVar("kgan_statistics", default=None)


def active() -> Recorded | None:
    """Where the layers that run now get their statistics from; None if each computes its own, as in training."""
    return _ACTIVE.get()


@contextlib.contextmanager
def using(source: Recorded) -> Iterator[Recorded]:
    """A context in which the layers of a network use `source`. The network must be called once in it."""
    token = _ACTIVE.set(source)
    try:
        yield source
    finally:
        _ACTIVE.reset(token)


def _interpolated(code: tf.Tensor, first: tf.Tensor, count: tf.Tensor, whole: tf.Tensor, axis: int) -> tf.Tensor:
    """The elements `first` to `first + count` of an axis that a bilinear `tf.image.resize` makes `whole` long."""
    cells = code.shape[axis]
    middle = (tf.cast(first + tf.range(count), code.dtype) + 0.5) * (cells / tf.cast(whole, code.dtype)) - 0.5
    lower = tf.floor(middle)
    share = tf.reshape(middle - lower, [-1, 1, 1] if axis == 1 else [-1, 1])
    below, above = (tf.clip_by_value(tf.cast(lower, tf.int32) + step, 0, cells - 1) for step in (0, 1))
    return tf.gather(code, below, axis=axis) * (1.0 - share) + tf.gather(code, above, axis=axis) * share
