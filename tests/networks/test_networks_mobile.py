"""The generator for phones: its layers worked by hand, and its LiteRT file."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from kgan import assembly
from kgan.export.litert.fixed import export_fixed
from kgan.networks.mobile import MobileBlock, MobileGenerator, SubPixelConv2D, UpSkipBlock
from kgan.networks.norms import InstanceNormalization
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig


def generator(spread=0.2, **arguments):
    """A network with random weights and random statistics of norms."""
    model = MobileGenerator(**{"filters": 4, "blocks": 2, "residual": True, **arguments})
    model.build((None, None, None, 3))
    draw = np.random.default_rng(0)
    for weight in model.weights:
        change = draw.normal(0, spread, weight.shape)
        weight.assign_add(np.abs(change) if "variance" in weight.path else change)
    return model


def test_four_channels_become_two_by_two_pixels():
    layer = SubPixelConv2D(2, 1)
    layer.build((1, 1, 2, 1))
    layer.convolution.set_weights([np.arange(1.0, 9.0).reshape(1, 1, 1, 8), np.zeros(8)])
    made = layer(tf.constant([[[[1.0], [10.0]]]]))
    np.testing.assert_array_equal(made[0, ..., 0], [[1, 3, 10, 30], [5, 7, 50, 70]])
    np.testing.assert_array_equal(made[0, ..., 1], [[2, 4, 20, 40], [6, 8, 60, 80]])
    assert layer.compute_output_shape((1, 1, 2, 1)) == made.shape


def test_a_block_starts_as_the_identity_and_adds_what_it_learns():
    block = MobileBlock(1, kernel=3, norm="none")
    block.build((None, None, None, 1))
    maps = tf.reshape(tf.range(1.0, 10.0), (1, 3, 3, 1))
    np.testing.assert_array_equal(block(maps), maps)
    depthwise, _, expand, project = block.sequence
    depthwise.set_weights([np.ones((3, 3, 1, 1)), np.array([0.5])])
    expand.set_weights([np.array([1.0, -1.0, 2.0]).reshape(1, 1, 1, 3), np.zeros(3)])
    project.set_weights([np.array([1.0, 100.0, 0.5]).reshape(1, 1, 3, 1), np.array([0.25])])
    # In the middle the nine sum to 45: relu of 45.5, -45.5 and 91, of which 1, 100 and 0.5 parts are added.
    assert float(block(maps)[0, 1, 1, 0]) == 5.0 + 45.5 + 45.5 + 0.25


def test_on_the_way_up_the_finer_map_is_added():
    layer = UpSkipBlock(1, kernel=3)
    layer.build((None, None, None, 2))
    layer.double.convolution.set_weights([np.zeros((1, 1, 2, 4)), np.array([0.0, 1.0, 2.0, -9.0])])
    depthwise, pointwise = layer.mix
    depthwise.set_weights([np.eye(9)[4].reshape(3, 3, 1, 1), np.zeros(1)])
    pointwise.set_weights([np.full((1, 1, 1, 1), 2.0), np.ones(1)])
    made = layer(tf.zeros((1, 1, 1, 2)), tf.fill((1, 2, 2, 1), 3.0))
    np.testing.assert_array_equal(made[0, ..., 0], [[7, 9], [11, 1]])


@pytest.mark.parametrize(("stride", "up"), [(2, 0), (4, 1), (8, 2)])
def test_norms_stand_at_the_coarsest_resolution_alone(stride, up):
    model = generator(stride=stride)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, InstanceNormalization)]
    assert (len(model.up), len(norms)) == (up, 1 + model.blocks)
    picture = tf.random.uniform((1, 4 * stride, 4 * stride, 3), -1, 1)
    assert float(tf.reduce_max(tf.abs(model(picture) - model(0.5 * picture)))) > 1e-3


def operations(path):
    """The number of each operation in a file."""
    content = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    graph = content.subgraphs[0]
    return collections.Counter(names[content.operatorCodes[one.opcodeIndex].builtinCode] for one in graph.operators)


@pytest.mark.long
def test_a_batch_norm_disappears_in_the_file(tmp_path):
    counts = {}
    for norm in ("batch", "none"):
        model = generator(norm=norm)
        path = export_fixed(model, tmp_path / f"{norm}.tflite", sizes=(32,), half=False)
        counts[norm] = operations(path)
        picture = np.random.default_rng(1).random((1, 32, 32, 3), np.float32)
        made = Interpreter(str(path)).get_signature_runner("s32")(image=picture)["stylized"]
        np.testing.assert_allclose(made, np.clip(model(picture * 2 - 1) * 0.5 + 0.5, 0, 1), atol=1e-4)
    assert counts["batch"] == counts["none"]
    assert counts["none"]["CONV_2D"] == 2 + 2 * 2 + 2 + 1  # down, in the blocks, up, head
    assert counts["none"]["DEPTHWISE_CONV_2D"] == 2 + 1
    assert counts["none"]["DEPTH_TO_SPACE"] == 2


@pytest.mark.long
def test_the_file_of_the_recipes_network_is_small(tmp_path):
    config = recipes.resolve(TrainConfig(distill_from=None, recipe="cut", content="x", style="y", generator="mobile"))
    values = {
        name: getattr(recipes.find("distill"), name) for name in ("filters", "blocks", "kernel", "stride", "residual")
    }
    model = generator(spread=0.01, **values)
    assert 200_000 < model.count_params() < 480_000
    path = export_fixed(model, tmp_path / "model.tflite", sizes=(64, 96))
    assert path.stat().st_size < 1_000_000
    assert isinstance(assembly.build_generator(config), MobileGenerator)  # any recipe can train one
    assert operations(path).keys() <= {"ABS", "ADD", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE",
                                       "DEQUANTIZE", "MAXIMUM", "MEAN", "MINIMUM", "MUL", "RELU", "RELU_0_TO_1",
                                       "RSQRT", "SQUARE", "SQUARED_DIFFERENCE", "STRIDED_SLICE", "SLICE", "SUB",
                                       "TANH"}  # fmt: skip
