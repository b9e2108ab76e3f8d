"""Recipes: which networks, losses and defaults make one known method. Pure data; no TensorFlow here.

A recipe names a topology (`one_way`: content -> style; `two_way`: both directions), what it needs of the data, and
its loss terms; every other field is the default of the flag of the same name.
"""

import dataclasses
import difflib
import importlib
from typing import Literal

from kgan.config import TrainConfig
from kgan.errors import UserError


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """One term of the generator's loss: a name in `kgan.gan.terms.TERMS` and its weight."""

    name: str
    weight: float


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One known method.

    `pictures` is "unpaired" (content and style drawn independently), "paired" (same file name = same scene) or
    "style" (no content: the generator sees noise alone). `fresh_noise` draws new noise between the two updates.
    """

    name: str
    topology: Literal["one_way", "two_way"]
    pictures: Literal["unpaired", "paired", "style"]
    terms: tuple[LossTerm, ...]
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
    noise_channels: int = 0
    # optimization
    size: int = 256
    min_crop: float = 0.5
    steps: int = 50_000
    batch_size: int = 4
    learning_rate: float = 2e-4
    decay: str = "linear"
    generator_optimizer: str = "adam"
    discriminator_optimizer: str = "adam"
    ema: float = 0.999
    image_pool: int = 0


ARTICLE = Recipe(
    name="article",
    topology="one_way",
    pictures="unpaired",
    terms=(LossTerm("ssim", 1.0), LossTerm("features", 1.0), LossTerm("mmd", 1.0)),
    adversarial="article",
    fresh_noise=True,
    generator="article",
    discriminator="article",
    filters=32,
    blocks=2,
    norm="batch",
    upsample="transpose",
    noise_channels=8,
    size=128,
    batch_size=8,
    discriminator_optimizer="rmsprop",
)
"""The source article, item by item: noise beside the content, Adam for G, RMSProp for D, SSIM and pretrained
features against the content, cross entropy on real and Wasserstein on stylized pictures, MMD.

    kgan train --recipe article --content photos --style vangogh
"""

MMD = dataclasses.replace(ARTICLE, name="mmd", adversarial=None, discriminator=None, mmd_weight=10.0)
"""The article's other method: no discriminator; the MMD over the regularization network's embedding alone pulls
stylized pictures towards the style. Li et al., MMD GAN, https://arxiv.org/abs/1705.08584.

    kgan train --recipe mmd --content photos --style vangogh
"""

SYNTHESIS = dataclasses.replace(
    ARTICLE,
    name="synthesis",
    pictures="style",
    terms=(),
    adversarial="hinge",
    noise_channels=32,
    stride=8,
    size=64,
    batch_size=16,
    discriminator_optimizer="adam",
)
"""Pictures of the style's domain from noise alone.

    kgan train --recipe synthesis --style vangogh
"""

PAIRED = Recipe(
    name="paired",
    topology="one_way",
    pictures="paired",
    terms=(LossTerm("pixel", 10.0), LossTerm("features", 1.0)),
    adversarial="hinge",
    residual=True,
    min_crop=1.0,
    batch_size=8,
)
"""Supervised translation of pairs, after pix2pix (Isola et al., https://arxiv.org/abs/1611.07004): L1 and feature
distance to the truth, and a patch discriminator. Differs: the judge does not see the content; residual ResNet.

    kgan train --recipe paired --data ROOT       (equal file names in trainA and trainB are pairs)
"""

CYCLEGAN = Recipe(
    name="cyclegan",
    topology="two_way",
    pictures="unpaired",
    terms=(LossTerm("cycle", 10.0), LossTerm("identity", 5.0)),
    image_pool=50,
)
"""CycleGAN (Zhu et al., https://arxiv.org/abs/1703.10593): two generators, cycle consistency, image pool, linear
decay. Differs: resize + convolution instead of transposed convolution (no checkerboard), EMA generator.

    kgan train --recipe cyclegan --content photos --style vangogh
"""

RECIPES = {recipe.name: recipe for recipe in (ARTICLE, MMD, SYNTHESIS, PAIRED, CYCLEGAN)}

SAMPLE_DEFAULTS = {"size": 64, "filters": 32, "blocks": 4, "discriminator_filters": 32, "batch_size": 16,
                   "steps": 1500, "ema": 0.995, "learning_rate": 3e-4, "min_crop": 1.0}  # fmt: skip
"""What a CPU of two cores can train in five minutes on the packaged sample."""


def find(name: str) -> Recipe:
    """The recipe of that name, or the object at "module:NAME"; UserError names the nearest otherwise."""
    if name in RECIPES:
        return RECIPES[name]
    if ":" in name:
        return _imported(name)
    near = difflib.get_close_matches(name, RECIPES, 1, 0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"--recipe {name}: no such recipe; {hint}There are {', '.join(RECIPES)}, or module:RECIPE")


def _imported(name: str) -> Recipe:
    module_name, _, attribute = name.partition(":")
    try:
        recipe = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"--recipe {name}: {error}; give an importable module and the name of a Recipe in it") from None
    if not isinstance(recipe, Recipe):
        raise UserError(f"--recipe {name}: should be a kgan.recipes.Recipe. Received: {type(recipe).__name__}")
    return recipe
