"""Completes the settings of a run by its recipe (`kgan.recipes`) and checks them. It does not import TensorFlow."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Collection

from kgan.errors import UserError, hinted, nearest
from kgan.kinds import ADVERSARIAL, DISCRIMINATORS, FEATURES, GENERATORS, REGULARIZERS, TERMS
from kgan.recipes import RECIPES, Recipe
from kgan.registry import imported_for
from kgan.runs import places
from kgan.runs.models import ModelSource, resolve_model
from kgan.runs.settings import TrainConfig

SAMPLE_DEFAULTS = {"size": 64, "filters": 16, "blocks": 4, "discriminator_filters": 16, "batch_size": 16,
                   "steps": 1150, "ema": 0.995, "learning_rate": 3e-4, "min_crop": 0.5, "flip": False}  # fmt: skip
"""Settings for the packaged sample. A CPU of two cores trains them in five minutes.

Pictures are not mirrored, because the renders of the sample are lit from the right.
"""


def find(name: str) -> Recipe:
    """Find a recipe.

    Args:
        name: the name of a recipe, or "module:NAME" of a `kgan.Recipe` in a module.

    Returns:
        The recipe.

    Raises:
        UserError: if there is none. The message contains the nearest name.

    Example:

    >>> find("paired").pictures
    'paired'
    """
    if name in RECIPES:
        return RECIPES[name]
    if ":" in name:
        return _imported(name)
    advice = hinted(nearest(name, RECIPES, 0.4), f"there are {', '.join(RECIPES)}, or module:RECIPE")
    raise UserError(f"--recipe {name}: no such recipe; {advice}")


def _imported(name: str) -> Recipe:
    recipe = imported_for(name, "--recipe", "a Recipe")
    if not isinstance(recipe, Recipe):
        raise UserError(f"--recipe {name}: should be a kgan.Recipe. Received: {type(recipe).__name__}")
    return recipe


SYMBOLS = {"ssim": "generator_weight", "features": "generator_weight", "mmd": "mmd_weight"}
"""The setting that multiplies the weight of a loss term, by the symbols of the article."""

_SMOKE_LIMITS = {"steps": 4, "size": 32, "batch_size": 4, "filters": 8, "blocks": 1, "discriminator_filters": 8}


def term_weights(config: TrainConfig, recipe: Recipe) -> dict[str, float]:
    """The loss terms of the generator and their weights.

    Args:
        config: the settings. --weight replaces weights of the recipe, and the settings in `SYMBOLS` multiply them.
        recipe: the recipe.

    Returns:
        The weights by name, without those that are 0. "adversarial" is left, because a GAN would give it the weight 1.

    Raises:
        UserError: if --weight is invalid or contains a term that the recipe cannot have.
    """
    weights = {term.name: term.weight for term in recipe.terms}
    if recipe.discriminator is not None:
        weights.setdefault("adversarial", 1.0)
    weights.update(_parsed_weights(config.weight, recipe))
    for name, symbol in SYMBOLS.items():
        if name in weights:
            weights[name] *= getattr(config, symbol)
    return {name: weight for name, weight in weights.items() if weight or name == "adversarial"}


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
    possible = [term for term in TERMS if TERMS[term].requires <= _offered(recipe)]
    if name in possible:
        return
    advice = hinted(nearest(name, possible, 0.4), f"there are {', '.join(possible)}")
    raise UserError(f"--weight {word}: no such term in recipe {recipe.name}; {advice}")


def _offered(recipe: Recipe) -> set[str]:
    """The requirements of loss terms (`kgan.kinds.REQUIREMENTS`) that the recipe's GAN fulfils."""
    offered = {recipe.topology, "features", "regularizer"}
    offered |= {"discriminator"} if recipe.discriminator else set()
    offered |= {"palette"} if recipe.topology == "one_way" and recipe.pictures in ("unpaired", "paired") else set()
    return offered | (set() if recipe.pictures == "style" else {"content"})


def resolve(config: TrainConfig) -> TrainConfig:
    """Complete the settings: given values come first, then the defaults of the sample, then those of the recipe.

    Args:
        config: the settings. None stands for a default.

    Returns:
        The complete settings.

    Raises:
        UserError: if settings are invalid or cannot be combined.
    """
    on_sample = config.data == "sample" or (config.data, config.content, config.style) == (None, None, None)
    with_teacher = "guided" if config.style else "distill"
    usual = with_teacher if config.distill_from else "paired" if on_sample else "projected"
    recipe = find(config.recipe or usual)
    config = dataclasses.replace(
        config, recipe=config.recipe or recipe.name, data="sample" if on_sample else config.data
    )
    config = _filled(config, dataclasses.asdict(recipe) | (SAMPLE_DEFAULTS if on_sample else {}))
    if os.environ.get("KGAN_SMOKE"):
        config = _shortened(config)
    config = _with_derived_defaults(config)
    check(config, recipe)
    return config


