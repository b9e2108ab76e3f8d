"""Blends a picture with its stylized version. This module does not import TensorFlow.

Pictures are float32 [H, W, C] in [0, 1], where C is 1 (gray), 3 (RGB) or 4 (RGBA with straight alpha). Weights are
numbers or float32 [H, W, 1] in [0, 1].

Pictures are blended in sRGB values, not in linear light, for three reasons. Equal steps of strength look about equal,
while in linear light a dark stroke on a light background almost disappears at half strength. The edge of a mask looks
as in other picture editors. Luma and chroma, which are defined on these values, are linear in the weight, so that a
picture that keeps its colours keeps them at every strength.
"""

import numpy as np
from PIL import Image, ImageFilter

from kgan.images.pictures import LUMA


def blend(
    content: np.ndarray, stylized: np.ndarray, weight: float | np.ndarray = 1.0, keep_colour: bool = False
) -> np.ndarray:
    """Blend two pictures. Colours are weighted by their alpha, so that invisible colours do not bleed in.

    Args:
        content: the original, float32 [H, W, 1|3|4] in [0, 1].
        stylized: the stylized picture, float32 [H, W, 1|3|4] in [0, 1]. If it has no alpha, that of `content` is used.
        weight: weight of the stylized picture: a number, or float32 [H, W, 1] in [0, 1].
        keep_colour: use only the luma of the stylized picture.

    Returns:
        float32 [H, W, C] with the larger number of channels. It is exactly `content` at weight 0 and exactly `stylized`
        at weight 1.
    """
    colours, alpha = _split(content)
    made, made_alpha = _split(stylized)
    if keep_colour:
        made = with_colours_of(colours, made)
    if alpha is None and made_alpha is None:
        return mix(colours, made, weight)
    alpha = np.ones_like(made_alpha) if alpha is None else alpha
    made_alpha = alpha if made_alpha is None else made_alpha
    mixed = mix(alpha, made_alpha, weight)
    weight = np.broadcast_to(np.asarray(weight, np.float32), mixed.shape)
    share = np.divide(weight * made_alpha, mixed, out=weight.copy(), where=mixed > 0)
    colours = np.broadcast_to(mix(colours, made, np.minimum(share, 1.0)), (*mixed.shape[:2], 3))
    return np.concatenate([colours, mixed], axis=-1)


def mix(first: np.ndarray, second: np.ndarray, weight: float | np.ndarray) -> np.ndarray:
    """Linear interpolation: exactly `first` at weight 0 and exactly `second` at weight 1.

    Args:
        first: an array.
        second: an array of the same shape.
        weight: a number or an array in [0, 1].

    Returns:
        (1 - weight) first + weight second.

    Example:

    >>> mix(np.float32([0, 1]), np.float32([1, 1]), 0.25).tolist()
    [0.25, 1.0]
    """
    weight = np.asarray(weight, np.float32)
    return (1 - weight) * first + weight * second


def with_colours_of(content: np.ndarray, stylized: np.ndarray) -> np.ndarray:
    """Combine the luma of `stylized` with the chroma of `content`.

    In YCbCr, this takes Y from one picture, and Cb and Cr from the other. In RGB, it is content + (Y stylized -
    Y content). Where the result is outside [0, 1], the chroma is scaled down, which keeps luma and hue. Clipping would
    change both.

    Args:
        content: float32 [H, W, 1|3] in [0, 1].
        stylized: float32 [H, W, 1|3] in [0, 1].

    Returns:
        float32 [H, W, channels of content] in [0, 1].

    Reference: luminance-only transfer in
    [Gatys et al., Preserving Color in Neural Artistic Style Transfer](https://arxiv.org/abs/1606.05897).
    """
    wanted = luma(stylized)
    chroma = content - luma(content)
    room = np.where(chroma > 0, 1 - wanted, wanted)
    with np.errstate(divide="ignore", invalid="ignore"):
        fits = np.where(np.abs(chroma) > room, room / np.abs(chroma), 1.0)
    return np.clip(wanted + chroma * fits.min(axis=-1, keepdims=True), 0.0, 1.0).astype(np.float32)


def luma(picture: np.ndarray) -> np.ndarray:
    """The luma Y of ITU-R BT.601.

    Args:
        picture: [H, W, 1|3].

    Returns:
        [H, W, 1].
    """
    return picture if picture.shape[-1] == 1 else (picture @ LUMA)[..., None]


def feather(mask: np.ndarray, radius: float) -> np.ndarray:
    """Soften the edges of a mask: twice the blurred mask minus the mask.

    Edges are softened inwards, equally in all directions. Black areas stay 0. Areas of one value keep it at a distance
    of `radius` pixels from their edge, also at the border of the picture.

    Args:
        mask: [H, W] in [0, 1] with 256 levels.
        radius: width of the soft edge in pixels.

    Returns:
        float32 [H, W] in [0, 1].
    """
    if radius <= 0:
        return mask.astype(np.float32)
    levels = Image.fromarray(np.rint(mask * 255).astype(np.uint8))
    deviation = min(radius, max(mask.shape)) / 3  # Pillow's Gaussian ends after three standard deviations
    blurred = np.asarray(levels.filter(ImageFilter.GaussianBlur(deviation)), np.float32) / 255
    return np.clip(2 * blurred - mask, 0, mask, dtype=np.float32)


def strips(count: int, length: int, pixels: int = 2**20) -> list[slice]:
    """Divide a large picture into strips.

    Args:
        count: number of rows.
        length: pixels per row.
        pixels: approximate number of pixels per strip.

    Returns:
        Slices of rows.

    Example:

    >>> strips(5, 10, pixels=20)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, pixels // max(1, length))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def _split(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Split a picture into colours and alpha, [H, W, 1] or None."""
    return (picture[..., :3], picture[..., 3:]) if picture.shape[-1] == 4 else (picture, None)
