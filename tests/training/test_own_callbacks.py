"""Keras callbacks of the user's own, named by --callback."""

import csv
import json

import pytest
import small_runs

from kgan.errors import UserError
from kgan.runs.settings import TrainConfig
from kgan.training import own_callbacks
from kgan.training.train import train

_determinism_ends = pytest.fixture(autouse=True)(small_runs.determinism_ends)

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


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "own_tracker.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def test_an_interval_is_an_epoch_and_a_resumed_run_goes_on(tmp_path, capsys, caplog):
    run, notes = tmp_path / "run", tmp_path / "notes.jsonl"
    noting = f"own_tracker:Notes={json.dumps({'path': str(notes)})}"
    table = f"keras.callbacks:CSVLogger={json.dumps({'filename': str(tmp_path / 'table.csv')})}"
    words = (noting, "own_tracker:Broken", table, "own_tracker:Stops")
    train(small_runs.settings(run, log_every=2, sample_every=4, checkpoint_every=3, callback=words))
    assert caplog.text.count("own_tracker:Broken: failed in on_epoch_end (ConnectionError: no tracker)") == 1
    assert "stopped at step 4 of 6" in capsys.readouterr().err
    assert json.loads((run / "config.json").read_text(encoding="utf-8"))["callback"] == []
    train(TrainConfig(run=str(run), resume=True, callback=(noting,)))

    noted = [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()]
    assert [words[:2] for words in noted] == [
        *(["begin", 3], ["epoch", 0], ["batch", 0], ["batch", 1], ["logs", 0]),
        *(["epoch", 1], ["batch", 0], ["batch", 1], ["logs", 1], ["end"]),
        *(["begin", 3], ["epoch", 2], ["batch", 0], ["batch", 1], ["logs", 2], ["end"]),
    ]
    assert noted[0][2:] == [2, "mmd"]
    logged = {line["step"]: line for line in small_runs.lines(run)}
    logs = {epoch: values for word, epoch, values in (words for words in noted if words[0] == "logs")}
    for epoch, step in enumerate((2, 4, 6)):
        assert {"step": step, **logs[epoch]} == pytest.approx(logged[step], abs=6e-7, rel=0)  # the log has six digits
    assert ["content_psnr" in logs[epoch] for epoch in range(3)] == [False, True, True]
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert float(rows[0]["mmd_loss"]) == pytest.approx(logged[2]["mmd_loss"], rel=1e-5)


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
