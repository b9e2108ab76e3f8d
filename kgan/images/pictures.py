"""Pictures as arrays and files: value ranges, channels, saving and grids, with Pillow and NumPy only.

Arrays are HWC or NHWC, uint8 in [0, 255] or float in [0, 1].
"""

import dataclasses
import errno
import os
import pathlib
import typing
from collections.abc import Iterable
from typing import Literal

import numpy as np

from kgan import files
from kgan.errors import RunError, UserError
from kgan.images import colour, metadata
from kgan.images.resizing import to_image

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of R, G and B in ITU-R BT.601, which Pillow's gray conversion uses too."""

GUTTER = 2
"""White pixels between the cells of a grid."""

HOLDS_ALPHA = frozenset({".png", ".webp"})
"""Suffixes of formats with transparency."""

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
"""Pillow's names of formats by the suffix of a written file."""

QUALITY = 95
"""Default quality of JPEG, with full resolution of colours, and of lossy WebP."""

EFFORT = 10
"""Effort of lossless WebP, from 0 to 100. A higher effort takes several times as long and saves a few percent."""

LONGEST = {"JPEG": 65_500, "WEBP": 16_383}
"""Largest side in pixels by format."""

OF_THE_NAME = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EISDIR})
"""Errors of one file's name, such as a colon on a memory card. Files with other names can be written."""

Format = Literal["jpeg", "png", "webp", "webp-lossless"]


def to_float(pictures: np.ndarray) -> np.ndarray:
    """Convert pictures to float32 in [0, 1].

    Args:
        pictures: an array of any shape. uint8 is divided by 255, and floats are clipped.

    Returns:
        float32 of the same shape.

    Raises:
        UserError: for other types, and for floats below -0.1 or above 1.1.
    """
    pictures = np.asarray(pictures)
    if pictures.dtype == np.uint8:
        return np.divide(pictures, np.float32(255), dtype=np.float32)
    if not np.issubdtype(pictures.dtype, np.floating):
        raise UserError(f"a picture should be uint8 or float in [0, 1]. Received: dtype {pictures.dtype}")
    # Resampling gives a small overshoot. A larger one means that the caller uses another range.
    if pictures.size and not (pictures.min() >= -0.1 and pictures.max() <= 1.1):
        raise UserError(
            f"a float picture should be in [0, 1]. Received: values from {pictures.min():.4g} to {pictures.max():.4g}"
        )
    return np.clip(pictures, 0.0, 1.0).astype(np.float32)


def to_uint8(pictures: np.ndarray) -> np.ndarray:
    """Convert pictures to uint8.

    Args:
        pictures: an array of any shape, uint8 or float. Floats are clipped to [0, 1], multiplied by 255 and rounded.

    Returns:
        uint8 of the same shape.
    """
    pictures = np.asarray(pictures)
    if pictures.dtype == np.uint8:
        return pictures
    levels = np.asarray(np.clip(pictures, 0.0, 1.0))
    levels *= 255  # in place, because each copy of a large picture takes gigabytes
    return np.rint(levels, out=levels).astype(np.uint8)


def with_channels(pictures: np.ndarray, channels: int) -> np.ndarray:
    """Convert pictures to another number of channels.

    Gray is the luma of colours. Transparent pictures are composited over white. A new alpha channel is opaque.

    Args:
        pictures: float [..., 1|3|4] in [0, 1].
        channels: 1 (gray), 3 (RGB) or 4 (RGBA).

    Returns:
        float [..., channels] in [0, 1].

    Raises:
        UserError: if the pictures have another number of channels.
    """
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
    """Composite pictures over white.

    Args:
        pictures: float RGBA in [0, 1] with straight alpha, [..., 4].

    Returns:
        float RGB in [0, 1], [..., 3].
    """
    alpha = pictures[..., 3:]
    return pictures[..., :3] * alpha + (1.0 - alpha)


