"""Keeps the weights of networks up to date for callbacks."""

import keras

HARMLESS = (keras.callbacks.ProgbarLogger, keras.callbacks.History, keras.callbacks.TerminateOnNaN)
"""Callbacks that read the losses of each batch but no weights."""


class StoreWeights(keras.callbacks.Callback):
    """The first callback, which gives the networks their newest weights before other callbacks run.

    Callbacks may also change weights, which the next step uses.
    """

    def _store(self, *_, **__):
        self.model.sync_weights()

    on_epoch_end = on_test_begin = on_predict_begin = on_train_end = _store


class StoreWeightsEveryBatch(StoreWeights):
    """Does what `StoreWeights` does, after each batch too."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.sync_weights()


def synced(callbacks) -> list:
    """Add a callback that stores weights before others, after each batch if any of them has a hook for batches."""
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
