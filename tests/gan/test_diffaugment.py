"""Differentiable augmentation: each operation by hand, and equal augmentation of real and stylized pictures."""

import numpy as np
import pytest
import tensorflow as tf

from kgan.gan import diffaugment
from kgan.gan.random_crop import random_crop

PICTURES = tf.random.stateless_uniform([3, 16, 24, 3], [1, 2], -1.0, 1.0, tf.float64)
EXACT = 1e-12  # sums of the thousand numbers of a picture, in float64


def draws(**places):
    """[1, 7], 0.5 everywhere but at the named places: which change nothing but the cutout's middle."""
    values = np.full((1, 7), 0.5, np.float32)
    for place, value in places.items():
        values[0, int(place[1:])] = value
    return tf.constant(values)


def test_less_colour_by_hand():
    # Luminance of red: 0.299 * 1 - 0.587 - 0.114 = -0.402. Half of the colour is the middle of both.
    red = tf.constant([[[[1.0, -1.0, -1.0, 0.3]]]])
    np.testing.assert_allclose(diffaugment.faded(red, 0.0), [[[[-0.402, -0.402, -0.402, 0.3]]]], atol=1e-6)
    np.testing.assert_allclose(diffaugment.faded(red, 0.5), [[[[0.299, -0.701, -0.701, 0.3]]]], atol=1e-6)
    assert diffaugment.faded(red, 1.0) is red
    assert diffaugment.faded(red[..., :1], 0.0).shape == (1, 1, 1, 1)


def test_the_middle_of_all_draws_changes_neither_place_nor_colour():
    one = PICTURES[:1]
    np.testing.assert_allclose(diffaugment.augmented(one, "colour,translation", draws()), one, rtol=0, atol=EXACT)


def test_translation_moves_by_an_eighth_of_each_side_and_fills_with_gray():
    moved = diffaugment.augmented(PICTURES[:1], "translation", draws(_3=0.999, _4=0.0)).numpy()
    assert (moved[:, :, :3] == 0).all()
    assert (moved[:, -2:] == 0).all()
    np.testing.assert_array_equal(moved[0, :-2, 3:], PICTURES[0, 2:, :-3])


def test_cutout_makes_a_gray_rectangle_of_half_of_each_side():
    cut = diffaugment.augmented(PICTURES[:1], "cutout", draws()).numpy()
    assert (cut[0, 4:12, 6:18] == 0).all()
    kept = np.ones((16, 24), bool)
    kept[4:12, 6:18] = False
    np.testing.assert_array_equal(cut[0][kept], PICTURES[0].numpy()[kept])


def test_colour_by_hand():
    picture = tf.reshape(tf.constant([0.0, 0.2, 0.4, -0.2, 0.0, 0.2], tf.float64), [1, 1, 2, 3])
    np.testing.assert_allclose(
        diffaugment.augmented(picture, "colour", draws(_0=0.75)), picture + 0.25, rtol=0, atol=EXACT
    )
    grays = diffaugment.augmented(picture, "colour", draws(_1=0.0)).numpy()  # no saturation: every pixel its own mean
    np.testing.assert_allclose(grays[0, 0], [[0.2] * 3, [0.0] * 3], rtol=0, atol=EXACT)
    contrast = diffaugment.augmented(
        picture, "colour", draws(_2=0.0)
    ).numpy()  # half as far from the picture's mean, 0.1
    np.testing.assert_allclose(contrast, 0.1 + (picture - 0.1) * 0.5, rtol=0, atol=EXACT)


def test_a_random_crop_is_the_same_slice_of_every_picture_anywhere():
    seen, pictures = set(), PICTURES.numpy()
    for seed in range(60):
        made = random_crop(PICTURES, tf.constant([seed, 1])).numpy()
        assert made.shape == (3, 12, 18, 3)  # a quarter less: sides of 16 and 24 are below 4 x 16
        places = [(y, x) for y in range(5) for x in range(7) if (made == pictures[:, y : y + 12, x : x + 18]).all()]
        assert len(places) == 1
        seen.update(places)
    assert {y for y, _ in seen} == set(range(5))
    assert {x for _, x in seen} == set(range(7))


def test_a_random_crop_of_a_large_picture_leaves_out_one_stride_and_has_a_gradient():
    pictures = tf.random.stateless_uniform([2, 96, 64, 1], [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        made = tf.function(random_crop, jit_compile=True)(pictures, tf.constant([3, 4]))
    assert made.shape == (2, 80, 48, 1)
    gradient = tape.gradient(made, pictures)
    assert float(tf.reduce_sum(gradient)) == 2 * 80 * 48  # ones where the window is
    np.testing.assert_array_equal(np.unique(gradient), [0, 1])


@pytest.mark.parametrize("changes", [*diffaugment.CHANGES, "colour,translation,cutout"])
def test_pictures_change_by_themselves_alike_compiled_and_with_a_gradient(changes):
    drawn = diffaugment.draw(tf.constant([3, 4]), 3)
    whole = diffaugment.augmented(PICTURES, changes, drawn)
    compiled = tf.function(diffaugment.augmented, jit_compile=True)(PICTURES, changes, drawn)
    np.testing.assert_allclose(
        whole[1:2], diffaugment.augmented(PICTURES[1:2], changes, drawn[1:2]), rtol=0, atol=EXACT
    )
    np.testing.assert_allclose(whole, compiled, rtol=0, atol=EXACT)
    with tf.GradientTape() as tape:
        tape.watch(PICTURES)
        total = tf.reduce_sum(tf.square(diffaugment.augmented(PICTURES, changes, drawn)))
    assert float(tf.reduce_sum(tf.abs(tape.gradient(total, PICTURES)))) > 1.0
