"""What every GAN here has: two players, each with networks, an optimizer and an update; EMA; metrics; a guard."""

from collections.abc import Callable

import keras
import tensorflow as tf

from kgan import losses, metrics, recipes
from kgan.config import TrainConfig
from kgan.gan import noise, replicas
from kgan.gan.optimizers import build_optimizer
from kgan.gan.terms import TERMS, Scene
from kgan.networks import build_features, build_generator, build_regularizer

Losses = dict[str, tf.Tensor]


class GAN(keras.Model):
    """Base of the topologies: a maker (generators) plays against a judge (discriminators, trained R).

    A subclass creates its networks, calls `_finish(...)` and writes `train_step` and `test_step`. All losses are means
    over a replica's pictures; `_update` divides them by the number of replicas, since gradients are summed.

    Attributes:
        stylist: the generator to use: the exponential moving average of the trained one.
        step: int64 variable, updates made so far.
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

    def _needs(self, *names: str) -> bool:
        return any(name in self.weights_of for name in names)

    def _finish(self, maker: list, judge: list, stylist_of) -> None:
        """Call last in a subclass's __init__: optimizers are built before `fit`, as tf.distribute wants it."""
        if self.embedder is not None:
            trained = self.config.regularizer == "adversarial"
            self.embedder.trainable = trained
            judge = [*judge, self.embedder] if trained else judge
        self.stylist_of = stylist_of
        self.stylist.set_weights(stylist_of.get_weights())
        self.maker, self.judge = maker, judge
        self.maker_optimizer = build_optimizer(self.config, "generator", _trainable(maker))
        self.judge_optimizer = build_optimizer(self.config, "discriminator", _trainable(judge)) if judge else None
        self.loss_names = self._loss_names()
        self.loss_means = {name: keras.metrics.Mean(name) for name in self.loss_names}
        self.test_means = {name: keras.metrics.Mean(name) for name in self._test_names()}
        self.bad_steps = keras.Variable(
            tf.zeros(len(self.loss_names)),
            trainable=False,
            synchronization="on_read",
            aggregation="sum",
            name="bad_steps",
        )
        self.built = True
        self.compile(optimizer=None, jit_compile=bool(self.config.jit) and replicas.count() == 1)

    def _loss_names(self) -> list[str]:
        names = [f"{name}_loss" for name in self.weights_of]
        if self.judge:
            names += ["discriminator_loss"] if self.recipe.discriminator else []
            names += ["discriminator_mmd_loss"] if self.embedder in self.judge else []
            names += ["gradient_penalty_loss"] if self.config.adversarial == "wasserstein" else []
        return names

    def _test_names(self) -> list[str]:
        compared = {"paired": ("truth",), "unpaired": ("content",), "style": ()}[self.recipe.pictures]
        compared += ("cycle",) if self.recipe.topology == "two_way" else ()
        return [f"{what}_{metric}" for what in compared for metric in ("ssim", "psnr", "mse")]

    # --- one update -----------------------------------------------------------------------------------------------

    def _update(self, player: list, optimizer, compute: Callable[[], tuple[Losses, object]]):
        """One update of a player: gradients of the sum of `compute()`'s losses. Returns (losses, what else it gave)."""
        variables = _trainable(player)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            parts, extra = compute()
            total = optimizer.scale_loss(tf.add_n(list(parts.values())) / replicas.count())
        optimizer.apply(tape.gradient(total, variables), variables)
        return parts, extra

    def _finish_step(self, parts: Losses) -> dict:
        """Count the step, move the average, book the losses."""
        self.step.assign_add(1)
        self._move_stylist()
        bad = [tf.reduce_any(~tf.math.is_finite(parts[name])) for name in self.loss_names]
        self.bad_steps.assign_add(tf.cast(tf.stack(bad), tf.float32))
        for name, value in parts.items():
            self.loss_means[name].update_state(value)
        return self.get_metrics_result()

    def _move_stylist(self) -> None:
        """The stylist follows the generator: weights by moving average, normalization statistics at once."""
        trained = {id(variable) for variable in self.stylist_of.trainable_variables}
        pairs = list(zip(self.stylist.weights, self.stylist_of.weights, strict=True))
        average = [(mean.value, weight.value) for mean, weight in pairs if id(weight) in trained]
        copied = [(mean.value, weight.value) for mean, weight in pairs if id(weight) not in trained]
        # At first the average of few steps would be mostly the random start: grow into the full decay.
        step = tf.cast(self.step.value, tf.float32)
        decay = tf.minimum(self.config.ema, (1.0 + step) / (10.0 + step))
        replicas.assign_everywhere(average, lambda a, w: decay * a + (1.0 - decay) * w)
        replicas.assign_everywhere(copied, lambda a, w: w)

    # --- what the algorithms are written with ---------------------------------------------------------------------

    def _seed(self, use: int) -> tf.Tensor:
        """An int32 pair for stateless randomness: a function of (seed, step, use), so that resuming repeats it."""
        step = tf.cast(self.step.value, tf.int32)
        return tf.stack([tf.constant(self.config.seed, tf.int32), step * 16 + use])

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

    def _scene(self, fake, style, reference, discriminator, **more) -> Scene:
        logits = discriminator(fake, training=True) if discriminator is not None else None
        generator_loss = losses.over_scales(self.adversarial.generator) if self.adversarial else None
        return Scene(fake, style, reference, fake_logits=logits, adversarial=generator_loss,
                     extractor=self.extractor, embedder=self.embedder, **more)  # fmt: skip

    def _judged(self, discriminator, real: tf.Tensor, fake: tf.Tensor, use: int) -> Losses:
        """The discriminator's losses on real and stylized pictures."""
        real_logits, fake_logits = apply_together(discriminator, [real, fake])
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
            mix = tf.random.stateless_uniform((size * replicas.count(), 1, 1, 1), self._seed(use))
            penalty = losses.gradient_penalty(discriminator, real, fake, replicas.own_share(mix, size))
            parts["gradient_penalty_loss"] = 10.0 * self.config.wasserstein_weight * penalty
        return parts

    def _book_test(self, what: str, expected: tf.Tensor, got: tf.Tensor) -> None:
        """Update the streaming SSIM, PSNR and MSE called `what`_...; pictures in [-1, 1]."""
        expected, got = (tf.clip_by_value((x + 1.0) / 2.0, 0.0, 1.0) for x in (expected, got))
        for name in ("ssim", "psnr", "mse"):
            self.test_means[f"{what}_{name}"].update_state(getattr(metrics, name)(expected, got))


def apply_together(network, pictures: list[tf.Tensor]) -> list[list[tf.Tensor]]:
    """The network's list of outputs for each batch of pictures; in one call where it treats every picture alone."""
    if mixes_pictures(network):
        return [_as_list(network(batch, training=True)) for batch in pictures]
    joined = _as_list(network(tf.concat(pictures, axis=0), training=True))
    return [list(parts) for parts in zip(*(tf.split(x, len(pictures)) for x in joined), strict=True)]


def mixes_pictures(network) -> bool:
    """True where a picture's output depends on the others in its batch (batch normalization)."""
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in network._flatten_layers())


def _as_list(outputs) -> list[tf.Tensor]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _trainable(networks: list) -> list:
    return [variable for network in networks for variable in network.trainable_variables]
