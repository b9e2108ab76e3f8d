"""The real pictures that calibrate and test exported files."""

import contextlib
import io
import pathlib

import numpy as np

from kgan import console
from kgan.data.sample import PARTS, open_archive
from kgan.errors import UserError
from kgan.images.decoding import PictureError, at_most, decode_picture
from kgan.images.listing import scan_folder
from kgan.images.resizing import square, to_image
from kgan.runs import places
from kgan.runs.settings import TrainConfig

COUNT = 8
"""Default number of pictures."""


def real_pictures(config: TrainConfig | None = None, count: int = COUNT) -> list[np.ndarray]:
    """Real pictures for a run: its test pictures, or else its content pictures, or else those of the packaged sample.

    They are spread evenly over the sorted names. If the pictures of the run do not exist any more, there is a warning.

    Args:
        config: the settings of the run, or None for the packaged sample.
        count: number of pictures.

    Returns:
        Pictures, uint8 [H, W, 3].
    """
    if config and (name := places.missing(config)):
        console.warn(f"{places.lost(config, name)}; pictures of the packaged sample are used instead")
    most = config.max_megapixels if config else None
    for folder in _folders(config) if config else []:
        with contextlib.suppress(UserError), at_most(most):
            pictures = [_decoded(path) for path in _spread(scan_folder(folder).pictures, count)]
            if any(picture is not None for picture in pictures):
                return [picture for picture in pictures if picture is not None]
    with open_archive() as archive:
        names = sorted(name for name in archive.namelist() if name.startswith(PARTS["testA"]))
        return [decode_picture(io.BytesIO(archive.read(name)), 3) for name in _spread(names, count)]


def _folders(config: TrainConfig) -> list[pathlib.Path]:
    # Not `Pictures.scored`, which decides what a run is scored on: that would prepare all pictures, and an export must
    # work where the cache, or TensorFlow Datasets, are gone.
    root = pathlib.Path(config.data) if config.data else None
    content = [pathlib.Path(config.content)] if config.content else []
    return [folder for folder in ([root / "testA", root / "trainA"] if root else content) if folder.is_dir()]


def _decoded(path: pathlib.Path) -> np.ndarray | None:
    """Decode a picture, or return None if the file is not one."""
    try:
        return decode_picture(path, 3)
    except PictureError:
        return None


def _spread(items: list, count: int) -> list:
    """At most `count` items, spread evenly."""
    return [items[k * len(items) // count] for k in range(count)] if len(items) > count else items


def squares(pictures: list[np.ndarray], size: int, channels: int) -> list[np.ndarray]:
    """The centred squares of pictures.

    Args:
        pictures: uint8 [H, W, 3].
        size: side of the squares in pixels.
        channels: channels of the result: 1, 3 or 4. A fourth channel is opaque.

    Returns:
        uint8 [size, size, channels].
    """
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    fitted = (to_image(square(picture, size)) for picture in pictures)
    return [np.asarray(picture.convert(modes[channels])).reshape(size, size, channels) for picture in fitted]
