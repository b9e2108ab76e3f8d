"""Places of feature maps as unit vectors, for the contrastive loss: which places, and the network that embeds them."""

import keras
import tensorflow as tf
from keras import ops

from kgan.networks import layers
from kgan.precision import precise


@keras.saving.register_keras_serializable(package="kgan")
class PatchEmbedder(keras.Model):
    """For each layer of its own: fully connected + ReLU, fully connected, length 1.

    Called with (maps, places): a [N, h, w, c] and an int32 [P] for each layer. Gives a float32 [N, P, units] for each.

    Args:
        channels: c of each layer's maps.
        units: D, the length of the vectors.

    Reference: the projection head of [SimCLR](https://arxiv.org/abs/2002.05709), sized as in
    [CUT](https://arxiv.org/abs/2007.15651). Differs: the first biases are random, since a pixel's colours without them
    would keep their hue but lose their lightness.
    """

    def __init__(self, channels: list[int], units: int = 256, **kwargs):
        super().__init__(autocast=False, **kwargs)  # pictures come in float32
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
    """For maps of that many pixels each: int32 indices of `count` different pixels, or of all where there are fewer.

    A pure function of `seed` (two ints). The pixels, row after row, are cut into `count` runs of equal length, and one
    is drawn in each: spread over the picture, never the same twice, and no sorting as a permutation would need.
    """
    shares = tf.random.stateless_uniform((len(pixels), count), seed, alg="philox")
    return [_one_of_each_run(share, size) for share, size in zip(tf.unstack(shares), pixels, strict=True)]


def _one_of_each_run(shares: tf.Tensor, size: int) -> tf.Tensor:
    """`shares` in [0, 1) say where in its run."""
    count = min(size, shares.shape[0])
    ends = [size * run // count for run in range(count + 1)]
    first = tf.constant(ends[:-1], tf.int32)
    length = tf.constant(ends[1:], tf.int32) - first
    within = tf.cast(shares[:count] * tf.cast(length, tf.float32), tf.int32)
    return first + tf.minimum(within, length - 1)  # a share just below 1 can round up


def values_at(maps: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """[N, H, W, C], int32 [P] -> [N, P, C].

    The gradient of `tf.gather` would be a scatter: slow on a GPU, and summed in an order that changes from run to run.
    Here it is a product with a matrix of ones and zeros.
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
    """1e-6 under the root bounds the slope for a vector of zeros."""
    vectors = precise(vectors)
    return vectors * ops.rsqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + 1e-6)
