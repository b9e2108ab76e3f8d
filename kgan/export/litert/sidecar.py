"""What the JSON file of a .tflite file says of its signatures, and the check of its test vectors."""

import os
import pathlib

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from kgan.errors import UserError
from kgan.export.sidecar import Runner, check_vectors, names_beside
from kgan.inference.litert import open_interpreter
from kgan.paths import expands_paths


def signatures(path: pathlib.Path) -> dict:
    """The entries "sizes" and "signatures" of a .tflite file."""
    interpreter = Interpreter(str(path))
    found = {name: _signature(interpreter.get_signature_runner(name)) for name in interpreter.get_signature_list()}
    sides = [int(name[1:]) for name in found if name != "serving_default"]
    return {"sizes": sorted(sides) or "any height and width", "signatures": found}


def _signature(runner) -> dict:
    def tensors(details: dict) -> dict:
        return {
            name: {"shape": detail["shape_signature"].tolist(), "dtype": np.dtype(detail["dtype"]).name}
            for name, detail in details.items()
        }

    return {"inputs": tensors(runner.get_input_details()), "outputs": tensors(runner.get_output_details())}


def runner(model: pathlib.Path, signature: str) -> Runner:
    """The function of a .tflite file from inputs by name to outputs by name."""
    return open_interpreter(model, num_threads=os.cpu_count()).get_signature_runner(signature)


@expands_paths
def check_litert(model: str | os.PathLike) -> str:
    """Compare a .tflite file with the hash and the test vectors beside it.

    Args:
        model: the .tflite file.

    Returns:
        A line of text with the largest difference.

    Raises:
        UserError: if a file is missing.
        RunError: if the hash or the result differs.
    """
    model = pathlib.Path(model)

    def told_runner(told: dict) -> Runner:
        if not isinstance(told.get("signature"), str):
            raise UserError(f"{model}: {names_beside(model)[0].name} names no signature")
        return runner(model, told["signature"])

    return check_vectors(model, told_runner)
