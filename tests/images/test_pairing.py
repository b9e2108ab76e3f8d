"""Pairs of pictures by exact name, by name without suffix, and by shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgan.images.pairing import pair, same_shape, split_by_shape, stem


@pytest.mark.parametrize(
    ("ours", "theirs", "expected", "unsure"),
    [
        (["a.jpg", "a.png"], ["a.png"], ["a.png a.png"], []),
        (["a.jpg", "a.png"], ["a.png", "a.webp"], ["a.jpg a.webp", "a.png a.png"], []),
        (["a.jpg"], ["a.png", "a.webp"], [], ["a"]),
        (["a.jpg", "a.webp"], ["a.png"], [], ["a"]),
        (["a.jpg", "a.webp", "b.JPG"], ["a.png", "b.jpg"], ["b.JPG b.jpg"], ["a"]),
        (["x/a.png", "y/a.png"], ["y/a.png", "a.png"], ["y/a.png y/a.png"], []),
        (["a.b.png", "a.c.png"], ["a.c.jpg", "a.jpg"], ["a.c.png a.c.jpg"], []),
        (["caf\udce9.png"], ["caf\udce9.jpg"], ["caf\udce9.png caf\udce9.jpg"], []),
        (["caf\u00e9.png"], ["cafe\u0301.png"], ["caf\u00e9.png cafe\u0301.png"], []),
        (["a.png"], ["A.png"], [], []),
        (["a.gif", "a.png", "a.webp"], ["a.png", "a.gif.png"], ["a.gif a.gif.png", "a.png a.png"], []),
        (["a.jfif", "b.png"], ["a.jfif.png", "b.png.jpg", "b.jpg"], ["a.jfif a.jfif.png", "b.png b.png.jpg"], []),
        (["a.png ", "b.PNG."], ["a.jpg", "b.png"], ["a.png  a.jpg", "b.PNG. b.png"], []),
    ],
)
def test_pairs_by_hand(ours, theirs, expected, unsure):
    pairs = pair(ours, theirs)
    assert [f"{ours[i]} {theirs[j]}" for i, j in pairs.both] == expected
    assert pairs.unsure == unsure
    assert pairs.alone == (len(ours) - len(expected), len(theirs) - len(expected))
    turned = pair(theirs, ours)
    assert {(i, j) for j, i in turned.both} == set(pairs.both)


NAMES = st.lists(
    st.builds("{}{}".format, st.sampled_from("abc"), st.sampled_from([".png", ".jpg", ".webp"])), unique=True
)


@given(NAMES, NAMES)
def test_pairs_of_any_names(ours, theirs):
    both = pair(ours, theirs).both
    assert len({i for i, _ in both}) == len({j for _, j in both}) == len(both)
    assert all(stem(ours[i]) == stem(theirs[j]) for i, j in both)
    assert {name for name in ours if name in theirs} == {ours[i] for i, j in both if ours[i] == theirs[j]}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((64, 96), (64, 64), False),
        ((30, 40), (40, 30), False),
        ((100, 100), (300, 306), True),  # 2%
        ((100, 100), (1000, 1021), False),
        ((667, 1000), (341, 512), True),  # rounded
        ((1, 1), (500, 500), True),
        ((1, 1000), (2, 1000), False),
    ],
)
def test_shapes_by_hand(one, other, same):
    assert same_shape(one, other) is same
    assert same_shape(other, one) is same


def test_pairs_of_one_shape_stay():
    assert split_by_shape([(0, 1), (1, 0)], [(10, 10), (10, 20)], [(50, 50), (20, 20)]) == ([(0, 1)], [(1, 0)])