def completed(config: TrainConfig) -> TrainConfig:
    """Complete the settings by their recipe, without pictures.

    Args:
        config: the settings. None stands for the default of the recipe. The default recipe is "projected".

    Returns:
        The complete settings. What names pictures, models or the run is left as it is, and not checked.

    Raises:
        UserError: if other settings are invalid or cannot be combined.
    """
    recipe = find(config.recipe or "projected")
    config = dataclasses.replace(config, recipe=config.recipe or recipe.name)
    config = _with_derived_defaults(_filled(config, dataclasses.asdict(recipe)))
    check_values(config, recipe)
    return config


def _filled(config: TrainConfig, defaults: dict) -> TrainConfig:
    """The settings with these defaults for those that are None."""
    missing = [field.name for field in dataclasses.fields(config) if getattr(config, field.name) is None]
    return dataclasses.replace(config, **{name: defaults[name] for name in missing if defaults.get(name) is not None})


def _shortened(config: TrainConfig) -> TrainConfig:
    """The settings with KGAN_SMOKE=1, for trying out commands: the same code runs in seconds."""
    return dataclasses.replace(
        config, log_every=2, **{name: min(getattr(config, name), limit) for name, limit in _SMOKE_LIMITS.items()}
    )


def _with_derived_defaults(config: TrainConfig) -> TrainConfig:
    rate = config.discriminator_learning_rate or config.learning_rate
    config = dataclasses.replace(config, discriminator_learning_rate=rate)
    return config if config.minutes else with_intervals(config, config.steps)


