"""Finds the mask file of each picture and reads it."""

import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kgan.errors import UserError
from kgan.images.decoding import PictureError, is_readable, read_picture
from kgan.images.listing import READ_SUFFIXES, existing_path, find_pictures
from kgan.images.pairing import pair, same_shape, stem
from kgan.images.resizing import BILINEAR, resized
from kgan.images.targets import Destination


class Masks:
    """One mask for all pictures, or a folder with a mask of the same name and subfolder for each picture.

    Args:
        path: a mask file or a folder of masks.

    Raises:
        UserError: if the path does not exist, a folder contains no pictures, or the mask cannot be used.
    """

    def __init__(self, path: pathlib.Path):
        self._path = existing_path(path, "--mask")
        self._found = {file.relative_to(path): file for file in find_pictures(path)} if path.is_dir() else None
        self._only = None if path.is_dir() else read_mask(path)

    def files_for(self, destinations: Sequence[Destination]) -> list[pathlib.Path | None]:
        """Find the mask of each picture: masks/a.jpg for a.jpg, or else a file that differs in its suffix only.

        Args:
            destinations: the pictures.

        Returns:
            The path of each mask. It is None for an unreadable picture without a mask.

        Raises:
            UserError: if a readable picture has no mask or more than one.
        """
        found = self._found
        if found is None:
            return [self._path] * len(destinations)
        names, masks = list(dict.fromkeys(destination.relative for destination in destinations)), list(found)
        pairs = pair(names, masks)
        files = {names[index]: found[masks[other]] for index, other in pairs.both}
        for destination in destinations:
            if destination.relative not in files and is_readable(destination.source):
                raise UserError(self._why_none(destination.relative, found))
        return [files.get(destination.relative) for destination in destinations]

    def _why_none(self, picture: pathlib.Path, found: dict[pathlib.Path, pathlib.Path]) -> str:
        near = [file for name, file in found.items() if stem(name) == stem(picture)]
        if len(near) > 1:
            return f"{near[0]} and {near[1]} could both be the mask of {picture}; keep one"
        if near:
            return f"{near[0]}: is another picture's mask, or could be; the mask of {picture} should be called like it"
        kinds = ", ".join(sorted(READ_SUFFIXES))
        return f"{self._path / picture.with_suffix('')}: no such mask ({kinds}); every picture needs one"

    def read(self, file: pathlib.Path) -> np.ndarray:
        """Read a mask that `files_for` found, as `read_mask`."""
        return read_mask(file) if self._only is None else self._only


def read_mask(path: pathlib.Path) -> np.ndarray:
    """Read a mask file.

    Args:
        path: the file.

    Returns:
        uint8 [H, W], 255 for white and 0 for black or transparent pixels.

    Raises:
        PictureError: if it cannot be read or is animated.
    """
    picture = read_picture(path)
    if picture.notices:
        raise PictureError(str(path), "is animated; give a mask of one frame")
    image = picture.in_srgb().image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "black"), image).convert("L"))


def fits(mask: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether a mask has the aspect ratio of a picture, up to one pixel or 2% of a side.

    Args:
        mask: [h, w].
        size: height and width of the picture.

    Example:

    >>> fits(np.zeros((341, 512)), (667, 1000)), fits(np.zeros((512, 512)), (667, 1000))
    (True, False)
    """
    height, width = mask.shape[1] * size[0] / size[1], mask.shape[0] * size[1] / size[0]
    one_pixel_off = abs(mask.shape[1] - width) <= 1 or abs(mask.shape[0] - height) <= 1
    return one_pixel_off or same_shape(mask.shape, size)


def scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a mask, uint8 [h, w], to (height, width) with a bilinear filter."""
    return resized(mask, size, BILINEAR)
