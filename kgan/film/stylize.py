"""Restyles films: decodes, restyles and encodes at the same time, in parts, and joins the parts."""

import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import kgan
from kgan import console
from kgan.console import progress
from kgan.errors import UserError, call
from kgan.exit_guard import ExitGuard, Interrupted
from kgan.film import encoding, joining
from kgan.film.film import Film
from kgan.film.film_masks import FilmMask, film_mask
from kgan.film.frames import Facts, Frame
from kgan.film.joining import Output
from kgan.film.lanes import Behind, ahead
from kgan.film.painting import Painted, Painter, Pass, fitting
from kgan.film.pyav import pyav
from kgan.film.smoothing import SMOOTH, Smoother
from kgan.film.work import Segment, State, Work, frames_of_segment
from kgan.images import targets
from kgan.inference.loading import load
from kgan.inference.model import Model
from kgan.inference.steady import offsets
from kgan.inference.stylize import Finish, blended
from kgan.memory import budget
from kgan.runs.models import resolve_model

WAITING = 2
"""Batches that wait for the network, and batches that wait to be smoothed, at most. It is 1 for frames so large that
they are restyled one by one."""


@dataclasses.dataclass(frozen=True)
class Look:
    """How frames are restyled.

    Attributes:
        seed: seed of the noise.
        strokes: the factor by which strokes become broader.
        finish: how frames are blended with their originals. Its masks are not used.
        mask: path of the mask, or None.
        steady: number of shifted copies whose results are averaged.
        smooth: the part of the frame before that a frame takes up (`kgan.film.smoothing`).
        precision: the arithmetic of the network (`kgan.load`).
        jit: compile the network with XLA.
    """

    seed: int = 0
    strokes: float = 1.0
    finish: Finish = dataclasses.field(default_factory=Finish)
    mask: str | os.PathLike | None = None
    steady: int = 1
    smooth: float = SMOOTH
    precision: str = "float32"
    jit: bool = False


@dataclasses.dataclass(frozen=True)
class Batch:
    """Frames on their way to the encoder.

    Attributes:
        frames: the frames.
        made: their restyled pictures.
        number: how many frames are before them.
        state: what is remembered after them.
    """

    frames: list[Frame]
    made: Painted
    number: int
    state: State


class Encoder:
    """Blends restyled frames with their originals and encodes them into segments.

    Args:
        work: the working folder.
        facts: the film as it is encoded.
        coding: how it is encoded.
        finish: how frames are blended. Its masks are not used.
        mask: the mask of each frame, or None.
        advance: a function that is called for each frame.
    """

    def __init__(
        self, work: Work, facts: Facts, coding: encoding.Coding, finish: Finish, mask: FilmMask | None,
        advance: Callable[[], None],
    ):  # fmt: skip
        self._work, self._facts, self._coding, self._finish, self._advance = work, facts, coding, finish, advance
        self._mask = mask
        self._writer: encoding.SegmentWriter | None = None
        self._times: list[int] = []
        self._last = 0

    def __call__(self, batch: Batch) -> None:
        """Encode a batch. A segment that is full is finished."""
        for offset, (frame, made) in enumerate(zip(batch.frames, np.asarray(batch.made), strict=True)):
            if self._writer is None:
                self._writer = encoding.SegmentWriter(
                    self._work.path(len(self._work.segments)), self._coding, self._facts
                )
            self._writer.write(self._blended(frame, made, batch.number + offset), frame)
            self._times.append(round(frame.time / self._facts.time_base))
            self._last = max(1, round(frame.duration / self._facts.time_base))
            self._advance()
        if len(self._times) >= self._work.settings["segment"]:
            self.finish(batch.state)

    def finish(self, state: State) -> None:
        """Finish the running segment, if it has frames, and count it as done."""
        if tail := self.close():
            self._work.finish(list(tail.times), tail.last, state)

    def close(self) -> Segment | None:
        """Close the file of the running segment without counting it as done. Returns it, or None if it is empty."""
        if self._writer is None:
            return None
        self._writer.close()
        times = np.asarray(self._times, np.int64)
        self._writer, self._times = None, []
        return Segment(self._work.path(len(self._work.segments)), times, self._last)

    def _blended(self, frame: Frame, made: np.ndarray, number: int) -> np.ndarray:
        finish = self._finish
        weight: float | np.ndarray = finish.strength
        if self._mask is not None:
            weight = self._mask(number, frame.time) * np.float32(finish.strength)
        if finish.is_plain and self._mask is None and frame.pixels.shape[-1] == 3:
            return made
        return blended(frame.pixels, made, weight, finish)


