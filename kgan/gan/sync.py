"""Keeps the networks' weights up to date for callbacks."""

import keras

HARMLESS = (keras.callbacks.ProgbarLogger, keras.callbacks.History, keras.callbacks.TerminateOnNaN)
"""Callbacks that look at every batch's losses and never at weights."""


class StoreWeights(keras.callbacks.Callback):
    """First in the list of callbacks: before any of them runs, the networks have their newest weights.

    A callback may also change weights: the next step reads them again.
    """

    def _store(self, *_, **__):
        self.model.sync_weights()

    on_epoch_end = on_test_begin = on_predict_begin = on_train_end = _store


class StoreWeightsEveryBatch(StoreWeights):
    """The same, and after every batch."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.sync_weights()


def synced(callbacks) -> list:
    """The callbacks of `fit` with one before them that stores weights; at every batch if any of them looks so often."""
    given = list(keras.tree.flatten(callbacks)) if callbacks else []
    often = any(_looks_at_batches(callback) for callback in given)
    return [StoreWeightsEveryBatch() if often else StoreWeights(), *given]


def _looks_at_batches(callback: keras.callbacks.Callback) -> bool:
    if isinstance(callback, HARMLESS):
        return False
    hooks = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
    base = keras.callbacks.Callback
    # LambdaCallback sets its hooks on the object.
    return any(hook in vars(callback) or getattr(type(callback), hook) is not getattr(base, hook) for hook in hooks)
