"""Makes the networks, optimizers and GAN of a run from its settings. No code below this module reads a `TrainConfig`.

All networks are built, that is, their weights exist.
"""

import inspect

import keras

from kgan import kinds
from kgan.errors import UserError
from kgan.gan.base import GAN
from kgan.gan.one_way import OneWay
from kgan.gan.optimizers import LinearDecay, make_optimizer
from kgan.gan.two_way import TwoWay
from kgan.networks import Discriminator, Generator
from kgan.precision import POLICIES
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig


def build_gan(config: TrainConfig, teacher=None, palette=None) -> GAN:
    """Make the compiled GAN of a run. Call it inside the scope of the strategy.

    Args:
        config: the resolved settings of the run.
        teacher: a function of content pictures [N, H, W, C] in [-1, 1], for recipes with a teacher.
        palette: the map of colours from content to style, for terms that require one.

    Returns:
        The GAN.
    """
    recipe = recipes.find(config.recipe)
    # The seeds of the initializers depend on this order.
    regularizer = build_regularizer(config) if "mmd" in recipes.term_weights(config, recipe) else None
    shared = {"regularizer": regularizer, "stylist": build_generator(config), **_shared_arguments(config)}
    gan = _two_way(config, shared) if recipe.topology == "two_way" else _one_way(config, shared, teacher, palette)
    optimizers = {f"{player}_optimizer": build_optimizer(config, player) for player in ("generator", "discriminator")}
    gan.compile(**optimizers, jit_compile=bool(config.jit))
    return gan


def _shared_arguments(config: TrainConfig) -> dict:
    """The constructor arguments of `OneWay` and `TwoWay` that are settings of the same or a similar name."""
    names = ("features", "feature_weights", "discriminator_weight", "wasserstein_weight", "mmd_weight", "noise",
             "truncation", "augment", "discriminator_colour", "ema", "seed")  # fmt: skip
    recipe = recipes.find(config.recipe)
    return {name: getattr(config, name) for name in names} | {
        "adversarial": config.adversarial,
        "terms": recipes.term_weights(config, recipe),
        "train_regularizer": config.regularizer == "adversarial",
        "name": config.recipe.replace(":", "_"),
    }


def _one_way(config: TrainConfig, shared: dict, teacher, palette) -> OneWay:
    recipe = recipes.find(config.recipe)
    if (teacher is not None) != recipe.teacher:
        raise ValueError("`teacher` should be given for recipes with a teacher, and for no others.")
    return OneWay(
        generator=build_generator(config),
        discriminator=build_discriminator(config) if recipe.discriminator else None,
        paired=recipe.pictures == "paired",
        teacher=teacher,
        palette=palette,
        fresh_noise=recipe.fresh_noise,
        **shared,
    )


def _two_way(config: TrainConfig, shared: dict) -> TwoWay:
    gan = TwoWay(
        generator=build_generator(config),
        backward_generator=build_generator(config),
        discriminator=build_discriminator(config),
        content_discriminator=build_discriminator(config),
        image_pool=config.image_pool,
        **shared,
    )
    gan.build((config.batch_size, config.size, config.size, config.channels))
    return gan


def build_generator(config: TrainConfig, name: str = "generator") -> Generator:
    """Make the generator of a run. Raises UserError if the settings contradict each other."""
    takes_content = recipes.find(config.recipe).pictures != "style"
    _check_inputs(config, takes_content)
    cls = kinds.GENERATORS.find(config.generator, "--generator").load()
    arguments = _arguments_of(cls, config) | {"takes_content": takes_content}
    generator = cls(**arguments, dtype=POLICIES[config.precision], name=name)
    _check_size(config.size, generator)
    return _built(generator, generator.input_channels)


def build_discriminator(config: TrainConfig, name: str = "discriminator") -> Discriminator:
    """Make the discriminator of a run, with norms that fit the adversarial loss."""
    cls = kinds.DISCRIMINATORS.find(config.discriminator or "", "--discriminator").load()
    suited = cls.arguments_for(kinds.ADVERSARIAL[config.adversarial or ""], config.size)
    arguments = _arguments_of(cls, config) | {"filters": config.discriminator_filters, **suited}
    if config.discriminator_features:
        if "features" not in arguments:
            raise UserError(
                f"--discriminator-features {config.discriminator_features}: --discriminator {config.discriminator} has "
                "none; use projected"
            )
        arguments |= {"features": config.discriminator_features, "feature_weights": None}
    return _built(cls(**arguments, dtype=POLICIES[config.precision], name=name), config.channels)


def build_regularizer(config: TrainConfig, name: str = "regularizer") -> keras.Model:
    """Make the regularization network R of a run."""
    cls = kinds.REGULARIZERS.find(config.regularizer_network, "--regularizer-network").load()
    return _built(cls(dtype=POLICIES[config.precision], name=name), config.channels)


def build_optimizer(config: TrainConfig, player: str) -> keras.optimizers.Optimizer:
    """Make the optimizer of a player, "generator" or "discriminator", with its learning rate schedule."""
    rate = config.learning_rate if player == "generator" else config.discriminator_learning_rate
    schedule = LinearDecay(rate, config.steps, config.extended_at) if config.decay == "linear" else rate
    return make_optimizer(getattr(config, f"{player}_optimizer"), schedule)


def _arguments_of(cls: type, config: TrainConfig) -> dict:
    """The arguments of a constructor that are settings. So a new network needs no change here.

    The signature of the class itself would be that of Keras' `__new__` in Python 3.11.0 to 3.11.3.
    """
    names = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return {name: getattr(config, name) for name in names if hasattr(config, name)}


def _check_inputs(config: TrainConfig, takes_content: bool) -> None:
    if takes_content:
        return
    if config.residual:
        raise UserError(f"--residual needs a content picture, and recipe {config.recipe} has none; leave it out")
    if not config.noise_channels:
        raise UserError(f"--noise-channels should be at least 1 for recipe {config.recipe}. Received: 0")


def _check_size(size: int, generator: Generator) -> None:
    if size % generator.stride or size < generator.minimum_size:
        raise UserError(
            f"--size should be a multiple of --stride ({generator.stride}), at least {generator.minimum_size}. "
            f"Received: {size}"
        )


def _built(model, channels: int):
    """Build a model for pictures of any size."""
    model.build((None, None, None, channels))
    return model
