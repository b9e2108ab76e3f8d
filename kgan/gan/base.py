"""The base class of OneWay and TwoWay: loss terms, metrics, random numbers and the stylist."""

import contextlib
import dataclasses
import enum
import functools
from collections.abc import Callable, Mapping
from typing import ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from kgan import losses, metrics
from kgan.gan import diffaugment, disturbances, noise, replicas, terms
from kgan.gan.batches import sizes
from kgan.gan.loss_inputs import LossInputs
from kgan.gan.random_crop import random_crop
from kgan.gan.serialization import deserialized, serialized
from kgan.gan.tally import Tally
from kgan.gan.trainer import Losses, PlayersModel
from kgan.keras_internals import layers_of
from kgan.networks import ConvRegularizer, FeatureExtractor, features

GRADIENT_PENALTY = 10.0
"""Weight of the gradient penalty for a `wasserstein_weight` of 1, as in WGAN-GP (https://arxiv.org/abs/1704.00028)."""


class Draw(enum.IntEnum):
    """The uses of random numbers in a step. OneWay and TwoWay share some values, because a GAN is one of the two.

    The random numbers of a step are functions of (seed, step, use), so that a resumed run has the same ones.
    """

    NOISE = 0
    SECOND_NOISE = 1
    TEST_NOISE = 2
    BACKWARD_TEST_NOISE = 3
    QUERY_NOISE = IDENTITY_NOISE = 4
    PLACES = BACKWARD_IDENTITY_NOISE = 5
    CYCLE_NOISE = 6
    FAKE_AUGMENT = BACKWARD_CYCLE_NOISE = 7
    AUGMENT = POOL = 8  # and 9, for the stylized pictures
    CONTENT_POOL = 10
    FAKE_STYLE_AUGMENT = 16
    FAKE_CONTENT_AUGMENT = 17
    STYLE_AUGMENT = 18  # and 19
    CONTENT_AUGMENT = 20  # and 21
    CROP = 22
    DISTURBANCE = 23
    BACKWARD_DISTURBANCE = 24


@dataclasses.dataclass(frozen=True)
class Roles:
    """The networks that each optimizer updates.

    This is not a Keras object, so that Keras tracks the networks only once, as attributes of the GAN.
    """

    generators: list[keras.Model]
    discriminators: list[keras.Model]
    stylist: keras.Model | None


