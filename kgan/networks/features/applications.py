"""Loads networks of keras.applications with downloaded weights or those of a file."""

import pathlib
from collections.abc import Callable

import keras

from kgan.errors import UserError


def application(constructor: Callable, name: str, weights: str | None) -> keras.Model:
    """Load a network of keras.applications without its top layers.

    Args:
        constructor: a function of keras.applications.
        name: name of the network in messages.
        weights: a .weights.h5 file, or None for downloaded weights.

    Returns:
        The frozen network.

    Raises:
        UserError: if the weights cannot be loaded.
    """
    if weights and not pathlib.Path(weights).is_file():
        raise UserError(f"--feature-weights {weights}: no such file")
    source = f"--feature-weights {weights}" if weights else f"--features {name}"
    try:
        model = constructor(include_top=False, weights=None if weights else "imagenet", input_shape=(None, None, 3))
        if weights:
            model.load_weights(weights)
    except Exception as error:  # h5py, Keras and downloads raise many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{source}: should give the weights of {name} without its top layers; {reason}") from None
    model.trainable = False
    return model
