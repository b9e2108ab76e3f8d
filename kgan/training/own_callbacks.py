"""Keras callbacks that a user names by --callback, such as those of MLflow or Weights & Biases."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from kgan import console
from kgan.errors import UserError
from kgan.registry import imported_for
from kgan.training.callbacks import MetricsLogger, StepCounter

FLAG = "--callback"


def load(words: Iterable[str]) -> dict[str, keras.callbacks.Callback]:
    """Make the callbacks that a user names.

    Args:
        words: "module:CLASS" or "module:CLASS={...}", with arguments as JSON. A function that returns a callback will
            do instead of a class.

    Returns:
        The callbacks by module and class.

    Raises:
        UserError: if one cannot be imported or made, or is no callback.
    """
    return dict(_loaded(word) for word in words)


def _loaded(word: str) -> tuple[str, keras.callbacks.Callback]:
    name, _, written = word.partition("=")
    arguments = _arguments(name, written) if written else {}
    kind = imported_for(name, FLAG, "a Keras callback")
    try:
        callback = kind(**arguments)
    except Exception as error:  # it is a program of the user's
        raise UserError(f"{FLAG} {name}: cannot be made ({type(error).__name__}: {error})") from None
    if not isinstance(callback, keras.callbacks.Callback):
        raise UserError(f"{FLAG} {name}: should make a keras.callbacks.Callback. Received: {type(callback).__name__}")
    return name, callback


def _arguments(name: str, written: str) -> dict[str, Any]:
    try:
        arguments = json.loads(written)
    except ValueError as error:
        raise UserError(f"{FLAG} {name}: its arguments are not JSON ({error}). Received: {written}") from None
    if not isinstance(arguments, dict):
        raise UserError(f"{FLAG} {name}: its arguments should be a JSON object by name. Received: {written}")
    return arguments


class OwnCallbacks(keras.callbacks.Callback):
    """Calls the callbacks of a user as `fit` would, with an interval of `log_every` steps as an epoch.

    `on_epoch_end` gets the mean losses of the interval, and the metrics of the test pictures where they were measured.
    `on_train_batch_end` gets none, because reading them after every step would stall a GPU. `params` of a callback also
    holds the `settings` of the run and its folder `run`, where the grids of the test pictures are.

    A callback that fails is named and not called any more: a tracker that is not reached should not end a training.

    Args:
        callbacks: the callbacks by name.
        counter: the step. A callback that sets `model.stop_training` ends the run there, with a checkpoint.
        logger: the source of losses and metrics.
        params: what their `params` hold.
        log_every: steps of an epoch.
        may_stop: whether they may end the run. On several workers they may not, because only one of them has them.
    """

    def __init__(
        self,
        callbacks: Mapping[str, keras.callbacks.Callback],
        counter: StepCounter,
        logger: MetricsLogger,
        params: dict[str, Any],
        log_every: int,
        may_stop: bool = True,
    ):
        super().__init__()
        self._callbacks, self._counter, self._logger = dict(callbacks), counter, logger
        self._params, self._log_every, self._may_stop = params, log_every, may_stop
        self._logs: dict[str, float] = {}

    def set_model(self, model):
        super().set_model(model)
        epochs = -(-self._counter.last // self._log_every)
        self._call("set_params", {"verbose": 0, "epochs": epochs, "steps": self._log_every, **self._params})
        self._call("set_model", model)

    def on_train_begin(self, logs=None):
        self._call("on_train_begin", {})
        self._call("on_epoch_begin", self._counter.step // self._log_every, {})

    def on_train_batch_begin(self, batch, logs=None):
        self._call("on_train_batch_begin", self._counter.step % self._log_every, {})

    def on_train_batch_end(self, batch, logs=None):
        step = self._counter.step  # the number of steps that are done
        self._call("on_train_batch_end", (step - 1) % self._log_every, {})
        if self._counter.interval_ends:
            self._logs |= self._logger.values
        if self._counter.at(self._log_every):
            self._call("on_epoch_end", (step - 1) // self._log_every, dict(self._logs))
            self._logs = {}
        if self.model.stop_training and not self._counter.ended:
            self._stop()
        if step % self._log_every == 0 and not self._counter.ended:
            self._call("on_epoch_begin", step // self._log_every, {})

    def on_train_end(self, logs=None):
        self._call("on_train_end", {})

    def _stop(self) -> None:
        if self._may_stop:
            self._counter.ended = True
        else:
            self.model.stop_training = False
            console.warn(f"{FLAG}: a callback cannot end a training on several workers")

    def _call(self, hook: str, *arguments) -> None:
        for name, callback in list(self._callbacks.items()):
            try:
                getattr(callback, hook)(*arguments)
            except Exception as error:
                del self._callbacks[name]
                reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                console.warn(f"{FLAG} {name}: failed in {hook} ({reason}); training goes on without it")
