"""Properties of a picture file that `kgan stylize` keeps: colours, losslessness, format, mode and metadata."""

import io

import numpy as np
import pytest
from icc_profiles import ADOBE, GRAY, P3
from PIL import ExifTags, Image, ImageCms

from kgan import cli
from kgan.errors import UserError
from kgan.film.call import stylize
from kgan.images.decoding import is_lossless
from kgan.inference import stylize as command
from kgan.inference.loading import Model
from kgan.inference.stylist import Facts

ADOBE_RED = (219, 0, 0)


@pytest.fixture(autouse=True)
def model(monkeypatch):
    """A model without a network that inverts the brightness, so that the result is known."""

    def use(channels=3):
        made = Model("negative", lambda inputs: 1 - inputs["image"], Facts(channels, 0, True))
        monkeypatch.setattr(command, "load", lambda *_, **__: made)

    use()
    return use


def pixels(channels=3, height=30, width=40):
    levels = np.random.default_rng(channels).integers(0, 256, (height, width, channels), np.uint8)
    return levels[..., 0] if channels == 1 else levels


def save(path, array, **options):
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(path, **options)
    return path


def restyled(source, out, **options):
    (made,) = stylize([source], "negative", out, overwrite=True, **options)
    image = Image.open(made)
    image.load()  # and the file is closed
    return image


@pytest.fixture
def black(tmp_path):
    return save(tmp_path / "black.png", np.zeros((30, 40), np.uint8))


@pytest.fixture
def left(tmp_path):
    mask = np.zeros((30, 40), np.uint8)
    mask[:, :20] = 255
    return save(tmp_path / "left.png", mask)


LOSSLESS = {"a.png": {}, "a.webp": {"lossless": True, "exact": True}}


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("profile", [None, b"broken", P3, ADOBE], ids=["none", "broken", "p3", "adobe"])
def test_what_is_not_restyled_is_the_file_to_the_last_bit(tmp_path, black, left, name, channels, profile):
    """Colours of fully transparent pixels and the bytes of the profile are kept too."""
    given = pixels(channels)
    source = save(tmp_path / name, given, **LOSSLESS[name], **({"icc_profile": profile} if profile else {}))
    kept = profile if profile != b"broken" else None
    for options in ({"strength": 0}, {"mask": black}, {"strength": 0, "keep_colour": True}):
        made = restyled(source, tmp_path / "out", **options)
        assert (np.asarray(made) == given).all()
        assert made.info.get("icc_profile") == kept
    made = restyled(source, tmp_path / "out", mask=left)
    assert (np.asarray(made)[:, 20:] == given[:, 20:]).all()
    assert (np.asarray(made)[:, :20] != given[:, :20]).any()


@pytest.mark.parametrize("profile", [P3, ADOBE], ids=["p3", "adobe"])
def test_restyled_colours_are_those_of_the_way_by_srgb(tmp_path, profile):
    """The same colours in sRGB and in another profile give the same results."""
    in_srgb = Image.fromarray(40 + pixels() % 176)  # near black a level is several of sRGB's
    own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    srgb = ImageCms.createProfile("sRGB")
    wide = ImageCms.profileToProfile(in_srgb, srgb, own)
    seen = ImageCms.profileToProfile(wide, own, srgb)  # what rounding left of it
    plain = restyled(save(tmp_path / "a.png", seen), tmp_path / "out")
    tagged = restyled(save(tmp_path / "b.png", wide, icc_profile=profile), tmp_path / "out")
    assert tagged.info["icc_profile"] == profile
    off = np.abs(np.asarray(ImageCms.profileToProfile(tagged, own, srgb), int) - np.asarray(plain))
    assert off.max() <= 3
    assert off.mean() < 0.5


def test_red_in_adobe_rgb_by_hand(tmp_path):
    """The negative of red is cyan: in Adobe RGB red light of 1 - (219 / 255) ** 2.2 = 0.285, so (144, 255, 255)."""
    source = save(tmp_path / "red.png", Image.new("RGB", (8, 8), ADOBE_RED), icc_profile=ADOBE)
    assert np.abs(np.asarray(restyled(source, tmp_path / "out"), int) - [144, 255, 255]).max() <= 2
    source = save(tmp_path / "red.jpg", Image.new("RGB", (8, 8), ADOBE_RED), icc_profile=ADOBE)
    made = restyled(source, tmp_path / "out")
    assert np.abs(np.asarray(made, int) - [144, 255, 255]).max() <= 4
    assert made.info["icc_profile"] == ADOBE


@pytest.mark.parametrize("profile", [None, GRAY], ids=["none", "gray"])
def test_gray_pictures(tmp_path, black, left, profile):
    given = pixels(1)
    source = save(tmp_path / "a.png", given, **({"icc_profile": profile} if profile else {}))
    for options in ({"strength": 0}, {"mask": black}, {"mask": left, "keep_colour": True}):
        made = restyled(source, tmp_path / "out", **options)
        assert (made.mode, made.info.get("icc_profile")) == ("L", profile)
        assert (np.asarray(made)[:, 20:] == given[:, 20:]).all()
    coloured = restyled(source, tmp_path / "out")
    assert (coloured.mode, coloured.info.get("icc_profile")) == ("RGB", None)


