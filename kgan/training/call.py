"""`kgan.train` trains with a single call. TensorFlow is imported after the settings are checked."""

import dataclasses
import inspect
import numbers
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, get_origin

from kgan.errors import UserError, nearest, needing_all_of_kgan
from kgan.parsing import Option, assignments, options_of
from kgan.runs import recipes, run_folder, xla_cache
from kgan.runs.settings import TrainConfig

Path = str | os.PathLike


def train(
    recipe: str | None = None,
    *,
    content: Path | None = None,
    style: Path | None = None,
    data: Path | None = None,
    run: Path | None = None,
    weight: Mapping[str, float] | Iterable[str] = (),
    **settings: Any,
) -> pathlib.Path:
    """Train a GAN and export it, as `kgan train` does.

    >>> run = kgan.train("cut", content="photos", style="paintings", steps=4000)  # doctest: +SKIP
    >>> run = kgan.train(run=run, resume=True, steps=8000)  # doctest: +SKIP

    Args:
        recipe: The method: a name in `kgan.RECIPES`, or "module:RECIPE". Default: "distill" with `distill_from`,
            "guided" if `style` is given too, "paired" for the packaged sample, otherwise "projected".
        content: Pictures to restyle: a folder, which is searched at any depth, one picture, or "tfds:NAME".
        style: Pictures in the wanted style: a folder, one picture, or "tfds:NAME".
        data: A folder with trainA and trainB (and testA, testB), "tfds:NAME", or "sample", instead of the two.
        run: The run folder. Default: runs/<recipe>-<number>.
        weight: Weights of loss terms, such as {"cycle": 10.0}.
        **settings: Other settings, such as `batch_size=8` or `strategy="mirrored"`. They are the options of
            `kgan train`: `help(kgan.train)` lists them, `kgan train --help` explains them.

    Returns:
        The run folder, with settings, checkpoints, samples, logs and the exported models.

    Raises:
        TypeError: For a setting that does not exist.
        UserError: For settings or pictures that are not valid. Nothing is written then.
        RunError: If the training fails. The last checkpoint is complete then.
    """
    named = {"recipe": recipe, "content": content, "style": style, "data": data, "run": run, "weight": weight or None}
    given = {name: value for name, value in {**named, **settings}.items() if value is not None}
    config = settings_from(given)
    # Errors in the settings are raised before TensorFlow is imported.
    if config.resume:
        saved = run_folder.saved_config(config.run)
        config = run_folder.resumed_config(saved, settings_from(given, saved))
    else:
        recipes.resolve(config)
    xla_cache.keep(config.cache)
    with needing_all_of_kgan("kgan.train"):
        from kgan.training.train import train as train_by
    return train_by(config)


def settings_from(values: Mapping[str, Any], others: TrainConfig | None = None) -> TrainConfig:
    """Convert Python values to settings.

    Args:
        values: Values by the name of the setting.
        others: The other settings. Default: the usual ones.

    Returns:
        The settings.

    Raises:
        TypeError: For a setting that does not exist.
        UserError: For a value of a wrong type.
    """
    options = {option.name: option for option in options_of(TrainConfig)}
    for name in values:
        if name not in options:
            hint = nearest(name, options)
            raise TypeError(f"train() got an unexpected keyword argument {name!r}{hint and f'; {hint}'}".strip())
    return dataclasses.replace(
        others or TrainConfig(), **{name: _value(options[name], value) for name, value in values.items()}
    )


def _value(option: Option, value: Any) -> Any:
    """Convert a value for the settings: paths to text, weights to TERM=NUMBER, NumPy's numbers to Python's."""
    if value is None and option.may_be_none:
        return None
    if option.name == "weight" and isinstance(value, str | Iterable):
        return assignments(value)
    if get_origin(option.kind) is tuple and isinstance(value, str | Iterable):  # such as callbacks
        texts = (value,) if isinstance(value, str) else tuple(value)
        if all(isinstance(text, str) for text in texts):
            return texts
    if isinstance(value, os.PathLike | bytes) and option.is_path:
        value = os.fsdecode(value)
    if option.is_path and value == "":
        raise UserError(f"{option.flag} is empty: name a path")
    kinds = {bool: bool, int: numbers.Integral, float: numbers.Real, str: str}
    for kind, wider in kinds.items():
        is_number_for_truth = kind is not bool and isinstance(value, bool)
        if option.kind is kind and isinstance(value, wider) and not is_number_for_truth:
            return kind(value)
    if value in getattr(option.kind, "__args__", ()):
        return value
    raise UserError(f"{option.flag} should be {option.wanted}. Received: {value!r}")


def _signature() -> inspect.Signature:
    """The signature of `train` with the names of all settings, for `help` and editors."""
    shown = inspect.signature(train)
    written = [each for each in shown.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    fields = {field.name: field for field in dataclasses.fields(TrainConfig)}
    others = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=fields[name].default)
        for name in (option.name for option in options_of(TrainConfig))
        if name not in shown.parameters
    ]
    return shown.replace(parameters=[*written, *others])


vars(train)["__signature__"] = _signature()
