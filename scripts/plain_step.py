"""A training step as a Keras user would write it. scripts/benchmark.py compares kgan's step with it.

Networks, losses, optimizers, image pools and moving average are those of kgan. The step is that of the CycleGAN
tutorials (https://keras.io/examples/generative/cyclegan, https://www.tensorflow.org/tutorials/generative/cyclegan):
one persistent tape, an optimizer for each network over the list of its variables, and one `tf.function`. Work that the
tutorials do twice is done once: there is one backward pass for both generators and one for both discriminators, and
without an image pool the discriminator processes the stylized pictures once. There are no checks of the losses and no
metrics. The step returns the losses.
"""

import functools

import tensorflow as tf

from kgan import losses
from kgan.assembly import build_discriminator, build_generator, build_optimizer, build_regularizer
from kgan.gan import noise
from kgan.gan.image_pool import ImagePool
from kgan.gan.loss_inputs import LossInputs
from kgan.gan.random_crop import random_crop
from kgan.gan.terms import Terms
from kgan.networks import features
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig


def missing(config: TrainConfig, replicas: int) -> str | None:
    """The first of these settings that the plain step does not support, as text, or None."""
    inputs = Terms(_weights(config), adversarial=False).inputs
    lacks = {
        "several devices": replicas > 1,
        config.precision: config.precision in ("float16", "float64"),
        "the gradient penalty": config.adversarial == "wasserstein",
        "a teacher": bool(config.distill_from),
        "augmentation": bool(config.augment),
        "contrastive terms": bool(inputs & {"queries", "identity_queries"}),
        "a map of colours": "content_in_palette" in inputs,
        "shifted or disturbed pictures": bool(inputs & {"shift_of_fake", "warp_of_fake"}),
        "a trained regularizer": config.regularizer == "adversarial" and "mmd" in _weights(config),
    }
    return next((name for name, lack in lacks.items() if lack), None)


def _weights(config: TrainConfig) -> dict[str, float]:
    return recipes.term_weights(config, recipes.find(config.recipe))


