"""What `fit`, `evaluate` and `predict` take as a batch."""

import keras
import tensorflow as tf


def as_batch(data, dtype: str) -> dict[str, tf.Tensor]:
    """A batch as a dict of pictures [N, H, W, C] in that dtype, from what Keras hands to a step.

    Args:
        data: {"content", "style", "truth"}, any of them; or (content, style); or content alone. Keras' third entry,
            the weights of samples, should be None.
    """
    first, second, weights = keras.utils.unpack_x_y_sample_weight(data)
    if weights is not None:
        raise ValueError("`sample_weight` is not supported by a GAN.")
    batch = first if isinstance(first, dict) else {"content": first}
    if second is not None:
        batch = {**batch, "style": second}
    return {name: tf.cast(pictures, dtype) for name, pictures in batch.items()}


def batch_shape(data) -> tuple | None:
    """The shape (N, H, W, C) of the pictures that `fit` is given: of a tf.data.Dataset, arrays, or a dict of them.

    None for what does not tell it, such as a Python generator.
    """
    if isinstance(data, tf.data.Dataset | tf.distribute.DistributedDataset):
        data = data.element_spec
    first = next(iter(tf.nest.flatten(data)), None)
    shape = getattr(first, "shape", None)
    return tuple(shape) if shape is not None and len(shape) == 4 else None


def sizes(pictures: tf.Tensor) -> tuple:
    """(N, H, W) of [N, H, W, C]: numbers where they are known when a step is traced, tensors otherwise."""
    dynamic = None if pictures.shape[:3].is_fully_defined() else tf.shape(pictures)
    return tuple(dynamic[axis] if side is None else side for axis, side in enumerate(pictures.shape[:3]))
