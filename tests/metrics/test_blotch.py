import numpy as np
import pytest

from kgan.evaluation.measure import measured
from kgan.metrics.blotch import blotch


def meadow():
    """A green meadow below a blue sky, uint8 [128, 128, 3], with grain."""
    picture = np.zeros((128, 128, 3))
    picture[:64] = (110, 150, 220)
    picture[64:] = (90, 140, 60)
    return np.uint8(picture + np.random.default_rng(0).integers(-8, 8, (128, 128, 1)))


def test_a_patch_is_found_with_its_size():
    made = meadow()
    made[72:104, 40:72] = (230, 200, 40)
    assert blotch(made, meadow()) == pytest.approx(32 * 32 / 128**2)
    assert measured(made, meadow(), None, "")["blotch"] == blotch(made, meadow())


def test_other_colours_everywhere_are_a_style():
    made = meadow()
    made[64:] = (220, 190, 130)
    made[:64] = (240, 200, 200)
    assert blotch(made, meadow()) == 0
    assert blotch(meadow(), meadow()) == 0


def test_strokes_and_light_are_no_blotches():
    made = meadow()
    made[70:74] = (230, 200, 40)  # thinner than a patch
    made[80:90, 8:120] = np.clip(made[80:90, 8:120] * 1.5, 0, 255)
    assert blotch(made, meadow()) == 0


def test_what_the_content_has_is_its_own():
    content = meadow()
    content[72:104, 40:72] = (220, 40, 40)
    made = content.copy()
    made[content[..., 0] < 200] = (200, 200, 120)
    assert blotch(made, content) == 0


@pytest.mark.parametrize("shape", [(11, 13, 3), (24, 24, 1), (40, 30, 4)])
def test_small_pictures_of_any_channels(shape):
    picture, content = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    assert 0 <= blotch(picture, content) <= 1
