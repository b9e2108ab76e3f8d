"""Loads networks of keras.applications with downloaded weights or those of a file."""

import pathlib
from collections.abc import Callable

import h5py
import keras

from kgan.errors import UserError

MOST_BYTES = 2**30
"""The largest arrays of a file together. A short file can claim any size."""


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
        if weights:
            _check_size(weights)
        model = constructor(include_top=False, weights=None if weights else "imagenet", input_shape=(None, None, 3))
        if weights:
            model.load_weights(weights)
    except Exception as error:  # h5py, Keras and downloads raise many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{source}: should give the weights of {name} without its top layers; {reason}") from None
    model.trainable = False
    return model


def _check_size(path: str) -> None:
    """Raise ValueError if the arrays of an HDF5 file are too large, or in another file."""
    arrays = []

    def note(_, item):
        if isinstance(item, h5py.Dataset):
            arrays.append(item)

    with h5py.File(path, "r") as file:
        file.visititems(note)
        if any(array.external or array.is_virtual for array in arrays):
            raise ValueError("its arrays are in other files")
        claimed = sum(array.size * array.dtype.itemsize for array in arrays)
    if claimed > MOST_BYTES:
        raise ValueError(f"its arrays claim {claimed:,} bytes; at most {MOST_BYTES:,} are read")
