"""Decides to which files stylize, request and generate write. This module does not import TensorFlow.

A result keeps the name and the subfolder of its picture below `--output`. For one picture, `--output result.png` is a
file and `--output -` standard output. The picture `-` is read from standard input.
"""

import atexit
import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from kgan import console
from kgan.errors import RunError, UserError, is_or_are
from kgan.images.decoding import PictureError, decode_image, is_readable
from kgan.images.listing import existing_path, identity, is_named_as_picture, pictures_of, trimmed
from kgan.images.pictures import FORMATS

STANDARD = "-"
"""Standard input among the pictures, standard output as --output."""

LONGEST_NAME = 255
"""Bytes of a file's name, which nearly all file systems allow. A result can have a longer suffix than its picture."""

_STARTS = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}
"""Suffixes by the first bytes of a file."""

Found = tuple[pathlib.Path, pathlib.Path]
"""A picture, and its path relative to the folder that the user names."""


Planned = TypeVar("Planned", bound=Any)
"""A `Destination`, or something else with `targets` and `there`."""


@dataclasses.dataclass(frozen=True)
class Destination:
    """A picture and the files to which its results are written.

    Attributes:
        source: path of the picture.
        relative: its path relative to the folder that the user names.
        targets: the files, one for each variant.
        there: those of the targets that exist and are kept.
    """

    source: pathlib.Path
    relative: pathlib.Path
    targets: tuple[pathlib.Path, ...]
    there: frozenset[pathlib.Path] = frozenset()

    @property
    def target(self) -> pathlib.Path:
        """The file of the first variant."""
        return self.targets[0]


def plan(
    pictures: Sequence[str | os.PathLike],
    output: str | os.PathLike,
    suffix: Callable[[str], str],
    variants: int = 1,
) -> list[Destination]:
    """Find all pictures and choose the files of their results.

    Subfolders are kept, and all files are different. If two pictures have the same name, see `_names`.

    Args:
        pictures: files, folders, which are searched at any depth, or "-" for standard input.
        output: a folder, a file or "-" for standard output.
        suffix: a function from the suffix of a picture, in lower case, to that of its result. A name with the same
            suffix is kept exactly.
        variants: number of results for each picture. If it is above 1, the files are name-1, name-2, ...

    Returns:
        A destination for each picture.

    Raises:
        UserError: if a path does not exist, a folder contains no pictures, a result would replace a picture, or there
            are several results for one file.
    """
    found = list(_sources(pictures, output))
    if not found:
        raise UserError("pictures are missing: name files or folders to restyle")
    if is_one_file(output):
        targets = [_one_file(output, suffix(pathlib.Path(trimmed(found[0][1])).suffix.lower()), len(found), variants)]
    else:
        longest = LONGEST_NAME - (len(f"-{variants}") if variants > 1 else 0)
        targets = [pathlib.Path(output, name) for name in _names(found, pathlib.Path(output), suffix, longest)]
    files = [tuple(_variants(target, variants)) for target in targets]
    destinations = [Destination(*each, those) for each, those in zip(found, files, strict=True)]
    _refuse_inputs(destinations, output)
    return destinations


def _sources(pictures: Sequence[str | os.PathLike], output: str | os.PathLike) -> Iterator[Found]:
    paths = [_standard_input() if str(path) == STANDARD else existing_path(path) for path in dict.fromkeys(pictures)]
    return pictures_of(paths, [output])


def _variants(target: pathlib.Path, variants: int) -> list[pathlib.Path]:
    if variants == 1:
        return [target]
    return [target.with_stem(f"{target.stem}-{k}") for k in range(1, variants + 1)]


def _refuse_inputs(destinations: list[Destination], output: str | os.PathLike) -> None:
    sources = {identity(each.source): each.source for each in destinations}
    for target in (target for each in destinations for target in each.targets if os.path.exists(target)):
        if source := sources.get(identity(target)):
            raise UserError(f"--output {output}: {target} is the picture itself ({source}); name another folder")


# --- names ------------------------------------------------------------------------------------------------------------


