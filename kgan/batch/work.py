"""Restyles batches of pictures in one process of a pipeline: content of files in, content of files out."""

import dataclasses
import functools
import io
import math
import os
import pathlib
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from kgan.batch.places import Place, is_url
from kgan.console import Pace, Progress
from kgan.errors import RunError, UserError, call
from kgan.images.decoding import Picture, PictureError, read_picture
from kgan.images.pictures import HOLDS_ALPHA, Writing, check_sides
from kgan.inference.loading import load
from kgan.inference.stylize import OUT_OF_MEMORY, Finish, finished
from kgan.memory import PictureMemory, budget
from kgan.runs.models import resolve_model


@dataclasses.dataclass(frozen=True)
class Look:
    """The model and the options, which are the same for every picture.

    Attributes:
        model: a run folder, a SavedModel folder, a .tflite or .onnx file, the URL of a run folder or a SavedModel
            folder, or the name of a shipped model.
        fingerprint: that of the model (`kgan.runs.models.ModelSource.fingerprint`).
        writing: how files are written.
        seed: seed of the noise.
        strokes: the factor by which strokes become broader.
        finish: how stylized pictures are blended with their originals, without masks.
        memory: the memory in bytes for one batch, or None for a fraction of the free memory.
        trust: whether a model that is a program of somebody else is opened.
    """

    model: str
    fingerprint: str
    writing: Writing
    seed: int = 0
    strokes: float = 1.0
    finish: Finish = dataclasses.field(default_factory=Finish)
    memory: float | None = None
    trust: bool = False


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A picture's file.

    Attributes:
        name: name in the source.
        target: name of the result in the sink.
        key: its key (`kgan.batch.records`).
        content: the file.
        pixels: number of pixels in its header, 0 if it is no picture.
    """

    name: bytes
    target: bytes
    key: str
    content: bytes
    pixels: int


@dataclasses.dataclass(frozen=True)
class Made:
    """A result: its name, its key, the content of its file, and its number of pixels."""

    target: bytes
    key: str
    content: bytes
    pixels: int


Failure = tuple[bytes, str]
"""The name of a picture, and the reason why it could not be restyled."""


def local_model(model: str) -> str:
    """A model on this machine: the word itself, or a copy of the folder with this URL."""
    if not is_url(model):
        return model
    place, folder = Place.of(model), pathlib.Path(tempfile.mkdtemp(dir=_copies().name))
    for name, _ in place.files():
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(place.read(name))
    return str(folder)


@functools.cache
def _copies() -> tempfile.TemporaryDirectory:
    """A folder that is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="kgan-batch-")


class Worker:
    """A loaded model, which the threads of a process share.

    Args:
        look: the model and the options.

    Raises:
        UserError: if the model cannot be used.
        RunError: if it is another model than that of the machine that started the pipeline.
    """

    def __init__(self, look: Look):
        self.look = look
        path = local_model(look.model)
        if resolve_model(path).fingerprint != look.fingerprint:
            raise RunError(f"{look.model}: is another model on this worker than where the pipeline was started")
        self.model = load(path, trust=look.trust)
        if not self.model.facts.takes_content:
            raise UserError(f"{look.model}: makes pictures from noise alone; use {call('generate')}")
        self._lock = threading.Lock()
        self._progress = Progress(0, "batch", Pace(math.inf), "pictures/s")

    def restyle(self, batch: Iterable[Loaded]) -> tuple[list[Made], list[Failure]]:
        """Restyle pictures. Those of equal size go through the network together."""
        made: list[Made] = []
        failed: list[Failure] = []
        opened = []
        for item in batch:
            try:
                opened.append((item, self._open(item)))
            except UserError as error:
                failed.append((item.name, _reason(error)))
        for group in _of_equal_size(opened, alone=bool(self.model.facts.noise_channels)):
            for (item, picture), pixels in self._restyled(group):
                if isinstance(pixels, str):
                    failed.append((item.name, pixels))
                else:
                    made.append(self._encoded(item, picture, pixels))
                with self._lock:
                    self._progress.advance()
        return made, failed

    def _open(self, item: Loaded) -> Picture:
        memory, need = self._memory(), PictureMemory(self.model.bytes_per_pixel)
        needed = item.pixels * need.opened if self.model.has_tiles else need.of(item.pixels)
        if needed > memory:
            raise UserError(
                f"would take {needed / 1e9:.2g} GB of memory ({memory / 1e9:.2g} are allowed); give a higher --memory"
            )
        picture = read_picture(io.BytesIO(item.content))
        check_sides(picture.image.height, picture.image.width, pathlib.Path(os.fsdecode(item.target)))
        return picture if _suffix(item.target).lower() in HOLDS_ALPHA else picture.over_white()

    def _memory(self) -> float:
        return budget() if self.look.memory is None else self.look.memory

    def _restyled(
        self, group: Sequence[tuple[Loaded, Picture]]
    ) -> Iterator[tuple[tuple[Loaded, Picture], np.ndarray | str]]:
        """Yield each picture of a group with its restyled pixels, uint8 [H, W, C], or why there are none."""
        try:
            made = self._run([self._seen(picture) for _, picture in group])
        except OUT_OF_MEMORY:
            if len(group) == 1:
                yield group[0], "does not fit into memory; give a lower --memory"
                return
            for each in group:
                yield from self._restyled([each])
        else:
            yield from zip(group, made, strict=True)

    def _seen(self, picture: Picture) -> np.ndarray:
        seen = picture.seen()
        return seen if self.model.facts.channels == 4 else seen[..., :3]

    def _run(self, pictures: list[np.ndarray]) -> np.ndarray:
        with self._lock:  # one batch has the memory and all cores
            look = self.look
            return self.model(np.stack(pictures), look.seed, look.strokes, self._memory() / 1e9)

    def _encoded(self, item: Loaded, picture: Picture, made: np.ndarray) -> Made:
        pixels, profile = finished(picture, made, self.look.finish.strength, self.look.finish)
        with tempfile.TemporaryDirectory(prefix="kgan-batch-") as folder:
            path = pathlib.Path(folder, f"result{_suffix(item.target)}")
            self.look.writing.save(pixels, path, profile, picture.metadata, picture.lossless)
            return Made(item.target, item.key, path.read_bytes(), math.prod(pixels.shape[:2]))


def _of_equal_size(opened: Iterable[tuple[Loaded, Picture]], alone: bool) -> Iterable[Sequence[tuple[Loaded, Picture]]]:
    """Groups of pictures with the same size and channels. With noise each is alone: its noise depends on its row."""
    groups: dict[object, list[tuple[Loaded, Picture]]] = {}
    for number, (item, picture) in enumerate(opened):
        shape = (*picture.image.size, picture.image.mode == "RGBA")
        groups.setdefault(number if alone else shape, []).append((item, picture))
    return groups.values()


def _suffix(name: bytes) -> str:
    return pathlib.PurePath(os.fsdecode(name)).suffix


def _reason(error: UserError) -> str:
    return error.reason if isinstance(error, PictureError) else str(error)
