"""Lists the pictures in a folder, for all commands. This module does not import TensorFlow.

All files at any depth with the suffix of a picture are listed. Links to folders are followed, and each real folder is
read once. Hidden files and folders are skipped, and so are folders that kgan wrote: the output of the command, runs,
exported models, pages of votes and caches. A folder that the user names is always read.
"""

import dataclasses
import json
import os
import pathlib
import stat
from collections.abc import Callable, Iterable, Iterator

from kgan import console
from kgan.errors import UserError

READ_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif"})
REFUSED_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".jxl", ".bmp", ".tif", ".tiff", ".psd"})
"""Suffixes of pictures that kgan cannot read. They are listed, so that there is an error instead of a silent skip."""

CACHE_TAG = "CACHEDIR.TAG"
_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"
"""Marks a folder as a cache for kgan and for backup programs (https://bford.info/cachedir/)."""

PAGE_OF_VOTES = "<!doctype html>\n<!-- a page of kgan compare -->"
"""The start of the page of `kgan compare`, whose pictures are copies of photos and their results."""

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

Skipped = tuple[pathlib.Path, str]
"""A skipped folder and the reason: "run", "exported model", "cache", "page of votes" or "output"."""

Reporter = Callable[[str | os.PathLike, list[Skipped]], None]


@dataclasses.dataclass
class Found:
    """The contents of a folder.

    Attributes:
        pictures: sorted paths of pictures.
        skipped: folders that are skipped.
    """

    pictures: list[pathlib.Path] = dataclasses.field(default_factory=list)
    skipped: list[Skipped] = dataclasses.field(default_factory=list)


def is_named_as_picture(path: str | os.PathLike) -> bool:
    """Whether a path has the suffix of a picture, including formats that kgan cannot read."""
    return pathlib.PurePath(trimmed(path)).suffix.lower() in READ_SUFFIXES | REFUSED_SUFFIXES


def trimmed(path: str | os.PathLike) -> str:
    """A path without spaces and dots at its end, which slip in when files are renamed, and which Windows leaves out.

    Example:

    >>> trimmed("a.png "), trimmed("a.JPG."), trimmed("..")
    ('a.png', 'a.JPG', '..')
    """
    whole = os.fspath(path)
    folder, name = os.path.split(whole)
    return os.path.join(folder, name.rstrip(". ")) if name.rstrip(". ") else whole


def not_a_file(path: str | os.PathLike) -> str | None:
    """The reason why a path cannot be opened as a file, such as "is a pipe, not a file". Opening a pipe waits for ever.

    Args:
        path: the path.

    Returns:
        The reason, or None for a file and for a path that does not exist.
    """
    kind = _kind(path)
    if kind == "a folder":
        return _unreadable(path) or "is a folder, not a file"
    return f"is {kind}, not a file" if kind else None


