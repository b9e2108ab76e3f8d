"""Writes the files beside a .tflite or .onnx file for users without kgan: a JSON file with all facts, and test vectors.

The test vectors are a raw little-endian file with one tensor after another, which Kotlin, Swift and JavaScript can read
without a library. Pictures are uint8. The input of the model is the picture divided by 255. The expected output is the
model's output times 255, rounded. Noise is float32.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable

import numpy as np

import kgan
from kgan.errors import RunError, UserError
from kgan.foreign_json import read_json
from kgan.images.pictures import to_uint8
from kgan.inference.stylist import Facts

CHANNELS = {1: ["gray"], 3: ["red", "green", "blue"], 4: ["red", "green", "blue", "alpha"]}

Runner = Callable[..., dict[str, np.ndarray]]
"""A function from inputs by name to outputs by name."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Information about the origin of a file.

    Attributes:
        licence: the licence.
        source: where the training pictures come from.
        labels: the names of "content" and "style".
        recipe: the recipe of the training.
    """

    licence: str = "not stated"
    source: str = "not stated"
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    recipe: str = "not stated"


def names_beside(path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The paths of the JSON file and of the test vectors of a file.

    Example:

    >>> [str(path) for path in names_beside(pathlib.Path("model.tflite"))]
    ['model.json', 'model.vectors.bin']
    >>> [str(path) for path in names_beside(pathlib.Path("model.onnx"))]
    ['model.onnx.json', 'model.onnx.vectors.bin']
    """
    stem = path.name.removesuffix(".tflite")
    return path.with_name(f"{stem}.json"), path.with_name(f"{stem}.vectors.bin")


def write_sidecar(path: pathlib.Path, facts: Facts, words: dict, likeness: dict, vectors: dict, origin: Origin) -> None:
    """Write the JSON file of a file.

    Args:
        path: the .tflite or .onnx file.
        facts: facts of the model.
        words: additional entries, such as the sizes and the signatures.
        likeness: similarity to Keras.
        vectors: description of the test vectors, from `write_vectors`.
        origin: information about the origin.
    """
    told = _description(path, facts) | words | {"likeness_to_keras": likeness, "test_vectors": vectors}
    told |= dataclasses.asdict(origin)
    names_beside(path)[0].write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _description(path: pathlib.Path, facts: Facts) -> dict:
    content = path.read_bytes()
    noise = {"channels": facts.noise_channels, "distribution": facts.distribution, "truncation": facts.truncation}
    return {
        "kgan": kgan.__version__,
        "file": path.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "layout": "NHWC",
        "channels": CHANNELS[facts.channels],
        "normalisation": {"image": "value / 255", "stylized": "round(255 * value)", "range": [0.0, 1.0]},
        "noise": noise if facts.noise_channels else None,
    }


# --- test vectors -----------------------------------------------------------------------------------------------------


def write_vectors(
    model: pathlib.Path, run: Runner, inputs: dict[str, np.ndarray], seed: int, levels: int, **words: str
) -> dict:
    """Run a model and write its inputs and its output as test vectors.

    Args:
        model: the .tflite or .onnx file.
        run: the function of the file.
        inputs: inputs by name, float32. The image must have 256 levels.
        seed: seed of the noise.
        levels: the largest allowed difference in levels of 255.
        **words: additional entries of the description, such as the signature.

    Returns:
        The description of the test vectors for the JSON file.
    """
    made = run(**inputs)["stylized"]
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
    return {"file": file.name, **words, **noise, "tolerance_levels": levels, "tensors": tensors}


def check_vectors(model: pathlib.Path, runner: Callable[[dict], Runner]) -> str:
    """Compare a file with the hash and the test vectors beside it.

    Args:
        model: the .tflite or .onnx file.
        runner: a function from the description of the test vectors to the function of the file. It is called once the
            hash is right.

    Returns:
        A line of text with the largest difference.

    Raises:
        UserError: if a file is missing.
        RunError: if the hash or the result differs.
    """
    sidecar, vectors = names_beside(model)
    try:
        facts = read_json(sidecar)
        told, raw, content = facts["test_vectors"], vectors.read_bytes(), model.read_bytes()
        tensors = {name: _tensor(raw, place) for name, place in told["tensors"].items()}
        expected, levels = tensors.pop("stylized"), int(told["tolerance_levels"])
        same = hashlib.sha256(content).hexdigest() == facts["sha256"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{model}: needs {sidecar.name} and {vectors.name} beside it ({error})") from None
    if not same:
        raise RunError(f"{model}: is not the file that {sidecar.name} describes; its sha256 differs")
    if "image" in tensors:
        tensors["image"] = tensors["image"].astype(np.float32) / 255.0
    made = to_uint8(runner(told)(**tensors)["stylized"])
    difference = int(np.abs(made.astype(int) - expected).max())
    if difference > levels:
        raise RunError(f"{model}: differs by {difference} of 255 levels; {levels} are allowed")
    return f"{model}: agrees with its test vectors, up to {difference} of 255 levels"


def _tensor(raw: bytes, place: dict) -> np.ndarray:
    dtype = np.dtype({"uint8": "u1", "float32": "<f4"}[place["dtype"]])
    return np.frombuffer(raw[place["offset"] : place["offset"] + place["bytes"]], dtype).reshape(place["shape"])