class GAN(PlayersModel):
    """Base class of `OneWay` and `TwoWay`, which describe the arguments.

    A subclass sets its networks, calls `_finish(...)` at the end of `__init__`, and defines `train_step` and
    `test_step`. All losses are means over the pictures of a replica. `_update` divides them by the number of replicas,
    because gradients are summed.

    Attributes:
        stylist: the generator for inference, with the exponential moving average of the trained weights.
        step: number of updates, an int64 variable.
        exact: data type of pictures and losses: "float32", or "float64" if the networks compute in it.
    """

    former_names: ClassVar[dict[str, str]] = {
        "generator_optimizer": "maker_optimizer",
        "discriminator_optimizer": "judge_optimizer",
        "regularizer": "embedder",
    }
    """Names of attributes in checkpoints before kgan 0.1, which are still read."""
    stylist: keras.Model
    own_arguments: ClassVar[tuple[str, ...]] = ()
    """Constructor arguments of a subclass that are attributes of the same name."""

    def __init__(self, generator: keras.Model, *, adversarial, terms, features, feature_weights, regularizer,
                 train_regularizer, discriminator_weight, wasserstein_weight, mmd_weight, noise, truncation, augment,
                 ema, seed, name, discriminator_colour, palette=None):  # fmt: skip
        super().__init__(name=name)
        self.adversarial, self.terms = adversarial, terms
        self.features, self.feature_weights = features, feature_weights
        self.regularizer, self.train_regularizer = self._regularizer(regularizer, generator), train_regularizer
        if self.regularizer is not None:
            self.regularizer.trainable = train_regularizer
        self.discriminator_weight, self.wasserstein_weight = discriminator_weight, wasserstein_weight
        self.mmd_weight, self.noise, self.truncation = mmd_weight, noise, truncation
        self.augment, self.ema, self.seed, self.stylist = augment, ema, seed, None
        self.discriminator_colour, self.palette = discriminator_colour, self._palette(palette)
        self.step = self.add_weight(
            shape=(), dtype="int64", initializer="zeros", trainable=False, aggregation="only_first_replica", name="step"
        )

    # --- construction ---------------------------------------------------------------------------------------------

    def _finish(self, generators: list, discriminators: list, stylist: keras.Model | None,
                tested: tuple[str, ...]) -> None:  # fmt: skip
        """Finish the construction. A subclass calls it at the end of its `__init__`.

        Args:
            generators: networks that the generator's optimizer updates. The first is averaged.
            discriminators: networks that the discriminator's optimizer updates.
            stylist: network for the moving average, or None for a copy of the first generator.
            tested: the comparisons of `evaluate`: "content", "truth" or "cycle".
        """
        trained = [self.regularizer] if self.regularizer is not None and self.train_regularizer else []
        self._roles = Roles(generators, [*discriminators, *trained], stylist)
        self._adversarial = losses.adversarial_loss(self.adversarial) if discriminators else None
        self.extractor = self._feature_extractor() if "features" in self.terms.requires else None
        self.loss_names = self._loss_names()
        self.loss_means = {name: keras.metrics.Mean(name) for name in self.loss_names}
        names = [f"{what}_{metric}" for what in tested for metric in ("ssim", "psnr", "mse")]
        self.test_means = {name: keras.metrics.Mean(name) for name in names}
        # Of batches with a truth though the training has none. No part of checkpoints, which name `test_means`.
        extra = {f"truth_{metric}" for metric in ("ssim", "psnr", "mse")} - set(names)
        self._extra_means = {name: keras.metrics.Mean(name) for name in sorted(extra)}
        self.bad_steps = Tally(len(self.loss_names))
        if self._can_be_built():
            self._build_players(None)

    def _always_provided(self, discriminator: keras.Model | None) -> set[str]:
        """The requirements in `kgan.kinds.REQUIREMENTS` that any topology meets."""
        return {"features", "regularizer"} | ({"discriminator"} if discriminator is not None else set())

    def _regularizer(self, given: keras.Model | None, generator: keras.Model) -> keras.Model | None:
        """The regularization network R, if a term requires it."""
        if "regularizer" not in self.terms.requires:
            return None
        return given or ConvRegularizer(dtype=generator.dtype_policy, name="regularizer")

    def _palette(self, given) -> keras.Variable | None:
        """The map of colours as a part of checkpoints, if a term requires it."""
        if given is None or "palette" not in self.terms.requires:
            return None
        given = np.asarray(given)
        return self.add_weight(given.shape, keras.initializers.Constant(given), trainable=False, name="palette")

    def _feature_extractor(self) -> FeatureExtractor:
        if isinstance(self.features, str):
            return features.build(self.features, self.feature_weights)
        return self.features

    def _loss_names(self) -> list[str]:
        names = [f"{name}_loss" for name in self.terms.weights]
        names += ["discriminator_loss"] if self._adversarial else []
        names += ["discriminator_mmd_loss"] if self.regularizer is not None and self.train_regularizer else []
        names += ["gradient_penalty_loss"] if self._adversarial and self._adversarial.gradient_penalty else []
        return names

    def _networks(self) -> list[keras.Model]:
        regularizer = [] if self.regularizer is None else [self.regularizer]
        found = [*self._roles.generators, *self._roles.discriminators, *regularizer]
        return list({id(network): network for network in found}.values())

    def _can_be_built(self) -> bool:
        """Whether all networks have weights, or an attribute with the channels of their pictures."""
        return all(network.built for network in self._networks()) or hasattr(self._roles.generators[0], "channels")

    def build(self, input_shape: tuple | None) -> None:
        """Make the weights of networks that have none, and the players.

        Args:
            input_shape: shape (N, H, W, C) of a batch of pictures. It may be None if all networks are built, or are
                kgan's, whose number of channels is known.
        """
        self._build_players(input_shape)

    def _build_players(self, shape: tuple | None) -> None:
        if self.average is not None:
            return
        generator = self._roles.generators[0]
        self._build_networks(shape)
        self.stylist = self._roles.stylist or _copy(generator, shape)
        self.stylist.trainable = False
        self.stylist.set_weights(generator.get_weights())
        self._set_networks(self._roles.generators, self._roles.discriminators, self.stylist, self.ema)
        self.built = True

    def _build_networks(self, input_shape: tuple | None) -> None:
        channels = getattr(self._roles.generators[0], "channels", None) or (input_shape and input_shape[-1])
        for network in self._networks():
            if not network.built:
                _build(network, getattr(network, "input_channels", channels), input_shape)

    @property
    def exact(self) -> str:
        return "float64" if self._roles.generators[0].variable_dtype == "float64" else "float32"

    @property
    def half(self) -> bool:
        return self._roles.generators[0].dtype_policy.compute_dtype == "float16"

    def get_config(self) -> dict:
        names = ("adversarial", "features", "feature_weights", "regularizer", "train_regularizer",
                 "discriminator_weight", "wasserstein_weight", "mmd_weight", "noise", "truncation", "augment", "ema",
                 "seed", "name", "discriminator_colour")  # fmt: skip
        config = {name: getattr(self, name) for name in (*names, *self.own_arguments)}
        config = {name: serialized(value) for name, value in config.items()}
        return config | {"terms": self.terms.get_config()}

    def save(self, filepath, *args, **kwargs) -> None:
        """Save as `keras.Model.save`. Raises ValueError first if a part could not be loaded again."""
        self.get_config()
        if not self.built and GAN._can_be_built(self):  # Keras would write no weights
            self._build_players(None)
        super().save(filepath, *args, **kwargs)

    @classmethod
    def from_config(cls, config, custom_objects: Mapping | None = None, **kwargs) -> Self:
        """Make a GAN with new weights.

        Args:
            config: the result of `get_config()`, or the settings of a training, a `kgan.runs.settings.TrainConfig`.
                With settings, those that are None get their values from the recipe, and the GAN is compiled, as by
                `kgan train`. Settings of pictures, of the machine and of the run folder have no effect.
            custom_objects: functions and classes by the names in the result of `get_config()`.
            **kwargs: with a `TrainConfig`, `teacher` for a recipe that has one.

        Returns:
            The GAN.

        Raises:
            UserError: if the settings are invalid.
            ValueError: if the recipe needs another class.

        Example:

        >>> from kgan.runs.settings import TrainConfig
        >>> gan = OneWay.from_config(TrainConfig(recipe="cut", size=64, filters=16))  # doctest: +SKIP
        """
        if not isinstance(config, Mapping):
            from kgan.assembly import build_gan  # a module above this one, the only reader of settings
            from kgan.runs.recipes import completed

            return cls._of_this_class(build_gan(completed(config), **kwargs))
        # A scope replaces the one around it, such as that of `load_model(..., custom_objects=...)`.
        scope = keras.saving.custom_object_scope(custom_objects) if custom_objects else contextlib.nullcontext()
        with scope:
            given = {name: deserialized(value) for name, value in config.items() if name != "terms"}
            return cls(**given, terms=terms.from_config(config["terms"]))

    @classmethod
    def _of_this_class(cls, gan: "GAN") -> Self:
        if not isinstance(gan, cls):
            raise ValueError(f"Recipe {gan.name} is a {type(gan).__name__}. Call {type(gan).__name__}.from_config.")
        return gan

    def get_build_config(self) -> dict:
        return {"input_shape": None}

    def build_from_config(self, config: dict) -> None:
        if not self.built:
            self._build_players(config["input_shape"])

    # --- use ------------------------------------------------------------------------------------------------------

    def __call__(self, inputs, *args, **kwargs):
        """Stylize pictures as `call`. Missing networks are built first, but nothing that depends on the training."""
        if not self.built:
            content = inputs["content"] if isinstance(inputs, dict) else inputs
            self._build_players(tuple(content.shape))
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs, training: bool = False):
        """Stylize pictures with the stylist.

        Args:
            inputs: content, float32 [N, H, W, C] in [-1, 1], or {"content": ...}. Noise channels may follow the
                content channels. Otherwise the noise is drawn from `seed` and is the same in every call. For a
                generator from noise alone, the noise.
            training: ignored; the stylist always runs in inference mode.

        Returns:
            Stylized pictures, float32 [N, H, W, C] in [-1, 1].

        Raises:
            ValueError: for pictures with another number of channels.
        """
        inputs = inputs["content"] if isinstance(inputs, dict) else inputs
        wanted = getattr(self.stylist, "input_channels", inputs.shape[-1])
        if inputs.shape[-1] != wanted:
            if wanted - inputs.shape[-1] != getattr(self.stylist, "noise_channels", 0):
                raise ValueError(f"The stylist should get {wanted} channels. Received: pictures of {inputs.shape}")
            count, height, width = sizes(inputs)
            shape = (count, height, width, wanted - inputs.shape[-1])
            drawn = noise.sample((self.seed, 1), shape, self.noise, self.truncation)
            inputs = tf.concat([inputs, tf.cast(drawn, inputs.dtype)], axis=-1)
        return self.stylist(inputs, training=False)

    def export(self, path, litert: bool = True):
        """Export the stylist as saved_model/ for TensorFlow Serving and as model.tflite.

        The exported models take and return pictures in [0, 1].

        Args:
            path: the output folder.
            litert: whether to write model.tflite.

        Returns:
            The folder.
        """
        from kgan.export import export_stylist  # a package above this one, which exports any generator

        return export_stylist(self.stylist, path, self.noise, self.truncation, litert)

    # --- parts of the algorithms ----------------------------------------------------------------------------------

    def _finish_step(self, parts: Losses) -> dict:
        """Count the step, update the average and record the losses. Returns the mean losses since the last reset."""
        self.step.assign_add(1)
        self.average.move(self.step.value)
        self.bad_steps.add([tf.reduce_any(~tf.math.is_finite(parts[name])) for name in self.loss_names])
        for name, value in parts.items():
            self.loss_means[name].update_state(value)
        return {name: self.loss_means[name].result() for name in self.loss_names}

    def _seed(self, draw: int) -> tf.Tensor:
        """A seed for stateless random numbers, int32 [2]: a function of (seed, step, draw)."""
        step = tf.cast(self.step.value, tf.int32)
        return tf.stack([tf.constant(self.seed, tf.int32), step * 32 + int(draw)])

    def _with_noise(self, content: tf.Tensor | None, like: tf.Tensor, draw: int) -> tf.Tensor:
        """The generator's input: content and new noise channels. N, H and W are those of `like`."""
        channels = getattr(self._roles.generators[0], "noise_channels", 0)
        if not channels:
            return content
        count, height, width = sizes(like)
        shape = (count * replicas.count(), height, width, channels)
        drawn = noise.sample(self._seed(draw), shape, self.noise, self.truncation)
        drawn = replicas.own_share(drawn, count)
        return drawn if content is None else tf.concat([content, tf.cast(drawn, content.dtype)], axis=-1)

    def _loss_inputs(self, fake, style, reference, discriminator=None, draw: int = 0, **more) -> LossInputs:
        pair = {}
        if discriminator is not None:
            seen = diffaugment.faded(fake, self.discriminator_colour)
            logits = discriminator(self._augmented(seen, draw), training=True)
            pair = {"fake_logits": logits, "adversarial": self._adversarial.generator}
        crop = functools.partial(random_crop, seed=self._seed(Draw.CROP))
        return LossInputs(fake, style, reference, **pair, features=self.extractor, regularizer=self.regularizer,
                          palette=self.palette, crop=crop, **more)  # fmt: skip

    def _disturbed(self, generator, given, fake, draw: int) -> dict:
        """The argument `disturbed` of the loss inputs, for the generator's input and its stylized pictures."""
        seed = self._seed(draw)
        return {
            "shift": functools.partial(disturbances.shifted, generator, given, fake, seed),
            "warp": functools.partial(disturbances.warped, generator, given, fake, seed),
        }

    def _discriminator_parts(self, discriminator, real: tf.Tensor, fake: tf.Tensor, draw: int) -> Losses:
        """The discriminator's losses on real and stylized pictures."""
        real, fake = (diffaugment.faded(pictures, self.discriminator_colour) for pictures in (real, fake))
        shown = [self._augmented(real, draw), self._augmented(fake, draw + 1)]
        real_logits, fake_logits = apply_together(discriminator, shown)
        weights = {name: getattr(self, name) for name in self._adversarial.weights}
        loss = losses.over_scales(self._adversarial.discriminator)
        parts = {"discriminator_loss": loss(real_logits, fake_logits, **weights)}
        if self._adversarial.gradient_penalty:
            count = sizes(real)[0]
            mix = tf.random.stateless_uniform((count * replicas.count(), 1, 1, 1), self._seed(draw), alg="philox")
            penalty = losses.gradient_penalty(discriminator, real, fake, replicas.own_share(mix, count))
            parts["gradient_penalty_loss"] = GRADIENT_PENALTY * self.wasserstein_weight * penalty
        return parts

    def _regularizer_parts(self, fake: tf.Tensor, style: tf.Tensor) -> Losses:
        """The loss of a trained regularization network, which maximises the MMD."""
        if "discriminator_mmd_loss" not in self.loss_names:
            return {}
        found = self._loss_inputs(fake, style, None)
        return {"discriminator_mmd_loss": -self.mmd_weight * losses.mmd(found.style_embeddings, found.fake_embeddings)}

    def _augmented(self, pictures: tf.Tensor, draw: int) -> tf.Tensor:
        """The augmented pictures for a discriminator."""
        if not self.augment:
            return pictures
        count = sizes(pictures)[0]
        draws = diffaugment.draw(self._seed(draw), count * replicas.count())
        return diffaugment.augmented(pictures, self.augment, replicas.own_share(draws, count))

    def _mixes_pictures(self) -> bool:
        networks = [*self._roles.generators, *self._roles.discriminators]
        return self.terms.mix_pictures or any(mixes_pictures(network) for network in networks)

    def _book_test(self, what: str, expected: tf.Tensor, got: tf.Tensor) -> dict:
        """Update the streaming metrics `what`_ssim, _psnr and _mse of pictures in [-1, 1]. Returns their results."""
        expected, got = (tf.clip_by_value((x + 1.0) / 2.0, 0.0, 1.0) for x in (expected, got))
        means = self.test_means | self._extra_means
        for name in ("ssim", "psnr", "mse"):
            # Equal pictures have an infinite PSNR, which JSON and curves cannot represent. It is limited to 100 dB.
            means[f"{what}_{name}"].update_state(tf.minimum(getattr(metrics, name)(expected, got), 100.0))
        return {f"{what}_{name}": means[f"{what}_{name}"].result() for name in ("ssim", "psnr", "mse")}

    def _book_truth(self, batch: dict, fake: tf.Tensor) -> dict:
        """As `_book_test`, to "truth" where the batch has one."""
        return self._book_test("truth", batch["truth"], fake) if "truth" in batch else {}