def test_gray_models(model, tmp_path):
    model(1)
    made = restyled(save(tmp_path / "a.png", pixels(1), icc_profile=GRAY), tmp_path / "out")
    assert (made.mode, made.info["icc_profile"]) == ("L", GRAY)
    made = restyled(save(tmp_path / "a.png", pixels(3), icc_profile=P3), tmp_path / "out")
    assert (made.mode, made.info["icc_profile"]) == ("RGB", P3)
    assert restyled(save(tmp_path / "a.png", pixels(3)), tmp_path / "out").mode == "L"


def test_cmyk_becomes_srgb(tmp_path):
    source = save(tmp_path / "a.jpg", Image.new("CMYK", (16, 16), (255, 0, 0, 0)), icc_profile=b"for printing")
    made = restyled(source, tmp_path / "out", strength=0)
    assert (made.mode, made.info.get("icc_profile")) == ("RGB", None)
    assert np.abs(np.asarray(made, int) - [0, 255, 255]).max() <= 4


def test_webp_stays_as_lossless_or_lossy_as_it_was(tmp_path):
    for lossless in (True, False):
        source = save(tmp_path / "a.webp", pixels(), lossless=lossless)
        assert is_lossless(restyled(source, tmp_path / "out").filename) == lossless


def exif():
    said = Image.Exif()
    said[ExifTags.Base.Orientation], said[ExifTags.Base.Copyright] = 6, "Ann"
    said.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    return said


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("kind", [None, "jpeg", "png", "webp", "webp-lossless"])
def test_what_a_file_says_is_kept_or_stripped(tmp_path, name, kind):
    source = save(tmp_path / name, pixels(), exif=exif(), dpi=(300, 300), icc_profile=P3, xmp=b"<tiff:Orientation>6<")
    made = restyled(source, tmp_path / "out", format=kind)
    assert made.size == (30, 40)  # turned
    said = made.getexif()
    assert (said[ExifTags.Base.Orientation], said[ExifTags.Base.Copyright]) == (1, "Ann")
    assert said.get_ifd(ExifTags.IFD.GPSInfo) == {1: "N"}
    assert made.info["icc_profile"] == P3
    stripped = restyled(source, tmp_path / "out", format=kind, strip_metadata=True)
    assert stripped.size == (30, 40)
    assert dict(stripped.getexif()) == {}
    colours, encoding = {"icc_profile"}, {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert stripped.info.keys() - encoding <= colours | {"background", "loop", "timestamp", "duration"}


@pytest.mark.parametrize(
    ("kind", "name", "file_format", "lossless"),
    [
        ("jpeg", "a.jpg", "JPEG", False),
        ("png", "a.png", "PNG", True),
        ("webp", "a.webp", "WEBP", False),
        ("webp-lossless", "a.webp", "WEBP", True),
    ],
)
@pytest.mark.parametrize("source", ["a.jpg", "a.png", "a.webp", "a.gif"])
def test_format(tmp_path, source, kind, name, file_format, lossless):
    made = restyled(save(tmp_path / source, pixels()), tmp_path / "out", format=kind)
    assert made.format == file_format
    assert made.filename == str(tmp_path / "out" / name)
    assert is_lossless(made.filename) == lossless


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_quality(tmp_path, name):
    source = save(tmp_path / name, pixels())
    sizes = []
    for quality in (1, 50, None, 100):
        made = restyled(source, tmp_path / "out", quality=quality)
        sizes.append((tmp_path / "out" / name).stat().st_size)
    assert sizes == sorted(set(sizes))
    assert made.size == (40, 30)


@pytest.mark.parametrize(
    ("words", "expected"),
    {
        "a.png --quality 0": "--quality should be from 1 to 100. Received: 0",
        "a.jpg --quality 101": "--quality should be from 1 to 100. Received: 101",
        "a.jpg --quality 80 --format png": "--quality 80: png is lossless and has none; give --format jpeg or webp",
        "a.jpg --quality 80 --format webp-lossless": "--quality 80: webp-lossless is lossless and has none",
        "a.png --quality 80": "--quality 80: png is lossless and has none; give --format jpeg or webp",
        "a.jpg --max-megapixels 0": "--max-megapixels should be above 0. Received: 0",
        "long.png --format webp": "may have 16383 pixels a side. Received: 16400x1; give --format png",
        "a.jpg --max-megapixels 0.001": "a.jpg: its header claims 40x30 pixels",
    }.items(),
)
def test_one_clear_line(tmp_path, capsys, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.png", pixels())
    save(tmp_path / "a.jpg", pixels())
    save(tmp_path / "long.png", Image.new("L", (16_400, 1)))
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["stylize", *words.split(), "--model", "negative", "--output", "out"]) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_animations_are_told_of_and_still_gifs_are_not(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("white", "blue")]
    for name in ("a.gif", "b.webp", "c.png"):
        save(tmp_path / "in" / name, frames[0], save_all=True, append_images=frames[1:], lossless=True)
    save(tmp_path / "in" / "still.gif", frames[0])
    made = stylize([tmp_path / "in"], "negative", tmp_path / "out")
    assert [path.name for path in made] == ["a.png", "b.webp", "c.png", "still.png"]
    for path in made:
        assert np.asarray(Image.open(path).convert("RGB")).max() == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "animated" in line]
    expected = "animated: only the first frame is used"
    assert said == [f"{tmp_path / 'in' / name}: {expected}" for name in ("a.gif", "b.webp", "c.png")]


def test_a_wrong_wish_is_refused_before_any_work(tmp_path):
    with pytest.raises(UserError, match="quality"):
        stylize([save(tmp_path / "a.jpg", pixels())], "negative", tmp_path / "out", quality=1000)
    assert not (tmp_path / "out").exists()
