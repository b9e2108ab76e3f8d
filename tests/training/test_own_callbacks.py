"""Keras callbacks of the user's own, named by --callback, and those of MLflow and Weights & Biases.

One run with all of them is trained to step 4 and resumed to step 6.
"""

import contextlib
import csv
import io
import json
import pathlib
import re
import struct
import sys
import types

import pytest
import small_runs

import kgan
from kgan.errors import UserError
from kgan.runs.settings import TrainConfig
from kgan.training import own_callbacks
from kgan.training.train import train

_determinism_ends = pytest.fixture(autouse=True, scope="module")(small_runs.determinism_ends)

MODULE = """
import json
import keras

class Notes(keras.callbacks.Callback):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def note(self, *words):
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(words) + "\\n")

    def on_train_begin(self, logs=None):
        self.note("begin", self.params["epochs"], self.params["steps"], self.params["settings"]["recipe"])

    def on_epoch_begin(self, epoch, logs=None):
        self.note("epoch", epoch)

    def on_train_batch_end(self, batch, logs=None):
        self.note("batch", batch)

    def on_epoch_end(self, epoch, logs=None):
        self.note("logs", epoch, logs)

    def on_train_end(self, logs=None):
        self.note("end")

class Broken(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise ConnectionError("no tracker")

class Stops(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == 1

def unmade():
    raise OSError("no key")

def number():
    return 3
"""


TRAINING = pathlib.Path(kgan.__file__).parents[1] / "docs" / "training.md"
TRACKERS = (
    'track:in_mlflow={"experiment": "paintings", "name": "first"}',
    "track:RestInMlflow",
    'track:in_wandb={"project": "paintings", "name": "first"}',
    "track:RestInWandb",
)


@pytest.fixture(autouse=True, scope="module")
def modules(tmp_path_factory):
    """A folder with own_tracker.py and the track.py of the docs, which can be imported."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "own_tracker.py").write_text(MODULE, encoding="utf-8")
    shown = re.search(r"```python\n(# track.py\n.*?)```", TRAINING.read_text(encoding="utf-8"), re.DOTALL)
    (folder / "track.py").write_text(shown[1], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    for name in ("own_tracker", "track"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """The run, what was printed, and the files of the trackers, which write to this folder alone."""
    home = tmp_path_factory.mktemp("tracked")
    folders = {f"WANDB_{name}_DIR": str(home / name) for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT")}
    settings = {"WANDB_DIR": str(home), "WANDB_MODE": "offline", "WANDB_CONSOLE": "off", "WANDB_SILENT": "true"}
    store = {"MLFLOW_TRACKING_URI": (home / "mlruns").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
    noting = f"own_tracker:Notes={json.dumps({'path': str(home / 'notes.jsonl')})}"
    table = f"keras.callbacks:CSVLogger={json.dumps({'filename': str(home / 'table.csv')})}"
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        for name, value in {**folders, **settings, **store}.items():
            patch.setenv(name, value)
        words = (noting, "own_tracker:Broken", table, *TRACKERS, "own_tracker:Stops")
        run = home / "run"
        train(small_runs.settings(run, log_every=2, sample_every=4, checkpoint_every=3, callback=words))
        stored = json.loads((run / "config.json").read_text(encoding="utf-8"))["callback"]
        train(TrainConfig(run=str(run), resume=True, callback=(noting, *TRACKERS)))
        yield types.SimpleNamespace(home=home, run=run, said=said.getvalue(), stored=stored)


def epochs(run):
    """What was logged at the steps at which epochs end."""
    logged = {line["step"]: line for line in small_runs.lines(run)}
    return [logged[step] for step in (2, 4, 6)]


@pytest.mark.long
def test_an_interval_is_an_epoch_and_a_resumed_run_goes_on(tracked):
    assert tracked.said.count("own_tracker:Broken: failed in on_epoch_end (ConnectionError: no tracker)") == 1
    assert tracked.said.count("failed in") == 1
    assert "stopped at step 4 of 6" in tracked.said
    assert tracked.stored == []

    noted = [json.loads(line) for line in (tracked.home / "notes.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [words[:2] for words in noted] == [
        *(["begin", 3], ["epoch", 0], ["batch", 0], ["batch", 1], ["logs", 0]),
        *(["epoch", 1], ["batch", 0], ["batch", 1], ["logs", 1], ["end"]),
        *(["begin", 3], ["epoch", 2], ["batch", 0], ["batch", 1], ["logs", 2], ["end"]),
    ]
    assert noted[0][2:] == [2, "mmd"]
    logs = {epoch: values for word, epoch, values in (words for words in noted if words[0] == "logs")}
    for epoch, line in enumerate(epochs(tracked.run)):
        assert {"step": line["step"], **logs[epoch]} == pytest.approx(line, abs=6e-7, rel=0)  # the log has six digits
    assert ["content_psnr" in logs[epoch] for epoch in range(3)] == [False, True, True]
    rows = list(csv.DictReader((tracked.home / "table.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert float(rows[0]["mmd_loss"]) == pytest.approx(epochs(tracked.run)[0]["mmd_loss"], rel=1e-5)


@pytest.mark.long
def test_mlflow_has_settings_losses_metrics_and_grids_in_one_run(tracked):
    import mlflow

    client = mlflow.MlflowClient()
    (experiment,) = client.search_experiments(filter_string="name = 'paintings'")
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("first", "FINISHED")
    assert {name: found.data.params[name] for name in ("recipe", "size", "steps")} == {
        "recipe": "mmd",
        "size": "16",
        "steps": "6",
    }
    assert found.data.params["optimizer_name"].startswith("adam")  # by MLflow's own callback
    for name, steps in {"mmd_loss": [0, 1, 2], "content_psnr": [1, 2]}.items():
        history = client.get_metric_history(found.info.run_id, name)
        assert [each.step for each in history] == steps
        assert [each.value for each in history] == pytest.approx(
            [epochs(tracked.run)[k][name] for k in steps], abs=1e-6
        )
    grids = {pathlib.PurePath(file.path).name for file in client.list_artifacts(found.info.run_id, "samples")}
    assert grids == {path.name for path in (tracked.run / "samples").iterdir()}
    assert len(grids) >= 3


def records(path):
    """The records of a file of W&B, which has the format of LevelDB's log after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, parts = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if -place % 32768 < 7:  # the end of a block has no room for a header
            place += -place % 32768
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(parts)
            parts = b""


