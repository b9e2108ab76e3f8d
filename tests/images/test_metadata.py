"""Metadata: read from real files, corrected, and written to files of all formats."""

import io
import re
import struct

import numpy as np
import pytest
from icc_profiles import GRAY, P3
from PIL import ExifTags, Image, PngImagePlugin

from kgan.images import metadata
from kgan.images.decoding import read_picture
from kgan.images.pictures import save_picture

PLACE = {1: "N", 2: (48.0, 51.0, 24.0), 3: "E", 4: (2.0, 21.0, 7.0)}
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>'
    b'<rdf:Description tiff:Orientation="%d" exif:PixelXDimension="1" xmp:Rating="4">'
    b"<tiff:ImageWidth>1</tiff:ImageWidth><dc:creator>Ann\xc3\xa9</dc:creator>"
    b"<xmp:Thumbnails><rdf:Alt>/9j/4AAQ</rdf:Alt></xmp:Thumbnails></rdf:Description>"
    b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def picture(height=24, width=40):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def camera_exif(orientation=6, order="<", thumbnail=True):
    """EXIF as of a camera: two directories, GPS data, a maker note with offsets from the start, and a thumbnail."""
    exif = Image.Exif()
    exif.endian = order
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Copyright] = "Maker", "Ann 2024"
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.ImageWidth] = 4000
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.DateTimeOriginal] = "2024:05:06 07:08:09"
    inner[ExifTags.Base.ExifImageWidth], inner[ExifTags.Base.ExifImageHeight] = 4000, 3000
    inner[ExifTags.Base.MakerNote] = b"Maker\0\1\2\3" * 5
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(PLACE)
    data = bytearray(exif.tobytes().removeprefix(b"Exif\0\0"))
    return bytes(_with_thumbnail(data, order) if thumbnail else data)


def _with_thumbnail(data, order):
    small = io.BytesIO()
    Image.new("RGB", (16, 12), "red").save(small, "JPEG")
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    struct.pack_into(f"{order}I", data, start + 2 + 12 * count, len(data))
    jpeg = small.getvalue()
    at = len(data) + 2 + 24 + 4
    entries = struct.pack(f"{order}HHII", 0x0201, 4, 1, at) + struct.pack(f"{order}HHII", 0x0202, 4, 1, len(jpeg))
    return data + struct.pack(f"{order}H", 2) + entries + bytes(4) + jpeg


def written(tmp_path, name, source, lossless=False):
    """The file that kgan writes for another one."""
    read = read_picture(source)
    save_picture(read.pixels, tmp_path / name, read.profile, read.metadata, lossless or read.lossless)
    return Image.open(io.BytesIO((tmp_path / name).read_bytes()))


