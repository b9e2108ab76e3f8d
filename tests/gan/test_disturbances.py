"""The pairs T(G(x)) and G(T(x)) of the terms equivariance and stability, by generators whose pairs are known."""

import numpy as np
import pytest
import tensorflow as tf

from kgan.gan import disturbances
from kgan.gan.disturbances import NOISE, REACH, sampled, shifted, warped

SEED = tf.constant([3, 4])
PAIRS = {"shift": shifted, "warp": warped}


def smooth(count=8, size=64, channels=3):
    """Pictures in (-0.5, 0.5) whose value is a slow wave."""
    rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    phases = np.arange(count)[:, None, None, None] + np.arange(channels)
    waves = np.sin(2 * np.pi * (rows + columns)[None, :, :, None] / size + phases)
    return tf.constant(0.5 * waves, tf.float32)


def identity(pictures, training):
    return pictures


@pytest.mark.parametrize("name", PAIRS)
def test_a_pointwise_generator_differs_by_noise_and_light_alone(name, monkeypatch):
    monkeypatch.setattr(disturbances, "GAIN", 0.0)
    monkeypatch.setattr(disturbances, "OFFSET", 0.0)
    x = smooth()
    expected, got = PAIRS[name](identity, x, x, SEED)
    assert expected.shape == got.shape
    difference = np.asarray(got - expected)
    assert difference.std() == pytest.approx(NOISE, rel=0.02)
    assert abs(difference.mean()) < NOISE / 50


def test_a_shift_is_of_one_to_three_pixels_in_both_axes_and_each_picture_has_its_own():
    count, size = 200, 16
    rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    x = tf.constant(np.tile(np.stack([rows, columns], -1)[None], (count, 1, 1, 1)), tf.float32)
    expected, _ = shifted(lambda pictures, training: pictures, x, x, SEED)
    margin = (size - REACH) // 8
    begins = np.asarray(expected)[:, 0, 0] - margin
    assert {tuple(begin) for begin in begins} == {(r, c) for r in (1, 2, 3) for c in (1, 2, 3)}
    np.testing.assert_array_equal(expected[0] - expected[0, 0, 0], x[0, :10, :10])


def test_a_larger_stride_has_more_phases():
    class Coarse:
        stride = 8

        def __call__(self, pictures, training):
            assert pictures.shape[1] % 8 == 0
            return pictures

    x = tf.tile(tf.range(32.0)[None, :, None, None], [300, 1, 32, 3])
    expected, _ = shifted(Coarse(), x, x, SEED)
    assert set(np.asarray(expected)[:, 0, 0, 0] - 3) == set(range(1, 8))


def test_a_generator_with_a_grid_has_a_known_distance():
    """It adds 0.5 in every fourth row: of two phases, a quarter of the rows each differ by 0.5."""

    def grid(pictures, training):
        return pictures + 0.5 * tf.cast(tf.range(pictures.shape[1]) % 4 == 0, tf.float32)[None, :, None, None]

    x = tf.zeros([2, 68, 68, 3])
    expected, got = shifted(grid, x, grid(x, True), SEED)
    assert float(tf.reduce_mean(tf.square(expected - got))) == pytest.approx(2 * 0.25 * 0.25 + NOISE**2, rel=0.05)


def test_noise_channels_and_alpha_move_with_the_picture_and_are_not_disturbed():
    x = tf.concat([smooth(channels=4), tf.random.stateless_normal([8, 64, 64, 2], [1, 2])], axis=-1)
    seen = []

    def generator(pictures, training):
        seen.append(pictures)
        return pictures[..., :4]

    for pair in PAIRS.values():
        expected, _ = pair(generator, x, x[..., :4], SEED)
        again, _ = pair(generator, x, x[..., 2:], SEED)  # the place of alpha and noise, moved
        np.testing.assert_array_equal(expected[..., 2:], again[..., :2])
        top = (seen[-1].shape[1] - expected.shape[1]) // 2
        inner = seen[-1][:, top : top + expected.shape[1], top : top + expected.shape[2]]
        np.testing.assert_allclose(inner[..., 3:], tf.concat([expected[..., 3:], again[..., 2:]], -1), atol=1e-6)
        assert float(tf.reduce_max(tf.abs(inner[..., :3] - expected[..., :3]))) > NOISE


def test_a_shift_has_a_gradient_on_both_sides_and_a_warp_on_the_restyled_one_alone():
    weight = tf.Variable(1.5)
    x = smooth(2, 32)
    for pair, sides in ((shifted, (True, True)), (warped, (False, True))):
        with tf.GradientTape(persistent=True) as tape:
            results = pair(lambda pictures, training: weight * pictures, x, weight * x, SEED)
            means = [tf.reduce_mean(tf.square(result)) for result in results]
        assert tuple(tape.gradient(mean, weight) is not None for mean in means) == sides


def test_the_light_changes_by_a_few_percent_and_no_picture_leaves_the_range():
    x = tf.fill([100, 16, 16, 3], 0.9)
    _, got = warped(identity, x, x, SEED)
    assert float(tf.reduce_max(got)) <= 1.0
    lights = np.asarray(tf.reduce_mean(got, axis=(1, 2, 3))) - 0.9
    # Above black there are 1.9: 4% of it and 0.04 are 0.116, of which the upper part is cut off at white.
    assert -0.12 < lights.min() < -0.06
    assert 0.06 < lights.max() <= 0.1


def test_a_warp_moves_by_a_few_pixels_and_differs_within_a_picture():
    rows, columns = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    x = tf.constant(np.tile(np.stack([rows, columns], -1)[None], (50, 1, 1, 1)), tf.float32)
    expected, _ = warped(identity, x, x, SEED)
    moves = np.asarray(expected) - np.asarray(x)[:, 8:-8, 8:-8]
    assert 3.0 < np.abs(moves).max() <= 4.0
    assert np.ptp(moves, axis=(1, 2)).min() > 0.2
    assert np.abs(np.diff(moves, axis=1)).max() < 0.3  # smooth


@pytest.mark.parametrize("shape", [(1, 5, 7, 2), (2, 1, 4, 1), (1, 3, 1, 3)], ids=str)
def test_sampled_agrees_with_interpolation_by_hand(shape):
    random = np.random.default_rng(0)
    x = random.normal(size=shape)
    places = random.uniform(-2, max(shape), (shape[0], 6, 6, 2)).astype("float32")
    got = sampled(tf.constant(x), tf.constant(places)).numpy()
    for n in range(shape[0]):
        for i, j in np.ndindex(6, 6):
            row, column = np.clip(places[n, i, j], 0, [shape[1] - 1, shape[2] - 1])
            r, c = int(row), int(column)
            rr, cc = min(r + 1, shape[1] - 1), min(c + 1, shape[2] - 1)
            a, b = row - r, column - c
            upper = (1 - b) * x[n, r, c] + b * x[n, r, cc]
            lower = (1 - b) * x[n, rr, c] + b * x[n, rr, cc]
            np.testing.assert_allclose(got[n, i, j], (1 - a) * upper + a * lower, atol=1e-6)


def test_pictures_that_are_too_small_to_shift_are_named():
    x = tf.zeros([1, 4, 4, 3])
    with pytest.raises(ValueError, match="above 4 pixels"):
        shifted(identity, x, x, SEED)
