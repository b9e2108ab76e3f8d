"""Constructor arguments of a GAN as JSON, and back."""

import keras


def serialized(value):
    """A constructor argument as JSON; ValueError for a function that Keras could not find again."""
    if callable(value) and not isinstance(value, keras.Layer) and not _is_registered(value):
        raise ValueError(f"{value} cannot be saved: decorate it by keras.saving.register_keras_serializable().")
    if isinstance(value, list | tuple):
        return [serialized(item) for item in value]
    return keras.saving.serialize_keras_object(value)


def _is_registered(function) -> bool:
    return keras.saving.get_registered_object(keras.saving.get_registered_name(function)) is function


def deserialized(value):
    """The constructor argument from what `serialized` gave."""
    if isinstance(value, list):
        return tuple(deserialized(item) for item in value)
    return keras.saving.deserialize_keras_object(value)
