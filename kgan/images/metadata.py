"""Reads the metadata of a picture, corrects it for the upright picture, and writes it to another file.

Metadata are EXIF, XMP, IPTC, texts and resolution. Only Pillow is used. Broken metadata is left out, so that a picture
can always be read and written.
"""

import contextlib
import dataclasses
import re
import struct
from collections.abc import Callable
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

ORIENTATION = ExifTags.Base.Orientation

LONGEST = 65_000
"""Bytes that a segment of a JPEG can hold, without its name."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF, _XMP_KEY, _RAW = b"Exif\0\0", "XML:com.adobe.xmp", "Raw profile type "
_IPTC, _PHOTOSHOP = 0x0404, b"Photoshop 3.0\0"


@dataclasses.dataclass(frozen=True)
class Metadata:
    """The metadata of an upright picture. Missing parts are empty.

    Attributes:
        exif: EXIF as a TIFF structure.
        xmp: XMP packet.
        iptc: IIM records.
        dpi: horizontal and vertical resolution in dots per inch, or None.
        comment: comment of a JPEG.
        texts: keywords and texts of a PNG.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    dpi: tuple[float, float] | None = None
    comment: bytes = b""
    texts: tuple[tuple[str, str], ...] = ()


def orientation(image: Image.Image) -> int:
    """The orientation of an opened picture in EXIF or else in XMP, from 1 to 8; 1 (upright) without one."""
    number = _or_default(lambda: int(image.getexif().get(ORIENTATION, 1)), 1)
    return number if number in _TURNS else 1


def upright(image: Image.Image) -> Image.Image:
    """Turn a picture upright according to its orientation."""
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def read(image: Image.Image) -> Metadata:
    """Read the metadata of a loaded picture, corrected for `upright(image)`."""
    turned = orientation(image) >= 5
    size = image.size[::-1] if turned else image.size
    info = image.info
    dpi = _or_default(lambda: _dpi(info["dpi"]), None)
    return Metadata(
        exif=_or_default(lambda: _corrected_exif(_exif_of(info), size), b""),
        xmp=_or_default(lambda: _corrected_xmp(_xmp_of(info), size), b""),
        iptc=_or_default(lambda: bytes(info["photoshop"][_IPTC]), b""),
        dpi=dpi[::-1] if dpi and turned else dpi,
        comment=_or_default(lambda: bytes(info["comment"]), b""),
        texts=_or_default(lambda: _texts(image), ()),
    )


def options(metadata: Metadata, file_format: str) -> dict[str, Any]:
    """The arguments of Pillow's `save` that write the metadata, as far as the format allows.

    Args:
        metadata: the metadata.
        file_format: "JPEG", "PNG" or "WEBP".

    Returns:
        Keyword arguments.
    """
    given: dict[str, Any] = {"exif": metadata.exif and _EXIF + metadata.exif, "xmp": metadata.xmp, "dpi": metadata.dpi}
    if file_format == "PNG":
        given["pnginfo"] = _pnginfo(metadata)
        del given["xmp"]
    if file_format == "JPEG":
        comments = (text.encode() for key, text in metadata.texts if key == "Comment")
        given |= {"comment": metadata.comment or next(comments, b""), "extra": _iptc_segment(metadata.iptc)}
        return {key: value for key, value in given.items() if value and (key == "dpi" or len(value) <= LONGEST)}
    return {key: value for key, value in given.items() if value}


def _or_default(value: Callable[[], Any], otherwise: Any) -> Any:
    """The value, or `otherwise` after any error. Broken metadata can raise nearly anything."""
    with contextlib.suppress(Exception):
        return value()
    return otherwise


def _dpi(given: tuple) -> tuple[float, float] | None:
    across, down = (float(number) for number in given)
    return (across, down) if min(across, down) >= 1 and max(across, down) <= 65535 else None


# --- EXIF -------------------------------------------------------------------------------------------------------------
# When Pillow writes EXIF, it moves all data. Maker notes contain offsets from the start, which are then wrong, and data
# types change. So the few numbers that must be corrected are changed in place.


def _exif_of(info: dict) -> bytes:
    if "exif" in info:
        return info["exif"]
    return bytes.fromhex("".join(info[_RAW + "exif"].split("\n")[3:]))  # as ImageMagick writes it to PNG


def _corrected_exif(exif: bytes, size: tuple[int, int]) -> bytes:
    """EXIF for an upright picture of this (width, height), without thumbnail. Broken EXIF can raise nearly anything."""
    data = bytearray(exif.removeprefix(_EXIF))
    order = {b"II": "<", b"MM": ">"}[bytes(data[:2])]
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    tags, end = _directory(data, order, start)
    if ORIENTATION in tags:
        struct.pack_into(f"{order}HIHH", data, tags[ORIENTATION] + 2, 3, 1, 1, 0)
    _set_size(data, order, tags, (ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength), size)
    if ExifTags.IFD.Exif in tags:
        with contextlib.suppress(struct.error):
            inner, _ = _directory(data, order, _number(data, order, tags[ExifTags.IFD.Exif]))
            _set_size(data, order, inner, (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight), size)
    return _without_thumbnail(data, order, end)


