"""Converts a picture of the user to the bytes that training reads: JPEG or PNG, sRGB, upright, no larger than needed.

This module runs in worker processes and does not import TensorFlow.
"""

import io
import pathlib
from typing import NamedTuple

from PIL import Image

from kgan.images.colour import is_srgb
from kgan.images.decoding import PictureError, decode_image, is_lossless, pillows_limit_off
from kgan.images.listing import not_a_file
from kgan.images.metadata import orientation


class Job(NamedTuple):
    """A picture and the format to which it is converted.

    Attributes:
        picture: path or bytes of the file.
        cap: the largest short side of the result in pixels.
        channels: channels of the result: 1, 3 or 4.
    """

    picture: pathlib.Path | bytes
    cap: int
    channels: int


class Outcome(NamedTuple):
    """The result of a `Job`.

    Attributes:
        encoded: JPEG or PNG bytes, or None.
        reason: why the picture cannot be used, if `encoded` is None.
        notices: remarks for the user.
    """

    encoded: bytes | None
    reason: str | None = None
    notices: tuple[str, ...] = ()


def normalise(job: Job) -> Outcome:
    """Decode the whole picture, which verifies it. A plain JPEG keeps its bytes, all others are encoded again."""
    if reason := isinstance(job.picture, pathlib.Path) and not_a_file(job.picture):
        return Outcome(None, reason)
    try:
        data = job.picture if isinstance(job.picture, bytes) else job.picture.read_bytes()
        image, notices = decode_image(io.BytesIO(data), job.channels, enough=2 * job.cap)
    except PictureError as error:
        return Outcome(None, error.reason)
    except OSError as error:
        return Outcome(None, f"cannot be read: {error.strerror}")
    if job.channels != 4 and _is_plain_jpeg(data, job.cap):
        return Outcome(data)
    lossless = job.channels == 4 or is_lossless(io.BytesIO(data))
    return Outcome(_encode(_capped(image, job.cap), lossless), notices=notices)


def shape_of(encoded: bytes) -> tuple[int, int]:
    """Height and width of an encoded picture from `normalise`, from its header."""
    with pillows_limit_off():
        width, height = Image.open(io.BytesIO(encoded), formats=["JPEG", "PNG"]).size
    return height, width


def _is_plain_jpeg(data: bytes, cap: int) -> bool:
    """Whether TensorFlow decodes the same pixels. Its decoder ignores colour profiles and orientation."""
    if not data.startswith(b"\xff\xd8"):
        return False
    with pillows_limit_off():
        header = Image.open(io.BytesIO(data), formats=["JPEG"])
    return (
        header.format == "JPEG"
        and header.mode in ("RGB", "L")
        and min(header.size) <= cap
        and orientation(header) == 1
        and is_srgb(header.info.get("icc_profile"), header.mode)
    )


def _capped(image: Image.Image, cap: int) -> Image.Image:
    short = min(image.size)
    if short <= cap:
        return image
    width, height = (max(1, round(side * cap / short)) for side in image.size)
    # The reducing gap, which `kgan.images.resizing` does not use, makes this faster for large photos. Without it the
    # pixels of prepared sets would change, and so would what is trained on them.
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)


def _encode(image: Image.Image, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, "PNG", compress_level=3)
    else:
        image.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()
