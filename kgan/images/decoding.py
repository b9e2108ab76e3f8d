"""Decodes picture files safely with Pillow to upright 8-bit sRGB pictures. This module does not import TensorFlow.

A picture that cannot be decoded raises a `PictureError` with the reason. There are four safeguards, because a picture
may come from anywhere: pipes and devices are never opened, only the decoders of JPEG, PNG, WebP and GIF are used, the
size is read from the header before any pixel is decoded, and a truncated file is an error instead of a gray area.
"""

import contextlib
import dataclasses
import functools
import inspect
import io
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, ParamSpec, TypeVar, cast

import numpy as np
from PIL import Image, ImageFile, PngImagePlugin

from kgan.errors import UserError
from kgan.images import colour
from kgan.images.listing import not_a_file
from kgan.images.metadata import Metadata, read, upright
from kgan.images.resizing import to_pixels

P = ParamSpec("P")
R = TypeVar("R")

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")

MAX_PIXELS = 400_000_000
"""Default of the largest picture that is read. It takes 1.6 GB in Pillow."""

MAX_UNPROVEN = 100_000_000
"""Up to this number of pixels, a picture is read regardless of the length of its file."""

MAX_PIXELS_PER_BYTE = 1032
"""Largest compression ratio of Deflate, which PNG uses. So a shorter file cannot contain a picture with one byte per
pixel or more."""

LIMIT = "KGAN_MAX_MEGAPIXELS"
"""The environment variable with the largest number of megapixels."""

ANIMATED = "animated: only the first frame is used"

MODES = {1: "L", 3: "RGB", 4: "RGBA"}

Source = str | os.PathLike | BinaryIO


def summarised(told: Iterable[tuple[object, str]]) -> list[str]:
    """Summarise the notices of many pictures.

    Args:
        told: (name, notice) of pictures.

    Returns:
        One line for each different notice.

    Example:

    >>> summarised([("a.gif", "animated"), ("b.gif", "animated")])
    ['a.gif and 1 more: animated']
    """
    names: dict[str, list[object]] = {}
    for name, notice in told:
        names.setdefault(notice, []).append(name)
    more = {notice: f" and {len(of) - 1} more" if len(of) > 1 else "" for notice, of in names.items()}
    return [f"{of[0]}{more[notice]}: {notice}" for notice, of in names.items()]


