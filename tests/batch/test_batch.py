"""`kgan batch`: real pipelines in this process, on folders and on a file system in memory, killed and started again."""

import collections
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from icc_profiles import P3
from memory_files import FILES
from odd_names import odd_name
from PIL import Image
from small_models import make_run
from small_runs import Process

import kgan
from kgan import cli, locks
from kgan.assembly import build_generator
from kgan.batch import pipeline, places, records
from kgan.batch.places import DONE, OWN, PARTIAL, Place, is_inside
from kgan.batch.records import Record, is_done
from kgan.batch.run import batch, failing
from kgan.batch.work import Loaded, Look, Worker
from kgan.errors import RunError, UserError
from kgan.images.pictures import Writing
from kgan.inference.stylize import Finish
from kgan.runs import recipes
from kgan.runs.models import resolve_model
from kgan.runs.settings import TrainConfig


def make_model(folder, **settings):
    config = recipes.resolve(TrainConfig(**{"data": "sample", "filters": 4, "blocks": 1, "size": 32, **settings}))
    generator = build_generator(config)
    for variable in generator.trainable_variables:  # an untrained one changes nothing
        variable.assign_add(tf.random.stateless_normal(variable.shape, [1, 2], stddev=0.1))
    return make_run(folder, generator, config)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "run")


