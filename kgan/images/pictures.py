"""Pictures as arrays and files: value ranges, channels, atomic saving, grids. Pillow and numpy only.

Public arrays are HWC or NHWC, uint8 in 0..255 or float in [0, 1].
"""

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Iterable
from typing import Literal

import numpy as np
from PIL import Image

from kgan.errors import RunError, UserError
from kgan.images import colour, metadata

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601 weights of R, G, B, as Pillow's gray conversion uses."""

GUTTER = 2
"""White pixels between the cells of a grid."""

HOLDS_ALPHA = frozenset({".png", ".webp"})
"""Suffixes of the formats that can be written with transparency."""

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
"""Suffix of a file that is written -> Pillow's word for its format."""

QUALITY = 95
"""Of JPEG, whose colours are kept at full resolution, and of lossy WebP."""

EFFORT = 10
"""Of lossless WebP, from 0 to 100: more takes several times as long for a few percent."""

LONGEST = {"JPEG": 65_500, "WEBP": 16_383}
"""The most pixels that a side may have in a format."""

Format = Literal["jpeg", "png", "webp", "webp-lossless"]


def to_float(pictures: np.ndarray) -> np.ndarray:
    """Any picture array -> float32 in [0, 1]; uint8 is divided by 255, floats are clipped.

    Raises UserError for other dtypes and for floats far outside [0, 1].
    """
    pictures = np.asarray(pictures)
    if pictures.dtype == np.uint8:
        return np.divide(pictures, np.float32(255), dtype=np.float32)
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
    levels = np.asarray(np.clip(pictures, 0.0, 1.0))
    levels *= 255  # in its place: of a large picture every copy takes gigabytes
    return np.rint(levels, out=levels).astype(np.uint8)


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


@dataclasses.dataclass(frozen=True)
class Writing:
    """How results are written: in another format than that of their pictures, in another quality, with nothing said
    beside the pixels. Raises UserError for what makes no sense.
    """

    format: Format | None = None
    quality: int | None = None
    strip_metadata: bool = False

    def __post_init__(self):
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UserError(f"--quality should be from 1 to 100. Received: {self.quality}")
        if self.quality is not None and self.format in ("png", "webp-lossless"):
            raise UserError(
                f"--quality {self.quality}: {self.format} is lossless and has none; give --format jpeg or webp"
            )

    def suffix(self, given: str) -> str:
        """What becomes of a suffix, given the one that a result has without this wish.

        >>> Writing("jpeg").suffix(".JPEG"), Writing("webp-lossless").suffix(".png"), Writing().suffix(".png")
        ('.JPEG', '.webp', '.png')
        """
        wanted = self.format and self.format.removesuffix("-lossless")
        if wanted in (None, FORMATS.get(given.lower(), "").lower()):
            return given
        return {"jpeg": ".jpg"}.get(wanted, f".{wanted}")

    def check_targets(self, targets: Iterable[pathlib.Path]) -> None:
        """UserError where a quality is given and no file could have it, or a file named is of another format."""
        suffixes = {target.suffix for target in targets}
        if self.quality is not None and all(suffix.lower() == ".png" for suffix in suffixes):
            raise UserError(f"--quality {self.quality}: png is lossless and has none; give --format jpeg or webp")
        other = next((suffix for suffix in suffixes if self.suffix(suffix) != suffix), None)
        if other:
            raise UserError(f"--format {self.format}: --output names a {other} file; leave one of them out")

    def save(
        self,
        picture: np.ndarray,
        path: pathlib.Path,
        profile: bytes | None = None,
        said: metadata.Metadata | None = None,
        lossless: bool = False,
    ) -> None:
        """`save_picture` as wished; `lossless`: whether what the picture was made of was."""
        said = None if self.strip_metadata else said
        lossless = self.format == "webp-lossless" or (self.format is None and lossless)
        save_picture(picture, path, profile, said, lossless, self.quality or QUALITY)


class TooLong(UserError):
    """A side of a picture is longer than its format allows."""


def check_sides(height: int, width: int, path: pathlib.Path) -> None:
    """Raise TooLong for a picture of which a side is too long for the format of the file it shall become."""
    kind = FORMATS[path.suffix.lower()]
    if max(height, width) > LONGEST.get(kind, 2**31 - 1):
        raise TooLong(
            f"{path}: a picture in this format may have {LONGEST[kind]} pixels a side. Received: {width}x{height}; "
            "give --format png"
        )


def save_picture(
    picture: np.ndarray,
    path: str | os.PathLike,
    profile: bytes | None = None,
    said: metadata.Metadata | None = None,
    lossless: bool = False,
    quality: int = QUALITY,
) -> None:
    """Write one picture [H, W, 1|3|4] in the format of the file's suffix: JPEG, PNG or WebP.

    Its colours are those of the ICC profile `profile`, or sRGB; `said` is written beside them. `lossless` is for WebP
    alone, `quality` (1 to 100) for JPEG and for WebP that is not lossless.
    Atomic: the file is whole or not there. Raises UserError for other suffixes, RunError when it can't be written.
    """
    path = pathlib.Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path}: should end in {', '.join(FORMATS)}. Received: {path.suffix or 'no suffix'}")
    if kind == "JPEG" and picture.shape[-1] == 4:
        picture = over_white(to_float(picture))
    image = Image.fromarray(np.squeeze(to_uint8(picture), -1) if picture.shape[-1] == 1 else to_uint8(picture))
    options = _encoding(kind, lossless, quality) | metadata.options(said or metadata.Metadata(), kind)
    if fitting := colour.fitting(profile, image.mode):
        options["icc_profile"] = fitting
    try:
        _save_atomically(image, path, {"format": kind, **options})
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from None


def _encoding(kind: str, lossless: bool, quality: int) -> dict:
    if kind == "JPEG":
        return {"quality": quality, "subsampling": 0}
    if kind == "WEBP" and lossless:  # exact: colours under full transparency too
        return {"lossless": True, "exact": True, "quality": EFFORT, "method": 2}
    return {"quality": quality} if kind == "WEBP" else {}


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
