"""Flicker of restyled films: how much more neighbouring frames differ than those of the film itself.

A frame is compared with the next one along the optical flow, which tells where each point moves. The flow is known for
camera moves that are computed over a photo (`View`), and is estimated for other films (`kgan.images.optical_flow`).

Reference: warping error as in [Lai et al.](https://arxiv.org/abs/1808.00449).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kgan.images.pictures import to_float
from kgan.kinds import METRICS

Flow = tuple[np.ndarray] | tuple[np.ndarray, np.ndarray]
"""A flow, and where its points are seen in the next frame, bool [H, W], if some are hidden."""


def warping_error(first: np.ndarray, second: np.ndarray, flow: np.ndarray, seen: np.ndarray | None = None) -> float:
    """The mean squared difference, over pixels and channels, of a frame and the next one along the flow.

    Args:
        first: [H, W, C], uint8 or float in [0, 1].
        second: the next frame.
        flow: the flow from `first` to `second`.
        seen: bool [H, W], where `second` shows the points of `first` too. Default: everywhere.

    Returns:
        A number of at least 0. Points that leave the frame do not count. NaN if none is left.
    """
    places = _grid(first.shape[:2]) + flow
    compared = _inside(places, second.shape[:2])
    if seen is not None:
        compared &= seen
    if not compared.any():
        return float("nan")
    difference = to_float(first)[compared] - sampled(to_float(second), places[compared])
    return float(np.mean(difference.astype(np.float64) ** 2))


@METRICS.add(label="Flicker x 1000", inputs=("film", "restyled", "flows"), better="less", scale=1000.0, place=107)
def flicker(film: Sequence[np.ndarray], restyled: Sequence[np.ndarray], flows: Sequence[Flow]) -> np.ndarray:
    """The warping error of a restyled film above that of the film itself.

    A film has one of its own: noise, light that changes, and errors of the flow.

    Args:
        film: its frames, each [H, W, C], uint8 or float in [0, 1].
        restyled: their restyled frames, of the same size.
        flows: for each frame but the last, the flow to the next one, alone or with where its points are seen.

    Returns:
        float64 [frames - 1]. It can be negative. Show its mean beside the style that is reached: a copy has 0.
    """
    return warping_errors(restyled, flows) - warping_errors(film, flows)


@METRICS.add(
    "warping_error", label="Warping error x 1000", inputs=("restyled", "flows"), better="less", scale=1000.0, least=0.0,
    place=106,
)  # fmt: skip
def warping_errors(restyled: Sequence[np.ndarray], flows: Sequence[Flow]) -> np.ndarray:
    """The warping error of each frame and the next one, float64 [frames - 1]. Arguments as for `flicker`."""
    pairs = zip(restyled[:-1], restyled[1:], flows, strict=True)
    return np.array([warping_error(first, second, *flow) for first, second, flow in pairs])


# --- camera moves, whose flow is known --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class View:
    """What a camera sees of a photo.

    Attributes:
        top: row of the photo at the first row of the frame. It may lie between two rows.
        left: column of the photo at the first column of the frame.
        step: how many pixels of the photo a pixel of the frame covers. Less is nearer.
    """

    top: float = 0.0
    left: float = 0.0
    step: float = 1.0

    def frame(self, photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The frame, float32 [*size, C]. Colours between the photo's pixels are interpolated linearly.

        Args:
            photo: [H, W, C], uint8 or float in [0, 1].
            size: height and width of the frame.

        Raises:
            ValueError: if the photo ends within the frame.
        """
        places = _grid(size) * self.step + (self.left, self.top)
        if not _inside(places, photo.shape[:2]).all():
            raise ValueError(f"the photo ends within the frame. Received: {self}, photo {photo.shape}, size {size}")
        return sampled(to_float(photo), places)

    def flow_to(self, other: "View", size: tuple[int, int]) -> np.ndarray:
        """The flow from this frame to another one, float64 [*size, 2]."""
        grid = _grid(size)
        return (grid * self.step + (self.left - other.left, self.top - other.top)) / other.step - grid


def pan(count: int, right: float, down: float = 0.0) -> list[View]:
    """The views of a camera that pans.

    Args:
        count: number of frames.
        right: pixels to the right for each frame, at least 0.
        down: pixels downwards for each frame, at least 0.

    Returns:
        The views, from the photo's top left corner.
    """
    return [View(top=number * down, left=number * right) for number in range(count)]


def zoom(count: int, factor: float, size: tuple[int, int]) -> list[View]:
    """The views of a camera that zooms in at the centre of its first frame.

    Args:
        count: number of frames.
        factor: how much larger things become with each frame, at least 1.
        size: height and width of a frame.

    Returns:
        The views. The first one shows the photo pixel by pixel, from its top left corner.
    """
    steps = [factor**-number for number in range(count)]
    return [View((size[0] - 1) / 2 * (1 - step), (size[1] - 1) / 2 * (1 - step), step) for step in steps]


# --- sampling ---------------------------------------------------------------------------------------------------------


def sampled(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The values of a picture at places between its pixels, by linear interpolation.

    Args:
        picture: float [H, W, C].
        places: columns and rows, float [..., 2]. Places outside have the value of the nearest pixel.

    Returns:
        Values of the picture's dtype, [..., C].
    """
    height, width = picture.shape[:2]
    column, row = np.clip(places[..., 0], 0, width - 1), np.clip(places[..., 1], 0, height - 1)
    left, top = column.astype(int), row.astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (share[..., np.newaxis].astype(picture.dtype) for share in (column - left, row - top))
    upper = picture[top, left] * (1 - across) + picture[top, right] * across
    lower = picture[bottom, left] * (1 - across) + picture[bottom, right] * across
    return upper * (1 - down) + lower * down


def _grid(size: tuple[int, int]) -> np.ndarray:
    """Column and row of each pixel, float64 [*size, 2]."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.stack([columns, rows], axis=-1).astype(np.float64)


def _inside(places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether places are inside a picture. A billionth of a pixel is rounding."""
    within = (places >= -1e-9) & (places <= np.array([size[1], size[0]]) - 1 + 1e-9)
    return np.asarray(within.all(axis=-1))
