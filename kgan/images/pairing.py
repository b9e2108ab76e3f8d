"""Pairs the pictures of two folders by name and shape.

Names are paths relative to the folders. Equal names form pairs first. Then a.gif and a.gif.png do, as kgan calls some
results. Then two names form a pair if they differ only in the suffix and no other name does. If there are several, the
names are ambiguous and form no pair.
"""

import collections
import dataclasses
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from kgan.errors import counted, is_or_are, some
from kgan.images.listing import trimmed

SAME_ASPECT = 0.02
"""Largest relative difference of two aspect ratios that counts as rounding."""


@dataclasses.dataclass(frozen=True)
class Pairs:
    """The pairs of two lists of names.

    Attributes:
        both: pairs of indices into the two lists, in the order of the first list.
        unsure: names without suffix that are ambiguous.
        alone: the numbers of names in the two lists that form no pair, including ambiguous ones.
    """

    both: list[tuple[int, int]]
    unsure: list[str]
    alone: tuple[int, int]


def pair(names: Sequence[str | os.PathLike], others: Sequence[str | os.PathLike]) -> Pairs:
    """Pair two lists of names.

    Args:
        names: relative paths.
        others: relative paths.

    Returns:
        The pairs.

    Example:

    >>> pair(["a.jpg", "a.png", "b.jpg"], ["a.png", "b.webp"]).both
    [(1, 0), (2, 1)]
    >>> pair(["a.gif", "a.png"], ["a.png", "a.gif.png"]).both
    [(0, 1), (1, 0)]
    >>> pair(["a.jpg"], ["a.png", "a.webp"])
    Pairs(both=[], unsure=['a'], alone=(1, 2))
    """
    mine, yours = [os.fspath(name) for name in names], [os.fspath(name) for name in others]
    both: dict[int, int] = {}
    unsure: list[str] = []
    for key, other in ((str, str), (_whole, stem), (stem, _whole), (stem, stem)):
        taken = set(both.values())
        ours = _by(key, mine, (place for place in range(len(names)) if place not in both))
        theirs = _by(other, yours, (place for place in range(len(others)) if place not in taken))
        shared = sorted(ours.keys() & theirs.keys())
        sure = [name for name in shared if len(ours[name]) == len(theirs[name]) == 1]
        both |= {ours[name][0]: theirs[name][0] for name in sure}
        unsure = [name for name in shared if name not in set(sure)]
    return Pairs(sorted(both.items()), unsure, (len(names) - len(both), len(others) - len(both)))


def _by(key: Callable[[str], str], names: Sequence[str], places: Iterable[int]) -> dict[str, list[int]]:
    found = collections.defaultdict(list)
    for place in places:
        found[key(names[place])].append(place)
    return found


def _whole(name: str) -> str:
    return unicodedata.normalize("NFC", trimmed(name))


def stem(name: str | os.PathLike) -> str:
    """A path without its suffix, in Unicode normal form C, so that accents compare as equal."""
    return unicodedata.normalize("NFC", os.path.splitext(trimmed(name))[0])


def split_by_shape(
    both: Sequence[tuple[int, int]], shapes: Sequence[Sequence[int]], others: Sequence[Sequence[int]]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Split pairs into those with the same shape and the others.

    Args:
        both: pairs of indices.
        shapes: (height, width) by the first index.
        others: (height, width) by the second index.

    Returns:
        The pairs of the same shape, and the other pairs.
    """
    fit = {pair for pair in both if same_shape(shapes[pair[0]], others[pair[1]])}
    return [pair for pair in both if pair in fit], [pair for pair in both if pair not in fit]


def describe_shapes(name: str, one: Sequence[int], other: Sequence[int]) -> str:
    """A text such as "a.png (96x64 and 64x64)", with the width first, for two shapes (height, width)."""
    return f"{name} ({one[1]}x{one[0]} and {other[1]}x{other[0]})"


def describe_unequal(odd: Sequence[str]) -> str:
    """A message about pairs that are left out because of their shapes, from `describe_shapes`."""
    return f"{counted(len(odd), 'pair')} of unequal shape {is_or_are(len(odd))} left out: {some(odd)}"


def describe_ambiguous(unsure: Sequence[str]) -> str:
    """A message about names that are left out because they are ambiguous, from `Pairs.unsure`."""
    return f"left out, since several files could be the counterpart: {some(unsure)}"


def same_shape(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two sizes (height, width) have the same aspect ratio, up to 2%.

    Example:

    >>> same_shape((300, 400), (768, 1024)), same_shape((64, 96), (64, 64)), same_shape((40, 30), (30, 40))
    (True, False, False)
    """
    first, second = one[1] * other[0], other[1] * one[0]
    return max(first, second) <= (1 + SAME_ASPECT) * min(first, second)
