import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.networks import convolutions
from kgan.networks.padding import reflect

EXACT = 1e-11
"""Sums of up to 250 products of numbers of about 1, in another order, in float64: 250 roundings of 250 by 1.1e-16."""


def with_gradients(function, *inputs, upstream):
    """The result and its gradients for `upstream`, as NumPy arrays."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        result = function(*inputs)
    return [value.numpy() for value in (result, *tape.gradient(result, inputs, upstream))]


@pytest.mark.parametrize(
    ("form", "channels", "filters", "kernel"),
    [
        (convolutions.columns_gathered, 3, 5, (7, 7)),
        (convolutions.columns_gathered, 1, 2, (2, 3)),
        (convolutions.columns_summed, 5, 3, (7, 7)),
        (convolutions.columns_summed, 4, 1, (3, 2)),
        (convolutions.columns_summed, 2, 4, (1, 2)),  # 8 maps: none is added
    ],
)
def test_thin_forms_are_the_convolution_and_have_its_gradients(form, channels, filters, kernel):
    x = tf.random.stateless_normal([2, 9, 11, channels], [1, 2], dtype=tf.float64)
    weights = tf.random.stateless_normal([*kernel, channels, filters], [3, 4], dtype=tf.float64)

    def plain(x, weights):
        return tf.nn.conv2d(x, weights, 1, "VALID")

    upstream = tf.random.stateless_normal(plain(x, weights).shape, [5, 6], dtype=tf.float64)
    expected = with_gradients(plain, x, weights, upstream=upstream)
    got = with_gradients(form, x, weights, upstream=upstream)
    for value, other in zip(expected, got, strict=True):
        np.testing.assert_allclose(value, other, rtol=0, atol=EXACT)


def test_a_blur_by_hand():
    row = tf.repeat(tf.reshape(tf.constant([8.0, 0.0, 16.0, 8.0], tf.float64), [1, 1, 4, 1]), 4, axis=1)
    same = convolutions.Blur2D(dtype="float64")(row)
    np.testing.assert_array_equal(same[0, 1, :, 0], [4, 6, 10, 12])  # 0 8 0 16 8 16 in quarters of 1, 2, 1
    half = convolutions.Blur2D(2, dtype="float64")(row)
    np.testing.assert_array_equal(half[0, :, :, 0], [[5, 11]] * 2)  # in eighths of 1, 3, 3, 1
    assert convolutions.Blur2D(2).compute_output_shape((1, 4, None, 1)) == (1, 2, None, 1)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_blur_is_a_sum_of_slices(stride):
    layer = convolutions.Blur2D(stride, dtype="float64")
    taps = {1: convolutions.BLURRED, 2: convolutions.HALVED}[stride]
    x = tf.random.stateless_normal([2, 6, 8, 3], [1, 2], dtype=tf.float64)
    upstream = tf.random.stateless_normal([2, 6 // stride, 8 // stride, 3], [3, 4], dtype=tf.float64)
    slow = with_gradients(layer, x, upstream=upstream)
    fast = with_gradients(lambda x: convolutions.summed(reflect(x, 1, 1), taps, stride), x, upstream=upstream)
    for value, other in zip(slow, fast, strict=True):
        np.testing.assert_allclose(value, other, rtol=0, atol=EXACT)


@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_interpolating_before_a_convolution_is_the_same_in_training_and_in_files(kernel):
    layer = convolutions.UpsampledConv2D(4, kernel, padding="same", blur=True, dtype="float64")
    x = tf.random.stateless_normal([2, 5, 6, 3], [1, 2], dtype=tf.float64)
    layer.build(x.shape)
    expected = layer(x).numpy()
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=0, atol=EXACT)
    layer.fold()
    np.testing.assert_allclose(layer(x), expected, rtol=0, atol=EXACT)
    mirrored = tf.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]], mode="REFLECT")
    bilinear = tf.cast(tf.image.resize(mirrored, (18, 20)), tf.float64)
    stock = keras.layers.Conv2D(4, kernel, padding="same", dtype="float64")
    stock.build(x.shape)
    stock.set_weights(layer.get_weights())
    np.testing.assert_allclose(stock(bilinear)[:, 4:-4, 4:-4], expected, rtol=0, atol=1e-5)  # resized in float32


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("reflects", [False, True])
def test_training_convolves_the_doubled_map_as_inference_does(kernel, bias, reflects):
    settings = {"use_bias": bias, "bias_initializer": "ones", "dtype": "float64"}
    layer = convolutions.UpsampledConv2D(4, kernel, padding="same", reflects=reflects, **settings)
    x = tf.random.stateless_normal([2, 5, 6, 3], [1, 2], dtype=tf.float64)
    layer.build(x.shape)
    upstream = tf.random.stateless_normal([2, 10, 12, 4], [3, 4], dtype=tf.float64)
    slow = with_gradients(lambda x: layer(x, training=False), x, upstream=upstream)
    fast = with_gradients(lambda x: layer(x, training=True), x, upstream=upstream)
    for value, other in zip(slow, fast, strict=True):
        np.testing.assert_allclose(value, other, rtol=0, atol=EXACT)
    stock = keras.layers.Conv2D(4, kernel, padding="same", use_bias=bias, dtype="float64")
    stock.build(x.shape)
    stock.set_weights(layer.get_weights())
    mirrored = np.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "reflect") if reflects else x
    whole = stock(np.repeat(np.repeat(mirrored, 2, axis=1), 2, axis=2))
    np.testing.assert_allclose(slow[0], whole[:, 2:-2, 2:-2] if reflects else whole, rtol=0, atol=EXACT)


def test_doubling_takes_any_height_and_width_while_training():
    layer = convolutions.UpsampledConv2D(2, 3, padding="same", dtype="float64")
    layer.build((None, None, None, 3))

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float64)])
    def step(x):
        return layer(x, training=True)

    x = tf.random.stateless_normal([1, 3, 7, 3], [1, 2], dtype=tf.float64)
    np.testing.assert_allclose(step(x), layer(x, training=False), rtol=0, atol=EXACT)
