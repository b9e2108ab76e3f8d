"""`kgan check DIR...` lists every picture that cannot be used, with the reason. It does not import TensorFlow."""

import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kgan import console
from kgan.data.pool import map_in_processes
from kgan.errors import UserError, counted, shown
from kgan.images.decoding import PictureError, decode_image, limits_pictures
from kgan.images.listing import Reporter, Skipped, pictures_of, report_skipped
from kgan.paths import expands_paths, several

Problem = tuple[pathlib.Path, str]


class Verdict(NamedTuple):
    """The result of a check of one picture.

    Attributes:
        reason: why the picture cannot be used, or None.
        notices: remarks for the user about a picture that can be used.
        shape: height and width of the upright picture in pixels.
    """

    reason: str | None
    notices: tuple[str, ...] = ()
    shape: tuple[int, int] = (0, 0)


@expands_paths
@limits_pictures
def check_folders(
    paths: str | os.PathLike | Iterable[str | os.PathLike], max_megapixels: float | None = None
) -> list[Problem]:
    """Decode every picture, in parallel, and list those that cannot be decoded.

    Args:
        paths: folders, which are searched at any depth, or single files.
        max_megapixels: the largest picture that is read. Default: 400, and 100 where a short file claims more than it
            can contain.

    Returns:
        A list of (path, reason).

    Raises:
        UserError: if a folder does not exist or contains no pictures.
    """
    problems, _ = _judged(_pictures(several(paths)))
    return problems


@expands_paths
def main(paths: Sequence[str | os.PathLike]) -> int:
    """Print a line for each problem, for each remark and for each folder that is skipped, and a line with the count.

    Args:
        paths: folders, which are searched at any depth, or single files.

    Returns:
        The exit status: 0 if every picture can be used, otherwise 2.
    """
    pictures = _pictures(paths, _list_skipped)
    problems, remarks = _judged(pictures)
    for path, reason in problems + remarks:
        console.result(shown(f"{path}: {reason}"))
    verdict = f"{len(problems)} cannot be used" if problems else "all good"
    console.result(f"{counted(len(pictures), 'picture')} checked, {verdict}")
    return 2 if problems else 0


def _list_skipped(_, left: list[Skipped]) -> None:
    for path, kind in left:
        console.result(shown(f"{path}: left out: kgan wrote it ({kind})"))


def _pictures(paths: Iterable[str | os.PathLike], report: Reporter = report_skipped) -> list[pathlib.Path]:
    paths = list(paths)
    if not paths:
        raise UserError("folders are missing: name folders or files to check")
    return [picture for picture, _ in pictures_of(paths, report=report)]


def _judged(pictures: list[pathlib.Path]) -> tuple[list[Problem], list[Problem]]:
    """A list of (path, reason) of the pictures that fail, and a list of (path, remark) of the others."""
    verdicts = list(zip(pictures, verdicts_on(pictures), strict=True))
    problems = [(path, verdict.reason) for path, verdict in verdicts if verdict.reason]
    return problems, [(path, notice) for path, verdict in verdicts for notice in verdict.notices]


def verdicts_on(pictures: Iterable[pathlib.Path]) -> Iterator[Verdict]:
    """Decode each picture completely, and yield a verdict on each in the same order. Many are decoded in parallel."""
    return map_in_processes(_verdict, pictures)


def _verdict(path: pathlib.Path) -> Verdict:
    try:
        image, notices = decode_image(path)
    except PictureError as error:
        return Verdict(error.reason)
    return Verdict(None, notices, (image.height, image.width))
