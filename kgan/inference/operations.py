"""Checks what a SavedModel can do before it is loaded: the operations in its graph, and where names of files come from.

A SavedModel is a program. TensorFlow runs its operations, and some of these read or write any file.
"""

import math
import pathlib
from collections.abc import Iterable, Iterator

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework.function_pb2 import FunctionDef
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from kgan.errors import UserError, some
from kgan.runs.trust import is_own

GRAPH = "saved_model.pb"
"""The file of a SavedModel that holds its program."""

MOST_BYTES = 8 * 2**20
"""The longest `GRAPH` in bytes that is read. kgan's have 1 to 2 million."""

MOST_CONSTANT = 64 * 2**20
"""The largest constant in bytes. A few bytes of the file can describe a large one."""

WRITTEN = {
    "Abs", "AddV2", "All", "Any", "AsString", "Assert", "AssignVariableOp", "AvgPool", "BiasAdd", "BitwiseOr", "Cast",
    "ConcatV2", "ConcatenateDataset", "Const", "Conv2D", "Conv2DBackpropInput", "DatasetToSingleElement",
    "DecodeImage", "DecodeJpeg", "DecodePng", "DecodeRaw", "DepthToSpace", "DepthwiseConv2dNative",
    "DisableCopyOnRead", "EncodePng", "EnsureShape", "Equal", "ExpandDims", "ExtractJpegShape", "Fill", "Floor",
    "FloorDiv", "FloorMod", "GatherV2", "Greater", "GreaterEqual", "Identity", "IdentityN", "If",
    "IgnoreErrorsDataset", "LeftShift", "Less", "LessEqual", "LogicalAnd", "LogicalNot", "LogicalOr", "MapDataset",
    "MatMul", "Max", "Maximum", "Mean", "Minimum", "Mul", "Ndtri", "Neg", "NoOp", "NotEqual", "Pack",
    "PartitionedCall", "Placeholder", "Pow", "Prod", "Range", "ReadVariableOp", "RealDiv", "Relu", "Reshape",
    "ResizeBilinear", "ResizeNearestNeighbor", "Round", "Rsqrt", "ScaleAndTranslate", "Select", "SelectV2", "Shape",
    "Size", "Sqrt", "Square", "Squeeze", "StatefulPartitionedCall", "StatelessIf", "StatelessRandomNormalV2",
    "StatelessRandomUniformFullIntV2", "StatelessRandomUniformV2", "StatelessWhile", "StaticRegexFullMatch",
    "StridedSlice", "StringJoin", "StringLength", "Sub", "Substr", "Sum", "TakeDataset", "Tanh", "TensorDataset",
    "TensorListConcatV2", "TensorListFromTensor", "TensorListGetItem", "TensorListReserve", "TensorListSetItem",
    "TensorListStack", "Transpose", "Unpack", "VarHandleOp", "Where", "While", "ZerosLike",
}  # fmt: skip
"""The operations that kgan's exporters write. A test compares them."""

MATHEMATICS = {
    "Add", "AddN", "ArgMax", "ArgMin", "BatchMatMulV2", "BatchToSpaceND", "BroadcastGradientArgs", "BroadcastTo",
    "Ceil", "ClipByValue", "Cos", "Cosh", "Cumprod", "Cumsum", "DivNoNan", "Einsum", "Elu", "Erf", "Erfc", "Exp",
    "Expm1", "FusedBatchNormV3", "GatherNd", "InvertPermutation", "IsFinite", "IsInf", "IsNan", "L2Loss", "LRN",
    "LeakyRelu", "Log", "Log1p", "LogSoftmax", "MatrixBandPart", "MaxPool", "Min", "MirrorPad", "MulNoNan", "OneHot",
    "OnesLike", "Pad", "PadV2", "PreventGradient", "Rank", "Reciprocal", "Relu6", "ResizeArea", "ResizeBicubic",
    "ReverseV2", "Rint", "Roll", "ScatterNd", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Slice", "Softmax",
    "Softplus", "Softsign", "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV", "SquaredDifference", "StopGradient",
    "Tan", "TensorScatterUpdate", "Tile", "TopKV2", "Xdivy", "Xlogy",
}  # fmt: skip
"""Further operations of networks that people make themselves. They compute and do nothing else."""

SAVING = {"SaveV2": (0,), "RestoreV2": (0,), "MergeV2Checkpoints": (0, 1), "ShardedFilename": (0,)}
"""Operations that TensorFlow writes into every SavedModel, and which of their inputs are names of files."""

SUFFIXES = (b".part", b"_temp/part")
"""What TensorFlow appends to the name of a file while it saves."""

OBJECTS = ("user_object", "variable", "function", "bare_concrete_function", "constant", "captured_tensor", None)
"""Kinds of objects in a SavedModel. Assets and resources, such as tables of files, are not among them."""

CLASSES = ("", "_generic_user_object", "trackable_list_wrapper", "trackable_dict_wrapper", "signature_map")
"""Python classes that TensorFlow makes for objects."""


def check_program(folder: pathlib.Path) -> None:
    """Check the graph of a SavedModel. What kgan wrote itself, for this user, is not checked.

    Args:
        folder: the folder of the SavedModel.

    Raises:
        UserError: if the graph cannot be read, or contains what kgan's exporters do not write.
    """
    if not is_own(folder / GRAPH):
        check_graph(folder)


