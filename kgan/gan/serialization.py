"""Serialization of a GAN's constructor arguments."""

import keras


def serialized(value):
    """Serialize a constructor argument. Raises ValueError for a function that is not registered with Keras."""
    if callable(value) and not isinstance(value, keras.Layer) and not _is_registered(value):
        raise ValueError(f"{value} cannot be saved: decorate it by keras.saving.register_keras_serializable().")
    if isinstance(value, list | tuple):
        return [serialized(item) for item in value]
    return keras.saving.serialize_keras_object(value)


def _is_registered(function) -> bool:
    if not hasattr(function, "__name__"):  # a partial function or an object, which Keras cannot register
        return False
    return keras.saving.get_registered_object(keras.saving.get_registered_name(function)) is function


def deserialized(value):
    """Deserialize the result of `serialized`."""
    if isinstance(value, list):
        return tuple(deserialized(item) for item in value)
    return keras.saving.deserialize_keras_object(value)
