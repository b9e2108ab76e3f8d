"""What every GAN here has: two players, each with networks, an optimizer and an update; EMA; metrics; a guard."""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from kgan import losses, metrics
from kgan.gan import noise, replicas, views
from kgan.gan.optimizers import build_optimizer, shorten_schedule
from kgan.gan.player import Average, Player, joined
from kgan.gan.tally import Tally
from kgan.gan.terms import TERMS, Scene
from kgan.networks import build_features, build_generator, build_regularizer
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

Losses = dict[str, tf.Tensor]


class GAN(keras.Model):
    """Base of the topologies: a maker (generators) plays against a judge (discriminators, trained R).

    A subclass creates its networks, calls `_finish(...)` and writes `train_step` and `test_step`. All losses are means
    over a replica's pictures; `_update` divides them by the number of replicas, since gradients are summed.

    Attributes:
        stylist: the generator to use: the exponential moving average of the trained one.
        step: int64 variable, updates made so far.
        exact: the format of pictures and losses: float32, or float64 if that is the precision.
    """

    def __init__(self, config: TrainConfig):
        super().__init__(name=config.recipe.replace(":", "_"))
        self.config = config
        self.recipe = recipes.find(config.recipe)
        self.weights_of = recipes.term_weights(config, self.recipe)
        self.adversarial = losses.ADVERSARIAL[config.adversarial] if config.adversarial else None
        self.step = self.add_weight(
            shape=(), dtype="int64", initializer="zeros", trainable=False, aggregation="only_first_replica", name="step"
        )
        self.extractor = build_features(config) if self._needs("features", "gram") else None
        self.embedder = build_regularizer(config) if self._needs("mmd") else None
        self.stylist = build_generator(config)
        self.stylist.trainable = False
        self.exact = self.stylist.variable_dtype

    def _needs(self, *names: str) -> bool:
        return any(name in self.weights_of for name in names)

    def _finish(self, maker: list, judge: list) -> None:
        """Call last in a subclass's __init__; `maker[0]` is the network that the stylist follows."""
        if self.embedder is not None:
            trained = self.config.regularizer == "adversarial"
            self.embedder.trainable = trained
            judge = [*judge, self.embedder] if trained else judge
        self.stylist_of = maker[0]
        self.stylist.set_weights(self.stylist_of.get_weights())
        self.maker = Player(maker, functools.partial(build_optimizer, self.config, "generator"))
        self.judge = Player(judge, functools.partial(build_optimizer, self.config, "discriminator")) if judge else None
        self.average = Average(self.stylist, self.maker, self.config.ema)
        # Keras and checkpoints see attributes; the flat variables are working copies and stay unseen.
        self.maker_optimizer = self.maker.optimizer
        self.judge_optimizer = self.judge.optimizer if self.judge else None
        self.loss_names = self._loss_names()
        self.loss_means = {name: keras.metrics.Mean(name) for name in self.loss_names}
        self.test_means = {name: keras.metrics.Mean(name) for name in self._test_names()}
        self.bad_steps = Tally(len(self.loss_names))
        self.built = True
        self.compile(optimizer=None, jit_compile=bool(self.config.jit) and replicas.count() == 1)

    def _loss_names(self) -> list[str]:
        names = [f"{name}_loss" for name in self.weights_of]
        if self.judge:
            names += ["discriminator_loss"] if self.recipe.discriminator else []
            names += ["discriminator_mmd_loss"] if self.embedder in self.judge.networks else []
            names += ["gradient_penalty_loss"] if self.config.adversarial == "wasserstein" else []
        return names

    def _test_names(self) -> list[str]:
        kinds = {"paired": ("truth",), "content": ("truth",), "unpaired": ("content",), "style": ()}
        compared = kinds[self.recipe.pictures]
        compared += ("cycle",) if self.recipe.topology == "two_way" else ()
        return [f"{what}_{metric}" for what in compared for metric in ("ssim", "psnr", "mse")]

    def shorten_schedule(self, steps: int) -> None:
        """Let the learning rates reach zero at step `steps`, where they decay."""
        for player in (self.maker, self.judge):
            if player is not None:
                shorten_schedule(player.optimizer, steps)

    # --- one update -----------------------------------------------------------------------------------------------

    def fit(self, *args, **kwargs):
        """As `keras.Model.fit`. Call `settle` before networks are used while it runs; at its end they are settled."""
        self.take_up()
        try:
            return super().fit(*args, **kwargs)
        finally:
            self.settle()

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: all is built. Keras' own would fetch a batch for it, and fails on one of several workers."""

    def _make_function(self, step_function):
        """A function: iterator over batches -> the logs of one step on the next of them, this worker's first replica's.

        Keras' own wraps the logs in an Optional and asks whether it has a value: each step, the host waits for the
        device. It also reduces the logs over all workers and fails on scalars; a worker needs no other's logs.
        """
        strategy = self.distribute_strategy

        def exactly(batch):
            return step_function({name: tf.cast(pictures, self.exact) for name, pictures in batch.items()})

        def on_data(batch):
            logs = strategy.run(exactly, args=(batch,))
            return {name: strategy.experimental_local_results(value)[0] for name, value in logs.items()}

        if self.jit_compile:
            on_data = tf.function(on_data, jit_compile=True, autograph=False)
        return tf.function(lambda batches: on_data(next(batches)), autograph=False, reduce_retracing=True)

    def take_up(self) -> None:
        """Before steps outside `fit`: copy the networks' weights to where steps move them."""
        for holder in self._holders():
            holder.take_up()

    def settle(self) -> None:
        """After steps: copy the moved weights back into the networks and the stylist."""
        for holder in self._holders():
            holder.settle()

    def _holders(self) -> list:
        return [holder for holder in (self.maker, self.judge, self.average) if holder is not None]

    def _update(self, player: Player, compute: Callable[[], tuple[Losses, object]]):
        """One update of a player: gradients of the sum of `compute()`'s losses. Returns (losses, what else it gave)."""
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
        """(losses, what else `compute` gave, flat gradient, new values of the state); changes no variable."""
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
        """Networks called inside use the players' flat weights, or `values` of a player; their state is not changed."""
        mapping = []
        for player in (self.maker, self.judge):
            if player is not None:
                mapping += zip(player.weights, values.get(player) or player.values(), strict=True)
        return keras.StatelessScope(state_mapping=mapping)

    def _state(self) -> list:
        """What a forward pass changes: statistics of norms, vectors of spectral norms."""
        players = [player for player in (self.maker, self.judge) if player is not None]
        return [v for player in players for network in player.networks for v in network.non_trainable_variables]

    @property
    def _compiles_in_replicas(self) -> bool:
        """Under tf.distribute, XLA can take what needs no word from the other replicas."""
        networks = [network for player in (self.maker, self.judge) if player for network in player.networks]
        alone = not self._needs("mmd", "gram") and not any(mixes_pictures(network) for network in networks)
        return bool(self.config.jit) and replicas.count() > 1 and alone

    def _finish_step(self, parts: Losses) -> dict:
        """Count the step, move the average, book the losses."""
        self.step.assign_add(1)
        self.average.move(self.step.value)
        self.bad_steps.add([tf.reduce_any(~tf.math.is_finite(parts[name])) for name in self.loss_names])
        for name, value in parts.items():
            self.loss_means[name].update_state(value)
        return self.get_metrics_result()

    # --- what the algorithms are written with ---------------------------------------------------------------------

    def _seed(self, use: int) -> tf.Tensor:
        """An int32 pair for stateless randomness: a function of (seed, step, use), so that resuming repeats it."""
        step = tf.cast(self.step.value, tf.int32)
        return tf.stack([tf.constant(self.config.seed, tf.int32), step * 32 + use])

    def _with_noise(self, content: tf.Tensor | None, size: int, use: int) -> tf.Tensor:
        """The generator's input: content pictures with fresh noise channels beside them."""
        if not self.config.noise_channels:
            return content
        side = self.config.size
        shape = (size * replicas.count(), side, side, self.config.noise_channels)
        drawn = noise.sample(self._seed(use), shape, self.config.noise, self.config.truncation)
        drawn = replicas.own_share(drawn, size)
        return drawn if content is None else tf.concat([content, tf.cast(drawn, content.dtype)], axis=-1)

    def _weighted_terms(self, scene: Scene) -> Losses:
        return {f"{name}_loss": weight * TERMS[name](scene) for name, weight in self.weights_of.items()}

    def _scene(self, fake, style, reference, discriminator, use: int, **more) -> Scene:
        logits = discriminator(self._seen(fake, use), training=True) if discriminator is not None else None
        generator_loss = losses.over_scales(self.adversarial.generator) if self.adversarial else None
        return Scene(fake, style, reference, fake_logits=logits, adversarial=generator_loss,
                     extractor=self.extractor, embedder=self.embedder,
                     view=functools.partial(views.window, seed=self._seed(22)), **more)  # fmt: skip

    def _judged(self, discriminator, real: tf.Tensor, fake: tf.Tensor, use: int) -> Losses:
        """The discriminator's losses on real and stylized pictures."""
        shown = [self._seen(real, use), self._seen(fake, use + 1)]
        real_logits, fake_logits = apply_together(discriminator, shown)
        weights = {}
        if self.config.adversarial == "article":
            weights = {
                "discriminator_weight": self.config.discriminator_weight,
                "wasserstein_weight": self.config.wasserstein_weight,
            }
        discriminator_loss = losses.over_scales(self.adversarial.discriminator)
        parts = {"discriminator_loss": discriminator_loss(real_logits, fake_logits, **weights)}
        if self.config.adversarial == "wasserstein":
            size = real.shape[0]
            mix = tf.random.stateless_uniform((size * replicas.count(), 1, 1, 1), self._seed(use), alg="philox")
            penalty = losses.gradient_penalty(discriminator, real, fake, replicas.own_share(mix, size))
            parts["gradient_penalty_loss"] = 10.0 * self.config.wasserstein_weight * penalty
        return parts

    def _seen(self, pictures: tf.Tensor, use: int) -> tf.Tensor:
        """The pictures as a discriminator sees them."""
        if not self.config.augment:
            return pictures
        size = pictures.shape[0]
        draws = views.draw(self._seed(use), size * replicas.count())
        return views.seen(pictures, self.config.augment, replicas.own_share(draws, size))

    def _book_test(self, what: str, expected: tf.Tensor, got: tf.Tensor) -> None:
        """Update the streaming SSIM, PSNR and MSE called `what`_...; pictures in [-1, 1]."""
        expected, got = (tf.clip_by_value((x + 1.0) / 2.0, 0.0, 1.0) for x in (expected, got))
        for name in ("ssim", "psnr", "mse"):
            # Equal pictures have an infinite PSNR, which is no JSON and no point of a curve: 100 dB stands for it.
            self.test_means[f"{what}_{name}"].update_state(tf.minimum(getattr(metrics, name)(expected, got), 100.0))


def apply_together(network, pictures: list[tf.Tensor], use: Callable | None = None) -> list[list[tf.Tensor]]:
    """The network's list of outputs for each batch of pictures; in one call where it treats every picture alone.

    `use(batch)` is what runs the network, where that is not its call.
    """
    use = use or functools.partial(network, training=True)
    if mixes_pictures(network) or len(pictures) == 1:
        return [_as_list(use(batch)) for batch in pictures]
    joined = _as_list(use(tf.concat(pictures, axis=0)))
    return [list(parts) for parts in zip(*(tf.split(x, len(pictures)) for x in joined), strict=True)]


def mixes_pictures(network) -> bool:
    """True where a picture's output depends on the others in its batch (batch normalization)."""
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in network._flatten_layers())


def _as_list(outputs) -> list[tf.Tensor]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
