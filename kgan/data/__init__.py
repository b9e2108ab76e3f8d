"""Pictures in: found, decoded safely, prepared once, and given to the training in an order that is a function of the
step. Names are resolved when first used, so that `decoding` and `check` stay free of TensorFlow."""

import importlib

_HOMES = {
    "MAX_PIXELS": "decoding",
    "PictureError": "decoding",
    "decode_picture": "decoding",
    "check_folders": "check",
    "Pictures": "sources",
    "open_pictures": "sources",
    "Store": "stores",
    "Share": "training",
    "fixed_batch": "training",
    "training_dataset": "training",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
