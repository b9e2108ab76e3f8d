"""Opens the prepared pictures that --content, --style and --data name."""

import dataclasses
import functools
import hashlib
import importlib.resources
import io
import json
import os
import pathlib
import zipfile
from collections.abc import Sequence

import numpy as np

from kgan import console
from kgan.data.prepared import CacheSpec, Source, prepare
from kgan.data.stores import File, Store
from kgan.errors import UserError, call, counted, is_or_are, some
from kgan.images.decoding import at_most
from kgan.images.listing import find_pictures, is_named_as_picture
from kgan.images.pairing import describe_ambiguous, describe_shapes, describe_unequal, pair, split_by_shape, stem
from kgan.paths import expanded
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

TRAINING, TESTS = ("trainA", "trainB"), ("testA", "testB")
"""Subfolders of a --data folder: content and style, test pictures and their truths."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """The prepared pictures of one training run.

    Attributes:
        content: content pictures. None for recipes that generate pictures from noise alone.
        style: style pictures. None for recipes with a teacher.
        test_content: test pictures, or None.
        test_truth: the pictures that the test pictures should become, in the same order, or None if unknown.
        paired: whether content[i] and style[i] show the same scene.
    """

    content: Store | None
    style: Store | None
    test_content: Store | None
    test_truth: Store | None
    paired: bool

    @property
    def scored(self) -> tuple[Store | None, Store | None]:
        """The content and the truths by which training and `kgan evaluate` score a run.

        They are the test pictures, or else the training pictures. Truths are None if they are unknown.
        """
        if self.test_content is not None:
            return self.test_content, self.test_truth
        return self.content, self.style if self.paired else None

    @property
    def fingerprint(self) -> str:
        """The numbers of pictures, and a checksum of their names and sizes, as text."""
        stores = [self.content, self.style, self.test_content, self.test_truth]
        files = [[file[:2] for file in store.files] for store in stores if store is not None]
        checksum = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:8]
        return f"{'+'.join(str(len(each)) for each in files)} ({checksum})"


def open_pictures(config: TrainConfig) -> Pictures:
    """Open the pictures of a training run, and prepare them first if necessary.

    Args:
        config: the resolved settings of the run.

    Returns:
        The stores that the recipe trains on.

    Raises:
        UserError: if pictures are missing or cannot be used, or the flags contradict each other.
        RunError: if the cache cannot be written.
    """
    with at_most(config.max_megapixels):
        return _open_pictures(config)


def _open_pictures(config: TrainConfig) -> Pictures:
    recipe = recipes.find(config.recipe)
    recipes.check_sources(config, recipe)  # again: settings may come from a program that did not resolve them
    kind = recipe.pictures
    cache = pathlib.Path(expanded(config.cache)) / "pictures"
    spec = CacheSpec(max(512, 2 * config.size), config.channels, cache)
    if config.data == "sample":
        return _sample(spec, kind)
    if config.data is None:
        sources = (named_source(name, cache.parent) if name else None for name in (config.content, config.style))
        return _arranged(kind, _prepared(dict(zip(TRAINING, sources, strict=True)), spec))
    root = _named_root(config.data) if config.data.startswith("tfds:") else _folder_root(config.data, cache.parent)
    alone = {"style": ["trainB"], "content": ["trainA", "testA"]}
    return _arranged(kind, _prepared({part: root(part) for part in alone.get(kind, [*TRAINING, *TESTS])}, spec))


def _prepared(sources: dict[str, Source | None], spec: CacheSpec) -> dict[str, Store]:
    return {part: prepare(source, spec) for part, source in sources.items() if source}


def _arranged(kind: str, stores: dict[str, Store]) -> Pictures:
    """The stores that a recipe needs: without content, without style, or with the pairs in the same order."""
    content, style, test_content, test_truth = (stores.get(part) for part in (*TRAINING, *TESTS))
    if kind == "style":
        return Pictures(None, style, None, None, paired=False)
    if kind == "content":
        return Pictures(content, None, test_content, None, paired=False)
    if kind == "paired" and content is not None and style is not None:
        content, style = matched(content, style)
    return Pictures(content, style, *_tests(test_content, test_truth, kind == "paired"), kind == "paired")


# --- pairs ------------------------------------------------------------------------------------------------------------


def matched(content: Store, style: Store) -> tuple[Store, Store]:
    """Both stores in the same order, without pictures that have no counterpart of the same shape."""
    pairs = pair(content.names, style.names)
    if not pairs.both:
        raise UserError(
            "paired pictures should have equal file names (the suffix apart) in content and style. "
            f"Received: {content.names[0]} and {style.names[0]}, ...; rename them or use an unpaired recipe"
        )
    both, odd = split_by_shape(pairs.both, content.shapes, style.shapes)
    unequal = [describe_shapes(content.names[i], content.shapes[i], style.shapes[j]) for i, j in odd]
    if not both:
        raise UserError(
            f"paired pictures should have the same shape, up to 2%. Received: {some(unequal)}; "
            "cut them alike or use an unpaired recipe"
        )
    if unequal:
        console.warn(describe_unequal(unequal))
    if pairs.unsure:
        console.warn(describe_ambiguous(pairs.unsure))
    if alone := sum(pairs.alone):
        without = f"{counted(alone, 'picture')} without a counterpart {is_or_are(alone)} left out"
        console.warn(f"{counted(len(both), 'pair')}; {without}")
    both.sort(key=lambda places: stem(content.names[places[0]]))
    return content.subset([i for i, _ in both]), style.subset([j for _, j in both])


def _tests(content: Store | None, truth: Store | None, paired: bool) -> tuple[Store | None, Store | None]:
    """Test pictures, and their truths in the same order if each has one.

    In a paired set, test pictures without a truth of the same shape are left out. In other sets all test pictures stay,
    because names may be equal by chance.
    """
    if content is None or truth is None:
        return content, None
    pairs = pair(content.names, truth.names)
    both, odd = split_by_shape(pairs.both, content.shapes, truth.shapes)
    if odd:
        others = some([describe_shapes(content.names[i], content.shapes[i], truth.shapes[j]) for i, j in odd])
        console.warn(f"test pictures whose truths have another shape{' are left out' if paired else ''}: {others}")
    if paired and both:
        return content.subset([i for i, _ in both]), truth.subset([j for _, j in both])
    return content, truth.subset([j for _, j in both]) if len(both) == len(content) else None


# --- folders ----------------------------------------------------------------------------------------------------------


def folder_source(folder: str | os.PathLike, outputs: Sequence[pathlib.Path] = ()) -> Source:
    """All pictures of a folder as a source. A file with the same size and time counts as unchanged.

    Args:
        folder: the folder, which is searched at any depth.
        outputs: folders below it that are skipped.

    Returns:
        The source.

    Raises:
        UserError: if the folder does not exist or contains no pictures.
    """
    root = pathlib.Path(folder)
    paths = find_pictures(root, outputs)
    files = [File(path.relative_to(root).as_posix(), *_stamp(path)) for path in paths]
    advice = f"; to list them all: {call('check', folder)}"
    return Source(str(folder), str(root.resolve()), files, root.joinpath, advice)


def file_source(file: str | os.PathLike) -> Source:
    """A single picture as a source. Its name in the set is always the same, so that two such sets form a pair."""
    path = pathlib.Path(file)
    name = f"picture{path.suffix}"
    return Source(str(file), str(path.resolve()), [File(name, *_stamp(path))], lambda _: path)


def _stamp(path: pathlib.Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # a dangling link, which is reported when it is read
        return 0, 0
    return status.st_size, status.st_mtime_ns


def named_source(name: str, cache: pathlib.Path) -> Source:
    """The source that a setting names: a folder, one picture, or tfds:NAME. `cache` in a folder is left out."""
    if name.startswith("tfds:"):
        return _named_root(name)("train")
    alone = pathlib.Path(name).is_file() and is_named_as_picture(name)
    return file_source(name) if alone else folder_source(name, [cache])


def _folder_root(data: str, cache: pathlib.Path):
    """A function from "trainA", "trainB", "testA" or "testB" to its source, or to None if there is no such test set."""
    root = pathlib.Path(data)
    if not root.is_dir():
        raise UserError(f'--data {data}: no such folder; give one with trainA and trainB, tfds:NAME or "sample"')

    def part(name: str) -> Source | None:
        if (root / name).is_dir():
            return folder_source(pathlib.Path(data, name), [cache])
        if name.startswith("train"):
            raise UserError(f"--data {data}: should hold trainA (content) and trainB (style). Received: no {name}")
        return None

    return part


def _named_root(name: str):
    from kgan.data import named_sets  # imports TFDS

    return functools.partial(named_sets.source, named_sets.builder(name))


# --- the packaged sample ----------------------------------------------------------------------------------------------


def sample_source(part: str, style: str) -> Source:
    """A part of the packaged sample as a source.

    Args:
        part: "half" for both halves of the training pictures, "test" for the test pictures.
        style: "flat" or "3d". The names of the pictures, such as half1/1f600.webp, are the same in both styles.

    Returns:
        The source.
    """
    data = (importlib.resources.files("kgan.data") / "sample.zip").read_bytes()
    archive = zipfile.ZipFile(io.BytesIO(data))
    members = {
        name.replace(f"/{style}/", "/"): archive.getinfo(name)
        for name in sorted(archive.namelist())
        if name.startswith(part) and f"/{style}/" in name
    }
    files = [File(name, member.file_size, member.CRC) for name, member in members.items()]
    identity = hashlib.sha256(data).hexdigest()
    return Source(
        f"sample {part} {style}", f"{identity} {part} {style}", files, lambda name: archive.read(members[name])
    )


def _sample(spec: CacheSpec, kind: str) -> Pictures:
    """Paired: all glyphs of both halves. Unpaired: flat glyphs of the first half, 3D glyphs of the second half."""
    style = prepare(sample_source("half", "3d"), spec)
    if kind == "style":
        return _arranged(kind, {"trainB": style})
    content = prepare(sample_source("half", "flat"), spec)
    if kind == "unpaired":
        content, style = _named(content, "half1/"), _named(style, "half2/")
    tests = (prepare(sample_source("test", look), spec) for look in ("flat", "3d"))
    return _arranged(kind, {"trainA": content, "trainB": style, **dict(zip(TESTS, tests, strict=True))})


def _named(store: Store, prefix: str) -> Store:
    return store.subset(np.flatnonzero([name.startswith(prefix) for name in store.names]))