def _kind(path: str | os.PathLike) -> str | None:
    """ "a pipe", "a socket", "a device" or "a folder". None for a file and for a path that does not exist."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return None
    return next((kind for test, kind in _KINDS if test(mode)), None)


def _unreadable(folder: str | os.PathLike) -> str | None:
    """The reason why a folder cannot be read, or None."""
    try:
        os.scandir(os.fspath(folder)).close()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def report_skipped(folder: str | os.PathLike, left: list[Skipped]) -> None:
    """Print a line on stderr if folders below `folder` are skipped because kgan wrote them.

    Args:
        folder: the folder that the user names.
        left: the skipped folders. The output of the command is not reported.
    """
    left = [(path, kind) for path, kind in left if kind != "output"]
    if left:
        console.say(f"kgan: {folder}: left out what kgan wrote: {_first(left)}")


def find_pictures(
    folder: str | os.PathLike, outputs: Iterable[str | os.PathLike] = (), report: Reporter = report_skipped
) -> list[pathlib.Path]:
    """List the pictures of a folder.

    The list includes paths that cannot be read, so that they are reported later: files of other formats (HEIC, TIFF,
    ...), pipes with the suffix of a picture, and folders without permission.

    Args:
        folder: the folder, which is searched at any depth.
        outputs: folders that are skipped.
        report: a function that reports skipped folders.

    Returns:
        Sorted paths.

    Raises:
        UserError: if it is not a folder or contains no pictures.
    """
    found = scan_folder(folder, outputs)
    if not found.pictures and not found.skipped:
        raise UserError(f"{folder}: no pictures in this folder; give one that holds JPEG, PNG, WebP or GIF files")
    if not found.pictures:
        raise UserError(f"{folder}: no pictures besides those in {_first(found.skipped)}; name that folder to use them")
    report(folder, found.skipped)
    return found.pictures


def pictures_of(
    paths: Iterable[str | os.PathLike], outputs: Iterable[str | os.PathLike] = (), report: Reporter = report_skipped
) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """List the pictures of several files and folders.

    Args:
        paths: files, or folders, which are searched at any depth.
        outputs: folders that are skipped.
        report: a function that reports skipped folders.

    Returns:
        An iterator over (path, path relative to the folder that the user names), without duplicates.

    Raises:
        UserError: if a path does not exist or is neither a file nor a folder, or a folder contains no pictures.
    """
    seen = set()
    for path in map(pathlib.Path, paths):
        is_file = os.path.exists(path) and not os.path.isdir(path)
        found = [existing_path(path)] if is_file else find_pictures(path, outputs, report)
        for file in found:
            relative = pathlib.Path(path.name) if is_file else file.relative_to(path)
            if (os.path.abspath(file), relative) not in seen:
                seen.add((os.path.abspath(file), relative))
                yield file, relative


def existing_path(path: str | os.PathLike, option: str = "") -> pathlib.Path:
    """Check a path that the user names.

    Args:
        path: the path.
        option: the option of the path, for error messages.

    Returns:
        The path.

    Raises:
        UserError: if it does not exist or is neither a file nor a folder.
    """
    flag = f"{option} " if option else ""
    if not os.path.exists(path):
        raise UserError(f"{flag}{path}: no such file or folder; check the path")
    if (kind := _kind(path)) not in (None, "a folder"):
        raise UserError(f"{flag}{path}: is {kind}, neither a file nor a folder; save the picture to a file first")
    return pathlib.Path(path)


def scan_folder(folder: str | os.PathLike, outputs: Iterable[str | os.PathLike] = ()) -> Found:
    """List the pictures of a folder, which may contain none, without a report.

    Args:
        folder: the folder, which is searched at any depth.
        outputs: folders that are skipped.

    Returns:
        Pictures and skipped folders.

    Raises:
        UserError: if it is not a folder or cannot be read.
    """
    root = pathlib.Path(folder)
    if not os.path.lexists(root):
        raise UserError(f"{root}: no such folder; check the path")
    if not os.path.exists(root):
        raise UserError(f"{root}: is a link to nothing; check where it leads")
    if not os.path.isdir(root):
        raise UserError(f"{root}: should be a folder of pictures. Received: {_kind(root) or 'a file'}")
    if reason := _unreadable(root):
        raise UserError(f"{root}: {reason}")
    return _Walk(root, outputs).found


class _Walk:
    """A search below `root`. Real folders come before links, so that a picture gets the path without a link."""

    def __init__(self, root: pathlib.Path, outputs: Iterable[str | os.PathLike]):
        self.found = Found()
        self._outputs = {identity(path) for path in outputs} - {None}
        # Links to parent folders are not followed.
        self._seen = {identity(folder) for folder in root.resolve().parents}
        self._links: list[pathlib.Path] = []
        self._look(root)
        while self._links:
            self._enter(self._links.pop(0))
        self.found.pictures.sort()

    def _enter(self, folder: pathlib.Path) -> None:
        """Search a folder below the root, unless it was searched before or kgan wrote it."""
        if identity(folder) in self._seen:
            return
        kind = "output" if identity(folder) in self._outputs else kind_of_folder(folder)
        if kind:
            self._seen.add(identity(folder))
            self.found.skipped.append((folder, kind))
        else:
            self._look(folder)

    def _look(self, folder: pathlib.Path) -> None:
        self._seen.add(identity(folder))
        try:
            names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
        except OSError:  # reported later, when it is opened
            self.found.pictures.append(folder)
            return
        for path in (folder / name for name in names):
            if not os.path.isdir(path):
                self.found.pictures += [path] if is_named_as_picture(path) else []
            elif path.is_symlink():
                self._links.append(path)
            else:
                self._enter(path)


def identity(path: str | os.PathLike) -> tuple[int, int] | None:
    """A key that is equal for all paths of the same file or folder. None if the path does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def same(one: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Whether two paths are the same file or folder."""
    return identity(one) == identity(other) is not None


# --- folders that kgan wrote ------------------------------------------------------------------------------------------


def kind_of_folder(folder: pathlib.Path) -> str | None:
    """ "run", "exported model", "page of votes" or "cache" if kgan wrote the folder, else None."""
    if _is_run(folder / "config.json"):
        return "run"
    if os.path.isfile(folder / "saved_model.pb"):
        return "exported model"
    if _starts(folder / "index.html", PAGE_OF_VOTES):
        return "page of votes"
    return "cache" if _starts(folder / CACHE_TAG, _SIGNATURE) else None


def _is_run(config: pathlib.Path) -> bool:
    """Whether a config.json is kgan's: only kgan's has both a recipe and a number of steps."""
    if not os.path.isfile(config):
        return False
    try:
        with open(config, "rb") as file:
            settings = json.loads(file.read(2**20))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(settings, dict) and settings.keys() >= {"recipe", "steps"}


def _starts(path: pathlib.Path, text: str) -> bool:
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(text)) == text.encode()
    except OSError:
        return False


def make_cache(folder: str | os.PathLike) -> None:
    """Make a folder with the mark of a cache, if it does not exist. Raises OSError if this fails."""
    folder = pathlib.Path(folder)
    if folder.exists():  # it may contain other files, so it is not marked
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CACHE_TAG).write_text(
        f"{_SIGNATURE}\n# kgan keeps prepared pictures here; what is deleted is made anew.\n",
        encoding="utf-8",
    )


def _first(left: list[Skipped]) -> str:
    """The first skipped folder, and the number of others."""
    (path, kind), more = left[0], len(left) - 1
    others = f" and {more} more {'folder' if more == 1 else 'folders'}" if more else ""
    return f"{path} ({kind}){others}"
