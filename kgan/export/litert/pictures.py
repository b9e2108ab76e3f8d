"""The real pictures on which exports are calibrated and judged."""

import contextlib
import pathlib

import numpy as np
from PIL import Image, ImageOps

from kgan import console
from kgan.data.sample import PARTS, open_archive
from kgan.errors import UserError
from kgan.images.decoding import PictureError, at_most, decode_picture
from kgan.images.listing import look_through
from kgan.runs import places
from kgan.runs.settings import TrainConfig

COUNT = 8
"""How many are looked at."""


def real_pictures(config: TrainConfig | None = None, count: int = COUNT) -> list[np.ndarray]:
    """Test pictures of a run's data folder, else its content pictures, else of the packaged sample: uint8 [H, W, 3].

    They are taken evenly from the sorted names. A run whose folders are gone, or are not folders, has the sample's; of
    those that are gone it says so.
    """
    if config and (name := places.missing(config)):
        console.warn(f"{places.lost(config, name)}; pictures of the packaged sample are used instead")
    for folder in _folders(config) if config else []:
        with contextlib.suppress(UserError), at_most(config.max_megapixels):
            pictures = [_decoded(path) for path in _spread(look_through(folder).pictures, count)]
            if any(picture is not None for picture in pictures):
                return [picture for picture in pictures if picture is not None]
    with open_archive() as archive:
        names = sorted(name for name in archive.namelist() if name.startswith(PARTS["testA"]))
        return [decode_picture(archive.open(name), 3) for name in _spread(names, count)]


def _folders(config: TrainConfig) -> list[pathlib.Path]:
    root = pathlib.Path(config.data) if config.data else None
    content = [pathlib.Path(config.content)] if config.content else []
    return [folder for folder in ([root / "testA", root / "trainA"] if root else content) if folder.is_dir()]


def _decoded(path: pathlib.Path) -> np.ndarray | None:
    """None for a file that is no picture."""
    try:
        return decode_picture(path, 3)
    except PictureError:
        return None


def _spread(items: list, count: int) -> list:
    """At most `count` of them, evenly."""
    return [items[k * len(items) // count] for k in range(count)] if len(items) > count else items


def squares(pictures: list[np.ndarray], size: int, channels: int) -> list[np.ndarray]:
    """Their middle squares at size x size: uint8 [size, size, channels]; a fourth channel is opaque."""
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    fitted = (ImageOps.fit(Image.fromarray(picture), (size, size), Image.LANCZOS) for picture in pictures)
    return [np.asarray(picture.convert(modes[channels])).reshape(size, size, channels) for picture in fitted]
