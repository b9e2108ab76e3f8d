"""Finds cuts: the frames with which a new scene begins.

Two frames are compared by the correlation of small versions of them, after the mean of each is taken away. So a flash,
a fade and a change of exposure, which change brightness or contrast, are no cuts. A frame without structure, such as
the black between two scenes, is never a cut; the first frame after it is compared with the last one before it.
"""

import dataclasses

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 32, 18
"""Size of the small versions in pixels."""

BLANK = 0.012
"""Standard deviation in [0, 1] below which a frame has no structure."""

LEAST = 0.45
"""The smallest change that may be a cut. 0 is no change, 1 are two unrelated frames."""

UNUSUAL = 3.0
"""How many times a cut exceeds the usual change of its scene, so that fast motion is no cut."""

MEMORY = 12
"""Number of the latest changes of which the median is the usual one."""


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """A small version of a frame.

    Args:
        pixels: uint8 [H, W, 3|4].

    Returns:
        float32 [18, 32, 3] in [0, 1].
    """
    small = Image.fromarray(np.ascontiguousarray(pixels[..., :3])).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255


def change(one: np.ndarray, other: np.ndarray) -> float:
    """How much two small versions differ: 1 minus their correlation, from 0 to 2. 0 if one of them is blank.

    Example:

    >>> ramp = np.linspace(0, 1, 18 * 32 * 3, dtype=np.float32).reshape(18, 32, 3)
    >>> abs(round(change(ramp, 0.5 * ramp + 0.2), 3)), round(change(ramp, 1 - ramp), 3)
    (0.0, 2.0)
    """
    if is_blank(one) or is_blank(other):
        return 0.0
    first, second = one - one.mean(), other - other.mean()
    return float(1 - (first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum()))


def is_blank(small: np.ndarray) -> bool:
    """Whether a small version has no structure."""
    return float(small.std()) < BLANK


def is_cut(changed: float, usual: np.ndarray) -> bool:
    """Whether a change from one frame to the next is a cut.

    Args:
        changed: the `change`.
        usual: the latest changes in the scene.
    """
    return changed > max(LEAST, UNUSUAL * float(np.median(usual)) if len(usual) else LEAST)


@dataclasses.dataclass
class Scenes:
    """Tells for one frame after the other whether a new scene begins with it.

    Attributes:
        last: the small version of the latest frame with structure, or None before the first.
        changes: the latest changes in the scene.
    """

    last: np.ndarray | None = None
    changes: list[float] = dataclasses.field(default_factory=list)

    @property
    def state(self) -> dict[str, np.ndarray]:
        """All that later frames depend on."""
        changes = {"changes": np.array(self.changes, np.float64)}
        return changes if self.last is None else {**changes, "thumbnail": self.last}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> "Scenes":
        """The scenes whose `state` this is."""
        return cls(state.get("thumbnail"), [float(each) for each in state["changes"]])

    def begins(self, pixels: np.ndarray) -> bool:
        """Whether a new scene begins with this frame, uint8 [H, W, 3|4]. True for the first frame."""
        small = thumbnail(pixels)
        if self.last is None:
            self.last = small
            return True
        changed = change(self.last, small)
        found = is_cut(changed, np.asarray(self.changes))
        self.changes = [] if found else [*self.changes, changed][-MEMORY:]
        if not is_blank(small):
            self.last = small
        return found
