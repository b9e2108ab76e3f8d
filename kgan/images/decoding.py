"""Pictures from users, decoded safely by Pillow: what comes out is always 8-bit sRGB, upright, of a known number of
channels; what cannot be is a `PictureError` that says why. No TensorFlow here.

Four guards, because a picture may come from anywhere: what is no file, as a pipe, is never opened, only JPEG, PNG, WebP
and GIF decoders are tried, the size is read from the header before any pixel is decoded, and a truncated file is an
error instead of a gray rest.
"""

import contextlib
import dataclasses
import io
import math
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

from kgan.errors import UserError
from kgan.images import colour
from kgan.images.listing import no_file
from kgan.images.metadata import Metadata, read, upright

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")

MAX_PIXELS = 400_000_000
"""The largest picture that is read unless the user says otherwise: 1.6 GB as Pillow holds it."""

MAX_UNPROVEN = 100_000_000
"""Up to so many pixels a picture is read whatever its file's length."""

MAX_PIXELS_PER_BYTE = 1032
"""Deflate, which PNG is compressed by, makes at most so many bytes of one: a larger picture with one byte for each
pixel or more cannot be in a shorter file."""

LIMIT = "KGAN_MAX_MEGAPIXELS"
"""The environment variable that says how large a picture may be."""

ANIMATED = "animated: the first frame is taken; a film is another matter"

MODES = {1: "L", 3: "RGB", 4: "RGBA"}

Source = str | os.PathLike | BinaryIO


def summarised(told: Iterable[tuple[object, str]]) -> list[str]:
    """(name, notice) of many pictures -> one line for each kind of notice.

    >>> summarised([("a.gif", "animated"), ("b.gif", "animated")])
    ['a.gif and 1 more: animated']
    """
    names: dict[str, list[object]] = {}
    for name, notice in told:
        names.setdefault(notice, []).append(name)
    more = {notice: f" and {len(of) - 1} more" if len(of) > 1 else "" for notice, of in names.items()}
    return [f"{of[0]}{more[notice]}: {notice}" for notice, of in names.items()]


class PictureError(UserError):
    """One picture cannot be used. `reason` says why and what to do, without the file's name."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason

    def __reduce__(self):  # exceptions travel between processes by their constructor's arguments
        return type(self), (self.name, self.reason)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as its file has it: upright, at its full size, 8 bits a channel, in its own colours.

    `image` is in mode L, RGB or RGBA; its colours are those of the ICC profile `profile`, or sRGB where that is None.
    `lossless`: the file lost nothing when it was written. `notices`: what whoever gave the file should know.
    """

    image: Image.Image
    profile: bytes | None
    lossless: bool
    metadata: Metadata
    notices: tuple[str, ...] = ()

    @property
    def pixels(self) -> np.ndarray:
        """uint8 [height, width, 1|3|4]."""
        return _with_channel_axis(self.image)

    def in_srgb(self) -> "Picture":
        """The same picture in sRGB."""
        image = colour.to_srgb(self.image, self.profile)
        return dataclasses.replace(self, image=_in_mode(image, self.image.mode), profile=None)

    def seen(self) -> np.ndarray:
        """uint8 [height, width, 3|4] in sRGB for a network: white where it is wholly transparent."""
        image = self.in_srgb().image
        return _without_hidden_colours(image) if image.mode == "RGBA" else np.asarray(_in_mode(image, "RGB"))

    def over_white(self) -> "Picture":
        """The same picture without transparency."""
        return dataclasses.replace(self, image=_over_white(self.image))


def size_by_header(source: Source) -> tuple[int, int]:
    """(height, width) of a picture before it is turned upright; (0, 0) of what can't be read: decoding says why."""
    try:
        with _explained(source), _opened(source) as (opened, _):
            return opened.height, opened.width
    except UserError:
        return 0, 0


def read_picture(source: Source) -> Picture:
    """The picture in a file, nothing of it lost but what more than 8 bits a channel, CMYK and palettes would keep.

    Of a moving picture it is the first frame, with a notice. Raises PictureError.
    """
    with _explained(source), _opened(source) as (opened, notices):
        loaded = _loaded(opened, bool(notices))
        image, profile = _plain(upright(loaded), loaded.info.get("icc_profile"))
        return Picture(image, profile, is_lossless(source), read(loaded), notices)


