"""Pictures as arrays and files: value ranges, channels, atomic saving, grids. Pillow and numpy only.

Public arrays are HWC or NHWC, uint8 in 0..255 or float in [0, 1].
"""

import os
import pathlib
import tempfile
import warnings
from collections.abc import Callable

import numpy as np
from PIL import Image

from kgan.errors import RunError, UserError
from kgan.listing import no_file

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601 weights of R, G, B, as Pillow's gray conversion uses."""

GUTTER = 2
"""White pixels between the cells of a grid."""

HOLDS_ALPHA = frozenset({".png", ".webp"})
"""Suffixes of the formats that can be written with transparency."""

_SAVE_OPTIONS = {
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".png": {"format": "PNG"},
    ".webp": {"format": "WEBP", "quality": 95},
}


def to_float(pictures: np.ndarray) -> np.ndarray:
    """Any picture array -> float32 in [0, 1]; uint8 is divided by 255, floats are clipped.

    Raises UserError for other dtypes and for floats far outside [0, 1].
    """
    pictures = np.asarray(pictures)
    if pictures.dtype == np.uint8:
        return pictures.astype(np.float32) / 255.0
    if not np.issubdtype(pictures.dtype, np.floating):
        raise UserError(f"a picture should be uint8 or float in [0, 1]. Received: dtype {pictures.dtype}")
    # A little overshoot is what resampling gives; more means that the caller has another range in mind.
    if pictures.size and not (pictures.min() >= -0.1 and pictures.max() <= 1.1):
        raise UserError(
            f"a float picture should be in [0, 1]. Received: values from {pictures.min():.4g} to {pictures.max():.4g}"
        )
    return np.clip(pictures, 0.0, 1.0).astype(np.float32)


def to_uint8(pictures: np.ndarray) -> np.ndarray:
    """Float in [0, 1] (clipped) or uint8 -> uint8, rounded to the nearest."""
    pictures = np.asarray(pictures)
    if pictures.dtype == np.uint8:
        return pictures
    return np.rint(np.clip(pictures, 0.0, 1.0) * 255.0).astype(np.uint8)


def with_channels(pictures: np.ndarray, channels: int) -> np.ndarray:
    """Float pictures in [0, 1] [..., 1|3|4] -> [..., channels]: luma for gray, alpha over white, opaque alpha added."""
    have = pictures.shape[-1]
    if have not in (1, 3, 4):
        raise UserError(f"a picture should have 1, 3 or 4 channels. Received: shape {pictures.shape}")
    if have == channels:
        return pictures
    if have == 4:
        pictures = over_white(pictures)
    colours = np.repeat(pictures, 3, axis=-1) if pictures.shape[-1] == 1 else pictures
    if channels == 1:
        return pictures if pictures.shape[-1] == 1 else (colours @ LUMA)[..., None]
    if channels == 4:
        return np.concatenate([colours, np.ones_like(colours[..., :1])], axis=-1)
    return colours


def over_white(pictures: np.ndarray) -> np.ndarray:
    """Float RGBA in [0, 1] (straight alpha) -> RGB over a white ground."""
    alpha = pictures[..., 3:]
    return pictures[..., :3] * alpha + (1.0 - alpha)


def has_alpha(path: str | os.PathLike) -> bool:
    """Whether a picture file has transparency, by its header; False for what is no picture."""
    return _by_header(path, lambda image: image.has_transparency_data)


def is_animated(path: str | os.PathLike) -> bool:
    """Whether a picture file (PNG, WebP) holds several frames, by its header; False for what is no picture."""
    # Phones write a second, hidden picture into JPEG files; that is no animation.
    return _by_header(path, lambda image: image.format != "MPO" and getattr(image, "is_animated", False))


def _by_header(path: str | os.PathLike, question: Callable[[Image.Image], bool]) -> bool:
    if no_file(path):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata and large sizes, which decoding judges
            with Image.open(path) as image:
                return bool(question(image))
    except Exception:  # Pillow's parsers raise nearly anything; decoding says what is wrong
        return False


def save_picture(picture: np.ndarray, path: str | os.PathLike) -> None:
    """Write one picture [H, W, 1|3|4] in the format of the file's suffix (JPEG and WebP quality 95, PNG).

    Atomic: the file is whole or not there. Raises UserError for other suffixes, RunError when it can't be written.
    """
    path = pathlib.Path(path)
    options = _SAVE_OPTIONS.get(path.suffix.lower())
    if options is None:
        raise UserError(f"{path}: should end in {', '.join(_SAVE_OPTIONS)}. Received: {path.suffix or 'no suffix'}")
    if options["format"] == "JPEG" and picture.shape[-1] == 4:
        picture = over_white(to_float(picture))
    image = Image.fromarray(np.squeeze(to_uint8(picture), -1) if picture.shape[-1] == 1 else to_uint8(picture))
    try:
        _save_atomically(image, path, options)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from None


def _save_atomically(image: Image.Image, path: pathlib.Path, options: dict) -> None:
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:32]}-", suffix=".partial")
    try:
        with os.fdopen(descriptor, "wb") as file:
            image.save(file, **options)
        os.chmod(partial, 0o666 & ~_umask())  # mkstemp makes files that only their owner reads
        os.replace(partial, path)
    except BaseException:
        pathlib.Path(partial).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def grid(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Rows of pictures [H, W, 1|3|4] (uint8 or float) -> one uint8 RGB picture with thin white gutters.

    A column is as wide as its widest picture, a row as high as its highest; rows may differ in length.
    """
    cells = [[to_uint8(with_channels(to_float(cell), 3)) for cell in row] for row in rows]
    heights = [max(cell.shape[0] for cell in row) for row in cells]
    columns = max(len(row) for row in cells)
    widths = [max(row[k].shape[1] for row in cells if k < len(row)) for k in range(columns)]
    canvas = np.full((sum(heights) + GUTTER * (len(rows) - 1), sum(widths) + GUTTER * (columns - 1), 3), 255, np.uint8)
    for r, row in enumerate(cells):
        for c, cell in enumerate(row):
            top, left = sum(heights[:r]) + GUTTER * r, sum(widths[:c]) + GUTTER * c
            canvas[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return canvas


def save_grid(rows: list[list[np.ndarray]], path: str | os.PathLike) -> None:
    """Write `grid(rows)` to a picture file."""
    save_picture(grid(rows), path)
