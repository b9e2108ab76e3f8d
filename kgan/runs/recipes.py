"""Recipes: which networks, losses and defaults make one known method. Pure data; no TensorFlow here.

A recipe names a topology (`one_way`: content -> style; `two_way`: both directions), what it needs of the data, and
its loss terms; every other field is the default of the flag of the same name.
"""

import dataclasses
import importlib
import math
import os
import pathlib
import sys
from typing import Literal

from kgan.errors import UserError, nearest
from kgan.runs.models import ModelSource, resolve_model
from kgan.runs.settings import TrainConfig


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


ARTICLE = Recipe(
    name="article",
    topology="one_way",
    pictures="unpaired",
    terms=(LossTerm("ssim", 1.0), LossTerm("features", 1.0), LossTerm("mmd", 1.0)),
    adversarial="article",
    fresh_noise=True,
    generator_weight=10.0,
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

One H100, bfloat16: 4000 steps of batch 8 at 128x128 in 81 s beside two other trainings on the same GPU. With
--generator-weight 1 the scene was lost in broad strokes (64 photos, nine paintings; 120 crops of ten other photos,
256x256: SSIM to the content 0.13, KID x 1000 against 108 crops of the paintings 1422, the photos themselves 1047).
Hence 10: a small network (16 filters) kept it, garishly, after 400 steps of batch 4 on a CPU, and not with 1.
"""

MMD = dataclasses.replace(ARTICLE, name="mmd", adversarial=None, discriminator=None, generator_weight=1.0,
                          mmd_weight=10.0)  # fmt: skip
"""The article's other method: no discriminator; the MMD over the regularization network's embedding alone pulls
stylized pictures towards the style. Li et al., MMD GAN, https://arxiv.org/abs/1705.08584.

    kgan train --recipe mmd --content photos --style vangogh

One H100, bfloat16: 4000 steps of batch 8 at 128x128 in 51 s beside two other trainings; scored as `article` is: KID x
1000 932, SSIM to the content 0.75. Colours, and hardly any strokes.
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

One H100, bfloat16: 4000 steps of batch 16 in 40 s beside two other trainings. Nine paintings gave blurred drafts of
those nine, with a checkerboard (meter 1.4): it needs far more pictures.
"""

PAIRED = Recipe(
    name="paired",
    topology="one_way",
    pictures="paired",
    terms=(LossTerm("pixel", 10.0), LossTerm("ssim", 2.0), LossTerm("features", 1.0), LossTerm("adversarial", 0.25)),
    adversarial="hinge",
    residual=True,
    min_crop=1.0,
    batch_size=8,
)
"""Supervised translation of pairs, after pix2pix (Isola et al., https://arxiv.org/abs/1611.07004): L1, SSIM and feature
distance to the truth, and a patch discriminator. Differs: the judge does not see the content; residual ResNet.

    kgan train --recipe paired --data ROOT       (equal file names in trainA and trainB are pairs)

One H100, bfloat16, flat to 3D emoji, 1708 pairs, 128x128: 3600 steps of batch 8 in a minute beside six other trainings
on the same GPU (--min-crop 0.85 --flip False). On 112 other pairs: SSIM 0.841 to the truth, PSNR 22.9 dB, KID x 1000
-33; the content itself 0.793, 19.8 and 108.
"""

DISTILL = dataclasses.replace(
    PAIRED,
    name="distill",
    pictures="content",
    terms=(LossTerm("pixel", 10.0), LossTerm("ssim", 2.0), LossTerm("features", 1.0)),
    adversarial=None,
    discriminator=None,
    generator="mobile",
    filters=32,
    blocks=7,
    min_crop=0.5,
    learning_rate=1e-3,
)
"""A small network learns to make a trained model's pictures: `paired`, with the teacher's pictures for the truth, made
within the step, and no judge. Knowledge distillation, Hinton et al., https://arxiv.org/abs/1503.02531.

    kgan train --distill-from runs/cyclegan-1 --content photos

Any pictures like those that the model will see do for content. A student of `paired` on the packaged sample (350 steps
of both, on a CPU) came to SSIM 0.993 and PSNR 39.4 dB to its teacher; the content itself 0.964 and 27.9. `paired`'s
judge beside it changed nothing there, and slowed the learning of a strong style (450 steps of batch 8 at 128x128: L1
0.162 instead of 0.145, KID x 1000 to the teacher's pictures 998 instead of 832).

For a painter's strokes, more weight on deep features and their Gram matrices: after 6000 steps of batch 8 at 256x256
(86 s on an H100 beside six other trainings) a student of `vangogh` had a KID x 1000 to the paintings of 569 with
--weight features=3 --weight gram=5, of 591 without, its teacher 522.
"""

CYCLEGAN = Recipe(
    name="cyclegan",
    topology="two_way",
    pictures="unpaired",
    terms=(LossTerm("cycle", 10.0), LossTerm("identity", 5.0)),
    image_pool=50,
)
"""CycleGAN (Zhu et al., https://arxiv.org/abs/1703.10593): two generators, cycle consistency, image pool, linear
decay. Differs: resize + convolution instead of transposed convolution (no checkerboard); EMA generator.

    kgan train --recipe cyclegan --content photos --style vangogh

One H100, bfloat16: 157 images/s at 256x256, batch 8; four of them 523 (docs/benchmarks.md). One core of a CPU, 128x128,
16 filters, 4 blocks, from 64 photos and nine paintings: 4000 steps of batch 1 in 28 minutes; KID x 1000 1272, the
photos themselves 1047 (it draws patterns along edges), and more than half of the way to the style.

--residual True starts both generators from the identity. Where the pictures to make are near to the content, that keeps
them so: flat to 3D emoji, unpaired, 128x128, 4500 steps of batch 8 in 2 minutes on that GPU (--min-crop 1): SSIM 0.799,
PSNR 21.1 dB to the truth; the content itself 0.793 and 19.8. Paintings are far, and there photos stayed photos, with
red and yellow dots (docs/benchmarks.md).
"""

CUT = Recipe(
    name="cut",
    topology="one_way",
    pictures="unpaired",
    terms=(LossTerm("nce", 1.0), LossTerm("nce_identity", 1.0)),
)
"""Contrastive unpaired translation (CUT, Park et al., https://arxiv.org/abs/2007.15651): one generator; by its own
features each place of a stylized picture must be told from the other places of the content, and a style picture,
restyled, from its own other places.

    kgan train --recipe cut --content photos --style vangogh

Differs: features are taken after norm and activation, and after the stride; the 256 places of a layer are spread over
the picture, one in each 256th of it; resize + convolution (no checkerboard); EMA generator. The layers' losses are
averaged, as in the authors' program, which halves both terms as well (--weight nce=0.5 --weight nce_identity=0.5).

One H100, bfloat16, 256x256, 32 filters and 6 blocks: 2800 steps of batch 8 in 67 s beside two other trainings on the
same GPU. --residual True starts from the identity, where each place already matches best, and stays near it: from nine
paintings (scored as `projected` is, after 3200 steps) KID x 1000 901, the photos themselves 1047. Without it the hand
shows in minutes: one core of a CPU, 128x128, 16 filters, 4 blocks, 4000 steps of batch 1 in 16 minutes: 943, with
--residual True 992 (docs/benchmarks.md).
"""

FASTCUT = dataclasses.replace(CUT, name="fastcut", terms=(LossTerm("nce", 10.0),))
"""The paper's lighter variant: a stronger hold on the content instead of the pass over the style's pictures.

    kgan train --recipe fastcut --content photos --style vangogh

Differs as `cut` does, and in one thing more: mirrored pictures are trained on as such (--flip), not compared with the
features of the picture that was not mirrored, which would take one more pass over the content.

One H100, bfloat16: 2800 steps as `cut`'s in 62 s beside two other trainings. On a CPU, as `cut` there: KID
x 1000 988.
"""

PROJECTED = dataclasses.replace(
    CUT,
    name="projected",
    adversarial="hinge",
    discriminator="projected",
    filters=32,
    blocks=6,
    residual=True,
    augment="translation,cutout",
    batch_size=8,
    steps=4000,
)
"""`cut` from the identity, with a judge that looks through pretrained features (Projected GANs,
https://arxiv.org/abs/2111.01007) and sees shifted pictures with holes (DiffAugment, https://arxiv.org/abs/2006.10738):
better after minutes, and a thousand pictures are not soon known by heart, from when on `cut`'s own pictures get worse.

    kgan train --recipe projected --content photos --style vangogh

One H100, bfloat16, 256x256: 2800 steps of batch 8 in 91 s beside two other trainings on the same GPU. From 64 photos
and nine paintings; 120 crops of ten other photos: KID x 1000 against 108 crops of the paintings 445 (MobileNet's
features, which the judge looks through too), the photos themselves 1047; SSIM to the content 0.77.

    kgan train --recipe projected --content drawings --style renders --size 128 --min-crop 0.85 --flip False

Flat to 3D emoji, unpaired: 6000 steps of batch 8 in 111 s beside two other trainings. On 112 pairs, mean of three
seeds: SSIM 0.815 to the truth, PSNR 21.2 dB, KID x 1000 -32; the content itself 0.793, 19.8 and 108.

The renders' light comes from one side: mirrored (the default), it would come from either. Crops that differ keep the
generator from finishing a picture by where it is.
"""

PAINTING = dataclasses.replace(
    PROJECTED,
    name="painting",
    terms=(LossTerm("nce", 1.0), LossTerm("gram", 20.0)),
    min_crop=0.3,
)
"""The palette of a painter or printmaker, more than the hand: `projected`, whose generator is held to the style's Gram
matrices (Gatys et al., https://arxiv.org/abs/1508.06576) over whole batches, and may change the style's own pictures.

    kgan train --recipe painting --content photos --style prints

One H100, bfloat16, 256x256: 3200 steps of batch 8 in 2 minutes beside another training on the same GPU (250 images/s).
From 64 photos and nine paintings; 120 crops of ten other photos, KID x 1000 against 108 crops of the paintings
(MobileNet's features, which the judge looks through too): Hokusai and Hiroshige 432, the photos themselves 915; Van
Gogh 522, the photos 1047.

Even grounds come out in patches with hard edges: --weight smoothness=20 softens them, for a KID of 570 (2714 steps,
--max-crop 0.6, nce=0.5).
"""

_ALL = (ARTICLE, MMD, SYNTHESIS, PAIRED, CYCLEGAN, CUT, FASTCUT, PROJECTED, PAINTING, DISTILL)
RECIPES = {recipe.name: recipe for recipe in _ALL}

SAMPLE_DEFAULTS = {"size": 64, "filters": 16, "blocks": 4, "discriminator_filters": 16, "batch_size": 16,
                   "steps": 1150, "ema": 0.995, "learning_rate": 3e-4, "min_crop": 0.5, "flip": False}  # fmt: skip
"""What a CPU of two cores can train in five minutes on the packaged sample, whose renders are lit from the right."""


def find(name: str) -> Recipe:
    """The recipe of that name, or the object at "module:NAME"; UserError names the nearest otherwise."""
    if name in RECIPES:
        return RECIPES[name]
    if ":" in name:
        return _imported(name)
    hint = nearest(name, RECIPES, 0.4)
    raise UserError(f"--recipe {name}: no such recipe; {hint}There are {', '.join(RECIPES)}, or module:RECIPE")


def _imported(name: str) -> Recipe:
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # an installed command does not look into the current folder by itself
    try:
        recipe = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"--recipe {name}: {error}; give a module, here or in PYTHONPATH, and the name of a Recipe in it"
        ) from None
    if not isinstance(recipe, Recipe):
        raise UserError(f"--recipe {name}: should be a kgan.runs.recipes.Recipe. Received: {type(recipe).__name__}")
    return recipe


TERMS = {
    "adversarial": "what the discriminator thinks of the stylized picture",
    "pixel": "L1 distance to the reference",
    "ssim": "1 - SSIM to the reference",
    "features": "distance to the reference in a pretrained network",
    "gram": "distance of the batches' mean Gram matrices (Gatys et al.)",
    "mmd": "maximum mean discrepancy to the style pictures",
    "cycle": "L1 distance after the way there and back (two_way)",
    "identity": "L1 distance of a restyled style picture to itself",
    "nce": "each place's features against other places of the content (one_way)",
    "nce_identity": "the same of a restyled style picture against itself (one_way)",
    "smoothness": "patches of colour where the reference has an even ground",
    "total_variation": "differences between neighbouring pixels",
}
"""Names that `--weight` and `LossTerm` take. The reference is the truth (paired, a teacher's) or the content."""

SYMBOLS = {"ssim": "generator_weight", "features": "generator_weight", "mmd": "mmd_weight"}
"""The article's symbols: which flag multiplies which term."""

_TWO_WAY_ONLY = {"cycle"}
_ONE_WAY_ONLY = {"nce", "nce_identity"}
_NEEDS_CONTENT = {"pixel", "ssim", "features", "identity", "cycle", "nce", "nce_identity", "smoothness"}
_SMOKE_LIMITS = {"steps": 4, "size": 32, "batch_size": 4, "filters": 8, "blocks": 1, "discriminator_filters": 8}


def term_weights(config: TrainConfig, recipe: Recipe) -> dict[str, float]:
    """Every loss term of the generator with its weight: the recipe's, changed by --weight, times the symbols."""
    weights = {term.name: term.weight for term in recipe.terms}
    if recipe.discriminator is not None:
        weights.setdefault("adversarial", 1.0)
    weights.update(_parsed_weights(config.weight, recipe))
    for name, symbol in SYMBOLS.items():
        if name in weights:
            weights[name] *= getattr(config, symbol)
    return {name: weight for name, weight in weights.items() if weight}


def _parsed_weights(words: tuple[str, ...], recipe: Recipe) -> dict[str, float]:
    weights = {}
    for word in words:
        name, _, number = word.partition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            raise UserError(f"--weight {word}: should be TERM=NUMBER, as in cycle=10") from None
        if not 0 <= weights[name] < math.inf:
            raise UserError(f"--weight {word}: should be a number of at least 0")
        _check_term(word, name, recipe)
    return weights


def _check_term(word: str, name: str, recipe: Recipe) -> None:
    impossible = set(_ONE_WAY_ONLY if recipe.topology == "two_way" else _TWO_WAY_ONLY)
    if recipe.pictures == "style":
        impossible |= _NEEDS_CONTENT
    if recipe.discriminator is None:
        impossible |= {"adversarial"}
    possible = [term for term in TERMS if term not in impossible]
    if name in possible:
        return
    hint = nearest(name, possible, 0.4)
    raise UserError(f"--weight {word}: no such term in recipe {recipe.name}; {hint}There are {', '.join(possible)}")


def resolve(config: TrainConfig) -> TrainConfig:
    """The settings with nothing left open: flags first, then the sample's defaults, then the recipe's.

    Raises UserError for settings that cannot work together.
    """
    on_sample = config.data == "sample" or (config.data, config.content, config.style) == (None, None, None)
    usual = "distill" if config.distill_from else "paired" if on_sample else "projected"
    recipe = find(config.recipe or usual)
    filled = {"recipe": config.recipe or recipe.name, "data": "sample" if on_sample else config.data}
    defaults = dataclasses.asdict(recipe) | (SAMPLE_DEFAULTS if on_sample else {})
    for field in dataclasses.fields(config):
        if getattr(config, field.name) is None and defaults.get(field.name) is not None:
            filled[field.name] = defaults[field.name]
    config = dataclasses.replace(config, **filled)
    if os.environ.get("KGAN_SMOKE"):
        config = _shortened(config)
    config = _with_derived_defaults(config)
    check(config, recipe)
    return config


def _shortened(config: TrainConfig) -> TrainConfig:
    """KGAN_SMOKE=1: the same way through the code in seconds, for trying commands out."""
    return dataclasses.replace(
        config, log_every=2, **{name: min(getattr(config, name), limit) for name, limit in _SMOKE_LIMITS.items()}
    )


def _with_derived_defaults(config: TrainConfig) -> TrainConfig:
    rate = config.discriminator_learning_rate or config.learning_rate
    config = dataclasses.replace(config, discriminator_learning_rate=rate)
    return config if config.minutes else with_intervals(config, config.steps)


def with_intervals(config: TrainConfig, steps: int) -> TrainConfig:
    """The settings with a schedule of so many steps, and the intervals that follow from it where none are given."""
    sample_every = config.sample_every or max(1, steps // 20)
    checkpoint_every = config.checkpoint_every or sample_every
    return dataclasses.replace(config, steps=steps, sample_every=sample_every, checkpoint_every=checkpoint_every)


def steps_in_time(config: TrainConfig, seconds: float) -> int:
    """How many of --steps fit into --minutes where one takes `seconds`; at least a quarter of them, and all without it.

    A schedule much shorter than its recipe's learns too little to be worth its time.
    """
    if config.minutes is None:
        return config.steps
    return min(config.steps, max(-(-config.steps // 4), round(60 * config.minutes / max(seconds, 1e-9))))


_ABOVE_ZERO = ("size", "steps", "minutes", "stop_after", "batch_size", "filters", "discriminator_filters",
               "learning_rate", "discriminator_learning_rate", "truncation", "devices", "log_every", "sample_every",
               "checkpoint_every", "keep_checkpoints")  # fmt: skip
_NOT_NEGATIVE = ("blocks", "noise_channels", "image_pool", "seed", "generator_weight", "discriminator_weight",
                 "wasserstein_weight", "mmd_weight")  # fmt: skip
_LARGEST = 2**31 - 1


def check(config: TrainConfig, recipe: Recipe) -> None:
    """Raise UserError for settings that cannot work."""
    check_values(config, recipe)
    _check_sources(config, recipe)
    _check_teacher(config, recipe)
    _check_files(config)


def check_values(config: TrainConfig, recipe: Recipe) -> None:
    """Raise UserError for settings that cannot work, wherever pictures and models lie."""
    _check_numbers(config)
    if config.size % config.stride:
        below, above = config.size // config.stride * config.stride, -(-config.size // config.stride) * config.stride
        raise UserError(
            f"--size {config.size} should be a multiple of --stride {config.stride}: {below or above} or {above}"
        )
    if recipe.pictures == "style" and not config.noise_channels:
        raise UserError(f"--noise-channels should be above 0: recipe {recipe.name} draws pictures from noise alone")
    _check_names(config, recipe)
    term_weights(config, recipe)


def _check_numbers(config: TrainConfig) -> None:
    for name in (*_ABOVE_ZERO, *_NOT_NEGATIVE):
        value = getattr(config, name)
        if value is not None and not (0 <= value <= _LARGEST and (value or name in _NOT_NEGATIVE)):  # NaN too
            bound = "at least 0" if name in _NOT_NEGATIVE else "above 0"
            raise UserError(f"--{_flag(name)} should be {bound}{_upper(value)}. Received: {value}")
    if not 0 < config.min_crop <= config.max_crop <= 1:
        raise UserError(
            "--min-crop should be above 0 and at most --max-crop, which should be at most 1. "
            f"Received: {config.min_crop} and {config.max_crop}"
        )
    if not 0 <= config.ema < 1:
        raise UserError(f"--ema should be at least 0 and below 1. Received: {config.ema}")


def _upper(value: float) -> str:
    return f" and at most {_LARGEST}" if value > _LARGEST else ""


def _check_sources(config: TrainConfig, recipe: Recipe) -> None:
    if config.data is not None and (config.content or config.style):
        raise UserError("--data names both kinds of pictures: give either --data or --content and --style")
    if config.data is None and not config.style and recipe.pictures != "content":
        raise UserError("--style is missing: a folder with pictures in the wanted style")
    if config.data is None and not config.content and recipe.pictures != "style":
        raise UserError("--content is missing: a folder with pictures to restyle")


def _check_teacher(config: TrainConfig, recipe: Recipe) -> None:
    if recipe.pictures != "content" and config.distill_from:
        raise UserError(
            f"--distill-from {config.distill_from}: recipe {recipe.name} has no teacher; use recipe distill"
        )
    if recipe.pictures != "content":
        return
    if not config.distill_from:
        raise UserError(f"--distill-from is missing: the trained model that recipe {recipe.name} learns from")
    if _resolved("--distill-from", config.distill_from).kind == "litert":
        raise UserError(f"--distill-from {config.distill_from}: cannot teach; give a run folder or a SavedModel folder")


def _check_files(config: TrainConfig) -> None:
    if config.feature_weights and not pathlib.Path(config.feature_weights).is_file():
        raise UserError(f"--feature-weights {config.feature_weights}: no such file; give a .weights.h5 file")
    if config.init_from and not _resolved("--init-from", config.init_from).is_run:
        raise UserError(
            f"--init-from {config.init_from}: no run folder there; it should hold config.json (only the generator is "
            "taken from it; to train a run longer with all it holds: --run RUN --resume --steps MORE)"
        )


def _resolved(flag: str, model: str) -> ModelSource:
    try:
        return resolve_model(model)
    except UserError as error:
        raise UserError(f"{flag} {error}") from None


CHOICES = {
    "generator": ("resnet", "article", "mobile"),
    "discriminator": ("patch", "multiscale", "projected", "article"),
    "adversarial": ("cross_entropy", "least_squares", "hinge", "wasserstein", "article"),
    "augment": ("colour", "translation", "cutout"),
    "generator_optimizer": ("adam", "adamw", "rmsprop", "sgd"),
    "discriminator_optimizer": ("adam", "adamw", "rmsprop", "sgd"),
}
"""Names that kgan resolves in a registry; a test holds them against the registries."""

SEVERAL = ("augment",)
"""Settings that take more than one name, with commas between."""


def _check_names(config: TrainConfig, recipe: Recipe) -> None:
    for setting, names in CHOICES.items():
        given = getattr(config, setting)
        for value in given.split(",") if given and setting in SEVERAL else [given]:
            if value is None or value in names or (setting in SEVERAL and not given):
                continue
            hint = nearest(value, names, 0.4)
            raise UserError(f"--{_flag(setting)} {value}: no such choice; {hint}There are {', '.join(names)}")
    if recipe.discriminator is None and config.discriminator is not None:
        raise UserError(f"--discriminator {config.discriminator}: recipe {recipe.name} trains without a discriminator")


def _flag(name: str) -> str:
    return name.replace("_", "-")
