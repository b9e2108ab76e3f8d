"""A stylist with float16 weights, for files of half the size."""

import keras
import tensorflow as tf

from kgan.inference.stylist import Stylist


class HalfStylist(Stylist):
    """A `Stylist` that stores its weights in float16 variables and computes in float32.

    Args:
        generator: a built generator.
        distribution: distribution of the noise in training: "normal", "uniform" or "truncated".
        truncation: bound of truncated noise in standard deviations.
    """

    def __init__(self, generator: keras.Model, distribution: str = "normal", truncation: float = 2.0):
        super().__init__(generator, distribution, truncation)
        self.stored = [
            tf.Variable(tf.cast(value, tf.float16), trainable=False) if value.dtype.is_floating else value
            for value in (variable.value for variable in self.generator.variables)
        ]

    @property
    def weights(self) -> list[tf.Variable]:
        """The stored weights, in the order of the generator's variables."""
        return self.stored

    def _generate(self, inputs: tf.Tensor) -> tf.Tensor:
        pairs = zip(self.generator.variables, self.stored, strict=True)
        values = [(variable, tf.cast(stored, variable.dtype)) for variable, stored in pairs]
        with keras.StatelessScope(state_mapping=values):
            return self.generator(inputs, training=False)
