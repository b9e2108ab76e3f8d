"""The trained models that come with kgan, by name. No TensorFlow here.

Each is a run folder without checkpoints: config.json, saved_model/ with weights in float16, a .tflite file, and a
model card.
"""

import difflib
import json
import os
import pathlib

from kgan.errors import UserError

FOLDER = pathlib.Path(__file__).parent / "saved_models"
"""In a clone a link to the repository's saved_models/; a wheel holds all but the .tflite files and pictures."""

KINDS = "a run folder, a SavedModel folder or a .tflite file"


def shipped() -> list[str]:
    """Their names, sorted."""
    return sorted(path.parent.name for path in FOLDER.glob("*/config.json"))


def for_phones() -> list[str]:
    """The names of those whose network is made for phones and browsers, sorted."""
    configs = {name: json.loads((FOLDER / name / "config.json").read_text()) for name in shipped()}
    return [name for name, config in configs.items() if config["generator"] == "mobile"]


def located(model: str | os.PathLike) -> pathlib.Path:
    """The path of a model given as a path or by a shipped one's name.

    A model of one's own at that path wins; a folder that is no model, as one of paintings may be, does not. Raises
    UserError for a bare word that is neither; other paths are given back as they are, for the caller to refuse.
    """
    path = pathlib.Path(model)
    if path.is_file() or any((path / name).is_file() for name in ("config.json", "saved_model.pb")):
        return path
    names = shipped()
    if str(model) in names:
        return FOLDER / str(model)
    if path.exists() or path.suffix or str(model) != path.name:
        return path
    near = difflib.get_close_matches(path.name, names, 1, 0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"{model}: no model there; {hint}Give {KINDS}, or one of {', '.join(names)}")


def is_shipped(path: str | os.PathLike) -> bool:
    """Whether this folder is one of them, so that nothing should be written there."""
    return pathlib.Path(path).resolve().parent == FOLDER.resolve()
