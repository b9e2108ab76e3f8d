"""Shares, intervals, the sign test and agreement of votes, against published and hand-worked values."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgan.comparison.preference import Tally, agreement, majority, sign_test, tally, wilson_interval

COUNTS = st.tuples(st.integers(0, 500), st.integers(0, 500))


@pytest.mark.parametrize(
    ("wins", "count", "low", "high"),
    [  # of scipy.stats.binomtest(wins, count).proportion_ci(method="wilson")
        (8, 10, 0.490162, 0.943318),
        (17, 20, 0.639581, 0.947631),
        (0, 20, 0.0, 0.161125),
        (20, 20, 0.838875, 1.0),
        (1, 2, 0.094531, 0.905469),
        (300, 1000, 0.272407, 0.329124),
    ],
)
def test_wilson_interval(wins, count, low, high):
    assert wilson_interval(wins, count) == pytest.approx((low, high), abs=1e-6)


def test_wilson_interval_by_hand():
    """With z = 1, 1 of 1: middle (1 + 1/2) / 2 = 3/4, half sqrt(1/4) / 2 = 1/4."""
    assert wilson_interval(1, 1, level=0.6826894921370859) == pytest.approx((0.5, 1.0))
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(COUNTS)
def test_the_interval_holds_the_share_and_mirrors(counts):
    wins, losses = counts
    low, high = wilson_interval(wins, wins + losses)
    assert 0 <= low < high <= 1
    if wins + losses:
        assert low <= wins / (wins + losses) <= high
    mirrored = wilson_interval(losses, wins + losses)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (5, 0, 2 / 32),
        (5, 5, 1.0),
        (0, 0, 1.0),
        (1, 0, 1.0),
        (17, 3, 0.0025768280029296875),  # scipy.stats.binomtest(17, 20).pvalue
        (700, 600, 0.0060157938610449395),  # scipy.stats.binomtest(700, 1300).pvalue, where 1/2^n has no double
    ],
)
def test_sign_test(wins, losses, p):
    assert sign_test(wins, losses) == pytest.approx(p, rel=1e-12)
    assert sign_test(losses, wins) == sign_test(wins, losses)


@given(st.integers(0, 60))
def test_a_sign_test_is_more_certain_the_more_uneven_votes_are(count):
    ps = [sign_test(wins, count - wins) for wins in range(count // 2 + 1)]
    assert all(one <= other for one, other in itertools.pairwise(ps))


def test_a_tally_leaves_ties_out():
    votes = tally(["a", "none", "a", "b", "none"])
    assert votes == Tally(2, 1, 2)
    assert votes.decided == 3
    assert votes.interval == wilson_interval(2, 3)
    assert votes.p == 1.0


@pytest.mark.parametrize(
    ("choices", "most"),
    [(["a"], "a"), (["a", "b"], "none"), (["a", "b", "b"], "b"), (["none"], "none"), (["none", "none", "b"], "b")],
)
def test_majority(choices, most):
    assert majority(choices) == most


def test_fleiss_kappa_of_a_published_table():
    """Ten subjects and 14 raters: https://en.wikipedia.org/wiki/Fleiss%27_kappa, kappa 0.210."""
    table = """0 0 0 0 14 / 0 2 6 4 2 / 0 0 3 5 6 / 0 3 9 2 0 / 2 2 8 1 1 / 7 7 0 0 0 / 3 2 6 3 0 / 2 5 3 2 2
               / 6 5 2 1 0 / 0 2 2 3 7"""
    counts = [[int(number) for number in row.split()] for row in table.split("/")]
    ratings = [[str(k) for k, count in enumerate(row) for _ in range(count)] for row in counts]
    equal, kappa = agreement(ratings)
    assert equal == pytest.approx(0.378, abs=5e-4)
    assert kappa == pytest.approx(0.210, abs=5e-4)


def test_agreement_at_its_ends():
    assert agreement([["a", "a"], ["b", "b"]]) == (1.0, 1.0)
    assert agreement([["a", "b"], ["b", "a"]]) == (0.0, -1.0)
    assert agreement([["a", "a"], ["a", "a"]]) == (1.0, None)
