"""Makes the page for blind votes between two models or folders of restyled pictures."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator

import numpy as np

from kgan import console, files
from kgan.comparison.page import Study, save_pictures, write_page
from kgan.comparison.photos import Photos
from kgan.comparison.sides import Side, names_of, resolve_side
from kgan.errors import RunError, UserError, counted, shown, some
from kgan.exit_guard import Interrupted, interrupted_as
from kgan.images.decoding import PictureError, decode_picture, limits_pictures
from kgan.images.listing import is_named_as_picture
from kgan.images.pictures import Writing, save_picture
from kgan.images.targets import make_folder, output_folder
from kgan.paths import expands_paths
from kgan.runs.trust import takes_trust

QUESTION = "Which result do you prefer?"

NO_PAGE = "interrupted: no page is written"

SMALLEST = 32
"""Smallest `size` in pixels."""


@expands_paths
@takes_trust
@limits_pictures
@interrupted_as(lambda: NO_PAGE)
def compare(
    a: str | os.PathLike,
    b: str | os.PathLike,
    photos: str | os.PathLike,
    output: str | os.PathLike = "votes",
    size: int | None = None,
    question: str = QUESTION,
    seed: int = 0,
    max_megapixels: float | None = None,
    trust: bool = False,
) -> pathlib.Path:
    """Make a page on which people choose between two results of each photo, without knowing which is which.

    The page needs no server. It shows the result after the last vote, and saves votes to a file. `kgan compare --count`
    counts the votes of several people.

    Args:
        a: a run folder, a SavedModel folder, a .tflite or .onnx file, the name of a shipped model, or a folder of
            restyled pictures with the names of the photos (`kgan.images.pairing`), which are resized to the photos.
        b: another one.
        photos: folder of photos, which is searched at any depth.
        output: a new folder for index.html and its pictures.
        size: longer side in pixels to which larger photos are reduced before they are restyled, at least 32. Default:
            photos keep their size.
        question: what the page asks.
        seed: seed of the sides on which A and B are shown, and of the noise, from 0 to 2**31 - 1.
        max_megapixels: the largest picture that is read. Default: 400, and 100 where a short file claims more than it
            can contain.
        trust: open a model that is a program of somebody else (`kgan.load`).

    Returns:
        The path of index.html.

    Raises:
        UserError: if there is no such model or folder, no photo has a result of both, the output exists, or another
            argument is not valid.
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP. Unfinished files are removed.

    Example:

    >>> page = compare("vangogh", "runs/first", photos="photos")  # doctest: +SKIP
    """
    _check(size, seed, question)
    output = _new_folder(output)
    sides = {"a": resolve_side(a), "b": resolve_side(b)}
    found = Photos(pathlib.Path(photos), sides, output)
    with _written(output) as (page, work):
        kept = _prepare(found, work, size)
        for part, side in sides.items():
            if side.folder is None:
                _restyle(side, work / "photo", work / part, seed)
        lost = [file for file in kept if not all((work / part / file).exists() for part in sides)]
        if lost:
            console.warn(f"left out, since a model could not restyle them: {some([kept.pop(file) for file in lost])}")
        if not kept:
            raise UserError(f"{photos}: no photo could be restyled by both, {sides['a']} and {sides['b']}")
        study = Study(*names_of(*sides.values()), tuple(kept.values()), shown(question), seed)
        _fill(page, work, list(kept), study)
    told = f"{counted(len(kept), 'photo')}; A is {sides['a']}, B is {sides['b']}"
    console.say(f"written: {output / 'index.html'}, {told}")
    return output / "index.html"


def _check(size: int | None, seed: int, question: str) -> None:
    if size is not None and size < SMALLEST:
        raise UserError(f"--size should be at least {SMALLEST} pixels. Received: {size}")
    if not 0 <= seed < 2**31:
        raise UserError(f"--seed should be at least 0 and below 2147483648. Received: {seed}")
    if not question.strip():
        raise UserError("--question is empty: ask something, or leave it out")


def _new_folder(output: str | os.PathLike) -> pathlib.Path:
    """The output, which must not exist, or be empty."""
    path = pathlib.Path(output)
    if str(output) == "-" or path.suffix.lower() in (".html", ".htm") or is_named_as_picture(path):
        raise UserError(f"--output {output}: should be a new folder, in which the page is index.html")
    if os.path.lexists(path) and not path.is_dir():
        raise UserError(
            f"--output {output}: is {'a file' if path.exists() else 'a link to nothing'}; name a new folder"
        )
    if path.is_dir() and (path.absolute() == pathlib.Path.cwd() or any(path.iterdir())):
        raise UserError(f"--output {output}: exists already; name a new folder")
    return path


@contextlib.contextmanager
def _written(output: pathlib.Path) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """A context with two folders: one that becomes the output at the end, and one for work, which is removed."""
    try:
        with output_folder(output.parent), files.whole(output) as page:
            page.mkdir()
            yield page, page.with_name(f"{page.name}-work")
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written ({error.strerror or error})") from None


def _prepare(photos: Photos, work: pathlib.Path, size: int | None) -> dict[str, str]:
    """Write all photos and results of folders as PNG files: work/photo, work/a and work/b, with equal names.

    Returns:
        The name of a photo by the name of its files.

    Raises:
        UserError: if no photo can be compared.
    """
    kept: dict[str, str] = {}
    left: list[str] = []
    for place in photos.places:
        try:
            pictures = photos.read(place, size)
        except PictureError as error:
            left.append(str(error))
            continue
        name = photos.names[place]
        stem = re.sub(r"[^\w-]", "_", name.stem)[:40]  # which messages of the model show
        file = f"{len(kept):06}-{stem}.png"
        kept[file] = shown(name.as_posix())
        for part, pixels in pictures.items():
            make_folder(work / part)
            save_picture(pixels, work / part / file)
    if not kept:
        raise UserError(f"{photos.root}: none of its photos can be compared: {some(left, 3, '; ')}")
    for line in [*photos.notices, *([f"left out: {some(left, between='; ')}"] if left else [])]:
        console.warn(line)
    return kept


def _restyle(side: Side, photos: pathlib.Path, output: pathlib.Path, seed: int) -> None:
    with console.without_chatter():  # of TensorFlow, which folders of pictures do not need
        from kgan.inference.stylize import Order, stylize
    try:
        stylize([photos], output, Order(side.word, seed, writing=Writing("png")))
    except Interrupted:
        raise Interrupted(NO_PAGE) from None
    except UserError as error:
        if isinstance(error, RunError) or not output.exists():  # such as a full disk, or no photo is done
            raise


def _fill(page: pathlib.Path, work: pathlib.Path, kept: list[str], study: Study) -> None:
    """Write the page and its pictures, from the files in work/photo, work/a and work/b."""
    make_folder(page / "pictures")
    equal = 0
    for place, (file, first) in enumerate(zip(kept, study.firsts(), strict=True)):
        pictures = {part: decode_picture(work / part / file) for part in ("photo", "a", "b")}
        equal += np.array_equal(pictures["a"], pictures["b"])
        save_pictures(page, place, pictures, first)
    write_page(page, study)
    if equal:
        console.warn(f"{equal} of {counted(len(kept), 'photo')}: both results are equal, so that there is no choice")
