"""Reads SavedModels: their facts, and the signature that takes pictures as numbers."""

import json
import pathlib

import tensorflow as tf

from kgan.inference.stylist import Facts

FACTS = pathlib.Path("assets.extra", "kgan.json")
"""Where a SavedModel keeps files that TensorFlow itself does not read."""


def float_function(loaded: object) -> tf.types.experimental.ConcreteFunction | None:
    """The signature whose pictures are float32 and whose noise, if it takes any, is the caller's; None without one."""
    # What kgan wrote before it had serving_float is still read.
    for name in ("from_noise", "serving_float", "serving_default"):
        function = loaded.signatures.get(name)
        if function is not None and "stylized" in function.structured_outputs:
            return function
    return None


def read_facts(folder: pathlib.Path, loaded: object) -> Facts:
    """The facts of a SavedModel: its file, or without it what the signatures tell."""
    if (folder / FACTS).exists():
        return Facts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
    function = float_function(loaded)
    inputs = function.structured_input_signature[1]
    channels = function.structured_outputs["stylized"].shape[-1]
    return Facts(channels, inputs["noise"].shape[-1] if "noise" in inputs else 0, "image" in inputs)
