"""Finds a model by its path, its address on the hub, or the name of a shipped model.

A shipped model is a run folder without checkpoints: config.json, model.safetensors with float16 weights, and a model
card; those for phones have a saved_model/ and a .tflite file, too. This module does not import TensorFlow.
"""

import dataclasses
import difflib
import functools
import hashlib
import itertools
import os
import pathlib
from typing import Literal

from kgan.errors import UserError, hinted
from kgan.paths import expanded
from kgan.runs import hub
from kgan.runs.settings import TrainConfig
from kgan.runs.shipped import FOLDER, shipped

PROGRAMS = (".keras", ".h5", ".hdf5", ".pt", ".pth", ".pkl", ".pickle")
"""Endings of files of other programs, which can contain code: Keras' own, pickles."""

KINDS = "a run folder, a SavedModel folder or a .tflite or .onnx file"

Kind = Literal["run", "saved_model", "litert", "onnx"]

FILES: dict[str, Kind] = {".tflite": "litert", ".onnx": "onnx"}
"""Endings of the files that are models."""


@dataclasses.dataclass(frozen=True)
class ModelSource:
    """An existing model.

    Attributes:
        kind: "run" for a run folder, "saved_model" for a SavedModel folder, "litert" for a .tflite file,
            "onnx" for an .onnx file.
        path: path of the folder or the file.
        address: its address on the hub with the commit, such as hf://owner/name@0123..., or None.
    """

    kind: Kind
    path: pathlib.Path
    address: str | None = None

    @property
    def is_run(self) -> bool:
        """Whether the model is a run folder. A shipped model is a run folder."""
        return self.kind == "run"

    @property
    def is_shipped(self) -> bool:
        """Whether the model is part of kgan. Its folder is read-only, and its settings name folders of other users."""
        return self.path.resolve().parent == FOLDER.resolve()

    @property
    def is_borrowed(self) -> bool:
        """Whether the model is part of kgan or of the cache of the hub: nothing is written to its folder."""
        return self.is_shipped or self.address is not None

    @property
    def name(self) -> str:
        """The name of its folder or file, or its address without the commit."""
        return self.address.partition("@")[0] if self.address else self.path.name

    @functools.cached_property
    def config(self) -> TrainConfig | None:
        """The settings of a run folder, or None for other kinds. Raises UserError if they cannot be read."""
        return _read_config(self.path / "config.json") if self.is_run else None

    @property
    def run_config(self) -> TrainConfig:
        """The settings of a run folder. Raises UserError for other kinds, too."""
        if self.config is None:
            raise UserError(f"{self.path}: no run folder")
        return self.config

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the files that make up the model. Logs, samples and older checkpoints of a run do not count."""
        digest = hashlib.sha256()
        for path in sorted(self._files()):
            name = path.relative_to(self.path).as_posix()
            with path.open("rb") as file:
                digest.update(f"{name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
        return digest.hexdigest()

    def _files(self) -> list[pathlib.Path]:
        if self.path.is_file():
            return [self.path]
        program = self.path / "saved_model" if self.is_run else self.path
        kept = [program / "saved_model.pb", *(program / "variables").glob("*")]
        if self.is_run:
            newest = max(_steps(self.path / "checkpoints"), default=0)
            kept += [self.path / "config.json", self.path / "model.safetensors"]
            kept += (self.path / "checkpoints").glob(f"ckpt-{newest}.*")
        return [path for path in kept if path.is_file()]


def resolve_model(word: str | os.PathLike, online: bool = True) -> ModelSource:
    """Find a model by its path or its address on the hub, or else a shipped model by its name.

    A model on the hub is fetched into the cache (`kgan.runs.hub`). A folder without a model, such as a folder of
    paintings, does not hide the shipped model of the same name.

    Args:
        word: a path, where "~" at the start is the home folder, hf://owner/name@revision, or the name of a shipped
            model.
        online: False finds a model of the hub in the cache alone.

    Returns:
        The model.

    Raises:
        UserError: if there is no such model, or it cannot be fetched.

    Example:

    >>> resolve_model("vangogh").kind
    'run'
    """
    if hub.is_address(word):
        fetched = hub.fetch(word, online)
        return ModelSource(_kind(fetched.path) or "run", fetched.path, str(fetched.address))
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
    """Find a run folder by its path or its address on the hub, or else a shipped model by its name.

    Args:
        word: as that of `resolve_model`.

    Returns:
        The model, whose kind is "run".

    Raises:
        UserError: if there is no such model, or it is of another kind.
    """
    source = resolve_model(word)
    if not source.is_run:
        raise UserError(f"{source.path}: is no run folder; it should hold config.json")
    return source


def for_phones() -> list[str]:
    """The names of the shipped models for phones and browsers, sorted."""
    configs = {name: resolve_model(FOLDER / name).config for name in shipped()}
    return [name for name, config in configs.items() if config and config.generator == "mobile"]


def _kind(path: pathlib.Path) -> Kind | None:
    """The kind of the model at a path, or None. Only names are checked, so that no pipe is opened."""
    if (path / "config.json").is_file():
        return "run"
    if (path / "saved_model.pb").is_file():
        return "saved_model"
    return FILES.get(path.suffix.lower()) if path.is_file() else None


def _why_none(word: str, path: pathlib.Path) -> str:
    """The error message for a name without a model. It contains a similar name, if there is any."""
    if not word:
        return f"the model's name is empty; give {KINDS}, or one of {', '.join(shipped())}"
    if path.exists() and not path.is_file() and not path.is_dir():
        return f"{word}: is neither a file nor a folder; expected {KINDS}"
    near = _near(path)
    hint = f"did you mean {near}? " if near else ""
    if path.is_file() and path.suffix.lower() in PROGRAMS:
        return f"{word}: can contain programs, and kgan opens no such file; {hinted(hint, f'expected {KINDS}')}"
    if path.exists():
        return f"{word}: is no model; {hinted(hint, f'expected {KINDS}')}"
    advice = hinted(hint, f"give {KINDS}, or one of {', '.join(shipped())}")
    return f"{word}: no model there; {advice}"


def _near(path: pathlib.Path) -> str | os.PathLike | None:
    """A model near a path: the folder that contains it, a model inside it, or a model with a similar name."""
    if path.exists():
        return next((near for near in (path.parent, *_first_inside(path)) if _kind(near)), None)
    known: dict[str, str | os.PathLike] = {name: name for name in shipped()}
    known |= {other.name: other for other in _first_inside(path.parent) if _kind(other)}
    return next((known[name] for name in difflib.get_close_matches(path.name, known, 1, 0.5)), None)


def _first_inside(path: pathlib.Path) -> list[pathlib.Path]:
    """The sorted entries of a folder, at most 1000, which is enough for a hint."""
    return sorted(itertools.islice(path.iterdir(), 1000)) if path.is_dir() else []


def _read_config(path: pathlib.Path) -> TrainConfig:
    try:
        config = TrainConfig.load(path)
    except (OSError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({str(error).partition(chr(10))[0]})") from None
    if not isinstance(config.recipe, str) or None in (config.size, config.filters, config.blocks, config.stride):
        raise UserError(f"{path}: should be the settings of a training run. Some of them are missing")
    _check_network(config, path)
    return config


_MOST = {"size": 2**13, "filters": 2**12, "blocks": 100, "noise_channels": 2**12}
"""The largest networks that a config.json may describe, so that a forged number takes neither memory nor time."""

MOST_TRUNCATION = 1000.0
"""The largest bound of noise, in standard deviations. Noise beyond 10 does not occur."""


def _check_network(config: TrainConfig, path: pathlib.Path) -> None:
    for name, most in _MOST.items():
        least, value = (1 if name in ("size", "filters") else 0), getattr(config, name) or 0
        if not least <= value <= most:
            raise UserError(f"{path}: its {name} should be from {least} to {most}")
    if not 0 < config.truncation <= MOST_TRUNCATION:
        raise UserError(f"{path}: its truncation should be above 0 and at most {MOST_TRUNCATION}")


def _steps(checkpoints: pathlib.Path) -> list[int]:
    """The steps of the checkpoints in a folder."""
    return [int(path.stem[5:]) for path in checkpoints.glob("ckpt-*.index") if path.stem[5:].isdecimal()]
