"""A player of the GAN: networks that are updated together."""

import keras
import tensorflow as tf

from kgan.gan import replicas


class Player:
    """Networks that share one optimizer. While the GAN trains, one flat variable holds their trainable weights.

    A step then moves a handful of variables instead of some hundred: one all-reduce and one optimizer update under
    tf.distribute, and no time lost in handing variables to a compiled program. `load_flat` copies the networks' own
    weights into the flat variable, and `store_flat` copies them back. `GAN` calls both, so that its users never see
    the networks' weights while they are older than the flat variable.

    Args:
        networks: built Keras models. The optimizer updates their trainable weights.

    Attributes:
        optimizer: a Keras optimizer with its state; None until `attach`.
    """

    def __init__(self, networks: list[keras.Model]):
        self.networks = networks
        self.weights = [weight for network in networks for weight in network.trainable_variables]
        self.sizes = [weight.shape.num_elements() for weight in self.weights]
        self.flat = keras.Variable(tf.zeros(sum(self.sizes), self.weights[0].dtype), name="flat_weights")
        self.optimizer = None

    def attach(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Use this optimizer, and create its state."""
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
        """The flat variable's weights, in the networks' shapes."""
        return parted(self.flat.value, self.weights)

    def apply(self, gradient: tf.Tensor) -> None:
        """One update by the flat gradient, which is summed over the replicas."""
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradient = replicas.bad_for_all(gradient)
        self.optimizer.apply([gradient], [self.flat])


class Average:
    """The exponential moving average (EMA) of a network's weights, kept flat like a player's.

    Args:
        network: receives the average in `store_flat`.
        player: the player whose first network is averaged.
        decay: share of the average that stays at each step, in [0, 1); less during the first steps.
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
        """Copy the flat variable into the network's weights, and the source's statistics of norms as they are."""
        for weight, value in zip(self.weights, parted(self.flat.value, self.weights), strict=True):
            weight.assign(value)
        for mean, weight in self.statistics:
            mean.assign(weight.value)

    def move(self, step: tf.Tensor) -> None:
        """One step towards the player's weights. `step` counts from 1.

        At first the average would be mostly the random start: the decay begins at 2/11 and grows to its full value.
        """
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
