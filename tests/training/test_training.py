"""A complete run folder: its files, when they are written, and a second call."""

import dataclasses
import re

import numpy as np
import pytest
import small_runs
import tensorflow as tf
from gan_runs import eagerly
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import kgan
from kgan import cli
from kgan.errors import RunError, UserError
from kgan.evaluation import sets
from kgan.evaluation.evaluate import evaluate
from kgan.evaluation.networks import NETWORKS
from kgan.runs import run_folder
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig
from kgan.training.train import train

_determinism_ends = pytest.fixture(autouse=True)(small_runs.determinism_ends)


@pytest.fixture(scope="module")
def finished():
    """A paired run of 7 steps, logged every 5 and saved every 4, with grids every 3."""
    intervals = {"steps": 7, "log_every": 5, "checkpoint_every": 4, "sample_every": 3, "weight": ("features=0",)}
    return train(small_runs.settings(small_runs.home() / "finished", recipe="paired", **intervals))


def same_numbers(run, tmp_path, monkeypatch):
    """Numbers in the last line and in the report are equal, up to the six digits of the line."""
    monkeypatch.setattr(sets, "RESAMPLES", 2)
    reported = evaluate(run, output=tmp_path / "numbers.json", networks="mobilenet")["rows"]["model"]
    logged = small_runs.lines(run)[-1]
    names = reported.keys() & logged.keys()
    assert {name: logged[name] for name in names} == {
        name: pytest.approx(reported[name]["value"], abs=6e-7, rel=0) for name in names
    }
    whole = {name for name in reported.keys() - names if not name.endswith(NETWORKS)}  # those need whole sets
    assert whole == {"no_effect"}
    assert not [name for name in logged.keys() - names if not name.endswith("_loss") and name != "step"]


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_noise_is_scored_as_evaluate_does(tmp_path, monkeypatch, precision):
    # Stopped before the end, so that nothing is exported: TestFinishedRun compares the exported model.
    brief = {"stop_after": 2, "weight": ("features=0",), "precision": precision, "seed": 5}
    with eagerly():
        run = train(small_runs.settings(tmp_path / "run", recipe="article", **brief))
    same_numbers(run, tmp_path, monkeypatch)


@pytest.mark.slow
class TestFinishedRun:
    def test_settings(self, finished):
        saved = TrainConfig.load(finished / "config.json")
        assert (saved.recipe, saved.steps, saved.devices) == ("paired", 7, 1)
        assert (saved.run, saved.resume, saved.stop_after) == (None, False, None)

    def test_a_line_for_every_interval(self, finished):
        lines = small_runs.lines(finished)
        assert [line["step"] for line in lines] == [0, 3, 4, 5, 6, 7]
        losses = {"pixel_loss", "adversarial_loss", "discriminator_loss"}
        metrics = {"truth_ssim", "truth_psnr", "truth_mse"}
        assert all(line.keys() >= losses for line in lines[1:])
        assert [line["step"] for line in lines if line.keys() >= metrics] == [0, 3, 6, 7]
        assert np.isfinite([value for line in lines for value in line.values()]).all()

    def test_the_last_line_is_what_evaluate_reports(self, finished, tmp_path, monkeypatch):
        same_numbers(finished, tmp_path, monkeypatch)

    def test_checkpoints(self, finished):
        assert sorted(path.stem for path in (finished / "checkpoints").glob("*.index")) == [
            "ckpt-0",
            "ckpt-4",
            "ckpt-7",
        ]

    def test_grids(self, finished):
        assert sorted(path.name for path in (finished / "samples").iterdir()) == [
            f"step-{step:07d}.png" for step in (0, 3, 6, 7)
        ]
        grid = np.asarray(Image.open(finished / "samples" / "step-0000007.png"))
        # Three test pictures, a row each: content, stylized, truth of 16 x 16 with gutters of 2.
        assert grid.shape == (3 * 16 + 2 * 2, 3 * 16 + 2 * 2, 3)

    def test_tensorboard(self, finished):
        events = EventAccumulator(str(finished / "tensorboard"), {"tensors": 0})
        events.Reload()
        tags = set(events.Tags()["tensors"])
        assert {"losses/pixel_loss", "metrics/truth_ssim", "samples"} <= tags
        assert [event.step for event in events.Tensors("losses/pixel_loss")] == [3, 4, 5, 6, 7]
        assert [event.step for event in events.Tensors("samples")] == [0, 3, 6, 7]
        last = float(tf.make_ndarray(events.Tensors("losses/pixel_loss")[-1].tensor_proto))
        assert last == pytest.approx(small_runs.lines(finished)[-1]["pixel_loss"], abs=1e-5)

    def test_exports(self, finished):
        picture = np.random.default_rng(0).integers(0, 256, (19, 33, 3), np.uint8)
        models = [kgan.load(finished / name) for name in ("", "saved_model", "model.tflite", "model_float16.tflite")]
        first, *others = (model(picture).astype(int) for model in models)
        for other in others:
            assert np.abs(first - other).max() <= 2

    def test_nothing_else(self, finished):
        assert {path.name for path in finished.iterdir()} == {
            "config.json", "pictures.txt", "checkpoints", "metrics.jsonl", "samples", "tensorboard", "saved_model",
            "model.tflite", "model_float16.tflite", "model.safetensors",
        }  # fmt: skip

    def test_resuming_it_does_nothing(self, finished, capsys):
        before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
        train(resuming(finished))
        assert "has reached step 7 and is exported already" in capsys.readouterr().err
        assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before

    @pytest.mark.long
    def test_resuming_it_writes_a_missing_export(self, finished, capsys):
        (finished / "model.tflite").unlink()
        train(resuming(finished))
        assert "done" in capsys.readouterr().err
        assert (finished / "model.tflite").exists()

    def test_a_new_run_must_not_take_its_folder(self, finished):
        with pytest.raises(UserError, match="exists already"):
            train(small_runs.settings(finished, recipe="paired"))

    def test_a_changed_flag_is_refused(self, finished, capsys):
        assert cli.main(["train", "--run", str(finished), "--resume", "--batch-size", "8"]) == 2
        assert "--batch-size 8: this run was started with 4" in capsys.readouterr().err

    def test_another_run_starts_from_it_and_one_that_differs_is_refused(self, finished, tmp_path):
        config = small_runs.settings(
            tmp_path / "new", recipe="paired", filters=8, init_from=str(finished), weight=("features=0",)
        )
        with pytest.raises(UserError, match="its generator differs from this run's"):
            train(config)
        with pytest.raises(UserError, match=r"init_from .*is no model"):
            train(dataclasses.replace(config, init_from=str(tmp_path)))
        assert not (tmp_path / "new").exists()


