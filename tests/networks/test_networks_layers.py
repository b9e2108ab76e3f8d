import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan import kinds
from kgan.networks import convolutions, layers, norms, padding

GOLDEN = np.load(
    pathlib.Path(__file__).parents[1] / "golden" / "instance_norm.npz"
)  # scripts/make_instance_norm_golden.py

EXACT = 1e-12
"""Tolerance of sums of some hundred numbers of about 1 in a different order in float64, whose epsilon is 2.2e-16."""


def golden_layer(dtype="float32"):
    layer = norms.InstanceNormalization(dtype=dtype)
    layer.build((None, None, None, 3))
    layer.set_weights([GOLDEN["scale"], GOLDEN["offset"]])
    return layer


# The recorded values carry tensorflow-addons' rounding in float32: of sums of 70, and for the bright maps of 1000 +- 1.
# Here all is in float64, so that no other rounding is added, which would be another on every processor.
@pytest.mark.parametrize(("name", "tolerance"), [("ordinary", 5e-6), ("bright", 3e-3)])
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_instance_norm_agrees_with_tensorflow_addons(name, tolerance, jit):
    layer = golden_layer("float64")

    @tf.function(jit_compile=jit)
    def forward_and_gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x)
            total = tf.reduce_sum(outputs * GOLDEN["upstream"])
        return outputs, *tape.gradient(total, [x, layer.scale.value, layer.offset.value])

    got = forward_and_gradients(tf.constant(GOLDEN[f"{name}_inputs"], tf.float64))
    for value, key in zip(got, ("outputs", "d_inputs", "d_scale", "d_offset"), strict=True):
        np.testing.assert_allclose(value, GOLDEN[f"{name}_{key}"], atol=tolerance, err_msg=key)


def test_instance_norm_of_a_bright_map_is_nearer_to_float64_than_one_pass_moments():
    inputs = GOLDEN["bright_inputs"]
    centred = inputs.astype("float64") - inputs.astype("float64").mean((1, 2), keepdims=True)
    exact = centred / np.sqrt((centred**2).mean((1, 2), keepdims=True) + 1e-5) * GOLDEN["scale"] + GOLDEN["offset"]
    one_pass_variance = (inputs**2).mean((1, 2), keepdims=True) - inputs.mean((1, 2), keepdims=True) ** 2
    one_pass = centred / np.sqrt(np.maximum(one_pass_variance, 0) + 1e-5) * GOLDEN["scale"] + GOLDEN["offset"]
    ours = golden_layer()(inputs).numpy()
    # float32 rounds 1000 by 3e-5; the mean of its squares by 0.03, a hundredth of the deviation of 1.
    assert np.abs(ours - exact).max() < 1e-3 < 0.01 < np.abs(one_pass - exact).max()


@pytest.mark.parametrize(("dtype", "rounding"), [("mixed_bfloat16", 2**-8), ("mixed_float16", 2**-11)])
def test_instance_norm_computes_in_float32_inside_mixed_precision(dtype, rounding):
    layer = golden_layer(dtype)
    large = tf.cast(300.0 * GOLDEN["ordinary_inputs"], layer.compute_dtype)  # its squares overflow float16
    outputs = layer(large)
    assert outputs.dtype == layer.compute_dtype
    assert layer.scale.dtype == "float32"
    expected = golden_layer()(tf.cast(large, tf.float32))
    # Rounded once, at the end: by half a unit in the last of 8 or 11 bits.
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, rtol=1.01 * rounding, atol=1e-5)


@pytest.mark.parametrize("slope", [0.0, 0.25])  # TensorFlow keeps the slope of a leaky ReLU in float32
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_the_norms_own_activation_is_a_leaky_relu_behind_it(slope, jit):
    x = tf.random.stateless_normal([2, 5, 6, 3], [1, 2], dtype=tf.float64)
    scale, offset = tf.constant([[1.0, -2.0, 0.5], [0.0, 0.3, -1.0]], tf.float64)
    upstream = tf.reverse(x, [1, 2])

    @tf.function(jit_compile=jit)
    def forward_and_gradients(inside, behind):
        with tf.GradientTape() as tape:
            tape.watch([x, scale, offset])
            y = norms.normalize_instances(x, scale, offset, negative_slope=inside)
            y = tf.maximum(y, behind * y)
        return y, *tape.gradient(y, [x, scale, offset], upstream)

    for got, expected in zip(forward_and_gradients(slope, 1.0), forward_and_gradients(1.0, slope), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=EXACT)


