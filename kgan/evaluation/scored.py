"""Chooses the pictures of an evaluation, from folders or from the data of a run."""

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
from kgan.images.resizing import for_scores, resized
from kgan.runs import places
from kgan.runs.models import ModelSource
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig

LIMIT = 500
"""Largest number of pictures of each kind. The first by name are used."""


Example = tuple[np.ndarray, np.ndarray | None]
"""Content and truth, uint8 [H, W, C] of the same shape. The truth is None if it is unknown."""


@dataclasses.dataclass(frozen=True)
class Item:
    """A picture that is decoded when it is needed.

    Attributes:
        name: name of the picture.
        read: a function from the number of channels to the pixels, uint8 [H, W, channels].
        shape: height and width in pixels, or None if they are unknown until it is read.
    """

    name: str
    read: Callable[[int], np.ndarray]
    shape: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Named:
    """A set of pictures with a description, such as "test truths"."""

    what: str
    items: list[Item]


@dataclasses.dataclass(frozen=True)
class Scored:
    """The pictures of an evaluation.

    Attributes:
        content: content pictures. Empty for models that generate pictures from noise.
        truth: truths in the order of the content, or empty.
        reference: the real pictures for FID, KID and style: the truths if there are any.
        real: other real pictures, whose scores a perfect model would reach, or None.
        made: finished pictures of another program in the order of the content, by the row of the report.
    """

    content: list[Item]
    truth: list[Item]
    reference: Named
    real: Named | None
    made: dict[str, list[Item]] = dataclasses.field(default_factory=dict)

    def example(self, place: int, channels: int, size: int | None) -> Example:
        """The content and the truth at an index, as they are scored.

        Args:
            place: index of the content.
            channels: channels of the result: 1, 3 or 4.
            size: side in pixels of the squares to which both are resized by `for_scores`. With None, the content keeps
                its size, and the truth is resized to it.

        Returns:
            Content and truth.
        """
        content = for_scores(self.content[place].read(channels), size)
        if not self.truth:
            return content, None
        return content, resized(for_scores(self.truth[place].read(channels), size), content.shape[:2])


def folder_pictures(content, truth=None, style=None, least: int = 1) -> Scored:
    """The usable pictures of one, two or three folders. A line on stderr per folder lists those that are left out.

    Args:
        content: folder of content pictures.
        truth: folder of truths, or None.
        style: folder of style pictures, or None.
        least: least side of content and truths in pixels.

    Returns:
        The pictures.

    Raises:
        UserError: if a folder contains no usable pictures, or there are no pairs of the same shape.
    """
    truths: list = []
    if truth is None:
        items = _in_folder(content, least)
    else:
        items, truths = _pairs(Folder(content), Folder(truth), least)
    styled = Named("style pictures", _in_folder(style) if style else [])
    if truth is None:
        return Scored(items, [], styled, None)
    return Scored(items, truths, *_beside(Named("truths", truths), styled))


def run_pictures(model: ModelSource) -> tuple[Scored, list[str]]:
    """The test pictures of a run, or else its first training pictures, and its style pictures.

    Args:
        model: a run folder.

    Returns:
        The pictures, and warnings if they differ from those at the start of the run.

    Raises:
        UserError: if the pictures do not exist any more.
    """
    config, run = model.run_config, RunFolder(model.path)
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
    if truths and pictures.test_content is None:  # the truths are the style pictures, and there are no other real ones
        return Scored(items, truths, Named("truths of the training", truths), None)
    if truths:
        return Scored(items, truths, *_beside(Named("test truths", truths), style))
    if others := _test_style(config):
        return Scored(items, [], *_beside(Named("test style pictures", others), style))
    return Scored(items, [], style, None)


def first_pictures(pictures: Pictures, count: int) -> Scored:
    """The first pictures that `kgan evaluate` uses for a run, without the reference pictures.

    Args:
        pictures: the prepared pictures of the run.
        count: number of pictures.

    Returns:
        Content and truths.
    """
    items, truths = (_in_store(store)[:count] for store in pictures.scored)
    return Scored(items, truths, Named("", []), None)


