"""Measures of artefacts: they find each artefact in pictures of the packaged sample, and none in clean pictures."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageFilter

from kgan.data import sources
from kgan.evaluation.measure import measured
from kgan.metrics import artefacts

CLEAN = {"checkerboard": 1.0, "droplets": 0.5, "haloes": 0.03, "inversion": 0.02, "frame": 0.02}
"""Upper limits for clean pictures."""


def meters(picture, content):
    """The measures of artefacts, as in an evaluation."""
    numbers = measured(picture, content, None, "")
    return {name: numbers[name] for name in CLEAN}


@pytest.fixture(scope="module")
def sample():
    """Twelve test pictures, float [128, 128, 3], in both styles: {"flat": [...], "3d": [...]}."""
    with zipfile.ZipFile(sources.importlib.resources.files("kgan.data") / "sample.zip") as archive:
        names = {style: [name for name in sorted(archive.namelist()) if f"test/{style}/" in name] for style in STYLES}
        return {style: [decoded(archive.read(name)) for name in names[style][::4][:12]] for style in STYLES}


STYLES = ("flat", "3d")


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((128, 128), Image.Resampling.LANCZOS)) / 255


def waves(period):
    """A pattern [128, 128, 1] in [-1, 1] with a period in both directions."""
    wave = np.cos(2 * np.pi / period * np.arange(128))
    return np.outer(wave, wave)[..., None]


def with_dots(picture, count=12):
    random = np.random.default_rng(0)
    made = picture.copy()
    for y, x in random.integers(8, 120, (count, 2)):
        made[y : y + 3, x : x + 3] += 0.3 if made[y, x].mean() < 0.5 else -0.3
    return np.clip(made, 0, 1)


def with_haloes(picture):
    image = Image.fromarray(np.uint8(picture * 255))
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(4))) / 255
    return np.clip(picture + 0.6 * (picture - blurred), 0, 1)


def as_jpeg(picture):
    file = io.BytesIO()
    Image.fromarray(np.uint8(picture * 255)).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file)) / 255


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("change", [lambda p: p, as_jpeg, lambda p: 0.2 + 0.7 * p], ids=["same", "jpeg", "paler"])
def test_clean_pictures_are_not_accused(sample, style, change):
    for picture in sample[style]:
        numbers = meters(change(picture), picture)
        assert all(numbers[name] < bound for name, bound in CLEAN.items()), numbers


def test_what_was_there_is_not_accused(sample):
    """Spots and glows of the content do not count."""
    for picture in sample["flat"]:
        for faulty in (with_dots(picture), with_haloes(picture)):
            numbers = meters(faulty, faulty)
            assert numbers["droplets"] < 0.5
            assert numbers["haloes"] == 0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("period", [2, 4])
def test_checkerboards_are_found(sample, style, period):
    for picture in sample[style]:
        amounts = [artefacts.checkerboard(np.clip(picture + a * waves(period), 0, 1)) for a in (0.0, 0.03, 0.1)]
        assert amounts[0] < CLEAN["checkerboard"] < amounts[1] < amounts[2]


def test_other_periods_are_texture(sample):
    for picture in sample["flat"]:
        assert artefacts.checkerboard(np.clip(picture + 0.1 * waves(5.3), 0, 1)) < CLEAN["checkerboard"]


@pytest.mark.parametrize("style", STYLES)
def test_dots_are_found(sample, style):
    for picture in sample[style]:
        dotted = with_dots(picture)
        assert artefacts.droplets(dotted, picture) > 2
        assert artefacts.droplets(dotted) > artefacts.droplets(picture) + 2  # without the content too


def test_dots_by_hand():
    picture = np.full((30, 30, 1), 0.5)
    picture[13:16, 13:16] = 0.9
    # 22 x 22 pixels have a whole 9x9 window, and 11 x 11 of these have dot pixels in it: where all nine are in the
    # inner 5x5, which is at 3 x 3 pixels, the ring is flat and the spot is seen; the other 112 rings are not flat.
    assert artefacts.droplets(picture) == pytest.approx(1000 * 9 / (22**2 - 112))
    assert artefacts.droplets(picture, picture) == 0


def test_haloes_are_found(sample):
    found = [artefacts.haloes(with_haloes(picture), picture) for picture in sample["flat"] + sample["3d"]]
    assert np.median(found) > 0.08
    assert np.sum(np.array(found) > CLEAN["haloes"]) >= 22  # of 24: a glow on white is clipped


def test_haloes_by_hand():
    """A step from 0.2 to 0.7; on the bright side the picture overshoots by 0.1 at 3 pixels: a fifth of the step."""
    content = np.full((40, 40, 1), 0.2)
    content[:, 20:] = 0.7
    picture = content.copy()
    picture[:, 20:26] = 0.8
    glow = artefacts.haloes(picture, content)
    # Pixels 17 to 22 have the step between their two sides. 8 pixels right of 17 the overshoot has not yet ended.
    assert glow == pytest.approx(0.2 * 5 / 6)
    assert artefacts.haloes(np.flip(picture, 1), np.flip(content, 1)) == pytest.approx(glow)
    assert artefacts.haloes(picture.swapaxes(0, 1), content.swapaxes(0, 1)) == pytest.approx(glow)
    assert artefacts.haloes(1 - picture, 1 - content) == pytest.approx(glow)  # the same on the dark side
    assert artefacts.haloes(2 * content - picture, content) == 0  # dim towards the edge: shading


def with_frame(picture, amount, width=3):
    made = picture.copy()
    made[:width] += amount
    made[-width:] += amount
    made[:, :width] += amount
    made[:, -width:] += amount
    return np.clip(made, 0, 1)


def test_frames_are_found(sample):
    for picture in (
        np.pad(each, ((8, 8), (8, 8), (0, 0)), constant_values=1) for each in sample["flat"] + sample["3d"]
    ):
        amounts = [artefacts.frame(with_frame(picture, amount), picture) for amount in (0.0, -0.05, -0.3)]
        assert amounts == pytest.approx([0.0, 0.05, 0.3], abs=0.01)
        restyled = np.clip(0.8 * picture**1.5 + 0.03 * np.pad(waves(7.1), ((8, 8), (8, 8), (0, 0)), "wrap"), 0, 1)
        assert artefacts.frame(restyled, picture) < CLEAN["frame"]
        assert artefacts.frame(with_frame(picture, -0.3), with_frame(picture, -0.3)) == 0  # the content has it


def test_frames_by_hand():
    """Of one side only, in one colour, and of no picture with too few even parts or too small for them."""
    content = np.full((96, 64, 3), 0.5)
    picture = content.copy()
    picture[:, 60:62, 2] = 0.7  # a stripe at the right
    assert artefacts.frame(picture, content) == pytest.approx(0.2)
    assert artefacts.frame(np.uint8(picture * 255), np.uint8(content * 255)) == pytest.approx(0.2, abs=0.01)
    content[::2] += 0.1  # no side is even
    assert artefacts.frame(picture, content) == 0
    assert artefacts.frame(picture[:63], np.full((63, 64, 3), 0.5)) == 0


def test_inversion_is_found(sample):
    for picture in sample["flat"]:
        assert artefacts.inversion(1 - picture, picture) == pytest.approx(1, abs=1e-6)
        assert artefacts.inversion(picture**2, picture) < 0.05


def test_flat_pictures_are_numbers():
    flat, other = np.full((32, 32, 3), 0.5), np.random.default_rng(0).random((32, 32, 3))
    assert meters(flat, flat) == dict.fromkeys(CLEAN, 0)
    assert artefacts.inversion(flat, other) == 0.5


@pytest.mark.parametrize("shape", [(11, 13, 3), (17, 40, 1), (20, 20, 4), (64, 11, 3)])
def test_small_pictures_of_any_channels(shape):
    random = np.random.default_rng(0)
    picture, content = random.integers(0, 256, (2, *shape), np.uint8)
    numbers = meters(picture, content)
    assert all(np.isfinite(value) and value >= 0 for value in numbers.values())
    assert meters(picture / 255, content / 255) == pytest.approx(numbers, abs=1e-4)
