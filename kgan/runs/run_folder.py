"""The folder of a training run. This module does not import TensorFlow."""

import contextlib
import dataclasses
import errno
import os
import pathlib
from collections.abc import Iterator

from kgan import files, locks
from kgan.errors import RunError, UserError, call
from kgan.runs import places, recipes, trust
from kgan.runs.settings import LATER, TrainConfig
from kgan.runs.shipped import shipped

PER_CALL = ("run", "resume", "stop_after", "max_megapixels", "callback", "trust")
"""Settings of one call, which may differ when a run is resumed."""

FORMERLY_PARTIAL = (".saved_model-*", ".model-*", ".model_*", "*.partial")
"""What earlier releases called files that are not complete yet."""

_DERIVED = ("steps", "discriminator_learning_rate", "sample_every", "checkpoint_every")
"""Settings that are set in every resolved config, although they are not fields of a recipe."""


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The files of a run folder."""

    path: pathlib.Path

    @property
    def config_file(self) -> pathlib.Path:
        return self.path / "config.json"

    @property
    def pictures_file(self) -> pathlib.Path:
        """The file with the fingerprint of the training pictures: their numbers and a checksum of names and sizes."""
        return self.path / "pictures.txt"

    @property
    def began_with(self) -> str | None:
        """The fingerprint of the pictures with which the run was started, or None if it was not stored."""
        noted = self.pictures_file.read_text(encoding="utf-8").strip() if self.pictures_file.exists() else ""
        return noted or None

    def changed_pictures(self, now: str) -> str | None:
        """A warning if the fingerprint `now` differs from that of the pictures at the start of the run, else None."""
        began = self.began_with
        same = began in (None, now)
        return None if same else f"the pictures have changed since the run began: {began} then, {now} now"

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

    @property
    def weights(self) -> pathlib.Path:
        return self.path / "model.safetensors"

    def litert(self, half: bool) -> pathlib.Path:
        return self.path / ("model_float16.tflite" if half else "model.tflite")

    def keep(self, config: TrainConfig) -> None:
        """Write config.json atomically, without the settings of a single call."""
        dataclasses.replace(config, run=LATER, resume=False, stop_after=None, callback=()).save(self.config_file)
        if trust.foreign_parts(config):
            trust.remember(self.config_file)

    def is_exported(self) -> bool:
        """Whether all exports exist and none is older than the newest checkpoint."""
        return self.has_saved_model() and all(self.is_current(self.litert(half)) for half in (False, True))

    def has_saved_model(self) -> bool:
        """Whether the SavedModel exists and is not older than the newest checkpoint."""
        return self.is_current(self.saved_model / "saved_model.pb")

    def has_weights(self) -> bool:
        """Whether the file of weights exists and is not older than the newest checkpoint."""
        return self.is_current(self.weights)

    def is_current(self, export: pathlib.Path) -> bool:
        """Whether an export exists and is not older than the newest checkpoint."""
        trained = max((path.stat().st_mtime_ns for path in self.checkpoints.glob("ckpt-*.index")), default=0)
        return export.exists() and export.stat().st_mtime_ns >= trained

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """A lock on the folder. The system releases it if the process dies.

        Raises:
            UserError: if another process trains in this folder.
        """
        with locks.locked(self.path, waiting=self._refuse):
            yield

    def _refuse(self) -> None:
        raise UserError(f"--run {self.path}: another process is training there; wait for it or stop it")

    def check_writable(self) -> None:
        """Raise UserError if the folder is not writable."""
        if not os.access(self.path, os.W_OK):
            raise UserError(f"--run {self.path}: cannot be written; make it writable, or go on with a copy of it")

    def sweep(self) -> None:
        """Remove incomplete files of a process that was killed. A file gets its final name when it is complete."""
        files.sweep(self.path, "*/.*.partial", *FORMERLY_PARTIAL)


def check_free(path: str | None) -> None:
    """Raise UserError if a new run cannot use this folder. None stands for the next free folder."""
    folder = pathlib.Path(path) if path else None
    if folder and os.path.lexists(folder) and not folder.is_dir():
        kind = "a file" if folder.exists() else "a link to nothing"
        raise UserError(f"--run {path}: is {kind}; name a folder")
    if folder and folder.exists() and any(folder.iterdir()):
        raise UserError(f"--run {path}: exists already; go on with it by --resume, or name another folder")
    wanted = (folder or pathlib.Path("runs")).absolute()
    above = next(each for each in (wanted, *wanted.parents) if os.path.lexists(each))
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        reason = os.strerror(errno.EACCES if above.is_dir() else errno.ENOTDIR)
        raise UserError(f"--run {path or 'runs'}: cannot be written ({reason})")


def create(config: TrainConfig) -> RunFolder:
    """Make a new run folder with its config.json.

    Args:
        config: the resolved settings of the run.

    Returns:
        The run folder.

    Raises:
        UserError: if the folder exists already and is not empty, or cannot be written.
        RunError: if the disk is full.
    """
    check_free(config.run)
    path = pathlib.Path(config.run) if config.run else _next_free(config.recipe.replace(":", "-"))
    new = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        RunFolder(path).keep(places.absolute(config))
    except OSError as error:
        with contextlib.suppress(OSError):
            if new:
                path.rmdir()
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (RunError if full else UserError)(f"--run {path}: cannot be written ({error.strerror})") from None
    return RunFolder(path)


def _next_free(recipe: str) -> pathlib.Path:
    """Make the next free folder below `runs`. Two processes that do this at the same time get different folders."""
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


# --- resuming ---------------------------------------------------------------------------------------------------------


def saved_config(path: str | None) -> TrainConfig:
    """The settings with which a run was started.

    Args:
        path: the run folder.

    Returns:
        The settings in its config.json.

    Raises:
        UserError: if there is no path, no config.json, or it cannot be read.
    """
    if not path:
        raise UserError("--resume needs --run: the folder of the run that should go on")
    file = pathlib.Path(path) / "config.json"
    try:
        return TrainConfig.load(file)
    except (FileNotFoundError, NotADirectoryError):
        hint = _start_from(path) if path in shipped() else ""
        raise UserError(f"--run {path}: no run to resume there (it has no config.json){hint}") from None
    except OSError as error:
        raise UserError(f"--run {path}: its config.json cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"--run {path}: its config.json cannot be read: {error}") from None


def _start_from(model: str) -> str:
    return f"; to start a new run from its generator: {call('train', init_from=model)}"


def resumed_config(saved: TrainConfig, asked: TrainConfig) -> TrainConfig:
    """The settings with which a run is resumed.

    Args:
        saved: the settings of the run.
        asked: the settings that the user gives. They may differ in those of a single call, in the location of pictures
            and cache, and in a larger number of steps.

    Returns:
        The settings of the run with these changes.

    Raises:
        UserError: if any other setting differs.
    """
    refuse_changes(saved, asked)
    before, now = places.absolute(saved), places.absolute(asked)
    may_move = (*places.MOVABLE, *places.LEARNED_FROM)
    moved = {name: getattr(now, name) for name in may_move if getattr(now, name) != getattr(before, name)}
    if "data" in moved and ("content" in moved or "style" in moved):
        raise UserError("--data names both kinds of pictures: give either --data or --content and --style")
    if "data" in moved:
        moved |= {"content": None, "style": None}
    elif "content" in moved or "style" in moved:
        moved["data"] = None
    own = {name: getattr(asked, name) for name in (*PER_CALL, "steps")}
    return dataclasses.replace(saved, **own, **moved)


def refuse_changes(saved: TrainConfig, asked: TrainConfig) -> None:
    """Raise UserError for the first setting that differs from that of the run and must not change."""
    absolute_before, absolute_now = places.absolute(saved), places.absolute(asked)
    for field in dataclasses.fields(saved):
        before, now = getattr(saved, field.name), getattr(asked, field.name)
        same = getattr(absolute_before, field.name) == getattr(absolute_now, field.name)
        moved = field.name in places.LEARNED_FROM and places.is_gone(saved, field.name)
        if same or moved or field.name in (*PER_CALL, *places.MOVABLE):
            continue
        if field.name != "steps" or before is None:
            flag = field.name.replace("_", "-")
            raise UserError(
                f"--{flag} {now}: this run was started with {before}; leave it out, or start a new run. Only "
                "--steps MORE (to train longer) and the location of the pictures may change"
            )
        if now < before:
            raise UserError(
                f"--steps {now}: this run has {before}, and can only be made longer: give a larger number, or leave "
                "it out (--stop-after ends a call early)"
            )


def check_resumable(config: TrainConfig) -> None:
    """Raise UserError for a folder that cannot be resumed.

    This is an export without checkpoints, such as a shipped model, or a run whose settings are incomplete or invalid.
    """
    run = RunFolder(pathlib.Path(config.run))
    trust.require_settings(config, run.config_file)
    if (run.saved_model.exists() or run.weights.exists()) and not any(run.checkpoints.glob("ckpt-*.index")):
        start = _start_from(str(run.path))
        raise UserError(f"--run {run.path}: holds an export and no checkpoint to go on from{start}")
    recipe = recipes.find(config.recipe) if config.recipe else None
    filled = {name for name, default in vars(recipe).items() if default is not None} if recipe else set()
    lacking = [name for name in {"recipe", *_DERIVED, *filled} if getattr(config, name, "") is None]
    if lacking:
        listed = ", ".join(sorted(lacking))
        raise UserError(f"--run {run.path}: its config.json lacks {listed}; it should be what a training wrote")
    recipes.check_values(config, recipes.find(config.recipe))
    for name in places.LEARNED_FROM:
        if places.is_gone(config, name):
            flag = f"--{name.replace('_', '-')}"
            raise UserError(f"{flag} {getattr(config, name)}: not there; say by {flag} where it is now")


def extended(saved: TrainConfig, steps: int, reached: int) -> TrainConfig:
    """The settings of a run with a longer schedule.

    If the decay of the learning rate has not begun, the schedule becomes that of a run of `steps` steps. Otherwise the
    remaining steps get a schedule of their own: constant for the first half, then linear to zero.

    Args:
        saved: the settings of the run.
        steps: the new number of updates in all.
        reached: the number of updates that the run has made.

    Returns:
        The new settings.
    """
    if steps == saved.steps:
        return saved
    begun = saved.decay == "linear" and reached > saved.extended_at + (saved.steps - saved.extended_at) // 2
    return dataclasses.replace(saved, steps=steps, extended_at=reached if begun else saved.extended_at)
