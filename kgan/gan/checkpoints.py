"""Complete, atomic checkpoints of a GAN: networks, averages, optimizers, image pools, step."""

import pathlib
import re
import shutil

import keras
import tensorflow as tf

from kgan import console
from kgan.errors import RunError, UserError, call
from kgan.gan import tracking


class Checkpoints:
    """Saves and restores everything that `gan` needs to go on bit for bit.

    TensorFlow writes a checkpoint's data first and its index last, under temporary names, so that a process killed at
    any moment leaves the former checkpoints whole; it keeps a checksum of every variable and verifies it when reading.
    The position in the data is the step itself.

    Among several workers all hold the same; only the chief `writes`.
    """

    def __init__(self, gan, folder: pathlib.Path, keep: int, writes: bool = True):
        self.step = gan.step
        self.folder = folder
        self.saved_step = None
        self.state = tracking.checkpoint(gan=gan)
        _ = self.state.save_counter  # made now, on all workers: a variable that one makes alone never comes to be
        self.writes = writes
        self.manager = tf.train.CheckpointManager(self.state, str(folder), keep, checkpoint_name="ckpt")
        parts = tf.train.TrackableView(self.state).descendants()
        variables = [part for part in parts if isinstance(part, keras.Variable | tf.Variable)]
        self.numbers = [variable for variable in variables if tf.as_dtype(variable.dtype).is_floating]

    def save(self) -> None:
        """Write a checkpoint of this step; RunError when it holds NaN or the disk does not take it.

        The former checkpoints stay whole either way.
        """
        step = int(self.step.numpy())
        if step == self.saved_step:
            return
        self._check_finite(step)
        try:
            if self.writes:
                self.manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            self.sweep()  # what was written of it takes the room that the user needs
            raise RunError(
                f"the checkpoint of step {step} could not be written ({first_line(error)}); "
                f"{self._last_saved()}. Make room, then go on with: "
                f"{call('train', run=self.folder.parent, resume=True)}"
            ) from None
        self.saved_step = step

    def _check_finite(self, step: int) -> None:
        """Gradients can be NaN where the losses of the same step are not."""
        finite = tf.stack([tf.reduce_all(tf.math.is_finite(variable)) for variable in self.numbers]).numpy()
        bad = [
            getattr(variable, "path", variable.name)
            for variable, good in zip(self.numbers, finite, strict=True)
            if not good
        ]
        if bad:
            raise RunError(f"{bad[0]} became NaN or infinite by step {step}; {self.way_back()}")

    def way_back(self) -> str:
        """What to do after the losses went astray."""
        return f"{self._last_saved()}: start from it by --init-from {self.folder.parent} with a lower --learning-rate"

    def _last_saved(self) -> str:
        if self.saved_step is None:
            return "there is no checkpoint yet"
        return f"the checkpoint of step {self.saved_step} is good"

    def sweep(self) -> None:
        """Remove what a save that did not come to its end has left."""
        for path in self.folder.glob("ckpt-*_temp"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob("checkpoint.tmp*"):
            path.unlink(missing_ok=True)

    def restore(self) -> int | None:
        """Restore the newest checkpoint that can be read, saying so if it had to fall back.

        Returns its step, or None where no checkpoint was ever written. UserError when none of them can be read.
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
        """Restore the checkpoint of that very step, which another worker has read; UserError if this one cannot."""
        path = self.folder / f"ckpt-{step}"
        reason = self._read(path) if path in found_in(self.folder) else "it is not there"
        if reason:
            raise UserError(f"{path}: {reason}; all workers need the same run folder, on a file system that they share")

    def _read(self, path: pathlib.Path) -> str | None:
        """Restore a checkpoint; returns the reason if that was not possible."""
        try:
            self.state.restore(str(path)).assert_existing_objects_matched()
        except Exception as error:  # TensorFlow's readers raise IndexError, RuntimeError and many more
            return first_line(error)
        self.saved_step = int(self.step.numpy())
        return None


def found_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """Prefixes of all checkpoints in a folder, the newest first.

    By their files: TensorFlow's own list leaves some out when the machine's clock was set back, or another machine
    with a slower clock goes on with the run.
    """
    names = {re.sub(r"\.(index|data-.*)$", "", path.name) for path in folder.glob("ckpt-*.*")}
    names = [name for name in names if re.fullmatch(r"ckpt-\d+", name)]
    return [folder / name for name in sorted(names, key=lambda name: -int(name[5:]))]


def newest_step(folder: pathlib.Path) -> int:
    """The step of the newest checkpoint in a folder, by its name; 0 where there is none."""
    return max((int(path.name[5:]) for path in found_in(folder)), default=0)


def first_line(error: Exception) -> str:
    """What an error of TensorFlow says, without the name of the operation before it."""
    text = str(getattr(error, "message", error)).strip() or type(error).__name__
    return re.sub(r"^(\{\{.*?\}\} *)+", "", text.splitlines()[0])
