"""Mask files: which one belongs to which picture, and what it says of every pixel of it."""

import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kgan.errors import UserError
from kgan.images.decoding import PictureError, is_readable, read_picture
from kgan.images.listing import READ_SUFFIXES, find_pictures, named_file
from kgan.images.pairing import pair, same_shape, stem
from kgan.images.targets import Place


class Masks:
    """One mask for all pictures, or a folder of masks: for each picture the one of the same name and subfolder."""

    def __init__(self, path: pathlib.Path):
        """Raises UserError when the path is missing, a folder without pictures, or a mask that cannot be used."""
        self._path = named_file(path, "--mask")
        self._found = {file.relative_to(path): file for file in find_pictures(path)} if path.is_dir() else None
        self._only = None if path.is_dir() else read_mask(path)

    def files_for(self, places: Sequence[Place]) -> list[pathlib.Path | None]:
        """The mask file of every picture, by its path inside its folder: masks/a.jpg, else masks/a.png, ...

        None for a picture without one that cannot be read. Raises UserError where there is none, or more than one.
        """
        if self._found is None:
            return [self._path] * len(places)
        names, masks = list(dict.fromkeys(place.relative for place in places)), list(self._found)
        pairs = pair(names, masks)
        files = {names[place]: self._found[masks[other]] for place, other in pairs.both}
        for place in places:
            if place.relative not in files and is_readable(place.source):
                raise UserError(self._why_none(place.relative))
        return [files.get(place.relative) for place in places]

    def _why_none(self, picture: pathlib.Path) -> str:
        near = [file for name, file in self._found.items() if stem(name) == stem(picture)]
        if len(near) > 1:
            return f"{near[0]} and {near[1]} could both be the mask of {picture}; keep one"
        if near:
            return f"{near[0]}: is another picture's mask, or could be; the mask of {picture} should be called like it"
        kinds = ", ".join(sorted(READ_SUFFIXES))
        return f"{self._path / picture.with_suffix('')}: no such mask ({kinds}); every picture needs one"

    def read(self, file: pathlib.Path) -> np.ndarray:
        """The mask in `file`, which `files_for` named, as `read_mask` gives it."""
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
    one_pixel_off = abs(mask.shape[1] - width) <= 1 or abs(mask.shape[0] - height) <= 1
    return one_pixel_off or same_shape(mask.shape, size)


def scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 [h, w] -> uint8 [height, width]; itself where it has that size."""
    if mask.shape == tuple(size):
        return mask
    return np.asarray(Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.BILINEAR))
