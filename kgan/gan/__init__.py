"""GANs as `keras.Model`s, whose `train_step` reads as the algorithm."""

from kgan.gan.loss_inputs import LossInputs
from kgan.gan.one_way import OneWay
from kgan.gan.two_way import TwoWay

__all__ = ["LossInputs", "OneWay", "TwoWay"]
