"""Statistics of norms that change slowly along a scene, so that a film does not flicker.

A network that measures each frame by itself changes its result wherever something enters the picture. Here only the
first frame of a scene is restyled with its own statistics. Those of later frames follow slowly. To measure costs as
much as to restyle, so that not every frame is measured.
"""

from collections.abc import Callable

import numpy as np

from kgan.film.scenes import BLANK, Scenes, thumbnail
from kgan.film.work import State

EVERY = 8
"""Each such frame of a scene is measured."""

FOLLOWED = 0.05
"""The fraction of the way to the latest measured statistics that those in use go with each frame at least."""

FOLLOWED_BY_LIGHT = 3.0
"""By how much this fraction grows with each change of light (`light_change`), so that a scene that fades in from black
is not restyled with the statistics of the black."""

QUICK = 0.25
"""A fraction above which a frame is always measured."""

Measure = Callable[[np.ndarray], np.ndarray]
"""A function from frames, uint8 [N, H, W, C], to their statistics, float32 [N, 2, M]."""


class SceneStatistics:
    """The statistics that each frame of a film is restyled with."""

    def __init__(self) -> None:
        self._scenes = Scenes()
        self._light = np.zeros(2, np.float32)
        self._age = 0  # frames since the scene began
        self._used = self._target = np.zeros((2, 0), np.float32)

    def of(self, frames: np.ndarray, measure: Measure) -> np.ndarray:
        """The statistics for the next frames of the film.

        Args:
            frames: uint8 [N, H, W, C].
            measure: what measures frames.

        Returns:
            float32 [N, 2, M].
        """
        ways = [self._way(frame) for frame in frames]
        at = [row for row, (way, age) in enumerate(ways) if way > QUICK or age % EVERY == 0]
        measured = dict(zip(at, measure(frames[at]), strict=True)) if at else {}
        used = []
        for row, (way, _) in enumerate(ways):
            self._target = measured.get(row, self._target)
            self._used = self._target if way == 1 else self._used + np.float32(way) * (self._target - self._used)
            used.append(self._used)
        return np.stack(used)

    def _way(self, frame: np.ndarray) -> tuple[float, int]:
        """The fraction of the way that statistics go with a frame, and how many frames of the scene are before it."""
        small, is_new = thumbnail(frame), self._scenes.begins(frame)
        light = np.array([small.mean(), small.std()], np.float32)
        changed, self._light = light_change(self._light, light), light
        self._age = 0 if is_new else self._age + 1
        return 1.0 if is_new else min(1.0, FOLLOWED + FOLLOWED_BY_LIGHT * changed), self._age

    @property
    def state(self) -> State:
        """All that the statistics of later frames depend on."""
        return {
            "light": self._light,
            "age": np.array(self._age),
            "used": self._used,
            "target": self._target,
            **self._scenes.state,
        }

    @state.setter
    def state(self, state: State) -> None:
        self._light, self._age = state["light"], int(state["age"])
        self._used, self._target = state["used"], state["target"]
        self._scenes = Scenes.from_state(state)


def light_change(before: np.ndarray, after: np.ndarray) -> float:
    """How much the light changes from a frame to the next, relative to the contrast.

    Args:
        before: mean and standard deviation of a frame, in [0, 1].
        after: those of the next one.

    Example:

    >>> round(light_change(np.array([0.4, 0.2]), np.array([0.5, 0.25])), 3)
    0.5
    """
    return float(np.abs(after - before).max() / max(before[1], BLANK))
