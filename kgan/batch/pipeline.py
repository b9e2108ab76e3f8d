"""The pipeline of `kgan batch`: what is to do, pictures read, restyled in batches and written, failures in a file.

    source, sink, records -> Plan -> (shuffled) -> Read -> batches -> Restyle -> results and records in the sink
                               \\------------------ failures ----------------------> failed.jsonl

Only names are shuffled between processes. The content of a picture is read once, by the process that restyles it.
"""

import dataclasses
import functools
import io
import json
import math
import os
import pathlib
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from kgan.batch.places import DONE, FAILED_FILE, Place, is_inside
from kgan.batch.records import Record, file_of, is_done, key, read_file, settings
from kgan.batch.work import Failure, Loaded, Look, Made, Worker
from kgan.errors import UserError
from kgan.images.decoding import LIMIT, size_by_header
from kgan.images.pictures import FORMATS
from kgan.inference.stylize import SUFFIXES

FAILED = "failed"
"""The tag of failures among the outputs of a step."""

MOST_PIXELS = 2**20
"""Pixels that go through the network together, at most. A larger picture goes alone."""

NAMESPACE = "kgan"
"""The counters' namespace, which tells them from Beam's own."""

COUNTERS = DONE_COUNT, SKIPPED, FAILED_COUNT, PIXELS = "done", "skipped", "failed", "pixels"
"""Names of the pipeline's counters, in the order of the fields of `kgan.batch.run.Counts`."""


def count(name: str, number: int = 1) -> None:
    """Add to a counter of the pipeline."""
    Metrics.counter(NAMESPACE, name).inc(number)


@dataclasses.dataclass(frozen=True)
class Job:
    """Where the pictures are, where results go, and how they are made.

    Attributes:
        source: the folder of the pictures.
        sink: the folder of the results.
        look: the model and the options.
        batch_size: number of pictures that go through the network together, at most.
        limit: the largest picture in megapixels as an environment variable, or None.
    """

    source: Place
    sink: Place
    look: Look
    batch_size: int
    limit: str | None = None

    @functools.cached_property
    def settings(self) -> str:
        """All but the picture that a result depends on (`kgan.batch.records.settings`)."""
        look = self.look
        options = {"seed": look.seed, "strokes": look.strokes, "strength": look.finish.strength}
        options |= {"keep_colour": look.finish.keep_colour} | dataclasses.asdict(look.writing)
        return settings(look.fingerprint, options)

    def pictures(self, _: object) -> Iterator[tuple[bytes, tuple[bytes, int]]]:
        """Yield (name of the result, (name, bytes)) of all pictures."""
        for name, size in self.source.pictures(self.sink):
            yield self.target(name), (name, size)

    def results(self, _: object) -> Iterator[tuple[bytes, int]]:
        """Yield (name, bytes) of all files in the sink."""
        return self.sink.files()

    def record_files(self, _: object) -> Iterator[bytes]:
        """Yield the names of all files with records."""
        return (name for name, _ in self.sink.files(DONE))

    def records(self, file: bytes) -> Iterator[tuple[bytes, Record]]:
        """Yield (name of the result, record) of a file."""
        return ((record.name, record) for record in read_file(self.sink, file))

    def target(self, name: bytes) -> bytes:
        """The name of the result of a picture. It depends on nothing else, so that it stays when pictures are added.

        A result in another format than its picture has the suffix of both, as in a.gif.png.
        """
        own = pathlib.PurePath(os.fsdecode(name)).suffix
        suffix = self.look.writing.suffix(own if own.lower() in FORMATS else SUFFIXES.get(own.lower(), ".png"))
        return name if suffix == own else name + os.fsencode(suffix)


@dataclasses.dataclass(frozen=True)
class Todo:
    """A picture that may have to be restyled.

    Attributes:
        name: name in the source.
        target: name of the result in the sink.
        there: bytes of the file with the name of the result, or None.
        records: the records of this name.
    """

    name: bytes
    target: bytes
    there: int | None
    records: tuple[Record, ...]


class Plan(beam.DoFn):
    """Decides for the name of each result which picture is restyled, if any."""

    def process(self, element: tuple[bytes, dict[str, Iterable]]) -> Iterator:
        """Yield what is to do, and failures."""
        target, found = element
        pictures = sorted(found["pictures"], key=lambda each: (each[0] != target, each))
        there, records = next(iter(found["results"]), None), tuple(sorted(set(found["records"])))
        for name, _ in pictures[1:]:
            yield failure(name, f"{_shown(pictures[0][0])} has the same name of its result; rename one")
        for name, _ in pictures[:1]:
            if not is_inside(name):
                yield failure(name, "its name leads out of the folder; rename it")
            elif there is not None and not records:
                yield failure(name, f"{_shown(target)} exists in SINK, and kgan batch did not make it; move it away")
            else:
                yield Todo(name, target, there, records)