def saved(tmp_path, name, **options):
    Image.fromarray(picture()).save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("before", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("after", ["b.jpg", "b.png", "b.webp"])
def test_exif_goes_from_every_format_to_every_format(tmp_path, before, after, order):
    source = saved(tmp_path, before, exif=b"Exif\0\0" + camera_exif(order=order))
    exif = written(tmp_path, after, source).getexif()
    assert exif[ExifTags.Base.Orientation] == 1
    assert (exif[ExifTags.Base.Make], exif[ExifTags.Base.Copyright]) == ("Maker", "Ann 2024")
    assert exif[ExifTags.Base.ImageWidth] == 24  # the picture of 40x24 was turned
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    assert inner[ExifTags.Base.DateTimeOriginal] == "2024:05:06 07:08:09"
    assert (inner[ExifTags.Base.ExifImageWidth], inner[ExifTags.Base.ExifImageHeight]) == (24, 40)
    assert inner[ExifTags.Base.MakerNote] == b"Maker\0\1\2\3" * 5
    assert exif.get_ifd(ExifTags.IFD.GPSInfo) == PLACE
    assert exif.get_ifd(ExifTags.IFD.IFD1) == {}
    assert b"\xff\xd8\xff" not in (tmp_path / after).read_bytes()[4:]  # no bytes of the thumbnail


@pytest.mark.parametrize("order", ["<", ">"])
def test_nothing_else_of_exif_moves(tmp_path, order):
    """Maker notes contain offsets from the start."""
    before = camera_exif(orientation=1, order=order, thumbnail=False)
    after = read_picture(saved(tmp_path, "a.png", exif=before)).metadata.exif
    assert len(after) == len(before)
    changed = [at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    assert len(changed) <= 3 * 12  # the entries of the three numbers of size


def test_exif_of_a_picture_longer_than_a_short_number(tmp_path):
    """70000 pixels do not fit into the two bytes that cameras use for the width."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] = 100
    Image.new("L", (70_000, 1)).save(tmp_path / "long.png", exif=exif)
    made = written(tmp_path, "b.png", tmp_path / "long.png").getexif()
    assert made.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] == 70_000


@pytest.mark.parametrize("before", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("after", ["b.jpg", "b.png", "b.webp"])
def test_xmp_is_made_true(tmp_path, before, after):
    options = {"xmp": XMP % 6}
    if before == "a.png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", (XMP % 6).decode())
        options = {"pnginfo": info}
    made = written(tmp_path, after, saved(tmp_path, before, **options))
    assert made.size == (24, 40)  # XMP alone says that the picture lies on its side
    xmp = made.info["xmp"].decode()
    for part in ('tiff:Orientation="1"', 'exif:PixelXDimension="24"', "<tiff:ImageWidth>24<", "Anné", 'Rating="4"'):
        assert part in xmp
    assert "Thumbnails" not in xmp
    assert metadata.orientation(made) == 1


@pytest.mark.parametrize("after", ["b.jpg", "b.png"])
def test_resolution(tmp_path, after):
    for name in ("a.jpg", "a.png"):
        source = saved(tmp_path, name, dpi=(300, 150), exif=_turned(6))
        assert written(tmp_path, after, source).info["dpi"] == pytest.approx((150, 300), abs=0.1)


def _turned(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def test_texts_of_png(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "Ann")
    info.add_text("Copyright", "© Ann", zip=True)
    info.add_itxt("Title", "家", "ja", "題")
    info.add_text("Long", "x" * 5000)
    made = written(tmp_path, "b.png", saved(tmp_path, "a.png", pnginfo=info))
    assert made.text == {"Author": "Ann", "Copyright": "© Ann", "Title": "家", "Long": "x" * 5000}
    assert (made.text["Title"].lang, made.text["Title"].tkey) == ("ja", "題")


def test_comments_and_captions(tmp_path):
    """A comment becomes a text in PNG and a comment in JPEG again. IPTC, which agencies write, stays in JPEG."""
    iptc = b"\x1c\x02\x78\x00\x05hello"
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
    segment = b"\xff\xed" + struct.pack(">H", 16 + len(resource)) + b"Photoshop 3.0\0" + resource
    source = saved(tmp_path, "a.jpg", comment="said", extra=segment)
    made = written(tmp_path, "b.jpg", source)
    assert (made.info["comment"], made.info["photoshop"]) == (b"said", {0x0404: iptc})
    assert written(tmp_path, "c.png", source).text == {"Comment": "said"}
    assert written(tmp_path, "d.jpg", tmp_path / "c.png").info["comment"] == b"said"
    moving = Image.new("L", (8, 8))
    moving.save(tmp_path / "e.gif", comment=b"moving")
    assert written(tmp_path, "e.png", tmp_path / "e.gif").text == {"Comment": "moving"}


@pytest.mark.parametrize("after", ["b.jpg", "b.png", "b.webp"])
def test_profiles_go_only_where_they_fit(tmp_path, after):
    source = saved(tmp_path, "a.png", icc_profile=P3)
    assert written(tmp_path, after, source).info["icc_profile"] == P3
    assert "icc_profile" not in written(tmp_path, after, saved(tmp_path, "a.png", icc_profile=GRAY)).info
    assert "icc_profile" not in written(tmp_path, after, saved(tmp_path, "a.png", icc_profile=b"broken")).info


# --- what is broken ---------------------------------------------------------------------------------------------------

GOOD = camera_exif()
BROKEN = {
    "noise": b"Exif\0\0" + bytes(range(256)),
    "short": b"Exif\0\0II*\0",
    "nothing": b"Exif\0\0",
    "beyond the end": b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(20),
    "cut in the first directory": b"Exif\0\0" + GOOD[:30],
    "cut in the thumbnail": b"Exif\0\0" + GOOD[:-50],
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_broken_exif_never_stops_a_picture(tmp_path, what, name):
    source = saved(tmp_path, name, exif=BROKEN[what])
    for after in ("b.jpg", "b.png", "b.webp"):
        made = written(tmp_path, after, source)
        made.load()
        assert metadata.orientation(made) == 1


def test_exif_with_any_byte_changed_never_stops_a_picture():
    for seed in range(100):
        generator = np.random.default_rng(seed)
        data = bytearray(GOOD)
        for at in generator.integers(0, min(len(data), 300), 4):
            data[at] = generator.integers(256)
        stored = io.BytesIO()
        Image.fromarray(picture()).save(stored, "PNG", exif=bytes(data))
        assert read_picture(stored).image.size in ((24, 40), (40, 24))


def test_a_thumbnail_that_points_at_the_rest_takes_nothing_away(tmp_path):
    entry = struct.pack("<HHI", 0x0201, 4, 1)
    at = GOOD.index(entry) + len(entry)
    exif = GOOD[:at] + struct.pack("<I", 8) + GOOD[at + 4 :]
    made = written(tmp_path, "b.png", saved(tmp_path, "a.png", exif=exif)).getexif()
    assert (made[ExifTags.Base.Make], made[ExifTags.Base.Orientation]) == ("Maker", 1)


def test_what_a_jpeg_cannot_hold_is_left_out(tmp_path):
    long = PngImagePlugin.PngInfo()
    long.add_itxt("XML:com.adobe.xmp", "x" * 70_000)
    long.add_text("Comment", "y" * 70_000)
    made = written(tmp_path, "b.jpg", saved(tmp_path, "a.png", pnginfo=long, exif=b"Exif\0\0" + GOOD))
    assert "xmp" not in made.info
    assert made.getexif()[ExifTags.Base.Make] == "Maker"


def test_imagemagicks_way_of_exif_in_png(tmp_path):
    text = "\nexif\n" + f"{len(GOOD) + 6:8d}\n" + "\n".join(re.findall(".{1,72}", (b"Exif\0\0" + GOOD).hex())) + "\n"
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", text)
    made = written(tmp_path, "b.png", saved(tmp_path, "a.png", pnginfo=info))
    assert made.size == (24, 40)
    assert made.getexif()[ExifTags.Base.Make] == "Maker"
    assert made.text == {}