def _build(network: keras.Model, channels: int, shape: tuple | None) -> None:
    """Make the weights of a network for pictures with this number of channels. `shape` is that of a batch, or None."""
    if type(network).build is not keras.Model.build:
        network.build((None, None, None, channels))
    elif shape is not None:
        network(tf.zeros((1, *shape[1:3], channels)))


def _copy(generator: keras.Model, shape: tuple | None) -> keras.Model:
    """A copy of a network's structure with its own weights, which exist."""
    try:
        copy = keras.models.clone_model(generator)
    except NotImplementedError:
        raise ValueError(f"{type(generator).__name__} should have `get_config`: its moving average needs a second "
                         "network of its kind. Or give one as `stylist`.") from None  # fmt: skip
    if not copy.built:
        copy.build_from_config(generator.get_build_config() or {})
    if len(copy.weights) != len(generator.weights):
        copy(tf.zeros((1, *(shape or generator.input_shape)[1:3], (shape or generator.input_shape)[-1])))
    return copy


def new_like(network: keras.Model) -> keras.Model:
    """A copy of a network's structure with new random weights. It is built if the network is built."""
    return _copy(network, None) if network.built else keras.models.clone_model(network)


def apply_together(network, pictures: list[tf.Tensor], use: Callable | None = None) -> list[list[tf.Tensor]]:
    """Apply a network to several batches, in a single call if its pictures do not depend on each other.

    Args:
        network: the network.
        pictures: batches of pictures.
        use: a function of a batch that runs the network. Default: the call of the network with `training=True`.

    Returns:
        The list of outputs for each batch.
    """
    use = use or functools.partial(network, training=True)
    if mixes_pictures(network) or len(pictures) == 1:
        return [_as_list(use(batch)) for batch in pictures]
    joined = _as_list(use(tf.concat(pictures, axis=0)))
    return [list(parts) for parts in zip(*(tf.split(x, len(pictures)) for x in joined), strict=True)]


def mixes_pictures(network) -> bool:
    """Whether the output for a picture depends on the others in its batch, as with batch normalization."""
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers_of(network))


def _as_list(outputs) -> list[tf.Tensor]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