class PlainStep:
    """A training step in plain Keras.

    A call takes {"content", "style"}, each [N, H, W, C] in [-1, 1], makes one update and returns the losses.

    Args:
        config: the complete settings. `missing` must return None for them.
    """

    def __init__(self, config: TrainConfig):
        self.config, self.recipe, self.weights = config, recipes.find(config.recipe), _weights(config)
        self.terms = Terms(self.weights, adversarial=False)
        directions = 2 if self.recipe.topology == "two_way" else 1
        self.generators = [build_generator(config) for _ in range(directions)]
        self.discriminators = [
            build_discriminator(config) for _ in range(directions if self.recipe.discriminator else 0)
        ]
        self.optimizers = [
            *(self._optimizer("generator", network) for network in self.generators),
            *(self._optimizer("discriminator", network) for network in self.discriminators),
        ]
        self.average = build_generator(config)
        self.average.set_weights(self.generators[0].get_weights())
        shape = (config.size, config.size, config.channels)
        self.pools = [
            ImagePool(config.image_pool, shape, config.batch_size) for _ in self.discriminators if config.image_pool
        ]
        self.adversarial = losses.adversarial_loss(config.adversarial) if self.discriminators else None
        self.extractor = (
            features.build(config.features, config.feature_weights) if "features" in self.terms.requires else None
        )
        self.embedder = build_regularizer(config) if "mmd" in self.weights else None
        if self.embedder:
            self.embedder.trainable = False
        self.step = tf.Variable(0, dtype=tf.int64)
        self.compiled = tf.function(self.make, jit_compile=config.jit)

    def _optimizer(self, player: str, network):
        optimizer = build_optimizer(self.config, player)
        optimizer.build(network.trainable_variables)
        return optimizer

    def __call__(self, batch: dict) -> dict:
        return self.compiled(batch)

    def make(self, batch: dict) -> dict:
        """Make one update of a batch. This function is traced."""
        with tf.GradientTape(persistent=True) as tape:
            play = self._two_way if self.recipe.topology == "two_way" else self._one_way
            made, judged = play(batch.get("content"), batch["style"])
            total, judged_total = tf.add_n(list(made.values())), tf.add_n([0.0, *judged.values()])
        variables = [network.trainable_variables for network in self.generators]
        gradients = tape.gradient(total, variables)
        if self.discriminators:
            discriminator_variables = [network.trainable_variables for network in self.discriminators]
            gradients += tape.gradient(judged_total, discriminator_variables)
            variables += discriminator_variables
        for optimizer, gradient, weights in zip(self.optimizers, gradients, variables, strict=True):
            optimizer.apply_gradients(zip(gradient, weights, strict=True))
        self.step.assign_add(1)
        step = tf.cast(self.step, tf.float32)
        decay = tf.minimum(self.config.ema, (1.0 + step) / (10.0 + step))
        for mean, weight in zip(self.average.weights, self.generators[0].weights, strict=True):
            mean.assign(decay * mean + (1.0 - decay) * weight)
        return {**made, **judged}

    def _one_way(self, content, style):
        """Returns the losses of the generator and those of the discriminator."""
        generator, discriminator = self.generators[0], self.discriminators[0] if self.discriminators else None
        fake = generator(self._noisy(content, style), training=True)
        reference = style if self.recipe.pictures == "paired" else content
        same = generator(self._noisy(style, style), training=True) if "identity" in self.weights else None
        scene = self._scene(fake, style, reference, discriminator, identity=same)
        if not discriminator:
            return self._terms(scene), {}
        if self.recipe.fresh_noise:
            other = tf.stop_gradient(generator(self._noisy(content, style), training=True))
            return self._terms(scene), {"discriminator_loss": self._judged(discriminator, style, other)}
        return self._terms(scene), {"discriminator_loss": self._judged(discriminator, style, fake, scene.fake_logits)}

    def _two_way(self, content, style):
        (there, back), (style_discriminator, content_discriminator) = self.generators, self.discriminators
        fake_style = there(self._noisy(content, style), training=True)
        fake_content = back(self._noisy(style, style), training=True)
        cycled_content = back(self._noisy(fake_style, style), training=True)
        cycled_style = there(self._noisy(fake_content, style), training=True)
        same_style = same_content = None
        if "identity" in self.weights:
            same_style = there(self._noisy(style, style), training=True)
            same_content = back(self._noisy(content, style), training=True)
        scenes = [
            self._scene(fake_style, style, content, style_discriminator,
                        content=content, cycled=cycled_content, identity=same_style),
            self._scene(fake_content, content, style, content_discriminator,
                        content=style, cycled=cycled_style, identity=same_content),
        ]  # fmt: skip
        forth, home = (self._terms(scene) for scene in scenes)
        judged = 0.0
        for number, (discriminator, scene) in enumerate(zip(self.discriminators, scenes, strict=True)):
            if self.pools:
                seed = tf.stack([number, tf.cast(self.step, tf.int32)])
                shown = self.pools[number].exchange(tf.stop_gradient(scene.fake), self.step, seed)
                judged += 0.5 * self._judged(discriminator, scene.style, shown)
            else:
                judged += 0.5 * self._judged(discriminator, scene.style, scene.fake, scene.fake_logits)
        return {name: forth[name] + home[name] for name in forth}, {"discriminator_loss": judged}

    def _scene(self, fake, style, reference, discriminator, **more):
        logits = discriminator(fake, training=True) if discriminator else None
        loss = self.adversarial.generator if discriminator else None
        seed = tf.stack([self.config.seed, tf.cast(self.step, tf.int32) * 32 + 22])  # the crop that kgan's step draws
        crop = functools.partial(random_crop, seed=seed)
        return LossInputs(fake, style, reference, fake_logits=logits, adversarial=loss, features=self.extractor,
                          regularizer=self.embedder, crop=crop, **more)  # fmt: skip

    def _terms(self, scene):
        return self.terms(scene)

    def _judged(self, discriminator, real, fake, fake_logits=None):
        if fake_logits is None:
            fake_logits = discriminator(fake, training=True)
        weights = {name: getattr(self.config, name) for name in self.adversarial.weights}
        loss = losses.over_scales(self.adversarial.discriminator)
        return loss(discriminator(real, training=True), fake_logits, **weights)

    def _noisy(self, pictures, like):
        """The generator's input: the pictures, if any, and channels of noise if the recipe has any."""
        if not self.config.noise_channels:
            return pictures
        shape = (*like.shape[:3], self.config.noise_channels)
        seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
        drawn = noise.sample(seed, shape, self.config.noise, self.config.truncation)
        return drawn if pictures is None else tf.concat([pictures, drawn], axis=-1)
