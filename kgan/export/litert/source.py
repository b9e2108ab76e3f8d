"""The converted models from which a file of each format of weights is made."""

import dataclasses
from collections.abc import Callable

import numpy as np

from kgan.inference.litert import FREE

Examples = dict[str, list[dict[str, np.ndarray]]]
"""Lists of inputs by name, for each signature."""


@dataclasses.dataclass(frozen=True)
class Source:
    """The converted models from which a file of each format of weights is made.

    Attributes:
        content: bytes of the float32 model.
        half: a function that returns the bytes of the float16 model.
        sizes: for each signature, the sizes at which it is compared with Keras, smallest first.
        examples: a function that returns inputs of the first signature, made from real pictures, for calibration.
    """

    content: bytes
    half: Callable[[], bytes]
    sizes: dict[str, tuple[int, ...]]
    examples: Callable[[], Examples]

    @property
    def is_fixed(self) -> bool:
        """Whether each signature takes pictures of one size only."""
        return FREE not in self.sizes

    @property
    def first(self) -> tuple[str, int]:
        """The first signature and its smallest size."""
        signature, sides = next(iter(self.sizes.items()))
        return signature, sides[0]
