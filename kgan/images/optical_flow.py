"""Optical flow: where each point of a picture is seen in another one. OpenCV estimates it.

A flow is float [H, W, 2]: pixels to the right and downwards, from a picture to the other one.
"""

import importlib
from typing import Any

import numpy as np

from kgan.errors import UserError

LEAST = 32
"""Pixels a side of the frames that DIS gets, at least."""

NARROWEST = 4
"""The largest ratio of their sides."""


def estimated_flow(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The flow between two frames, estimated by OpenCV's DIS.

    Points are hidden where the flow to the next frame and the flow back do not cancel.

    Args:
        first: [H, W, 3], uint8.
        second: the next frame.

    Returns:
        The flow from `first` to `second`, float32 [H, W, 2], and where the points of `first` are seen in `second`,
        bool [H, W].

    Raises:
        UserError: if OpenCV is not installed.

    Reference: [Kroeger et al.](https://arxiv.org/abs/1603.03590) for the flow;
        [Ruder et al.](https://arxiv.org/abs/1604.08610) for the hidden points.
    """
    cv2 = opencv()
    height, width = first.shape[:2]
    gray = [_padded(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)) for frame in (first, second)]
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    there, back = (method.calc(*each, None)[:height, :width] for each in (gray, gray[::-1]))
    returned = carried(back, there)
    apart = np.sum((there + returned) ** 2, axis=-1)
    return there, apart <= 0.01 * np.sum(there**2 + returned**2, axis=-1) + 0.5


def _padded(gray: np.ndarray) -> np.ndarray:
    """A frame that is not too small and not too narrow for DIS, which ends the process with some of those."""
    height, width = gray.shape
    least = max(LEAST, -(-max(height, width) // NARROWEST))
    down, right = max(0, least - height), max(0, least - width)
    return np.pad(gray, ((0, down), (0, right)), mode="edge") if down or right else gray


def carried(picture: np.ndarray, flow: np.ndarray, is_sharp: bool = False, top: int = 0) -> np.ndarray:
    """What the flow's points show in another picture.

    Args:
        picture: the picture that the flow leads to, uint8 or float32 [H, W, C].
        flow: float32 [H, W, 2].
        is_sharp: keep fine detail by cubic interpolation. Otherwise it is linear, to 1/32 of a pixel.
        top: row of the flow's first points, if these are a part of a frame.

    Returns:
        [H, W, C] of the picture's dtype. Points outside the picture have the value of its nearest pixel.
    """
    cv2 = opencv()
    how = cv2.INTER_CUBIC if is_sharp else cv2.INTER_LINEAR
    return cv2.remap(picture, places(flow, top), None, how, borderMode=cv2.BORDER_REPLICATE)


def places(flow: np.ndarray, top: int = 0) -> np.ndarray:
    """Column and row to which the flow leads from each pixel, float32 [H, W, 2]. `top`: row of its first points."""
    height, width = flow.shape[:2]
    led = flow.astype(np.float32)
    led[..., 0] += np.arange(width, dtype=np.float32)
    led[..., 1] += np.arange(top, top + height, dtype=np.float32)[:, np.newaxis]
    return led


def opencv(otherwise: str = "") -> Any:
    """The module `cv2`.

    Args:
        otherwise: end of the message if it is not installed.

    Raises:
        UserError: if it is not installed.
    """
    try:
        return importlib.import_module("cv2")
    except ImportError:
        raise UserError(
            "the optical flow of films needs OpenCV, which is not installed: pip install 'kgan[film]' "
            f"(or: pip install opencv-python-headless){otherwise}"
        ) from None
