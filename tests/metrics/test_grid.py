import numpy as np
import pytest

from kgan.evaluation.measure import measured
from kgan.metrics.grid import grid


def ground(size=144):
    """A smooth slope of gray, float [size, size, 3]."""
    return np.repeat(np.linspace(0.4, 0.5, size)[None, :, None] * np.ones((size, 1, 1)), 3, axis=2)


def dashes(degrees, count=60, size=144):
    """Dark dashes of 40 pixels with soft sides in given directions on the ground."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    made = ground(size)
    for turn in np.radians(random.choice(degrees, count)):
        top, left = random.integers(0, size, 2)
        along = (columns - left) * np.cos(turn) + (rows - top) * np.sin(turn)
        across = (rows - top) * np.cos(turn) - (columns - left) * np.sin(turn)
        made -= 0.04 * (np.exp(-0.5 * (across / 1.5) ** 2) * np.exp(-0.5 * (along / 20) ** 2))[..., None]
    return np.clip(made, 0, 1)


def test_dashes_along_rows_columns_and_diagonals_are_found():
    free = grid(dashes(np.arange(0, 180, 7.3)), ground())
    for directions in ([0, 90], [45, 135], [0, 45, 90, 135], [90]):
        assert grid(dashes(directions), ground()) > 2 * free
    assert measured(dashes([0, 90]), ground(), None, "")["grid"] > 2 * free
    assert grid(dashes([22, 112]), ground()) < free
    assert grid(ground(), ground()) == 0


def test_a_stronger_grid_has_a_larger_number():
    weak, strong = (grid(ground() + share * (dashes([0, 90]) - ground()), ground()) for share in (0.5, 1.0))
    assert strong == pytest.approx(2 * weak, rel=0.1)


def test_detail_of_the_content_is_no_grid():
    content = dashes([0, 90])
    assert grid(content, content) == 0
    made = grid(dashes([0, 90], 200), content)
    assert made < grid(dashes([0, 90], 200), ground())


@pytest.mark.parametrize("shape", [(11, 13, 3), (33, 60, 1), (90, 90, 4)])
def test_small_pictures_of_any_channels(shape):
    picture, content = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    assert np.isfinite(grid(picture, content))
