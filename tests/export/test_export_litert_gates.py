"""Each check accepts a good model and refuses a faulty one with a message of one line, before a file is written."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import make_generator

from kgan.errors import RunError
from kgan.export import export_fixed
from kgan.export.litert import convert as litert
from kgan.export.litert import fixed as litert_fixed
from kgan.export.litert import gates as litert_gates
from kgan.export.litert.variants import export_variants
from kgan.inference.stylist import Stylist
from kgan.networks.generators import ResNetGenerator

PICTURES = [np.random.default_rng(5).integers(0, 256, (24, 40, 3), np.uint8) for _ in range(2)]
KERNEL = tf.constant(np.random.default_rng(6).normal(size=(3, 3, 3, 3)).astype(np.float32))


def converted(function, shape=(1, 16, 16, 3), more=()):
    """A .tflite model of a function of one picture, with `more` operation sets besides LiteRT's own."""
    traced = tf.function(lambda image: {"stylized": function(image)})
    concrete = traced.get_concrete_function(tf.TensorSpec(shape, tf.float32, "image"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], trackable_obj=tf.Module())
    converter.allow_custom_ops = True
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, *more]
    return converter.convert()


def convolve(image):
    return tf.nn.conv2d(image, KERNEL, 1, "SAME")


def in_one_line(caught):
    text = str(caught.value)
    assert "\n" not in text
    return text


# --- operations -------------------------------------------------------------------------------------------------------


def test_a_plain_convolution_passes():
    litert_gates.check_operations(converted(convolve), fixed=True)


def weigh_by_itself(image):
    return tf.nn.conv2d(image, tf.tanh(image[0, 0, 0] * KERNEL), 1, "SAME")


def reshape_often(image):
    for shape in ((1, 64, 4, 3), (1, 4, 64, 3), (1, 16, 16, 3)):
        image = tf.nn.softmax(tf.reshape(image, shape))
    return convolve(image)


