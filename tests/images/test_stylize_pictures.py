"""Ranges, channels, atomic saving and grids of kgan.images.pictures."""

import numpy as np
import pytest
from PIL import Image

from kgan.errors import RunError, UserError
from kgan.images import pictures


def test_uint8_round_trip():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert (pictures.to_uint8(pictures.to_float(values)) == values).all()


@pytest.mark.parametrize("wrong", [np.full((2, 2, 3), 128.0), np.full((2, 2, 3), -1.0), np.ones((2, 2, 3), np.int32)])
def test_other_ranges_are_refused(wrong):
    with pytest.raises(UserError, match="should be"):
        pictures.to_float(wrong)


def test_nan_is_refused():
    with pytest.raises(UserError, match=r"should be in \[0, 1\]"):
        pictures.to_float(np.full((2, 2, 3), np.nan))


def test_channels_by_hand():
    red = np.array([[[1.0, 0.0, 0.0]]], np.float32)
    half_red = np.array([[[1.0, 0.0, 0.0, 0.5]]], np.float32)
    assert pictures.with_channels(red, 1)[0, 0] == pytest.approx([0.299])
    assert pictures.with_channels(half_red, 3)[0, 0] == pytest.approx([1.0, 0.5, 0.5])
    assert pictures.with_channels(red, 4)[0, 0].tolist() == [1, 0, 0, 1]
    gray = np.full((1, 1, 1), 0.25, np.float32)
    assert pictures.with_channels(gray, 3)[0, 0].tolist() == [0.25] * 3
    assert pictures.with_channels(gray, 1) is gray
    with pytest.raises(UserError, match="1, 3 or 4 channels"):
        pictures.with_channels(np.zeros((4, 4, 2), np.float32), 3)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_round_trip_is_exact(tmp_path, channels):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    pictures.save_picture(picture, tmp_path / "x.png")
    assert (np.array(Image.open(tmp_path / "x.png")).reshape(picture.shape) == picture).all()
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


def test_rgba_to_jpeg_is_over_white(tmp_path):
    pictures.save_picture(np.zeros((16, 16, 4), np.uint8), tmp_path / "x.jpg")
    assert np.array(Image.open(tmp_path / "x.jpg")).min() >= 250


def test_other_suffix_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(UserError, match="should end in"):
        pictures.save_picture(np.zeros((4, 4, 3), np.uint8), tmp_path / "x.tiff")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["n" * 252 + ".png", "folder.png"])
def test_a_name_that_no_file_can_have_is_no_reason_to_stop(tmp_path, name):
    """A `RunError` would end the work on all other pictures."""
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match="cannot be written") as raised:
        pictures.save_picture(np.zeros((4, 4, 3), np.uint8), tmp_path / name)
    assert not isinstance(raised.value, RunError)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_grid_places_cells_between_white_gutters():
    black, white = np.zeros((3, 4, 3), np.uint8), np.ones((3, 4, 1), np.float32)
    made = pictures.grid([[black, white], [black]])
    g = pictures.GUTTER
    assert made.shape == (6 + g, 8 + g, 3)
    assert (made[:3, :4] == 0).all()
    assert (made[3 + g :, :4] == 0).all()
    assert made.sum() == 255 * 3 * (made.shape[0] * made.shape[1] - 2 * 12)
