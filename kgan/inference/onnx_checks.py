"""Checks of an ONNX file before onnxruntime sees it: only what kgan's exporter writes is opened.

An ONNX model is numbers and operators, none of which reads files. But it can name other files that hold its weights,
operators of plug-ins, and constants that are computed while it is loaded.
"""

import importlib
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from kgan.errors import UserError, some
from kgan.inference.weights import MOST_WEIGHTS

MOST_GRAPH = 4 * 2**20
"""The most bytes of a file that are not weights. Those of kgan have 100,000."""

MOST_BYTES = 4 * MOST_WEIGHTS + MOST_GRAPH
"""The longest file in bytes that is read."""

FIELD = 16
"""Bytes that each field counts at least, so that millions of empty ones are too many."""

OPSETS = range(9, 26)
"""Versions of operators that onnxruntime reads and whose meaning kgan knows."""

MOST_NUMBER = 2**16
"""The largest whole number in attributes, such as a stride or a padding."""

PLAIN = {"name", "type", "doc_string", "f", "i", "s", "floats", "ints", "strings"}
"""Fields of an attribute that is neither a graph nor a tensor."""

OPERATORS = {
    "Abs", "Add", "And", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Conv", "ConvTranspose",
    "DepthToSpace", "Div", "Einsum", "Equal", "Floor", "Gather", "Gemm", "Greater", "Identity", "LeakyRelu", "Less",
    "MatMul", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pad", "Pow", "Range", "Reciprocal", "ReduceMean",
    "ReduceProd", "ReduceSum", "Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Slice", "Softmax", "SpaceToDepth",
    "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze", "Where",
}  # fmt: skip
"""The operators that kgan's exporter writes, and their relatives. They compute and do nothing else."""

OF_CONSTANTS = {"And", "Equal", "Gather", "Greater", "Less", "Not", "Or", "Shape"}
"""Operators that may take constants alone. A slice of TensorFlow's asks whether its steps are negative, for example."""

MOST_OF_CONSTANTS = 64
"""The largest number of results of such an operator."""

MOST_RANK = 8
"""The largest number of sides that the shape of a constant is taken to have."""

GRAPH, INITIALIZER, RAW_DATA = 7, 5, 9
"""Numbers of fields in onnx.proto: the graph of a model, the weights of a graph, the bytes of a tensor."""

FLOAT, FLOAT16, FLOAT64 = 1, 10, 11
"""Types of numbers in onnx.proto."""


def library(name: str) -> Any:
    """Import a package that ONNX files need.

    Args:
        name: name of the module: "onnx", "onnxruntime" or "tf2onnx".

    Raises:
        UserError: if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"ONNX files need {name}, which is not installed: pip install 'kgan[onnx]'") from None


# --- before it is parsed ----------------------------------------------------------------------------------------------


def read_content(path: pathlib.Path) -> bytes:
    """Read a file that is mostly weights, so that parsing it takes little more memory than the file.

    A message of two bytes takes a hundred in memory.

    Args:
        path: the file.

    Returns:
        Its content.

    Raises:
        UserError: if it is too long, or what is not weights is.
        ValueError: if it is no protobuf message.
    """
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"is longer than {MOST_BYTES} bytes")
    content = path.read_bytes()
    if not content:
        raise ValueError("it is empty")
    room = MOST_GRAPH
    for size in _beside_weights(memoryview(content)):
        room -= size + FIELD
        if room < 0:
            raise UserError(f"holds more than {MOST_GRAPH} bytes that are not weights")
    return content


def _beside_weights(model: memoryview) -> Iterator[int]:
    """The sizes of all fields but those of weights."""
    for number, part in _fields(model):
        if number != GRAPH:
            yield len(part)
            continue
        for inner, child in _fields(part):
            if inner != INITIALIZER:
                yield len(child)
                continue
            yield 0
            yield from (0 if field == RAW_DATA else len(data) for field, data in _fields(child))


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The number and the bytes of each field of a protobuf message. A field that is a number has no bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        length = 0
        if key & 7 == 0:
            _, at = _varint(message, at)
        elif key & 7 == 2:
            length, at = _varint(message, at)
        elif key & 7 in (1, 5):
            at += 8 if key & 7 == 1 else 4
        else:
            raise ValueError("a field of unknown type")
        yield key >> 3, message[at : at + length]
        at += length
    if at > len(message):
        raise ValueError("it ends early")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of variable length, and the position after it."""
    value = 0
    for place in range(10):
        if at + place >= len(message):
            raise ValueError("it ends early")
        value |= (message[at + place] & 127) << (7 * place)
        if message[at + place] < 128:
            return value, at + place + 1
    raise ValueError("a number of more than 10 bytes")


