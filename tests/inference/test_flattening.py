"""Planes of colour: the flattened picture is compared with a direct solution, and keeps edges but not texture."""

import numpy as np
import pytest

from kgan.inference.flattening import flatten


def solved(picture, amount):
    """The same steps of Xu et al., with matrices of the differences instead of spectra, in float64. [H, W, C]"""
    height, width, channels = picture.shape
    places = np.arange(height * width).reshape(height, width)
    unit = np.eye(height * width)
    across, down = (unit[np.roll(places, -1, axis).ravel()] - unit for axis in (1, 0))
    known = flat = picture.reshape(-1, channels).astype(np.float64)
    tie = 2.0 * amount
    while tie < 1e5:
        strength = ((across @ flat) ** 2 + (down @ flat) ** 2).sum(1, keepdims=True)
        kept = strength >= amount / tie
        right = known + tie * (across.T @ (kept * (across @ flat)) + down.T @ (kept * (down @ flat)))
        flat = np.linalg.solve(unit + tie * (across.T @ across + down.T @ down), right)
        tie *= 2.0
    return flat.clip(0.0, 1.0).reshape(picture.shape)


@pytest.mark.parametrize("shape", [(7, 10, 3), (8, 8, 1)], ids=str)
def test_it_solves_the_equations_of_the_paper(shape):
    # With this seed no gradient comes within 0.4% of its limit, so that roundings decide nothing.
    picture = np.random.default_rng(31).uniform(0.2, 0.8, shape)
    picture[:, : shape[1] // 2] *= 0.3
    for amount in (0.005, 0.05):
        made = flatten(picture[np.newaxis], amount).numpy()[0]
        # Float32 rounds by 6e-8, which the weight of the tie, up to 1e5, enlarges
        np.testing.assert_allclose(made, solved(picture, amount), atol=6e-3)


def test_texture_becomes_a_plane_and_an_edge_stays():
    texture = np.random.default_rng(0).uniform(-0.05, 0.05, (1, 32, 48, 3)).astype(np.float32)
    sides = np.where(np.arange(48) < 24, 0.2, 0.8).astype(np.float32)[:, np.newaxis]
    made = flatten(sides + texture, 0.02).numpy()
    left, right = made[:, :, :24], made[:, :, 24:]
    assert left.std(axis=(1, 2)).max() < 0.1 * texture.std()
    assert right.std(axis=(1, 2)).max() < 0.1 * texture.std()
    np.testing.assert_allclose(right.mean((1, 2)) - left.mean((1, 2)), 0.6, atol=0.01)


def test_nothing_happens_without_texture_or_amount():
    picture = np.random.default_rng(0).uniform(size=(2, 5, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(flatten(picture, 0.0), picture)
    plain = np.full((1, 8, 8, 3), 0.3, np.float32)
    np.testing.assert_allclose(flatten(plain, 0.05), plain, atol=1e-6)
