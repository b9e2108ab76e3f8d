"""What kgan uses of Keras and TensorFlow although they do not document it.

Other modules use it only through this one, but for two methods of `keras.Model` that `kgan.gan.trainer` overrides.
`tests/test_keras_internals.py` checks each of these in the installed release, and names the release in its message.
"""

from typing import Any

import keras
import tensorflow as tf

HOOKS = {
    "keras.Layer._flatten_layers": "`layers_of`: layers at any depth; the public `layers` of a model goes one level.",
    "keras.Layer._call_has_training_arg": "`takes_training`: whether `call` has an argument `training`.",
    "keras.Model._maybe_symbolic_build": "`kgan.gan.trainer` overrides it: it would fetch a batch, and hang workers.",
    "keras.Model._make_function": "`kgan.gan.trainer` overrides it: it would make the host wait for each step.",
    "keras.Layer._track_trackable": "`track`: checkpoints of layers in lists and dicts.",
    "tensorflow.__internal__.tracking.Trackable": "`is_trackable`: what checkpoints can hold.",
}
"""Where it is -> who uses it, and why."""


def layers_of(layer: keras.Layer) -> list[keras.Layer]:
    """A layer and all layers in it, at any depth."""
    return list(layer._flatten_layers())


def takes_training(layer: keras.Layer) -> bool:
    """Whether a layer's `call` has an argument `training`."""
    return layer._call_has_training_arg


def is_trackable(value: object) -> bool:
    """Whether a checkpoint can hold an object."""
    return isinstance(value, tf.__internal__.tracking.Trackable)


def track(owner: Any, value: Any, name: str) -> None:
    """Make checkpoints of an object hold another one under this name, instead of what had the name."""
    owner._track_trackable(value, name, overwrite=True)
