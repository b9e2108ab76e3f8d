"""Checks of a .tflite file before it gets its name. Each raises a RunError with a message of one line.

The converter itself reports no error when it drops all weights, keeps operations that only TensorFlow has, or computes
shapes at run time that could be static.
"""

from collections.abc import Callable

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from kgan.errors import RunError, counted

FIXED_OPERATIONS = {
    "ABS", "ADD", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D",
    "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "ELU", "EXP", "FULLY_CONNECTED", "HARD_SWISH", "LEAKY_RELU",
    "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "NEG", "PAD", "PRELU", "QUANTIZE", "RELU",
    "RELU6", "RELU_N1_TO_1", "RESHAPE", "RSQRT", "SLICE", "SOFTMAX", "SPACE_TO_DEPTH", "SQRT", "SQUARE",
    "SQUARED_DIFFERENCE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
}  # fmt: skip
"""Operations that LiteRT supports on CPUs, on GPUs and in browsers. None resizes, gathers or computes shapes."""

FREE_OPERATIONS = FIXED_OPERATIONS | {
    "CAST", "EQUAL", "FILL", "FLOOR_DIV", "FLOOR_MOD", "GATHER", "GREATER", "LESS", "MIRROR_PAD", "NOT_EQUAL",
    "PACK", "PADV2", "RANGE", "REDUCE_PROD", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SELECT_V2", "SHAPE",
    "SQUEEZE",
}  # fmt: skip
"""Operations of files for any size, which run on CPUs only."""

SHAPES_AT = {"STRIDED_SLICE": (1, 2, 3), "SLICE": (1, 2), "RESHAPE": (1,), "PAD": (1,), "TRANSPOSE": (1,),
             "TRANSPOSE_CONV": (0, 1), "MEAN": (1,), "SUM": (1,), "CONV_2D": (1,), "DEPTHWISE_CONV_2D": (1,),
             "FULLY_CONNECTED": (1,)}  # fmt: skip
"""Positions of the inputs of operations that must be constants: shapes, axes and weights."""

HALF_LARGEST = 65504.0
"""The largest float16 number. GPUs compute in float16."""

MOST_RANK = 4

_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


def check_operations(content: bytes, fixed: bool) -> None:
    """Check operations, variables, ranks and shapes.

    Args:
        content: bytes of the .tflite file.
        fixed: whether the file has fixed sizes. Then all shapes must be static.

    Raises:
        RunError: if an operation is not allowed, there are variables, a rank is above 4, or a shape is computed.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    allowed = FIXED_OPERATIONS if fixed else FREE_OPERATIONS
    for graph in model.subgraphs:
        names = [_operation(model.operatorCodes[operator.opcodeIndex]) for operator in graph.operators]
        unknown = sorted(set(names) - allowed)
        if unknown:
            raise RunError(f"operations that not every runtime supports: {', '.join(unknown)}")
        for tensor in graph.tensors:
            if tensor.isVariable:
                raise RunError(f"a variable, {_name(tensor)}: weights should be constants")
            if tensor.shape is not None and len(tensor.shape) > MOST_RANK:
                raise RunError(f"{_name(tensor)} has rank {len(tensor.shape)}; GPUs support {MOST_RANK} at most")
        if fixed:
            _check_shapes(model, graph, names)


def _check_shapes(model, graph, names: list[str]) -> None:
    for tensor in graph.tensors:
        if tensor.shapeSignature is not None and -1 in tensor.shapeSignature:
            raise RunError(f"{_name(tensor)} has no fixed shape")
    for name, operator in zip(names, graph.operators, strict=True):
        for position in SHAPES_AT.get(name, ()):
            if not _is_constant(model, graph, operator.inputs[position]):
                raise RunError(f"{name} with a shape or weights that are computed while it runs")
    if names.count("RESHAPE") > sum(name.endswith(("CONV_2D", "CONV", "FULLY_CONNECTED")) for name in names):
        raise RunError(f"{names.count('RESHAPE')} times RESHAPE, more than layers: each copies its data on a GPU")


def _is_constant(model, graph, index: int) -> bool:
    """Whether a tensor is stored in the file, or is a stored tensor after DEQUANTIZE."""
    if _is_stored(model, graph.tensors[index]):
        return True
    for operator in graph.operators:
        if index in operator.outputs:
            decompressed = _operation(model.operatorCodes[operator.opcodeIndex]) == "DEQUANTIZE"
            return decompressed and _is_stored(model, graph.tensors[operator.inputs[0]])
    return False


def _is_stored(model, tensor) -> bool:
    """Whether the file has data for the tensor. Quantized models store it at an offset after the rest of the file."""
    buffer = model.buffers[tensor.buffer]
    return buffer.size > 0 or (buffer.data is not None and len(buffer.data) > 0)


def _operation(code) -> str:
    """The name of an operation. A custom operation has its own name in brackets."""
    name = _NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
    return f"CUSTOM ({code.customCode.decode()})" if name == "CUSTOM" else name


def _name(tensor) -> str:
    return f"the tensor {tensor.name.decode()!r}"


def kernel_weights(generator: keras.Model) -> int:
    """The number of weights in kernels, without norms and biases, which may be merged with other weights."""
    return sum(int(np.prod(weight.shape)) for weight in generator.weights if len(weight.shape) > 1)


def check_size(content: bytes, weights: int, bytes_per_weight: int) -> None:
    """Check that a file is large enough for its weights.

    Args:
        content: bytes of the .tflite file.
        weights: number of weights in kernels.
        bytes_per_weight: bytes per weight.

    Raises:
        RunError: if the file is smaller, because the converter lost weights.
    """
    if len(content) < weights * bytes_per_weight:
        raise RunError(f"{len(content):,} bytes are fewer than its {weights:,} weights take: the converter lost some")


def check_ranges(content: bytes, examples: Callable[[int], list[dict[str, np.ndarray]]]) -> None:
    """Check that all intermediate results of a float32 model of fixed sizes are in the range of float16.

    Args:
        content: bytes of the .tflite file. Its first graph is checked.
        examples: a function from a size to inputs of that size. The converter chooses the size of the first graph.

    Raises:
        RunError: if a value is out of range.
    """
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    inputs = {_argument(detail["name"]): detail["index"] for detail in interpreter.get_input_details()}
    floats = [detail for detail in interpreter.get_tensor_details() if detail["dtype"] is np.float32]
    size = int(interpreter.get_input_details()[0]["shape"][1])
    for example in examples(size):
        for name, value in example.items():
            interpreter.set_tensor(inputs[name], value)
        interpreter.invoke()
        for detail in floats:
            largest = float(np.max(np.abs(interpreter.get_tensor(detail["index"])), initial=0.0))
            if not largest <= HALF_LARGEST:  # NaN too
                raise RunError(
                    f"{detail['name']!r} reaches {largest:.3g}, beyond float16's {HALF_LARGEST:.0f}: GPUs give NaN"
                )


def _argument(tensor: str) -> str:
    """The name of an input: `image` for the tensor `s256_image:0`."""
    return tensor.split(":")[0].split("_")[-1]


def check_likeness(scores: list[float], least: float) -> None:
    """Check the similarity to Keras.

    Args:
        scores: SSIM between the file's and Keras' result for each picture.
        least: the least allowed SSIM.

    Raises:
        RunError: if the worst score is below it.
    """
    if not min(scores) >= least:  # NaN too
        raise RunError(
            f"SSIM to Keras is {min(scores):.4f} on the worst of {counted(len(scores), 'picture')}; {least} is asked"
        )