def _names(
    found: Sequence[Found], output: pathlib.Path, suffix: Callable[[str], str], longest: int
) -> list[pathlib.Path]:
    """A different path below `output` for each picture. `longest` is the length of its name in bytes, at most.

    A result normally has the name of its picture with the new suffix. If several pictures have the same result, it
    belongs to one that keeps its name exactly, or else to the first one. Unreadable pictures come last. The others get
    their whole name and the suffix (alpha.webp.png), and a number -2, -3, ... if that name is also used.
    """
    same = _case_folded if _ignores_case(output) else str
    wishes = [_shortened(_with(relative, suffix), longest) for _, relative in found]
    claims: dict[str, list[int]] = {}
    for index, wish in enumerate(wishes):
        claims.setdefault(same(wish), []).append(index)
    rivals = (index for each in claims.values() if len(each) > 1 for index in each)
    unreadable = {index for index in rivals if not is_readable(found[index][0])}

    def rank(index: int) -> tuple[bool, bool, int]:
        return index in unreadable, wishes[index] != found[index][1], index

    winners = {min(each, key=rank) for each in claims.values()}
    taken = set(claims)
    for index in sorted(set(range(len(found))) - winners, key=rank):
        wishes[index] = next(
            name for name in _others(found[index][1], wishes[index], longest) if same(name) not in taken
        )
        taken.add(same(wishes[index]))
    return wishes


def _with(relative: pathlib.Path, suffix: Callable[[str], str]) -> pathlib.Path:
    plain = pathlib.Path(trimmed(relative))
    own = plain.suffix.lower()
    wanted = suffix(own)
    return plain if wanted == own else plain.with_suffix(wanted)


def _others(relative: pathlib.Path, wish: pathlib.Path, longest: int) -> Iterator[pathlib.Path]:
    """Alternative names: alpha.webp.png, alpha.webp-2.png, ..., or beta-2.png, ... if the suffix is kept."""
    if wish != relative:
        wish = _shortened(wish.with_name(relative.name + wish.suffix), longest)
        yield wish
    yield from (_shortened(wish, longest, f"-{number}") for number in itertools.count(2))


def _shortened(path: pathlib.Path, longest: int, end: str = "") -> pathlib.Path:
    """The path with `end` behind its stem. The stem is cut so that the name has at most `longest` bytes."""
    stem, end = path.stem, f"{end}{path.suffix}"
    while len(os.fsencode(stem + end)) > longest and len(stem) > 1:
        stem = stem[:-1]
    return path.with_name(stem + end)


def _ignores_case(folder: pathlib.Path) -> bool:
    """Whether a.png and A.PNG are the same file in a folder, as on most Macs and on memory cards."""
    above = (folder.absolute(), *folder.absolute().parents)
    near = next((each for each in above if each.is_dir() and each.name != each.name.swapcase()), None)
    return near is not None and identity(near) == identity(near.with_name(near.name.swapcase()))


def _case_folded(path: pathlib.Path) -> str:
    return unicodedata.normalize("NFC", str(path).casefold())


# --- one file, standard input and output ------------------------------------------------------------------------------


def is_one_file(output: str | os.PathLike) -> bool:
    """Whether --output is a single file: "-", or a name with the suffix of a picture that is not a folder."""
    return str(output) == STANDARD or (is_named_as_picture(output) and not os.path.isdir(output))


def _one_file(output: str | os.PathLike, suffix: str, pictures: int, variants: int = 1) -> pathlib.Path:
    """The file of `output`. For standard output, this is a temporary file that is copied there later."""
    if pictures * variants > 1:
        raise UserError(f"--output {output}: names one picture, and {pictures * variants} are asked for; name a folder")
    if str(output) != STANDARD:
        if pathlib.Path(output).suffix.lower() not in FORMATS:
            raise UserError(f"--output {output}: such files are not written; name one of {', '.join(FORMATS)}")
        return pathlib.Path(output)
    # The first is None if the parent process closed it. Text then goes nowhere, but a picture must not.
    if sys.__stdout__ is None or sys.stdout.isatty():
        what = "closed" if sys.__stdout__ is None else "a terminal"
        raise UserError(f"--output -: standard output is {what}; send it to a file, as in: > result.png")
    return _temporary_folder() / f"result{suffix}"


def one_file(output: str | os.PathLike, suffix: str, pictures: int) -> pathlib.Path | None:
    """The file of `output`, or None if it is a folder.

    Args:
        output: a folder, a file or "-" for standard output.
        suffix: suffix of the file for standard output.
        pictures: number of results.

    Returns:
        The path, or None.

    Raises:
        UserError: if `output` is a file and there are several results.
    """
    return _one_file(output, suffix, pictures) if is_one_file(output) else None


