"""Reads SavedModels: their facts, and their signature for float32 pictures."""

import json
import pathlib
from typing import Any

import tensorflow as tf

from kgan.inference.stylist import Facts

FACTS = pathlib.Path("assets.extra", "kgan.json")
"""File of the facts, in the folder of a SavedModel for files that TensorFlow does not read."""


def float_function(loaded: Any) -> tf.types.experimental.ConcreteFunction | None:
    """The signature that takes float32 pictures, and noise from the caller if the model takes noise.

    Args:
        loaded: the result of `tf.saved_model.load`.

    Returns:
        The signature, or None if there is none.
    """
    # Models of older versions of kgan have no serving_float.
    for name in ("from_noise", "serving_float", "serving_default"):
        function = loaded.signatures.get(name)
        if function is not None and "stylized" in function.structured_outputs:
            return function
    return None


def read_facts(folder: pathlib.Path, loaded: Any) -> Facts:
    """The facts of a SavedModel. They are read from a file, or else from the shapes of the signature.

    Args:
        folder: the folder of the SavedModel.
        loaded: the result of `tf.saved_model.load`.

    Returns:
        The facts.
    """
    if (folder / FACTS).exists():
        return Facts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
    function: Any = float_function(loaded)
    inputs = function.structured_input_signature[1]
    channels = function.structured_outputs["stylized"].shape[-1]
    return Facts(channels, inputs["noise"].shape[-1] if "noise" in inputs else 0, "image" in inputs)
