"""A run: the folder with everything that one training wrote. No TensorFlow here."""

import contextlib
import dataclasses
import errno
import fcntl
import pathlib
import shutil
from collections.abc import Iterator

from kgan.config import TrainConfig
from kgan.errors import RunError, UserError

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
    def pictures_file(self) -> pathlib.Path:
        """How many pictures the run began with, and a checksum of their names and sizes."""
        return self.path / "pictures.txt"

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

    def is_exported(self) -> bool:
        """Whether all exports are there and none is older than the newest checkpoint."""
        return self.has_saved_model() and all(self._is_current(self.litert(half)) for half in (False, True))

    def has_saved_model(self) -> bool:
        """Whether the SavedModel is there and not older than the newest checkpoint."""
        return self._is_current(self.saved_model / "saved_model.pb")

    def _is_current(self, export: pathlib.Path) -> bool:
        trained = max((path.stat().st_mtime_ns for path in self.checkpoints.glob("ckpt-*.index")), default=0)
        return export.exists() and export.stat().st_mtime_ns >= trained

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """UserError when another process trains in this folder; the system frees the lock of one that dies."""
        with self.config_file.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"--run {self.path}: another process is training there; wait for it or stop it"
                ) from None
            except OSError:  # a file system without locks
                pass
            yield

    def sweep(self) -> None:
        """Remove what a killed process left half written; every file gets its own name only when it is whole."""
        for pattern in (".saved_model-*", ".model-*", ".model_*", "*.partial", "*/.*.partial"):
            for path in self.path.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def check_free(path: str | None) -> None:
    """UserError if a new run cannot have this folder (None: the next free one)."""
    folder = pathlib.Path(path) if path else None
    if folder and folder.exists() and not folder.is_dir():
        raise UserError(f"--run {path}: is a file; name a folder")
    if folder and folder.exists() and any(folder.iterdir()):
        raise UserError(f"--run {path}: exists already; go on with it by --resume, or name another folder")


def create(config: TrainConfig) -> RunFolder:
    """A new run folder with its config.json; UserError if the folder is there already, RunError on a full disk."""
    check_free(config.run)
    path = pathlib.Path(config.run) if config.run else _next_free(config.recipe.replace(":", "-"))
    new = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        dataclasses.replace(config, run=None, resume=False, stop_after=None).save(path / "config.json")
    except OSError as error:
        with contextlib.suppress(OSError):
            (path / "config.partial").unlink(missing_ok=True)
            if new:
                path.rmdir()
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (RunError if full else UserError)(f"--run {path}: cannot be written ({error.strerror})") from None
    return RunFolder(path)


def _next_free(recipe: str) -> pathlib.Path:
    """Claims the folder by making it: another process may look for one at the same time."""
    number = 1
    while True:
        path = pathlib.Path("runs") / f"{recipe}-{number}"
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            number += 1
        except OSError as error:
            raise UserError(f"--run {path}: cannot be written ({error.strerror})") from None


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
