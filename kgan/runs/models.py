"""Which model is meant by a word: a path, or the name of one that comes with kgan. No TensorFlow here.

A shipped model is a run folder without checkpoints: config.json, saved_model/ with weights in float16, a .tflite file,
and a model card.
"""

import dataclasses
import difflib
import functools
import itertools
import os
import pathlib
from typing import Literal

from kgan.errors import UserError
from kgan.paths import expanded
from kgan.runs.settings import TrainConfig

FOLDER = pathlib.Path(__file__).parent.parent / "saved_models"
"""In a clone a link to the repository's saved_models/; a wheel holds all but the .tflite files and pictures."""

KINDS = "a run folder, a SavedModel folder or a .tflite file"

Kind = Literal["run", "saved_model", "litert"]


@dataclasses.dataclass(frozen=True)
class ModelSource:
    """A model that is there: what it is, and where."""

    kind: Kind
    path: pathlib.Path

    @property
    def is_run(self) -> bool:
        """Whether it is a run folder; a shipped model is one."""
        return self.kind == "run"

    @property
    def is_shipped(self) -> bool:
        """Whether it came with kgan: nothing is written there, and the folders in its settings are somebody else's."""
        return self.path.resolve().parent == FOLDER.resolve()

    @functools.cached_property
    def config(self) -> TrainConfig | None:
        """A run's settings; None for the other kinds. UserError when they are broken."""
        return _read_config(self.path / "config.json") if self.is_run else None


def resolve_model(word: str | os.PathLike) -> ModelSource:
    """The model that a word means: a model at that path ("~" is the home folder), else the shipped one of that name.

    A folder that is no model, as one of paintings may be, hides no shipped model. Raises UserError where there is none.
    """
    path = pathlib.Path(expanded(word))
    try:
        kind = _kind(path)
        if kind:
            return ModelSource(kind, path)
        if str(word) in shipped() and not path.is_file():
            return ModelSource("run", FOLDER / str(word))
        raise UserError(_why_none(str(expanded(word)), path))
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected {KINDS}") from None


def resolve_run(word: str | os.PathLike) -> ModelSource:
    """The run folder, or the shipped model, that a word means; UserError for other kinds of models too."""
    source = resolve_model(word)
    if not source.is_run:
        raise UserError(f"{source.path}: is no run folder; it should hold config.json")
    return source


def shipped() -> list[str]:
    """Their names, sorted."""
    return sorted(path.parent.name for path in FOLDER.glob("*/config.json"))


def for_phones() -> list[str]:
    """The names of those whose network is made for phones and browsers, sorted."""
    return [name for name in shipped() if resolve_model(FOLDER / name).config.generator == "mobile"]


def _kind(path: pathlib.Path) -> Kind | None:
    """What kind of model is at a path, if any. Looks at names alone: a pipe is not opened."""
    if (path / "config.json").is_file():
        return "run"
    if (path / "saved_model.pb").is_file():
        return "saved_model"
    return "litert" if path.suffix.lower() == ".tflite" and path.is_file() else None


def _why_none(word: str, path: pathlib.Path) -> str:
    """The error for a word that means no model, with the one that may have been meant."""
    if not word:
        return f"the model's name is empty; give {KINDS}, or one of {', '.join(shipped())}"
    if path.exists() and not path.is_file() and not path.is_dir():
        return f"{word}: is neither a file nor a folder; expected {KINDS}"
    near = _near(path)
    hint = f"did you mean {near}? " if near else ""
    if path.exists():
        return f"{word}: is no model; {hint}Expected {KINDS}"
    return f"{word}: no model there; {hint}Give {KINDS}, or one of {', '.join(shipped())}"


def _near(path: pathlib.Path) -> str | os.PathLike | None:
    """A model around a path that is none: its folder, one inside it, or one with nearly that name."""
    if path.exists():
        return next((near for near in (path.parent, *_first_inside(path)) if _kind(near)), None)
    known = {other.name: other for other in _first_inside(path.parent) if _kind(other)}
    known = {name: name for name in shipped()} | known
    return next((known[name] for name in difflib.get_close_matches(path.name, known, 1, 0.5)), None)


def _first_inside(path: pathlib.Path) -> list[pathlib.Path]:
    """What a folder holds, by name; a thousand entries are enough for a hint."""
    return sorted(itertools.islice(path.iterdir(), 1000)) if path.is_dir() else []


def _read_config(path: pathlib.Path) -> TrainConfig:
    try:
        config = TrainConfig.load(path)
    except (OSError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({str(error).partition(chr(10))[0]})") from None
    if not isinstance(config.recipe, str) or None in (config.size, config.filters, config.blocks, config.stride):
        raise UserError(f"{path}: should be the settings that a training wrote; it lacks some of them")
    return config
