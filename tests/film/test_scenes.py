"""Cuts, and statistics that are shared along a scene."""

import numpy as np
import pytest

from kgan.film.scene_statistics import EVERY, SceneStatistics
from kgan.film.scenes import Scenes


def scene(seed, count, speed=1):
    """Frames of a camera that moves over a smooth random picture, uint8 [count, 36, 64, 3]."""
    waves = np.random.default_rng(seed).uniform(-0.25, 0.25, (8, 3))
    rows, columns = np.mgrid[:36, : 64 + count * speed]
    whole = np.stack([sum(np.sin(y * rows + x * columns + k * z) for y, x, z in waves) for k in (1, 9, 30)], -1)
    whole = np.uint8(np.clip(127 + 30 * whole, 0, 255))
    return np.stack([whole[:, k * speed : k * speed + 64] for k in range(count)])


def scaled(frames, factors):
    return np.uint8(frames * np.asarray(factors)[:, None, None, None])


def cuts(frames):
    scenes = Scenes()
    return [k for k, frame in enumerate(frames) if scenes.begins(frame)]


FADE = np.linspace(1, 0, 8)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (np.concatenate([scene(1, 9), scene(2, 7), scene(3, 5)]), [0, 9, 16]),
        (scene(1, 40, speed=2), [0]),  # a moving camera
        (scaled(scene(1, 12), [1, 1, 1, 1, 1, 0.2, 1, 1, 1, 1, 1, 1]), [0]),
        (np.concatenate([scene(1, 6), np.full((1, 36, 64, 3), 255, np.uint8), scene(1, 6)]), [0]),  # a flash
        (np.concatenate([scaled(scene(1, 8), FADE), scaled(scene(1, 8), FADE[::-1])]), [0]),  # black and back
        (np.concatenate([scaled(scene(1, 8), FADE), scaled(scene(2, 8), FADE[::-1])]), [0, 9]),  # through black
        (scene(1, 1), [0]),
    ],
    ids=["cuts", "motion", "dark frame", "flash", "fade", "fade to another", "one frame"],
)
def test_cuts(frames, expected):
    assert cuts(frames) == expected


def measuring(frames):
    """Mean and variance of each channel: what a network with one norm measures."""
    values = frames.astype(np.float32) / 255
    return np.stack([values.mean((1, 2)), values.var((1, 2))], axis=1)


def given(frames, size=5, state_at=None):
    """The statistics for each frame, asked for in groups. At a group, the state goes to a new object."""
    shared, found = SceneStatistics(), []
    for start in range(0, len(frames), size):
        if start == state_at:
            shared, state = SceneStatistics(), shared.state
            shared.state = state
        found.append(shared.of(frames[start : start + size], measuring))
    return np.concatenate(found)


def test_statistics_start_anew_at_cuts_and_change_slowly_between_them():
    frames = np.concatenate([scene(1, 30), scene(2, 30)])
    own, shared = measuring(frames), given(frames)
    assert np.array_equal(shared[[0, 30]], own[[0, 30]])
    assert np.abs(np.diff(shared[31:], axis=0)).max() < np.abs(np.diff(own[31:], axis=0)).max()


def test_flicker_of_the_source_is_smoothed():
    gains = np.random.default_rng(0).uniform(0.98, 1, 60)
    frames = scaled(np.repeat(scene(1, 1), 60, axis=0), gains)
    own, shared = measuring(frames), given(frames)
    assert np.abs(np.diff(shared[:, 0], axis=0)).mean() < 0.2 * np.abs(np.diff(own[:, 0], axis=0)).mean()


def test_statistics_follow_by_a_small_part_of_the_way():
    first, other = scene(1, 4)[[0, 3]]
    frames = np.stack([first] * EVERY + [other] * 20)
    own, shared = measuring(frames), given(frames)
    assert np.array_equal(shared[:EVERY], own[:EVERY])
    way = (shared[EVERY:] - own[0]) / (own[-1] - own[0])
    assert way[0].min() >= 0.05
    assert way[0].max() < 0.25
    assert np.all(np.diff(way, axis=0) > 0)


def test_a_scene_that_fades_in_does_not_keep_the_statistics_of_the_black():
    frames = scaled(scene(1, 30), np.minimum(1, np.arange(30) / 20))
    shared, own = given(frames), measuring(frames)
    np.testing.assert_allclose(shared[:, 0], own[:, 0], atol=0.06)


def test_groups_and_interruptions_do_not_matter():
    frames = np.concatenate([scene(1, 17), scene(2, 23)])
    assert np.array_equal(given(frames, 5), given(frames, 1))
    assert np.array_equal(given(frames, 5, state_at=25), given(frames, 5))


def test_few_frames_are_measured():
    measured = []
    shared = SceneStatistics()
    shared.of(scene(1, 33), lambda frames: measured.append(len(frames)) or measuring(frames))
    assert measured == [5]
