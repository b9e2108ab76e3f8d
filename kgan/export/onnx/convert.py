"""Converts a stylist to an ONNX model, by tf2onnx.

Keras' own exporter calls tf2onnx too and gives the same nodes. But it takes a `keras.Model`, which a stylist is not,
and calls the output "Identity:0".
"""

import contextlib
import dataclasses
import json
import logging
import warnings
from typing import Any

import tensorflow as tf

import kgan
from kgan import console
from kgan.export.litert.fixed import fixed_functions, signature_name
from kgan.export.sidecar import Origin
from kgan.inference.onnx import FACTS
from kgan.inference.onnx_checks import library
from kgan.inference.stylist import Facts, Stylist, from_noise

OPSET = 13
"""The version of ONNX' operators. Later ones give the same nodes, and fewer programs read them."""

SIDES = ("batch", "height", "width")
"""Names of the sides that a file of any size leaves open."""


def convert(stylist: Stylist, size: int | None, origin: Origin) -> Any:
    """Convert a stylist to an ONNX model with the inputs image and noise, if it takes them, and the output stylized.

    Args:
        stylist: a plain stylist, whose graph has no more operations than the network needs.
        size: the side of the square pictures that the model takes, or None for any number, height and width.
        origin: information about the origin, for the metadata.

    Returns:
        An `onnx.ModelProto` with float32 weights.

    Raises:
        UserError: if tf2onnx is not installed.
    """
    function = from_noise(stylist) if size is None else fixed_functions(stylist, [size])[signature_name(size)]
    made = _converted(function, _inputs(stylist.facts, size))
    _tidy(made)
    made.producer_name, made.producer_version = "kgan", kgan.__version__
    made.graph.name, made.doc_string = "kgan", "Restyles pictures: NHWC, float32 in [0, 1]"
    words = {FACTS: json.dumps(dataclasses.asdict(stylist.facts)), "recipe": origin.recipe, "source": origin.source}
    for key, value in {**words, "model_license": origin.licence}.items():
        made.metadata_props.add(key=key, value=value)
    return made


def _converted(function: tf.types.experimental.ConcreteFunction, specs: list[tf.TensorSpec]) -> Any:
    """The model as tf2onnx makes it."""
    tf2onnx = library("tf2onnx")
    names = [spec.name for spec in specs]
    called = tf.function(lambda *given: function(**dict(zip(names, given, strict=True))), specs, autograph=False)
    with _quietly():
        return tf2onnx.convert.from_function(called, specs, opset=OPSET)[0]


def _inputs(facts: Facts, size: int | None) -> list[tf.TensorSpec]:
    channels = {"image": facts.channels * facts.takes_content, "noise": facts.noise_channels}
    sides = (size and 1, size, size)
    return [tf.TensorSpec((*sides, count), tf.float32, name) for name, count in channels.items() if count]


def _tidy(model: Any) -> None:
    """Leave out what the graph does not use, name the open sides, and replace what ONNX 13 deprecates."""
    used = [each for each in model.opset_import if each.domain == ""]
    del model.opset_import[:]
    model.opset_import.extend(used)
    for tensor in (*model.graph.input, *model.graph.output):
        for side, name in zip(tensor.type.tensor_type.shape.dim, SIDES, strict=False):
            if not side.dim_value:
                side.dim_param = name
    for node in model.graph.node:
        node.doc_string = ""
        if node.op_type == "Resize":
            _without_deprecated(node)


_NEAREST = {"coordinate_transformation_mode": b"half_pixel", "nearest_mode": b"round_prefer_ceil"}
"""The pixel whose centre is nearest, and of two the later: what the deprecated `tf_half_pixel_for_nn` means."""


def _without_deprecated(node: Any) -> None:
    given = {each.name: each for each in node.attribute}
    if given["coordinate_transformation_mode"].s == b"tf_half_pixel_for_nn":
        for name, value in _NEAREST.items():
            given[name].s = value


@contextlib.contextmanager
def _quietly():
    """A context without tf2onnx' log of its work and warnings about NumPy."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with console.without_chatter(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
