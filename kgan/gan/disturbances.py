"""Changes T of content pictures for which G(T(x)) should equal T(G(x)), for the terms equivariance and stability.

All random numbers are functions of the seed and of the index of a picture in the global batch.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kgan.gan import noise, replicas
from kgan.gan.batches import sizes

NOISE = 1.5 / 255 * 2
"""Standard deviation of the noise on the content, for pictures in [-1, 1]."""

GAIN, OFFSET = 0.04, 0.04
"""Largest change of light: a factor of the brightness above black, and what is added for pictures in [-1, 1]."""

REACH = 4
"""Smallest number of rows and columns that a shifted crop lacks. A shift has 1 to REACH - 1 pixels."""

BEND, NODES = 2.0, 4
"""A warp moves the NODES x NODES points of a grid by up to BEND pixels each, and the picture by up to BEND more."""

MARGIN = 16
"""Pixels at each border that are not compared, because the padding of the network changes them."""

Pair = tuple[tf.Tensor, tf.Tensor]


def shifted(generator: Callable, given: tf.Tensor, fake: tf.Tensor, seed: tf.Tensor) -> Pair:
    """T(G(x)) and G(T(x)), where T shifts by whole pixels and adds noise to x.

    T(x) is a crop that begins 1 to 3 pixels from the top and from the left, or up to stride - 1 pixels for a larger
    stride, so that a network with strides sees another phase of its grid. Its sides are multiples of the stride. Both
    results have a gradient: the two differ only in the phase, so that neither is a better target, and the gradient of
    `fake` needs no other pass through the network.

    Args:
        generator: G.
        given: its input x: content, and noise channels if it has them, [N, H, W, C'] with static H and W.
        fake: G(x), [N, H, W, C].
        seed: int32 [2].

    Returns:
        Pictures [N, h, w, C], the same part of both.

    Raises:
        ValueError: if H or W is too small.

    Reference: phases of strided layers, [Zhang](https://arxiv.org/abs/1904.11486).
    """
    first, second = _split(seed)
    reach = max(REACH, getattr(generator, "stride", REACH))
    if min(given.shape[1:3]) <= reach:
        raise ValueError(f"Term equivariance needs sides above {reach} pixels. Received: pictures of {given.shape}")
    begin = 1 + tf.cast(_draws(first, given, (2,)) * (reach - 1), tf.int32)  # [N, 2]
    rows, columns = (_kept(given.shape[axis + 1], reach, begin[:, axis]) for axis in (0, 1))
    found = generator(_noisy(_cropped(given, rows, columns), fake.shape[-1], second), training=True)
    return _inner(_cropped(fake, rows, columns)), _inner(found)


def warped(generator: Callable, given: tf.Tensor, fake: tf.Tensor, seed: tf.Tensor) -> Pair:
    """T(G(x)) and G(T(x)), where T warps, shifts, and changes the light of x and adds noise to it.

    T(G(x)) has the warp alone, and no gradient: it is blurred by the interpolation, and G would otherwise learn to make
    blurred pictures, which change least by it.

    The arguments and results are those of `shifted`.

    References:
        - Compound regularization, [Wang et al.](https://daooshee.github.io/CompoundVST/).
        - Temporal consistency, [Ruder et al.](https://arxiv.org/abs/1604.08610).
    """
    first, second, third = _split(seed, 3)
    places = _bent(_draws(first, given, (NODES * NODES + 1, 2)), *given.shape[1:3])
    changed = _lit(sampled(given, places), fake.shape[-1], _draws(second, given, (2,)))
    found = generator(_noisy(changed, fake.shape[-1], third), training=True)
    return _inner(sampled(tf.stop_gradient(fake), places)), _inner(found)


def sampled(pictures: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Read pictures at any places, by bilinear interpolation.

    Args:
        pictures: [N, H, W, C] with static H and W.
        places: row and column in pixels, float32 [N, h, w, 2]. Those outside the picture are moved to its border.

    Returns:
        [N, h, w, C].
    """
    height, width, channels = pictures.shape[1:]
    places = tf.clip_by_value(places, 0.0, [height - 1.0, width - 1.0])
    low = tf.minimum(tf.floor(places), [max(height - 2.0, 0.0), max(width - 2.0, 0.0)])
    share = tf.cast(places - low, pictures.dtype)[..., None]  # [N, h, w, 2, 1]
    row, column = tf.unstack(tf.cast(low, tf.int32), axis=-1)
    flat = tf.reshape(pictures, [-1, height * width, channels])
    down, right = (0 if height == 1 else width), (0 if width == 1 else 1)

    def line(at):
        left, other = (tf.gather(flat, at + step, batch_dims=1) for step in (0, right))
        return left + (other - left) * share[..., 1, :]

    first = row * width + column
    upper = line(first)
    return upper + (line(first + down) - upper) * share[..., 0, :]


def _split(seed: tf.Tensor, count: int = 2) -> list[tf.Tensor]:
    return tf.unstack(tf.random.experimental.stateless_split(seed, count, alg="philox"))


def _draws(seed: tf.Tensor, like: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Random numbers in [0, 1) of this shape for each picture of this replica."""
    count = sizes(like)[0]
    drawn = tf.random.stateless_uniform((count * replicas.count(), *shape), seed, alg="philox")
    return replicas.own_share(drawn, count)


def _kept(side: int, reach: int, begin: tf.Tensor) -> tf.Tensor:
    """The rows of the identity matrix that are kept, [N, side - reach, side]."""
    return tf.one_hot(begin[:, None] + tf.range(side - reach), side)


def _cropped(pictures: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    # A product, because the gradient of a gather is a scatter, which is slow on GPUs.
    rows, columns = (tf.cast(kept, pictures.dtype) for kept in (rows, columns))
    return tf.einsum("nih,nhwc,njw->nijc", rows, pictures, columns)


def _bent(draws: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """The places that a smooth warp reads, [N, H, W, 2], for random numbers [N, NODES * NODES + 1, 2] in [0, 1)."""
    reach = tf.constant([min(BEND, side / 32) for side in (height, width)], tf.float32)
    moves = (2.0 * draws - 1.0) * reach
    nodes = tf.reshape(moves[:, 1:], [-1, NODES, NODES, 2])
    bends = tf.einsum("hi,nijk,wj->nhwk", _between_nodes(height), nodes, _between_nodes(width))
    grid = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), axis=-1)
    return tf.constant(grid, tf.float32) + bends + moves[:, :1, None]


def _between_nodes(side: int) -> tf.Tensor:
    """The share of each node at each pixel, [side, NODES]. It is smooth, and the sum over the nodes is 1."""
    place = np.linspace(0.0, NODES - 1.0, side)[:, None] - np.arange(NODES)
    share = np.clip(1.0 - np.abs(place), 0.0, 1.0)
    return tf.constant(share * share * (3.0 - 2.0 * share), tf.float32)


def _lit(given: tf.Tensor, channels: int, draws: tf.Tensor) -> tf.Tensor:
    """Change the light of the colours among the first `channels`, for random numbers [N, 2] in [0, 1)."""
    gain, offset = tf.unstack(tf.cast(2.0 * draws - 1.0, given.dtype)[:, None, None, :, None], axis=3)
    colours = _colours(given, channels)
    return tf.where(
        colours, tf.clip_by_value((given + 1.0) * (1.0 + GAIN * gain) - 1.0 + OFFSET * offset, -1, 1), given
    )


def _noisy(given: tf.Tensor, channels: int, seed: tf.Tensor) -> tf.Tensor:
    """Add the noise of a camera to the colours among the first `channels`."""
    count, height, width = sizes(given)
    drawn = noise.sample(seed, (count * replicas.count(), height, width, given.shape[-1]))
    drawn = NOISE * tf.cast(replicas.own_share(drawn, count), given.dtype)
    return tf.where(_colours(given, channels), tf.clip_by_value(given + drawn, -1, 1), given)


def _colours(given: tf.Tensor, channels: int) -> tf.Tensor:
    """Which channels are colours, bool [C']. Those after `channels` are noise, and the fourth is alpha."""
    return tf.range(given.shape[-1]) < min(channels, 3)


def _inner(pictures: tf.Tensor) -> tf.Tensor:
    """The part without a margin, which is at most an eighth of each side."""
    top, left = (min(MARGIN, side // 8) for side in pictures.shape[1:3])
    return pictures[:, top : pictures.shape[1] - top, left : pictures.shape[2] - left]
