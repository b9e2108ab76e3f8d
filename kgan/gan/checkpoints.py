"""Complete and atomic checkpoints of a GAN: networks, averages, optimizers, image pools and the step."""

import pathlib
import re
import shutil

import keras
import tensorflow as tf

from kgan import console
from kgan.errors import RunError, UserError, call
from kgan.gan import tracking


class Checkpoints:
    """Saves and restores the whole state of a GAN, so that a resumed run gives exactly the same results.

    TensorFlow writes a checkpoint under temporary names, its data first and its index last. So previous checkpoints
    stay complete if the process is killed. TensorFlow verifies a checksum of each variable. The position in the
    training data is the step.

    Args:
        gan: the GAN.
        folder: folder of the checkpoints.
        keep: number of checkpoints that are kept.
        writes: whether this worker writes. All workers have the same state, and only the chief writes.
    """

    def __init__(self, gan, folder: pathlib.Path, keep: int, writes: bool = True):
        self.step = gan.step
        self.folder = folder
        self.saved_step: int | None = None
        self.state = tracking.checkpoint(gan=gan)
        _ = self.state.save_counter  # created here on all workers, because one worker alone cannot create a variable
        self.writes = writes
        self.manager = tf.train.CheckpointManager(self.state, str(folder), keep, checkpoint_name="ckpt")
        parts = tf.train.TrackableView(self.state).descendants()
        variables = [part for part in parts if isinstance(part, keras.Variable | tf.Variable)]
        self.numbers = [variable for variable in variables if tf.as_dtype(variable.dtype).is_floating]

    def save(self) -> None:
        """Write a checkpoint of this step. Previous checkpoints stay complete in any case.

        Raises:
            RunError: if a variable is NaN or infinite, or the checkpoint cannot be written.
        """
        step = int(self.step.numpy())
        if step == self.saved_step:
            return
        self._check_finite(step)
        try:
            if self.writes:
                self.manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            self.sweep()  # frees the disk space of the incomplete checkpoint
            raise RunError(
                f"the checkpoint of step {step} could not be written ({first_line(error)}); "
                f"{self._last_saved()}. Make room, then go on with: "
                f"{call('train', run=self.folder.parent, resume=True)}"
            ) from None
        self.saved_step = step

    def _check_finite(self, step: int) -> None:
        """Raise RunError if a variable is not finite. Gradients can be NaN although the losses of the step are not."""
        finite = tf.stack([tf.reduce_all(tf.math.is_finite(variable)) for variable in self.numbers]).numpy()
        bad = [
            getattr(variable, "path", variable.name)
            for variable, good in zip(self.numbers, finite, strict=True)
            if not good
        ]
        if bad:
            raise RunError(f"{bad[0]} became NaN or infinite by step {step}; {self.way_back()}")

    def way_back(self) -> str:
        """Advice for the user after losses that are not finite."""
        return f"{self._last_saved()}: start from it by --init-from {self.folder.parent} with a lower --learning-rate"

    def _last_saved(self) -> str:
        if self.saved_step is None:
            return "there is no checkpoint yet"
        return f"the checkpoint of step {self.saved_step} is good"

    def sweep(self) -> None:
        """Remove incomplete checkpoints."""
        for path in self.folder.glob("ckpt-*_temp"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob("checkpoint.tmp*"):
            path.unlink(missing_ok=True)

    def restore(self) -> int | None:
        """Restore the newest checkpoint that can be read, with a warning for each newer one that cannot.

        Returns:
            Its step, or None if there are no checkpoints.

        Raises:
            UserError: if none can be read.
        """
        self.sweep()
        found = found_in(self.folder)
        for path in found:
            reason = self._read(path)
            if reason is None:
                return self.saved_step
            console.warn(f"{path} is broken ({reason}); trying the one before")
        if found:
            which = f"none of its {len(found)} checkpoints can" if len(found) > 1 else "its only checkpoint cannot"
            raise UserError(f"{self.folder}: {which} be read ({reason}); start the run anew")
        return None

    def restore_step(self, step: int) -> None:
        """Restore the checkpoint of a step that the chief has read. Raises UserError if this worker cannot read it."""
        path = self.folder / f"ckpt-{step}"
        reason = self._read(path) if path in found_in(self.folder) else "it is not there"
        if reason:
            raise UserError(f"{path}: {reason}; all workers need the same run folder, on a file system that they share")

    def _read(self, path: pathlib.Path) -> str | None:
        """Restore a checkpoint. Returns None, or the reason if it cannot be read."""
        try:
            self.state.restore(str(path)).assert_existing_objects_matched()
        except Exception as error:  # TensorFlow raises IndexError, RuntimeError and many others
            return first_line(error)
        self.saved_step = int(self.step.numpy())
        return None


def found_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The prefixes of all checkpoints in a folder, the newest first.

    They are found by the names of files. TensorFlow's own list lacks some if the clock of the machine was set back, or
    a machine with a slower clock resumed the run.
    """
    found = {re.sub(r"\.(index|data-.*)$", "", path.name) for path in folder.glob("ckpt-*.*")}
    names = [name for name in found if re.fullmatch(r"ckpt-\d+", name)]
    return [folder / name for name in sorted(names, key=lambda name: -int(name[5:]))]


def newest_step(folder: pathlib.Path) -> int:
    """The step of the newest checkpoint in a folder, from its name, or 0."""
    return max((int(path.name[5:]) for path in found_in(folder)), default=0)


def first_line(error: Exception) -> str:
    """The first line of TensorFlow's error message, without the name of the operation."""
    text = str(getattr(error, "message", error)).strip() or type(error).__name__
    return re.sub(r"^(\{\{.*?\}\} *)+", "", text.splitlines()[0])
