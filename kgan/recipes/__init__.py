"""Recipes: the networks, losses and defaults of known methods, as plain data. This package does not import TensorFlow.

Each file is a recipe. Its docstring gives the paper, the command and measured results. To add a recipe, add a file with
a `RECIPE`. Another package adds a recipe by an entry point of the group `kgan.recipes`.
"""

import dataclasses
from typing import Literal

from kgan.registry import Registry


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """A term of the generator's loss.

    Attributes:
        name: name of the term, as in --weight.
        weight: its weight.
    """

    name: str
    weight: float


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A known method. All other attributes are defaults of the options of the same names.

    Attributes:
        name: name of the recipe.
        topology: "one_way" from content to style, or "two_way" for both directions.
        pictures: "unpaired" if content and style are drawn independently, "paired" if the same file name means the same
            scene, "style" if there is no content and the generator gets noise alone, or "content" if there is no style.
        terms: terms of the generator's loss.
        help: description in one line.
        teacher: whether the pictures of a trained model are the truth.
        fresh_noise: whether new noise is drawn between the two updates.
    """

    name: str
    topology: Literal["one_way", "two_way"]
    pictures: Literal["unpaired", "paired", "style", "content"]
    terms: tuple[LossTerm, ...]
    help: str = ""
    teacher: bool = False
    adversarial: str | None = "least_squares"
    fresh_noise: bool = False
    generator_weight: float = 1.0
    discriminator_weight: float = 1.0
    wasserstein_weight: float = 1.0
    mmd_weight: float = 1.0
    # networks
    generator: str = "resnet"
    discriminator: str | None = "patch"
    filters: int = 64
    blocks: int = 9
    stride: int = 4
    kernel: int = 3
    downsample: str = "conv"
    upsample: str = "resize"
    norm: str = "instance"
    residual: bool = False
    discriminator_filters: int = 64
    augment: str = ""
    discriminator_colour: float = 1.0
    noise_channels: int = 0
    # optimization
    size: int = 256
    min_crop: float = 0.5
    max_crop: float = 1.0
    style_min_crop: float | None = None
    style_max_crop: float | None = None
    flip: bool = True
    steps: int = 50_000
    batch_size: int = 4
    learning_rate: float = 2e-4
    decay: str = "linear"
    generator_optimizer: str = "adam"
    discriminator_optimizer: str = "adam"
    ema: float = 0.999
    image_pool: int = 0


RECIPES = Registry("RECIPES", "recipe", Recipe, package="kgan.recipes", attribute="RECIPE", group="kgan.recipes")


def __getattr__(name: str) -> Recipe:
    """Return a recipe by its name in capitals: `kgan.recipes.CYCLEGAN` is the recipe `cyclegan`."""
    if name.isupper() and name.lower() in RECIPES:
        return RECIPES[name.lower()]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
