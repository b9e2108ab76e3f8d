import numpy as np
import pytest

from kgan.evaluation.measure import measured
from kgan.metrics.blown import blown


def sky(level=(120, 160, 220)):
    """A uint8 picture [32, 32, 3]: a flat sky above noise."""
    picture = np.random.default_rng(0).integers(20, 200, (32, 32, 3), np.uint8)
    picture[:8] = level
    return picture


def test_a_sky_that_turned_white_is_found():
    assert measured(sky((250, 250, 244)), sky(), None, "")["blown"] == pytest.approx(0.25)
    assert blown(sky((250, 250, 244)), sky()) == pytest.approx(0.25)


def test_the_bound_is_243_in_every_channel():
    assert blown(sky((243, 255, 255)), sky()) == 0
    assert blown(sky((255, 255, 230)), sky()) == 0  # light yellow is a colour


def test_white_of_the_content_is_not_accused():
    assert blown(sky((255, 255, 255)), sky((255, 255, 255))) == 0
    assert blown(sky(), sky((255, 255, 255))) == 0
    changed = sky((255, 255, 255))
    changed[8:12] = 255
    assert blown(changed, sky((255, 255, 255))) == pytest.approx(0.125)


def test_gray_and_transparent_pictures():
    gray = np.full((16, 16, 1), 0.5, np.float32)
    assert blown(np.ones_like(gray), gray) == 1
