"""The locations of the pictures, the cache and the models in the settings of a run.

This module does not import TensorFlow.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from kgan.errors import UserError, call
from kgan.runs import hub, models
from kgan.runs.settings import TrainConfig
from kgan.runs.shipped import shipped

PICTURES = ("content", "style", "data")
"""Settings that name pictures."""

TEACHERS = ("distill_from", "distill_also")
"""Settings that name a model that a student learns from."""

MODELS = ("init_from", *TEACHERS)
"""Settings that name a model by its path or its address on the hub, or a shipped model by its name."""

MOVABLE = (*PICTURES, "cache")
"""Settings that may change when a run is resumed, because a folder was moved or the machine is another."""

LEARNED_FROM = (*TEACHERS, "feature_weights")
"""Settings whose files a resumed run needs. They may change if these files do not exist any more."""

_TFDS = "tfds:"


def absolute(config: TrainConfig) -> TrainConfig:
    """The same settings with absolute paths, so that they do not depend on the current folder.

    Names that are not paths stay as they are: tfds:NAME, "sample" and the names of shipped models. The address of a
    model on the hub gets its commit. A "~" at the start of the cache stays too, because it stands for another folder
    for another user.
    """
    named: dict[str, Any] = {name: _absolute_pictures(value) for name in PICTURES if (value := getattr(config, name))}
    named |= {name: _absolute_model(value) for name in MODELS if (value := getattr(config, name))}
    if config.data == "sample":
        del named["data"]
    if config.feature_weights:
        named["feature_weights"] = _absolute(config.feature_weights)
    if not config.cache.startswith("~"):
        named["cache"] = _absolute(config.cache)
    return dataclasses.replace(config, **named)


def teachers(config: TrainConfig) -> list[str]:
    """The models that a student learns from: none, one or two."""
    return [value for name in TEACHERS if (value := getattr(config, name))]


def without_folders(config: TrainConfig) -> TrainConfig:
    """The same settings with names instead of paths, for a config.json that is given away."""
    paths = (*PICTURES, *MODELS, "feature_weights")
    named: dict[str, Any] = {name: _last_part(value) for name in paths if (value := getattr(config, name))}
    return dataclasses.replace(config, **named, cache=TrainConfig.cache)


def _last_part(path: str) -> str:
    return path if hub.is_address(path) else pathlib.Path(path).name


def _absolute(path: str) -> str:
    """An absolute path. Links are resolved only if the path contains "..", whose meaning depends on them."""
    path = os.path.expanduser(path)
    return os.path.realpath(path) if ".." in pathlib.Path(path).parts else str(pathlib.Path(path).absolute())


def _absolute_pictures(name: str) -> str:
    folder = _folder(name)
    if folder is None:
        return name
    return f"{_TFDS if name.startswith(_TFDS) else ''}{_absolute(folder)}"


def _folder(name: str) -> str | None:
    """The folder or file of pictures, or None for the name of a TFDS data set."""
    if not name.startswith(_TFDS):
        return os.path.expanduser(name)
    folder = os.path.expanduser(name.removeprefix(_TFDS))
    prepared = os.path.isabs(folder) or os.path.exists(os.path.join(folder, "dataset_info.json"))
    return folder if prepared else None


def _absolute_model(model: str) -> str:
    if hub.is_address(model):
        return model if hub.parse(model).is_pinned else str(models.resolve_model(model).address)
    return model if model in shipped() and models.resolve_model(model).is_shipped else _absolute(model)


def missing(config: TrainConfig) -> str | None:
    """The name of the first setting whose pictures do not exist, or None."""
    for name in PICTURES:
        folder = _folder(value) if (value := getattr(config, name)) else None
        if folder and value != "sample" and not os.path.exists(folder):
            return name
    return None


def is_gone(config: TrainConfig, name: str) -> bool:
    """Whether the file or model of a setting in `LEARNED_FROM` does not exist."""
    value = getattr(config, name)
    if name not in TEACHERS or not value:
        return bool(value) and not os.path.exists(value)
    try:
        return not models.resolve_model(value)
    except UserError:
        return True


def lost(config: TrainConfig, name: str) -> str:
    """A message that the pictures of a setting do not exist."""
    value = getattr(config, name)
    folder = _folder(value) or value
    from_here = "" if os.path.isabs(folder) else " here; the name is meant from the folder where the run was started"
    return f"{value}: no such folder{from_here}"


def found_again(name: str, run: str | os.PathLike) -> str:
    """Advice on how to give the new location of a run's pictures."""
    return f"say where its pictures are now: {call('train', run=run, resume=True, **{name: 'FOLDER'})}"


def training_overlap(config: TrainConfig) -> str | None:
    """A warning if content and style have pictures in common, or None."""
    folders: dict[str, str | None] = {"content": config.content, "style": config.style}
    if config.data and config.data != "sample" and not config.data.startswith(_TFDS):
        folders = {"content": os.path.join(config.data, "trainA"), "style": os.path.join(config.data, "trainB")}
    named = {name: folder for name, folder in folders.items() if folder}
    return overlap(named) if len(named) == 2 else None


def overlap(folders: Mapping[str, str | os.PathLike]) -> str | None:
    """A warning if two folders are the same or one contains the other, or None. Links are resolved.

    Args:
        folders: two folders by the names that the warning uses.
    """
    (one, first), (other, second) = folders.items()
    first, second = (pathlib.Path(os.path.realpath(_folder(str(path)) or path)) for path in (first, second))
    if first == second:
        return f"{one} and {other} are the same pictures ({folders[one]})"
    if first in second.parents or second in first.parents:
        inner, outer = (other, one) if first in second.parents else (one, other)
        return f"the folder of {inner} lies in that of {outer}: its pictures count as {outer} too"
    return None