FLEX = [tf.lite.OpsSet.SELECT_TF_OPS]
FAULTS = {
    "a Flex operation": (lambda x: tf.image.adjust_saturation(x, 0.5), "FlexAdjustSaturation", FLEX),
    "a custom operation": (lambda x: tf.raw_ops.Betainc(a=x, b=x, x=x), "CUSTOM (Betainc)", []),
    "resizing": (lambda x: tf.image.resize(x, (32, 32), "nearest"), "RESIZE_NEAREST_NEIGHBOR", []),
    "gathering": (lambda x: tf.gather(x, [1, 0, 3], axis=1), "GATHER", []),
    "rank 5": (lambda x: tf.tanh(tf.reshape(x, (1, 4, 4, 16, 3))), "rank 5", []),
    "computed weights": (weigh_by_itself, "computed while it runs", []),
    "many reshapes": (reshape_often, "3 times RESHAPE", []),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_operations_that_not_every_runtime_has(fault):
    function, told, more = FAULTS[fault]
    with pytest.raises(RunError) as caught:
        litert_gates.check_operations(converted(function, more=more), fixed=True)
    assert told in in_one_line(caught)


def test_shapes_are_computed_in_files_of_free_size_alone():
    content = litert.convert(Stylist(make_generator("content"), plain=True))
    litert_gates.check_operations(content, fixed=False)
    with pytest.raises(RunError, match=r"PACK.*SHAPE"):
        litert_gates.check_operations(content, fixed=True)


def test_a_size_that_is_not_known_is_no_fixed_one():
    content = converted(convolve, (1, None, 16, 3))
    litert_gates.check_operations(content, fixed=False)
    with pytest.raises(RunError, match="no fixed shape"):
        litert_gates.check_operations(content, fixed=True)


def test_variables():
    module = tf.Module()
    module.state = tf.Variable(tf.zeros((1, 16, 16, 3)))
    function = tf.function(lambda image: {"stylized": module.state.assign_add(image)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 16, 16, 3), tf.float32, "image"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    converter.experimental_enable_resource_variables = True
    with pytest.raises(RunError, match=r"VARIABLE|VAR_HANDLE"):
        litert_gates.check_operations(converter.convert(), fixed=False)


# --- weights, ranges, likeness ----------------------------------------------------------------------------------------


def test_a_file_without_its_weights():
    """A model that is converted without an object that holds its variables."""
    generator = make_generator("gray_pool")
    weights = litert_gates.kernel_weights(generator)
    stylist = Stylist(generator)
    litert_gates.check_size(litert.convert(stylist), weights, 4)
    model = keras.Sequential([keras.layers.Input((16, 16, 3)), keras.layers.Conv2D(64, 9)])
    traced = tf.function(lambda image: model(image)).get_concrete_function(tf.TensorSpec((1, 16, 16, 3)))
    lost = tf.lite.TFLiteConverter.from_concrete_functions([traced], model).convert()
    with pytest.raises(RunError, match="the converter lost some"):
        litert_gates.check_size(lost, litert_gates.kernel_weights(model), 4)


def test_ranges_beyond_float16():
    def examples(size):
        return [{"image": np.full((1, size, size, 3), 0.5, np.float32)}]

    for factor in (2.18, 2.19, np.nan):  # 0.5 x 60000 x 2.18 = 65400, x 2.19 = 65700; tanh hides it
        content = converted(lambda x, factor=factor: tf.tanh(tf.abs(x * 60000.0) * factor))
        if factor == 2.18:
            litert_gates.check_ranges(content, examples)
            continue
        with pytest.raises(RunError, match="beyond float16's 65504"):
            litert_gates.check_ranges(content, examples)


def test_likeness_asks_the_worst_picture():
    litert_gates.check_likeness([0.99, 0.931], 0.93)
    for scores in ([0.99, 0.929], [float("nan"), 1.0]):
        with pytest.raises(RunError, match=r"on the worst of 2 pictures; 0\.93 is asked"):
            litert_gates.check_likeness(scores, 0.93)


# --- exports with a fault ---------------------------------------------------------------------------------------------


def refused(generator, folder, **more):
    """The error message of an export that fails and leaves no files."""
    with pytest.raises(RunError) as caught:
        export_variants(generator, folder, sizes=(32,), pictures=PICTURES, **more)
    assert not list(folder.iterdir())
    return in_one_line(caught)


@pytest.mark.parametrize("variant", [pytest.param("float16", marks=pytest.mark.long), "int8"])
def test_a_conversion_to_another_model_is_refused(tmp_path, monkeypatch, variant):
    """The weights in the file differ from those of the generator."""
    functions = litert_fixed.fixed_functions
    other = Stylist(make_generator("content"))
    monkeypatch.setattr(litert_fixed, "fixed_functions", lambda _, sizes: functions(other, sizes))
    line = refused(make_generator("content"), tmp_path, variants=[variant])
    assert line.startswith(f"{tmp_path}/model_{variant}_fixed.tflite: not written: SSIM to Keras is ")


class Loud(ResNetGenerator):
    """Its maps go beyond float16's range on the way."""

    def finish(self, inputs, maps, training=False):
        return super().finish(inputs, [*maps[:-1], maps[-1] * 1e6 / 1e6], training=training)


class Resizing(ResNetGenerator):
    """It resizes in a way that no file of a fixed size may."""

    def finish(self, inputs, maps, training=False):
        coarse = tf.image.resize(maps[-1], tf.shape(maps[-1])[1:3] // 2)
        return super().finish(inputs, [*maps[:-1], tf.image.resize(coarse, tf.shape(maps[-1])[1:3])], training=training)


def made(cls):
    generator = cls(filters=4, blocks=1)
    generator(np.zeros((1, 32, 32, 3), np.float32))
    return generator


def test_a_generator_beyond_float16_is_refused(tmp_path):
    assert "beyond float16's 65504" in refused(made(Loud), tmp_path)


@pytest.mark.long
def test_a_generator_that_resizes_is_refused(tmp_path):
    assert "RESIZE_BILINEAR" in refused(made(Resizing), tmp_path)
    with pytest.raises(RunError, match="RESIZE_BILINEAR"):
        export_fixed(made(Resizing), tmp_path / "m.tflite", (32,))
    assert not list(tmp_path.iterdir())
