"""Verifies and normalises pictures once, in parallel, and stores them under `--cache` as a TFDS data set.

    CACHE/<label>-<hash of source, cap, channels>/<hash of the list of files>/

The inner folder is written under another name and renamed when it is complete. When files change, the records of the
unchanged files are copied from the previous inner folder, which is then removed. A lock prevents two processes from
preparing the same pictures.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import rich.markup
import rich.progress

from kgan import console, files, locks
from kgan.data.normalising import Job, Outcome, normalise, shape_of
from kgan.data.pool import map_in_processes, refuse_inside_a_worker
from kgan.data.stores import INDEX, File, Index, Store
from kgan.errors import RunError, UserError, counted, is_or_are, shown
from kgan.images.decoding import asked_pixels, summarised
from kgan.images.listing import make_cache

LAYOUT = 3
"""Part of the cache key. A higher number makes kgan prepare all pictures again."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A set of source files.

    Attributes:
        label: name of the source in messages.
        identity: unique key of the source in the cache.
        files: the source files.
        read: a function that returns the path or the bytes of a file, given its name.
        advice: the end of a message about unusable pictures. It says how to list them all.
    """

    label: str
    identity: str
    files: list[File]
    read: Callable[[str], pathlib.Path | bytes]
    advice: str = ""


@dataclasses.dataclass(frozen=True)
class CacheSpec:
    """The format of prepared pictures and where they are stored.

    Attributes:
        cap: the largest short side in pixels.
        channels: channels of each picture: 1, 3 or 4.
        cache: the folder below which all sets are stored.
    """

    cap: int
    channels: int
    cache: pathlib.Path

    def folder(self, source: Source) -> pathlib.Path:
        """The outer folder of a source in the cache."""
        # Only the last part of the label, so that a relative and an absolute path of a folder give the same result.
        label = re.sub(r"[^A-Za-z0-9]+", "-", pathlib.PurePath(source.label).name).strip("-")[-40:]
        limit = asked_pixels()  # the limit decides which pictures are too large
        key = [LAYOUT, source.identity, self.cap, self.channels, *([] if limit is None else [limit])]
        return self.cache / f"{label}-{_digest(key)}"


def prepare(source: Source, spec: CacheSpec) -> Store:
    """Open the prepared pictures of a source, and prepare them first if its files have changed.

    Pictures that cannot be used are left out, and one line on stderr says so.

    Args:
        source: the source files.
        spec: the format and the cache.

    Returns:
        The store of the usable pictures.

    Raises:
        UserError: if no picture can be used.
        RunError: if the cache cannot be written.
    """
    refuse_inside_a_worker()
    home = spec.folder(source)
    folder = home / _digest(source.files)
    try:
        with _locked(home, spec.cache.parent):
            if not folder.exists():
                _write(source, spec, folder)
            store = Store.open(folder)
    except OSError as error:
        raise RunError(
            f"--cache {spec.cache}: {error.strerror or error}; free some space, or give --cache another folder"
        ) from error
    index = Index.read(folder)
    _report_bad(source, index.bad)
    _report_remarks(source, index.remarks)
    return store


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


@contextlib.contextmanager
def _locked(home: pathlib.Path, cache: pathlib.Path) -> Iterator[None]:
    """A lock between processes. The system releases it if the process dies."""
    make_cache(cache)
    home.mkdir(parents=True, exist_ok=True)
    waiting = f"kgan: waiting for another process that prepares {home.name}"
    with locks.locked(home / "lock", waiting=lambda: console.say(waiting)):
        yield


def _write(source: Source, spec: CacheSpec, folder: pathlib.Path) -> None:
    """Write `folder`. Pictures of unchanged files come from a previous folder beside it, the others are decoded."""
    from kgan.data import builder  # imports TFDS, which takes seconds and is not needed for a prepared set

    previous = [path for path in folder.parent.iterdir() if path.is_dir()]
    outcomes = _tracked(_outcomes(source, spec, _Previous.best(previous)), len(source.files), source.label)
    index = Index()
    pictures = _not_empty(_usable(outcomes, index), source, index.bad)
    with files.beside(folder) as partial:
        written = builder.write(pictures, len(source.files), spec.channels, partial)
        index.write(written)
        os.rename(written, folder)
    for path in previous:  # also what a process that was killed left incomplete
        shutil.rmtree(path, ignore_errors=True)


class _Previous:
    """The outcomes that a previous version of the set holds, by source file."""

    def __init__(self, folder: pathlib.Path):
        self._store = Store.open(folder)
        self._rows = {file: row for row, file in enumerate(self._store.files)}
        index = Index.read(folder)
        self._reasons = dict(index.bad)
        self._remarks: dict[File, list[str]] = {}
        for file, remark in index.remarks:
            self._remarks.setdefault(file, []).append(remark)

    @classmethod
    def best(cls, folders: list[pathlib.Path]) -> "_Previous | None":
        whole = [folder for folder in folders if (folder / INDEX).exists()]
        return cls(max(whole, key=lambda folder: folder.stat().st_mtime)) if whole else None

    def __contains__(self, file: File) -> bool:
        return file in self._rows or file in self._reasons

    def __getitem__(self, file: File) -> Outcome:
        if file in self._reasons:
            return Outcome(None, self._reasons[file])
        return Outcome(self._store.encoded([self._rows[file]])[0], notices=tuple(self._remarks.get(file, ())))


def _outcomes(source: Source, spec: CacheSpec, previous: _Previous | None) -> Iterator[tuple[File, Outcome]]:
    known: Any = previous or {}
    jobs = (Job(source.read(file.name), spec.cap, spec.channels) for file in source.files if file not in known)
    fresh = map_in_processes(normalise, jobs)
    for file in source.files:
        yield file, known[file] if file in known else next(fresh)


def _tracked(outcomes: Iterator, total: int, label: str) -> Iterable:
    """The same outcomes. Shows a progress bar on a terminal, otherwise one line."""
    if not console.shows_bars():
        console.say(f"kgan: preparing {counted(total, 'picture')} of {label}")
        return outcomes
    what = f"preparing {rich.markup.escape(shown(label))}"
    return rich.progress.track(outcomes, what, total, console=console.terminal(), transient=True)


def _usable(outcomes: Iterable[tuple[File, Outcome]], index: Index) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of the usable pictures. All outcomes are written down in the index."""
    for file, outcome in outcomes:
        if outcome.encoded is None:
            index.bad.append((file, str(outcome.reason)))
        else:
            index.files.append(file)
            index.shapes.append(shape_of(outcome.encoded))
            index.remarks += [(file, notice) for notice in outcome.notices]
            yield file.name, outcome.encoded


def _not_empty(pictures: Iterator, source: Source, bad: list[tuple[File, str]]) -> Iterator:
    """The same pictures. Raises UserError before anything is written if there are none."""
    first = next(pictures, None)
    if first is None:
        file, reason = bad[0]
        if len(bad) == 1:
            raise UserError(f"{source.label}: its only picture cannot be used: {file.name}: {reason}")
        raise UserError(
            f"{source.label}: none of its {len(bad)} pictures can be used; the first: {file.name}: {reason}"
        )
    return itertools.chain([first], pictures)


def _report_bad(source: Source, bad: list[tuple[File, str]]) -> None:
    if bad:
        (file, reason), count = bad[0], len(bad)
        what = f"{count} of {len(source.files)} pictures cannot be used and {is_or_are(count)} left out"
        console.warn(f"{source.label}: {what}; the first: {file.name}: {reason}{source.advice}")


def _report_remarks(source: Source, remarks: list[tuple[File, str]]) -> None:
    for line in summarised((file.name, remark) for file, remark in remarks):
        console.warn(f"{source.label}: {line}")
