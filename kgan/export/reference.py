"""The results of a model in Keras for real pictures, with which exported files are compared."""

import numpy as np
import tensorflow as tf

from kgan.export.litert.pictures import squares
from kgan.export.sidecar import Runner
from kgan.inference.stylist import Stylist, from_noise
from kgan.metrics import ssim


class KerasReference:
    """The results of a model in Keras for real pictures. Each is computed once.

    Args:
        stylist: the model.
        pictures: real pictures, uint8 [H, W, 3].
    """

    def __init__(self, stylist: Stylist, pictures: list[np.ndarray]):
        self.stylist, self.pictures = stylist, pictures
        self._expected: dict[tuple[int, int], np.ndarray] = {}
        self._run = from_noise(stylist)

    def examples(self, size: int, count: int | None = None) -> list[dict[str, np.ndarray]]:
        """The inputs for the first `count` pictures. The noise of picture k has the seed k."""
        facts, pictures = self.stylist.facts, self.pictures[:count]
        examples: list[dict] = [{} for _ in pictures]
        for seed, (example, image) in enumerate(zip(examples, squares(pictures, size, facts.channels), strict=True)):
            if facts.takes_content:
                example["image"] = image[None].astype(np.float32) / 255.0
            if facts.noise_channels:
                example["noise"] = self.stylist.noise(seed, 1, size, size).numpy()
        return examples

    def scores(self, runs: list[tuple[Runner, int]]) -> list[float]:
        """SSIM between a file and Keras, for all pictures at the first size and for one at each other size.

        Args:
            runs: functions of the file, and the sides of the square pictures that they are given.
        """
        scores: list[float] = []
        for run, side in runs:
            for number, example in enumerate(self.examples(side, 1 if scores else None)):
                made = run(**example)["stylized"]
                scores.append(float(ssim(made, self._keras(side, number, example))[0]))
        return scores

    def _keras(self, side: int, number: int, example: dict[str, np.ndarray]) -> np.ndarray:
        if (side, number) not in self._expected:
            tensors = {name: tf.constant(value) for name, value in example.items()}
            self._expected[side, number] = self._run(**tensors)["stylized"].numpy()
        return self._expected[side, number]
