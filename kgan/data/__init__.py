"""Training pictures: finding them, checking them, preparing them once, and batching them with tf.data.

The order of the pictures is a function of the training step. Names are imported when they are first used, so that
`kgan.data.check` imports no TensorFlow.
"""

import importlib

_LOCATIONS = {
    "Crops": "crops",
    "check_folders": "check",
    "from_folders": "folders",
    "validation_from_folders": "folders",
    "Pictures": "sources",
    "open_pictures": "sources",
    "Store": "stores",
    "Shard": "training",
    "training_dataset": "training",
}
__all__ = sorted(_LOCATIONS)


def __getattr__(name: str):
    if name not in _LOCATIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LOCATIONS[name]}"), name)