def decode_picture(source: Source, channels: int = 3) -> np.ndarray:
    """A picture as uint8 [height, width, channels] in sRGB, upright, at its full size.

    Channels are 1 (gray), 3 (RGB) or 4 (RGBA). With fewer than four, transparent parts are laid over white. Raises
    PictureError.
    """
    return _with_channel_axis(decode_image(source, channels)[0])


def decode_image(source: Source, channels: int = 3, enough: int | None = None) -> tuple[Image.Image, tuple[str, ...]]:
    """`decode_picture` as a Pillow image in mode L, RGB or RGBA, and the notices of `read_picture`.

    `enough` allows a JPEG to be decoded at 1/2, 1/4 or 1/8 of its size as long as the short side stays at least that
    long: several times faster for a picture that will be made smaller anyway.
    """
    with _explained(source), _opened(source) as (opened, notices):
        if enough and opened.format in ("JPEG", "MPO"):
            opened.draft(None, _draft_size(opened.size, enough))
        loaded = _loaded(opened, bool(notices))
        image, profile = _plain(upright(loaded), loaded.info.get("icc_profile"))
        return _with_channels(colour.to_srgb(image, profile), channels), notices


def is_readable(source: Source) -> bool:
    """Whether a picture can be decoded to its end; a JPEG is tried at 1/8 of its size."""
    try:
        decode_image(source, enough=1)
    except PictureError:
        return False
    return True


