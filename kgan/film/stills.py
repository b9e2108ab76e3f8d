"""Reads animated GIF, WebP and PNG files and folders of numbered frames, with Pillow."""

import os
import pathlib
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from kgan import console
from kgan.errors import UserError
from kgan.film.frames import Facts, Frame
from kgan.images import decoding
from kgan.images.decoding import PictureError, read_picture
from kgan.images.listing import find_pictures

MILLISECONDS = Fraction(1, 1000)

UNTIMED = Fraction(1, 10)
"""Seconds for which browsers show a frame without a duration, or of 10 ms or less."""


class Animation:
    """An animated GIF, WebP or PNG file. Its frames have an alpha channel.

    Args:
        path: the file.

    Raises:
        UserError: if it cannot be read.
    """

    notices: tuple[str, ...] = ()

    def __init__(self, path: pathlib.Path):
        self.path = path
        with decoding.opened_animation(path) as image:
            count = getattr(image, "n_frames", 1) - _hidden(image)
            loop = image.info.get("loop", 1 if image.format == "GIF" else 0)
            size = (image.height, image.width)
            first = _duration(image)
        self.facts = Facts(
            size, 1 / first, MILLISECONDS, count=count, channels=4, lossless=decoding.is_lossless(path), loop=loop,
            full_chroma=True,
        )  # fmt: skip

    def frames(self, since: Fraction | None = None) -> Iterator[Frame]:
        """Read the frames in their order, from a time in seconds on. A truncated file ends early, with a warning."""
        time, hidden = Fraction(0), 0
        with decoding.opened_animation(self.path) as image:
            hidden = _hidden(image)
            for index in range(self.facts.count or 1):
                try:
                    image.seek(index + hidden)
                    image.load()
                    duration = _duration(image)
                    if since is None or time >= since:
                        yield Frame(np.asarray(image.convert("RGBA")), time, duration)
                except (OSError, EOFError, SyntaxError, ValueError) as error:
                    console.warn(
                        f"{self.path}: cut off or damaged after {index} of {self.facts.count} frames ({error})"
                    )
                    return
                time += duration


def _hidden(image: Any) -> int:
    """1 if an animated PNG has a still picture for programs without animation, else 0."""
    return int(bool(getattr(image, "default_image", False)))


def _duration(image: Any) -> Fraction:
    milliseconds = image.info.get("duration") or 0
    return Fraction(milliseconds).limit_denominator(100_000) * MILLISECONDS if milliseconds > 10 else UNTIMED


def is_animated(path: str | os.PathLike) -> bool:
    """Whether a file is a GIF, WebP or PNG with several frames."""
    try:
        with decoding.opened_animation(path) as image:
            return getattr(image, "n_frames", 1) > 1
    except UserError:
        return False


class FrameFolder:
    """A folder of frames, whose names tell their order.

    Args:
        path: the folder.
        rate: frames a second.

    Raises:
        UserError: if it holds no pictures, or the first cannot be read.
    """

    notices: tuple[str, ...] = ()

    def __init__(self, path: pathlib.Path, rate: Fraction):
        self.path, self.files = path, numbered(find_pictures(path))
        first = read_picture(self.files[0])
        self.facts = Facts(
            (first.image.height, first.image.width), rate, 1 / rate, count=len(self.files),
            channels=4 if first.image.mode == "RGBA" else 3, lossless=first.lossless, full_chroma=False,
            duration=len(self.files) / rate,
        )  # fmt: skip

    def frames(self, since: Fraction | None = None) -> Iterator[Frame]:
        """Read the frames from a time in seconds on. One that cannot be read is left out, with a warning."""
        first = 0 if since is None else -int(-since * self.facts.rate // 1)
        for index in range(max(0, first), len(self.files)):
            try:
                pixels = self._pixels(self.files[index])
            except PictureError as error:
                console.warn(f"{error}; this frame is left out")
                continue
            yield Frame(pixels, index / self.facts.rate, 1 / self.facts.rate)

    def _pixels(self, file: pathlib.Path) -> np.ndarray:
        pixels = decoding.decode_picture(file, self.facts.channels)
        if pixels.shape[:2] != self.facts.size:
            (height, width), given = self.facts.size, f"{pixels.shape[1]}x{pixels.shape[0]}"
            raise UserError(f"{file}: is {given}; all frames should be {width}x{height}, as {self.files[0]} is")
        return pixels


def numbered(files: list[pathlib.Path]) -> list[pathlib.Path]:
    """Sort files by the numbers in their names: 2.png comes before 10.png.

    Example:

    >>> [file.name for file in numbered([pathlib.Path("10.png"), pathlib.Path("2.png")])]
    ['2.png', '10.png']
    """
    return sorted(
        files, key=lambda file: [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", str(file))]
    )
