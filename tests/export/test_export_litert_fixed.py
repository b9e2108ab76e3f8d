"""LiteRT files of fixed sizes: equal to Keras, small, and with operations that all runtimes support."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from small_models import make_generator, quick_with

from kgan.errors import RunError, UserError
from kgan.export import export_fixed
from kgan.export.litert.fixed import folded
from kgan.export.reference import check_difference, naming, random_inputs
from kgan.inference.stylist import Stylist
from kgan.networks.convolutions import UpsampledConv2D
from kgan.networks.norms import normalize_instances, normalize_within_half
from kgan.networks.padding import reflect, reflect_by_slices


@pytest.mark.parametrize("kind", quick_with("antialias"))
def test_every_generator_gives_what_keras_gives_at_each_size(tmp_path, kind):
    generator = make_generator(kind)
    before = [weight.numpy() for weight in generator.weights]
    interpreter = Interpreter(str(export_fixed(generator, tmp_path / "m.tflite", (48, 32), half=False)))
    inputs = [name for name, used in (("image", generator.takes_content), ("noise", generator.noise_channels)) if used]
    signature = {"inputs": inputs, "outputs": ["stylized"]}
    assert interpreter.get_signature_list() == {"s32": signature, "s48": signature}
    stylist = Stylist(generator)
    for size in (32, 48):
        given = random_inputs(stylist, (size, size), seed=1)
        expected = stylist(**given).numpy()
        assert expected.shape == (1, size, size, generator.channels)
        assert expected.std() > 0.01
        assert np.abs(interpreter.get_signature_runner(f"s{size}")(**given)["stylized"] - expected).max() < 1e-4
    assert all((one == other.numpy()).all() for one, other in zip(before, generator.weights, strict=True))


@pytest.mark.long
def test_a_second_size_costs_no_second_set_of_weights(tmp_path):
    generator = make_generator("gray_pool")
    one = export_fixed(generator, tmp_path / "one.tflite", (32,)).stat().st_size
    two = export_fixed(generator, tmp_path / "two.tflite", (32, 64)).stat().st_size
    weights = 2 * generator.count_params()
    assert weights < one < 1.6 * weights
    assert two - one < 0.5 * weights


@pytest.mark.parametrize("sizes", [(), (30,), (8,), (256, 255)])
def test_sizes_that_would_need_padding_are_refused(tmp_path, sizes):
    with pytest.raises(UserError, match="sizes"):
        export_fixed(make_generator("content"), tmp_path / "m.tflite", sizes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [lambda made: made + 3 / 255, lambda made: made * np.nan])
def test_a_file_that_differs_from_keras_is_refused_by_name(tmp_path, change):
    stylist = Stylist(make_generator("content_noise"))
    check_difference(stylist, lambda **inputs: {"stylized": stylist(**inputs).numpy() + 1 / 255})
    with (
        pytest.raises(RunError, match=r"m\.onnx: not written: the converted model differs from Keras by"),
        naming(tmp_path / "m.onnx"),
    ):
        check_difference(stylist, lambda **inputs: {"stylized": change(stylist(**inputs).numpy())}, count=2)


# --- the forms that layers take ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(1, 1), (3, 3), (0, 1), (1, 2)])
def test_mirroring_by_slices_is_mirroring(before, after):
    maps = tf.random.normal((2, 5, 6, 3))
    assert (reflect_by_slices(maps, before, after).numpy() == reflect(maps, before, after).numpy()).all()


@pytest.mark.parametrize(("kernel", "bias"), [(3, True), (5, False)])
def test_a_folded_upsampling_is_the_same_upsampling(kernel, bias):
    layer = UpsampledConv2D(4, kernel, padding="same", use_bias=bias, bias_initializer="normal", dtype="float64")
    maps = tf.random.normal((1, 6, 7, 3), dtype=tf.float64)
    expected = layer(maps).numpy()
    layer.fold()
    assert np.abs(layer(maps).numpy() - expected).max() < 1e-12
    assert layer.folded.shape == (kernel + 1, kernel + 1, 4, 3)


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_a_folded_instance_norm_is_the_same_norm_within_float16(slope):
    maps = tf.random.stateless_normal((2, 9, 8, 3), [1, 2], 20.0, tf.constant([0.01, 1.0, 300.0]))
    scale, offset = tf.constant([0.5, -2.0, 1.5]), tf.constant([1.0, 0.0, -3.0])
    expected = normalize_instances(maps, scale, offset, 1e-5, slope)
    assert np.abs(normalize_within_half(maps, scale, offset, 1e-5, slope) - expected).max() < 1e-3
    assert tf.reduce_max(tf.square(maps - tf.reduce_mean(maps, (1, 2), keepdims=True))) > 65504
    made = normalize_within_half(*(tf.cast(each, tf.float16) for each in (maps, scale, offset)), 1e-5, slope)
    # A mean over 9 rows of 8 takes 17 roundings by 2^-11: 0.004 of the deviation, and as much of outputs of up to 7;
    # 0.01 of the mean; some more of the rest. In the first channel the maps vary by float16's last digit.
    assert np.abs(tf.cast(made, tf.float32) - expected)[..., 1:].max() < 0.1


def test_the_generator_itself_is_not_folded():
    generator = make_generator("content")
    copy = folded(generator)
    assert any(getattr(layer, "folded", None) is not None for layer in copy._flatten_layers())
    changed = [x for x in generator._flatten_layers() if getattr(x, "folded", None) not in (None, False)]
    assert not changed
