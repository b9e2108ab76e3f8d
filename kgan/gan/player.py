"""A player of the GAN: networks that are updated together."""

from collections.abc import Callable

import keras
import tensorflow as tf

from kgan.gan import replicas


class Player:
    """Networks that share one optimizer; while `fit` runs, their trainable weights are one flat variable.

    A step then moves a handful of variables instead of some hundred: one all-reduce and one optimizer update under
    tf.distribute, and no time lost in handing variables to a compiled program. `take_up` copies the networks' own
    weights in, `settle` copies them back; between the two the networks' own weights are old.

    Args:
        networks: Keras models; their trainable weights are what the optimizer moves.
        build_optimizer: variables -> a Keras optimizer with its state created.
    """

    def __init__(self, networks: list, build_optimizer: Callable[[list], keras.optimizers.Optimizer]):
        self.networks = networks
        self.weights = [weight for network in networks for weight in network.trainable_variables]
        self.sizes = [weight.shape.num_elements() for weight in self.weights]
        self.flat = keras.Variable(tf.zeros(sum(self.sizes), self.weights[0].dtype), name="flat_weights")
        self.optimizer = build_optimizer([self.flat])

    def take_up(self) -> None:
        """Copy the networks' weights into the flat variable."""
        self.flat.assign(joined([weight.value for weight in self.weights]))

    def settle(self) -> None:
        """Copy the flat variable back into the networks' weights."""
        for weight, value in zip(self.weights, self.values(), strict=True):
            weight.assign(value)

    def values(self) -> list[tf.Tensor]:
        """The weights as they now are, in the networks' shapes."""
        return parted(self.flat.value, self.weights)

    def apply(self, gradient: tf.Tensor) -> None:
        """One update by the flat gradient, which is summed over the replicas."""
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradient = replicas.bad_for_all(gradient)
        self.optimizer.apply([gradient], [self.flat])


class Average:
    """The exponential moving average of a network's weights, kept flat like a player's.

    Args:
        network: holds the average when settled.
        player: the player whose first network is averaged.
        decay: share of the average that stays at each step; less during the first steps.
    """

    def __init__(self, network, player: Player, decay: float):
        self.network, self.player, self.decay = network, player, decay
        source = player.networks[0]
        trained = {id(weight) for weight in source.trainable_variables}
        pairs = list(zip(network.weights, source.weights, strict=True))
        mean_of = {id(weight): mean for mean, weight in pairs}
        self.weights = [mean_of[id(weight)] for weight in source.trainable_variables]
        self.statistics = [(mean, weight) for mean, weight in pairs if id(weight) not in trained]
        self.size = sum(weight.shape.num_elements() for weight in self.weights)
        self.flat = keras.Variable(tf.zeros(self.size, player.flat.dtype), trainable=False, name="flat_average")

    def take_up(self) -> None:
        """Copy the network's weights into the flat variable."""
        self.flat.assign(joined([weight.value for weight in self.weights]))

    def settle(self) -> None:
        """Copy the flat variable into the network's weights; normalization statistics follow at once."""
        for weight, value in zip(self.weights, parted(self.flat.value, self.weights), strict=True):
            weight.assign(value)
        for mean, weight in self.statistics:
            mean.assign(weight.value)

    def move(self, step: tf.Tensor) -> None:
        """One step towards the player's weights. At first the average would be mostly the random start: the decay
        grows into its full value."""
        step = tf.cast(step, self.flat.dtype)
        decay = tf.minimum((1.0 + step) / (10.0 + step), self.decay)
        pair = (self.flat.value, self.player.flat.value)
        replicas.assign_everywhere([pair], lambda mean, new: decay * mean + (1.0 - decay) * new[: self.size])


def joined(tensors: list[tf.Tensor]) -> tf.Tensor:
    """Tensors of any shapes -> one vector."""
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)


def parted(flat: tf.Tensor, like: list) -> list[tf.Tensor]:
    """A vector -> tensors in the shapes of `like`: the inverse of `joined`."""
    parts = tf.split(flat, [weight.shape.num_elements() for weight in like])
    return [tf.reshape(part, weight.shape) for part, weight in zip(parts, like, strict=True)]
