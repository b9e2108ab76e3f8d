"""Reads and writes files of a folder on this machine or in a cloud, with Apache Beam's file systems.

A folder is a path or a URL such as gs://BUCKET/FOLDER. Names of files are paths relative to their folder. They are
bytes, because a name on this machine need not be valid UTF-8, and Beam cannot send such a text to another process.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from kgan.errors import RunError, UserError
from kgan.images.listing import is_named_as_picture, not_a_file, report_skipped, scan_folder

OWN = ".kgan-batch"
"""The hidden folder in SINK with what `kgan batch` notes. Other commands skip it."""

DONE, PARTIAL = f"{OWN}/done", f"{OWN}/partial"
"""The folder with records of finished pictures, and that with incomplete files."""

FAILED_FILE = "failed.jsonl"
"""The file in the sink with a line of JSON for each picture that could not be restyled."""

LONGEST = 2**29
"""The longest file in bytes that is read. The whole file is held in memory."""

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_PACKAGES = {"gs": "gcp", "s3": "aws", "azfs": "azure", "hdfs": "hadoop"}
"""Beam's extras by the schemes that need them."""

_FAILED = (OSError, BeamIOError, ValueError)
"""What Beam's file systems raise. ValueError is for a scheme that is not known, or needs a package."""


def is_url(folder: str) -> bool:
    """Whether a folder is a URL such as gs://BUCKET/FOLDER."""
    return bool(_URL.match(folder))


