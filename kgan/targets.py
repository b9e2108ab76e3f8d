"""Which pictures a command takes and where its results go: names, clashes, the output folder. No TensorFlow here."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from kgan.errors import UserError
from kgan.listing import find_pictures


@dataclasses.dataclass(frozen=True)
class Place:
    """A picture, its path inside the folder that was named, and the file that its result becomes."""

    source: pathlib.Path
    relative: pathlib.Path
    target: pathlib.Path


def plan(pictures: Sequence[str | os.PathLike], output: str | os.PathLike, suffix: Callable[[str], str]) -> list[Place]:
    """Every picture in `pictures` (files, or folders at any depth) and its place in `output`, folders kept.

    `suffix` says what a suffix in lower case becomes. Raises UserError for missing paths, folders without pictures,
    two pictures with the same target, and a target that is its own source.
    """
    places: dict[pathlib.Path, Place] = {}
    for source, relative in _sources(pictures):
        target = pathlib.Path(output) / relative.with_suffix(suffix(relative.suffix.lower()))
        if target.exists() and target.samefile(source):
            raise UserError(f"--output {output}: {target} is the picture itself; name another folder")
        if target in places:
            raise UserError(f"{source} and {places[target].source} would both become {target}; restyle them apart")
        places[target] = Place(source, relative, target)
    if not places:
        raise UserError("pictures are missing: name files or folders to restyle")
    return list(places.values())


def _sources(pictures: Sequence[str | os.PathLike]) -> Iterable[tuple[pathlib.Path, pathlib.Path]]:
    """(file, its path inside the output folder) for every picture."""
    for path in map(pathlib.Path, pictures):
        if path.is_dir():
            yield from ((found, found.relative_to(path)) for found in find_pictures(path))
        elif path.exists():
            yield path, pathlib.Path(path.name)
        else:
            raise UserError(f"{path}: no such file or folder; check the path")


def refuse_clashes(targets: Iterable[pathlib.Path], overwrite: bool) -> None:
    """Raise UserError naming the first target that exists, unless `overwrite`."""
    clash = None if overwrite else next((target for target in targets if target.exists()), None)
    if clash:
        raise UserError(f"{clash}: exists already; name another --output folder, or give --overwrite")


def make_folder(path: str | os.PathLike) -> bool:
    """Create the folder; whether it was not there before. UserError when it cannot be."""
    is_new = not pathlib.Path(path).exists()
    try:
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        return is_new
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written ({error.strerror})") from None


@contextlib.contextmanager
def output_folder(path: str | os.PathLike) -> Iterator[None]:
    """The folder, made if need be and removed again if it was made in vain."""
    created = make_folder(path)
    try:
        yield
    finally:
        if created:
            with contextlib.suppress(OSError):
                pathlib.Path(path).rmdir()
