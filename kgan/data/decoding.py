"""Pictures from users, decoded safely by Pillow: what comes out is always 8-bit sRGB, upright, of a known number of
channels; what cannot be is a `PictureError` that says why. No TensorFlow here.

Four guards, because a picture may come from anywhere: what is no file, as a pipe, is never opened, only JPEG, PNG and
WebP decoders are tried, the size is read from the header before any pixel is decoded, and a truncated file is an error
instead of a gray rest.
"""

import io
import os
import warnings
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps

from kgan.errors import UserError
from kgan.listing import no_file

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 100_000_000
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))

Source = str | os.PathLike | BinaryIO


class PictureError(UserError):
    """One picture cannot be used. `reason` says why and what to do, without the file's name."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason

    def __reduce__(self):  # exceptions travel between processes by their constructor's arguments
        return type(self), (self.name, self.reason)


def decode_picture(source: Source, channels: int = 3) -> np.ndarray:
    """A picture as uint8 [height, width, channels] in sRGB, upright, at its full size.

    Channels are 1 (gray), 3 (RGB) or 4 (RGBA). With fewer than four, transparent parts are laid over white. Raises
    PictureError.
    """
    pixels = np.asarray(decode_image(source, channels))
    return pixels[..., np.newaxis] if channels == 1 else pixels


def decode_image(source: Source, channels: int = 3, enough: int | None = None) -> Image.Image:
    """`decode_picture` as a Pillow image in mode L, RGB or RGBA; keeps `format` of the file.

    `enough` allows a JPEG to be decoded at 1/2, 1/4 or 1/8 of its size as long as the short side stays at least that
    long: several times faster for a picture that will be made smaller anyway.
    """
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else getattr(source, "name", "picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damaged metadata and of large sizes; both are judged here
            return _decode(_opened(source), channels, enough)
    except Refused as refusal:
        raise PictureError(str(name), str(refusal)) from None
    except Exception as error:  # a damaged file makes Pillow's parsers raise nearly anything
        raise PictureError(str(name), _explain(error, source)) from error


class Refused(Exception):
    """The reason why a picture is not read; becomes a PictureError with its name."""


def _opened(source: Source) -> Image.Image:
    if isinstance(source, str | os.PathLike) and (reason := no_file(source)):
        raise Refused(reason)
    try:
        image = Image.open(source, formats=FORMATS)
    except Image.DecompressionBombError:  # Pillow's own bound is twice ours, and its message has no size
        raise Refused(f"its header claims more than {MAX_PIXELS // 10**6} megapixels; make it smaller") from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 10**6
        raise Refused(f"its header claims {width}x{height} pixels; the limit is {limit} megapixels; make it smaller")
    return image


def _decode(image: Image.Image, channels: int, enough: int | None) -> Image.Image:
    file_format = image.format
    if enough and image.format in ("JPEG", "MPO"):
        image.draft(None, _draft_size(image.size, enough))
    image.load()
    image = _to_srgb(_to_eight_bits(ImageOps.exif_transpose(image)), image.info.get("icc_profile"))
    image = _with_channels(image, channels)
    image.format = file_format
    return image


def _draft_size(size: tuple[int, int], enough: int) -> tuple[int, int]:
    """The smallest size with the aspect of `size` and a short side of at least `enough`."""
    short = min(size)
    return tuple(-(-side * min(enough, short) // short) for side in size)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """16-bit gray (modes I;16, I;16B, I) to L by value / 257; Pillow's own conversion clips at 255."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray(np.clip((values + 128) // 257, 0, 255).astype(np.uint8))
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("L", "RGB") and "transparency" in image.info:  # one colour of the file means transparent
        return image.convert("RGBA")
    return image


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours of an ICC profile converted to sRGB; a profile that is broken or of another colour space is ignored."""
    if is_srgb(profile):
        return image
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = image.convert(image.mode.removesuffix("A")) if alpha else image
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        colours = ImageCms.profileToProfile(colours, given, SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image
    if alpha:
        colours.putalpha(alpha)
    return colours


def is_srgb(profile: bytes | None) -> bool:
    """Whether colours under this ICC profile are sRGB already: converting them would only add rounding."""
    try:
        return not profile or "srgb" in ImageCms.getProfileDescription(io.BytesIO(profile)).lower()
    except (ImageCms.PyCMSError, OSError):
        return True  # broken, so it says nothing


def _with_channels(image: Image.Image, channels: int) -> Image.Image:
    if image.mode not in ("LA", "RGBA"):
        return image.convert("RGB").convert(MODES[channels])  # by way of RGB, so that CMYK becomes gray too
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    if channels == 4:  # whatever colour hides under full transparency would be noise to a network
        return Image.composite(image, Image.new("RGBA", image.size, (255, 255, 255, 0)), _not_zero(image))
    return Image.alpha_composite(white, image).convert("RGB").convert(MODES[channels])


def _not_zero(image: Image.Image) -> Image.Image:
    return image.getchannel("A").point(lambda alpha: 255 if alpha else 0)


# --- why a file is not a picture -------------------------------------------------------------------------------------

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_SIGNATURES = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"8BPS", "Photoshop"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
)


def _explain(error: Exception, source: Source) -> str:
    if isinstance(error, MemoryError):
        return "too large for the memory of this machine; make it smaller"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    head = _head(source)
    if not head:
        return "empty file (0 bytes); copy it again"
    if foreign := _foreign_format(head):
        return f"{foreign} is not read; convert it to JPEG or PNG first, as in: magick INPUT OUTPUT.png"
    if isinstance(error, Image.UnidentifiedImageError):
        return "not a JPEG, PNG or WebP picture; replace or remove it"
    return f"damaged or truncated ({error or type(error).__name__}); copy it again or remove it"


def _foreign_format(head: bytes) -> str | None:
    """HEIC, TIFF, ... for the first bytes of such a file; None for anything else."""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return "AVIF" if brand in (b"avif", b"avis") else "HEIC" if brand in _HEIC_BRANDS else "a film (MP4)"
    return next((name for signature, name in _SIGNATURES if head.startswith(signature)), None)


def _head(source: Source) -> bytes:
    try:
        if isinstance(source, str | os.PathLike):
            with open(source, "rb") as file:
                return file.read(16)
        source.seek(0)
        return source.read(16)
    except (OSError, ValueError):
        return b"?"
