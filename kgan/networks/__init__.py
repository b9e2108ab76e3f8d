"""Networks by name, and how a run's settings choose and size them. Everything comes back built: its weights exist."""

from kgan.errors import UserError
from kgan.networks.discriminators import DISCRIMINATORS, Discriminator
from kgan.networks.features import FeatureExtractor
from kgan.networks.features import build as _build_features
from kgan.networks.generators import ArticleGenerator, Generator, ResNetGenerator
from kgan.networks.mobile import MobileGenerator
from kgan.networks.patches import PatchEmbedder
from kgan.networks.regularizers import REGULARIZERS
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "REGULARIZERS",
    "Discriminator",
    "FeatureExtractor",
    "Generator",
    "PatchEmbedder",
    "build_discriminator",
    "build_features",
    "build_generator",
    "build_patch_embedder",
    "build_regularizer",
]

POLICIES = {"float64": "float64", "float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Keras' names of what --precision asks for."""

GENERATORS = {"resnet": ResNetGenerator, "article": ArticleGenerator, "mobile": MobileGenerator}

UNBOUNDED = ("hinge", "wasserstein", "article")
"""Adversarial losses without a floor: their discriminators need spectral norm."""


def build_generator(config: TrainConfig, name: str = "generator") -> Generator:
    """The generator of the resolved settings, built; UserError where they contradict each other."""
    takes_content = recipes.find(config.recipe).pictures != "style"
    _check_inputs(config, takes_content)
    generator = _find(GENERATORS, "generator", config.generator)(
        channels=config.channels, noise_channels=config.noise_channels, takes_content=takes_content,
        filters=config.filters, blocks=config.blocks, stride=config.stride, kernel=config.kernel, norm=config.norm,
        downsample=config.downsample, upsample=config.upsample, residual=config.residual,
        dtype=POLICIES[config.precision], name=name,
    )  # fmt: skip
    _check_size(config.size, generator)
    return _built(generator, generator.input_channels)


def build_discriminator(config: TrainConfig, name: str = "discriminator") -> Discriminator:
    """The discriminator of the resolved settings, built; its norms follow from the adversarial loss."""
    cls = _find(DISCRIMINATORS, "discriminator", config.discriminator)
    arguments = {"filters": config.discriminator_filters, **judging_norms(config.discriminator, config.adversarial)}
    if config.discriminator == "article":
        arguments |= {"kernel": config.kernel, "downsample": config.downsample}
    if config.discriminator == "projected":
        arguments |= {"features": config.features, "feature_weights": config.feature_weights}
    if config.discriminator == "multiscale":
        arguments["scales"] = sum(config.size >> scale >= 32 for scale in range(3)) or 1
    return _built(cls(dtype=POLICIES[config.precision], name=name, **arguments), config.channels)


def judging_norms(discriminator: str, adversarial: str) -> dict:
    """Which norms keep a discriminator stable under an adversarial loss.

    The paper's instance norm where the loss has a floor, spectral norm alone where it has none. The article's network
    has batch norm, except under the gradient penalty, which is a sum over single pictures.
    """
    spectral = adversarial in UNBOUNDED
    if discriminator == "article":
        return {"norm": "none" if adversarial == "wasserstein" else "batch", "spectral": True}
    return {"norm": "none" if spectral else "instance", "spectral": spectral}


def build_regularizer(config: TrainConfig, name: str = "regularizer"):
    """The regularization network R of the settings, built."""
    cls = _find(REGULARIZERS, "regularizer-network", config.regularizer_network)
    return _built(cls(dtype=POLICIES[config.precision], name=name), config.channels)


def build_patch_embedder(config: TrainConfig, generator: Generator, name: str = "patch_embedder") -> PatchEmbedder:
    """The network that makes comparable vectors of the generator's layers, built."""
    embedder = PatchEmbedder(generator.layer_channels, dtype=POLICIES[config.precision], name=name)
    embedder.build()
    return embedder


def build_features(config: TrainConfig) -> FeatureExtractor:
    """The pretrained feature network of the settings, frozen, in float32."""
    return _build_features(config.features, config.feature_weights)


def _find(registry: dict, flag: str, name: str):
    if name not in registry:
        raise UserError(f"--{flag} should be one of {', '.join(registry)}. Received: {name}")
    return registry[name]


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
    """`model` with its weights, for pictures of any size."""
    model.build((None, None, None, channels))
    return model