def check_graph(folder: pathlib.Path) -> None:
    """Check the graph of a SavedModel, whoever wrote it.

    Args:
        folder: the folder of the SavedModel.

    Raises:
        UserError: as `check_program`.
    """
    graph = _parsed(folder)
    unknown = sorted({node.op for node in _nodes(graph)} - WRITTEN - MATHEMATICS - set(SAVING))
    if unknown:
        raise UserError(
            f"{folder}: contains operations that no export of kgan does: {some(unknown, 5)}; it is not opened"
        )
    problem = _odd_constant(graph) or _odd_object(graph) or _odd_saving(graph)
    if problem:
        raise UserError(f"{folder}: {problem}; it is not opened")


def _parsed(folder: pathlib.Path) -> MetaGraphDef:
    try:
        with (folder / GRAPH).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UserError(f"{folder / GRAPH}: is longer than {MOST_BYTES} bytes; it is not opened")
        graphs = SavedModel.FromString(content).meta_graphs
    except (OSError, DecodeError, RecursionError) as error:
        raise UserError(f"{folder}: cannot be read as a SavedModel ({str(error).splitlines()[0]})") from None
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise UserError(f"{folder}: is a SavedModel that kgan did not write; it should have one graph with objects")
    return graphs[0]


def _nodes(graph: MetaGraphDef) -> Iterator[NodeDef]:
    yield from graph.graph_def.node
    for function in graph.graph_def.library.function:
        yield from function.node_def


def _odd_constant(graph: MetaGraphDef) -> str | None:
    for node in _nodes(graph):
        if node.op == "Const":
            tensor = node.attr["value"].tensor
            sides = [dim.size for dim in tensor.tensor_shape.dim]
            size = max(_bytes_per_number(tensor.dtype), 1) * math.prod(sides)
            if min(sides, default=0) < 0 or size > MOST_CONSTANT:
                return f"its constant {node.name} claims {size:,} bytes"
    return None


def _bytes_per_number(dtype: int) -> int:
    try:
        return tf.as_dtype(dtype).size or 1
    except TypeError:
        return 1


def _odd_object(graph: MetaGraphDef) -> str | None:
    for node in graph.object_graph_def.nodes:
        kind = node.WhichOneof("kind")
        if kind not in OBJECTS:
            return f"contains an object of kind {kind}, which no export of kgan does"
        name = node.registered_name or node.registered_saver or node.user_object.identifier
        if node.saveable_objects:
            return "contains an object that restores itself, which no export of kgan does"
        if name not in CLASSES:
            return f"contains an object of class {name}, which no export of kgan does"
    return None


# --- names of files ---------------------------------------------------------------------------------------------------


def _odd_saving(graph: MetaGraphDef) -> str | None:
    """Why operations that read or write files are not those of saving and restoring, or None.

    They may only be in functions that take the name of the file, and nothing calls these but TensorFlow, when it saves.
    """
    functions = graph.graph_def.library.function
    saving = {function.signature.name for function in functions if any(node.op in SAVING for node in function.node_def)}
    others = [node.op for node in graph.graph_def.node if node.op in SAVING]
    others += [name for function in functions for name in _called(function.node_def) if name in saving]
    others += [name for name in graph.object_graph_def.concrete_functions if name in saving]
    entry = graph.saver_def.filename_tensor_name.partition(":")[0]
    others += [
        node.name for node in graph.graph_def.node if saving & set(_called([node])) and list(node.input)[:1] != [entry]
    ]
    others += [node.name for node in graph.graph_def.node if node.name == entry and node.op != "Placeholder"]
    others += [name for function in functions if function.signature.name in saving for name in _odd_names(function)]
    return f"reads or writes files by {others[0]}, outside of saving and restoring" if others else None


def _called(nodes: Iterable[NodeDef]) -> Iterator[str]:
    """The functions that nodes name."""
    for node in nodes:
        for value in node.attr.values():
            yield from [value.func.name] if value.HasField("func") else (each.name for each in value.list.func)


def _odd_names(function: FunctionDef) -> Iterator[str]:
    """The operations whose file names do not come from the first argument alone."""
    nodes = {node.name: node for node in function.node_def}
    prefix = function.signature.input_arg[0].name if function.signature.input_arg else ""
    for node in function.node_def:
        for place in SAVING.get(node.op, ()):
            origins = set(_origins(list(node.input)[place], nodes)) if place < len(node.input) else set()
            if prefix.encode() not in origins or not origins <= {prefix.encode(), *SUFFIXES}:
                yield node.op


def _origins(source: str, nodes: dict[str, NodeDef]) -> Iterator[bytes]:
    """The arguments and the texts of constants from which a tensor is computed."""
    waiting, seen = [source], set()
    while waiting:
        name = waiting.pop().partition(":")[0]
        if name in seen or name.startswith("^"):
            continue
        seen.add(name)
        if name not in nodes:
            yield name.encode()
        elif nodes[name].op == "Const":
            yield from nodes[name].attr["value"].tensor.string_val
        else:
            waiting += nodes[name].input
