"""What Keras does not promise: here a new release fails first, and says which."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.keras_internals import HOOKS, layers_of, takes_training
from kgan.networks.generators import ResNetGenerator

RELEASE = f"Keras {keras.__version__} with TensorFlow {tf.__version__}"


@pytest.mark.parametrize("place", HOOKS)
def test_it_is_there(place):
    internal = getattr(tf, "__internal__", None)
    owners = {
        "keras.Layer": keras.layers.ReLU(),
        "keras.Model": keras.Sequential(),
        "tensorflow.__internal__.tracking": getattr(internal, "tracking", None),
    }
    owner, _, name = place.rpartition(".")
    assert hasattr(owners[owner], name), f"{RELEASE} has no {place}; {HOOKS[place]}"


def test_layers_at_any_depth():
    class Nested(keras.Layer):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential([keras.layers.Dense(2), keras.Sequential([keras.layers.Dropout(0.5)])])

        def call(self, inputs, training=False):
            return self.inner(inputs, training=training)

    layer = Nested()
    layer(np.zeros((1, 3), np.float32))
    found = [type(each).__name__ for each in layers_of(layer)]
    assert {"Nested", "Dense", "Dropout"} <= set(found), f"{RELEASE}: layers_of gives {found}"
    assert found.count("Sequential") == 2, f"{RELEASE}: layers_of gives {found}"


def test_every_weight_of_a_generator_is_in_a_layer():
    generator = ResNetGenerator(filters=4, blocks=1)
    generator(np.zeros((1, 32, 32, 3), np.float32))
    own = {id(variable) for layer in layers_of(generator) for variable in layer._trainable_variables}
    assert own == {id(variable) for variable in generator.trainable_variables}, RELEASE


def test_layers_that_know_training():
    class Own(keras.Layer):
        def call(self, inputs, training=False):
            return inputs

    layers = keras.layers.Dropout(0.5), keras.layers.ReLU(), Own()
    assert [takes_training(layer) for layer in layers] == [True, False, True], RELEASE


@pytest.mark.parametrize("hook", ["_maybe_symbolic_build", "_make_function"])
def test_fit_still_calls_what_is_overridden(hook):
    """A hook that Keras no longer calls would be overridden in vain, without any error."""
    called = []

    class Model(keras.Sequential):
        pass

    def noted(self, *args, **kwargs):
        called.append(hook)
        return getattr(super(Model, self), hook)(*args, **kwargs)

    setattr(Model, hook, noted)
    model = Model([keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.fit(np.zeros((2, 1)), np.zeros((2, 1)), verbose=0)
    assert called, f"{RELEASE}: fit does not call {hook}, which kgan.gan.trainer overrides"
