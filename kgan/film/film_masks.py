"""Masks of a film: one picture for all frames, a folder with a picture for each frame, or another film."""

import os
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from kgan import console
from kgan.errors import UserError
from kgan.film.film import Film
from kgan.film.frames import Frame
from kgan.film.kinds import is_film
from kgan.film.stills import FrameFolder, is_animated
from kgan.images import blending
from kgan.images.listing import existing_path
from kgan.images.masks import fits, read_mask, scaled
from kgan.images.pictures import LUMA, to_float

FilmMask = Callable[[int, Fraction], np.ndarray]
"""A function from the number and the time of a frame to its mask, float32 [H, W, 1] in [0, 1]. Frames come in order."""


def film_mask(path: str | os.PathLike, film: Film, feather: float) -> FilmMask:
    """The mask of each frame of a film.

    The frame of a mask film is the one that is shown at the time of the frame. A folder has one picture for each
    frame. After its end, the last mask stays.

    Args:
        path: a picture, a folder, or a film.
        film: the film.
        feather: width of the soft edge in percent of the shorter side.

    Raises:
        UserError: if it cannot be read, has another shape than the film, or has too few pictures.
    """
    path = existing_path(path, "--mask")
    radius = min(film.size) * feather / 100

    def softened(mask: np.ndarray) -> np.ndarray:
        return blending.feather(to_float(scaled(mask, film.size)), radius)[..., None]

    if not (path.is_dir() or is_film(path) or is_animated(path)):
        mask = read_mask(path)
        _check_shape(path, mask.shape, film)
        only = softened(mask)
        return lambda number, time: only
    masks = Film(path, fps=float(film.rate) if path.is_dir() else None)
    _check_shape(path, masks.size, film)
    _check_count(masks, film)
    return _Moving(masks, softened)


class _Moving:
    """A mask that changes from frame to frame."""

    def __init__(self, masks: Film, softened: Callable[[np.ndarray], np.ndarray]):
        self._masks, self._softened = masks, softened
        self._frames: Iterator[Frame] = iter(masks)
        self._next: Frame | None = None
        self._mask: np.ndarray | None = None

    def __call__(self, number: int, time: Fraction) -> np.ndarray:
        if isinstance(self._masks.source, FrameFolder):
            time = number / self._masks.rate
        while self._mask is None or (self._next is not None and self._next.time <= time):
            shown = self._next or next(self._frames)
            self._next = next(self._frames, None)
            if self._mask is None or self._next is None or self._next.time > time:  # others are skipped
                self._mask = self._softened(_gray(shown.pixels))
            if self._next is None:
                console.say(f"kgan: --mask {self._masks.path}: its last frame stays until the end of the film")
        return self._mask


def _check_shape(path: os.PathLike, size: tuple[int, ...], film: Film) -> None:
    if not fits(np.empty(size), film.size):
        given, wanted = f"{size[1]}x{size[0]}", f"{film.size[1]}x{film.size[0]}"
        raise UserError(f"--mask {path}: is {given}, another shape than {film.path} ({wanted})")


def _check_count(masks: Film, film: Film) -> None:
    """A folder of masks for a folder of frames has as many."""
    if isinstance(masks.source, FrameFolder) and isinstance(film.source, FrameFolder):
        given, wanted = len(masks.source.files), len(film.source.files)
        if given != wanted:
            raise UserError(f"--mask {masks.path}: has {given} pictures for {wanted} frames; each frame needs one")


def _gray(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W]: white is 255, black and transparent are 0."""
    gray = pixels[..., :3] @ LUMA
    return np.rint(gray * (pixels[..., 3] / 255 if pixels.shape[-1] == 4 else 1)).astype(np.uint8)