def taught(scored: Scored, teacher: Callable[[np.ndarray, int], np.ndarray], size: int | None, seed: int = 0) -> Scored:
    """Replace truths and reference by the teacher's results for the content, which are computed when they are needed.

    Args:
        scored: the pictures.
        teacher: the teacher, a function of a picture and of a seed, as `kgan.inference.teacher.picture_teacher`.
        size: side in pixels to which the content is resized, or None.
        seed: seed of the teacher's noise.

    Returns:
        The pictures with new truths.
    """

    def of(item: Item) -> Item:
        return Item(item.name, lambda channels: teacher(for_scores(item.read(channels), size), seed))

    truth = [of(item) for item in scored.content]
    return Scored(scored.content, truth, Named("pictures of the teacher", truth), None, scored.made)


def in_crops(scored: Scored, count: int) -> Scored:
    """Replace each picture by random square crops, with sides from half of the short side to the whole short side.

    The crops depend only on the stem of the picture's name, so that content and truth have the same crops.

    Args:
        scored: the pictures.
        count: number of crops of each picture.

    Returns:
        The crops.
    """

    def cut(items: list[Item]) -> list[Item]:
        return [_crop(item, number) for item in items for number in range(count)]

    reference = Named(f"crops of {scored.reference.what}", cut(scored.reference.items))
    real = Named(f"crops of {scored.real.what}", cut(scored.real.items)) if scored.real else None
    made = {row: cut(items) for row, items in scored.made.items()}
    return Scored(cut(scored.content), cut(scored.truth), reference, real, made)


def _crop(item: Item, number: int) -> Item:
    def read(channels: int) -> np.ndarray:
        picture = item.read(channels)
        draws = np.random.default_rng([*pathlib.PurePath(stem(item.name)).name.encode(), number]).random(3)
        side = max(1, round(min(picture.shape[:2]) * (0.5 + 0.5 * draws[0])))
        top, left = (int(draw * (room - side + 1)) for draw, room in zip(draws[1:], picture.shape, strict=False))
        return picture[top : top + side, left : left + side]

    return Item(f"{stem(item.name)}, crop {number + 1}", read)


def _beside(reference: Named, real: Named) -> tuple[Named, Named | None]:
    """The reference, and at most as many other real pictures, because the bias of FID depends on their number."""
    return reference, Named(real.what, real.items[: len(reference.items)]) if real.items else None


def _test_style(config: TrainConfig) -> list[Item]:
    """The pictures in testB of the --data folder."""
    folder = pathlib.Path(config.data or "") / "testB"
    return _in_folder(folder) if config.data and folder.is_dir() else []


class Folder:
    """The pictures of a folder, and the reasons why some cannot be used.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: str | os.PathLike):
        self.root = pathlib.Path(folder)
        self.paths = find_pictures(self.root)
        self.names = [path.relative_to(self.root) for path in self.paths]
        self.shapes: dict[int, tuple[int, int]] = {}
        self.left: list[str] = []
        self.notices: list[tuple[pathlib.Path, str]] = []

    def judge(self, place: int, verdict: Verdict, least: int) -> bool:
        """Whether a picture can be used. The reason and notices are stored for `tell`."""
        height, width = self.shapes[place] = verdict.shape
        small = f"is {width}x{height}, too small for SSIM, which needs {least} pixels a side; give --size"
        reason = verdict.reason or (small if min(verdict.shape) < least else None)
        if reason:
            self.left.append(f"{self.names[place]}: {reason}")
        else:
            self.notices += [(self.names[place], notice) for notice in verdict.notices]
        return not reason

    def item(self, place: int) -> Item:
        """The picture at an index, which is decoded when it is needed."""
        path = self.paths[place]
        name = shown(self.names[place])
        return Item(name, lambda channels: decode_picture(path, channels), self.shapes.get(place))

    def tell(self) -> None:
        """Print a line on stderr about pictures that are left out, and one about animations."""
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
    """The first usable pairs, in the order of the content. Pictures that are left out are reported."""
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
    """Yield the usable pairs. Pairs of unequal shape are described in `odd`."""
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