def noise(height, width, channels=3, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(values[..., 0] if channels == 1 else values)


def fill(folder):
    """Pictures of several kinds and sizes, bad ones, and files that are no pictures."""
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    exif = Image.Exif()
    exif[0x0112], exif[0x8298] = 6, "Ann 2024"
    noise(40, 30).save(folder / "turned.jpg", exif=exif, icc_profile=P3, quality=90)
    for seed in range(6):
        noise(24, 32, seed=seed).save(folder / "deep" / f"{seed}.png")
    noise(24, 32, 4).save(folder / "deep" / "er" / "clear.PNG")
    noise(24, 32, 1).save(folder / "gray.webp", lossless=True)
    noise(20, 20).save(folder / "moving.gif")
    noise(20, 20).save(folder / "moving.png")
    noise(20, 20).save(folder / "both.gif")
    noise(20, 20).save(folder / "both.gif.png")
    noise(20, 20).save(folder / "theirs.png")
    noise(100, 100).save(folder / "large.png")
    odd_name(folder)
    (folder / "broken.jpg").write_bytes((folder / "turned.jpg").read_bytes()[:300])
    (folder / "text.png").write_text("no picture", encoding="utf-8")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    (folder / "notes.txt").write_text("no picture either", encoding="utf-8")
    noise(8, 8).save(folder / ".hidden" / "a.png")
    os.mkfifo(folder / "pipe.png")


GOOD = 13
BAD = {
    "broken.jpg": "damaged or truncated",
    "text.png": "not a JPEG, PNG, WebP or GIF picture",
    "phone.heic": "HEIC is not read",
    "pipe.png": "is a pipe, not a file",
    "large.png": "the limit is 0.005",
    "both.gif": "both.gif.png has the same name of its result",
    "theirs.png": "theirs.png exists in SINK, and kgan batch did not make it",
}
LIMITED = {"max_megapixels": 0.005}


def difference(one, other):
    """The largest difference of two files' values. In another batch, a value may be rounded to another level."""
    if one == other:
        return 0
    values = (np.asarray(Image.open(io.BytesIO(content))).astype(int) for content in (one, other))
    return np.abs(np.subtract(*values)).max()


def failures(sink):
    return {
        pathlib.Path(line["picture"]).name: line["reason"]
        for line in map(json.loads, (sink / "failed.jsonl").read_text(encoding="utf-8").splitlines())
    }


def results(sink):
    """The contents of all files that are not hidden, by name."""
    found = [path for path in sink.rglob("*") if path.is_file() and OWN not in path.parts]
    return {str(path.relative_to(sink)): path.read_bytes() for path in found if path.name != "failed.jsonl"}


@pytest.fixture(scope="module")
def done(model, tmp_path_factory):
    """(source, sink, what the command printed) after a first run."""
    folder = tmp_path_factory.mktemp("batch")
    source, sink = folder / "source", folder / "sink"
    fill(source)
    sink.mkdir()
    (sink / "theirs.png").write_bytes(b"theirs")
    words = ["batch", str(source), str(sink), "--model", str(model), "--batch-size", "4", "--max-megapixels", "0.005"]
    with pytest.MonkeyPatch.context() as patch:
        told = io.StringIO()
        patch.setattr(sys, "stdout", told)
        assert cli.main(words) == 2
    return source, sink, told.getvalue()


# --- one run ----------------------------------------------------------------------------------------------------------


def test_results_are_those_of_stylize(done, model, tmp_path):
    source, sink, _ = done
    with pytest.raises(UserError, match="could not be restyled"):
        kgan.stylize(source, model, tmp_path, **LIMITED)
    made = results(sink)
    assert made.pop("theirs.png") == b"theirs"
    assert len(made) == GOOD
    for name, content in made.items():
        # A GIF with a namesake is named like that by stylize, too.
        with Image.open(tmp_path / name) as expected, Image.open(io.BytesIO(content)) as found:
            assert (found.size, found.mode, found.format) == (expected.size, expected.mode, expected.format)
            assert found.info.get("icc_profile") == expected.info.get("icc_profile")
            assert dict(found.getexif()) == dict(expected.getexif())
        # JPEG may spread a difference of one level.
        assert difference(content, (tmp_path / name).read_bytes()) <= (3 if name.endswith("jpg") else 1), name


def test_counters_and_failures(done):
    _, sink, told = done
    assert told.startswith(f"done {GOOD}, skipped 0, failed {len(BAD)}; 0.0 megapixels in ")
    found = failures(sink)
    assert found.keys() == BAD.keys()
    for name, reason in BAD.items():
        assert reason in found[name]


def test_a_second_run_does_what_changed(done, model):
    """A picture with another content, a result that was removed, one that was cut, and a new picture."""
    source, sink, _ = done
    before, times = results(sink), {path: path.stat().st_mtime_ns for path in sink.rglob("*") if path.is_file()}
    noise(24, 32, seed=9).save(source / "deep" / "0.png")
    (sink / "deep" / "1.png").unlink()
    (sink / "deep" / "2.png").write_bytes(before["deep/2.png"][:-1])
    noise(20, 20, seed=10).save(source / "new.png")
    counts = batch(str(source), str(sink), model, **LIMITED)
    assert dataclasses.astuple(counts)[:4] == (4, GOOD - 3, len(BAD), 3 * 24 * 32 + 20 * 20)
    after = results(sink)
    assert after.keys() == before.keys() | {"new.png"}
    assert {name for name in before if difference(after[name], before[name]) > 1} == {"deep/0.png"}
    again = {path for path, at in times.items() if not path.exists() or path.stat().st_mtime_ns != at}
    assert again == {sink / "failed.jsonl", *(sink / "deep" / f"{number}.png" for number in range(3))}


def test_a_bucket(model, tmp_path):
    """All of it in memory://: pictures, model and results. Names that would leave the folder are refused."""
    FILES.clear()
    content = io.BytesIO()
    noise(20, 20).save(content, "PNG")
    for name in ("a.png", "b/c.png", "b/../../up.png", "/abs.png", "b//d.png", ".hidden.png", "out/old.png", "x.txt"):
        FILES[f"memory://bucket/in/{name}"] = content.getvalue()
    for path in model.rglob("*"):
        if path.is_file():
            FILES[f"memory://bucket/model/{path.relative_to(model)}"] = path.read_bytes()
    folders = "memory://bucket/in", "memory://bucket/in/out/"
    counts = batch(*folders, "memory://bucket/model")
    assert (counts.done, counts.skipped, counts.failed) == (2, 0, 3)
    made = {name.removeprefix("memory://bucket/in/out/") for name in FILES if "/in/out/" in name and OWN not in name}
    assert made == {"a.png", "b/c.png", "failed.jsonl", "old.png"}
    assert not [name for name in FILES if PARTIAL in name]
    lines = FILES["memory://bucket/in/out/failed.jsonl"].decode().splitlines()
    assert {json.loads(line)["reason"] for line in lines} == {"its name leads out of the folder; rename it"}
    assert Image.open(io.BytesIO(FILES["memory://bucket/in/out/b/c.png"])).size == (20, 20)
    sink = Place.of(folders[1])
    (known,) = (set(records.read_file(sink, name)) for name, _ in sink.files(DONE))
    assert {record.name: record.size for record in known} == {
        b"a.png": len(FILES["memory://bucket/in/out/a.png"]),
        b"b/c.png": len(FILES["memory://bucket/in/out/b/c.png"]),
    }


def test_noise_does_not_depend_on_the_neighbours(tmp_path):
    noisy = make_model(tmp_path / "noisy", recipe="article")
    content = io.BytesIO()
    noise(16, 16).save(content, "PNG")
    look = Look(str(noisy), resolve_model(noisy).fingerprint, Writing(), seed=3)
    loaded = [Loaded(name, name, "key", content.getvalue(), 256) for name in (b"a.png", b"b.png", b"c.png")]
    made, failed = Worker(look).restyle(loaded)
    assert not failed
    assert [each.target for each in made] == [b"a.png", b"b.png", b"c.png"]
    expected = kgan.load(noisy)(np.asarray(noise(16, 16)), seed=3)
    for each in made:
        found = np.asarray(Image.open(io.BytesIO(each.content)))
        assert np.abs(found.astype(int) - expected).max() <= 1


def test_every_option_that_changes_results_makes_them_anew(model):
    look = Look("model", "print", Writing())
    others = [
        dataclasses.replace(look, **change)
        for change in (
            {"fingerprint": "another"},
            {"writing": Writing("png")},
            {"writing": Writing(quality=50)},
            {"writing": Writing(strip_metadata=True)},
            {"seed": 1},
            {"strokes": 2.0},
            {"finish": Finish(strength=0.5)},
            {"finish": Finish(keep_colour=True)},
        )
    ]
    made = {pipeline.Job(Place("/in"), Place("/out"), each, 4).settings for each in (look, *others)}
    assert len(made) == 1 + len(others)
    same = dataclasses.replace(look, memory=1e9, trust=True, model="elsewhere")
    assert pipeline.Job(Place("/a"), Place("/b"), same, 9).settings in made


def test_another_model_on_a_worker(model):
    with pytest.raises(RunError, match="is another model on this worker"):
        Worker(Look(str(model), "0" * 64, Writing()))


# --- what is wrong before any work ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "sink", "options", "expected"),
    [
        ("nowhere", "sink", {}, "no such folder"),
        ("source", "source", {}, "the results would replace pictures"),
        ("source/deep", "source", {}, "the results would replace pictures"),
        ("gs://bucket/a", "sink", {}, r"pip install 'apache-beam\[gcp\]'"),
        ("s3://bucket/a", "sink", {}, r"pip install 'apache-beam\[aws\]'"),
        ("memory://none", "sink", {}, "no files there"),
        ("memory://a[b]", "sink", {}, "takes for a pattern"),
        ("source", "sink", {"runner": "dataflow"}, "Dataflow's workers do not see"),
        ("source", "sink", {"runner": "prism"}, "runner should be one of direct, dataflow, flink, spark"),
        ("source", "sink", {"runner_option": ["region"]}, "should be NAME=VALUE"),
        ("source", "sink", {"runner_option": ["=x"]}, "should be NAME=VALUE"),
        ("source", "../file", {}, "file: is no folder; name another SINK"),
        ("source", "sink", {"batch_size": 0}, "batch_size should be at least 1"),
        ("source", "sink", {"strength": 2.0}, "strength should be from 0 to 1"),
        ("source", "sink", {"model": "nowhere"}, "no model there"),
    ],
)
def test_wrong_words_write_nothing(model, tmp_path, monkeypatch, source, sink, options, expected):
    here = tmp_path / "here"
    (here / "source" / "deep").mkdir(parents=True)
    (tmp_path / "file").touch()
    monkeypatch.chdir(here)
    with pytest.raises(UserError, match=expected):
        batch(source, sink, **{"model": model, **options})
    assert os.listdir(here) == ["source"]
    assert os.listdir(here / "source") == ["deep"]