@dataclasses.dataclass(frozen=True)
class Writing:
    """Options of written files.

    Attributes:
        format: format of all files, or None for the format of the original.
        quality: quality of JPEG and lossy WebP, 1 to 100, or None for the default.
        strip_metadata: write no metadata.

    Raises:
        UserError: if an option is not valid.
    """

    format: Format | None = None
    quality: int | None = None
    strip_metadata: bool = False

    def __post_init__(self):
        if self.format not in (None, *typing.get_args(Format)):
            raise UserError(f"--format should be one of {', '.join(typing.get_args(Format))}. Received: {self.format}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UserError(f"--quality should be from 1 to 100. Received: {self.quality}")
        if self.quality is not None and self.format in ("png", "webp-lossless"):
            raise UserError(
                f"--quality {self.quality}: {self.format} is lossless and has none; give --format jpeg or webp"
            )

    def suffix(self, given: str) -> str:
        """The suffix of a file in the chosen format.

        Args:
            given: the suffix without a chosen format. It is kept if it has this format.

        Returns:
            The suffix.

        Example:

        >>> Writing("jpeg").suffix(".JPEG"), Writing("webp-lossless").suffix(".png"), Writing().suffix(".png")
        ('.JPEG', '.webp', '.png')
        """
        wanted = self.format and self.format.removesuffix("-lossless")
        if wanted in (None, FORMATS.get(given.lower(), "").lower()):
            return given
        return {"jpeg": ".jpg"}.get(wanted, f".{wanted}")

    def check_targets(self, targets: Iterable[pathlib.Path]) -> None:
        """Check the options against the files to write.

        Args:
            targets: paths of the files.

        Raises:
            UserError: if there is a quality but all files are PNG, or a file has another format than the chosen one.
        """
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
        """Write a picture with these options, as `save_picture`. `lossless`: whether the original file is lossless."""
        said = None if self.strip_metadata else said
        lossless = self.format == "webp-lossless" or (self.format is None and lossless)
        save_picture(picture, path, profile, said, lossless, self.quality or QUALITY)


class TooLong(UserError):
    """A side of a picture is longer than its format allows."""


def check_sides(height: int, width: int, path: pathlib.Path) -> None:
    """Raise TooLong if a side in pixels is too long for the format of the file."""
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
    """Write a picture as JPEG, PNG or WebP, depending on the suffix. No incomplete file remains after an error.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].
        path: path of the file.
        profile: ICC profile of the colours, or None for sRGB.
        said: metadata to write.
        lossless: write lossless WebP.
        quality: quality of JPEG and lossy WebP, 1 to 100.

    Raises:
        UserError: if the suffix is not supported, or no file can have this name.
        RunError: if the file cannot be written for another reason, such as a full disk.
    """
    path = pathlib.Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path}: should end in {', '.join(FORMATS)}. Received: {path.suffix or 'no suffix'}")
    if kind == "JPEG" and picture.shape[-1] == 4:
        picture = over_white(to_float(picture))
    image = to_image(to_uint8(picture))
    options = _encoding(kind, lossless, quality) | metadata.options(said or metadata.Metadata(), kind)
    if fitting := colour.fitting(profile, image.mode):
        options["icc_profile"] = fitting
    try:
        with files.whole(path) as partial:
            image.save(partial, kind, **options)
    except OSError as error:
        kind_of_error = UserError if error.errno in OF_THE_NAME else RunError
        raise kind_of_error(f"{path}: cannot be written ({error.strerror or error})") from None


def _encoding(kind: str, lossless: bool, quality: int) -> dict:
    if kind == "JPEG":
        return {"quality": quality, "subsampling": 0}
    if kind == "WEBP" and lossless:  # exact keeps the colours of fully transparent pixels
        return {"lossless": True, "exact": True, "quality": EFFORT, "method": 2}
    return {"quality": quality} if kind == "WEBP" else {}


def grid(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Arrange pictures in a grid with thin white gutters.

    A column is as wide as its widest picture, and a row as high as its highest. Rows may have different lengths.

    Args:
        rows: rows of pictures, uint8 or float in [0, 1], [H, W, 1|3|4].

    Returns:
        uint8 [H, W, 3].
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
