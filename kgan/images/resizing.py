"""Resizes uint8 pictures with Pillow and NumPy. All code outside TensorFlow resizes pictures with these functions."""

import numpy as np
from PIL import Image, ImageOps

BILINEAR, BICUBIC, LANCZOS = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS
"""Filters. All are antialiased."""


def resized(picture: np.ndarray, size: tuple[int, int], by: Image.Resampling = LANCZOS) -> np.ndarray:
    """Resize a picture. It is stretched if the aspect ratio differs. A picture of that size is returned as it is.

    Args:
        picture: uint8 [H, W] or [H, W, 1|3|4].
        size: (height, width).
        by: the filter.

    Returns:
        uint8 [height, width] or [height, width, 1|3|4].
    """
    if picture.shape[:2] == tuple(size):
        return picture
    return _pixels(to_image(picture).resize((size[1], size[0]), by), picture.ndim)


def square(picture: np.ndarray, side: int, by: Image.Resampling = LANCZOS) -> np.ndarray:
    """Resize the largest centred square of a picture.

    Args:
        picture: uint8 [H, W] or [H, W, 1|3|4].
        side: side of the result in pixels.
        by: the filter.

    Returns:
        uint8 [side, side] or [side, side, 1|3|4].

    Example:

    >>> square(np.arange(8, dtype=np.uint8).reshape(2, 4), 2).tolist()
    [[1, 2], [5, 6]]
    """
    return _pixels(ImageOps.fit(to_image(picture), (side, side), by), picture.ndim)


def to_image(pixels: np.ndarray) -> Image.Image:
    """Convert uint8 [H, W] or [H, W, 1|3|4] to a Pillow image in mode L, RGB or RGBA."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)


def _pixels(image: Image.Image, axes: int) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels[..., np.newaxis] if pixels.ndim < axes else pixels
