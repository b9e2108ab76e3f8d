"""Checkpoints contain all weights of all networks, including those in lists."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.gan import tracking
from kgan.kinds import GENERATORS


class Nested(keras.Model):
    def __init__(self, deeper=()):
        super().__init__()
        self.deeper = deeper
        self.first = keras.layers.Dense(2)
        self.rest = [keras.layers.Dense(2), keras.layers.Dense(2)]
        self.named = {"last": keras.layers.Dense(2)}

    def call(self, inputs):
        for layer in (self.first, *self.rest, self.named["last"]):
            inputs = layer(inputs)
        return inputs


def nested():
    model = Nested()
    model(np.zeros((1, 2), np.float32))
    return model


def test_plain_checkpoints_of_lists_lose_weights():
    """The reason for the module. If this test fails, Keras has fixed the problem and the module can be removed."""
    assert len(tracking.untracked(nested())) == 6


def test_every_weight_comes_back(tmp_path):
    model, other = nested(), nested()
    path = tracking.checkpoint(net=model).save(str(tmp_path / "c"))
    assert any((a.numpy() != b.numpy()).any() for a, b in zip(model.variables, other.variables, strict=True))
    tracking.checkpoint(net=other).restore(path).assert_consumed()
    for a, b in zip(model.variables, other.variables, strict=True):
        assert (a.numpy() == b.numpy()).all()


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_generators_come_back_bit_for_bit(tmp_path, name):
    made = []
    for _ in range(2):
        generator = GENERATORS[name].load()(filters=4, blocks=1, noise_channels=2, norm="batch")
        generator(np.zeros((1, 16, 16, generator.input_channels), np.float32))
        holder = tf.Module()
        holder.stylist = generator
        made.append((generator, tracking.checkpoint(gan=holder)))
    path = made[0][1].save(str(tmp_path / "c"))
    made[1][1].restore(path).assert_consumed()
    for a, b in zip(made[0][0].variables, made[1][0].variables, strict=True):
        assert (a.numpy() == b.numpy()).all()


def test_a_variable_out_of_reach_is_an_error():
    """Nested lists are not searched."""
    model = Nested(deeper=[[keras.layers.Dense(2)]])
    model.deeper[0][0](np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match="should hold every variable"):
        tracking.checkpoint(net=model)
