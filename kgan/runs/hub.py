"""Models on the Hugging Face hub: addresses such as hf://owner/name@revision, and the files that are fetched from them.

Only files that are numbers or text are fetched (`is_fetched`). Programs are fetched with --trust alone, and pickled
files never. Files lie in the cache of huggingface_hub, which serves them without a network too. No message contains a
text of the hub or of its library, which could hold a token. This module does not import TensorFlow.
"""

import contextlib
import dataclasses
import functools
import importlib
import os
import pathlib
import re
from collections.abc import Collection, Iterator
from types import ModuleType
from typing import Any

from kgan import console
from kgan.errors import UserError, some
from kgan.runs.trust import is_trusting

SCHEME = "hf://"

_ADDRESS = re.compile(r"hf:/{1,2}([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./+-]+))?", re.ASCII)
"""`pathlib.Path` makes one slash of two."""

_COMMIT = re.compile(r"[0-9a-f]{40}")

WEIGHTS = "model.safetensors"
CONFIG = "config.json"

SINGLE = (".tflite", ".onnx")
"""Endings of files that are a model without config.json."""

_FETCHED = re.compile(
    r"config\.json|evaluation\.json|model[\w.-]*\.json"
    r"|model\.safetensors|[\w.-]+\.(tflite|onnx|vectors\.bin)"
    r"|README\.md|(samples|test_\w+)\.(jpg|png)"
    r"|SHA256SUMS|model\.sig",
    re.ASCII,
)
"""Names of files that are numbers or text: settings and facts, weights, the card with its pictures, checksums."""

_PROGRAMS = re.compile(r"saved_model/([\w.-]+\.pb|variables/variables[\w.-]*|assets\.extra/kgan\.json)", re.ASCII)
"""Names of the files of a SavedModel."""

MOST_BYTES = 2**31
"""The largest number of bytes that is fetched of one model. The largest model that kgan reads has 512 MB of weights."""


@dataclasses.dataclass(frozen=True)
class Address:
    """The address of a model or Space on the hub.

    Attributes:
        repo: owner and name, such as "someone/vangogh".
        revision: a branch, a tag or a commit, or None for the branch main.
    """

    repo: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{SCHEME}{self.repo}" + (f"@{self.revision}" if self.revision else "")

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit, which never changes."""
        return bool(self.revision and _COMMIT.fullmatch(self.revision))


@dataclasses.dataclass(frozen=True)
class Fetched:
    """A fetched model.

    Attributes:
        path: the folder of its files, or its .tflite or .onnx file if it is the only model.
        address: its address with the commit.
    """

    path: pathlib.Path
    address: Address


def is_address(word: str | os.PathLike) -> bool:
    """Whether a word is meant as an address on the hub."""
    return str(word).startswith("hf:/")


def parse(word: str | os.PathLike) -> Address:
    """Read an address.

    Args:
        word: hf://owner/name or hf://owner/name@revision.

    Returns:
        The address.

    Raises:
        UserError: if it is none.

    Example:

    >>> parse("hf://someone/vangogh@v1")
    Address(repo='someone/vangogh', revision='v1')
    """
    found = _ADDRESS.fullmatch(str(word))
    if not found or ".." in str(word):
        raise UserError(f"{word}: should be hf://OWNER/NAME or hf://OWNER/NAME@REVISION")
    return Address(found[1], found[2])


def is_fetched(name: str, programs: bool = False) -> bool:
    """Whether a file of a model on the hub is fetched.

    Args:
        name: its path in the repository.
        programs: whether SavedModels are fetched too.

    Example:

    >>> is_fetched("model.safetensors"), is_fetched("model.pkl"), is_fetched("saved_model/saved_model.pb")
    (True, False, False)
    """
    return bool(_FETCHED.fullmatch(name) or (programs and _PROGRAMS.fullmatch(name)))


def fetch(word: str | os.PathLike, online: bool = True) -> Fetched:
    """Fetch a model into the cache, or find it there.

    Without a network, and with HF_HUB_OFFLINE=1, the cache is used, and a line says which commit it has.

    Args:
        word: the address.
        online: False uses the cache alone.

    Returns:
        The model.

    Raises:
        UserError: if there is no such model, it cannot be fetched, or it has no files that kgan reads.
    """
    address, programs = parse(word), is_trusting()
    library = required(f"{address}: models on the hub need")
    with quiet(library), failing(library, address):
        sizes, local = _sizes(library, address, online)
        names = [name for name in sizes if is_fetched(name, programs)]
        main = _main(address, names, sizes)
        if sum(sizes[name] for name in names) > MOST_BYTES:
            raise UserError(f"{address}: has more than {MOST_BYTES / 1e9:.1f} GB of files, and no model of kgan has")
        folder = pathlib.Path(
            library.snapshot_download(
                address.repo,
                revision=address.revision,
                allow_patterns=names,
                local_files_only=local,
                library_name="kgan",
            )
        )
    if local and online:
        _say_once(f"{address}: uses commit {folder.name[:12]} of the cache, without the hub")
    return Fetched(folder / main if main.endswith(SINGLE) else folder, Address(address.repo, folder.name))


@functools.cache
def _say_once(text: str) -> None:
    """Say it in the first of the several calls that a command makes."""
    console.say(text)


def _sizes(library: ModuleType, address: Address, online: bool) -> tuple[dict[str, int], bool]:
    """Names of all files with their sizes in bytes, and whether they are those of the cache."""
    if online and not library.constants.is_offline_mode():
        try:
            info = client(library).model_info(address.repo, revision=address.revision, files_metadata=True)
            return {file.rfilename: file.size or 0 for file in info.siblings or ()}, False
        except (library.errors.HTTPError, ConnectionError) as error:
            if (_status(error) or 500) < 500:
                raise
            away = error
        try:
            return _cached(library, address), True
        except _not_cached(library):
            raise away from None
    return _cached(library, address), True


def _cached(library: ModuleType, address: Address) -> dict[str, int]:
    return {file.path: file.size for file in library.get_cached_repo_tree(address.repo, revision=address.revision)}


def _main(address: Address, names: Collection[str], sizes: Collection[str]) -> str:
    """The file with the model's weights. Raises UserError if there is none that kgan reads."""
    if CONFIG in names and WEIGHTS in names:
        return WEIGHTS
    if CONFIG in names and "saved_model/saved_model.pb" in names:
        return "saved_model/saved_model.pb"
    files = [name for name in names if name.endswith(SINGLE)]
    if len(files) == 1:
        return files[0]
    wanted = f"{CONFIG} with {WEIGHTS}, or one .tflite or .onnx file"
    if CONFIG in names and "saved_model/saved_model.pb" in sizes:
        raise UserError(
            f"{address}: has a SavedModel alone, a program that kgan did not write here; give --trust if you trust who "
            "wrote it"
        )
    raise UserError(f"{address}: has no model that kgan reads; expected {wanted}. It has {some(sorted(sizes), 5)}")