class PictureError(UserError):
    """A picture cannot be used.

    Attributes:
        name: name of the file.
        reason: why it cannot be used and what to do, without the name.
    """

    def __init__(self, name: str, reason: str):
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason

    def __reduce__(self):  # exceptions are sent between processes as the arguments of their constructor
        return type(self), (self.name, self.reason)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded picture: upright, at its full size, with 8 bits per channel and in its own colours.

    Attributes:
        image: image in mode L, RGB or RGBA.
        profile: ICC profile of its colours, or None for sRGB.
        lossless: whether the file has a lossless format.
        metadata: metadata of the file.
        notices: remarks for the user.
    """

    image: Image.Image
    profile: bytes | None
    lossless: bool
    metadata: Metadata
    notices: tuple[str, ...] = ()

    @property
    def pixels(self) -> np.ndarray:
        """The pixels, uint8 [height, width, 1|3|4]."""
        return to_pixels(self.image)

    def in_srgb(self) -> "Picture":
        """The same picture in sRGB."""
        image = colour.to_srgb(self.image, self.profile)
        return dataclasses.replace(self, image=_in_mode(image, self.image.mode), profile=None)

    def seen(self) -> np.ndarray:
        """The pixels for a network, uint8 [height, width, 3|4] in sRGB. Fully transparent pixels are white."""
        image = self.in_srgb().image
        return _without_hidden_colours(image) if image.mode == "RGBA" else np.asarray(_in_mode(image, "RGB"))

    def over_white(self) -> "Picture":
        """The same picture without transparency."""
        return dataclasses.replace(self, image=_over_white(self.image))


def size_by_header(source: Source) -> tuple[int, int]:
    """Read the size of a picture from its header.

    Args:
        source: path or binary file.

    Returns:
        (height, width) before the picture is turned upright, or (0, 0) if the header cannot be read.
    """
    try:
        with _explained(source), _opened(source) as (opened, _):
            return opened.height, opened.width
    except UserError:
        return 0, 0


def read_picture(source: Source) -> Picture:
    """Decode a picture with its colours, profile and metadata.

    More than 8 bits per channel, CMYK and palettes are converted. Of an animation, the first frame is used, with a
    notice.

    Args:
        source: path or binary file.

    Returns:
        The picture.

    Raises:
        PictureError: if it cannot be decoded.
    """
    with _explained(source), _opened(source) as (opened, notices):
        loaded = _loaded(opened, bool(notices))
        image, profile = _plain(upright(loaded), _profile_of(loaded))
        return Picture(image, profile, is_lossless(source), read(loaded), notices)


def decode_picture(source: Source, channels: int = 3) -> np.ndarray:
    """Decode a picture to upright sRGB pixels at its full size.

    Args:
        source: path or binary file.
        channels: 1 (gray), 3 (RGB) or 4 (RGBA). With 1 or 3, transparent pictures are composited over white.

    Returns:
        uint8 [height, width, channels].

    Raises:
        PictureError: if it cannot be decoded.
    """
    return to_pixels(decode_image(source, channels)[0])


def decode_image(source: Source, channels: int = 3, enough: int | None = None) -> tuple[Image.Image, tuple[str, ...]]:
    """Decode a picture to an upright sRGB image.

    Args:
        source: path or binary file.
        channels: 1 (gray), 3 (RGB) or 4 (RGBA). With 1 or 3, transparent pictures are composited over white.
        enough: the least short side in pixels. A JPEG is then decoded at 1/2, 1/4 or 1/8 of its size if possible,
            which is several times faster.

    Returns:
        A Pillow image in mode L, RGB or RGBA, and the notices of `read_picture`.

    Raises:
        PictureError: if it cannot be decoded.
    """
    with _explained(source), _opened(source) as (opened, notices):
        if enough and opened.format in ("JPEG", "MPO"):
            opened.draft(None, _draft_size(opened.size, enough))
        loaded = _loaded(opened, bool(notices))
        image, profile = _plain(upright(loaded), _profile_of(loaded))
        return _with_channels(colour.to_srgb(image, profile), channels), notices


def is_readable(source: Source) -> bool:
    """Whether a picture can be decoded completely. A JPEG is decoded at 1/8 of its size."""
    try:
        decode_image(source, enough=1)
    except PictureError:
        return False
    return True


@contextlib.contextmanager
def _explained(source: Source) -> Iterator[None]:
    """A context that converts all errors to a PictureError with the name of the file and the reason."""
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else getattr(source, "name", "picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata and large sizes, which are handled here
            yield
    except UserError:
        raise
    except Refused as refusal:
        raise PictureError(str(name), str(refusal)) from None
    except Exception as error:  # Pillow can raise nearly anything for a damaged file
        raise PictureError(str(name), _explain(error, source)) from error


class Refused(Exception):
    """The reason why a picture is not read. `_explained` converts it to a PictureError."""


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[tuple[Image.Image, tuple[str, ...]]]:
    """A context with an opened picture of an allowed size, and its notices."""
    if isinstance(source, str | os.PathLike) and (reason := not_a_file(source)):
        raise Refused(reason)
    with pillows_limit_off():
        image = Image.open(source, formats=FORMATS)
    with image:
        with pillows_limit_off():
            _refuse_bomb(*image.size, _length(source))
            notices = (ANIMATED,) if _is_animated(image) else ()
        yield image, notices


@contextlib.contextmanager
def opened_animation(source: Source) -> Iterator[Image.Image]:
    """A context with an opened file, to decode one frame after the other.

    Args:
        source: path or binary file.

    Raises:
        PictureError: if it cannot be opened. Errors of its frames are Pillow's.
    """
    with contextlib.ExitStack() as stack:
        with _explained(source):
            image, _ = stack.enter_context(_opened(source))
        yield image


_PILLOW = threading.Lock()


@contextlib.contextmanager
def pillows_limit_off() -> Iterator[None]:
    """A context in which Pillow opens pictures of any size without a warning. Pillow's limit is a global variable."""
    with _PILLOW:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _is_animated(image: Image.Image) -> bool:
    """Whether there are several frames. A phone's JPEG with a second, hidden picture does not count."""
    return image.format in ("PNG", "WEBP", "GIF") and bool(getattr(image, "is_animated", False))


