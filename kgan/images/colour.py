"""Converts colours between the ICC profile of a file and sRGB, with Pillow and Little CMS.

Pictures are Pillow images in mode L, RGB, RGBA or CMYK. Networks get sRGB. Written files keep the profile of the input.
"""

import functools
import io
from typing import cast

import numpy as np
from PIL import Image, ImageCms

from kgan.images.resizing import to_image, to_pixels

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))

ROUNDING = 2
"""The largest difference in levels after a conversion between two sRGB profiles."""

SAME_GAMMA = 0.05
"""The largest relative difference of an exponent from 1 / 2.2 that means sRGB, as in libpng."""

_SPACES = {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}
"""Names of the ICC colour space by the mode of an image."""


def fitting(profile: bytes | None, mode: str) -> bytes | None:
    """The profile, or None if it cannot be read or has another colour space than the mode."""
    return profile if profile and _space(profile) == _SPACES.get(mode) else None


@functools.lru_cache(8)
def of_gamma(gamma: float) -> bytes | None:
    """The ICC profile with the primaries of sRGB and a power as its curve.

    Args:
        gamma: the exponent in the chunk gAMA of a PNG, such as 1 for linear light.

    Returns:
        The profile, or None for 1 / 2.2, which stands for sRGB, and for exponents that no picture has.
    """
    if not 0.1 <= gamma <= 10 or abs(2.2 * gamma - 1) < SAME_GAMMA:
        return None
    profile, curve = bytearray(SRGB.tobytes()), b"para\0\0\0\0\0\0\0\0" + round(65536 / gamma).to_bytes(4, "big")
    at = profile.find(b"para")  # all three channels share it
    profile[at : at + len(curve)] = curve
    profile[84:100] = bytes(16)  # the checksum
    return bytes(profile)


@functools.lru_cache(8)
def _space(profile: bytes) -> str | None:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError):
        return None  # broken


@functools.lru_cache(8)
def is_srgb(profile: bytes | None, mode: str = "RGB") -> bool:
    """Whether the colours of this profile are sRGB, up to rounding. Colours are compared, because names are unreliable.

    Args:
        profile: bytes of an ICC profile, or None.
        mode: mode of the image.

    Returns:
        True for sRGB profiles, and for profiles that are missing, broken or for another mode.
    """
    if profile is None or fitting(profile, mode) is None:
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
    """Convert an image to sRGB.

    Args:
        image: the image.
        profile: bytes of its ICC profile, or None.

    Returns:
        An image in mode RGB or RGBA, or the image itself if the profile is sRGB or cannot be used.
    """
    if profile is None or is_srgb(profile, image.mode):
        return image
    try:
        return _converted(image, _read(profile), SRGB, "RGB")
    except ImageCms.PyCMSError:  # the profile can be read but not used
        return image


def from_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an image from sRGB to the colours of a profile.

    Args:
        image: an sRGB image in mode L, RGB or RGBA.
        profile: bytes of an RGB or gray ICC profile, or None.

    Returns:
        An image in the mode of the profile, or the image itself if the profile is sRGB.
    """
    mode = "L" if fitting(profile, "L") else "RGB"
    if profile is None or is_srgb(profile, mode):
        return image
    return _converted(image if image.mode == "RGBA" else image.convert("RGB"), SRGB, _read(profile), mode)


def pixels_from_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """Convert pixels from sRGB to the colours of a profile, as `from_srgb`.

    Args:
        pixels: uint8 [H, W, 1|3|4].
        profile: bytes of an RGB or gray ICC profile, or None.

    Returns:
        uint8 [H, W, C].
    """
    if is_srgb(profile, "L" if fitting(profile, "L") else "RGB"):
        return pixels
    return to_pixels(from_srgb(to_image(pixels), profile))


def _read(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _converted(image: Image.Image, given, wanted, mode: str) -> Image.Image:
    """Convert colours from one profile to another. Alpha is not changed."""
    has_alpha = image.mode == "RGBA"
    colours = ImageCms.profileToProfile(image.convert("RGB") if has_alpha else image, given, wanted, outputMode=mode)
    colours = cast(Image.Image, colours)  # None only for `inPlace`
    if has_alpha:
        colours.putalpha(image.getchannel("A"))
    return colours
