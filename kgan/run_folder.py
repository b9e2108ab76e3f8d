"""A run: the folder with everything that one training wrote. No TensorFlow here."""

import dataclasses
import json
import pathlib

from kgan.config import TrainConfig
from kgan.errors import UserError

PER_CALL = ("run", "resume", "stop_after")
"""Settings of one call, not of the run: they may differ when a run goes on."""


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Paths inside a run folder, and what is kept there as text."""

    path: pathlib.Path

    @property
    def config_file(self) -> pathlib.Path:
        return self.path / "config.json"

    @property
    def checkpoints(self) -> pathlib.Path:
        return self.path / "checkpoints"

    @property
    def metrics_file(self) -> pathlib.Path:
        return self.path / "metrics.jsonl"

    @property
    def samples(self) -> pathlib.Path:
        return self.path / "samples"

    @property
    def tensorboard(self) -> pathlib.Path:
        return self.path / "tensorboard"

    @property
    def saved_model(self) -> pathlib.Path:
        return self.path / "saved_model"

    def litert(self, half: bool) -> pathlib.Path:
        return self.path / ("model_float16.tflite" if half else "model.tflite")

    def trim_metrics(self, step: int) -> None:
        """Forget lines past `step`: a resumed run writes them again."""
        if not self.metrics_file.exists():
            return
        lines = self.metrics_file.read_text().splitlines()
        kept = [line for line in lines if (at := _step_of(line)) is not None and at <= step]
        partial = self.metrics_file.with_suffix(".partial")
        partial.write_text("".join(f"{line}\n" for line in kept))
        partial.replace(self.metrics_file)


def _step_of(line: str) -> int | None:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):  # the last line of a killed run may be half written
        return None


def create(config: TrainConfig) -> RunFolder:
    """A new run folder with its config.json; UserError if the folder is there already."""
    path = pathlib.Path(config.run) if config.run else _next_free(config.recipe.replace(":", "-"))
    if path.exists() and not path.is_dir():
        raise UserError(f"--run {path}: is a file; name a folder")
    if path.exists() and any(path.iterdir()):
        raise UserError(f"--run {path}: exists already; go on with it by --resume, or name another folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        dataclasses.replace(config, run=None, resume=False, stop_after=None).save(path / "config.json")
    except OSError as error:
        raise UserError(f"--run {path}: cannot be written ({error.strerror})") from None
    return RunFolder(path)


def _next_free(recipe: str) -> pathlib.Path:
    number = 1
    while (path := pathlib.Path("runs") / f"{recipe}-{number}").exists():
        number += 1
    return path


def saved_config(path: str | None) -> TrainConfig:
    """The settings that a run was started with."""
    if not path:
        raise UserError("--resume needs --run: the folder of the run that should go on")
    file = pathlib.Path(path) / "config.json"
    try:
        return TrainConfig.load(file)
    except FileNotFoundError:
        raise UserError(f"--run {path}: no run to resume there (it has no config.json)") from None
    except ValueError as error:
        raise UserError(f"--run {path}: its config.json cannot be read: {error}") from None


def refuse_changes(saved: TrainConfig, asked: TrainConfig) -> None:
    """UserError for the first setting that differs from the run's own."""
    for field in dataclasses.fields(saved):
        before, now = getattr(saved, field.name), getattr(asked, field.name)
        if field.name not in PER_CALL and before != now:
            flag = field.name.replace("_", "-")
            raise UserError(
                f"--{flag} {now}: this run was started with {before}; leave the flag out, or start a new run"
            )