@dataclasses.dataclass(frozen=True)
class Order:
    """What to do with a film.

    Attributes:
        film: the film.
        model: name or path of the model.
        output: what is made of it.
        look: how frames are restyled.
        codec: the codec that the user names, or None.
        crf: the quality that the user names, or None.
        memory: the memory in GB for frames, decoder, network and encoder, or None for a part of what is free.
    """

    film: Film
    model: str | os.PathLike
    output: Output
    look: Look = dataclasses.field(default_factory=Look)
    codec: str | None = None
    crf: float | None = None
    memory: float | None = None

    @functools.cached_property
    def mask(self) -> FilmMask | None:
        """The mask of each frame, or None."""
        path = self.look.mask
        return None if path is None else film_mask(path, self.film, self.look.finish.feather)

    @property
    def facts(self) -> Facts:
        """The film as it is encoded. Pictures and animations have no display matrix, so that they are upright."""
        return self.film.facts if self.output.container else dataclasses.replace(self.film.facts, turn=None)


def stylize_film(order: Order, overwrite: bool = False, skip_existing: bool = False, resume: bool = False) -> bool:
    """Restyle a film.

    Args:
        order: what to do.
        overwrite: replace an existing output, and the parts that an interrupted run left.
        skip_existing: keep an existing output.
        resume: go on after the parts that an interrupted run left.

    Returns:
        Whether the output is written. It is not if it exists and is kept.

    Raises:
        UserError: before any work, if an option is wrong or the output exists, or if no frame can be read.
        Interrupted: after a signal. What is done so far is written.
    """
    order.mask  # noqa: B018  # read now, so that a wrong one is an error before any work
    coding = encoding.choose(order.facts, order.output.container, order.codec, order.crf, min(os.cpu_count() or 1, 16))
    work = Work(order.output.path, _settings(order, coding))
    goes_on = _goes_on(order, work, overwrite, skip_existing, resume)
    if goes_on is None:
        return False
    for notice in order.film.notices:
        console.say(f"kgan: {order.film.path}: {notice}")
    joining.check(order.film, order.output, coding)
    model = load(order.model, precision=order.look.precision)
    _check_model(model)
    offsets(order.look.steady, model.facts.stride)  # an error before any work
    smoother = Smoother(order.look.smooth)
    if goes_on:
        coding, each = _as_before(order, work)
    else:
        memory = budget() if order.memory is None else order.memory * 1e9
        each = fitting(model, order.film.size, memory, coding.bytes_per_pixel, order.look.smooth > 0)
        work.settings["pass"] = dataclasses.asdict(each)
    if each.scale < 1:
        console.say(
            f"kgan: {order.film.path}: too large for the memory; restyled at {each.scale:.0%} of its size and enlarged"
        )
    look = order.look
    painter = Painter(model, each, look.seed, look.strokes, look.steady, jit=look.jit)
    if look.jit and not painter.shares_statistics:
        raise UserError("--jit: is for whole frames with --strokes 1 and a model that is a run folder or a SavedModel")
    with targets.folder_for_results(order.output.path.parent), work.opened(goes_on):
        _make(order, work, coding, painter, smoother)
    return True


def _make(order: Order, work: Work, coding: encoding.Coding, painter: Painter, smoother: Smoother) -> None:
    """Restyle what is left of a film and write the output. After a signal, write what is done."""
    with ExitGuard() as guard:
        with guard.deferred():
            tail = _paint(order, work, coding, painter, smoother, guard)
        segments = [*work.segments, *([tail] if tail else [])]
        if not segments:
            work.remove()
            if guard.requested:
                raise Interrupted("interrupted before the first frame was done")
            raise UserError(
                f"{order.film.path}: no frames could be read{' in this part' if order.film.is_part else ''}"
            )
        joining.join(segments, order.film, order.output, not guard.requested)
    if guard.requested:
        raise Interrupted(_so_far(order, segments))
    work.remove()


def _so_far(order: Order, segments: list[Segment]) -> str:
    seconds = float(segments[-1].end * order.film.facts.time_base - (order.film.since or order.film.facts.begin))
    return f"interrupted: {order.output.path} holds the first {seconds:.1f} seconds; --resume goes on"


def _paint(
    order: Order, work: Work, coding: encoding.Coding, painter: Painter, smoother: Smoother, guard: ExitGuard
) -> Segment | None:
    """Restyle and encode the frames that are left. After a signal, returns the part behind the last segment."""
    done = sum(len(segment.times) for segment in work.segments)
    since = None
    if work.segments:
        painter.state = smoother.state = work.state
        since = (int(work.segments[-1].times[-1]) + 1) * order.film.facts.time_base
    left = max(0, (order.film.count or 0) - done)
    with progress(left, f"restyle {order.film.path.name}", unit="frames/s") as bar:
        encoder = Encoder(work, order.facts, coding, order.look.finish, order.mask, bar.advance)
        frames = order.film.frames(since)
        waiting = min(WAITING, painter.frames_at_a_time)
        batches = ahead(_batches(frames, painter.frames_at_a_time, work.settings["segment"]), waiting)
        try:
            with (
                Behind(encoder, 1) as encoding_lane,
                Behind(lambda batch: encoding_lane.put(_smoothed(batch, smoother)), waiting) as smoothing_lane,
            ):
                for group in batches:
                    smoothing_lane.put(Batch(group, painter.begin(group), done, painter.state))
                    done += len(group)
                    if guard.requested:
                        break
                smoothing_lane.finish()
                encoding_lane.finish()
        finally:
            batches.close()
        if guard.requested:
            return encoder.close()
        encoder.finish(painter.state | smoother.state)
    return None


