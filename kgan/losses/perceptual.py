"""Perceptual losses: SSIM, pretrained features and Gram matrices. All are float32 scalars."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from keras import ops

from kgan.kinds import TERMS
from kgan.precision import precise

WINDOW, SIGMA = 11, 1.5  # of the SSIM paper's Gaussian window, in pixels


@TERMS.add("ssim", help="1 - SSIM to the reference", inputs=("reference", "fake"))
def ssim_loss(expected, got):
    """1 - mean SSIM of pictures.

    The Gaussian window is 11x11 as in the paper, or as large as a smaller picture. The mean is over all positions at
    which the window fits, over channels and pictures. Flat pictures have finite gradients, because there is no square
    root of variances and the constants keep denominators above zero.

    Args:
        expected: pictures [N, H, W, C] in [-1, 1], with static H and W.
        got: pictures of the same shape.

    Returns:
        A float32 scalar: 0 for equal pictures, at most 2.

    Reference: [SSIM](https://doi.org/10.1109/TIP.2003.819861).
    """
    # In [0, 1], as for the metric. Around 0, slightly darker and slightly lighter pictures would have opposite signs.
    return 1.0 - ops.mean(_ssim_map((precise(expected) + 1.0) / 2.0, (precise(got) + 1.0) / 2.0))


def _ssim_map(x, y):
    """SSIM of pictures in [0, 1] at all positions at which the window fits, for each channel."""
    luminance_constant, contrast_constant = 0.01**2, 0.03**2
    # Moments around a common value near the mean lose fewer digits. The means are added again below.
    shift = ops.stop_gradient(ops.mean((x + y) / 2.0, axis=(1, 2), keepdims=True))
    x, y = x - shift, y - shift
    blurred = _blur(ops.concatenate([x, y, x * x, y * y, x * y], axis=-1))
    mean_x, mean_y, xx, yy, xy = ops.split(blurred, 5, axis=-1)
    variances = (xx - mean_x * mean_x) + (yy - mean_y * mean_y)
    covariance = xy - mean_x * mean_y
    mean_x, mean_y = mean_x + shift, mean_y + shift
    luminance = (2.0 * mean_x * mean_y + luminance_constant) / (mean_x**2 + mean_y**2 + luminance_constant)
    return luminance * (2.0 * covariance + contrast_constant) / (variances + contrast_constant)


def _blur(maps):
    """Average each channel of [N, H, W, C] with the Gaussian window where it fits, first columns and then rows."""
    height, width, channels = maps.shape[1:]
    for kernel in (gaussian(height)[:, None], gaussian(width)[None, :]):
        kernel = np.repeat(kernel[..., None, None], channels, axis=2)  # [h, w, C, 1]
        maps = tf.nn.depthwise_conv2d(maps, tf.constant(kernel, maps.dtype), [1, 1, 1, 1], "VALID")
    return maps


def gaussian(side: int) -> np.ndarray:
    """The window along a side of that many pixels, float64 with sum 1."""
    size = min(WINDOW, side)
    distances = np.arange(size) - (size - 1) / 2
    weights = np.exp(-(distances**2) / (2 * SIGMA**2))
    return weights / weights.sum()


@TERMS.add(
    "features", help="distance to the reference in a pretrained network", inputs=("reference_features", "fake_features")
)
def feature_loss(expected: Sequence, got: Sequence):
    """Mean absolute difference of feature maps, averaged over layers.

    It is not squared, because single large activations would dominate.

    Args:
        expected: feature maps, a list of [N, h, w, c] by layer.
        got: feature maps of the same shapes.

    Returns:
        A float32 scalar.

    Reference: [pix2pixHD](https://arxiv.org/abs/1711.11585).
    """
    return _mean_over_layers(lambda x, y: ops.mean(ops.abs(x - y)), expected, got)


@TERMS.add(
    "deep_features",
    help="the same in its last map alone, which leaves room for strokes",
    inputs=("reference_features", "fake_features"),
)
def deep_feature_loss(expected: Sequence, got: Sequence):
    """Mean absolute difference of the coarsest feature map.

    It holds the objects of the scene, and not the edges and textures of the finer maps.

    Args:
        expected: feature maps, a list of [N, h, w, c] by layer, from fine to coarse.
        got: feature maps of the same shapes.

    Returns:
        A float32 scalar.

    Reference: the content loss of [Gatys et al.](https://arxiv.org/abs/1508.06576).
    """
    return feature_loss(expected[-1:], got[-1:])


def gram_matrix(maps):
    """Products of all pairs of features, averaged over positions.

    Args:
        maps: feature maps [N, H, W, C].

    Returns:
        float32 [N, C, C].

    Reference: [Gatys et al.](https://arxiv.org/abs/1508.06576).
    """
    places = maps.shape[1] * maps.shape[2]
    flat = ops.reshape(precise(maps), (-1, places, maps.shape[3]))  # [NPC], P = H * W
    return ops.einsum("npc,npd->ncd", flat, flat) / places  # [NCC]


def mean_gram(maps):
    """The mean Gram matrix of a batch.

    A loss on the matrix of each picture would give it all colours of the style, such as yellow in a blue sky.

    Args:
        maps: feature maps [N, H, W, C].

    Returns:
        float32 [C, C].
    """
    return ops.mean(gram_matrix(maps), axis=0)


@TERMS.add(
    "gram",
    help="distance of the batches' mean Gram matrices (Gatys et al.)",
    inputs=("style_grams", "fake_grams"),
    mixes_pictures=True,
)
def gram_loss(style: Sequence, got: Sequence):
    """Mean squared difference of Gram matrices, averaged over layers.

    Args:
        style: results of `mean_gram` by layer.
        got: results of `mean_gram` by layer.

    Returns:
        A float32 scalar.
    """
    return _mean_over_layers(lambda x, y: ops.mean(ops.square(x - y)), style, got)


@TERMS.add(
    "relative_gram",
    help="the same, relative to the matrices' size in each layer",
    inputs=("style_grams", "fake_grams"),
    mixes_pictures=True,
)
def relative_gram_loss(style: Sequence, got: Sequence):
    """Squared Frobenius distance of Gram matrices, relative to the sum of their squared norms, averaged over layers.

    Each layer counts alike, and so does each network, whatever the scale of its maps. `gram` weighs a layer by the
    fourth power of that scale.

    Args:
        style: results of `mean_gram` by layer.
        got: results of `mean_gram` by layer.

    Returns:
        A float32 scalar from 0 (equal) to 1 (no feature in common).
    """
    return _mean_over_layers(_relative_distance, style, got)


def _relative_distance(x, y):
    return ops.sum(ops.square(x - y)) / (ops.sum(ops.square(x)) + ops.sum(ops.square(y)) + 1e-12)


def _mean_over_layers(distance, expected: Sequence, got: Sequence):
    pairs = zip(expected, got, strict=True)
    return ops.mean(ops.stack([distance(precise(x), precise(y)) for x, y in pairs]))
