"""Recipes: which networks, losses and defaults make one known method. Pure data; no TensorFlow here.

Each file is a recipe: its name, its fields, and in its docstring the paper, the command and what was measured. To add
one, add a file with a `RECIPE`; another package announces its own as an entry point of the group `kgan.recipes`.

A recipe names a topology (`one_way`: content -> style; `two_way`: both directions), what it needs of the data, and
its loss terms; every other field is the default of the flag of the same name.
"""

import dataclasses
from typing import Literal

from kgan.registry import Registry


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """One term of the generator's loss: a name in `kgan.gan.terms.TERMS` and its weight."""

    name: str
    weight: float


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One known method.

    `pictures` is "unpaired" (content and style drawn independently), "paired" (same file name = same scene), "style"
    (no content: the generator sees noise alone) or "content" (a teacher makes the style picture of each). `fresh_noise`
    draws new noise between the two updates.
    """

    name: str
    topology: Literal["one_way", "two_way"]
    pictures: Literal["unpaired", "paired", "style", "content"]
    terms: tuple[LossTerm, ...]
    help: str = ""
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
    noise_channels: int = 0
    # optimization
    size: int = 256
    min_crop: float = 0.5
    max_crop: float = 1.0
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
    """`kgan.recipes.CYCLEGAN` is the recipe `cyclegan`, to make one of one's own from."""
    if name.isupper() and name.lower() in RECIPES:
        return RECIPES[name.lower()]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
