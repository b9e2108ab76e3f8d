"""What a film is made of: frames with exact times, and facts that hold for all of them."""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

Matrix = tuple[int, ...]
"""A display matrix: nine integers in FFmpeg's layout, of which [0], [1], [3] and [4] turn and mirror the picture."""

BT709, UNKNOWN, BT601, BT2020 = 1, 2, 6, 9
"""Numbers of colour matrices, and of primaries and transfers, in ITU-T H.273, which FFmpeg uses."""

LIMITED, FULL = 1, 2
"""FFmpeg's numbers of colour ranges: black to white is 16 to 235, or 0 to 255."""


@dataclasses.dataclass(frozen=True)
class Colours:
    """How the numbers of a film's file become colours. The numbers are those of ITU-T H.273.

    Attributes:
        matrix: the matrix between YCbCr and RGB; 0 for a film in RGB, 2 if it is not told.
        range: 1 for limited range, 2 for full range, 0 if it is not told.
        primaries: the primaries.
        transfer: the transfer function.
    """

    matrix: int = UNKNOWN
    range: int = 0
    primaries: int = UNKNOWN
    transfer: int = UNKNOWN


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame of a film.

    Attributes:
        pixels: the upright picture, uint8 [H, W, 3] or [H, W, 4] with straight alpha.
        time: when it is shown, in seconds on the film's own time line.
        duration: for how long it is shown, in seconds.
    """

    pixels: np.ndarray
    time: Fraction
    duration: Fraction

    @property
    def end(self) -> Fraction:
        """When it is no longer shown, in seconds."""
        return self.time + self.duration


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of a film before its frames are read.

    Attributes:
        size: height and width of the upright frames in pixels.
        rate: the mean number of frames a second.
        time_base: the unit of its times in seconds.
        begin: the time of its first frame in seconds.
        origin: the time in seconds at which its clock begins: 0, but for formats whose clock starts anywhere.
        duration: its length in seconds, or None if its file does not tell.
        count: the number of its frames, or None if its file does not tell.
        channels: 3 for RGB, 4 for RGBA.
        turn: its display matrix, or None.
        aspect: width of a pixel divided by its height.
        colours: its colours.
        full_chroma: whether it stores colour at full resolution.
        lossless: whether its file is lossless.
        loop: how often an animation is shown, 0 for endlessly. None for other films.
    """

    size: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    begin: Fraction = Fraction(0)
    origin: Fraction = Fraction(0)
    duration: Fraction | None = None
    count: int | None = None
    channels: int = 3
    turn: Matrix | None = None
    aspect: Fraction = Fraction(1)
    colours: Colours = Colours()
    full_chroma: bool = False
    lossless: bool = False
    loop: int | None = None

    @property
    def stored_size(self) -> tuple[int, int]:
        """Height and width as the file stores them, before the frames are turned upright."""
        return self.size[::-1] if swaps_sides(self.turn) else self.size


# --- turning ----------------------------------------------------------------------------------------------------------


def swaps_sides(matrix: Sequence[int] | None) -> bool:
    """Whether a display matrix is a turn by a quarter, which swaps height and width."""
    return matrix is not None and _signs(matrix)[0] == 0


def upright(pixels: np.ndarray, matrix: Sequence[int] | None) -> np.ndarray:
    """Turn and mirror a stored picture as its display matrix tells. Other angles than quarters are left.

    Args:
        pixels: [H, W, C].
        matrix: nine integers, or None.

    Returns:
        A view of the pixels.
    """
    if matrix is None:
        return pixels
    return _mirrored(pixels.swapaxes(0, 1) if swaps_sides(matrix) else pixels, matrix)


def as_stored(pixels: np.ndarray, matrix: Sequence[int] | None) -> np.ndarray:
    """Turn an upright picture back: the inverse of `upright`.

    Args:
        pixels: [H, W, C].
        matrix: nine integers, or None.

    Returns:
        A view of the pixels.
    """
    if matrix is None:
        return pixels
    mirrored = _mirrored(pixels, matrix)
    return mirrored.swapaxes(0, 1) if swaps_sides(matrix) else mirrored


def _mirrored(pixels: np.ndarray, matrix: Sequence[int]) -> np.ndarray:
    """Upright pixels, or turned but not yet mirrored ones, mirrored as a display matrix tells."""
    a, b, c, d = _signs(matrix)
    return pixels[:: -1 if b + d < 0 else 1, :: -1 if a + c < 0 else 1]


def _signs(matrix: Sequence[int]) -> tuple[int, int, int, int]:
    """The signs of a, b, c and d in x' = a x + c y, y' = b x + d y. Those of no turn for other angles than quarters."""
    a, b, c, d = (int(np.sign(matrix[k])) for k in (0, 1, 3, 4))
    return (a, b, c, d) if (a == d == 0 and b and c) or (b == c == 0 and a and d) else (1, 0, 0, 1)
