import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.networks import convolutions

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
