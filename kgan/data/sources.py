"""--content, --style, --data -> the prepared stores that a recipe trains on."""

import dataclasses
import functools
import hashlib
import importlib.resources
import io
import os
import pathlib
import sys
import zipfile

import numpy as np

from kgan import recipes
from kgan.config import TrainConfig
from kgan.data.decoding import find_pictures, is_named_as_picture
from kgan.data.prepared import Source, Wanted, prepare
from kgan.data.stores import File, Store
from kgan.errors import UserError


@dataclasses.dataclass(frozen=True)
class Pictures:
    """The stores of one training.

    `content` is None for recipes that make pictures from noise alone, `style` for those with a teacher. `paired`:
    content[i] and style[i] show the same.
    `test_content` is None without test pictures; test_truth[i] is what test_content[i] should become, where known.
    """

    content: Store | None
    style: Store | None
    test_content: Store | None
    test_truth: Store | None
    paired: bool


def open_pictures(config: TrainConfig) -> Pictures:
    """Prepare (or find prepared) the pictures that a resolved config names. Raises UserError, RunError."""
    kind = recipes.find(config.recipe).pictures
    _check_flags(config, kind)
    cache = pathlib.Path(config.cache).expanduser() / "pictures"
    wanted = Wanted(max(512, 2 * config.size), config.channels, cache)
    if config.data == "sample":
        return _sample(wanted, kind)
    if config.data is None:
        return _arranged(kind, _single(config.content, wanted), _single(config.style, wanted))
    root = _named_root(config.data) if config.data.startswith("tfds:") else _folder_root(config.data)
    return _from_root(root, wanted, kind)


def _check_flags(config: TrainConfig, kind: str) -> None:
    if config.data is not None:
        if config.content or config.style:
            raise UserError("--data: should be given alone, or --content and --style instead. Received: both")
        return
    needed = {"--content": config.content, "--style": config.style}
    needed = {f"--{kind}": needed[f"--{kind}"]} if kind in ("content", "style") else needed
    missing = [flag for flag, value in needed.items() if not value]
    if missing:
        raise UserError(
            f"{' and '.join(missing)}: missing; give {' and '.join(needed)} DIR, --data ROOT or --data sample"
        )


def _arranged(
    kind: str,
    content: Store | None,
    style: Store | None,
    test_content: Store | None = None,
    test_truth: Store | None = None,
) -> Pictures:
    """The stores in the form a recipe wants: without content, without style, or with pairs matched."""
    if kind == "style":
        return Pictures(None, style, None, None, paired=False)
    if kind == "content":
        return Pictures(content, None, test_content, None, paired=False)
    if kind == "paired":
        content, style = _matched(content, style)
    return Pictures(content, style, test_content, _truth(test_content, test_truth), kind == "paired")


# --- pairs ------------------------------------------------------------------------------------------------------------


def _stems(store: Store) -> dict[str, int]:
    """Relative path without suffix -> index; a picture pairs with the one of the same stem."""
    return {os.path.splitext(name)[0]: index for index, name in reversed(list(enumerate(store.names)))}


def _matched(content: Store, style: Store) -> tuple[Store, Store]:
    """Both without the pictures that have no counterpart, in the same order."""
    ours, theirs = _stems(content), _stems(style)
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        raise UserError(
            "paired pictures should have equal file names (the suffix apart) in content and style. "
            f"Received: {content.names[0]} and {style.names[0]}, ...; rename them or use an unpaired recipe"
        )
    alone = len(content) + len(style) - 2 * len(both)
    if alone:
        print(f"kgan: {len(both)} pairs; {alone} pictures without a counterpart are left out", file=sys.stderr)
    return content.subset([ours[stem] for stem in both]), style.subset([theirs[stem] for stem in both])


def _truth(content: Store | None, truth: Store | None) -> Store | None:
    """The truth in the order of the content, if there is one for every picture."""
    if content is None or truth is None:
        return None
    theirs = _stems(truth)
    stems = [os.path.splitext(name)[0] for name in content.names]
    return truth.subset([theirs[stem] for stem in stems]) if theirs.keys() >= set(stems) else None


# --- folders ----------------------------------------------------------------------------------------------------------


def folder_source(folder: str | os.PathLike) -> Source:
    """All pictures of a folder; a file counts as unchanged while its size and time do."""
    root = pathlib.Path(folder).expanduser()
    paths = find_pictures(root)
    files = [File(path.relative_to(root).as_posix(), *_stamp(path)) for path in paths]
    return Source(str(folder), str(root.resolve()), files, root.joinpath, f"; to list them all: kgan check {folder}")


def file_source(file: str | os.PathLike) -> Source:
    """A set of one picture. Its name in the set is always the same, so that two such sets are a pair."""
    path = pathlib.Path(file).expanduser()
    name = f"picture{path.suffix}"
    return Source(str(file), str(path.resolve()), [File(name, *_stamp(path))], lambda _: path)


def _stamp(path: pathlib.Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # a dangling link: found, and reported when it is read
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _single(name: str | None, wanted: Wanted) -> Store | None:
    if name is None:
        return None
    if name.startswith("tfds:"):
        return prepare(_named_root(name)("train"), wanted)
    alone = pathlib.Path(name).expanduser().is_file() and is_named_as_picture(pathlib.Path(name))
    return prepare(file_source(name) if alone else folder_source(name), wanted)


def _from_root(part, wanted: Wanted, kind: str) -> Pictures:
    """`part(name)` gives the Source of trainA, trainB, testA or testB, or None where there is none."""
    alone = {"style": ["trainB"], "content": ["trainA", "testA"]}
    names = alone.get(kind, ["trainA", "trainB", "testA", "testB"])
    stores = {name: prepare(source, wanted) for name in names if (source := part(name))}
    return _arranged(kind, *(stores.get(name) for name in ("trainA", "trainB", "testA", "testB")))


def _folder_root(data: str):
    root = pathlib.Path(data).expanduser()
    if not root.is_dir():
        raise UserError(f'--data {data}: no such folder; give one with trainA and trainB, tfds:NAME or "sample"')

    def part(name: str) -> Source | None:
        if (root / name).is_dir():
            return folder_source(pathlib.Path(data, name))
        if name.startswith("train"):
            raise UserError(f"--data {data}: should hold trainA (content) and trainB (style). Received: no {name}")
        return None

    return part


def _named_root(name: str):
    from kgan.data import named_sets  # imports TFDS

    return functools.partial(named_sets.source, named_sets.builder(name))


# --- the packaged sample ----------------------------------------------------------------------------------------------


def sample_source(part: str, style: str) -> Source:
    """`part` "half" (both halves) or "test"; `style` "flat" or "3d". Names (half1/1f600.webp) are equal in both."""
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


def _sample(wanted: Wanted, kind: str) -> Pictures:
    """Pairs of both halves; or, unpaired, the flat glyphs of the first half and the 3D ones of the second."""
    style = prepare(sample_source("half", "3d"), wanted)
    if kind == "style":
        return _arranged(kind, None, style)
    content = prepare(sample_source("half", "flat"), wanted)
    if kind == "unpaired":
        content, style = _named(content, "half1/"), _named(style, "half2/")
    tests = (prepare(sample_source("test", look), wanted) for look in ("flat", "3d"))
    return _arranged(kind, content, style, *tests)


def _named(store: Store, prefix: str) -> Store:
    return store.subset(np.flatnonzero([name.startswith(prefix) for name in store.names]))