_KEYS: dict[str, Callable] = {
    "L;2": lambda key: key * 85,
    "L;4": lambda key: key * 17,
    "RGB;16B": lambda key: tuple(value >> 8 for value in key),
}
"""What makes 8 bits of the transparent colour of a PNG with another depth, by Pillow's raw mode. Pillow does not."""


def _loaded(image: Image.Image, animated: bool) -> Image.Image:
    """Decode the pixels, of an animation those of the first frame."""
    if animated and getattr(image, "default_image", False):  # a still picture for programs without animation
        image.load()
        image.paste(0, (0, 0, *image.size))  # otherwise it would remain around and behind the first frame
        image.seek(1)
        cast(PngImagePlugin.PngImageFile, image).blend_op = PngImagePlugin.Blend.OP_SOURCE
    tiles = cast(ImageFile.ImageFile, image).tile
    covered = tiles[0][1] if image.format == "GIF" else None
    raw = str(tiles[0][3]) if image.format == "PNG" and tiles else ""
    image.load()
    if "transparency" in image.info and raw in _KEYS:
        image.info["transparency"] = _KEYS[raw](image.info["transparency"])
    if image.format == "WEBP":
        return image.copy()  # the original keeps its decoder, which holds two more pictures
    return image if covered in (None, (0, 0, *image.size)) else _clear_outside(image, covered)


