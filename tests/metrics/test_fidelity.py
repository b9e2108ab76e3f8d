"""FID's and KID's statistics: torch-fidelity's numbers, values worked by hand, unbiasedness, counts."""

import pathlib

import numpy as np
import pytest

from kgan.metrics import fidelity

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden" / "fidelity.npz")  # scripts/make_fidelity_golden.py


@pytest.fixture(params=["many", "few"])
def golden(request):
    return {
        name: GOLDEN[f"{request.param}_{name}"] for name in ("real", "fake", "frechet", "kernel_mean", "kernel_std")
    }


def test_frechet_distance_is_torch_fidelitys(golden):
    assert golden["frechet"] > 0.5
    # Their general eigenvalues of a singular product are exact to the root of float64's rounding only.
    assert fidelity.frechet_distance(golden["real"], golden["fake"]) == pytest.approx(golden["frechet"], rel=1e-5)


def test_kernel_distance_is_torch_fidelitys(golden):
    """Their number is the mean over random subsets, which are drawn as here."""
    random, size = np.random.RandomState(GOLDEN["seed"]), GOLDEN["subset"]
    values = []
    for _ in range(GOLDEN["subsets"]):
        drawn = (side[random.choice(len(side), size, replace=False)] for side in (golden["real"], golden["fake"]))
        values.append(fidelity.polynomial_mmd(*drawn))
    assert np.mean(values) == pytest.approx(golden["kernel_mean"], rel=1e-10)
    assert np.std(values) == pytest.approx(golden["kernel_std"], rel=1e-10)


def test_frechet_distance_by_hand():
    # One dimension: (mean - mean)^2 + (std - std)^2, with variances 2 and 8 (unbiased).
    assert fidelity.frechet_distance([[0.0], [2.0]], [[3.0], [7.0]]) == pytest.approx(16 + 2)
    # Independent columns add up; the second column of y has no spread at all.
    x, y = [[0.0, 0.0], [2.0, 2.0], [0.0, 2.0], [2.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]
    assert fidelity.frechet_distance(x, y) == pytest.approx(4 / 3 * 2)
    assert fidelity.frechet_distance(x, x) == pytest.approx(0, abs=1e-12)


def test_polynomial_mmd_by_hand():
    # D = 2. k(x, x') = (3/2 + 1)^3, k(y, y') = (0 + 1)^3; both x against y[0]: 1, against y[1]: (2/2 + 1)^3 = 8.
    x, y = np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([[0.0, 0.0], [2.0, 0.0]])
    assert fidelity.polynomial_mmd(x, y) == pytest.approx(2.5**3 + 1.0 - 2 * (1 + 8 + 1 + 8) / 4)


def test_counts_are_rows_again():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(6, 4)), random.normal(1, 2, size=(5, 4))
    counts = np.array([0, 2, 1, 0, 3, 0])
    again = fidelity.frechet_distance(np.repeat(x, counts, axis=0), y)
    assert fidelity.frechet_distance(x, y, counts) == pytest.approx(again)
    assert fidelity.frechet_distance(y, x, None, counts) == pytest.approx(again)
    # Rows compared with their own copies would be a bias: left out, unlike in a set that holds the row thrice.
    kernel = (x @ x.T / 4 + 1) ** 3
    within = (2 * 1 * kernel[1, 2] + 2 * 3 * kernel[1, 4] + 1 * 3 * kernel[2, 4]) / (2 + 6 + 3)
    between = np.mean((np.repeat(x, counts, axis=0) @ y.T / 4 + 1) ** 3)
    other = fidelity.polynomial_mmd(y, y) / 2 + np.mean((y @ y.T / 4 + 1) ** 3)  # the mean of y's pairs
    assert fidelity.polynomial_mmd(x, y, counts) == pytest.approx(within + other - 2 * between)


def test_one_row_drawn_again_and_again_is_a_number():
    x, y = np.array([[1.0], [2.0]]), np.array([[0.0], [0.0]])
    assert fidelity.polynomial_mmd(x, y, np.array([0, 2])) == 125 + 1 - 2
    assert fidelity.frechet_distance(x, y, np.array([0, 2])) == 4


def test_kid_is_unbiased_and_grows_with_the_shift():
    real, same = np.random.default_rng(0).normal(size=(2, 30, 50, 8))  # 30 pairs of sets from one distribution
    values = [fidelity.polynomial_mmd(*pair) for pair in zip(real, same, strict=True)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(30)
    near, far = (fidelity.polynomial_mmd(real[0], same[0] + shift) for shift in (0.3, 0.6))
    assert max(values) < near < far


@pytest.mark.parametrize("distance", [fidelity.frechet_distance, fidelity.polynomial_mmd])
def test_one_picture_is_no_set(distance):
    with pytest.raises(ValueError, match="at least 2 pictures"):
        distance(np.ones((5, 3)), np.ones((1, 3)))
