"""Estimated flow: it finds moves, and tells which points are hidden."""

import sys

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.images.optical_flow import estimated_flow

RANDOM = np.random.default_rng(0)


def test_the_estimated_flow_finds_a_move():
    pytest.importorskip("cv2")
    photo = np.kron(RANDOM.integers(0, 256, (30, 40, 3), np.uint8), np.ones((5, 5, 1), np.uint8))
    first, second = photo[10:106, 12:140].copy(), photo[10:106, 9:137].copy()  # things go 3 to the right
    flow, seen = estimated_flow(first, second)
    assert np.abs(flow[16:-16, 16:-16] - (3, 0)).mean() < 0.3
    assert seen[16:-16, 16:-16].mean() > 0.95


def test_points_behind_a_moving_thing_are_hidden():
    pytest.importorskip("cv2")
    random = np.random.default_rng(0)
    first, thing = textured(96, 128, random), textured(48, 40, random)
    second = first.copy()
    first[24:72, 32:72] = second[24:72, 40:80] = thing
    flow, seen = estimated_flow(first, second)
    assert np.abs(flow[30:66, 38:66] - (8, 0)).mean() < 0.3
    assert seen[30:66, 38:66].all()
    assert seen[30:66, 73:79].mean() < 0.3  # the thing is before them in the second frame


def textured(height, width, random):
    """A random picture with coarse and fine detail, uint8."""
    layers = []
    for cell in (4, 12, 24):
        cells = random.uniform(0, 80, (height // cell + 1, width // cell + 1, 3))
        layers.append(np.kron(cells, np.ones((cell, cell, 1)))[:height, :width])
    return np.uint8(sum(layers))


def test_without_opencv_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match="pip install"):
        estimated_flow(np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32, 3), np.uint8))