# --- the library ------------------------------------------------------------------------------------------------------


def required(what: str) -> ModuleType:
    """The module huggingface_hub. Raises UserError if it is not installed; `what` is the begin of the message."""
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "huggingface_hub":
            raise
        raise UserError(f"{what} huggingface-hub, which is not installed: pip install 'kgan[hub]'") from None
    for part in ("constants", "errors", "utils"):  # the package imports them later, and not by these names
        importlib.import_module(f"huggingface_hub.{part}")
    return huggingface_hub


def client(library: ModuleType):
    """The client of the hub's interface."""
    return library.HfApi(library_name="kgan")


@contextlib.contextmanager
def quiet(library: ModuleType) -> Iterator[None]:
    """A context in which the library shows bars on a terminal alone, and no warnings, which contain addresses."""
    from huggingface_hub.utils import logging

    level, hidden = logging.get_verbosity(), library.utils.are_progress_bars_disabled()
    logging.set_verbosity_error()
    try:
        if not console.shows_bars():
            library.utils.disable_progress_bars()
        yield
    finally:
        logging.set_verbosity(level)
        if not hidden and not console.shows_bars():
            library.utils.enable_progress_bars()


@contextlib.contextmanager
def failing(library: ModuleType, address: Address) -> Iterator[None]:
    """A context in which what the hub refuses, and a hub that cannot be reached, is one line without its texts."""
    expected: list[type[Exception]] = [library.errors.HTTPError, OSError, RuntimeError, ValueError, LookupError]
    try:
        yield
    except UserError:
        raise
    except (*expected, *_not_cached(library)) as error:
        raise UserError(f"{address}: {_reason(library, address, error)}") from None


def _not_cached(library: ModuleType) -> tuple[type[Exception], ...]:
    return library.errors.CachedRepoTreeNotFoundError, library.errors.LocalEntryNotFoundError


LOG_IN = "log in by `hf auth login`, or set HF_TOKEN"


def _reason(library: ModuleType, address: Address, error: BaseException) -> str:
    """Why it failed, in words of kgan."""
    while isinstance(error, RuntimeError) and error.__cause__:  # the library's "error while uploading"
        error = error.__cause__
    for kinds, reason in _reasons(library, address):
        if isinstance(error, kinds):
            return reason
    if status := _status(error):
        return _of_status(status)
    return _of_connection(library, error)


def _reasons(library: ModuleType, address: Address) -> list[tuple[Any, str]]:
    """Errors of the library and their reasons. The first that fits counts."""
    errors = library.errors
    return [
        (_not_cached(library), "is not in the cache, or not all of it, and the hub was not asked"),
        (errors.GatedRepoError, f"is gated; ask for access on its page, and {LOG_IN}"),
        (errors.RevisionNotFoundError, f"the hub has no revision {address.revision or 'main'} of it"),
        (errors.RepositoryNotFoundError, f"the hub has no such model, or it is private; for a private one {LOG_IN}"),
        (errors.HFValidationError, "the hub allows no such name"),
        (errors.LocalTokenNotFoundError, f"needs an account of the hub; {LOG_IN}"),
    ]


def _status(error: BaseException) -> int | None:
    """The status of the hub's answer, or None if there was no answer."""
    return getattr(getattr(error, "response", None), "status_code", None)


def _of_status(status: int) -> str:
    if status in (401, 403):
        return f"the hub does not allow it (status {status}); {LOG_IN}, with a token that may write there"
    return f"the hub answers with status {status}; try again later"


_AWAY = ("ConnectError", "ConnectTimeout", "ProxyError")
"""Errors of the library's HTTP client before there is a connection."""


def _of_connection(library: ModuleType, error: BaseException) -> str:
    name = type(error).__name__
    if name in _AWAY:
        return f"the hub cannot be reached ({name})"
    if isinstance(error, library.errors.HTTPError | ConnectionError):
        return f"the connection to the hub broke ({name}); the same command goes on from there"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be stored ({error.strerror})"
    return f"the hub's answer was not understood ({name})"
