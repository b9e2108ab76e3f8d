"""Which picture belongs to which: by name, and only where both have the same shape. The one place that decides it.

Names are paths inside the two folders. First those pair that are equal to the letter. Of what is left over then, a
name pairs with the only one that differs in the suffix alone; where there are several, nobody knows which.
"""

import collections
import dataclasses
import os
import unicodedata
from collections.abc import Iterable, Sequence

from kgan.errors import counted, is_or_are, some

SAME_ASPECT = 0.02
"""How far two aspect ratios may be apart: rounding, and not another cut."""


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Places in two lists of names.

    `both`: (place, other's place), in the order of the first list. `unsure`: names without suffix that several files
    of one side share. `alone`: how many of the first list and of the second have no partner, the unsure ones included.
    """

    both: list[tuple[int, int]]
    unsure: list[str]
    alone: tuple[int, int]


def pair(names: Sequence[str | os.PathLike], others: Sequence[str | os.PathLike]) -> Pairs:
    """Partners by name.

    >>> pair(["a.jpg", "a.png", "b.jpg"], ["a.png", "b.webp"]).both
    [(1, 0), (2, 1)]
    >>> pair(["a.jpg"], ["a.png", "a.webp"])
    Pairs(both=[], unsure=['a'], alone=(1, 2))
    """
    names, others = list(map(os.fspath, names)), list(map(os.fspath, others))
    exact = {name: place for place, name in enumerate(others)}
    both = {place: exact.pop(name) for place, name in enumerate(names) if name in exact}
    taken = set(both.values())
    ours = _by_stem(names, (place for place in range(len(names)) if place not in both))
    theirs = _by_stem(others, (place for place in range(len(others)) if place not in taken))
    shared = sorted(ours.keys() & theirs.keys())
    sure = [stem for stem in shared if len(ours[stem]) == len(theirs[stem]) == 1]
    both |= {ours[stem][0]: theirs[stem][0] for stem in sure}
    unsure = [stem for stem in shared if stem not in set(sure)]
    return Pairs(sorted(both.items()), unsure, (len(names) - len(both), len(others) - len(both)))


def _by_stem(names: Sequence[str], places: Iterable[int]) -> dict[str, list[int]]:
    found = collections.defaultdict(list)
    for place in places:
        found[stem(names[place])].append(place)
    return found


def stem(name: str | os.PathLike) -> str:
    """A path without its suffix; equal for the two ways in which Unicode writes an accent."""
    return unicodedata.normalize("NFC", os.path.splitext(os.fspath(name))[0])


def alike(
    both: Sequence[tuple[int, int]], shapes: Sequence[Sequence[int]], others: Sequence[Sequence[int]]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs of the same shape, and the others. `shapes` and `others`: (height, width) of every place."""
    fit = {pair for pair in both if same_shape(shapes[pair[0]], others[pair[1]])}
    return [pair for pair in both if pair in fit], [pair for pair in both if pair not in fit]


def told_shapes(name: str, one: Sequence[int], other: Sequence[int]) -> str:
    """ "a.png (96x64 and 64x64)", for people, who say the width first."""
    return f"{name} ({one[1]}x{one[0]} and {other[1]}x{other[0]})"


def told_odd(odd: Sequence[str]) -> str:
    """Which pairs (`told_shapes`) are left out for their shapes."""
    return f"{counted(len(odd), 'pair')} of unequal shape {is_or_are(len(odd))} left out: {some(odd)}"


def told_unsure(unsure: Sequence[str]) -> str:
    """Which names (`Pairs.unsure`) are left out since nobody knows which file belongs to which."""
    return f"left out, since several files could be the counterpart: {some(unsure)}"


def same_shape(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two sizes (height, width) have the same aspect ratio, up to 2%.

    >>> same_shape((300, 400), (768, 1024)), same_shape((64, 96), (64, 64)), same_shape((40, 30), (30, 40))
    (True, False, False)
    """
    first, second = one[1] * other[0], other[1] * one[0]
    return max(first, second) <= (1 + SAME_ASPECT) * min(first, second)
