"""`kgan check DIR...`: every picture that cannot be used, with its reason. No TensorFlow here."""

import os
import pathlib
from collections.abc import Iterable, Sequence

from kgan.data.decoding import PictureError, decode_picture, find_pictures
from kgan.data.pool import map_in_processes
from kgan.errors import UserError
from kgan.paths import expands_paths

Problem = tuple[pathlib.Path, str]


@expands_paths
def check_folders(paths: Iterable[str | os.PathLike]) -> list[Problem]:
    """Decode every picture of these folders (or single files), in parallel; (path, reason) of those that fail.

    Raises UserError for a missing folder and for one without pictures.
    """
    return _problems(_pictures(paths))


@expands_paths
def main(paths: Sequence[str | os.PathLike]) -> int:
    """Print one line for every problem and one with the count; 0 when there is none, otherwise 2."""
    pictures = _pictures(paths)
    problems = _problems(pictures)
    for path, reason in problems:
        print(f"{path}: {reason}")
    verdict = f"{len(problems)} cannot be used" if problems else "all good"
    print(f"{len(pictures)} {'picture' if len(pictures) == 1 else 'pictures'} checked, {verdict}")
    return 2 if problems else 0


def _pictures(paths: Iterable[str | os.PathLike]) -> list[pathlib.Path]:
    paths = [pathlib.Path(path) for path in paths]
    if not paths:
        raise UserError("folders are missing: name folders or files to check")
    return [picture for path in paths for picture in ([path] if path.is_file() else find_pictures(path))]


def _problems(pictures: list[pathlib.Path]) -> list[Problem]:
    reasons = map_in_processes(_reason, pictures)
    return [(path, reason) for path, reason in zip(pictures, reasons, strict=True) if reason]


def _reason(path: pathlib.Path) -> str | None:
    try:
        decode_picture(path)
    except PictureError as error:
        return error.reason
    return None