@contextlib.contextmanager
def _explained(source: Source) -> Iterator[None]:
    """PictureError with the file's name and the reason for whatever goes wrong inside."""
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else getattr(source, "name", "picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damaged metadata and of large sizes; both are judged here
            yield
    except UserError:
        raise
    except Refused as refusal:
        raise PictureError(str(name), str(refusal)) from None
    except Exception as error:  # a damaged file makes Pillow's parsers raise nearly anything
        raise PictureError(str(name), _explain(error, source)) from error


class Refused(Exception):
    """The reason why a picture is not read; becomes a PictureError with its name."""


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[tuple[Image.Image, tuple[str, ...]]]:
    """An opened picture of a size that is to be borne, and its notices; closed at the end."""
    if isinstance(source, str | os.PathLike) and (reason := no_file(source)):
        raise Refused(reason)
    with pillows_limit_off():
        image = Image.open(source, formats=FORMATS)
        _refuse_bomb(*image.size, _length(source))
        notices = (ANIMATED,) if _is_animated(image) else ()
    with image:
        yield image, notices


_PILLOW = threading.Lock()


@contextlib.contextmanager
def pillows_limit_off() -> Iterator[None]:
    """Inside, Pillow opens a picture whatever size it claims, without a warning. Its limit is a global variable."""
    with _PILLOW:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _is_animated(image: Image.Image) -> bool:
    """Whether there are several frames. A phone's JPEG with a second, hidden picture is no animation."""
    return image.format in ("PNG", "WEBP", "GIF") and bool(getattr(image, "is_animated", False))


def _loaded(image: Image.Image, animated: bool) -> Image.Image:
    """Its pixels decoded; of an animation those of the first frame."""
    if animated and getattr(image, "default_image", False):  # a still for programs that cannot play the animation
        image.load()
        image.paste(0, (0, 0, *image.size))  # or Pillow would leave it around the first frame, and mixed into it
        image.seek(1)
        image.blend_op = PngImagePlugin.Blend.OP_SOURCE
    covered = image.tile[0][1] if image.format == "GIF" else None
    image.load()
    if image.format == "WEBP":
        return image.copy()  # the one at hand keeps its decoder, which holds two pictures more
    return image if covered in (None, (0, 0, *image.size)) else _clear_outside(image, covered)


def _clear_outside(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """A GIF whose first frame does not fill it: transparent there."""
    clear = Image.new("RGBA", image.size)
    clear.paste(image.convert("RGBA").crop(box), box)
    clear.info = image.info
    return clear


def _plain(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """In mode L, RGB or RGBA, and the profile of its colours, or None where they are sRGB and no profile says so."""
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


def _with_channels(image: Image.Image, channels: int) -> Image.Image:
    if image.mode != "RGBA":
        return _in_mode(_in_mode(image, "RGB"), MODES[channels])
    if channels == 4:
        return Image.fromarray(_without_hidden_colours(image))
    return _in_mode(_over_white(image), MODES[channels])


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # which would copy what is in that mode already


def _without_hidden_colours(image: Image.Image) -> np.ndarray:
    """RGBA -> uint8 [H, W, 4], white under full transparency: another colour there would be noise to a network."""
    pixels = np.array(image)
    pixels[..., :3] |= np.where(pixels[..., 3:] == 0, np.uint8(255), np.uint8(0))
    return pixels


def _with_channel_axis(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


# --- how large a picture may be ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def at_most(megapixels: float | None) -> Iterator[None]:
    """Inside, pictures of up to that many megapixels are read, however short their files; None: those of the default.

    Raises UserError for what is no size.
    """
    if megapixels is None:
        yield
        return
    if not 0 < megapixels < math.inf:
        raise UserError(f"--max-megapixels should be above 0. Received: {megapixels:g}")
    before = os.environ.get(LIMIT)
    os.environ[LIMIT] = repr(float(megapixels))  # worker processes see it too
    try:
        yield
    finally:
        del os.environ[LIMIT]
        os.environ.update({} if before is None else {LIMIT: before})


def asked_pixels() -> int | None:
    """The most pixels of a picture by `at_most`; None by default. UserError if the variable holds something else."""
    asked = os.environ.get(LIMIT)
    if asked is None:
        return None
    try:
        return round(float(asked) * 1e6)
    except (ValueError, OverflowError):
        raise UserError(f"{LIMIT} should be a number of megapixels. Received: {asked}") from None


def _refuse_bomb(width: int, height: int, length: int) -> None:
    """Refused for a header that claims a size which the machine, or the file's length in bytes, does not bear."""
    pixels, asked = width * height, asked_pixels()
    claims = f"its header claims {width}x{height} pixels ({pixels / 1e6:.0f} megapixels)"
    limit = MAX_PIXELS if asked is None else asked
    if pixels > limit:
        raise Refused(f"{claims}; the limit is {limit / 1e6:.10g}; make it smaller, or give a higher --max-megapixels")
    if asked is None and pixels > MAX_UNPROVEN and pixels > MAX_PIXELS_PER_BYTE * length:
        raise Refused(
            f"{claims} in a file of {length} bytes, as files do that shall fill the memory; if it is a picture all the "
            f"same, give --max-megapixels {math.ceil(pixels / 1e6)}"
        )


def _length(source: Source) -> int:
    if isinstance(source, str | os.PathLike):
        return os.stat(source).st_size
    here = source.tell()
    length = source.seek(0, io.SEEK_END)
    source.seek(here)
    return length


# --- lossless or not --------------------------------------------------------------------------------------------------


def is_lossless(source: Source) -> bool:
    """Whether the file's format lost nothing of its picture: PNG, GIF, and WebP whose first frame is a VP8L chunk."""
    with contextlib.ExitStack() as stack:
        is_path = isinstance(source, str | os.PathLike)
        file = stack.enter_context(open(source, "rb")) if is_path else source
        file.seek(0)
        head = file.read(12)
        if head[8:] == b"WEBP":
            return _first_frame_chunk(file) == b"VP8L"
        return head.startswith((b"\x89PNG", b"GIF8"))


def _first_frame_chunk(file: BinaryIO) -> bytes:
    """The name of the first WebP chunk that holds pixels, from the first chunk on; empty without one."""
    while len(head := file.read(8)) == 8:
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if name in (b"VP8 ", b"VP8L"):
            return name
        # A frame of an animation: 16 bytes of its own, and chunks inside it. Chunks have even lengths.
        file.seek(16 if name == b"ANMF" else length + length % 2, io.SEEK_CUR)
    return b""


# --- why a file is not a picture -------------------------------------------------------------------------------------

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
    what = "its header" if isinstance(error, Image.UnidentifiedImageError) else error or type(error).__name__
    return f"damaged or truncated ({what}); copy it again or remove it"


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
