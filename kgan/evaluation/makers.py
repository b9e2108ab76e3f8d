"""Where stylized pictures come from: a model that makes them, or a folder in which another program left them."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Protocol

import numpy as np

from kgan.data.check import verdicts_on
from kgan.errors import UserError, counted, is_or_are, shown, some
from kgan.evaluation.scored import Folder, Item, Named, Scored
from kgan.images.listing import find_pictures
from kgan.images.pairing import describe_ambiguous, describe_shapes, pair, same_shape
from kgan.images.resizing import for_scores, resized
from kgan.inference.loading import Model

Restyle = Callable[[np.ndarray], np.ndarray]


class Maker(Protocol):
    """The source of the stylized pictures of a row of the report."""

    def picture(self, place: int, content: np.ndarray, seed: int) -> np.ndarray:
        """The result for the content at an index, uint8 or float in [0, 1], of the content's size."""

    def restyle(self, seed: int) -> Restyle | None:
        """The function that makes results of other pictures too, or None."""

    def from_noise(self, seed: int, side: int) -> np.ndarray:
        """A picture [side, side, C] that is made from noise alone."""


@dataclasses.dataclass(frozen=True)
class FromModel:
    """A model."""

    model: Model

    def picture(self, place: int, content: np.ndarray, seed: int) -> np.ndarray:
        return self.model(content, seed)

    def restyle(self, seed: int) -> Restyle | None:
        return functools.partial(self.model, seed=seed)

    def from_noise(self, seed: int, side: int) -> np.ndarray:
        return self.model.from_noise(self.model.noise(seed, 1, side, side))[0]


@dataclasses.dataclass(frozen=True)
class FromFolder:
    """Finished pictures.

    Attributes:
        items: the pictures in the order of the content.
        size: side in pixels of the squares that are scored (`for_scores`), or None for the content's own size.
    """

    items: list[Item]
    size: int | None

    def picture(self, place: int, content: np.ndarray, seed: int) -> np.ndarray:
        item = self.items[place]
        found = for_scores(item.read(content.shape[-1]), self.size)
        if not same_shape(found.shape, content.shape):
            raise UserError(
                f"{describe_shapes(item.name, found.shape, content.shape)}: should have the content's shape"
            )
        return resized(found, content.shape[:2])

    def restyle(self, seed: int) -> Restyle | None:
        return None

    def from_noise(self, seed: int, side: int) -> np.ndarray:
        raise UserError("finished pictures are not made from noise; give a model")


def has_pictures(path: str | os.PathLike) -> bool:
    """Whether a path is a folder that contains pictures."""
    try:
        return pathlib.Path(path).is_dir() and bool(find_pictures(pathlib.Path(path)))
    except (UserError, OSError):
        return False


def with_made(scored: Scored, row: str, path: str | os.PathLike) -> tuple[Scored, list[str]]:
    """Add the finished pictures of a folder.

    Contents without one are left out, with their truths, so that all rows are scored on the same pictures.

    Args:
        scored: the pictures of the evaluation.
        row: the row of the report.
        path: the folder. Its pictures have the names of the contents, with any suffix.

    Returns:
        The pictures, and warnings about those that are missing, cannot be used or have another size.

    Raises:
        UserError: if there is no picture for any content.
    """
    folder, option = Folder(path), "--stylized" if row == "model" else "--baseline"
    if not scored.content:
        raise UserError(f"{option} {path}: the model makes pictures from noise, which have no names; give a model")
    pairs = pair([item.name for item in scored.content], [shown(name) for name in folder.names])
    usable = _usable(scored.content, folder, pairs.both)
    if not usable:
        name = scored.content[0].name
        why = f": {some(folder.left, 3, '; ')}" if folder.left else f", as in {name} with any suffix"
        raise UserError(f"{option} {path}: should have pictures with the names of the content{why}")
    missing = [item.name for place, item in enumerate(scored.content) if place not in dict(usable)]
    warnings = [describe_ambiguous(pairs.unsure)] if pairs.unsure else []
    if folder.left:
        warnings.append(f"{path}: {some(folder.left, 5, '; ')}")
    if missing:
        of = f"{len(missing)} of {counted(len(scored.content), 'picture')}"
        warnings.append(f"{path}: {of} {is_or_are(len(missing))} missing there and left out: {some(missing, 5)}")
    kept = _only([place for place, _ in usable], scored)
    items = [folder.item(place) for _, place in usable]
    warnings += _other_sizes(path, kept.content, items)
    return dataclasses.replace(kept, made={**kept.made, row: items}), warnings


def _usable(content: list[Item], folder: Folder, both: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pairs of a content and its finished picture of the same shape. The reasons why others are not are stored."""
    found = []
    verdicts = verdicts_on(folder.paths[place] for _, place in both)
    for (place, other), verdict in zip(both, verdicts, strict=True):
        shape = content[place].shape
        if not folder.judge(other, verdict, 1):
            continue
        if shape and not same_shape(verdict.shape, shape):
            odd = describe_shapes(os.fspath(folder.names[other]), verdict.shape, shape)
            folder.left.append(f"{odd}: not the content's shape")
        else:
            found.append((place, other))
    return found


def _other_sizes(path: str | os.PathLike, content: list[Item], items: list[Item]) -> list[str]:
    odd = [made.name for item, made in zip(content, items, strict=True) if item.shape and item.shape != made.shape]
    if not odd:
        return []
    return [f"{path}: {counted(len(odd), 'picture')} resized to the content's size, which blurs: {some(odd, 3)}"]


def _only(places: list[int], scored: Scored) -> Scored:
    """The contents at some indices, with what belongs to them."""

    def kept(items: list[Item]) -> list[Item]:
        return [items[place] for place in places] if items else []

    truth = kept(scored.truth)
    reference = Named(scored.reference.what, truth) if scored.truth else scored.reference
    made = {row: kept(items) for row, items in scored.made.items()}
    return dataclasses.replace(scored, content=kept(scored.content), truth=truth, reference=reference, made=made)