@functools.cache
def _temporary_folder() -> pathlib.Path:
    """A temporary folder for standard input and output, which is removed at exit."""
    folder = tempfile.mkdtemp(prefix="kgan-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return pathlib.Path(folder)


def _standard_input() -> pathlib.Path:
    """Copy standard input to a file with the suffix of its format."""
    if sys.stdin is None or sys.stdin.isatty():
        what = "closed" if sys.stdin is None else "a terminal"
        raise UserError(f"-: standard input is {what}; send a picture there, as in: < photo.jpg")
    file = _temporary_folder() / "stdin"
    try:
        with file.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
    except OSError as error:  # such as a full disk
        raise RunError(f"-: standard input cannot be copied to {file.parent} ({error.strerror})") from None
    with file.open("rb") as copy:
        head = copy.read(4)
    suffix = next((suffix for start, suffix in _STARTS.items() if head.startswith(start)), "")
    try:
        decode_image(file, enough=1)
    except PictureError as error:
        raise UserError(f"standard input: {error.reason}") from None
    return file.rename(file.with_suffix(suffix))


@contextlib.contextmanager
def _to_standard_output() -> Iterator[None]:
    """A context in which printed text goes to stderr. At the end, the result is written to standard output."""
    standard = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        yield
    for result in _temporary_folder().glob("result.*"):
        try:
            standard.buffer.write(result.read_bytes())
            standard.buffer.flush()
        except BrokenPipeError:  # the reader has ended, which is no error of the file
            raise
        except OSError as error:
            raise RunError(f"--output -: standard output cannot be written ({error.strerror})") from None
        result.unlink()


# --- existing files ---------------------------------------------------------------------------------------------------


def unfinished(destinations: Sequence[Planned], overwrite: bool, skip_existing: bool) -> list[Planned]:
    """The destinations that are not complete.

    Args:
        destinations: all destinations.
        overwrite: replace existing files.
        skip_existing: keep existing files.

    Returns:
        All destinations, or with `skip_existing` those with a file that does not exist.

    Raises:
        UserError: if both options are given, or neither and a file exists.
    """
    there = existing([target for each in destinations for target in each.targets], overwrite, skip_existing)
    left = (dataclasses.replace(each, there=there & frozenset(each.targets)) for each in destinations)
    return [each for each in left if len(each.there) < len(each.targets)]


def existing(targets: Sequence[pathlib.Path], overwrite: bool, skip_existing: bool) -> frozenset[pathlib.Path]:
    """The existing files that are kept. Their number is printed.

    Args:
        targets: files to write.
        overwrite: replace existing files.
        skip_existing: keep existing files.

    Returns:
        The existing files with `skip_existing`, otherwise none.

    Raises:
        UserError: if both options are given, or neither and a file exists.
    """
    if overwrite and skip_existing:
        raise UserError("--overwrite and --skip-existing: give one of them")
    there = frozenset() if overwrite else frozenset(filter(os.path.lexists, targets))
    if there and not skip_existing:
        first = next(target for target in targets if target in there)
        raise UserError(
            f"{first}: exists already; give --skip-existing to make the others, --overwrite to make all anew, or name "
            "another --output"
        )
    if there:
        verb = is_or_are(len(there))
        console.say(f"kgan: {len(there)} of {len(targets)} {verb} there already and left so")
    return there


# --- folders ----------------------------------------------------------------------------------------------------------


def make_folder(path: str | os.PathLike) -> bool:
    """Make a folder.

    Args:
        path: the folder.

    Returns:
        Whether it is new.

    Raises:
        UserError: if it cannot be made.
    """
    is_new = not pathlib.Path(path).exists()
    try:
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        return is_new
    except FileExistsError:
        raise UserError(f"--output {path}: exists and is no folder; name another one") from None
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written ({error.strerror})") from None


@contextlib.contextmanager
def folder_for_results(folder: pathlib.Path) -> Iterator[None]:
    """A context in which a folder exists. A new folder that stays empty is removed.

    Raises:
        UserError: if the folder cannot be made.
    """
    is_new = make_folder(folder)
    try:
        yield
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # it holds what is done
                folder.rmdir()


@contextlib.contextmanager
def output_folder(output: str | os.PathLike) -> Iterator[None]:
    """A context in which the output folder exists. A new folder that stays empty is removed.

    With "-", only the result is written to standard output.

    Args:
        output: a folder, a file or "-" for standard output.

    Raises:
        UserError: if the folder cannot be made.
    """
    if str(output) == STANDARD:
        with _to_standard_output():
            yield
        return
    folder = pathlib.Path(output).parent if is_one_file(output) else pathlib.Path(output)
    with folder_for_results(folder):
        yield
