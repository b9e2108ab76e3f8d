"""Numbers of votes between A and B: the share of A with its interval, the sign test, and how far voters agree.

They use the standard library only. `templates/page.js` computes the first two in the same way.
"""

import collections
import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Literal

Choice = Literal["a", "b", "none"]
"""What a voter prefers. "none" is no preference."""

LEVEL = 0.95
"""Fraction of the intervals that contain the true share."""


@dataclasses.dataclass(frozen=True)
class Tally:
    """Numbers of votes.

    Attributes:
        a: votes for A.
        b: votes for B.
        none: votes without preference. They count for neither side.
    """

    a: int
    b: int
    none: int

    @property
    def decided(self) -> int:
        """The number of votes for A or B."""
        return self.a + self.b

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the share of A among the decided votes (`wilson_interval`)."""
        return wilson_interval(self.a, self.decided)

    @property
    def p(self) -> float:
        """The p-value of A and B being preferred equally often (`sign_test`)."""
        return sign_test(self.a, self.b)


def tally(choices: Iterable[Choice]) -> Tally:
    """Count votes."""
    counts = collections.Counter(choices)
    return Tally(counts["a"], counts["b"], counts["none"])


def wilson_interval(wins: int, count: int, level: float = LEVEL) -> tuple[float, float]:
    """The Wilson score interval of a share.

    Args:
        wins: number of wins.
        count: number of trials.
        level: fraction of such intervals that contain the true share, in (0, 1).

    Returns:
        Its lower and its upper end in [0, 1]. Without trials, (0, 1).

    Example:

    >>> low, high = wilson_interval(8, 10)
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)

    Reference: [Wilson 1927](https://doi.org/10.1080/01621459.1927.10502953), recommended by
    [Brown, Cai and DasGupta 2001](https://doi.org/10.1214/ss/1009213286).
    """
    if count == 0:
        return 0.0, 1.0
    z = statistics.NormalDist().inv_cdf((1 + level) / 2)
    middle = (wins + z * z / 2) / (count + z * z)
    half = z / (count + z * z) * math.sqrt(wins * (count - wins) / count + z * z / 4)
    # With no win or no loss, rounding errors would leave an end beside 0 or 1.
    return 0.0 if wins == 0 else middle - half, 1.0 if wins == count else middle + half


def sign_test(wins: int, losses: int) -> float:
    """The two-sided p-value of the exact sign test. Ties are left out.

    Args:
        wins: number of wins.
        losses: number of losses.

    Returns:
        How probable a result at least as uneven is, if each side wins with probability 1/2.

    Example:

    >>> sign_test(8, 2)
    0.109375

    Reference: [Dixon and Mood 1946](https://doi.org/10.1080/01621459.1946.10501898).
    """
    count = wins + losses
    tail = sum(math.comb(count, k) for k in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / 2**count)


def majority(choices: Sequence[Choice]) -> Choice:
    """What more voters chose for a photo, "none" if A and B have equally many votes.

    Example:

    >>> majority(["a", "b", "a"]), majority(["a", "none", "none"]), majority(["a", "b"])
    ('a', 'a', 'none')
    """
    votes = tally(choices)
    return "none" if votes.a == votes.b else "a" if votes.a > votes.b else "b"


def agreement(ratings: Sequence[Sequence[str]]) -> tuple[float, float | None]:
    """How far voters agree.

    Args:
        ratings: for each photo the choices of all voters, at least two, in the same order.

    Returns:
        The share of pairs of votes for the same photo that are equal, and Fleiss' kappa: 1 if voters always agree, 0 if
        they agree as often as by chance. It is None if all votes are equal, because chance then agrees too.

    Example:

    >>> agreement([["a", "a"], ["b", "b"], ["a", "b"]])
    (0.6666666666666666, 0.33333333333333326)

    Reference: [Fleiss 1971](https://doi.org/10.1037/h0031619).
    """
    voters = len(ratings[0])
    counts = [collections.Counter(choices) for choices in ratings]
    equal = sum(n * (n - 1) for each in counts for n in each.values()) / (len(ratings) * voters * (voters - 1))
    totals: collections.Counter[str] = sum(counts, collections.Counter())
    chance = sum((n / (len(ratings) * voters)) ** 2 for n in totals.values())
    return equal, None if len(totals) == 1 else (equal - chance) / (1 - chance)
