"""Which pictures an evaluation looks at: those of folders, or a run's own."""

import dataclasses
import io
import os
import pathlib
from collections.abc import Callable

import numpy as np

from kgan import console, places
from kgan.config import TrainConfig
from kgan.data import Store, open_pictures
from kgan.data.decoding import decode_picture
from kgan.errors import UserError
from kgan.listing import find_pictures
from kgan.models import ModelSource
from kgan.run_folder import RunFolder

LIMIT = 500
"""Pictures of each kind that are looked at, at most: the first by name."""


@dataclasses.dataclass(frozen=True)
class Item:
    """A picture by name, decoded when asked: `read(channels)` -> uint8 [H, W, channels]."""

    name: str
    read: Callable[[int], np.ndarray]

    @property
    def stem(self) -> str:
        return pathlib.PurePath(self.name).stem


@dataclasses.dataclass(frozen=True)
class Named:
    """A set of pictures and what it is, as in "test truths"."""

    what: str
    items: list[Item]


@dataclasses.dataclass(frozen=True)
class Scored:
    """`content` is empty for synthesis; `truth` is empty or in the order of the content.

    `reference`: the real pictures that FID, KID and style compare with, `truth` where there is one. `real`: other
    real ones, which show what a perfect model would get; None where there are none.
    """

    content: list[Item]
    truth: list[Item]
    reference: Named
    real: Named | None


def folder_pictures(content, truth=None, style=None) -> Scored:
    """Those of one, two or three folders; UserError for folders without pictures or without pairs."""
    items = _in_folder(content)
    styled = _in_folder(style)[:LIMIT] if style else []
    if truth is None:
        return Scored(items[:LIMIT], [], Named("style pictures", styled), None)
    items, truths = (side[:LIMIT] for side in _pairs(items, _in_folder(truth), str(truth)))
    return Scored(items, truths, *_beside(Named("truths", truths), Named("style pictures", styled)))


def run_pictures(model: ModelSource) -> tuple[Scored, list[str]]:
    """The test pictures of a run, or the first it was trained on where it has none, and its style pictures; and a
    warning where they are not those that it began with. UserError where they are gone."""
    config, run = model.config, RunFolder(model.path)
    if name := places.missing(config):
        other = f", or {places.found_again(name, run.path)}" if run.checkpoints.is_dir() else ""
        raise UserError(
            f"{places.lost(config, name)}; {run.path} had its pictures there. Name some by --content{other}"
        )
    pictures = open_pictures(config)
    changed = run.changed_pictures(pictures.fingerprint)
    style = Named("style pictures" if changed else "style pictures of the training", _in_store(pictures.style))
    content = pictures.test_content
    if content is None and pictures.content is not None:
        trained = "of its content" if changed else "that it was trained on"
        console.warn(f"the run has no test pictures: scored on the first pictures {trained}")
        content = pictures.content
    return _arranged(content, pictures.test_truth, _test_style(config), style), [changed] if changed else []


def _arranged(content: Store | None, truth: Store | None, others: list[Item], style: Named) -> Scored:
    items, truths = _in_store(content), _in_store(truth)
    if truths:
        items, truths = _pairs(items, truths, "of the run")
        return Scored(items, truths, *_beside(Named("test truths", truths), style))
    if others:
        return Scored(items, [], *_beside(Named("test style pictures", others), style))
    return Scored(items, [], style, None)


def taught(scored: Scored, teach: Callable[[np.ndarray], np.ndarray]) -> Scored:
    """The same content; truth and reference are what `teach` makes of it, uint8 [H, W, C] -> the same, when asked."""

    def of(item: Item) -> Item:
        return Item(item.name, lambda channels: teach(item.read(channels)))

    truth = [of(item) for item in scored.content]
    return Scored(scored.content, truth, Named("pictures of the teacher", truth), None)


def in_crops(scored: Scored, count: int) -> Scored:
    """`count` square windows of every picture in its place: sides of half to all of the short side, at random places.

    They depend on the picture's stem alone, so that a truth is cut as its content is.
    """

    def cut(items: list[Item]) -> list[Item]:
        return [_crop(item, number) for item in items for number in range(count)]

    reference = Named(f"crops of {scored.reference.what}", cut(scored.reference.items))
    real = Named(f"crops of {scored.real.what}", cut(scored.real.items)) if scored.real else None
    return Scored(cut(scored.content), cut(scored.truth), reference, real)


def _crop(item: Item, number: int) -> Item:
    def read(channels: int) -> np.ndarray:
        picture = item.read(channels)
        draws = np.random.default_rng([*item.stem.encode(), number]).random(3)
        side = max(1, round(min(picture.shape[:2]) * (0.5 + 0.5 * draws[0])))
        top, left = (int(draw * (room - side + 1)) for draw, room in zip(draws[1:], picture.shape, strict=False))
        return picture[top : top + side, left : left + side]

    return Item(f"{item.stem}, crop {number + 1}", read)


def _beside(reference: Named, real: Named) -> tuple[Named, Named | None]:
    """The reference, and at most as many other real pictures: FID's bias depends on the number."""
    return reference, Named(real.what, real.items[: len(reference.items)]) if real.items else None


def _test_style(config: TrainConfig) -> list[Item]:
    """testB of a folder of unpaired sets."""
    folder = pathlib.Path(config.data or "") / "testB"
    return _in_folder(folder)[:LIMIT] if config.data and folder.is_dir() else []


def _in_folder(folder: str | os.PathLike) -> list[Item]:
    root = pathlib.Path(folder)
    return [
        Item(str(path.relative_to(root)), lambda channels, path=path: decode_picture(path, channels))
        for path in find_pictures(root)
    ]


def _pairs(content: list[Item], truth: list[Item], where: str) -> tuple[list[Item], list[Item]]:
    """Content and truth with equal stems, in the order of the content; says how many have no partner."""
    by_stem = {item.stem: item for item in truth}
    paired = [item for item in content if item.stem in by_stem]
    if not paired:
        raise UserError(f"--truth {where}: should have the file names of the content, as in {content[0].stem}")
    if len(paired) < len(content):
        console.warn(f"{len(content) - len(paired)} of {len(content)} pictures have no truth and are left out")
    return paired, [by_stem[item.stem] for item in paired]


def _in_store(store) -> list[Item]:
    if store is None:
        return []
    return [
        Item(name, lambda channels, k=k: decode_picture(io.BytesIO(store.encoded(np.array([k]))[0]), channels))
        for k, name in enumerate(store.names[:LIMIT])
    ]