class Read(beam.DoFn):
    """Reads pictures, and leaves out those that are done."""

    def __init__(self, job: Job):
        self.job = job

    def setup(self) -> None:
        """Set the limit of megapixels in this process."""
        if self.job.limit is not None:
            os.environ.setdefault(LIMIT, self.job.limit)

    def process(self, todo: Todo) -> Iterator:
        """Yield a loaded picture, or a failure."""
        try:
            content = self.job.source.read(todo.name)
        except UserError as error:
            yield failure(todo.name, str(error))
            return
        made_of = key(content, self.job.settings)
        if is_done(self.job.sink, made_of, todo.there, todo.records):
            count(SKIPPED)
            return
        yield Loaded(todo.name, todo.target, made_of, content, math.prod(size_by_header(io.BytesIO(content))))


class Restyle(beam.DoFn):
    """Restyles batches and writes the results, with one model in a process."""

    def __init__(self, job: Job):
        self.job, self._shared = job, Shared()

    def worker(self) -> Worker:
        """The model, which is loaded once in a process."""
        return self._shared.acquire(functools.partial(Worker, self.job.look))

    def setup(self) -> None:
        """Load the model."""
        self._worker = self.worker()

    def process(self, batch: list[Loaded]) -> Iterator:
        """Yield failures."""
        made, failed = self._worker.restyle(batch)
        store(self.job.sink, made)
        count(DONE_COUNT, len(made))
        count(PIXELS, sum(each.pixels for each in made))
        for name, reason in failed:
            yield failure(name, reason)


def store(sink: Place, made: list[Made]) -> None:
    """Write results and their records. After a kill at any time, a result without a record does not exist.

    Raises:
        RunError: if one cannot be written.
    """
    if made:
        prepared = sink.prepare((each.target, each.content) for each in made)
        sink.write(*file_of(Record.of(each.target, each.key, each.content) for each in made))
        sink.finish(prepared)


def failure(name: bytes, reason: str) -> beam.pvalue.TaggedOutput:
    """A failure as an output of a step, which is counted."""
    count(FAILED_COUNT)
    return beam.pvalue.TaggedOutput(FAILED, (name, reason))


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Add all steps to a pipeline. Raises UserError if the model cannot be used."""
    restyle = Restyle(job)
    restyle.worker()
    start = pipeline | beam.Create([None])
    found = {
        "pictures": start | "List pictures" >> beam.FlatMap(job.pictures),
        "results": start | "List results" >> beam.FlatMap(job.results),
        "records": start
        | "List records" >> beam.FlatMap(job.record_files)
        | beam.Reshuffle()
        | "Read records" >> beam.FlatMap(job.records),
    }
    planned = found | beam.CoGroupByKey() | beam.ParDo(Plan()).with_outputs(FAILED, main="main")
    spread = planned.main | "Spread" >> beam.Reshuffle()
    read = spread | beam.ParDo(Read(job)).with_outputs(FAILED, main="main")
    # The size of a batch is counted in pixels. No picture counts less than a share of `1 / job.batch_size`, so that no
    # batch has more pictures.
    least = math.ceil(MOST_PIXELS / job.batch_size)
    batches = read.main | beam.BatchElements(
        MOST_PIXELS, MOST_PIXELS, element_size_fn=functools.partial(_weight, least), record_metrics=False
    )
    restyled = batches | beam.ParDo(restyle).with_outputs(FAILED, main="main")
    failed = (planned[FAILED], read[FAILED], restyled[FAILED]) | beam.Flatten()
    file = beam.io.WriteToText(job.sink.path(FAILED_FILE), shard_name_template="", num_shards=1)
    _ = failed | "As JSON" >> beam.Map(_json, job.source) | file


def _weight(least: int, loaded: Loaded) -> int:
    return min(MOST_PIXELS, max(least, loaded.pixels))


def _json(failed: Failure, source: Place) -> str:
    name, reason = failed
    return json.dumps({"picture": source.path(name), "reason": reason})


def _shown(name: bytes) -> str:
    return os.fsdecode(name)