def _clear_outside(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Make a GIF transparent outside its first frame."""
    clear = Image.new("RGBA", image.size)
    clear.paste(image.convert("RGBA").crop(box), box)
    clear.info = image.info
    return clear


def _profile_of(image: Image.Image) -> bytes | None:
    """The ICC profile of a loaded picture. A PNG can have an exponent instead, which browsers apply as well."""
    profile, gamma = image.info.get("icc_profile"), image.info.get("gamma")
    if profile or not gamma or "srgb" in image.info:
        return profile
    return colour.of_gamma(gamma)


def _plain(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Convert to mode L, RGB or RGBA. Returns the image and the profile of its colours, or None for sRGB."""
    image = _to_eight_bits(image)
    profile = colour.fitting(profile, image.mode.removesuffix("A"))
    if image.mode in ("L", "RGB", "RGBA"):
        return image, profile
    if image.mode == "LA":
        gray = colour.to_srgb(image.getchannel("L"), profile).convert("RGB")
        gray.putalpha(image.getchannel("A"))
        return gray, None
    return _in_mode(colour.to_srgb(image, profile), "RGB"), None


def _draft_size(size: tuple[int, int], enough: int) -> tuple[int, int]:
    """The smallest size with the same aspect ratio and a short side of at least `enough`."""
    short = min(size)
    width, height = (-(-side * min(enough, short) // short) for side in size)
    return width, height


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Convert to 8 bits. 16-bit gray (modes I;16, I;16B, I) is divided by 257; Pillow would clip it at 255."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        gray = Image.fromarray(np.clip((values + 128) // 257, 0, 255).astype(np.uint8))
        if "transparency" in image.info:
            gray.putalpha(Image.fromarray(values != image.info["transparency"]).convert("L"))
        return gray
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("1", "L", "RGB") and "transparency" in image.info:  # one colour stands for transparent
        return image.convert("RGBA")
    return image.convert("L") if image.mode == "1" else image


def _with_channels(image: Image.Image, channels: int) -> Image.Image:
    if image.mode != "RGBA":
        return _in_mode(_in_mode(image, "RGB"), MODES[channels])
    if channels == 4:
        return Image.fromarray(_without_hidden_colours(image))
    return _in_mode(_over_white(image), MODES[channels])


def _over_white(image: Image.Image) -> Image.Image:
    # `kgan.images.pictures.over_white` does it in floats, which take four times the memory of a large file's pixels.
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # convert() would copy the image


def _without_hidden_colours(image: Image.Image) -> np.ndarray:
    """uint8 [H, W, 4] with white in fully transparent pixels, whose colours would be noise for a network."""
    pixels = np.array(image)
    pixels[..., :3] |= np.where(pixels[..., 3:] == 0, np.uint8(255), np.uint8(0))
    return pixels


# --- limits of size ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def at_most(megapixels: float | None) -> Iterator[None]:
    """A context in which larger pictures are read, regardless of the length of their files.

    Args:
        megapixels: the largest picture, above 0. None for the default limits.

    Raises:
        UserError: if the number is not valid.
    """
    if megapixels is None:
        yield
        return
    if not 0 < megapixels < math.inf:
        raise UserError(f"--max-megapixels should be above 0. Received: {megapixels:g}")
    before = os.environ.get(LIMIT)
    os.environ[LIMIT] = repr(float(megapixels))  # worker processes inherit it
    try:
        yield
    finally:
        del os.environ[LIMIT]
        os.environ.update({} if before is None else {LIMIT: before})


def limits_pictures(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that its argument `max_megapixels` holds for every picture that is read inside."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        with at_most(signature.bind(*args, **kwargs).arguments.get("max_megapixels")):
            return function(*args, **kwargs)

    return called


def asked_pixels() -> int | None:
    """The limit of `at_most` in pixels, or None. Raises UserError if the environment variable is not a number."""
    asked = os.environ.get(LIMIT)
    if asked is None:
        return None
    try:
        return round(float(asked) * 1e6)
    except (ValueError, OverflowError):
        raise UserError(f"{LIMIT} should be a number of megapixels. Received: {asked}") from None


def _refuse_bomb(width: int, height: int, length: int) -> None:
    """Raise Refused if the size in a header is above the limit, or too large for the length of the file in bytes."""
    pixels, asked = width * height, asked_pixels()
    claims = f"its header claims {width}x{height} pixels ({pixels / 1e6:.0f} megapixels)"
    limit = MAX_PIXELS if asked is None else asked
    if pixels > limit:
        raise Refused(f"{claims}; the limit is {limit / 1e6:.10g}; make it smaller, or give a higher --max-megapixels")
    if asked is None and pixels > MAX_UNPROVEN and pixels > MAX_PIXELS_PER_BYTE * length:
        raise Refused(
            f"{claims} in a file of {length} bytes, like a file that is made to fill the memory; if it is a real "
            f"picture, give --max-megapixels {math.ceil(pixels / 1e6)}"
        )


def _length(source: Source) -> int:
    if isinstance(source, str | os.PathLike):
        return os.stat(source).st_size
    here = source.tell()
    length = source.seek(0, io.SEEK_END)
    source.seek(here)
    return length


# --- lossless formats -------------------------------------------------------------------------------------------------


def is_lossless(source: Source) -> bool:
    """Whether a file has a lossless format: PNG, GIF, or WebP with a VP8L chunk as its first frame."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(source, "rb")) if isinstance(source, str | os.PathLike) else source
        file.seek(0)
        head = file.read(12)
        if head[8:] == b"WEBP":
            return _first_frame_chunk(file) == b"VP8L"
        return head.startswith((b"\x89PNG", b"GIF8"))


def _first_frame_chunk(file: BinaryIO) -> bytes:
    """The name of the first WebP chunk with pixels, or an empty string."""
    while len(head := file.read(8)) == 8:
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if name in (b"VP8 ", b"VP8L"):
            return name
        # A frame of an animation has 16 bytes and then chunks. Chunks have even lengths.
        file.seek(16 if name == b"ANMF" else length + length % 2, io.SEEK_CUR)
    return b""


# --- reasons for errors ----------------------------------------------------------------------------------------------

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_READ = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8")
_SIGNATURES = (
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
    if isinstance(error, Image.UnidentifiedImageError) and not head.startswith(_READ):
        return "not a JPEG, PNG, WebP or GIF picture; replace or remove it"
    what = "its header" if isinstance(error, Image.UnidentifiedImageError) else str(error) or type(error).__name__
    return f"damaged or truncated ({what}); copy it again or remove it"


def _foreign_format(head: bytes) -> str | None:
    """The name of another format, such as HEIC or TIFF, for the first bytes of a file, or None."""
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