def test_a_model_without_content_writes_nothing(tmp_path):
    dreamer = make_model(tmp_path / "dreamer", recipe="synthesis", data=None, style="paintings")
    (tmp_path / "source").mkdir()
    with pytest.raises(UserError, match="makes pictures from noise alone"):
        batch(str(tmp_path / "source"), str(tmp_path / "sink"), dreamer)
    assert sorted(os.listdir(tmp_path)) == ["dreamer", "source"]


def test_without_beam(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    assert cli.main(["batch", str(tmp_path), str(tmp_path / "sink"), "--model", "vangogh"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "kgan: error: kgan batch needs Apache Beam, which is not installed: pip install 'kgan[batch]'"
    ]


def test_one_run_at_a_time(model, tmp_path):
    (tmp_path / "source").mkdir()
    with pytest.raises(UserError, match="another kgan batch is writing there"), _locked(tmp_path / "sink"):
        batch(str(tmp_path / "source"), str(tmp_path / "sink"), model)


def _locked(sink):
    (sink / OWN).mkdir(parents=True)
    return locks.locked(sink / OWN / "lock")


def test_a_link_to_nothing_is_listed_so_that_it_fails(tmp_path):
    (tmp_path / "a.png").symlink_to("nothing")
    place = Place(str(tmp_path))
    assert list(place.pictures(Place(str(tmp_path / "sink")))) == [(b"a.png", 0)]
    with pytest.raises(UserError, match="cannot be read"):
        place.read(b"a.png")


@pytest.mark.parametrize("url", [False, True], ids=["folder", "bucket"])
def test_what_beam_leaves_after_an_error_is_removed(tmp_path, url):
    FILES.clear()
    sink = Place("memory://bucket/sink" if url else str(tmp_path))
    for name in ("beam-temp-failed.jsonl-1/0.jsonl", "beam-temp-mine/a.jsonl", "a.png", f"{PARTIAL}/1"):
        sink.write(name, b"content")
    sink.sweep()
    assert sorted(name for name, _ in sink.files()) == [b"a.png", b"beam-temp-mine/a.jsonl"]
    assert url or not (tmp_path / "beam-temp-failed.jsonl-1").exists()


# --- records ----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


@pytest.mark.parametrize("survives", range(8))
def test_a_kill_at_any_moment_leaves_whole_files_with_records(tmp_path, monkeypatch, survives):
    """The process ends at the n-th change of the file system, for every n."""
    sink = Place(str(tmp_path))
    made = [pipeline.Made(b"a.png", "new", b"new content", 1), pipeline.Made(b"b/c.png", "new", b"more", 1)]
    (tmp_path / "a.png").write_bytes(b"old content")  # of the same length
    sink.write(*records.file_of([Record.of(b"a.png", "old", b"old content")]))
    left = iter(range(survives))
    for name in ("rename", "replace", "open"):
        monkeypatch.setattr(os, name, _until_killed(left, getattr(os, name)))
    original = places.FileSystems.create
    monkeypatch.setattr(places.FileSystems, "create", _until_killed(left, original))
    with contextlib.suppress(Killed):
        pipeline.store(sink, made)
    monkeypatch.undo()
    known = collections.defaultdict(list)
    for name, _ in sink.files(DONE):
        for record in records.read_file(sink, name):
            known[record.name].append(record)
    for each in made:
        path = tmp_path / os.fsdecode(each.target)
        content = path.read_bytes() if path.exists() else None
        assert content in (each.content, b"old content" if each.target == b"a.png" else None)  # never a part
        size = None if content is None else len(content)
        # It counts as done if and only if the file is the new one, which never comes without its record.
        assert is_done(sink, "new", size, known[each.target]) == (content == each.content)
        assert is_done(sink, "old", size, known[each.target]) == (content == b"old content")
    sink.sweep()
    assert not list(sink.files(PARTIAL))


def _until_killed(left, function):
    def called(*args, **more):
        if next(left, None) is None:
            raise Killed
        return function(*args, **more)

    return called


def test_is_done_needs_the_size_and_the_key(tmp_path):
    sink, record = Place(str(tmp_path)), Record.of(b"a.png", "key", b"four")
    assert is_done(sink, "key", 4, [record])
    assert not is_done(sink, "other", 4, [record])
    assert not is_done(sink, "key", 5, [record])
    assert not is_done(sink, "key", None, [record])
    assert not is_done(sink, "key", 4, [])
    assert record.checksum == hashlib.sha256(b"four").hexdigest()


def test_a_damaged_record_is_told(tmp_path):
    sink = Place(str(tmp_path))
    sink.write(f"{DONE}/a.jsonl", b'["a.png", "key"')
    with pytest.raises(UserError, match=r"a\.jsonl: is damaged .* delete it"):
        list(records.read_file(sink, f"{DONE}/a.jsonl".encode()))


def test_fingerprints_are_of_the_model_alone(model, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    (copy / "metrics.jsonl").write_text("{}", encoding="utf-8")
    before = resolve_model(model).fingerprint
    assert resolve_model(copy).fingerprint == before
    (weights,) = (copy / "checkpoints").glob("ckpt-3.data*")
    content = bytearray(weights.read_bytes())
    content[100] ^= 1
    weights.write_bytes(content)
    assert resolve_model(copy).fingerprint != before
    prints = {name: resolve_model(name).fingerprint for name in ("vangogh", "ukiyoe", "vangogh-mobile")}
    assert len(set(prints.values())) == 3


@pytest.mark.parametrize(
    ("name", "format", "expected"),
    [
        ("a.jpg", None, "a.jpg"),
        ("d/a.JPEG", None, "d/a.JPEG"),
        ("a.jfif", None, "a.jfif.jpg"),
        ("a.gif", None, "a.gif.png"),
        ("a.png", "jpeg", "a.png.jpg"),
        ("a.jpeg", "jpeg", "a.jpeg"),
        ("a.webp", "webp-lossless", "a.webp"),
    ],
)
def test_names_of_results(name, format, expected):
    look = Look("model", "print", Writing(format))
    job = pipeline.Job(Place("/in"), Place("/out"), look, 4)
    assert job.target(name.encode()) == expected.encode()


def test_names_that_lead_out():
    assert all(map(is_inside, (b"a", b"a/b", b"..a/b..", "é".encode(), b"caf\xe9")))
    assert not any(map(is_inside, (b"", b"/a", b"a/", b"..", b"a/../b", b"./a", b"a\0b")))


@pytest.mark.parametrize(
    ("error", "kind", "expected"),
    [
        (
            RunError("a.png: cannot be written [while running 'ParDo(Restyle)']"),
            RunError,
            "a.png: cannot be written. What",
        ),
        (RuntimeError("Traceback\n  File\nKeyError: 1 [while running 'x']\n\n"), RunError, "failed: KeyError: 1. What"),
        (RuntimeError("KeyboardInterrupt [while running 'x']"), KeyboardInterrupt, "^$"),
    ],
)
def test_errors_of_beam_are_one_line(error, kind, expected):
    with pytest.raises(kind, match=expected) as caught, failing():
        raise error
    assert "\n" not in str(caught.value)


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_killed_and_started_again(model, tmp_path):
    """Every picture is done exactly once, whenever the process dies."""
    source, sink, count = tmp_path / "source", tmp_path / "sink", 300
    source.mkdir()
    for seed in range(count):
        noise(16, 16, seed=seed).save(source / f"{seed}.png", compress_level=0)
    words = ["batch", str(source), str(sink), "--model", str(model), "--batch-size", "4"]
    process = Process(words)
    end = time.monotonic() + 120
    while len(list((sink / DONE).glob("*"))) < 10:
        assert time.monotonic() < end, process.output
        time.sleep(0.01)
    process.send(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = results(sink)
    assert 36 <= len(before) < count
    for content in before.values():
        Image.open(io.BytesIO(content)).load()
    counts = batch(str(source), str(sink), model, batch_size=4)
    assert (counts.done + counts.skipped, counts.failed) == (count, 0)
    assert counts.skipped == len(before)
    after = results(sink)
    assert len(after) == count
    assert all(after[name] == content for name, content in before.items())
    assert not list((sink / PARTIAL).iterdir())