def _directory(data: bytearray, order: str, start: int) -> tuple[dict[int, int], int]:
    """The offsets of the entries (tag, type, count, value) by tag, and the offset of the next directory's number."""
    (count,) = struct.unpack_from(f"{order}H", data, start)
    places = range(start + 2, start + 2 + 12 * count, 12)
    return {struct.unpack_from(f"{order}H", data, at)[0]: at for at in places}, start + 2 + 12 * count


def _number(data: bytearray, order: str, at: int) -> int:
    """The value of an entry with one SHORT (3) or LONG."""
    (kind,) = struct.unpack_from(f"{order}H", data, at + 2)
    return struct.unpack_from(f"{order}H" if kind == 3 else f"{order}I", data, at + 8)[0]


def _set_size(data: bytearray, order: str, tags: dict[int, int], names: tuple, size: tuple[int, int]) -> None:
    for name, number in zip(names, size, strict=True):
        if name in tags:
            struct.pack_into(f"{order}HII", data, tags[name] + 2, 4, 1, number)


def _without_thumbnail(data: bytearray, order: str, pointer: int) -> bytes:
    """Remove the second directory with the thumbnail, which shows the original picture."""
    if pointer + 4 > len(data):  # some programs end the structure here
        return bytes(data)
    (start,) = struct.unpack_from(f"{order}I", data, pointer)
    struct.pack_into(f"{order}I", data, pointer, 0)
    if not pointer < start < len(data):
        return bytes(data)
    tags, end = _directory(data, order, start)
    for where, length in ((0x0201, 0x0202), (0x0111, 0x0117)):  # JPEG, or one strip of pixels
        if where in tags and length in tags:
            at, count = _number(data, order, tags[where]), _number(data, order, tags[length])
            data[at : at + count] = bytes(len(data[at : at + count])) if at > pointer else data[at : at + count]
    data[start : end + 4] = bytes(len(data[start : end + 4]))
    return bytes(data[:start] if not any(data[start:]) else data)


# --- XMP, IPTC, texts -------------------------------------------------------------------------------------------------


def _xmp_of(info: dict) -> bytes:
    xmp = info["xmp"] if "xmp" in info else info[_XMP_KEY]
    return xmp.encode() if isinstance(xmp, str) else xmp


def _corrected_xmp(xmp: bytes, size: tuple[int, int]) -> bytes:
    """XMP for an upright picture of this (width, height), without thumbnails and references to extended XMP."""
    width, height = size
    numbers = {"tiff:Orientation": 1, "tiff:ImageWidth": width, "tiff:ImageLength": height}
    numbers |= {"exif:PixelXDimension": width, "exif:PixelYDimension": height}
    for name, number in numbers.items():  # as an attribute or as an element
        xmp = re.sub(rb"(\b%b(?:\s*=\s*[\"']|>)\s*)\d+" % name.encode(), rb"\g<1>%d" % number, xmp)
    xmp = re.sub(rb"<(xmp|xap):Thumbnails\b.*?</\1:Thumbnails>", b"", xmp, flags=re.DOTALL)
    return re.sub(rb"\s+xmpNote:HasExtendedXMP\s*=\s*[\"'][^\"']*[\"']", b"", xmp)


def _texts(image: Image.Image) -> tuple[tuple[str, str], ...]:
    """The texts of a PNG, without those that hold XMP or raw profiles."""
    if image.format != "PNG":
        return ()
    texts = ((str(key), text) for key, text in image.info.items() if isinstance(text, str))
    return tuple((key, text) for key, text in texts if key != _XMP_KEY and not key.startswith(_RAW))


def _pnginfo(metadata: Metadata) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    texts = list(metadata.texts)
    if metadata.comment and not any(key == "Comment" for key, _ in texts):
        texts.append(("Comment", metadata.comment.decode("utf-8", "replace")))
    for key, text in texts:
        with contextlib.suppress(Exception):  # a keyword that PNG forbids
            info.add_text(key, text, zip=len(text) > 1024)
    if metadata.xmp:
        info.add_itxt(_XMP_KEY, metadata.xmp.decode("utf-8", "replace"))
    return info


def _iptc_segment(records: bytes) -> bytes:
    """A JPEG segment with captions and credits, as Photoshop writes them."""
    if not records:
        return b""
    resource = b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(records)) + records + b"\0" * (len(records) % 2)
    return b"\xff\xed" + struct.pack(">H", 2 + len(_PHOTOSHOP) + len(resource)) + _PHOTOSHOP + resource