# --- after it was parsed ----------------------------------------------------------------------------------------------


def check_model(model: Any) -> None:
    """Check that a model has no more than kgan's exporter writes.

    Args:
        model: an `onnx.ModelProto`.

    Raises:
        UserError: with the reason, if it has.
    """
    problem = _odd_parts(model) or _odd_operators(model) or _odd_attribute(model)
    problem = problem or _odd_weights(model) or _odd_constant(model) or _odd_tensors(model)
    if problem:
        raise UserError(problem)


def _odd_parts(model: Any) -> str | None:
    domains = [each.domain for each in model.opset_import]
    if domains != [""] or model.opset_import[0].version not in OPSETS:
        versions = [each.version for each in model.opset_import]
        return f"uses operators of other sets than ONNX' own, {OPSETS[0]} to {OPSETS[-1]}: {domains} {versions}"[:200]
    for name in ("functions", "training_info"):
        if getattr(model, name):
            return f"contains {name.replace('_', ' ')}, which no export of kgan does"
    if model.graph.sparse_initializer:
        return "contains sparse weights, which no export of kgan does"
    return None


def _odd_operators(model: Any) -> str | None:
    named = {f"{each.domain}.{each.op_type}" if each.domain else each.op_type for each in model.graph.node}
    unknown = sorted(named - OPERATORS)
    return f"contains operators that no export of kgan does: {some(unknown, 5)}" if unknown else None


def _odd_attribute(model: Any) -> str | None:
    """Why an attribute is not a number, a list of numbers or a word."""
    for node in model.graph.node:
        for each in node.attribute:
            if not PLAIN.issuperset(field.name for field, _ in each.ListFields()):
                return f"{node.op_type} has an attribute {each.name} that is no number, list of numbers or word"
            if any(abs(number) > MOST_NUMBER for number in (each.i, *each.ints)):
                return f"{node.op_type} has an attribute {each.name} beyond {MOST_NUMBER}"
    return None


def _odd_weights(model: Any) -> str | None:
    numpy_helper = library("onnx").numpy_helper
    for tensor in model.graph.initializer:
        if tensor.data_location or tensor.external_data:
            return f"its weights {tensor.name[:80]} are in another file; kgan reads none"
        if any(side < 0 for side in tensor.dims):
            return f"its weights {tensor.name[:80]} claim a negative size"
        try:
            values = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
            return f"its weights {tensor.name[:80]} cannot be read ({str(error).splitlines()[0][:80]})"
        if tensor.data_type in (FLOAT, FLOAT16, FLOAT64) and not np.isfinite(values).all():
            return f"its weights {tensor.name[:80]} are NaN or infinite"
    return None


def _odd_constant(model: Any) -> str | None:
    """Why a node computes with constants alone, which happens when the file is loaded.

    Weights may be cast, and a few numbers compared or picked. All else could fill the memory, such as a chain of nodes
    each of which doubles its input.
    """
    most = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}  # numbers by name
    stored = set(most)
    for node in model.graph.node:
        given = [name for name in node.input if name]
        if most.keys() >= set(given):
            size = MOST_RANK if node.op_type == "Shape" else math.prod(most[name] for name in given)
            is_small = node.op_type in OF_CONSTANTS and size <= MOST_OF_CONSTANTS
            if not is_small and not (node.op_type == "Cast" and stored.issuperset(given)):
                return f"{node.op_type} computes with constants alone, which no export of kgan does"
            most.update(dict.fromkeys(node.output, size))
    return None


def _odd_tensors(model: Any) -> str | None:
    """Why the inputs and outputs are not those of kgan."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in stored]
    names = [each.name for each in inputs]
    if names not in (["image"], ["noise"], ["image", "noise"]) or [e.name for e in model.graph.output] != ["stylized"]:
        return "kgan did not write it; it should have the inputs image and noise, or one, and the output stylized"
    for each in (*inputs, *model.graph.output):
        told = each.type.tensor_type
        if told.elem_type != FLOAT or len(told.shape.dim) != 4 or not 0 < told.shape.dim[3].dim_value <= MOST_NUMBER:
            return f"kgan did not write it; {each.name} should be float32 [N, H, W, C]"
    return None
