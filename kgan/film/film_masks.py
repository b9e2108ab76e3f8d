"""Masks of a film: one picture for all frames, a folder with a picture for each frame, or another film."""

import os
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kgan import console
from kgan.errors import UserError
from kgan.film.film import Film
from kgan.film.kinds import is_film
from kgan.film.stills import FrameFolder, is_animated
from kgan.images import blending
from kgan.images.listing import existing_path
from kgan.images.masks import fits, read_mask, scaled
from kgan.images.pictures import LUMA, to_float


class FilmMask:
    """The mask of each frame of a film.

    The frame of a mask film is the one that is shown at the time of the frame. A folder has one picture for each
    frame. After its end, the last mask stays.

    Args:
        path: a picture, a folder, or a film.
        film: the film.
        feather: width of the soft edge in percent of the shorter side.

    Raises:
        UserError: if it cannot be read, or has another shape than the film.
    """

    def __init__(self, path: str | os.PathLike, film: Film, feather: float):
        self._path, self._film = existing_path(path, "--mask"), film
        self._radius = min(film.size) * feather / 100
        self._frames: Iterator[tuple[Fraction, np.ndarray]] | None = None
        self._masks: Film | None = None
        if self._path.is_dir() or is_film(self._path) or is_animated(self._path):
            self._masks = Film(self._path, fps=_rate(film) if self._path.is_dir() else None)
            self._check(np.empty(self._masks.size))
            self._check_count()
        else:
            mask = read_mask(self._path)
            self._check(mask)
            self._now = self._softened(mask)

    def _check(self, mask: np.ndarray) -> None:
        if not fits(mask, self._film.size):
            given, wanted = f"{mask.shape[1]}x{mask.shape[0]}", f"{self._film.size[1]}x{self._film.size[0]}"
            raise UserError(f"--mask {self._path}: is {given}, another shape than {self._film.path} ({wanted})")

    def _check_count(self) -> None:
        """A folder of masks for a folder of frames has as many."""
        if isinstance(self._masks.source, FrameFolder) and isinstance(self._film.source, FrameFolder):
            masks, frames = len(self._masks.source.files), len(self._film.source.files)
            if masks != frames:
                raise UserError(f"--mask {self._path}: has {masks} pictures for {frames} frames; each frame needs one")

    def __call__(self, number: int, time: Fraction) -> np.ndarray:
        """The mask of a frame, float32 [H, W, 1] in [0, 1].

        Args:
            number: how many frames are before it.
            time: its time in seconds.
        """
        if self._masks is None:
            return self._now
        is_folder = isinstance(self._masks.source, FrameFolder)
        self._advance(number / self._masks.rate if is_folder else time)
        return self._now

    def _advance(self, time: Fraction) -> None:
        """Go to the last mask that is shown at this time or before."""
        if self._frames is None:
            self._frames, self._next = iter(self._masks), None
            self._now = None
            self._take()
        while self._next is not None and (self._now is None or self._next.time <= time):
            self._now = self._softened(_gray(self._next.pixels))
            self._take()

    def _take(self) -> None:
        before, self._next = self._next, next(self._frames, None)
        if self._next is None and before is not None:
            console.say(f"kgan: --mask {self._path}: its last frame stays until the end of the film")

    def _softened(self, mask: np.ndarray) -> np.ndarray:
        return blending.feather(to_float(scaled(mask, self._film.size)), self._radius)[..., None]


def _rate(film: Film) -> float:
    return float(film.rate)


def _gray(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W]: white is 255, black and transparent are 0."""
    gray = pixels[..., :3] @ LUMA
    return np.rint(gray * (pixels[..., 3] / 255 if pixels.shape[-1] == 4 else 1)).astype(np.uint8)