@dataclasses.dataclass(frozen=True)
class Place:
    """A folder on this machine or in a cloud.

    Attributes:
        folder: a path or a URL, without a slash at the end.
    """

    folder: str

    @classmethod
    def of(cls, word: str | os.PathLike) -> "Place":
        """The place that a user names. Raises UserError for a URL whose file system is not known."""
        text = os.fspath(word)
        if not is_url(text):
            return cls(os.path.abspath(os.path.expanduser(text)))
        text = text.rstrip("/")
        if re.search(r"[*?\[\]]", text):
            raise UserError(f"{text}: has one of * ? [ ] in its name, which Apache Beam takes for a pattern")
        try:
            FileSystems.get_filesystem(text)
        except ValueError:
            scheme = text.partition("://")[0]
            how = f"pip install 'apache-beam[{_PACKAGES[scheme]}]'" if scheme in _PACKAGES else "give gs:// or s3://"
            raise UserError(f"{text}: Apache Beam, as it is installed, cannot open {scheme}://; {how}") from None
        return cls(text)

    def path(self, name: bytes | str) -> str:
        """The path or URL of a file."""
        return f"{self.folder}/{os.fsdecode(name)}"

    def within(self, other: "Place") -> bool:
        """Whether this folder is another one, or lies inside it."""
        one, two = (place.folder if is_url(place.folder) else os.path.realpath(place.folder) for place in (self, other))
        return f"{one}/".startswith(f"{two}/")

    # --- lists --------------------------------------------------------------------------------------------------------

    def pictures(self, sink: "Place") -> Iterator[tuple[bytes, int]]:
        """Yield (name, bytes) of all files with the suffix of a picture, at any depth.

        Hidden files, those of hidden folders and those of the sink are left out. On this machine, so are the folders
        that kgan wrote, and links are followed (`kgan.images.listing`).
        """
        if is_url(self.folder):
            for name, size in self.files():
                inside = Place(self.path(name)).within(sink)
                if is_named_as_picture(os.fsdecode(name)) and not _is_hidden(name) and not inside:
                    yield name, size
            return
        found = scan_folder(self.folder, [sink.folder])
        report_skipped(self.folder, found.skipped)
        for path in found.pictures:
            if os.path.lexists(path):  # it may be removed in the meantime
                # A link to nothing has no size. It fails when it is read.
                yield os.fsencode(path.relative_to(self.folder)), path.stat().st_size if path.exists() else 0

    def files(self, below: str = "") -> Iterator[tuple[bytes, int]]:
        """Yield (name, bytes) of all files in the folder, or in a folder below it."""
        start = self.path(below) if below else self.folder
        if is_url(self.folder):
            for found in FileSystems.match([f"{start}/**"])[0].metadata_list:
                yield os.fsencode(found.path.removeprefix(f"{self.folder}/")), found.size_in_bytes
            return
        for folder, _, names in os.walk(start):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    yield os.fsencode(os.path.relpath(path, self.folder)), os.stat(path).st_size

    def check(self) -> None:
        """Raise UserError if this is the URL of a folder that cannot be listed, or the path of something else."""
        if is_url(self.folder):
            self._first()
        elif os.path.lexists(self.folder) and not os.path.isdir(self.folder):
            raise UserError(f"{self.folder}: is no folder; name another SINK")

    def check_source(self) -> None:
        """Raise UserError if the folder does not exist or, in a cloud, is empty."""
        if not is_url(self.folder):
            if not os.path.isdir(self.folder):
                raise UserError(f"{self.folder}: no such folder; check the path")
        elif not self._first():
            raise UserError(f"{self.folder}: no files there; check the address")

    def _first(self) -> list:
        try:
            return FileSystems.match([f"{self.folder}/**"], limits=[1])[0].metadata_list
        except (*_FAILED, AssertionError) as error:
            scheme = self.folder.partition("://")[0]
            hint = f"; it needs pip install 'apache-beam[{_PACKAGES[scheme]}]'" if scheme in _PACKAGES else ""
            raise UserError(f"{self.folder}: cannot be listed ({_line(error)}){hint}") from None

    # --- files --------------------------------------------------------------------------------------------------------

    def read(self, name: bytes | str) -> bytes:
        """Read a file.

        Raises:
            UserError: if it cannot be read.
        """
        path = self.path(name)
        if not is_url(path) and (reason := not_a_file(path)):  # opening a pipe waits for ever
            raise UserError(reason)
        try:
            with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
                content = file.read(LONGEST + 1)
        except _FAILED as error:
            raise UserError(f"cannot be read: {_line(error)}") from None
        if len(content) > LONGEST:
            raise UserError(f"longer than {LONGEST // 2**20} MB; restyle it with kgan stylize")
        return content

    def prepare(self, files: Iterable[tuple[bytes | str, bytes]]) -> list[tuple[str, str]]:
        """Write files under temporary names.

        Args:
            files: (name, content) of each.

        Returns:
            The temporary and the final path of each file, for `finish`.

        Raises:
            RunError: if one cannot be written.
        """
        made = []
        for name, content in files:
            partial, final = self.path(f"{PARTIAL}/{uuid.uuid4().hex}"), self.path(name)
            with _written(final):
                with FileSystems.create(partial, compression_type=CompressionTypes.UNCOMPRESSED) as file:
                    file.write(content)
                _make_folder(os.path.dirname(final))
            made.append((partial, final))
        return made

    def finish(self, prepared: Sequence[tuple[str, str]]) -> None:
        """Rename the files of `prepare`, so that each is seen as a whole. Raises RunError if one cannot be written."""
        if prepared:
            with _written(prepared[0][1]):
                FileSystems.rename([partial for partial, _ in prepared], [final for _, final in prepared])

    def write(self, name: bytes | str, content: bytes) -> None:
        """Write a file as a whole or not at all. Raises RunError if it cannot be written."""
        self.finish(self.prepare([(name, content)]))

    def sweep(self) -> None:
        """Remove the incomplete files of a run that was killed, and those of Beam."""
        paths, of_beam = [self.path(name) for name, _ in self.files(PARTIAL)], f"beam-temp-{FAILED_FILE}-*"
        with contextlib.suppress(*_FAILED):
            if is_url(self.folder):
                paths += [each.path for each in FileSystems.match([f"{self.folder}/{of_beam}/**"])[0].metadata_list]
            else:
                paths += map(str, pathlib.Path(self.folder).glob(of_beam))
            FileSystems.delete(paths)


def is_inside(name: bytes) -> bool:
    """Whether a name leads to a file below its folder, on any file system. Names in a cloud may be "../a" or "a//b".

    Example:

    >>> is_inside(b"a/b.png"), is_inside(b"../b.png"), is_inside(b"a//b.png")
    (True, False, False)
    """
    return all(part not in (b"", b".", b"..") for part in name.split(b"/")) and b"\0" not in name


def _is_hidden(name: bytes) -> bool:
    return any(part.startswith(b".") and part not in (b".", b"..") for part in name.split(b"/"))


def _make_folder(folder: str) -> None:
    """Make a folder if it does not exist. A bucket has none."""
    with contextlib.suppress(OSError, BeamIOError):  # it exists; otherwise the file cannot be renamed, an error
        FileSystems.mkdirs(folder)


@contextlib.contextmanager
def _written(path: str) -> Iterator[None]:
    try:
        yield
    except _FAILED as error:
        raise RunError(f"{path}: cannot be written ({_line(error)})") from None


def _line(error: BaseException) -> str:
    """The reason of an error in one line. Beam's errors hold those of each file."""
    inner = next(iter((getattr(error, "exception_details", None) or {}).values()), error)
    return getattr(inner, "strerror", None) or str(inner).partition("\n")[0] or type(inner).__name__
