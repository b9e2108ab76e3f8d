"""Mask files: which one belongs to which picture, and what it says of every pixel of it."""

import pathlib

import numpy as np
from PIL import Image

from kgan.data.decoding import PictureError, read_picture
from kgan.errors import UserError
from kgan.listing import READ_SUFFIXES, find_pictures

SAME_ASPECT = 0.02
"""How far a side of a mask may be from what the picture's aspect ratio asks: rounding, and not another cut."""


class Masks:
    """One mask for all pictures, or a folder of masks: for each picture the one of the same name and subfolder."""

    def __init__(self, path: pathlib.Path):
        """Raises UserError when the path is missing, a folder without pictures, or a mask that cannot be used."""
        if not path.exists():
            raise UserError(f"--mask {path}: no such file or folder; check the path")
        self._path = path
        self._found = {file.relative_to(path): file for file in find_pictures(path)} if path.is_dir() else None
        self._only = None if path.is_dir() else read_mask(path)

    def file_for(self, picture: pathlib.Path) -> pathlib.Path:
        """The mask file of a picture, given its path inside its folder: masks/a.jpg, else masks/a with any suffix.

        Raises UserError where there is none, or more than one.
        """
        if self._found is None:
            return self._path
        if picture in self._found:
            return self._found[picture]
        fitting = [file for name, file in self._found.items() if name.with_suffix("") == picture.with_suffix("")]
        if len(fitting) > 1:
            raise UserError(f"{fitting[0]} and {fitting[1]} could both be the mask of {picture}; keep one")
        if not fitting:
            kinds = ", ".join(sorted(READ_SUFFIXES))
            raise UserError(f"{self._path / picture.with_suffix('')}: no such mask ({kinds}); every picture needs one")
        return fitting[0]

    def read(self, file: pathlib.Path) -> np.ndarray:
        """The mask in `file`, which `file_for` named, as `read_mask` gives it."""
        return read_mask(file) if self._only is None else self._only


def read_mask(path: pathlib.Path) -> np.ndarray:
    """uint8 [H, W], 255 where the file is white and 0 where it is black or transparent. PictureError says why not."""
    picture = read_picture(path)
    if picture.notices:
        raise PictureError(str(path), "is animated; give a mask of one frame")
    image = picture.in_srgb().image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "black"), image).convert("L"))


def fits(mask: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether a mask [h, w] can be scaled to (height, width): the same aspect ratio, up to one pixel or 2% of a side.

    >>> fits(np.zeros((341, 512)), (667, 1000)), fits(np.zeros((512, 512)), (667, 1000))
    (True, False)
    """
    height, width = mask.shape[1] * size[0] / size[1], mask.shape[0] * size[1] / size[0]
    off = abs(mask.shape[1] - width)
    return off <= SAME_ASPECT * width or off <= 1 or abs(mask.shape[0] - height) <= 1


def scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 [h, w] -> uint8 [height, width]; itself where it has that size."""
    if mask.shape == tuple(size):
        return mask
    return np.asarray(Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.BILINEAR))
