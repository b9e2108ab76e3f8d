"""Reads the files of packaged feature networks, and holds their arrays as frozen float32 variables.

The files hold the first bytes of all numbers of an array, then the second bytes, and so on. So they compress to 86%,
and in the usual order of bytes to 93%.
"""

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from kgan.errors import UserError


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Read the arrays of a packaged network.

    Args:
        path: an .npz file beside this package.

    Returns:
        Arrays "<layer>/kernel" and "<layer>/bias", of the precision in which they are stored.

    Raises:
        UserError: if the file cannot be read.
    """
    try:
        with np.load(path) as file:
            return {name: joined(file[name]) for name in file}
    except OSError as error:
        raise UserError(f"{path}: the packaged feature network cannot be read ({error}); install kgan again") from None


def split(array: np.ndarray) -> np.ndarray:
    """The bytes of an array of float16 or float32, from low to high: uint8 [2 or 4, *shape]."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return np.moveaxis(little[..., None].view(np.uint8), -1, 0)


def joined(split_bytes: np.ndarray) -> np.ndarray:
    """The array of which `split` gave the bytes."""
    together = np.ascontiguousarray(np.moveaxis(split_bytes, 0, -1))
    return together.view(f"<f{len(split_bytes)}")[..., 0]


def frozen(arrays: Mapping[str, np.ndarray], network: str) -> dict[str, tf.Variable]:
    """Make float32 variables that are not trained. As constants they would be copied into each traced function.

    Args:
        arrays: arrays by name.
        network: the start of the names of the variables.

    Returns:
        The variables by the names of the arrays.
    """
    return {
        name: tf.Variable(array.astype("float32"), trainable=False, name=f"{network}/{name.replace('/', '_')}")
        for name, array in arrays.items()
    }
