"""Conversion of the batches that `fit`, `evaluate` and `predict` accept."""

import keras
import tensorflow as tf


def as_batch(data, dtype: str) -> dict[str, tf.Tensor]:
    """Convert the data of a Keras step to a dict of pictures.

    Args:
        data: a dict with some of the keys "content", "style" and "truth", or (content, style), or content alone. The
            third entry of Keras, sample weights, must be None.
        dtype: data type of the pictures.

    Returns:
        Pictures [N, H, W, C] by name.

    Raises:
        ValueError: if there are sample weights, or pictures of whole numbers, which are not in [-1, 1].
    """
    first, second, weights = keras.utils.unpack_x_y_sample_weight(data)
    if weights is not None:
        raise ValueError("`sample_weight` is not supported by a GAN.")
    batch = first if isinstance(first, dict) else {"content": first}
    if second is not None:
        batch = {**batch, "style": second}
    for name, pictures in batch.items():
        given = tf.as_dtype(getattr(pictures, "dtype", dtype))  # of an eager step, pictures may be arrays or lists
        if not given.is_floating:
            raise ValueError(f"`{name}` should be float pictures in [-1, 1]. Received: {given.name}")
    return {name: tf.cast(pictures, dtype) for name, pictures in batch.items()}


def required(batch: dict, name: str) -> tf.Tensor:
    """The pictures of that name in a batch; ValueError if there are none."""
    if name not in batch:
        raise ValueError(f"A batch should have pictures called {name}. Received: {', '.join(batch)}")
    return batch[name]


def batch_shape(data) -> tuple | None:
    """The shape of the pictures in the data of `fit`.

    Args:
        data: a tf.data.Dataset, an array, or a dict of arrays.

    Returns:
        (N, H, W, C), or None if it is unknown, as for a Python generator.
    """
    if isinstance(data, tf.data.Dataset | tf.distribute.DistributedDataset):
        data = data.element_spec
    first = next(iter(tf.nest.flatten(data)), None)
    shape = getattr(first, "shape", None)
    return tuple(shape) if shape is not None and len(shape) == 4 else None


def sizes(pictures: tf.Tensor) -> tuple:
    """(N, H, W) of pictures [N, H, W, C]: numbers if they are static, otherwise tensors."""
    if pictures.shape[:3].is_fully_defined():
        return tuple(pictures.shape[:3])
    dynamic = tf.shape(pictures)
    return tuple(dynamic[axis] if side is None else side for axis, side in enumerate(pictures.shape[:3]))
