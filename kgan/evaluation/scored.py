"""Which pictures an evaluation looks at: those of folders, or a run's own."""

import dataclasses
import functools
import itertools
import os
import pathlib
from collections.abc import Callable, Iterator

import numpy as np

from kgan import console
from kgan.data import Pictures, Store, open_pictures
from kgan.data.check import Verdict, verdicts_on
from kgan.errors import UserError, counted, is_or_are, shown, some
from kgan.images.decoding import decode_picture, summarised
from kgan.images.listing import find_pictures
from kgan.images.pairing import describe_ambiguous, describe_shapes, describe_unequal, pair, same_shape, stem
from kgan.images.resizing import BICUBIC, resized, square
from kgan.inference.loading import Model
from kgan.runs import places
from kgan.runs.models import ModelSource
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig

LIMIT = 500
"""Pictures of each kind that are looked at, at most: the first by name."""


Example = tuple[np.ndarray, np.ndarray | None]
"""Content and truth, uint8 [H, W, C] of one shape; the truth is None where it is not known."""


@dataclasses.dataclass(frozen=True)
class Item:
    """A picture by name, decoded when asked: `read(channels)` -> uint8 [H, W, channels]."""

    name: str
    read: Callable[[int], np.ndarray]


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

    def example(self, place: int, channels: int, size: int | None) -> Example:
        """The content at a place and its truth, as they are scored.

        `size`: the side of the squares that both are brought to by `fitted`; None: the content stays as it is.
        """
        content = fitted(self.content[place].read(channels), size)
        if not self.truth:
            return content, None
        return content, resized(fitted(self.truth[place].read(channels), size), content.shape[:2])


def fitted(picture: np.ndarray, size: int | None) -> np.ndarray:
    """A picture as it is scored at a size: its middle square at size x size; itself where `size` is None."""
    return picture if size is None else square(picture, size, BICUBIC)


def folder_pictures(content, truth=None, style=None, least: int = 1) -> Scored:
    """Those of one, two or three folders that can be used; says in one line a folder which are left out.

    Content and truths have at least `least` pixels a side. Raises UserError for folders without usable pictures and
    without pairs of the same shape.
    """
    if truth is None:
        items, truths = _in_folder(content, least), []
    else:
        items, truths = _pairs(Folder(content), Folder(truth), least)
    styled = Named("style pictures", _in_folder(style) if style else [])
    if truth is None:
        return Scored(items, [], styled, None)
    return Scored(items, truths, *_beside(Named("truths", truths), styled))


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
    if pictures.test_content is None and pictures.content is not None:
        trained = "of its content" if changed else "that it was trained on"
        console.warn(f"the run has no test pictures: scored on the first pictures {trained}")
    return _of_run(pictures, config, style), [changed] if changed else []


def _of_run(pictures: Pictures, config: TrainConfig, style: Named) -> Scored:
    items, truths = (_in_store(store) for store in pictures.scored)
    if truths and pictures.test_content is None:  # they are the style pictures: there are no other real ones
        return Scored(items, truths, Named("truths of the training", truths), None)
    if truths:
        return Scored(items, truths, *_beside(Named("test truths", truths), style))
    if others := _test_style(config):
        return Scored(items, [], *_beside(Named("test style pictures", others), style))
    return Scored(items, [], style, None)


def first_pictures(pictures: Pictures, count: int) -> Scored:
    """The first pictures that `kgan evaluate` scores a run on, without those that it compares sets with."""
    items, truths = (_in_store(store)[:count] for store in pictures.scored)
    return Scored(items, truths, Named("", []), None)


def taught(scored: Scored, teacher: Model, size: int | None, seed: int = 0) -> Scored:
    """The same content; truth and reference are what the teacher makes of it at that size, when asked."""

    def of(item: Item) -> Item:
        return Item(item.name, lambda channels: teacher(fitted(item.read(channels), size), seed))

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
        draws = np.random.default_rng([*pathlib.PurePath(stem(item.name)).name.encode(), number]).random(3)
        side = max(1, round(min(picture.shape[:2]) * (0.5 + 0.5 * draws[0])))
        top, left = (int(draw * (room - side + 1)) for draw, room in zip(draws[1:], picture.shape, strict=False))
        return picture[top : top + side, left : left + side]

    return Item(f"{stem(item.name)}, crop {number + 1}", read)


