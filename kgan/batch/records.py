"""Knows which pictures are done, by records that name the content of each picture, the model and the options.

A record is written after the result has its temporary name, and before it gets its own name. So a result without a
record is not of `kgan batch`, and a record without its result is of a run that was killed in between.
"""

import dataclasses
import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator

from kgan.batch.places import DONE, Place
from kgan.errors import UserError

VERSION = 1
"""The version of the records. With another one, `kgan batch` makes all pictures again."""


@dataclasses.dataclass(frozen=True, order=True)
class Record:
    """A finished picture.

    Attributes:
        name: name of the result in the sink.
        key: what it was made of (`key`).
        size: bytes of the result.
        checksum: SHA-256 of the result.
    """

    name: bytes
    key: str
    size: int
    checksum: str

    @classmethod
    def of(cls, name: bytes, key: str, content: bytes) -> "Record":
        """The record of a result with this content."""
        return cls(name, key, len(content), hashlib.sha256(content).hexdigest())

    def file(self) -> tuple[str, bytes]:
        """Name and content of a file with this record alone."""
        return file_of([self])


def file_of(records: Iterable[Record]) -> tuple[str, bytes]:
    """A new file name in the sink, and the lines of JSON for that file."""
    rows = ([os.fsdecode(each.name), each.key, each.size, each.checksum] for each in records)
    return f"{DONE}/{uuid.uuid4().hex}.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode("ascii")


def read_file(sink: Place, name: bytes) -> Iterator[Record]:
    """Yield the records in a file. Raises UserError if it cannot be read."""
    try:
        for line in sink.read(name).decode("ascii").splitlines():
            result, key, size, checksum = json.loads(line)
            yield Record(os.fsencode(result), key, size, checksum)
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{sink.path(name)}: is damaged ({reason}); delete it, and its pictures are made again"
        ) from None


def is_done(sink: Place, key: str, size: int | None, records: Iterable[Record]) -> bool:
    """Whether a result is there and was made of this picture.

    Args:
        sink: the folder of the results.
        key: the key of the picture.
        size: bytes of the file that has the name of the result, or None if there is none.
        records: all records of this name. There are several after the picture or the model has changed.
    """
    same_size = {record for record in records if record.size == size}
    if not any(record.key == key for record in same_size):
        return False
    checksums = {record.checksum for record in same_size}
    if len(checksums) > 1:  # a run may have been killed before it replaced the result of another picture
        there = hashlib.sha256(sink.read(next(iter(same_size)).name)).hexdigest()
        return any(record.key == key and record.checksum == there for record in same_size)
    return True


def key(content: bytes, settings: str) -> str:
    """What a result is made of: SHA-256 of the picture's file and of the `settings`, in hexadecimal digits."""
    return hashlib.sha256(hashlib.sha256(content).digest() + settings.encode()).hexdigest()


def settings(model: str, options: dict) -> str:
    """The fingerprint of the model and the options that change a result, as one text."""
    return json.dumps([VERSION, model, options], sort_keys=True)