def with_intervals(config: TrainConfig, steps: int) -> TrainConfig:
    """Set the number of steps, and the intervals that depend on it where none are given.

    Args:
        config: the settings.
        steps: number of training steps.

    Returns:
        The changed settings. A schedule has 20 samples, and a checkpoint at each, unless other intervals are given.
    """
    sample_every = config.sample_every or max(1, steps // 20)
    checkpoint_every = config.checkpoint_every or sample_every
    return dataclasses.replace(config, steps=steps, sample_every=sample_every, checkpoint_every=checkpoint_every)


def steps_in_time(config: TrainConfig, seconds: float) -> int:
    """The number of steps that fit into --minutes.

    It is at least a quarter of --steps, because a much shorter schedule than the recipe's learns too little.

    Args:
        config: the settings.
        seconds: time of a step.

    Returns:
        The number of steps. It is --steps if --minutes is not given.
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

_MOST_PIXELS = 2**30
"""Pixels of a batch. TensorFlow ends the process where the number of values overflows."""


def check(config: TrainConfig, recipe: Recipe) -> None:
    """Check complete settings, including folders and files.

    Args:
        config: the settings.
        recipe: the recipe.

    Raises:
        UserError: if they cannot be used.
    """
    check_values(config, recipe)
    check_sources(config, recipe)
    _check_teacher(config, recipe)
    _check_files(config)


def check_values(config: TrainConfig, recipe: Recipe) -> None:
    """Check the settings that do not name folders or files.

    Args:
        config: the settings.
        recipe: the recipe.

    Raises:
        UserError: if they cannot be used.
    """
    _check_numbers(config)
    _check_style_crops(config, recipe)
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
    if config.batch_size * config.size**2 > _MOST_PIXELS:
        raise UserError(
            f"--batch-size {config.batch_size} at --size {config.size}: a batch may have {_MOST_PIXELS / 1e6:.0f} "
            f"megapixels. Received: {config.batch_size * config.size**2 / 1e6:.0f}"
        )
    if not 0 < config.min_crop <= config.max_crop <= 1:
        raise UserError(
            "--min-crop should be above 0 and at most --max-crop, which should be at most 1. "
            f"Received: {config.min_crop} and {config.max_crop}"
        )
    if not 0 <= config.discriminator_colour <= 1:
        raise UserError(
            f"--discriminator-colour should be at least 0 and at most 1. Received: {config.discriminator_colour}"
        )
    if not 1 <= config.distill_strokes <= config.size:
        raise UserError(
            f"--distill-strokes should be at least 1 and at most --size. Received: {config.distill_strokes:g}"
        )
    if not 0 <= config.distill_flatten <= 1:
        raise UserError(f"--distill-flatten should be at least 0 and at most 1. Received: {config.distill_flatten:g}")
    if not 0 <= config.ema < 1:
        raise UserError(f"--ema should be at least 0 and below 1. Received: {config.ema}")


def _check_style_crops(config: TrainConfig, recipe: Recipe) -> None:
    given = (config.style_min_crop, config.style_max_crop)
    if given == (None, None):
        return
    if recipe.pictures in ("paired", "content"):
        raise UserError(f"--style-min-crop and --style-max-crop: recipe {recipe.name} crops both pictures alike")
    smallest, largest = (
        own if shared is None else shared for shared, own in zip(given, (config.min_crop, config.max_crop), strict=True)
    )
    if not 0 < smallest <= largest <= 1:
        raise UserError(
            "--style-min-crop should be above 0 and at most --style-max-crop, which should be at most 1. "
            f"Received: {smallest} and {largest}"
        )


def _upper(value: float) -> str:
    return f" and at most {_LARGEST}" if value > _LARGEST else ""


def check_sources(config: TrainConfig, recipe: Recipe) -> None:
    """Check that the settings name the pictures that the recipe needs.

    Args:
        config: the settings.
        recipe: the recipe.

    Raises:
        UserError: if pictures are missing, or are given twice.
    """
    if config.data is not None and (config.content or config.style):
        raise UserError("--data names both kinds of pictures: give either --data or --content and --style")
    if config.data is None and not config.style and recipe.pictures != "content":
        raise UserError("--style is missing: a folder with pictures in the wanted style")
    if config.data is None and not config.content and recipe.pictures != "style":
        raise UserError("--content is missing: a folder with pictures to restyle")
    if config.style and recipe.pictures == "content":
        raise UserError(
            f"--style {config.style}: recipe {recipe.name} learns from its teacher's pictures alone; leave it out, or "
            "use recipe guided"
        )


def _check_teacher(config: TrainConfig, recipe: Recipe) -> None:
    if not recipe.teacher and config.distill_from:
        raise UserError(
            f"--distill-from {config.distill_from}: recipe {recipe.name} has no teacher; use recipe distill or guided"
        )
    for name, usual in {"distill_also": None, "distill_strokes": 1.0, "distill_flatten": 0.0}.items():
        if not recipe.teacher and getattr(config, name) != usual:
            raise UserError(f"--{_flag(name)}: recipe {recipe.name} has no teacher; use recipe distill or guided")
    if not recipe.teacher:
        return
    if not config.distill_from:
        raise UserError(f"--distill-from is missing: the trained model that recipe {recipe.name} learns from")
    for name in places.TEACHERS:
        if (word := getattr(config, name)) and _resolved(f"--{_flag(name)}", word).kind in ("litert", "onnx"):
            raise UserError(f"--{_flag(name)} {word}: cannot teach; give a run folder or a SavedModel folder")


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


CHOICES: dict[str, Collection[str]] = {
    "generator": GENERATORS,
    "discriminator": DISCRIMINATORS,
    "adversarial": ADVERSARIAL,
    "regularizer_network": REGULARIZERS,
    "augment": ("colour", "translation", "cutout"),
    "generator_optimizer": ("adam", "adamw", "rmsprop", "sgd"),
    "discriminator_optimizer": ("adam", "adamw", "rmsprop", "sgd"),
    "features": FEATURES,
    "discriminator_features": FEATURES,
}
"""The allowed values of settings. A test compares the last three with the code that implements them."""

SEVERAL = ("augment", "discriminator_features")
"""Settings that take several names, separated by commas."""


def _check_names(config: TrainConfig, recipe: Recipe) -> None:
    for setting, names in CHOICES.items():
        given = getattr(config, setting)
        for value in given.split(",") if given and setting in SEVERAL else [given]:
            if value is None or value in names or (setting in SEVERAL and not given):
                continue
            advice = hinted(nearest(value, names, 0.4), f"there are {', '.join(names)}")
            raise UserError(f"--{_flag(setting)} {value}: no such choice; {advice}")
    for setting, usual in (("discriminator", None), ("discriminator_features", None), ("discriminator_colour", 1.0)):
        given = getattr(config, setting)
        if recipe.discriminator is None and given not in (None, usual):
            raise UserError(f"--{_flag(setting)} {given}: recipe {recipe.name} trains without a discriminator")


def _flag(name: str) -> str:
    return name.replace("_", "-")
