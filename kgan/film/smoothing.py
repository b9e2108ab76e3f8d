"""Smooths a restyled film: each frame takes up a part of the one before it, moved to where things are now.

Fine brushwork is another in each frame, because a network follows noise that the eye does not see. Here a point keeps
some of the colour that it had in the frame before, along the optical flow of the film. It does so only where the film
itself shows the same there, so that nothing trails behind things that move, appear or change.

References: [Bonneel et al., Blind Video Temporal Consistency](https://doi.org/10.1145/2816795.2818107) for a restyled
film that follows the flow of its original; [Lai et al.](https://arxiv.org/abs/1808.00449) for the weights.
"""

import concurrent.futures
import os
from collections.abc import Sequence

import numpy as np

from kgan.errors import UserError
from kgan.film.scenes import Scenes
from kgan.film.work import State
from kgan.images.optical_flow import carried, estimated_flow, opencv, places

SMOOTH = 0.5
"""The part of the frame before that a frame takes up by default."""

ALIKE = 0.05
"""How far the colours of a point in [0, 1] may lie apart in two frames to count as the same. At this distance, the part
that is taken up falls to 61%, at twice of it to 14%."""

SIDE = 640
"""The longer side in pixels at which the flow is estimated, at most."""

PIXELS = 5
"""Side of the squares in which colours are compared, in pixels at which the flow is estimated."""

ROWS = 64
"""Rows that are blended at a time, so that large frames need little memory."""

PREFIX = "smooth_"
"""Beginning of the names in its state, which is kept beside that of the painter."""

BYTES = 8
"""Bytes per pixel of a frame that smoothing needs: the frame before, and the result."""


class Smoother:
    """Smooths the restyled frames of a film, which come in order.

    Args:
        part: the part of the frame before that a frame takes up, in [0, 1). With 0, frames stay as they are.

    Raises:
        UserError: if the part is out of range, or it is not 0 and OpenCV is not installed.
    """

    def __init__(self, part: float = SMOOTH):
        if not 0 <= part < 1:
            raise UserError(f"--smooth {part:g} should be at least 0 and below 1")
        if part:
            opencv(", or give --smooth 0")
        self._part, self._scenes = part, Scenes()
        self._film: np.ndarray | None = None
        self._made: np.ndarray | None = None

    def __call__(self, film: Sequence[np.ndarray], made: np.ndarray) -> np.ndarray:
        """Smooth the next frames.

        Args:
            film: the frames of the film, each uint8 [H, W, 3|4].
            made: the restyled frames, uint8 [N, H, W, C].

        Returns:
            uint8 [N, H, W, C].
        """
        if not self._part:
            return made
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            small = list(pool.map(_small, film))
            pairs = [
                None if self._scenes.begins(now) or before is None else (now, before)
                for before, now in zip([self._film, *small[:-1]], small, strict=True)
            ]
            smoothed, before = np.array(made), self._made
            for frame, along in zip(smoothed, pool.map(self._along, pairs), strict=True):
                if along is not None and before is not None:
                    _blend(frame, before, *along, pool)
                before = frame
        self._film, self._made = small[-1], smoothed[-1].copy()
        return smoothed

    def _along(self, pair: tuple[np.ndarray, np.ndarray] | None) -> tuple[np.ndarray, np.ndarray] | None:
        """The flow from a frame back to the one before it, and the part that is taken up from there, float32 [H, W]."""
        if pair is None:
            return None
        now, before = pair
        cv2 = opencv()
        flow, is_seen = estimated_flow(now, before)
        apart = (carried(before, flow).astype(np.float32) - now) / 255
        apart = cv2.blur(np.mean(apart**2, axis=-1), (PIXELS, PIXELS))
        led, (height, width) = places(flow), now.shape[:2]
        is_inside = ((led >= 0) & (led <= (width - 1, height - 1))).all(axis=-1)
        return flow, np.float32(self._part) * (is_seen & is_inside) * np.exp(-apart / (2 * ALIKE**2))

    @property
    def state(self) -> State:
        """All that later frames depend on."""
        if self._film is None or self._made is None:
            return {}
        own = {"film": self._film, "made": self._made, **self._scenes.state}
        return {PREFIX + name: each for name, each in own.items()}

    @state.setter
    def state(self, state: State) -> None:
        own = {name.removeprefix(PREFIX): each for name, each in state.items() if name.startswith(PREFIX)}
        if own:
            self._film, self._made, self._scenes = own["film"], own["made"], Scenes.from_state(own)


def _small(frame: np.ndarray) -> np.ndarray:
    """The frame at the size at which the flow is estimated, uint8 [H, W, 3]."""
    height, width = frame.shape[:2]
    colours, share = np.ascontiguousarray(frame[..., :3]), SIDE / max(height, width)
    if share >= 1:
        return colours
    cv2 = opencv()
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return cv2.resize(colours, size, interpolation=cv2.INTER_AREA)


def _blend(
    frame: np.ndarray, before: np.ndarray, flow: np.ndarray, part: np.ndarray, pool: concurrent.futures.Executor
) -> None:
    """Put a part of the frame before into a restyled frame. Flow and part may be smaller than the frames."""
    cv2 = opencv()

    def blend(top: int) -> None:
        rows = slice(top, min(top + ROWS, len(frame)))
        own = frame[rows]
        moved = carried(before, _enlarged(flow, rows, frame.shape), is_sharp=True, top=top).reshape(own.shape)
        change = cv2.subtract(moved, own, dtype=cv2.CV_32F).reshape(own.shape)
        change *= _enlarged(part, rows, frame.shape)[..., np.newaxis]
        own[:] = cv2.add(own, change, dtype=cv2.CV_8U).reshape(own.shape)  # rounds without a bias

    list(pool.map(blend, range(0, len(frame), ROWS)))


def _enlarged(values: np.ndarray, rows: slice, size: tuple[int, ...]) -> np.ndarray:
    """Some rows of a flow, or of other values, at the size of a frame. Pixels of a flow become those of the frame."""
    height, width = size[:2]
    if values.shape[:2] == (height, width):
        return values[rows]
    down, right = values.shape[0] / height, values.shape[1] / width
    source = np.array([[right, 0, right / 2 - 0.5], [0, down, (rows.start + 0.5) * down - 0.5]])
    cv2 = opencv()
    made = cv2.warpAffine(
        values, source, (width, rows.stop - rows.start), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return made if values.ndim == 2 else made / np.array((right, down), np.float32)