def _smoothed(batch: Batch, smoother: Smoother) -> Batch:
    """The batch with smoothed frames. Waits for the GPU that restyles them."""
    made = smoother([frame.pixels for frame in batch.frames], np.asarray(batch.made))
    return dataclasses.replace(batch, made=made, state=batch.state | smoother.state)


def _batches(frames: Iterator[Frame], size: int, segment: int) -> Iterator[list[Frame]]:
    """Groups of up to `size` frames. No group belongs to two segments."""
    group: list[Frame] = []
    for number, frame in enumerate(frames, start=1):
        group.append(frame)
        if len(group) == size or number % segment == 0:
            yield group
            group = []
    if group:
        yield group


def _check_model(model: Model) -> None:
    if not model.facts.takes_content:
        raise UserError(f"{model.name}: makes pictures from noise alone; use {call('generate')}")


# --- going on after an interruption -----------------------------------------------------------------------------------


def _goes_on(order: Order, work: Work, overwrite: bool, skip_existing: bool, resume: bool) -> bool | None:
    """Whether an interrupted run is gone on with. None if there is nothing to do, because the output is kept."""
    if resume and overwrite:
        raise UserError("--resume and --overwrite: give one of them")
    if work.exists and (resume or skip_existing) and not overwrite:
        return True
    if work.exists and not overwrite:
        raise UserError(
            f"{order.output.path}: an interrupted run left a part of it; --resume goes on, --overwrite starts anew"
        )
    first = order.output.path
    if order.output.is_folder:
        first /= joining.picture_name(order.film, 0, 0, order.output.writing)
    if resume and os.path.lexists(first):
        console.say(f"kgan: {first}: is complete already")
        return None
    if resume:
        console.say(f"kgan: {first}: nothing to go on with; starts at the beginning")
    return None if targets.existing([first], overwrite, skip_existing) else False


def _as_before(order: Order, work: Work) -> tuple[encoding.Coding, Pass]:
    """The encoder's threads and the frames at a time of the interrupted run, on which the bits of the result depend.

    Raises:
        UserError: if the settings are others.
    """
    before = work.kept()
    each, threads = before.pop("pass", None), before.get("coding", {}).get("threads")
    if each is None or threads is None:
        raise UserError(f"{order.output.path}: the interrupted run cannot be read; --overwrite starts anew")
    work.settings["coding"]["threads"] = threads
    for key, value in work.settings.items():
        if before.get(key) != value:
            raise UserError(
                f"{order.output.path}: was begun with another {key.replace('_', ' ')}; give the same to go on, or "
                "--overwrite to start anew"
            )
    return encoding.Coding(**work.settings["coding"]), Pass(**each)


def _settings(order: Order, coding: encoding.Coding) -> dict[str, Any]:
    """All that the frames and their encoding depend on, as JSON."""
    look, film = order.look, order.film
    return {
        "kgan": kgan.__version__,
        "FFmpeg": {name: list(version) for name, version in sorted(pyav().library_versions.items())},
        "film": fingerprint(film.path),
        "model": resolve_model(order.model).fingerprint,
        "mask": None if look.mask is None else fingerprint(pathlib.Path(look.mask)),
        "seed": look.seed,
        "strokes": look.strokes,
        "steady": look.steady,
        "smooth": look.smooth,
        "precision": look.precision,
        "jit": look.jit,
        "strength": look.finish.strength,
        "feather": look.finish.feather,
        "keep_colour": look.finish.keep_colour,
        "start": str(film.since),
        "duration": str(film.until),
        "fps": str(film.rate),
        "coding": dataclasses.asdict(coding),
        "segment": frames_of_segment(film.size),
    }


SAMPLED = 2**16
"""Bytes at the beginning and at the end of a file that count for its fingerprint, besides its length."""


def fingerprint(path: pathlib.Path) -> str:
    """A short text that changes if a file or the files of a folder change."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if not file.is_file():
            continue
        length = file.stat().st_size
        with file.open("rb") as opened:
            digest.update(f"{file.relative_to(path)}:{length}\n".encode(errors="surrogateescape"))
            digest.update(opened.read(SAMPLED))
            opened.seek(max(0, length - SAMPLED))
            digest.update(opened.read(SAMPLED))
    return digest.hexdigest()[:16]
