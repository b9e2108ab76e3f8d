"""Which files a folder gives: the one place that decides it, for every command. No TensorFlow here.

A folder gives every file at any depth that is named as a picture. Links to folders are followed, each real folder is
read once. Left out are hidden files and folders, and below the folder that was named those that kgan wrote itself: a
command's own output, runs, exported models, caches. A folder that is named is always read.
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
"""Pictures all the same: they are found, so that they are named as unreadable and not silently left out."""

CACHE_TAG = "CACHEDIR.TAG"
_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"
"""Marks a folder as a cache, for kgan and for programs that make backups: https://bford.info/cachedir/"""

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

Left = tuple[pathlib.Path, str]
"""A folder that is left out, and why: "run", "exported model", "cache" or "output"."""

Tell = Callable[[str | os.PathLike, list[Left]], None]


@dataclasses.dataclass
class Found:
    """What a folder gives: pictures, sorted; and folders below it that are left out."""

    pictures: list[pathlib.Path] = dataclasses.field(default_factory=list)
    left: list[Left] = dataclasses.field(default_factory=list)


def is_named_as_picture(path: str | os.PathLike) -> bool:
    """Whether the suffix is that of a picture, also of one that kgan refuses by its format."""
    return pathlib.PurePath(path).suffix.lower() in READ_SUFFIXES | REFUSED_SUFFIXES


def no_file(path: str | os.PathLike) -> str | None:
    """Why a path must not be opened as a file: "is a pipe, not a file"; None for a file, and where nothing is.

    Opening a pipe would wait for ever.
    """
    kind = _kind(path)
    if kind == "a folder":
        return _shut(path) or "is a folder, not a file"
    return f"is {kind}, not a file" if kind else None


def _kind(path: str | os.PathLike) -> str | None:
    """ "a pipe", "a socket", "a device", "a folder"; None for a file, and where nothing is."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return None
    return next((kind for test, kind in _KINDS if test(mode)), None)


def _shut(folder: str | os.PathLike) -> str | None:
    """Why a folder cannot be looked into; None where it can."""
    try:
        os.scandir(folder).close()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def tell_left(folder: str | os.PathLike, left: list[Left]) -> None:
    """One line on stderr when folders below `folder` are left out because kgan wrote them; none for the output."""
    left = [(path, kind) for path, kind in left if kind != "output"]
    if left:
        console.say(f"kgan: {folder}: left out what kgan wrote: {_first(left)}")


def find_pictures(
    folder: str | os.PathLike, outputs: Iterable[str | os.PathLike] = (), tell: Tell = tell_left
) -> list[pathlib.Path]:
    """Every picture of that folder, sorted.

    `outputs` are folders that are left out too. `tell` says which folders are left out, if any is. Among the pictures
    is what shall be named as unreadable: files of other formats (HEIC, TIFF, ...), pipes named as pictures, and folders
    that may not be read. Raises UserError for what is no folder and for one without pictures.
    """
    found = look_through(folder, outputs)
    if not found.pictures and not found.left:
        raise UserError(f"{folder}: no pictures in this folder; give one that holds JPEG, PNG, WebP or GIF files")
    if not found.pictures:
        raise UserError(f"{folder}: no pictures besides those in {_first(found.left)}; name that folder to use them")
    tell(folder, found.left)
    return found.pictures


def pictures_of(
    paths: Iterable[str | os.PathLike], outputs: Iterable[str | os.PathLike] = (), tell: Tell = tell_left
) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """(file, its path inside the folder that was named) for files and folders; each such pair once.

    Raises UserError for a path that is missing, neither a file nor a folder, or a folder without pictures.
    """
    seen = set()
    for path in map(pathlib.Path, paths):
        is_file = os.path.exists(path) and not os.path.isdir(path)
        found = [named_file(path)] if is_file else find_pictures(path, outputs, tell)
        for file in found:
            relative = pathlib.Path(path.name) if is_file else file.relative_to(path)
            if (os.path.abspath(file), relative) not in seen:
                seen.add((os.path.abspath(file), relative))
                yield file, relative


def named_file(path: str | os.PathLike, option: str = "") -> pathlib.Path:
    """The path of a file or folder; UserError for what is missing, and for what is neither."""
    flag = f"{option} " if option else ""
    if not os.path.exists(path):
        raise UserError(f"{flag}{path}: no such file or folder; check the path")
    if (kind := _kind(path)) not in (None, "a folder"):
        raise UserError(f"{flag}{path}: is {kind}, neither a file nor a folder; save the picture to a file first")
    return pathlib.Path(path)


def look_through(folder: str | os.PathLike, outputs: Iterable[str | os.PathLike] = ()) -> Found:
    """`find_pictures` that says nothing, of a folder that may have no pictures."""
    root = pathlib.Path(folder)
    if not os.path.lexists(root):
        raise UserError(f"{root}: no such folder; check the path")
    if not os.path.isdir(root):
        raise UserError(f"{root}: should be a folder of pictures. Received: {_kind(root) or 'a file'}")
    if reason := _shut(root):
        raise UserError(f"{root}: {reason}")
    return _Walk(root, outputs).found


class _Walk:
    """One walk below `root`: real folders first, then links to folders, so that a link never renames what is there."""

    def __init__(self, root: pathlib.Path, outputs: Iterable[str | os.PathLike]):
        self.found = Found()
        self._outputs = {identity(path) for path in outputs} - {None}
        # A link to a folder above leads back here.
        self._seen = {identity(folder) for folder in root.resolve().parents}
        self._links: list[pathlib.Path] = []
        self._look(root)
        while self._links:
            self._enter(self._links.pop(0))
        self.found.pictures.sort()

    def _enter(self, folder: pathlib.Path) -> None:
        """Look into a folder below the root, if it is a new one and not kgan's own."""
        if identity(folder) in self._seen:
            return
        kind = "output" if identity(folder) in self._outputs else kind_of_folder(folder)
        if kind:
            self._seen.add(identity(folder))
            self.found.left.append((folder, kind))
        else:
            self._look(folder)

    def _look(self, folder: pathlib.Path) -> None:
        self._seen.add(identity(folder))
        try:
            names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
        except OSError:  # what may not be read is told by whoever opens it
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
    """What is the same for all names of a file or folder; None where nothing is."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def same(one: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Whether two paths lead to the same file or folder."""
    return identity(one) == identity(other) is not None


# --- folders that kgan wrote ------------------------------------------------------------------------------------------


def kind_of_folder(folder: pathlib.Path) -> str | None:
    """ "run", "exported model" or "cache" by the marks that these carry; None for a folder of the user's own."""
    if _is_run(folder / "config.json"):
        return "run"
    if os.path.isfile(folder / "saved_model.pb"):
        return "exported model"
    return "cache" if _starts(folder / CACHE_TAG, _SIGNATURE) else None


def _is_run(config: pathlib.Path) -> bool:
    """Other programs write a config.json too; only kgan's has both a recipe and a number of steps."""
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
    """Make the folder of a cache, if it is not there, with the mark that says what it is. Raises OSError."""
    folder = pathlib.Path(folder)
    if folder.exists():  # perhaps it holds other things too
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CACHE_TAG).write_text(
        f"{_SIGNATURE}\n# kgan keeps prepared pictures here; what is deleted is made anew.\n",
        encoding="utf-8",
    )


def _first(left: list[Left]) -> str:
    """The first one, and how many more there are."""
    (path, kind), more = left[0], len(left) - 1
    others = f" and {more} more {'folder' if more == 1 else 'folders'}" if more else ""
    return f"{path} ({kind}){others}"
