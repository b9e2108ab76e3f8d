"""Weights of ONNX files in float32 and in float16."""

from typing import Any

import numpy as np

from kgan.inference.onnx_checks import library
from kgan.kinds import ONNX

KERNEL = 256
"""The least number of values of a tensor that is stored in float16. Smaller ones save nothing."""


@ONNX.add(help="float32 throughout", least_ssim=0.999, bytes_per_weight=4)
def float32(model: Any) -> Any:
    """The model as it is."""
    return model


@ONNX.add(help="weights float16; computes in float32", least_ssim=0.99, bytes_per_weight=2)
def float16(model: Any) -> Any:
    """The model with kernels in float16. A node converts each to float32; runtimes do so once, when they load it."""
    onnx, half = library("onnx"), type(model)()
    half.CopyFrom(model)
    casts = []
    for tensor in half.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim > 1 and values.size >= KERNEL:
            name, stored = tensor.name, f"{tensor.name}:float16"
            with np.errstate(over="ignore"):  # an infinite weight fails a later check
                tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), stored))
            casts.append(onnx.helper.make_node("Cast", [stored], [name], name=f"{name}:float32", to=1))
    nodes = [*casts, *half.graph.node]
    del half.graph.node[:]
    half.graph.node.extend(nodes)
    return half
