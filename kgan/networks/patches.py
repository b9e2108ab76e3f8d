"""Positions of feature maps and their embedding as unit vectors, for the contrastive loss."""

import keras
import tensorflow as tf
from keras import ops

from kgan.networks import layers
from kgan.precision import precise


@keras.saving.register_keras_serializable(package="kgan")
class PatchEmbedder(keras.Model):
    """Embeds positions of feature maps as unit vectors, with two fully connected layers for each map.

    It is called with a list of maps [N, h, w, c] and a list of positions, int32 [P], and returns a list of float32
    [N, P, units].

    Differences to the papers: the first biases are random. Without them, the embedding of a pixel would not depend on
    its brightness.

    Args:
        channels: channels of each map.
        units: length of the vectors.

    Reference: the projection head of [SimCLR](https://arxiv.org/abs/2002.05709), with the sizes of
    [CUT](https://arxiv.org/abs/2007.15651).
    """

    def __init__(self, channels: list[int], units: int = 256, **kwargs):
        super().__init__(autocast=False, **kwargs)  # pictures are float32
        self.channels, self.units = list(channels), units
        self.hidden = [self._dense(index, "hidden", count) for index, count in enumerate(channels)]
        self.last = [self._dense(index, "last") for index in range(len(channels))]

    def build(self, input_shape=None):
        for hidden, last, channels in zip(self.hidden, self.last, self.channels, strict=True):
            layers.build_in_order([hidden, last], (None, None, channels))

    def call(self, maps, places):
        heads = zip(self.hidden, self.last, maps, places, strict=True)
        return [_unit(last(ops.relu(hidden(values_at(map_, chosen))))) for hidden, last, map_, chosen in heads]

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "units": self.units}

    def _dense(self, index: int, role: str, channels: int = 0):
        bias = keras.initializers.RandomUniform(-(channels**-0.5), channels**-0.5) if channels else "zeros"
        return keras.layers.Dense(
            self.units, kernel_initializer="he_normal", bias_initializer=bias, dtype=self.dtype_policy,
            name=f"{role}_{index}",
        )  # fmt: skip


def draw_places(seed: tf.Tensor, pixels: list[int], count: int = 256) -> list[tf.Tensor]:
    """Draw different positions in several maps.

    The pixels of a map are divided into `count` runs of equal length, and a position is drawn in each. So positions are
    spread over the picture, and no sorting is needed as for a permutation.

    Args:
        seed: int32 [2].
        pixels: number of pixels of each map.
        count: number of positions. Maps with fewer pixels use all of them.

    Returns:
        int32 [P] for each map.
    """
    shares = tf.random.stateless_uniform((len(pixels), count), seed, alg="philox")
    return [_one_of_each_run(share, size) for share, size in zip(tf.unstack(shares), pixels, strict=True)]


def _one_of_each_run(shares: tf.Tensor, size: int) -> tf.Tensor:
    """A position in each run, for random numbers in [0, 1)."""
    count = min(size, shares.shape[0])
    ends = [size * run // count for run in range(count + 1)]
    first = tf.constant(ends[:-1], tf.int32)
    length = tf.constant(ends[1:], tf.int32) - first
    within = tf.cast(shares[:count] * tf.cast(length, tf.float32), tf.int32)
    return first + tf.minimum(within, length - 1)  # a number just below 1 can be rounded up


def values_at(maps: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """The values of maps at positions.

    The gradient is a product with a matrix of ones and zeros. That of `tf.gather` is a scatter, which is slow on GPUs
    and sums in an order that varies.

    Args:
        maps: [N, H, W, C].
        places: int32 [P].

    Returns:
        [N, P, C].
    """
    pixels = maps.shape[1] * maps.shape[2]

    @tf.custom_gradient
    def take(rows):
        def gradient(upstream):
            chosen = tf.one_hot(places, pixels, dtype=upstream.dtype)  # [P, HW]
            return tf.einsum("pk,npc->nkc", chosen, upstream)

        return tf.gather(rows, places, axis=1), gradient

    return take(tf.reshape(maps, [-1, pixels, maps.shape[3]]))


def _unit(vectors):
    """Normalize vectors to length 1. The 1e-6 limits the slope for a vector of zeros."""
    vectors = precise(vectors)
    return vectors * ops.rsqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + 1e-6)
