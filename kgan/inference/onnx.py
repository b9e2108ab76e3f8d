"""Reads ONNX files and runs them by onnxruntime, which is an optional part of kgan."""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from kgan.errors import UserError
from kgan.gan.checkpoints import first_line
from kgan.inference.facts import parsed_facts
from kgan.inference.litert import FREE
from kgan.inference.onnx_checks import check_model, library, read_content
from kgan.inference.stylist import Facts

FACTS = "kgan"
"""Key of the facts in the metadata of a file."""

OUT_OF_MEMORY = ("allocate", "bad_alloc", "bad allocation")
"""Words of onnxruntime's messages when memory is exhausted. It has no class for that error."""

SETTINGS = {"session.intra_op.allow_spinning": "0"}
"""Threads that wait sleep, instead of keeping a processor from other programs."""


@dataclasses.dataclass(frozen=True)
class OnnxFile:
    """An ONNX file that was checked and opened.

    Attributes:
        path: the file.
        session: onnxruntime's session.
        facts: facts of the model.
        opset: the version of its operators.
    """

    path: pathlib.Path
    session: Any
    facts: Facts
    opset: int

    def run(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the model.

        Args:
            **inputs: image and noise, float32 [N, H, W, ...].

        Returns:
            {"stylized": float32 [N, H, W, C] in [0, 1]}.

        Raises:
            MemoryError: if the memory is exhausted.
            UserError: if the model does not take the inputs.
        """
        try:
            return {"stylized": self.session.run(["stylized"], inputs)[0]}
        except Exception as error:  # onnxruntime's kinds have no common class
            if any(word in str(error) for word in OUT_OF_MEMORY):
                raise MemoryError(first_line(error)) from None
            raise UserError(f"{self.path}: cannot be run ({first_line(error)[:300]})") from None

    @property
    def inputs(self) -> dict[str, dict]:
        """Shapes and types by name. An open side has a name, such as "height"."""
        return {each.name: _told(each) for each in self.session.get_inputs()}

    @property
    def outputs(self) -> dict[str, dict]:
        """As `inputs`."""
        return {each.name: _told(each) for each in self.session.get_outputs()}

    @property
    def runners(self) -> dict[str, Any]:
        """The function for `kgan.inference.litert.run_by_size`, by the name that a LiteRT file's signature has."""
        _, height, width, _ = self.session.get_inputs()[0].shape
        return {f"s{height}" if isinstance(height, int) and height == width else FREE: self.run}


def _told(tensor: Any) -> dict:
    return {"shape": tensor.shape, "dtype": "float32"}  # others are refused


def opened(path: pathlib.Path) -> OnnxFile:
    """Check and open an ONNX file, which may come from somebody else.

    Args:
        path: the .onnx file.

    Returns:
        The opened file.

    Raises:
        UserError: if a package is not installed, or the file is not one that kgan's exporter writes.
    """
    onnx, onnxruntime = library("onnx"), library("onnxruntime")
    try:
        content = read_content(path)
        model = onnx.ModelProto.FromString(content)
        check_model(model)
    except UserError as error:
        raise UserError(f"{path}: {error}; it is not opened") from None
    except Exception as error:  # protobuf has several kinds
        raise UserError(f"{path}: cannot be read as an ONNX model ({first_line(error)})") from None
    facts, opset = _facts(model, path), model.opset_import[0].version
    del model
    try:
        session = onnxruntime.InferenceSession(content, _options(onnxruntime), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's kinds have no common class
        raise UserError(f"{path}: cannot be read as an ONNX model ({first_line(error)[:300]})") from None
    return OnnxFile(path, session, facts, opset)


def _options(onnxruntime: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    options.log_severity_level = 4  # errors are exceptions, too
    for name, value in SETTINGS.items():
        options.add_session_config_entry(name, value)
    return options


def _facts(model: Any, path: pathlib.Path) -> Facts:
    """The facts in the metadata, or else those that the shapes tell."""
    told = {each.key: each.value for each in model.metadata_props}
    if FACTS in told:
        return parsed_facts(told[FACTS].encode(), path)
    channels = {each.name: _channels(each) for each in (*model.graph.input, *model.graph.output)}
    return Facts(channels["stylized"], channels.get("noise", 0), "image" in channels)


def _channels(tensor: Any) -> int:
    return tensor.type.tensor_type.shape.dim[3].dim_value
