"""A picture and its stylized version made into one: how much, where, and in whose colours. No TensorFlow.

Pictures are float32 [H, W, C] in [0, 1], C being 1 (gray), 3 (RGB) or 4 (RGBA, straight alpha); weights are numbers or
float32 [H, W, 1] in [0, 1]. Everything is mixed in sRGB as stored, not in linear light: equal steps of strength then
look about equal (in linear light half of a dark stroke on a light ground is all but gone), a mask's edge looks as it
does in other picture editors, and luma and chroma, which are defined on these values, stay linear in the weight, so
that a picture which keeps its colours keeps them at every strength.
"""

import numpy as np
from PIL import Image, ImageFilter

from kgan.images.pictures import LUMA


def blend(
    content: np.ndarray, stylized: np.ndarray, weight: float | np.ndarray = 1.0, keep_colour: bool = False
) -> np.ndarray:
    """`content` where `weight` is 0, `stylized` where it is 1, both exactly, and in between a share of each.

    Both [H, W, 1|3|4], maybe of different channels -> [H, W, the larger number of channels]. Where `stylized` has no
    alpha it has that of `content`. Colours count by their alpha: what nobody sees does not bleed in.
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
    """(1 - weight) first + weight second: exactly `first` at 0, exactly `second` at 1.

    >>> mix(np.float32([0, 1]), np.float32([1, 1]), 0.25).tolist()
    [0.25, 1.0]
    """
    weight = np.asarray(weight, np.float32)
    return (1 - weight) * first + weight * second


def with_colours_of(content: np.ndarray, stylized: np.ndarray) -> np.ndarray:
    """The luma of `stylized` with the chroma of `content`: its colours, the other's brushwork.

    [H, W, 1|3] each -> [H, W, channels of content]. This is the luminance-only transfer of Gatys, Bethge, Hertzmann and
    Shechtman, "Preserving Color in Neural Artistic Style Transfer" (2016, arXiv 1606.05897), in YCbCr: Y of one, Cb and
    Cr of the other, which in RGB is content + (Y stylized - Y content). Where that leaves [0, 1] the chroma is scaled
    down until it fits, so that luma and hue stay what they should be; clipping would change both.
    """
    wanted = luma(stylized)
    chroma = content - luma(content)
    room = np.where(chroma > 0, 1 - wanted, wanted)
    with np.errstate(divide="ignore", invalid="ignore"):
        fits = np.where(np.abs(chroma) > room, room / np.abs(chroma), 1.0)
    return np.clip(wanted + chroma * fits.min(axis=-1, keepdims=True), 0.0, 1.0).astype(np.float32)


def luma(picture: np.ndarray) -> np.ndarray:
    """[H, W, 1|3] -> Y [H, W, 1] of ITU-R BT.601."""
    return picture if picture.shape[-1] == 1 else (picture @ LUMA)[..., None]


def feather(mask: np.ndarray, radius: float) -> np.ndarray:
    """A mask [H, W] in [0, 1], of 256 levels, with soft edges: twice the blurred mask less the mask itself.

    That softens an edge inwards, alike at every slant: what is black stays 0, and an area of one value, also one cut by
    the picture's border, keeps that value from `radius` pixels inside.
    """
    if radius <= 0:
        return mask.astype(np.float32)
    levels = Image.fromarray(np.rint(mask * 255).astype(np.uint8))
    deviation = min(radius, max(mask.shape)) / 3  # Pillow's Gaussian ends after three of them
    blurred = np.asarray(levels.filter(ImageFilter.GaussianBlur(deviation)), np.float32) / 255
    return np.clip(2 * blurred - mask, 0, mask, dtype=np.float32)


def strips(count: int, length: int, pixels: int = 2**20) -> list[slice]:
    """Slices of `count` lines of `length` pixels, about `pixels` in each: a large picture part by part.

    >>> strips(5, 10, pixels=20)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, pixels // max(1, length))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def _split(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours and alpha [H, W, 1], which is None where the picture has none."""
    return (picture[..., :3], picture[..., 3:]) if picture.shape[-1] == 4 else (picture, None)
