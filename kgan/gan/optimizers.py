"""Optimizers by name, and the learning rate schedule of GANs."""

import keras

OPTIMIZERS = {
    "adam": lambda rate: keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.999),
    "adamw": lambda rate: keras.optimizers.AdamW(rate, beta_1=0.5, beta_2=0.999, weight_decay=1e-4),
    "rmsprop": lambda rate: keras.optimizers.RMSprop(rate, rho=0.99),
    "sgd": lambda rate: keras.optimizers.SGD(rate),
}
"""Momentum 0.5 instead of 0.9, as GANs are trained since DCGAN (https://arxiv.org/abs/1511.06434)."""

LEARNING_RATE = 2e-4
"""Learning rate of an optimizer that is given by its name only."""


@keras.saving.register_keras_serializable("kgan")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is constant for the first half of the steps and then decays linearly to zero.

    `steps` is a variable, so that a training step that is already compiled follows a shortened schedule.

    Args:
        rate: the full learning rate.
        steps: the step at which the rate reaches zero.
        start: the step at which this schedule begins. The rate is constant before it.

    Reference: [CycleGAN](https://arxiv.org/abs/1703.10593).
    """

    def __init__(self, rate: float, steps: int, start: int = 0):
        self.rate, self.start = rate, start
        self.steps = keras.Variable(steps, trainable=False, dtype="int64", name="scheduled_steps")

    def __call__(self, step):
        length = self.steps - self.start
        left, falling = self.steps - keras.ops.cast(step, "int64"), length - length // 2
        left = keras.ops.cast(left, "float32") / keras.ops.cast(falling, "float32")
        return self.rate * keras.ops.clip(left, 0.0, 1.0)

    def get_config(self):
        return {"rate": self.rate, "steps": int(self.steps), "start": self.start}


def make_optimizer(optimizer, rate=LEARNING_RATE) -> keras.optimizers.Optimizer:
    """Make an optimizer.

    Args:
        optimizer: a name in `OPTIMIZERS`, or an argument of `keras.optimizers.get`.
        rate: learning rate or schedule of an optimizer in `OPTIMIZERS`.

    Returns:
        The optimizer.
    """
    if isinstance(optimizer, str) and optimizer in OPTIMIZERS:
        return OPTIMIZERS[optimizer](rate)
    return keras.optimizers.get(optimizer)


def shorten_schedule(optimizer: keras.optimizers.Optimizer, steps: int) -> None:
    """Make a decaying learning rate reach zero at step `steps`. Other rates do not change."""
    schedule = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
    if isinstance(schedule, LinearDecay):
        schedule.steps.assign(steps)