def test_double_nearest_repeats_pixels_and_its_gradient_sums_blocks():
    x = tf.reshape(tf.range(6.0, dtype=tf.float64), [1, 2, 3, 1])

    @tf.function(jit_compile=True)
    def value_and_gradient(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = convolutions.double_nearest(x)
            total = tf.reduce_sum(y * upstream)
        return y, tape.gradient(total, x)

    upstream = tf.random.normal([1, 4, 6, 1], dtype=tf.float64)
    y, gradient = value_and_gradient(x, upstream)
    np.testing.assert_array_equal(y, np.repeat(np.repeat(x, 2, axis=1), 2, axis=2))
    blocks = upstream.numpy().reshape(1, 2, 2, 3, 2, 1).sum(axis=(2, 4))
    np.testing.assert_allclose(gradient, blocks, rtol=0, atol=EXACT)


def test_reflection_padding_by_hand():
    row = tf.reshape([1.0, 2.0, 3.0], [1, 1, 3, 1])
    padded = padding.ReflectionPadding2D(1)(tf.repeat(row, 2, axis=1))
    assert padded.shape == (1, 4, 5, 1)
    np.testing.assert_array_equal(padded[0, 0, :, 0], [2, 1, 2, 3, 2])
    after = padding.ReflectionPadding2D(0, 2)(tf.repeat(row, 3, axis=1))
    assert after.shape == (1, 5, 5, 1)
    np.testing.assert_array_equal(after[0, 0, :, 0], [1, 2, 3, 2, 1])


@pytest.mark.parametrize("shape", [(5, 6), (4, 9)])
def test_mirroring_of_an_unknown_size_is_that_of_tf_pad(shape):
    pad = tf.function(
        lambda x: padding.reflect(x, 1, 3), input_signature=[tf.TensorSpec([None, None, None, 2], tf.float32)]
    )
    maps = tf.random.normal([2, *shape, 2])
    expected = tf.pad(maps, [[0, 0], [1, 3], [1, 3], [0, 0]], mode="REFLECT")
    np.testing.assert_array_equal(pad(maps), expected)


@pytest.mark.parametrize("up", ["resize", "transpose"])
@pytest.mark.parametrize("training", [False, True])
def test_a_doubled_map_is_continued_by_its_mirror_image(up, training):
    maps = tf.random.normal([1, 6, 7, 2], dtype=tf.float64)
    shared = {"norm": "none", "activation": "linear", "up": up, "dtype": "float64"}
    zeros, mirrored = (layers.ConvBlock(3, reflect=reflect, **shared) for reflect in (False, True))
    expected = zeros(np.pad(maps, [[0, 0], [1, 1], [1, 1], [0, 0]], "reflect"))[:, 2:-2, 2:-2]
    mirrored.build(maps.shape)
    mirrored.set_weights(zeros.get_weights())
    np.testing.assert_allclose(mirrored(maps, training=training), expected, rtol=0, atol=EXACT)
    assert mirrored.compute_output_shape(maps.shape) == expected.shape
    np.testing.assert_allclose(expected[:, 1:-1, 1:-1], zeros(maps)[:, 1:-1, 1:-1], rtol=0, atol=EXACT)


@pytest.mark.parametrize(("before", "after"), [(1, 1), (3, 3), (0, 1), (1, 2)])
def test_mirroring_of_a_known_size_has_the_gradient_of_tf_pad(before, after):
    maps = tf.random.normal([2, 5, 6, 3], dtype=tf.float64)
    upstream = tf.random.normal([2, 5 + before + after, 6 + before + after, 3], dtype=tf.float64)

    def value_and_gradient(pad):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            padded = pad(maps)
        return padded, tape.gradient(padded, maps, upstream)

    edges = [[0, 0], [before, after], [before, after], [0, 0]]
    expected = value_and_gradient(lambda x: tf.pad(x, edges, mode="REFLECT"))
    for got, wanted in zip(value_and_gradient(lambda x: padding.reflect(x, before, after)), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=EXACT)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("step", [{"stride": 2}, {"pool": True}], ids=str)
def test_a_mirrored_block_is_a_padded_one_but_at_the_border(kernel, step):
    maps = tf.random.normal([1, 12, 16, 2], dtype=tf.float64)
    shared = {"norm": "none", "dtype": "float64", **step}
    blocks = [layers.ConvBlock(3, kernel, reflect=reflect, **shared) for reflect in (False, True)]
    zeros = blocks[0](maps).numpy()
    blocks[1].build(maps.shape)
    blocks[1].set_weights(blocks[0].get_weights())
    mirrored = blocks[1](maps).numpy()
    assert zeros.shape == mirrored.shape == (1, 6, 8, 3)
    inside = np.s_[:, 1:-1, 1:-1]
    np.testing.assert_allclose(mirrored[inside], zeros[inside], rtol=0, atol=EXACT)
    assert np.abs(mirrored - zeros)[:, -1].max() > 0.01  # nothing is continued by zeros
    assert np.abs(mirrored - zeros)[:, :, -1].max() > 0.01


def test_pool_to_grid_averages_cells_and_shares_what_lies_between():
    maps = tf.reshape(tf.constant([1.0, 2.0, 6.0], tf.float64), [1, 1, 3, 1])
    # 3 columns on 2 cells of 1.5: (1 + 2 / 2) / 1.5 and (2 / 2 + 6) / 1.5; one row fills both rows of the grid
    np.testing.assert_allclose(layers.pool_to_grid(maps, 2)[0, :, :, 0], [[4 / 3, 14 / 3]] * 2, rtol=0, atol=EXACT)
    divisible = tf.random.normal([2, 8, 12, 3], dtype=tf.float64)
    np.testing.assert_allclose(layers.pool_to_grid(divisible, 4), tf.nn.avg_pool2d(divisible, (2, 3), (2, 3), "VALID"),
                               rtol=0, atol=EXACT)  # fmt: skip


@pytest.mark.parametrize("norm", ["", "layer"])
def test_unknown_norm_is_refused(norm):
    with pytest.raises(ValueError, match="should be instance, batch or none"):
        norms.normalization(norm)


@pytest.mark.parametrize("stride", [0, 1, 3, 6])
def test_a_stride_that_is_no_power_of_two_is_refused(stride):
    with pytest.raises(ValueError, match="`stride` should be"):
        layers.levels(stride)


# --- spectral normalization ---------------------------------------------------------------------------------------


def spectral_dense(inputs=6, features=4):
    layer = norms.SpectralNormalization(keras.layers.Dense(features, use_bias=False, dtype="float64"))
    layer(tf.zeros([1, inputs]))
    return layer


def test_spectral_norm_makes_the_largest_singular_value_one():
    layer = spectral_dense()
    for _ in range(100):  # power iterations; two near singular values take many
        layer(tf.zeros([1, 6]), training=True)
    effective = layer(tf.eye(6))  # the bias is zero
    assert np.linalg.svd(effective, compute_uv=False)[0] == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(
        effective, layer.layer.kernel / np.linalg.svd(layer.layer.kernel, compute_uv=False)[0], atol=1e-3
    )


def test_spectral_norm_starts_near_one_in_every_layer_of_a_network():
    network = kinds.DISCRIMINATORS["patch"].load()(filters=4, norm="none", spectral=True)
    network(tf.zeros([1, 32, 32, 3]))
    wrapped = [layer for layer in network._flatten_layers() if isinstance(layer, norms.SpectralNormalization)]
    assert len(wrapped) == 5
    for layer in wrapped:
        u, v = layer._power_iterations(0)
        matrix = layer._matrix().numpy()
        assert v.numpy() @ matrix @ u.numpy() == pytest.approx(np.linalg.svd(matrix, compute_uv=False)[0], rel=0.05)


def test_spectral_norm_moves_u_only_in_training_and_never_the_kernel():
    layer = spectral_dense()
    kernel, u = layer.layer.kernel.numpy(), layer.u.numpy()
    layer(tf.ones([1, 6]))
    np.testing.assert_array_equal(layer.u, u)
    layer(tf.ones([1, 6]), training=True)
    assert np.abs(layer.u - u).max() > 0
    np.testing.assert_array_equal(layer.layer.kernel, kernel)


def test_spectral_norm_is_blind_to_the_kernels_scale_and_so_is_its_gradient():
    layer = spectral_dense()
    x = tf.random.normal([5, 6])
    before = layer(x)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(x) ** 2)
    gradient = tape.gradient(total, layer.layer.kernel.value)
    # Scaling the kernel changes nothing, hence no slope along it: gradient through sigma, which Keras' layer lacks.
    along = tf.reduce_sum(gradient * layer.layer.kernel)
    assert abs(along) < EXACT * tf.norm(gradient) * tf.norm(layer.layer.kernel)
    layer.layer.kernel.assign(7.0 * layer.layer.kernel)
    np.testing.assert_allclose(layer(x), before, rtol=0, atol=EXACT)


def test_spectral_norm_of_a_layer_with_a_bias_is_refused():
    with pytest.raises(ValueError, match="use_bias=False"):
        norms.SpectralNormalization(keras.layers.Dense(3))
