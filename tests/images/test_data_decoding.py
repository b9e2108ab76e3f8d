"""The decoder on real files: the pixels, and the reasons for refusals."""

import contextlib
import io
import pickle
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icc_profiles import ADOBE, GRAY
from PIL import Image, ImageCms, PngImagePlugin
from swapped_profile import profile_with_red_and_blue_swapped

from kgan.errors import UserError
from kgan.images.decoding import PictureError, at_most, decode_image, decode_picture, is_lossless, read_picture
from kgan.images.listing import find_pictures
from kgan.images.pictures import save_picture


def encoded(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    buffer.seek(0)
    return buffer


def gradient(height=24, width=40):
    """Smooth RGB, so that lossy formats stay close."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, 128 + 0 * x], -1).astype(np.uint8)


def png_claiming(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b""))


# --- what comes out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_lossless_formats_come_back_exactly(file_format, options):
    assert np.array_equal(decode_picture(encoded(Image.fromarray(gradient()), file_format, **options)), gradient())


def test_jpeg_comes_back_closely():
    pixels = decode_picture(encoded(Image.fromarray(gradient()), "JPEG", quality=95, subsampling=0))
    assert np.abs(pixels.astype(int) - gradient()).max() <= 6


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_and_type(channels):
    pixels = decode_picture(encoded(Image.fromarray(gradient()), "PNG"), channels)
    assert pixels.shape == (24, 40, channels)
    assert pixels.dtype == np.uint8


def test_gray_is_rec_601_luma():
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert decode_picture(encoded(Image.fromarray(pixels), "PNG"), 1).ravel().tolist() == [76, 150, 29]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    upright = gradient()
    undo = {  # how a camera that writes this orientation stores the upright picture
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = encoded(Image.fromarray(np.ascontiguousarray(undo(upright))), "PNG", exif=exif)
    assert np.array_equal(decode_picture(stored), upright)


def test_icc_profile_is_converted_to_srgb():
    red = Image.new("RGB", (4, 4), (250, 10, 60))
    pixels = decode_picture(encoded(red, "PNG", icc_profile=profile_with_red_and_blue_swapped()))
    assert np.abs(pixels.astype(int) - [60, 10, 250]).max() <= 1


def png_with(**chunks):
    info = PngImagePlugin.PngInfo()
    for name, content in chunks.items():
        info.add(name.encode(), content)
    file = io.BytesIO()
    Image.fromarray(np.full((2, 2, 3), 90, np.uint8)).save(file, "PNG", pnginfo=info)
    return file


def test_gamma_of_a_png_is_applied_and_kept(tmp_path):
    """Linear light 90/255 is 0.353, in sRGB 1.055 * 0.353**(1/2.4) - 0.055 = 0.6285, which is 160 of 255."""
    linear = png_with(gAMA=struct.pack(">I", 100_000))
    assert decode_picture(linear) == pytest.approx(np.full((2, 2, 3), 160), abs=1)
    picture = read_picture(linear)
    assert (picture.pixels == 90).all()
    save_picture(picture.pixels, tmp_path / "again.png", picture.profile)
    np.testing.assert_array_equal(decode_picture(tmp_path / "again.png"), decode_picture(linear))


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": struct.pack(">I", 45_455)},
        {"gAMA": struct.pack(">I", 100_000), "sRGB": b"\0"},
        {"gAMA": struct.pack(">I", 0)},
        {"gAMA": b"\xff" * 4},
    ],
    ids=repr,
)
def test_gamma_that_says_srgb_or_nothing_changes_nothing(chunks):
    assert (decode_picture(png_with(**chunks)) == 90).all()


def test_icc_profile_keeps_alpha():
    red = Image.new("RGBA", (4, 4), (250, 10, 60, 77))
    pixels = decode_picture(encoded(red, "PNG", icc_profile=profile_with_red_and_blue_swapped()), 4)
    assert np.abs(pixels.astype(int) - [60, 10, 250, 77]).max() <= 1


@pytest.mark.parametrize("profile", [b"no profile at all", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))])
def test_broken_or_srgb_profile_changes_nothing(profile):
    data = profile if isinstance(profile, bytes) else profile.tobytes()
    assert np.array_equal(decode_picture(encoded(Image.fromarray(gradient()), "PNG", icc_profile=data)), gradient())


def test_profile_of_another_colour_space_is_ignored():
    gray = Image.new("L", (4, 4), 99)
    stored = encoded(gray, "PNG", icc_profile=profile_with_red_and_blue_swapped())
    assert (decode_picture(stored) == 99).all()


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),  # transparent: the paper shows
        ("RGBA", (255, 0, 0, 128), (255, 127, 127)),  # 255 - 255 * 128 / 255
        ("LA", (0, 51), (204, 204, 204)),  # 255 * (1 - 0.2)
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
    ],
)
def test_alpha_is_laid_over_white(mode, colour, expected):
    assert decode_picture(encoded(Image.new(mode, (3, 2), colour), "PNG"))[0, 0].tolist() == list(expected)


def test_palette_and_its_transparent_colour():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    assert decode_picture(encoded(image, "PNG")).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    assert decode_picture(encoded(image, "PNG", transparency=0)).tolist() == [[[255, 255, 255], [200, 100, 50]]]
    assert decode_picture(encoded(image, "PNG", transparency=0), 4)[0, :, 3].tolist() == [0, 255]


def test_one_colour_of_an_rgb_png_is_transparent():
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    stored = encoded(image, "PNG", transparency=(1, 2, 3))
    assert decode_picture(stored).tolist() == [[[255, 255, 255], [4, 5, 6]]]


def png(width, depth, kind, row, key):
    """A PNG of one row: the bytes of its pixels and of its transparent colour, at any depth."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0)), (b"tRNS", key)]
    chunks += [(b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    packed = (struct.pack(">I", len(of)) + name + of + struct.pack(">I", zlib.crc32(name + of)) for name, of in chunks)
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


@pytest.mark.parametrize(
    ("depth", "kind", "row", "key", "expected"),
    [
        (1, 0, [0b01000000], (0,), [(0, 0), (255, 255)]),
        (1, 0, [0b01000000], (1,), [(0, 255), (255, 0)]),
        (2, 0, [0b01100000], (1,), [(85, 0), (170, 255)]),
        (4, 0, [0x56], (5,), [(85, 0), (102, 255)]),
        (8, 0, [5, 6], (5,), [(5, 0), (6, 255)]),
        (16, 0, [5, 5, 5, 6], (0x0505,), [(5, 0), (5, 255)]),
        (16, 2, [5, 5] * 3 + [255, 255] * 3, (0x0505,) * 3, [(5, 0), (255, 255)]),
    ],
)
def test_one_gray_or_colour_of_a_png_of_any_depth_is_transparent(depth, kind, row, key, expected):
    file = png(2, depth, kind, bytes(row), struct.pack(f">{len(key)}H", *key))
    pixels = read_picture(file).pixels
    assert [(int(pixel[0]), int(pixel[3])) for pixel in pixels[0]] == expected
    for channels in (1, 3):
        seen = decode_picture(file, channels)[0, :, 0]
        assert seen.tolist() == [255 if alpha == 0 else gray for gray, alpha in expected]


def test_rgba_keeps_alpha_and_whitens_what_it_hides():
    image = Image.fromarray(np.array([[[9, 8, 7, 0], [9, 8, 7, 1]]], np.uint8))
    assert decode_picture(encoded(image, "PNG"), 4).tolist() == [[[255, 255, 255, 0], [9, 8, 7, 1]]]


def test_cmyk_jpeg():
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    pixels = decode_picture(encoded(cyan, "JPEG", quality=95))
    assert np.abs(pixels.astype(int) - [0, 255, 255]).max() <= 3


def test_sixteen_bit_gray_is_scaled_not_clipped():
    values = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    assert decode_picture(encoded(Image.fromarray(values), "PNG"))[0, :, 0].tolist() == [0, 1, 128, 255]


def animation(file_format, *colours, **options):
    mode = "RGB" if isinstance(colours[0], str) else "RGBA"
    frames = [Image.new(mode, (8, 6), colour) for colour in colours]
    return encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("colours", [("red", "blue"), ((255, 0, 0, 128), (0, 0, 255, 255))])
def test_first_frame_of_an_animation(file_format, colours):
    read = read_picture(animation(file_format, *colours, lossless=True))
    assert read.pixels[0, 0, :3].tolist() == [255, 0, 0]
    if len(colours[0]) == 4 and file_format != "GIF":
        assert read.pixels[0, 0, 3] == 128
    assert read.notices == ("animated: only the first frame is used",)
    assert read.lossless


def test_first_frame_after_a_still_for_programs_that_play_nothing():
    """The first frame is not drawn over the still picture, as in browsers."""
    still = animation("PNG", (255, 0, 0, 255), (0, 255, 0, 128), (0, 0, 255, 255), default_image=True, blend=1)
    assert read_picture(still).pixels[0, 0].tolist() == [0, 255, 0, 128]


def test_phone_jpeg_with_several_pictures():
    read = read_picture(animation("MPO", "red", "blue", quality=95))
    assert np.abs(read.pixels[0, 0].astype(int) - [255, 0, 0]).max() <= 3
    assert read.notices == ()


def gif(pixels, canvas=None, at=(0, 0), **options):
    """A still GIF whose frame may be smaller than its canvas."""
    image = Image.fromarray(pixels)
    image.putpalette([value for level in range(256) for value in (level, 255 - level, 7)])
    data = bytearray(encoded(image, "GIF", optimize=False, **options).getvalue())
    frame = data.index(b",", 13 + 768)
    if canvas:
        data[6:10], data[frame + 1 : frame + 5] = struct.pack("<HH", *canvas), struct.pack("<HH", *at)
    return io.BytesIO(bytes(data))


def test_still_gif():
    levels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    read = read_picture(gif(levels))
    assert read.pixels.tolist() == np.stack([levels, 255 - levels, levels * 0 + 7], -1).tolist()
    assert (read.notices, read.lossless) == ((), True)
    assert read_picture(gif(levels, transparency=5)).pixels[0, :, 3].tolist() == [255] * 5 + [0, 255, 255]


@pytest.mark.parametrize("options", [{}, {"transparency": 5}])
def test_gif_that_does_not_fill_its_canvas_is_transparent_there(options):
    levels = np.arange(6, 12, dtype=np.uint8).reshape(2, 3)
    pixels = read_picture(gif(levels, (7, 5), (1, 2), **options)).pixels
    assert pixels.shape == (5, 7, 4)
    assert pixels[2:4, 1:4, 0].tolist() == levels.tolist()
    assert pixels[..., 3].sum() == 255 * 6


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("lossless", [True, False])
def test_lossless_files_are_known_as_such(file_format, lossless):
    """This also works with a long profile or metadata before the pixels."""
    expected = lossless or file_format != "WEBP"
    image = Image.fromarray(gradient())
    long = {"icc_profile": profile_with_red_and_blue_swapped() + bytes(9999), "exif": b"Exif\0\0" + bytes(5001)}
    for options in ({}, {} if file_format == "GIF" else long):
        stored = encoded(image, file_format, lossless=lossless, **options)
        assert is_lossless(stored) == expected
        assert read_picture(stored).lossless == expected
    assert not is_lossless(encoded(image, "JPEG"))


def test_a_picture_in_its_own_colours_and_as_a_network_sees_it():
    pixels = np.array([[[9, 8, 7, 0], [219, 0, 0, 128]]], np.uint8)
    read = read_picture(encoded(Image.fromarray(pixels), "PNG", icc_profile=ADOBE))
    assert read.profile == ADOBE
    assert read.pixels.tolist() == pixels.tolist()
    assert read.seen()[0, 0].tolist() == [255, 255, 255, 0]
    assert np.abs(read.seen()[0, 1].astype(int) - [255, 0, 0, 128]).max() <= 1
    assert read.over_white().pixels.tolist() == [[[255, 255, 255], [237, 127, 127]]]


@pytest.mark.parametrize(
    ("mode", "stored", "expected", "kept"),
    [
        ("1", 1, ("L", [255]), False),
        ("L", 128, ("L", [128]), True),
        ("LA", (128, 9), ("RGBA", [146, 146, 146, 9]), False),
        ("I;16", 128 * 257, ("L", [128]), True),
    ],
)
def test_gray_pictures_stay_gray_in_their_own_profile(mode, stored, expected, kept):
    read = read_picture(encoded(Image.new(mode, (1, 1), stored), "PNG", icc_profile=GRAY))
    assert (read.image.mode, read.pixels[0, 0].tolist()) == expected
    assert read.profile == (GRAY if kept or mode == "1" else None)


def test_enough_spares_work_and_keeps_the_bound():
    stored = encoded(Image.fromarray(gradient(400, 800)), "JPEG", quality=95)
    for enough, size in {100: (200, 100), 150: (400, 200), None: (800, 400)}.items():
        stored.seek(0)
        assert decode_image(stored, enough=enough)[0].size == size


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_truncated(file_format):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = encoded(Image.fromarray(noise), file_format).getvalue()
    with pytest.raises(PictureError, match="truncated"):
        decode_picture(io.BytesIO(whole[: len(whole) // 2]))


@pytest.mark.parametrize("size", [(60000, 60000), (10001, 10000), (2**31 - 1, 1)])
def test_header_that_claims_too_much(size):
    with pytest.raises(PictureError, match=r"megapixels.*max_megapixels"):
        decode_picture(png_claiming(*size))


def size_is_refused(picture):
    try:
        decode_picture(picture)
    except PictureError as error:
        return "--max-megapixels" in error.reason
    return False


def test_the_limit_is_asked_for():
    """A picture that the option allows is decoded, also in worker processes. Here it is damaged."""
    bomb = png_claiming(20_000, 10_000)
    assert size_is_refused(bomb)
    with at_most(200):
        assert not size_is_refused(bomb)
        code = "import os, kgan.images.decoding as d; print(d.asked_pixels())"
        assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "200000000"
    with at_most(199.9):
        assert size_is_refused(bomb)
    with at_most(0.0001):
        assert size_is_refused(encoded(Image.fromarray(gradient()), "PNG"))
    with at_most(None):
        assert size_is_refused(bomb)
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UserError, match="max_megapixels should be above 0"), at_most(wrong):
            pass


def test_a_limit_that_is_no_number(monkeypatch):
    monkeypatch.setenv("KGAN_MAX_MEGAPIXELS", "many")
    with pytest.raises(UserError, match="KGAN_MAX_MEGAPIXELS should be a number of megapixels"):
        decode_picture(encoded(Image.fromarray(gradient()), "PNG"))


def test_large_pictures_are_read_in_silence(recwarn):
    """A phone's 108 megapixels and a panorama. They are flat, and so the shortest possible PNG files."""
    before = Image.MAX_IMAGE_PIXELS
    for size in ((12_000, 9_000), (20_992, 5_248)):
        flat = encoded(Image.new("L", size, 7), "PNG", compress_level=9)
        assert len(flat.getvalue()) < size[0] * size[1] / 800
        image, notices = decode_image(flat, 1)
        assert (image.size, image.getpixel((5, 5)), notices) == (size, 7, ())
    assert not recwarn.list
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"just a text, nothing else", "not a JPEG, PNG, WebP or GIF picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not read; convert it to JPEG"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "AVIF is not read; convert"),
        (b"\0\0\0\x1cftypisom\0\0\0\0", "a film"),
        (b"GIF89a\x01\0\x01\0", "damaged or truncated"),
        (b"II*\0\x08\0\0\0", "TIFF is not read; convert"),
        (b"BM\x46\0\0\0\0\0", "BMP is not read; convert"),
    ],
)
def test_reason(tmp_path, content, reason):
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=reason) as caught:
        decode_picture(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(PictureError, match="No such file"):
        decode_picture(tmp_path / "none.png")


def test_error_survives_a_process_boundary():
    error = pickle.loads(pickle.dumps(PictureError("a.png", "damaged")))
    assert (str(error), error.reason) == ("a.png: damaged", "damaged")


@settings(max_examples=150)
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP"]),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_bytes_give_a_picture_or_a_picture_error(file_format, changes):
    data = bytearray(encoded(Image.fromarray(gradient()), file_format).getvalue())
    for where, value in changes:
        data[int(where * len(data))] = value
    with contextlib.suppress(PictureError):  # any other exception fails the test
        pixels = decode_picture(io.BytesIO(bytes(data)))
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3


# --- finding ----------------------------------------------------------------------------------------------------------


def test_find_pictures_at_any_depth_in_order(tmp_path):
    for name in ("b.JPG", "a/z.png", "a/b/c.webp", "notes.txt", ".hidden.png", ".trash/x.png", "phone.heic"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_pictures(tmp_path)]
    assert found == ["a/b/c.webp", "a/z.png", "b.JPG", "phone.heic"]


def test_find_pictures_says_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        find_pictures(tmp_path / "none")
    with pytest.raises(UserError, match="no pictures in this folder"):
        find_pictures(tmp_path)
    (tmp_path / "notes.txt").write_text("words", encoding="utf-8")
    with pytest.raises(UserError, match="no pictures in this folder"):
        find_pictures(tmp_path)
    with pytest.raises(UserError, match="should be a folder"):
        find_pictures(tmp_path / "notes.txt")


def test_decoding_needs_no_tensorflow():
    code = "import sys, kgan.images.decoding, kgan.data.check; print('tensorflow' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
