"""What a page compares: a model, or a folder of pictures that any program restyled."""

import dataclasses
import os
import pathlib

from kgan.errors import UserError, shown
from kgan.runs.models import resolve_model


@dataclasses.dataclass(frozen=True)
class Side:
    """A model or a folder of pictures.

    Attributes:
        word: the name or path that the user gave.
        folder: the folder of pictures, or None for a model.
    """

    word: str
    folder: pathlib.Path | None

    def __str__(self) -> str:
        return shown(f"{'the folder' if self.folder else 'the model'} {self.word}")


def resolve_side(word: str | os.PathLike) -> Side:
    """Find a model (`kgan.runs.models.resolve_model`), or else a folder.

    Args:
        word: a path or the name of a shipped model. "./vangogh" is a folder although there is such a model.

    Returns:
        The side.

    Raises:
        UserError: if there is neither.
    """
    try:
        resolve_model(word)
    except UserError as error:
        if not os.path.isdir(word):
            raise UserError(f"{error}, or a folder of restyled pictures") from None
        return Side(os.fspath(word), pathlib.Path(word))
    return Side(os.fspath(word), None)


def names_of(a: Side, b: Side) -> tuple[str, str]:
    """Short names of two sides: the last part of each path, or all of it if those are equal."""
    one, other = (pathlib.PurePath(side.word).name or side.word for side in (a, b))
    return (shown(one), shown(other)) if one != other else (shown(a.word), shown(b.word))
