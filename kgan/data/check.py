"""`kgan check DIR...`: every picture that cannot be used, with its reason. No TensorFlow here."""

import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kgan import console
from kgan.data.pool import map_in_processes
from kgan.errors import UserError, counted, shown
from kgan.images.decoding import PictureError, decode_image
from kgan.images.listing import Left, Tell, pictures_of, tell_left
from kgan.paths import expands_paths

Problem = tuple[pathlib.Path, str]


class Verdict(NamedTuple):
    """Why a picture cannot be used, or None; what is to be said of it; its height and width, upright."""

    reason: str | None
    notices: tuple[str, ...] = ()
    shape: tuple[int, int] = (0, 0)


@expands_paths
def check_folders(paths: Iterable[str | os.PathLike]) -> list[Problem]:
    """Decode every picture of these folders (or single files), in parallel; (path, reason) of those that fail.

    Raises UserError for a missing folder and for one without pictures.
    """
    problems, _ = _judged(_pictures(paths))
    return problems


@expands_paths
def main(paths: Sequence[str | os.PathLike]) -> int:
    """Print one line for every problem and remark, for every folder that is left out, and one with the count.

    Returns 0 when there is no problem, otherwise 2.
    """
    pictures = _pictures(paths, _list_left)
    problems, remarks = _judged(pictures)
    for path, reason in problems + remarks:
        console.result(shown(f"{path}: {reason}"))
    verdict = f"{len(problems)} cannot be used" if problems else "all good"
    console.result(f"{counted(len(pictures), 'picture')} checked, {verdict}")
    return 2 if problems else 0


def _list_left(_, left: list[Left]) -> None:
    for path, kind in left:
        console.result(shown(f"{path}: left out: kgan wrote it ({kind})"))


def _pictures(paths: Iterable[str | os.PathLike], tell: Tell = tell_left) -> list[pathlib.Path]:
    paths = list(paths)
    if not paths:
        raise UserError("folders are missing: name folders or files to check")
    return [picture for picture, _ in pictures_of(paths, tell=tell)]


def _judged(pictures: list[pathlib.Path]) -> tuple[list[Problem], list[Problem]]:
    """(path, reason) of those that fail, and (path, remark) of others of which something is to be told."""
    verdicts = list(zip(pictures, verdicts_on(pictures), strict=True))
    problems = [(path, verdict.reason) for path, verdict in verdicts if verdict.reason]
    return problems, [(path, notice) for path, verdict in verdicts for notice in verdict.notices]


def verdicts_on(pictures: Iterable[pathlib.Path]) -> Iterator[Verdict]:
    """One for each, in their order: each is decoded whole, in parallel where there are many."""
    return map_in_processes(_verdict, pictures)


def _verdict(path: pathlib.Path) -> Verdict:
    try:
        image, notices = decode_image(path)
    except PictureError as error:
        return Verdict(error.reason)
    return Verdict(None, notices, (image.height, image.width))