@pytest.mark.long
def test_wandb_has_settings_losses_metrics_and_grids_under_one_name(tracked):
    parts = [list(records(path)) for path in sorted((tracked.home / "wandb").glob("offline-run-*/run-first.wandb"))]
    assert len(parts) == 2
    history = []
    for part in parts:
        runs = [each.run for each in part if each.WhichOneof("record_type") == "run"]
        assert {(run.project, run.run_id) for run in runs} == {("paintings", "first")}
        settings = {item.key: item.value_json for each in part for item in each.config.update}
        assert (settings["recipe"], settings["size"]) == ('"mmd"', "16")
        for each in part:
            row = {item.key or "/".join(item.nested_key): item.value_json for item in each.history.item}
            history += [row] if "epoch/epoch" in row else []
    assert [row["epoch/epoch"] for row in history] == ["0", "1", "2"]
    for row, line in zip(history, epochs(tracked.run), strict=True):
        assert float(row["epoch/mmd_loss"]) == pytest.approx(line["mmd_loss"], abs=1e-6)
        assert ("epoch/content_psnr" in row) == ("content_psnr" in line)
    grids = {path.name.partition("_")[0] for path in tracked.home.glob("wandb/*/files/media/images/samples/*.png")}
    assert grids == {path.stem for path in (tracked.run / "samples").iterdir()}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("nowhere:Notes", "No module named 'nowhere'"),
        ("own_tracker:Nothing", "no attribute 'Nothing'"),
        ("own_tracker", "no attribute ''"),
        ("own_tracker:Notes", "cannot be made .TypeError"),
        ("own_tracker:unmade", "cannot be made .OSError: no key"),
        ("own_tracker:number", "should make a keras.callbacks.Callback. Received: int"),
        ("own_tracker:Notes={path}", "are not JSON"),
        ("own_tracker:Notes=[1]", "should be a JSON object"),
    ],
)
def test_what_is_no_callback_is_refused(word, message):
    with pytest.raises(UserError, match=message):
        own_callbacks.load([word])


def test_a_wrong_callback_leaves_no_run(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        train(small_runs.settings(tmp_path / "run", callback=("nowhere:Notes",)))
    assert not (tmp_path / "run").exists()
