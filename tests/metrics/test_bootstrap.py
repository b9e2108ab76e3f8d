"""Bootstrap intervals: their coverage on a known distribution, determinism, pairing."""

import numpy as np
import pytest

from kgan.metrics import bootstrap


def test_draws_are_resamples_with_replacement():
    counts = bootstrap.draws(30, 4000, seed=1)
    assert counts.shape == (4000, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert (counts == 0).mean() == pytest.approx((1 - 1 / 30) ** 30, abs=0.01)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).normal(size=40)
    first, again, other = (bootstrap.mean_interval(values, seed) for seed in (3, 3, 4))
    assert first == again != other
    assert first["value"] == pytest.approx(values.mean())


def test_an_interval_holds_the_mean_19_times_in_20():
    random = np.random.default_rng(0)
    samples = random.exponential(2.0, (400, 50))
    made = [bootstrap.mean_interval(sample, seed=0, resamples=400) for sample in samples]
    held = np.mean([one["low"] <= 2.0 <= one["high"] for one in made])
    assert 0.88 < held < 0.97  # 50 skewed values: a little below 0.95
    # The width is that of the normal approximation, 2 * 1.96 * deviation / sqrt(n).
    assert np.mean([one["high"] - one["low"] for one in made]) == pytest.approx(3.92 * 2 / np.sqrt(50), rel=0.1)


def test_blocks_are_drawn_as_a_whole():
    values = np.random.default_rng(0).normal(size=12)
    alone = bootstrap.block_interval(values, np.arange(12), seed=3)
    assert alone == pytest.approx(bootstrap.mean_interval(values, seed=3))
    # Each number ten times over tells no more than once.
    assert bootstrap.block_interval(np.repeat(values, 10), np.repeat(np.arange(12), 10), seed=3) == pytest.approx(alone)
    # Blocks of different lengths count by their lengths, and their numbers may be anything.
    uneven = bootstrap.block_interval([1.0, 1.0, 1.0, 5.0], [7, 7, 7, 2], seed=0)
    assert uneven == {"value": 2.0, "low": 1.0, "high": 5.0}
    assert bootstrap.block_interval([1.0, 3.0], [0, 0], seed=0) == {"value": 2.0, "low": 2.0, "high": 2.0}


def test_differences_are_paired():
    """Variation that both share cancels: the difference is certain although each mean is not."""
    random = np.random.default_rng(0)
    shared = random.normal(size=60)
    gain = bootstrap.mean_interval((shared + 0.1 + random.normal(0, 0.01, 60)) - shared, seed=0)
    alone = bootstrap.mean_interval(shared, seed=0)
    assert 0.09 < gain["low"] < gain["high"] < 0.11
    assert alone["low"] < -0.1 < 0.1 < alone["high"]


def test_biased_replicates_are_moved_to_the_value():
    made = bootstrap.interval(1.0, np.linspace(4.0, 6.0, 201))
    assert made == {"value": 1.0, "low": pytest.approx(0.05), "high": pytest.approx(1.95)}


def test_one_picture_has_no_spread():
    assert bootstrap.mean_interval(np.array([0.5]), seed=0) == {"value": 0.5, "low": 0.5, "high": 0.5}


@pytest.mark.parametrize(
    "values",
    [
        [1.0] * 9 + [0.2],
        [0.999, 1.0, 0.9995, 1.0],
        [0.1, 0.1, 0.1],
        [0.0] * 30 + [1e-4],
        [100.0] * 50 + [20.0],
        list(np.random.default_rng(2).beta(50, 0.3, 12)),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_an_interval_of_a_mean_stays_between_its_numbers(values, seed):
    made = bootstrap.mean_interval(np.array(values), seed)
    assert min(values) <= made["low"] <= made["value"] <= made["high"] <= max(values)
    assert made["value"] == pytest.approx(np.mean(values))


def test_what_cannot_be_is_cut_off_and_the_value_is_held():
    far = np.linspace(0.0, 20.0, 201)
    assert bootstrap.interval(1.0, far, least=0.0) == {"value": 1.0, "low": 0.0, "high": pytest.approx(10.5)}
    skewed = np.array([0.0] * 990 + [1e6] * 10)  # the mean lies beyond the middle
    made = bootstrap.interval(5.0, skewed)
    assert made["low"] < made["high"] == 5.0
