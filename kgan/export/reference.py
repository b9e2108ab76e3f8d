"""The comparison of exported files with the model in Keras, on real pictures and on noise."""

import contextlib
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from kgan.errors import RunError
from kgan.export.litert.pictures import squares
from kgan.export.sidecar import Runner
from kgan.inference.stylist import Stylist, from_noise
from kgan.metrics import ssim

TOLERANCE = 2.0 / 255.0
"""The largest allowed difference between a converted file and Keras, for values in [0, 1]."""

ODD_SIZE = (37, 51)
"""Height and width of the noise with which files of any size are compared, so that padding and cropping are tested."""


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


def random_inputs(stylist: Stylist, size: tuple[int, int], count: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
    """Random pictures and noise, if the model takes them.

    Args:
        stylist: the model.
        size: height and width in pixels.
        count: number of pictures.
        seed: seed of the pictures and of the noise.

    Returns:
        Inputs by name, float32 [count, *size, ...].
    """
    facts, inputs = stylist.facts, {}
    if facts.takes_content:
        inputs["image"] = np.random.default_rng(seed).random((count, *size, facts.channels)).astype(np.float32)
    if facts.noise_channels:
        inputs["noise"] = stylist.noise(seed, count, *size).numpy()
    return inputs


def check_difference(stylist: Stylist, run: Runner, size: tuple[int, int] = ODD_SIZE, count: int = 1) -> None:
    """Compare a file with Keras on random pictures.

    Args:
        stylist: the model in Keras.
        run: the function of the file.
        size: height and width in pixels.
        count: number of pictures.

    Raises:
        RunError: if a value differs by more than `TOLERANCE`, or is NaN.
    """
    inputs = random_inputs(stylist, size, count)
    difference = float(np.max(np.abs(run(**inputs)["stylized"] - stylist(**inputs).numpy())))
    if not difference <= TOLERANCE:  # NaN too
        raise RunError(f"the converted model differs from Keras by {difference:.4f}")


@contextlib.contextmanager
def naming(path: pathlib.Path) -> Iterator[None]:
    """A context that adds the name of the file to the errors of checks, and that it was not written."""
    try:
        yield
    except RunError as error:
        raise RunError(f"{path}: not written: {error}") from None
