"""Writes the files beside a .tflite file for users without kgan: a JSON file with all facts, and test vectors.

The test vectors are a raw little-endian file with one tensor after another, which Kotlin, Swift and JavaScript can read
without a library. Pictures are uint8. The input of the model is the picture divided by 255. The expected output is the
model's output times 255, rounded. Noise is float32.
"""

import dataclasses
import hashlib
import json
import os
import pathlib

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import kgan
from kgan.errors import RunError, UserError
from kgan.files import expands_paths, read_json
from kgan.images.pictures import to_uint8
from kgan.inference.litert import open_interpreter
from kgan.inference.stylist import Facts

CHANNELS = {1: ["gray"], 3: ["red", "green", "blue"], 4: ["red", "green", "blue", "alpha"]}


@dataclasses.dataclass(frozen=True)
class Origin:
    """Information about the origin of a file.

    Attributes:
        licence: the licence.
        source: where the training pictures come from.
        labels: the names of "content" and "style".
    """

    licence: str = "not stated"
    source: str = "not stated"
    labels: dict[str, str] = dataclasses.field(default_factory=dict)


def names_beside(path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The paths of the JSON file and of the test vectors of a .tflite file."""
    return path.with_suffix(".json"), path.with_suffix(".vectors.bin")


def write_sidecar(path: pathlib.Path, facts: Facts, words: dict, likeness: dict, vectors: dict, origin: Origin) -> None:
    """Write the JSON file of a .tflite file.

    Args:
        path: the .tflite file.
        facts: facts of the model.
        words: additional entries.
        likeness: similarity to Keras.
        vectors: description of the test vectors, from `write_vectors`.
        origin: information about the origin.
    """
    told = _description(path, facts) | words | {"likeness_to_keras": likeness, "test_vectors": vectors}
    told |= {"labels": origin.labels, "licence": origin.licence, "source": origin.source}
    names_beside(path)[0].write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _description(path: pathlib.Path, facts: Facts) -> dict:
    content = path.read_bytes()
    interpreter = Interpreter(str(path))
    signatures = {name: _signature(interpreter.get_signature_runner(name)) for name in interpreter.get_signature_list()}
    noise = {"channels": facts.noise_channels, "distribution": facts.distribution, "truncation": facts.truncation}
    sides = [int(name[1:]) for name in signatures if name != "serving_default"]
    return {
        "kgan": kgan.__version__,
        "file": path.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "sizes": sorted(sides) or "any height and width",
        "signatures": signatures,
        "layout": "NHWC",
        "channels": CHANNELS[facts.channels],
        "normalisation": {"image": "value / 255", "stylized": "round(255 * value)", "range": [0.0, 1.0]},
        "noise": noise if facts.noise_channels else None,
    }


def _signature(runner) -> dict:
    def tensors(details: dict) -> dict:
        return {
            name: {"shape": detail["shape_signature"].tolist(), "dtype": np.dtype(detail["dtype"]).name}
            for name, detail in details.items()
        }

    return {"inputs": tensors(runner.get_input_details()), "outputs": tensors(runner.get_output_details())}


# --- test vectors -----------------------------------------------------------------------------------------------------


def write_vectors(model: pathlib.Path, signature: str, inputs: dict[str, np.ndarray], seed: int, levels: int) -> dict:
    """Run a model and write its inputs and its output as test vectors.

    Args:
        model: the .tflite file.
        signature: name of the signature.
        inputs: inputs by name, float32. The image must have 256 levels.
        seed: seed of the noise.
        levels: the largest allowed difference in levels of 255.

    Returns:
        The description of the test vectors for the JSON file.
    """
    made = runner(model, signature)(**inputs)["stylized"]
    stored = {name: to_uint8(value) if name == "image" else value.astype("<f4") for name, value in inputs.items()}
    stored["stylized"] = to_uint8(made)
    tensors, offset = {}, 0
    file = names_beside(model)[1]
    with file.open("wb") as out:
        for name, value in stored.items():
            out.write(value.tobytes())
            dtype = "uint8" if value.dtype == np.uint8 else "float32"
            tensors[name] = {"offset": offset, "bytes": value.nbytes, "dtype": dtype, "shape": list(value.shape)}
            offset += value.nbytes
    noise = {"seed": seed} if "noise" in inputs else {}
    return {"file": file.name, "signature": signature, **noise, "tolerance_levels": levels, "tensors": tensors}


def runner(model: pathlib.Path, signature: str):
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
    sidecar, vectors = names_beside(model)
    try:
        facts = read_json(sidecar)
        told, raw, content = facts["test_vectors"], vectors.read_bytes(), model.read_bytes()
        tensors = {name: _tensor(raw, place) for name, place in told["tensors"].items()}
        expected, signature, levels = tensors.pop("stylized"), told["signature"], int(told["tolerance_levels"])
        same = hashlib.sha256(content).hexdigest() == facts["sha256"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{model}: needs {sidecar.name} and {vectors.name} beside it ({error})") from None
    if not same:
        raise RunError(f"{model}: is not the file that {sidecar.name} describes; its sha256 differs")
    if "image" in tensors:
        tensors["image"] = tensors["image"].astype(np.float32) / 255.0
    made = to_uint8(runner(model, signature)(**tensors)["stylized"])
    difference = int(np.abs(made.astype(int) - expected).max())
    if difference > levels:
        raise RunError(f"{model}: differs by {difference} of 255 levels; {levels} are allowed")
    return f"{model}: agrees with its test vectors, up to {difference} of 255 levels"


def _tensor(raw: bytes, place: dict) -> np.ndarray:
    dtype = np.dtype({"uint8": "u1", "float32": "<f4"}[place["dtype"]])
    return np.frombuffer(raw[place["offset"] : place["offset"] + place["bytes"]], dtype).reshape(place["shape"])
