"""Smoothing takes away flicker as arithmetic says, follows what moves, and leaves alone what is new."""

import itertools
import sys

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.film import smoothing
from kgan.film.smoothing import Smoother
from kgan.metrics.flicker import pan, warping_error

pytest.importorskip("cv2")
SIZE = (72, 96)
NOISE = 12.0
"""Standard deviation of the planted flicker in levels."""


def photo(height, width, seed=0):
    """A picture with coarse and fine detail, whose flow can be estimated, uint8."""
    random = np.random.default_rng(seed)
    layers = []
    for cell in (4, 12, 24):
        cells = random.uniform(0, 60, (height // cell + 1, width // cell + 1, 3))
        layers.append(np.kron(cells, np.ones((cell, cell, 1)))[:height, :width])
    return np.uint8(40 + sum(layers))


def still(count, size=SIZE):
    return [photo(*size)] * count


def panned(count, right, down, size=SIZE):
    large = photo(size[0] + count * down, size[1] + count * right)
    return [large[k * down : k * down + size[0], k * right : k * right + size[1]] for k in range(count)]


def painted(film, channels=3, seed=1):
    """A restyled film without structure of its own, in which each frame has its own noise, uint8 [N, H, W, C]."""
    noise = np.random.default_rng(seed).normal(0, NOISE, (len(film), *film[0].shape[:2], channels))
    return np.uint8(np.round(np.clip(128 + noise, 0, 255)))


def differences(made):
    """The mean squared difference of neighbouring frames in levels."""
    frames = np.asarray(made, np.float64)
    return np.mean((frames[1:] - frames[:-1]) ** 2, axis=(1, 2, 3))


@pytest.mark.parametrize("part", [0.3, 0.5, 0.8])
def test_noise_of_a_still_film_falls_as_worked_by_hand(part):
    """A frame is (1-p) x + p y, with its own x and the y before. In the end, y varies by (1-p) / (1+p) of the variance
    of x, so that y - x has 2 / (1+p) of it, and two neighbours differ by (1-p)^2 of that."""
    film = still(24)
    smooth = Smoother(part)(film, painted(film))
    expected = (1 - part) ** 2 * 2 / (1 + part) * NOISE**2 + 1 / 6  # two roundings
    assert differences(smooth)[-8:].mean() == pytest.approx(expected, rel=0.05)
    assert np.mean(smooth) == pytest.approx(128, abs=0.2)  # no drift


@pytest.mark.parametrize("size", [SIZE, (150, 900)], ids=["small", "flow at a part of its size"])
def test_it_follows_what_moves(size):
    """The noise moves with nothing: what is left of it is about what a still film would keep. Along another flow than
    that of the film, the painted detail would be averaged away."""
    film = panned(12, 3, 1, size)
    dark = [np.uint8(255 - frame) for frame in film]
    noisy = np.uint8(np.clip(dark + np.random.default_rng(1).normal(0, NOISE, (12, *size, 3)), 0, 255))
    smooth = Smoother(0.5)(film, noisy)
    flow = pan(2, 3, 1)[0].flow_to(pan(2, 3, 1)[1], size)
    flickers = [[warping_error(*pair, flow) for pair in itertools.pairwise(each)][-5:] for each in (noisy, smooth)]
    assert np.mean(flickers[1]) < 0.35 * np.mean(flickers[0])
    inner = np.s_[-4:, 16:-16, 16:-16]
    errors = [np.mean((np.float64(each[inner]) - np.stack(dark)[inner]) ** 2) for each in (noisy, smooth)]
    assert errors[1] < 0.6 * errors[0]


def test_what_is_new_is_not_mixed_with_what_was_there():
    film = still(6)
    after = [frame.copy() for frame in film]
    for frame in after:
        frame[20:50, 30:70] = photo(30, 40, seed=7) // 2 + 120
    made = painted([*film, *after])
    smooth = Smoother(0.5)([*film, *after], made)
    new = np.s_[6, 26:44, 36:64]
    assert np.abs(smooth[new].astype(int) - made[new]).mean() < 0.2 * np.abs(smooth[5].astype(int) - made[5]).mean()
    kept = np.s_[6, 56:, :]
    assert np.abs(smooth[kept].astype(int) - made[kept]).mean() > 3


def test_a_scene_begins_with_its_own_frame():
    film = [*still(4), *[np.ascontiguousarray(255 - photo(*SIZE, seed=5))] * 4]
    made = painted(film)
    smooth = Smoother(0.5)(film, made)
    assert [np.array_equal(*pair) for pair in zip(smooth, made, strict=True)] == [k in (0, 4) for k in range(8)]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_groups_and_interruptions_do_not_matter(channels):
    film = [*panned(7, 2, 1), *still(6)]
    film = [np.dstack([frame, np.full(SIZE, 255, np.uint8)]) for frame in film] if channels == 4 else film
    made = painted(film, channels)
    whole = Smoother()(film, made)
    assert whole.shape == made.shape
    parts, smoother = [], Smoother()
    for since, until in ((0, 1), (1, 5), (5, 9), (9, 13)):
        parts.append(smoother(film[since:until], made[since:until]))
        state, smoother = smoother.state, Smoother()
        smoother.state = state
    assert np.array_equal(np.concatenate(parts), whole)


def test_without_a_part_frames_stay_as_they_are():
    made, smoother = painted(still(3)), Smoother(0)
    assert smoother(still(3), made) is made
    assert smoother.state == {}


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (9, 11), (12, 200), (300, 20)])
def test_frames_of_any_size(size):
    film = still(8, size)
    smooth = Smoother(0.5)(film, painted(film))
    assert differences(smooth)[-3:].mean() < 0.7 * differences(painted(film))[-3:].mean()


def test_wrong_parts_and_a_missing_opencv_are_one_line(monkeypatch):
    for part in (-0.1, 1.0, float("nan")):
        with pytest.raises(UserError, match=r"smooth .* should be at least 0 and below 1"):
            Smoother(part)
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert Smoother(0).state == {}
    with pytest.raises(UserError, match=r"pip install .*, or give smooth 0"):
        Smoother(smoothing.SMOOTH)
