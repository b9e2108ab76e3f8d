"""Resizes uint8 pictures with Pillow and NumPy. All code outside TensorFlow resizes pictures with these functions.

TensorFlow resizes pictures that are tensors: training crops in tf.data (`kgan.data.augmentation`), pictures in the
graph of a served model (`kgan.export.picture_ops`), the inputs of feature networks, and float pictures between the
passes of `strokes` (`kgan.inference.loading`), which uint8 would round.
"""

import numpy as np
from PIL import Image, ImageOps

BILINEAR, BICUBIC, LANCZOS = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS
"""Filters. All are antialiased. LANCZOS is the sharpest, for pictures that people see. BICUBIC is for scores, because
another filter would change them. BILINEAR does not overshoot and is for masks."""


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
    return _with_axes(to_image(picture).resize((size[1], size[0]), by), picture.ndim)


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
    return _with_axes(ImageOps.fit(to_image(picture), (side, side), by), picture.ndim)


def for_scores(picture: np.ndarray, size: int | None) -> np.ndarray:
    """Prepare a picture for metrics: its centred square of that side. Without a size, the picture itself."""
    return picture if size is None else square(picture, size, BICUBIC)


def to_image(pixels: np.ndarray) -> Image.Image:
    """Convert uint8 [H, W] or [H, W, 1|3|4] to a Pillow image in mode L, RGB or RGBA."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)


def to_pixels(image: Image.Image) -> np.ndarray:
    """Convert a Pillow image in mode L, RGB or RGBA to uint8 [H, W, 1|3|4]."""
    pixels = np.asarray(image)
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _with_axes(image: Image.Image, axes: int) -> np.ndarray:
    return np.asarray(image) if axes == 2 else to_pixels(image)
