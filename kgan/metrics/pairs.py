"""Distances between pictures: pure functions with one value per picture.

Pictures are float32 [..., H, W, C] in [0, 1]: one picture, or a batch of them.
"""

import numpy as np
import tensorflow as tf

from kgan.images.pictures import with_channels
from kgan.kinds import METRICS
from kgan.losses.perceptual import SIGMA, WINDOW, gaussian

SSIM_WINDOW = WINDOW
"""Side in pixels of SSIM's Gaussian window (sigma 1.5), and so of the smallest possible picture."""


@METRICS.add(
    "content_mse", label="MSE to the content", inputs=("picture", "content"), digits=4, better="less", place=40
)
@METRICS.add("truth_mse", label="MSE to the truth", inputs=("picture", "truth"), digits=4, better="less", place=70)
def mse(pictures: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Mean squared error of each picture.

    Args:
        pictures: float32 [..., H, W, C] in [0, 1].
        reference: float32 [..., H, W, C] in [0, 1].

    Returns:
        float32 [...] in [0, 1].

    Example:

    >>> mse(tf.zeros((1, 2, 2, 3)), tf.fill((1, 2, 2, 3), 0.5)).numpy().tolist()
    [0.25]
    """
    return tf.reduce_mean(tf.square(pictures - reference), axis=[-3, -2, -1])


@METRICS.add(
    "content_psnr", label="PSNR to the content, dB", inputs=("picture", "content"), digits=2, most=100.0, place=30
)
@METRICS.add("truth_psnr", label="PSNR to the truth, dB", inputs=("picture", "truth"), digits=2, most=100.0, place=60)
def psnr(pictures: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Peak signal-to-noise ratio of each picture in dB, with peak 1.

    Args:
        pictures: float32 [..., H, W, C] in [0, 1].
        reference: float32 [..., H, W, C] in [0, 1].

    Returns:
        float32 [...], infinite for equal pictures.
    """
    return tf.image.psnr(pictures, reference, max_val=1.0)


@METRICS.add("content_ssim", label="SSIM to the content", inputs=("picture", "content"), place=20)
@METRICS.add("truth_ssim", label="SSIM to the truth", inputs=("picture", "truth"), place=50)
def ssim(pictures: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Structural similarity (SSIM) of each picture, averaged over channels and windows, with data range 1.

    Args:
        pictures: float32 [..., H, W, C] in [0, 1].
        reference: float32 [..., H, W, C] in [0, 1].

    Returns:
        float32 [...] in [-1, 1]; 1 for equal pictures.

    Raises:
        ValueError: if the pictures are smaller than the 11x11 window.

    Reference: [Wang et al.](https://doi.org/10.1109/TIP.2003.819861).
    """
    height, width = pictures.shape[-3:-1]
    if min(height or SSIM_WINDOW, width or SSIM_WINDOW) < SSIM_WINDOW:
        raise ValueError(f"pictures should be at least {SSIM_WINDOW}x{SSIM_WINDOW}. Received: {height}x{width}")
    return tf.image.ssim(pictures, reference, max_val=1.0, filter_size=SSIM_WINDOW, filter_sigma=SIGMA)


@METRICS.add("content_structure", label="Structure kept", inputs=("picture", "content"), place=10)
def structure_kept(picture: np.ndarray, content: np.ndarray) -> tf.Tensor:
    """The `structure` of a picture's luma against the content's: 1 where only brightness and colours changed.

    Args:
        picture: float32 [H, W, 1|3|4] in [0, 1].
        content: float32 [H, W, 1|3|4] in [0, 1].

    Returns:
        A float32 scalar in [-1, 1].
    """
    return structure(*(with_channels(side, 1)[np.newaxis] for side in (picture, content)))[0]


def structure(pictures: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """SSIM without its luminance term: the mean of (2 cov + C2) / (var + var + C2) over all windows.

    A change of brightness does not lower it. A change of contrast lowers it a little, lost or invented shapes lower it
    much, and inverted shapes make it negative. A plain correlation would give 1 to a window whose shapes are lost.

    Args:
        pictures: gray pictures, float32 [N, H, W, 1] in [0, 1].
        reference: gray pictures, float32 [N, H, W, 1] in [0, 1].

    Returns:
        float32 [N] in [-1, 1]; 1 for equal pictures.

    Raises:
        ValueError: if the pictures are smaller than the 11x11 window or have more than one channel.

    Reference: cs(x, y) of [Wang et al., multiscale SSIM](https://doi.org/10.1109/ACSSC.2003.1292216), C2 = 0.03^2.
    """
    if pictures.shape[-1] != 1 or min(pictures.shape[1:3]) < SSIM_WINDOW:
        raise ValueError(f"pictures should be gray, {SSIM_WINDOW} pixels and more a side. Received: {pictures.shape}")
    x, y = (
        tf.cast(side, tf.float32) - 0.5 for side in (pictures, reference)
    )  # centred, so that squares lose fewer digits
    x_mean, y_mean, xx, yy, xy = (_windowed(map_) for map_ in (x, y, x * x, y * y, x * y))
    c2 = 0.03**2
    variances = tf.maximum(xx - x_mean**2, 0.0) + tf.maximum(yy - y_mean**2, 0.0)
    return tf.reduce_mean((2.0 * (xy - x_mean * y_mean) + c2) / (variances + c2), axis=[1, 2, 3])


def _windowed(maps: tf.Tensor) -> tf.Tensor:
    """Means of maps [N, H, W, 1], weighted by SSIM's Gaussian window, at all positions inside the map."""
    weights = gaussian(SSIM_WINDOW).astype(np.float32)
    along_rows = tf.nn.conv2d(maps, weights.reshape(1, -1, 1, 1), 1, "VALID")
    return tf.nn.conv2d(along_rows, weights.reshape(-1, 1, 1, 1), 1, "VALID")
