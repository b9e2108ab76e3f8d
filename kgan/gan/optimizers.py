"""Optimizers and their learning-rate schedule."""

import keras

from kgan.runs.settings import TrainConfig

OPTIMIZERS = {
    "adam": lambda rate: keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.999),
    "adamw": lambda rate: keras.optimizers.AdamW(rate, beta_1=0.5, beta_2=0.999, weight_decay=1e-4),
    "rmsprop": lambda rate: keras.optimizers.RMSprop(rate, rho=0.99),
    "sgd": lambda rate: keras.optimizers.SGD(rate),
}
"""Momentum 0.5 instead of 0.9, as GANs are trained since DCGAN (https://arxiv.org/abs/1511.06434)."""


@keras.saving.register_keras_serializable("kgan")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """From step `start` to step `steps`: constant for the first half, then linearly to zero (CycleGAN,
    https://arxiv.org/abs/1703.10593). Before `start` it is constant.

    `steps` is a variable: a step that is compiled already follows when the schedule is shortened.
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


def shorten_schedule(optimizer: keras.optimizers.Optimizer, steps: int) -> None:
    """Let the learning rate reach zero at step `steps`, where it decays at all."""
    schedule = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
    if isinstance(schedule, LinearDecay):
        schedule.steps.assign(steps)


def build_optimizer(config: TrainConfig, player: str, variables: list) -> keras.optimizers.Optimizer:
    """The optimizer of `player` ("generator" or "discriminator"), with its state created for `variables`."""
    rate = config.learning_rate if player == "generator" else config.discriminator_learning_rate
    schedule = LinearDecay(rate, config.steps, config.extended_at) if config.decay == "linear" else rate
    optimizer = OPTIMIZERS[getattr(config, f"{player}_optimizer")](schedule)
    if config.precision == "float16":
        # Keras wraps only the optimizer given to compile(); small gradients would vanish in float16.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer
