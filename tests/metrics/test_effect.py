"""No effect: tiles that stay the photo's are found, and grain, blur and blocks do not count as style."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from kgan.evaluation.measure import measured
from kgan.evaluation.score import without_effect
from kgan.metrics import effect
from kgan.metrics.tile_styles import tile_styles


def photo(seed=0, size=(128, 192)):
    """Smooth gray-green shapes."""
    noise = np.random.default_rng(seed).integers(60, 160, (size[0] // 16, size[1] // 16, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).resize(size[::-1], Image.Resampling.BICUBIC))


def painted(picture, seed=0):
    """Strokes of 5 pixels in orange and blue."""
    random = np.random.default_rng(seed)
    made = picture.copy()
    for top, left in random.integers(0, picture.shape[:2], (900, 2)):
        made[top : top + 5, left : left + 12] = random.choice([[240, 150, 30], [30, 60, 200], [250, 220, 80]])
    return made


@pytest.fixture(scope="module")
def style():
    return np.concatenate([tile_styles(painted(photo(seed), seed)).reshape(-1, 896) for seed in range(10, 14)])


def share(picture, content, style):
    tiles = {"tiles": tile_styles(picture), "content_tiles": tile_styles(content), "reference_tiles": style}
    return measured(picture, content, None, "", tiles=tiles)["no_effect"]


def test_tiles_that_stayed_the_photos_are_counted(style):
    content = photo()
    made = painted(content)
    assert share(made, content, style) == 0
    made[:, :64] = content[:, :64]
    assert share(made, content, style) == pytest.approx(1 / 3)
    assert share(content, content, style) == 1


def jpeg(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=5)
    return np.asarray(Image.open(file))


HARMS = {
    "grain": lambda picture: np.uint8(np.clip(picture + np.random.default_rng(0).normal(0, 25, (128, 192, 1)), 0, 255)),
    "blur": lambda picture: np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(4))),
    "blocks": jpeg,
}


@pytest.mark.parametrize("harm", HARMS)
def test_harm_leads_away_from_the_style(harm, style):
    content = photo()
    made = painted(content)
    near, far = (
        effect.approaches(tile_styles(picture), tile_styles(content), style) for picture in (made, HARMS[harm](made))
    )
    assert (far < near - effect.NEARER).all()


def test_a_change_alone_is_no_effect(style):
    """A blurred photo left the photo, but did not come nearer to the style."""
    content = painted(photo(), 3) // 2 + 60
    blurred = HARMS["blur"](content)
    assert effect.changes(blurred, content).min() > 1
    assert share(blurred, content, style) == 1


def test_a_change_of_colour_or_of_structure_is_a_change():
    content = np.full((64, 128, 3), 100, np.uint8)
    assert effect.changes(content, content) == pytest.approx(np.zeros((1, 2)), abs=1e-6)
    red = content.copy()
    red[:, 64:, 0] = 180
    quiet, loud = effect.changes(red, content)[0]
    assert quiet < 1 < loud
    lined = content.copy()
    lined[::8] = lined[1::8] = 130
    assert effect.changes(lined, content).min() > 1


def test_approaches_by_hand():
    style = np.array([[0.0, 2.0]] * 5 + [[0.0, 0.0]] * 5)  # the second feature has deviation 1, the first none
    content, tiles = np.array([[[0.0, 6.0]]]), np.array([[[0.0, 4.0]]])
    nearer = effect.approaches(tiles, content, style)[0, 0] * effect.NEARER
    assert nearer == pytest.approx(1 - 2 / 4, abs=1e-3)
    assert effect.approaches(content, tiles, style)[0, 0] < 0


@pytest.mark.parametrize("shape", [(11, 13, 3), (40, 150, 1), (64, 64, 4)])
def test_small_pictures_have_tiles_too(shape):
    picture, content = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    assert tile_styles(picture).shape[:2] == effect.changes(picture, content).shape


def test_the_worst_tenth_of_the_pictures():
    each = [{"name": f"{k}", "no_effect": k / 20} for k in range(20)]
    found = without_effect(each, seed=0)["without_effect"]
    assert found["pictures"] == [str(k) for k in range(10, 20)]
    assert found["worst_tenth"]["value"] == pytest.approx((19 + 18) / 2 / 20)
    assert without_effect([{"name": "a"}], 0) == {}
