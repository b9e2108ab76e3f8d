"""Counts the floating-point operations of a function in convolutions and matrix products, from its traced graph."""

import math


def operations(function) -> float:
    """Count two operations for each multiplication with addition, in all ops that outputs and side effects need.

    Forward passes, gradients with respect to inputs and gradients with respect to weights are separate ops, so each is
    counted once. Products with zero padding count. Norms, activations, losses and optimizers do not count.

    Args:
        function: a concrete function with static shapes.

    Returns:
        The number of operations.

    Raises:
        TypeError: if a dimension is not static.

    Example:

    >>> product = tf.function(lambda x: x @ x).get_concrete_function(tf.TensorSpec((10, 10)))
    >>> operations(product)
    2000.0
    """
    return 2.0 * _products(function.graph)


def _products(graph) -> int:
    total = 0
    for op in _needed(graph):
        called = op.get_attr("f").name if op.type in ("PartitionedCall", "StatefulPartitionedCall") else None
        if called:
            total += _products(graph._get_function(called).graph)
        elif op.type in _PRODUCTS:
            total += _PRODUCTS[op.type](op)
    return total


def _needed(graph) -> set:
    """The ops that run. A tape also records gradients that are not used, and TensorFlow prunes them."""
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    needed = set()
    while waiting:
        op = waiting.pop()
        if op not in needed:
            needed.add(op)
            waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return needed


def _size(tensor) -> int:
    return math.prod(tensor.shape.as_list())


def _convolution(output, kernel) -> int:
    """Each value of the forward pass's output map is a sum over kh * kw * input channels."""
    return _size(output) * math.prod(kernel.shape.as_list()[:3])


def _depthwise(output, kernel) -> int:
    return _size(output) * math.prod(kernel.shape.as_list()[:2])


def _matrices(op) -> int:
    first = op.inputs[0].shape.as_list()
    transposed = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
    return _size(op.outputs[0]) * first[-2 if transposed else -1]


def _einsum(op) -> int:
    """Each combination of the labels is one product."""
    labels = op.get_attr("equation").decode().split("->")[0].split(",")
    sides = {}
    for word, tensor in zip(labels, op.inputs, strict=True):
        sides.update(zip(word, tensor.shape.as_list(), strict=True))
    return math.prod(sides.values()) if len(labels) > 1 else 0


_PRODUCTS = {
    "Conv2D": lambda op: _convolution(op.outputs[0], op.inputs[1]),
    "Conv2DBackpropInput": lambda op: _convolution(op.inputs[2], op.inputs[1]),
    "Conv2DBackpropFilter": lambda op: _convolution(op.inputs[2], op.outputs[0]),
    "DepthwiseConv2dNative": lambda op: _depthwise(op.outputs[0], op.inputs[1]),
    "DepthwiseConv2dNativeBackpropInput": lambda op: _depthwise(op.inputs[2], op.inputs[1]),
    "DepthwiseConv2dNativeBackpropFilter": lambda op: _depthwise(op.inputs[2], op.outputs[0]),
    "MatMul": _matrices,
    "BatchMatMulV2": _matrices,
    "Einsum": _einsum,
}
