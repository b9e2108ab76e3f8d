"""Where the models that come with kgan are, and their names. This module does not import TensorFlow."""

import pathlib

FOLDER = pathlib.Path(__file__).parent.parent / "saved_models"
"""The shipped models. In a clone this is a link to saved_models/. A wheel has the weights and the cards alone."""


def shipped() -> list[str]:
    """The names of the shipped models, sorted."""
    return sorted(path.parent.name for path in FOLDER.glob("*/config.json"))
