"""Reads SavedModels: their facts, and their signature for float32 pictures."""

import math
import pathlib
import re
from typing import Any

import numpy as np
import tensorflow as tf

from kgan.errors import UserError
from kgan.foreign_json import MOST_JSON
from kgan.gan.checkpoints import first_line
from kgan.inference.facts import parsed_facts
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
    if (folder / FACTS).is_file():
        with (folder / FACTS).open("rb") as file:
            return parsed_facts(file.read(MOST_JSON + 1), folder / FACTS)
    function: Any = float_function(loaded)
    inputs = function.structured_input_signature[1]
    channels = function.structured_outputs["stylized"].shape[-1]
    return Facts(channels, inputs["noise"].shape[-1] if "noise" in inputs else 0, "image" in inputs)


def read_weights(folder: pathlib.Path) -> list[np.ndarray]:
    """The weights of a SavedModel, which are read as numbers: its graph is not loaded.

    Args:
        folder: the folder of the SavedModel.

    Returns:
        The arrays, in the order of the generator's variables.

    Raises:
        UserError: if they cannot be read.
    """
    try:
        reader = checked_reader(folder / "variables" / "variables")
        names = {int(found[1]): name for name in reader.get_variable_to_shape_map() if (found := _WEIGHT.match(name))}
        return [reader.get_tensor(names[place]) for place in sorted(names)]
    except UserError:
        raise
    except Exception as error:  # of a broken file, TensorFlow raises many kinds
        raise UserError(f"{folder}: its weights cannot be read ({first_line(error)})") from None


_WEIGHT = re.compile(r"weights/(\d{1,6})/")


def checked_reader(prefix: pathlib.Path) -> Any:
    """A reader of a checkpoint whose tensors are no larger than its files.

    Args:
        prefix: path of the checkpoint, without suffix.

    Returns:
        What `tf.train.load_checkpoint` returns.

    Raises:
        UserError: if the index claims more than the files contain.
    """
    reader = tf.train.load_checkpoint(str(prefix))
    dtypes = reader.get_variable_to_dtype_map()
    claimed = sum(math.prod(shape) * dtypes[name].size for name, shape in reader.get_variable_to_shape_map().items())
    stored = sum(file.stat().st_size for file in prefix.parent.glob(f"{prefix.name}.data-*"))
    if claimed > stored:
        raise UserError(f"{prefix}: claims {claimed:,} bytes of weights, and its files have {stored:,}")
    return reader
