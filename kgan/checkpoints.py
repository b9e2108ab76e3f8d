"""Complete, atomic checkpoints of a GAN: networks, averages, optimizers, image pools, step."""

import pathlib
import sys

import tensorflow as tf

from kgan import tracking
from kgan.errors import RunError, UserError

_BROKEN = (tf.errors.OpError, ValueError, AssertionError, OSError)


class Checkpoints:
    """Saves and restores everything that `gan` needs to go on bit for bit.

    TensorFlow writes a checkpoint's data first and its index last, under temporary names, so that a process killed at
    any moment leaves the former checkpoints whole. The position in the data is the step itself.
    """

    def __init__(self, gan, folder: pathlib.Path, keep: int):
        self.step = gan.step
        self.saved_step = None
        self.state = tracking.checkpoint(gan=gan)
        self.manager = tf.train.CheckpointManager(self.state, str(folder), keep, checkpoint_name="ckpt")

    def save(self) -> None:
        """Write a checkpoint of this step; RunError when the disk does not take it (the former ones stay whole)."""
        step = int(self.step.numpy())
        if step == self.saved_step:
            return
        try:
            self.manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            reason = str(getattr(error, "message", error)).splitlines()[0]
            raise RunError(
                f"the checkpoint of step {step} could not be written ({reason}); {self._last()} is whole: "
                "make room, then go on with --resume"
            ) from None
        self.saved_step = step

    def _last(self) -> str:
        latest = self.manager.latest_checkpoint
        return f"the one before, {pathlib.Path(latest).name}," if latest else "none before"

    def restore(self) -> int:
        """Restore the newest checkpoint that can be read; returns its step. Says when it had to fall back."""
        for path in reversed(self.manager.checkpoints):
            try:
                self.state.restore(path).assert_existing_objects_matched()
            except _BROKEN as error:
                reason = str(getattr(error, "message", error)).splitlines()[0]
                print(f"kgan: {path} is broken ({reason}); trying the one before", file=sys.stderr)
                continue
            self.saved_step = int(self.step.numpy())
            return self.saved_step
        raise UserError(f"{self.manager.directory}: no checkpoint that can be read; start the run anew")
