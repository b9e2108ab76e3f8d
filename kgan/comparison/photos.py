"""The photos of a comparison, with the results that lie in folders."""

import os
import pathlib
from collections.abc import Mapping

import numpy as np

from kgan.comparison.sides import Side
from kgan.errors import UserError, counted
from kgan.images.decoding import PictureError, decode_picture
from kgan.images.listing import find_pictures
from kgan.images.pairing import describe_ambiguous, pair, same_shape
from kgan.images.resizing import resized


class Photos:
    """The photos of a folder, and their results in other folders, which are paired by name (`kgan.images.pairing`).

    Args:
        root: the folder of photos.
        sides: "a" and "b" and what they are. Models have no results yet.
        output: a folder that is skipped.

    Attributes:
        names: relative paths of all photos.
        places: indices of the photos that have a result in each folder.
        notices: lines about the others.

    Raises:
        UserError: if there are no photos, or no pictures with their names in a folder.
    """

    def __init__(self, root: pathlib.Path, sides: Mapping[str, Side], output: str | os.PathLike):
        self.root = root
        self.paths = find_pictures(root, [output])
        self.names = [path.relative_to(root) for path in self.paths]
        self.notices: list[str] = []
        folders = {part: side.folder for part, side in sides.items() if side.folder is not None}
        self._results = {part: self._counterparts(folder) for part, folder in folders.items()}
        self.places = [place for place in range(len(self.paths)) if all(place in of for of in self._results.values())]
        if not self.places:
            raise UserError(
                f"{root}: none of its photos has a result in both {' and '.join(map(str, folders.values()))}"
            )

    def read(self, place: int, size: int | None) -> dict[str, np.ndarray]:
        """Decode a photo and its results in folders.

        Args:
            place: index of the photo.
            size: longer side in pixels to which a larger photo is reduced, or None.

        Returns:
            "photo", and "a" and "b" if they are folders: uint8 [H, W, 3] of the same shape, upright, in sRGB, over
            white.

        Raises:
            PictureError: if one cannot be decoded, or has another shape than the photo.
        """
        photo = decode_picture(self.paths[place])
        share = min(1.0, size / max(photo.shape[:2])) if size else 1.0
        photo = resized(photo, (max(1, round(share * photo.shape[0])), max(1, round(share * photo.shape[1]))))
        return {"photo": photo} | {part: _fitting(of[place], photo) for part, of in self._results.items()}

    def _counterparts(self, folder: pathlib.Path) -> dict[int, pathlib.Path]:
        """The path of the result by the index of its photo."""
        paths = find_pictures(folder)
        pairs = pair(self.names, [path.relative_to(folder) for path in paths])
        if not pairs.both:
            raise UserError(f"{folder}: should have the file names of the photos, as in {self.names[0]}")
        if pairs.unsure:
            self.notices.append(f"{folder}: {describe_ambiguous(pairs.unsure)}")
        if alone := pairs.alone[0]:
            verb = "has no result and is" if alone == 1 else "have no result and are"
            self.notices.append(f"{folder}: {alone} of {counted(len(self.names), 'photo')} {verb} left out")
        return {photo: paths[place] for photo, place in pairs.both}


def _fitting(path: pathlib.Path, photo: np.ndarray) -> np.ndarray:
    """A result, resized to its photo."""
    result = decode_picture(path)
    size, wanted = result.shape[:2], photo.shape[:2]
    if not same_shape(size, wanted):
        raise PictureError(str(path), f"is {size[1]}x{size[0]}, another shape than its photo ({wanted[1]}x{wanted[0]})")
    return resized(result, wanted)
