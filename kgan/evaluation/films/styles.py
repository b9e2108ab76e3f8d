"""How much of the wanted style restyled frames reach, to be read beside their flicker."""

import collections
from collections.abc import Iterable

import numpy as np

from kgan.evaluation.films.footage import Step
from kgan.evaluation.films.measure import Numbers, Pictures
from kgan.metrics.picture_features import PictureFeatures, style_reached

MOST = 100
"""About how many frames of a film are compared with the style, so that memory does not grow with its length."""

EVERY = 8
"""At most each such frame is compared, as neighbouring frames are alike."""


class Styles:
    """Gathers the style of some frames of a film.

    Args:
        count: about how many frames the film has, or None.
    """

    def __init__(self, count: int | None):
        self._every, self._frames = max(EVERY, (count or 0) // MOST), 0
        self._features: dict[str, PictureFeatures] = collections.defaultdict(PictureFeatures)
        self._blocks: list[int] = []

    def see(self, step: Step, pictures: Pictures) -> None:
        """Look at a frame."""
        if self._frames % self._every == 0:
            self._blocks.append(step.block)
            for row, picture in pictures.items():
                self._features[row].add(picture)
        self._frames += 1

    def tell(self, numbers: Numbers, style: Iterable[np.ndarray]) -> None:
        """Add how much each row reaches of the style of pictures, uint8 [H, W, 3]."""
        wanted = PictureFeatures()
        for picture in style:
            wanted.add(picture)
        reference, found = wanted.style(), {row: each.style() for row, each in self._features.items()}
        for row in found.keys() - {"identity"}:
            numbers.put(row, "style_reached", style_reached(found[row], found["identity"], reference), self._blocks)
