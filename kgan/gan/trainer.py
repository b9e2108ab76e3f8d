"""A `keras.Model` of two players, whose weights are stored in flat variables during training."""

import functools
import inspect
from collections.abc import Callable

import keras
import tensorflow as tf

from kgan.gan import replicas
from kgan.gan.batches import as_batch, batch_shape
from kgan.gan.optimizers import make_optimizer, shorten_schedule
from kgan.gan.player import Average, Player, joined
from kgan.gan.sync import synced

Losses = dict[str, tf.Tensor]


class PlayersModel(keras.Model):
    """A `keras.Model` with two players and a moving average.

    During training, the weights of each player are one flat variable (`Player`). The weights of the networks are
    updated from it (`sync_weights`) before any callback of `fit` can read them, and at the end of `fit` and
    `train_on_batch`. The next step uses changes that a callback or a user makes to them (`load_flat`).

    A subclass calls `_set_networks` in `build`.

    Attributes:
        generator_optimizer: optimizer of the generators, with its state after the networks are built.
        discriminator_optimizer: optimizer of the discriminators.
    """

    def __init__(self, name: str | None):
        super().__init__(name=name)
        self.generator_player = self.discriminator_player = self.average = None
        self.generator_optimizer = self.discriminator_optimizer = None
        self._flat_is_newer = self._flat_is_loaded = self._jit = False

    def _set_networks(self, generators: list, discriminators: list, stylist: keras.Model, decay: float) -> None:
        """Make the players of built networks."""
        self.generator_player = Player(generators)
        self.discriminator_player = Player(discriminators) if discriminators else None
        self.average = Average(stylist, self.generator_player, decay)
        self._flat_is_loaded = False
        self._attach_optimizers()

    @property
    def _players(self) -> list[Player]:
        return [player for player in (self.generator_player, self.discriminator_player) if player is not None]

    # --- compile --------------------------------------------------------------------------------------------------

    def compile(
        self,
        generator_optimizer="adam",
        discriminator_optimizer="adam",
        *,
        jit_compile: bool | str = "auto",
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
    ) -> None:
        """Choose the optimizers.

        Args:
            generator_optimizer: a Keras optimizer, or "adam", "adamw", "rmsprop" or "sgd" with a learning rate of 2e-4
                and a momentum for GANs (`kgan.gan.optimizers`).
            discriminator_optimizer: likewise for the discriminators.
            jit_compile: whether to compile the step with XLA. "auto" means on a GPU.
            run_eagerly: whether to run steps without tf.function, to debug them.
            steps_per_execution: number of updates in one call of the compiled function.

        Raises:
            ValueError: if both optimizers are the same object, or one has a moving average of its own.
        """
        given = make_optimizer(generator_optimizer), make_optimizer(discriminator_optimizer)
        if given[0] is given[1]:
            raise ValueError("Generator and discriminator should have an optimizer each. Received: the same one twice")
        if any(getattr(_inner(one), "use_ema", False) for one in given):
            raise ValueError(
                "Optimizers should have `use_ema=False`: the GAN has an average of its own, with decay `ema`."
            )
        self._jit = bool(tf.config.list_physical_devices("GPU")) if jit_compile == "auto" else bool(jit_compile)
        super().compile(
            optimizer=None,
            jit_compile=self._jit and replicas.count() == 1,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
        )
        self.generator_optimizer, self.discriminator_optimizer = (_scaling(one, self.half) for one in given)
        self.optimizer = self.generator_optimizer  # callbacks such as LearningRateScheduler change the rate of this one
        self.train_function = self.test_function = self.predict_function = None
        if self.built:
            self._follow_trainable()
            self._attach_optimizers()

    def _follow_trainable(self) -> None:
        """Make the players anew if layers were frozen or thawed since, which takes effect here as in Keras."""
        if all(player.is_current() for player in self._players):
            return
        self.sync_weights()
        discriminators = self.discriminator_player.networks if self.discriminator_player else []
        average = self.average
        self._set_networks(self.generator_player.networks, discriminators, average.network, average.decay)

    @property
    def half(self) -> bool:
        """Whether networks compute in float16, in which small gradients vanish unless the loss is scaled."""
        raise NotImplementedError

    def _attach_optimizers(self) -> None:
        if self.generator_optimizer is not None:
            self.generator_player.attach(self.generator_optimizer)
        if self.discriminator_optimizer is not None and self.discriminator_player is not None:
            self.discriminator_player.attach(self.discriminator_optimizer)

    def get_compile_config(self) -> dict:
        if not self.compiled:
            return {}
        optimizers = {"generator_optimizer": self.generator_optimizer,
                      "discriminator_optimizer": self.discriminator_optimizer}  # fmt: skip
        config = {name: keras.saving.serialize_keras_object(_inner(one)) for name, one in optimizers.items()}
        return config | {"jit_compile": self._jit, "steps_per_execution": self.steps_per_execution}

    def compile_from_config(self, config: dict) -> None:
        self.compile(**{name: keras.saving.deserialize_keras_object(value) for name, value in config.items()})

    def shorten_schedule(self, steps: int) -> None:
        """Make decaying learning rates reach zero at step `steps`."""
        for player in self._players:
            shorten_schedule(player.optimizer, steps)

    # --- fit ------------------------------------------------------------------------------------------------------

    def fit(self, *args, **kwargs):
        """Train as `keras.Model.fit`.

        The data are batches {"content": [N, H, W, C], "style": [N, H, W, C]} in [-1, 1]. `validation_data` are batches
        {"content"}, or {"content", "truth"} for pairs.
        """
        given = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs)
        self._build_for(given.arguments.get("x"), training=True)
        if isinstance(given.arguments.get("x"), tf.data.Dataset):
            given.arguments["shuffle"] = False  # Keras cannot shuffle a data set and warns
        callbacks = given.arguments.get("callbacks")
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            given.arguments["callbacks"] = synced(callbacks)
        try:
            return super().fit(*given.args[1:], **given.kwargs)
        finally:
            self.sync_weights()

    def train_on_batch(self, x, *args, **kwargs):
        """Train on one batch as `keras.Model.train_on_batch`."""
        self._build_for(x, training=True)
        try:
            return super().train_on_batch(x, *args, **kwargs)
        finally:
            self.sync_weights()

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluate as `keras.Model.evaluate`, on batches {"content"} or {"content", "truth"}.

        Stylized pictures are compared as they are, where `kgan.evaluate` rounds them to 8 bits first. On 40 pictures of
        128x128, flat to 3D emoji, the rounding changed the mean SSIM by 0.0003 to the content and 0.0005 to the truth,
        PSNR by less than 0.003 dB and MSE by less than 2e-6.
        """
        self._build_for(x)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Stylize pictures as `keras.Model.predict`."""
        self._build_for(x)
        return super().predict(x, *args, **kwargs)

    def _build_for(self, x, training: bool = False) -> None:
        """Build what is missing for these pictures: the networks, and with `training` what training alone needs."""
        if self.built and not (training and self._lacks_for_training()):
            return
        shape = batch_shape(x)
        if shape is None:
            raise ValueError(f"{self.name} is not built, and the data does not tell the shape of its pictures. "
                             "Call `build((N, H, W, C))` first.")  # fmt: skip
        with self.distribute_strategy.scope():
            self._build_players(shape)
            if training:
                self._build_for_training(shape)

    def _build_players(self, shape: tuple | None) -> None:
        """Build the networks and the players, if they are not built."""
        raise NotImplementedError

    def _lacks_for_training(self) -> bool:
        """Whether `_build_for_training` is needed."""
        return False

    def _build_for_training(self, shape: tuple) -> None:
        """Build what depends on the shape of the training batches."""

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Do nothing, because all is built. Keras' method would fetch a batch, and fails on one of several workers."""

    def make_train_function(self, force: bool = False) -> None:
        """Make the train function, whose first step loads the networks' weights into the flat variables."""
        if self.train_function is not None and not force:
            return
        step = self._make_function(self.train_step)

        def train(iterator):
            if not self._flat_is_newer:
                self.load_flat()
            logs = step(iterator)
            self._flat_is_newer = True
            return logs

        self.train_function = train

    def _make_function(self, step_function):
        """A function from an iterator over batches to the logs of one step, of this worker's first replica.

        Keras' function wraps the logs in an Optional and reads whether it has a value, so that the host waits for the
        device in each step. It also reduces the logs over all workers and fails for scalars, although a worker does not
        need the logs of others. It is used only if one call makes several steps.
        """
        strategy = self.distribute_strategy

        def on_batch(data):
            return step_function(as_batch(data, self.exact))

        if self.steps_per_execution > 1:
            return super()._make_function(on_batch)

        def on_data(data):
            logs = strategy.run(on_batch, args=(data,))
            return {name: strategy.experimental_local_results(value)[0] for name, value in logs.items()}

        if self.run_eagerly:
            return lambda batches: on_data(next(batches))
        compiled = tf.function(on_data, jit_compile=True, autograph=False) if self.jit_compile else on_data
        on_next = tf.function(lambda batches: compiled(next(batches)), autograph=False, reduce_retracing=True)
        alone = tf.function(compiled, autograph=False, reduce_retracing=True)

        def function(iterator):
            # `train_on_batch` and `test_on_batch` give a Python generator of one batch.
            return alone(next(iterator)) if inspect.isgenerator(iterator) else on_next(iterator)

        return function

    def sync_weights(self) -> None:
        """Update the weights of the networks and of the stylist, if there were steps since the last update."""
        if self._flat_is_newer:
            self.store_flat()

    def load_flat(self) -> None:
        """Copy the networks' weights into the flat variables. Call it before `train_step` outside of `fit`."""
        self._each("load_flat")
        self._flat_is_loaded = True

    def store_flat(self) -> None:
        """Copy the flat variables into the networks and the stylist. Call it after `train_step` outside of `fit`."""
        self._each("store_flat")
        self._flat_is_newer = False

    def _each(self, copy: str) -> None:
        with self.distribute_strategy.scope():
            for holder in (*self._players, self.average):
                getattr(holder, copy)()

    # --- one update -----------------------------------------------------------------------------------------------

    def _update(self, player: Player, compute: Callable[[], tuple[Losses, object]]):
        """Update a player with the gradients of the sum of `compute()`'s losses. Returns its two results."""
        if not self._flat_is_loaded:
            raise RuntimeError(
                "train_step was called outside of fit: call load_flat() before the first step, and store_flat() after "
                "the last one, or use train_on_batch"
            )
        work = functools.partial(self._gradient, player, compute)
        if self._compiles_in_replicas:
            # One program for each replica: a shared one would read the first replica's variables.
            work = tf.function(work, jit_compile=True, autograph=False)
        parts, extra, gradient, state = work()
        for variable, value in zip(self._state(), state, strict=True):
            variable.assign(value)
        player.apply(gradient)
        return parts, extra

    def _gradient(self, player: Player, compute):
        """The losses, `compute`'s other result, the flat gradient and new values of the state. No variable changes."""
        values = player.values()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            with self._reading({player: values}) as scope:
                parts, extra = compute()
            total = player.optimizer.scale_loss(tf.add_n(list(parts.values())) / replicas.count())
        gradients = tape.gradient(total, values, unconnected_gradients="zero")
        new = [scope.get_current_value(variable) for variable in self._state()]
        state = [variable.value if value is None else value for variable, value in zip(self._state(), new, strict=True)]
        return parts, extra, joined(gradients), state

    def _reading(self, values: dict) -> keras.StatelessScope:
        """A context in which networks use the flat weights of the players, or `values`. Their state does not change."""
        mapping = []
        for player in self._players:
            mapping += zip(player.weights, values.get(player) or player.values(), strict=True)
        return keras.StatelessScope(state_mapping=mapping)

    def _state(self) -> list:
        """Variables that a forward pass changes: statistics of norms, and vectors of spectral norms."""
        return [v for player in self._players for network in player.networks for v in network.non_trainable_variables]

    @property
    def _compiles_in_replicas(self) -> bool:
        """Whether XLA can compile the step on each replica, because no exchange with other replicas is needed."""
        return self._jit and replicas.count() > 1 and not self._mixes_pictures()

    def _mixes_pictures(self) -> bool:
        """Whether the loss of a picture depends on the others in its batch."""
        raise NotImplementedError


def _scaling(optimizer: keras.optimizers.Optimizer, half: bool) -> keras.optimizers.Optimizer:
    """The optimizer with loss scaling for float16. Keras adds it only to the optimizer of its own `compile`."""
    if not half or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    return getattr(optimizer, "inner_optimizer", optimizer)
