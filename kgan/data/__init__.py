"""Training pictures: finding them, checking them, preparing them once, and batching them with tf.data.

The order of the pictures is a function of the training step. Names are imported when they are first used, so that
`kgan.data.check` does not import TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

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
__all__ = [
    "Crops",
    "Pictures",
    "Shard",
    "Store",
    "check_folders",
    "from_folders",
    "open_pictures",
    "training_dataset",
    "validation_from_folders",
]


if TYPE_CHECKING:  # what type checkers and editors see
    from kgan.data.check import check_folders
    from kgan.data.crops import Crops
    from kgan.data.folders import from_folders, validation_from_folders
    from kgan.data.sources import Pictures, open_pictures
    from kgan.data.stores import Store
    from kgan.data.training import Shard, training_dataset


def __getattr__(name: str) -> Any:
    if name not in _LOCATIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LOCATIONS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