def _beside(reference: Named, real: Named) -> tuple[Named, Named | None]:
    """The reference, and at most as many other real pictures: FID's bias depends on the number."""
    return reference, Named(real.what, real.items[: len(reference.items)]) if real.items else None


def _test_style(config: TrainConfig) -> list[Item]:
    """testB of a folder of unpaired sets."""
    folder = pathlib.Path(config.data or "") / "testB"
    return _in_folder(folder) if config.data and folder.is_dir() else []


class Folder:
    """The pictures of a folder, which of them turned out to be of no use, and why."""

    def __init__(self, folder: str | os.PathLike):
        self.root = pathlib.Path(folder)
        self.paths = find_pictures(self.root)
        self.names = [path.relative_to(self.root) for path in self.paths]
        self.left: list[str] = []
        self.notices: list[tuple[pathlib.Path, str]] = []

    def judge(self, place: int, verdict: Verdict, least: int) -> bool:
        """Whether a picture can be used; notes why not, and what is to be said of it."""
        height, width = verdict.shape
        small = f"is {width}x{height}, too small for SSIM, which needs {least} pixels a side; give --size"
        reason = verdict.reason or (small if min(verdict.shape) < least else None)
        if reason:
            self.left.append(f"{self.names[place]}: {reason}")
        else:
            self.notices += [(self.names[place], notice) for notice in verdict.notices]
        return not reason

    def item(self, place: int) -> Item:
        """The picture at a place, to be read when asked."""
        path = self.paths[place]
        return Item(shown(self.names[place]), lambda channels: decode_picture(path, channels))

    def tell(self) -> None:
        """Which pictures are left out, in one line on stderr, and another one of animations."""
        for line in summarised(self.notices):
            console.warn(f"{self.root}: {line}")
        if self.left:
            count = f"{counted(len(self.left), 'picture')} {is_or_are(len(self.left))} left out"
            console.warn(f"{self.root}: {count}: {some(self.left, between='; ')}")


def _in_folder(path: str | os.PathLike, least: int = 1) -> list[Item]:
    """The first usable pictures of a folder."""
    folder = Folder(path)
    judged = zip(range(len(folder.paths)), verdicts_on(folder.paths), strict=True)
    usable = (folder.item(place) for place, verdict in judged if folder.judge(place, verdict, least))
    items = list(itertools.islice(usable, LIMIT))
    if not items:
        raise UserError(f"{folder.root}: none of its pictures can be used: {some(folder.left, 3, '; ')}")
    folder.tell()
    return items


def _pairs(content: Folder, truth: Folder, least: int) -> tuple[list[Item], list[Item]]:
    """The first usable pairs, in the order of the content; says which pictures are left out."""
    pairs = pair(content.names, truth.names)
    if not pairs.both:
        raise UserError(f"--truth {truth.root}: should have the file names of the content, as in {content.names[0]}")
    odd: list[str] = []
    found = list(itertools.islice(_usable_pairs(pairs.both, content, truth, least, odd), LIMIT))
    if not found:
        why = some(content.left + truth.left + odd, 3, "; ")
        raise UserError(f"--truth {truth.root}: none of its pairs with {content.root} can be used: {why}")
    content.tell()
    truth.tell()
    if odd:
        console.warn(describe_unequal(odd))
    if pairs.unsure:
        console.warn(describe_ambiguous(pairs.unsure))
    if alone := pairs.alone[0]:
        has, is_left = ("has", "is") if alone == 1 else ("have", "are")
        console.warn(f"{alone} of {counted(len(content.names), 'picture')} {has} no truth and {is_left} left out")
    return [content.item(i) for i, _ in found], [truth.item(j) for _, j in found]


def _usable_pairs(
    both: list[tuple[int, int]], content: Folder, truth: Folder, least: int, odd: list[str]
) -> Iterator[tuple[int, int]]:
    """Those that can be used, noting in `odd` the pairs of unequal shape."""
    verdicts = verdicts_on(path for i, j in both for path in (content.paths[i], truth.paths[j]))
    for i, j in both:
        one, other = next(verdicts), next(verdicts)
        usable = content.judge(i, one, least), truth.judge(j, other, least)
        if all(usable) and not same_shape(one.shape, other.shape):
            odd.append(describe_shapes(str(content.names[i]), one.shape, other.shape))
        elif all(usable):
            yield i, j


def _in_store(store: Store | None) -> list[Item]:
    if store is None:
        return []
    return [
        Item(shown(name), functools.partial(store.picture, place)) for place, name in enumerate(store.names[:LIMIT])
    ]
