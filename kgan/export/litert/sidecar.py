"""What stands beside a .tflite file for those who use it without kgan: a JSON with all facts, and test vectors.

The test vectors are one raw file, little-endian, tensors one after another, so that Kotlin, Swift and JavaScript read
them with what they have. Pictures are uint8: divided by 255 they are the model's input, and its output times 255,
rounded, is the expected one. Noise is float32.
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
from kgan.images.pictures import to_uint8
from kgan.inference.litert import open_interpreter
from kgan.inference.stylist import Facts
from kgan.paths import expands_paths

CHANNELS = {1: ["gray"], 3: ["red", "green", "blue"], 4: ["red", "green", "blue", "alpha"]}

LEVELS = {"float32": 2, "float16": 2, "int8_weights": 2, "int8": 8}
"""By how many of 255 levels another CPU runtime's output may differ from a test vector: roundings add up."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a user of the file should know of where it comes from, in words."""

    licence: str = "not stated"
    source: str = "not stated"
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    """Names of the content and of the style."""


def names_beside(path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The sidecar and the test vectors of a .tflite file."""
    return path.with_suffix(".json"), path.with_suffix(".vectors.bin")


def write_sidecar(path: pathlib.Path, facts: Facts, words: dict, likeness: dict, vectors: dict, origin: Origin) -> None:
    """The JSON of the whole file at `path`, beside it; `words` are more entries of it."""
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
    """Run the model on `inputs` and write them and its output beside it; returns what the sidecar says of them.

    The image must be one of 256 levels. `seed` is that of the noise.
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
    """A function of a .tflite file: inputs by name -> outputs by name."""
    return open_interpreter(model, num_threads=os.cpu_count()).get_signature_runner(signature)


@expands_paths
def check_litert(model: str | os.PathLike) -> str:
    """Hold a .tflite file against its sidecar's hash and test vectors; one line that says how near it came.

    Raises UserError where something is missing, RunError where it differs.
    """
    model = pathlib.Path(model)
    sidecar, vectors = names_beside(model)
    try:
        facts = json.loads(sidecar.read_text(encoding="utf-8"))
        told, raw, content = facts["test_vectors"], vectors.read_bytes(), model.read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{model}: needs {sidecar.name} and {vectors.name} beside it ({error})") from None
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise RunError(f"{model}: is not the file that {sidecar.name} tells of; its sha256 differs")
    tensors = {name: _tensor(raw, place) for name, place in told["tensors"].items()}
    expected = tensors.pop("stylized")
    if "image" in tensors:
        tensors["image"] = tensors["image"].astype(np.float32) / 255.0
    made = to_uint8(runner(model, told["signature"])(**tensors)["stylized"])
    difference = int(np.abs(made.astype(int) - expected).max())
    if difference > told["tolerance_levels"]:
        raise RunError(f"{model}: differs by {difference} of 255 levels; {told['tolerance_levels']} are allowed")
    return f"{model}: as its test vectors tell, at most {difference} of 255 levels away"


def _tensor(raw: bytes, place: dict) -> np.ndarray:
    dtype = {"uint8": np.uint8, "float32": "<f4"}[place["dtype"]]
    return np.frombuffer(raw[place["offset"] : place["offset"] + place["bytes"]], dtype).reshape(place["shape"])
