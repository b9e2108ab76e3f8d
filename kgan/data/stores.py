"""Random access to a prepared set of pictures on disk, which `kgan.data.prepared` writes."""

import dataclasses
import io
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from array_record.python.array_record_module import ArrayRecordReader

from kgan.images.decoding import decode_picture

INDEX = "pictures.json"
"""The file of the `Index`, in the folder of a prepared set."""

Shape = tuple[int, int]
"""Height and width."""


class File(NamedTuple):
    """A source file at the time when its picture was prepared.

    Attributes:
        name: path of the file, relative to its source.
        size: bytes.
        stamp: modification time in nanoseconds, or a checksum.
    """

    name: str
    size: int
    stamp: int


@dataclasses.dataclass
class Index:
    """What is known of the source files of a prepared set. It lies beside the records, as JSON.

    Attributes:
        files: the source file of each picture, in the order of the records.
        shapes: height and width of each prepared picture, in the same order.
        bad: files that cannot be used, each with the reason.
        remarks: files that can be used, each with a remark for the user.
    """

    files: list[File] = dataclasses.field(default_factory=list)
    shapes: list[Shape] = dataclasses.field(default_factory=list)
    bad: list[tuple[File, str]] = dataclasses.field(default_factory=list)
    remarks: list[tuple[File, str]] = dataclasses.field(default_factory=list)

    @classmethod
    def read(cls, folder: pathlib.Path) -> "Index":
        """Read the index of a prepared set. Raises OSError if there is none."""
        rows = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        files = [File(*fields) for fields in rows["files"]]
        shapes = [(height, width) for height, width in rows.get("shapes", [])]
        told = ([(File(*fields), text) for *fields, text in rows.get(name, [])] for name in ("bad", "remarks"))
        return cls(files, shapes, *told)

    def write(self, folder: pathlib.Path) -> None:
        """Write the index of a prepared set."""
        told = {"bad": self.bad, "remarks": self.remarks}
        rows = {"files": self.files, "shapes": self.shapes}
        rows |= {name: [(*file, text) for file, text in pairs] for name, pairs in told.items()}
        (folder / INDEX).write_text(json.dumps(rows), encoding="utf-8")


class Store:
    """A list of encoded pictures (JPEG or PNG). The views that `subset` returns share the open files."""

    def __init__(self, records: "_Records", files: list[File], rows: np.ndarray, shapes: Sequence[Shape] = ()):
        self._records, self._files, self._rows, self._shapes = records, files, rows, shapes

    @classmethod
    def open(cls, folder: pathlib.Path) -> "Store":
        """Open a folder that `kgan.data.prepared` wrote. The store stays readable if the folder is removed."""
        index = Index.read(folder)
        records = _Records(sorted(folder.glob("*.array_record*")))
        return cls(records, index.files, np.arange(len(index.files)), index.shapes)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def files(self) -> list[File]:
        return [self._files[row] for row in self._rows]

    @property
    def names(self) -> list[str]:
        """The relative path of the source file of each picture."""
        return [self._files[row].name for row in self._rows]

    @property
    def shapes(self) -> list[Shape]:
        """Height and width of each prepared picture. It is upright, and may be smaller than its source file."""
        return [self._shapes[row] for row in self._rows]

    @property
    def size(self) -> int:
        """Bytes of the whole prepared set on disk."""
        return self._records.size

    def encoded(self, indices: Sequence[int] | np.ndarray) -> list[bytes]:
        """The pictures at those indices, as JPEG or PNG bytes."""
        examples = self._records.read(self._rows[np.asarray(indices, np.int64)])
        return [_picture(example) for example in examples]

    def picture(self, index: int, channels: int) -> np.ndarray:
        """The picture at that index as it is shown and scored, uint8 [H, W, channels]."""
        return decode_picture(io.BytesIO(self.encoded(np.array([index]))[0]), channels)

    def subset(self, indices: Sequence[int] | np.ndarray) -> "Store":
        """A store of the pictures at those indices, in that order."""
        return Store(self._records, self._files, self._rows[np.asarray(indices, np.int64)], self._shapes)


def _picture(example: bytes) -> bytes:
    return tf.train.Example.FromString(example).features.feature["picture"].bytes_list.value[0]


class _Records:
    """The shards of one set as a single list of records. All are opened at once, so that they may be deleted later."""

    def __init__(self, shards: list[pathlib.Path]):
        # No read-ahead, because the order is random. No own threads, because tf.data has its own.
        self._readers = [ArrayRecordReader(str(path), "readahead_buffer_size:0,max_parallelism:0") for path in shards]
        self._ends = np.cumsum([reader.num_records() for reader in self._readers])
        self.size = sum(path.stat().st_size for path in shards)

    def read(self, rows: np.ndarray) -> list[bytes]:
        shards = np.searchsorted(self._ends, rows, side="right")
        starts = np.concatenate([[0], self._ends[:-1]])
        if len(self._readers) == 1:
            return self._readers[0].read(rows.tolist())
        places = zip(shards, rows - starts[shards], strict=True)
        return [self._readers[shard].read([int(row)])[0] for shard, row in places]