def resuming(run):
    return dataclasses.replace(TrainConfig.load(run / "config.json"), run=str(run), resume=True)


def test_two_processes_must_not_share_a_run(tmp_path, finished):
    with RunFolder(finished).locked(), pytest.raises(UserError, match="another process is training there"):
        train(resuming(finished))


class TestFailures:
    """The command line's `main` is used, so that a traceback would be visible."""

    @pytest.mark.long
    def test_losses_that_become_nan(self, tmp_path, capsys):
        config = small_runs.settings(
            tmp_path / "run",
            weight=("features=0",),
            generator_optimizer="sgd",
            learning_rate=2e9,
            norm="none",
            log_every=4,
        )
        with eagerly():
            assert cli.main(small_runs.arguments(config)) == 1
        said = capsys.readouterr().err.splitlines()[-1]
        # Step 1 is computed with the first weights, step 2 with what one update has made of them. Saved every 3.
        assert re.search(
            r"error: (ssim|mmd)_loss became NaN or infinite at step 2; the checkpoint of step 0 is good", said
        )
        assert [path.name for path in (tmp_path / "run" / "checkpoints").glob("*.index")] == ["ckpt-0.index"]
        first = small_runs.weights(tmp_path / "run", 0)
        assert all(np.isfinite(value).all() for value in first.values() if value.dtype.kind == "f")

    @pytest.mark.long
    def test_a_disk_that_fills_up(self, tmp_path, capsys):
        small_runs.mount(tmp_path / "disk", kilobytes=3000)
        try:
            config = small_runs.settings(
                tmp_path / "disk" / "run", steps=99, checkpoint_every=1, keep_checkpoints=99, weight=("features=0",)
            )
            assert cli.main(small_runs.arguments(config)) == 1
            error = capsys.readouterr().err.splitlines()[-1]
            step = int(re.search(r"step (\d+) could not be written .*No space left.* --resume$", error)[1])
            assert small_runs.weights(tmp_path / "disk" / "run", step - 1)
            assert len(small_runs.lines(tmp_path / "disk" / "run")) == step + 1
        finally:
            small_runs.unmount(tmp_path / "disk")

    @pytest.mark.long
    def test_a_disk_that_is_full(self, tmp_path, capsys):
        small_runs.mount(tmp_path / "disk", kilobytes=64)
        try:
            (tmp_path / "disk" / "full").write_bytes(bytes(64 * 1024))
            with pytest.raises(RunError, match=r"cannot be written .No space left"):
                run_folder.create(small_runs.settings(tmp_path / "disk" / "run"))
            assert [path.name for path in (tmp_path / "disk").iterdir()] == ["full"]
        finally:
            small_runs.unmount(tmp_path / "disk")
