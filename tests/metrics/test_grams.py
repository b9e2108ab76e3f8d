"""Distances of Gram matrices: values by hand, windows, and that short coordinates give the distances of matrices."""

import numpy as np
import pytest

from kgan.evaluation import sets
from kgan.kinds import METRICS
from kgan.metrics.artfid import artfid
from kgan.metrics.bootstrap import draws
from kgan.metrics.grams import coordinates, gram_distance, gram_vector, nearest_gram, windows
from kgan.metrics.picture_features import PictureFeatures, content_distance


def matrices(count, width, seed=0):
    rows = np.random.default_rng(seed).random((count, 9, width))
    return rows.swapaxes(1, 2) @ rows / 9


def test_distances_are_those_of_the_matrices():
    widths, count = (3, 5), 6
    layers = [matrices(count, width, width) for width in widths]
    vectors = np.stack([gram_vector([layer[k] for layer in layers]) for k in range(count)])
    short = coordinates(vectors, widths)
    assert [layer.shape for layer in short] == [(count, count)] * 2
    made, style = slice(0, 2), slice(2, count)
    expected = [
        np.sum((layer[made].mean(0) - layer[style].mean(0)) ** 2) / np.sum(layer[style].mean(0) ** 2)
        for layer in layers
    ]
    cut = [[layer[part] for layer in short] for part in (made, style)]
    assert gram_distance(*cut) == pytest.approx(expected, rel=1e-4)
    pairs = [[[np.sum((a - b) ** 2) / np.sum(b**2) for b in layer[style]] for a in layer[made]] for layer in layers]
    assert nearest_gram(*cut) == pytest.approx(np.min(pairs, axis=2).mean(axis=1), rel=1e-4)


def test_counts_are_pictures_again():
    x, y = np.random.default_rng(0).random((2, 4, 3))
    counts, others = np.array([2, 0, 1, 1]), np.array([0, 3, 1, 0])
    again = gram_distance([np.repeat(x, counts, axis=0)], [np.repeat(y, others, axis=0)])
    assert gram_distance([x], [y], counts, others) == pytest.approx(again)
    again = nearest_gram([np.repeat(x, counts, axis=0)], [np.repeat(y, others, axis=0)])
    assert nearest_gram([x], [y], counts, others) == pytest.approx(again)


def test_half_too_pale_and_half_too_strong_is_found():
    style, made = [np.array([[2.0], [2.0]])], [np.array([[1.0], [3.0]])]
    assert gram_distance(made, style).tolist() == [0]
    assert nearest_gram(made, style).tolist() == [0.25]


def test_each_layer_has_an_interval_and_the_number_is_their_mean():
    x, y = [np.random.default_rng(seed).random((8, 3)) for seed in (0, 1)], [np.ones((5, 3)), 2 * np.ones((5, 3))]
    found = sets.distance(METRICS["gram_vgg16"], x, y, draws(8, 50, 0), draws(5, 50, 1))
    assert found.value == pytest.approx(gram_distance(x, y).mean())
    for value, number in zip(gram_distance(x, y), found.by_layer, strict=True):
        assert number["value"] == pytest.approx(value)
        assert 0 <= number["low"] <= number["value"] <= number["high"]


@pytest.mark.parametrize(
    ("size", "most", "count"), [((256, 256), 4, 1), ((100, 80), 4, 2), ((700, 500), 12, 6), ((1024, 768), 4, 4)]
)
def test_windows_are_evenly_spread_and_inside(size, most, count):
    found = windows(*size, most)
    assert len(found) == count
    side = min(256, *size)
    covered = np.zeros(size, bool)
    for rows, columns in found:
        assert 0 <= rows.start <= rows.stop - side <= size[0] - side
        covered[rows, columns] = True
    assert covered.all() or count == most
    assert np.array_equal(covered, covered[::-1, ::-1])


def test_the_matrices_of_a_picture_are_the_means_of_its_windows():
    picture = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    whole, parts = PictureFeatures(most=4), PictureFeatures(most=4)
    whole.add(picture)
    for half in (picture[:, :32], picture[:, 32:]):
        parts.add(half)
    assert np.allclose(whole.grams()[0], parts.grams().mean(axis=0), rtol=1e-4, atol=1e-5)


def test_the_distance_to_the_content():
    picture, other = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    features = PictureFeatures()
    maps = features.add(picture)
    features.add(picture, maps)
    features.add(other, maps)
    same, far = features.distances()
    assert same == 0
    assert far > 0.1
    one, two = np.array([[[[1.0, 0.0]]]]), np.array([[[[0.0, 1.0]]]])
    assert content_distance([one, one], [two, one]) == 2  # one layer differs by (1, -1)


def test_artfid_by_hand():
    assert artfid(np.array([0.0, 1.0]), 3.0) == 6
    assert artfid(np.array([0.0, 1.0]), 3.0, np.array([2, 0])) == 4
    assert METRICS["artfid_vgg16"].network == "vgg16"
