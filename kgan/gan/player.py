"""The players of a GAN, which are networks that are updated together, and the moving average."""

from typing import Any

import keras
import tensorflow as tf

from kgan.gan import replicas


class Player:
    """Networks with a common optimizer. During training, one flat variable holds their trainable weights.

    So a step has a few variables instead of hundreds: one all-reduce and one optimizer update under tf.distribute, and
    less time to pass variables to a compiled program. `load_flat` copies the networks' weights into the flat variable,
    and `store_flat` copies them back. `GAN` calls both, so that users always see the newest weights.

    Args:
        networks: built Keras models. The optimizer updates their trainable weights.

    Raises:
        ValueError: if no weight is trainable.

    Attributes:
        optimizer: a Keras optimizer with its state; None until `attach`.
    """

    def __init__(self, networks: list[keras.Model]):
        self.networks = networks
        self.weights = self._trainable()
        if not self.weights:
            names = ", ".join(network.name for network in networks)
            raise ValueError(f"{names}: has no trainable weights. Leave it out, or set `trainable = True`")
        self.sizes = [weight.shape.num_elements() for weight in self.weights]
        self.flat = keras.Variable(tf.zeros(sum(self.sizes), self.weights[0].dtype), name="flat_weights")
        self.optimizer: Any = None

    def _trainable(self) -> list:
        return [weight for network in self.networks for weight in network.trainable_variables]

    def is_current(self) -> bool:
        """Whether the trainable weights of the networks are still the same."""
        return [id(weight) for weight in self._trainable()] == [id(weight) for weight in self.weights]

    def attach(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Use an optimizer, and create its state."""
        optimizer.build([self.flat])
        self.optimizer = optimizer

    def load_flat(self) -> None:
        """Copy the networks' weights into the flat variable."""
        self.flat.assign(joined([weight.value for weight in self.weights]))

    def store_flat(self) -> None:
        """Copy the flat variable into the networks' weights."""
        for weight, value in zip(self.weights, self.values(), strict=True):
            weight.assign(value)

    def values(self) -> list[tf.Tensor]:
        """The values of the flat variable, in the shapes of the networks' weights."""
        return parted(self.flat.value, self.weights)

    def apply(self, gradient: tf.Tensor) -> None:
        """Update the weights with the flat gradient, which is summed over the replicas."""
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradient = replicas.bad_for_all(gradient)
        self.optimizer.apply([gradient], [self.flat])


class Average:
    """The exponential moving average (EMA) of a network's weights, in a flat variable as for a player.

    Args:
        network: the network for the average, which `store_flat` updates.
        player: the player whose first network is averaged.
        decay: decay per step in [0, 1). It is smaller during the first steps.
    """

    def __init__(self, network: keras.Model, player: Player, decay: float):
        self.network, self.player, self.decay = network, player, decay
        source = player.networks[0]
        trained = {id(weight) for weight in source.trainable_variables}
        pairs = list(zip(network.weights, source.weights, strict=True))
        mean_of = {id(weight): mean for mean, weight in pairs}
        self.weights = [mean_of[id(weight)] for weight in source.trainable_variables]
        self.statistics = [(mean, weight) for mean, weight in pairs if id(weight) not in trained]
        self.size = sum(weight.shape.num_elements() for weight in self.weights)
        self.flat = keras.Variable(tf.zeros(self.size, player.flat.dtype), trainable=False, name="flat_average")

    def load_flat(self) -> None:
        """Copy the network's weights into the flat variable."""
        self.flat.assign(joined([weight.value for weight in self.weights]))

    def store_flat(self) -> None:
        """Copy the flat variable into the network's weights, and the statistics of norms from the averaged network."""
        for weight, value in zip(self.weights, parted(self.flat.value, self.weights), strict=True):
            weight.assign(value)
        for mean, weight in self.statistics:
            mean.assign(weight.value)

    def move(self, step: tf.Tensor) -> None:
        """Move the average one step towards the player's weights.

        The decay grows from 2/11 to its full value. Otherwise the average would contain the random start for long.

        Args:
            step: number of the step, from 1.
        """
        step = tf.cast(step, self.flat.dtype)
        decay = tf.minimum((1.0 + step) / (10.0 + step), self.decay)
        pair = (self.flat.value, self.player.flat.value)
        replicas.assign_everywhere([pair], lambda mean, new: decay * mean + (1.0 - decay) * new[: self.size])


def joined(tensors: list[tf.Tensor]) -> tf.Tensor:
    """Concatenate tensors of any shapes to a vector."""
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)


def parted(flat: tf.Tensor, like: list) -> list[tf.Tensor]:
    """Split a vector into tensors with the shapes of `like`. This is the inverse of `joined`."""
    parts = tf.split(flat, [weight.shape.num_elements() for weight in like])
    return [tf.reshape(part, weight.shape) for part, weight in zip(parts, like, strict=True)]
