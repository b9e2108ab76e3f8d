"""ICC profiles: from a file's own colours to sRGB and back. Pillow and its Little CMS only.

Pictures are Pillow images in mode L, RGB, RGBA or CMYK. Networks see sRGB; files keep the colours that they came with.
"""

import functools
import io

import numpy as np
from PIL import Image, ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))

ROUNDING = 2
"""Levels by which sRGB may differ from itself on its way through another maker's sRGB profile."""

_SPACES = {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}
"""Mode -> the colour space that its profile should be of, in the words of ICC."""


def fitting(profile: bytes | None, mode: str) -> bytes | None:
    """The profile if it can be read and is of that mode's colour space, else None."""
    return profile if profile and _space(profile) == _SPACES.get(mode) else None


@functools.lru_cache(8)
def _space(profile: bytes) -> str | None:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError):
        return None  # broken


@functools.lru_cache(8)
def is_srgb(profile: bytes | None, mode: str = "RGB") -> bool:
    """Whether colours under this profile are sRGB already, within rounding; also where it says nothing of that mode.

    Judged by what it does to colours: linear profiles, too, have sRGB in their names.
    """
    if fitting(profile, mode) is None:
        return True
    if mode not in ("RGB", "RGBA"):
        return False
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
    try:
        seen = _converted(Image.fromarray(cube), _read(profile), SRGB, "RGB")
    except ImageCms.PyCMSError:
        return True
    return int(np.abs(np.asarray(seen, np.int16) - cube).max()) <= ROUNDING


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The same colours in sRGB, as RGB or RGBA; itself where the profile is sRGB, broken or of another colour space."""
    if is_srgb(profile, image.mode):
        return image
    try:
        return _converted(image, _read(profile), SRGB, "RGB")
    except ImageCms.PyCMSError:  # a profile that can be read and not used
        return image


def from_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """sRGB (L, RGB, RGBA) -> the same colours under an RGB or gray profile, in its mode; itself where that is sRGB."""
    mode = "L" if fitting(profile, "L") else "RGB"
    if is_srgb(profile, mode):
        return image
    return _converted(image if image.mode == "RGBA" else image.convert("RGB"), SRGB, _read(profile), mode)


def pixels_from_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """`from_srgb` of uint8 [H, W, 1|3|4]."""
    if is_srgb(profile, "L" if fitting(profile, "L") else "RGB"):
        return pixels
    made = np.asarray(from_srgb(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels), profile))
    return made[..., np.newaxis] if made.ndim == 2 else made


def _read(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _converted(image: Image.Image, given, wanted, mode: str) -> Image.Image:
    """Colours from one profile to another; alpha is left alone."""
    if image.mode != "RGBA":
        return ImageCms.profileToProfile(image, given, wanted, outputMode=mode)
    colours = ImageCms.profileToProfile(image.convert("RGB"), given, wanted, outputMode=mode)
    colours.putalpha(image.getchannel("A"))
    return colours
