"""A generator's .tflite files, by how their weights are stored: converted, judged, described, and only then named."""

import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from kgan.errors import RunError, UserError
from kgan.export.litert import convert as litert
from kgan.export.litert import fixed as litert_fixed
from kgan.export.litert import gates as litert_gates
from kgan.export.litert import int8 as litert_int8
from kgan.export.litert import sidecar as litert_sidecar
from kgan.export.litert.pictures import real_pictures, squares
from kgan.export.litert.sidecar import Origin
from kgan.inference.litert import FREE
from kgan.inference.stylist import Stylist, from_noise
from kgan.metrics import ssim
from kgan.paths import expands_paths

RANGE_EXAMPLES = 2
"""Pictures on which every intermediate result is looked at: it is slow, and ranges differ little."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """A way to store weights: what SSIM to Keras it must reach, how many bytes a weight takes, and what it means."""

    least_ssim: float
    bytes_per_weight: int
    arithmetic: str


VARIANTS = {
    "float32": Variant(0.999, 4, "float32 throughout"),
    "float16": Variant(0.99, 2, "weights float16; computes in float32 on CPUs, in float16 on GPUs"),
    "int8_weights": Variant(0.98, 1, "weights int8, a scale for each output channel; computes in float32"),
    "int8": Variant(0.93, 1, "convolutions in int8, calibrated on pictures; norms, input and output float32"),
}


@dataclasses.dataclass(frozen=True)
class _Source:
    """What files are made from: the float32 model, the float16 one on demand, and which signature has which size."""

    content: bytes
    half: Callable[[], bytes]
    sizes: dict[str, tuple[int, ...]]
    """Signature -> the sizes at which it is judged, smallest first."""

    @property
    def is_fixed(self) -> bool:
        return FREE not in self.sizes

    @property
    def first(self) -> tuple[str, int]:
        """The first signature and its smallest size."""
        signature, sides = next(iter(self.sizes.items()))
        return signature, sides[0]


class _Judge:
    """What the model makes of real pictures in Keras, each worked out once."""

    def __init__(self, stylist: Stylist, pictures: list[np.ndarray]):
        self.stylist, self.pictures = stylist, pictures
        self._expected: dict[tuple[int, int], np.ndarray] = {}
        self._run = from_noise(stylist)

    def examples(self, size: int, count: int | None = None) -> list[dict[str, np.ndarray]]:
        """Inputs from the first `count` pictures; picture k has the noise of seed k."""
        facts, pictures = self.stylist.facts, self.pictures[:count]
        examples: list[dict] = [{} for _ in pictures]
        for seed, (example, image) in enumerate(zip(examples, squares(pictures, size, facts.channels), strict=True)):
            if facts.takes_content:
                example["image"] = image[None].astype(np.float32) / 255.0
            if facts.noise_channels:
                example["noise"] = self.stylist.noise(seed, 1, size, size).numpy()
        return examples

    def scores(self, path: pathlib.Path, source: _Source) -> list[float]:
        """SSIM between the file and Keras: of all pictures at the smallest size, of one at each other."""
        scores: list[float] = []
        for signature, sides in source.sizes.items():
            run = litert_sidecar.runner(path, signature)
            for side in sides:
                for number, example in enumerate(self.examples(side, 1 if scores else None)):
                    made = run(**example)["stylized"]
                    scores.append(float(ssim(made, self._keras(side, number, example))[0]))
        return scores

    def _keras(self, side: int, number: int, example: dict[str, np.ndarray]) -> np.ndarray:
        if (side, number) not in self._expected:
            tensors = {name: tf.constant(value) for name, value in example.items()}
            self._expected[side, number] = self._run(**tensors)["stylized"].numpy()
        return self._expected[side, number]


@expands_paths
def export_variants(
    generator: keras.Model,
    folder: str | os.PathLike,
    variants: Iterable[str] = ("float16",),
    sizes: Iterable[int] = litert_fixed.SIZES,
    pictures: list[np.ndarray] | None = None,
    origin: Origin | None = None,
    distribution: str = "normal",
    truncation: float = 2.0,
) -> list[pathlib.Path]:
    """Write two .tflite files for each of `VARIANTS` asked for: of fixed sizes, for GPUs and browsers, and of any size.

    They are `model_<variant>_fixed.tflite` and `model_<variant>.tflite` (`model.tflite` for float32), each with a
    sidecar .json and test vectors. `pictures` (uint8 [H, W, 3]; default: of the packaged sample) calibrate int8 and
    judge all. Returns the models' paths. Raises UserError for unknown words and sizes, RunError when a file is not what
    it should be (`litert_gates`): that file is not written, nor are those after it.
    """
    variants = checked_variants(variants)
    sizes = litert_fixed.checked_sizes(sizes, generator.stride)
    folder = pathlib.Path(folder)
    judge = _Judge(Stylist(generator, distribution, truncation), pictures or real_pictures())
    fixed, free = _fixed_source(judge.stylist, sizes), _free_source(judge.stylist, sizes)
    with _named(folder / _file_name(variants[0], fixed=True)):
        litert_gates.check_ranges(fixed.content, lambda size: judge.examples(size, RANGE_EXAMPLES))
    written = []
    for variant, source in itertools.product(variants, (fixed, free)):
        written.append(folder / _file_name(variant, source.is_fixed))
        with _named(written[-1]):
            _write(written[-1], variant, source, judge, origin or Origin())
    return written


def checked_variants(variants: Iterable[str]) -> list[str]:
    """Each once, in the order of `VARIANTS`; UserError for none, for other words, and for what is not installed."""
    variants = list(variants)
    for word in variants or [""]:
        if word not in VARIANTS:
            raise UserError(f"--litert {word}: should be among {', '.join(VARIANTS)}")
    if any(word.startswith("int8") for word in variants):
        litert_int8.library()
    return [name for name in VARIANTS if name in variants]


def _file_name(variant: str, fixed: bool) -> str:
    return f"model{'' if variant == 'float32' and not fixed else '_' + variant}{'_fixed' if fixed else ''}.tflite"


def _fixed_source(stylist: Stylist, sizes: tuple[int, ...]) -> _Source:
    functions = litert_fixed.fixed_functions(stylist, sizes)
    signatures = {litert_fixed.signature_name(size): (size,) for size in sizes}
    half = functools.partial(litert_fixed.convert, functions, half=True)
    return _Source(litert_fixed.convert(functions, half=False), half, signatures)


def _free_source(stylist: Stylist, sizes: tuple[int, ...]) -> _Source:
    sides = (sizes[0], sizes[0] + 1)  # the second fits no stride: padding and cropping are judged too
    return _Source(litert.convert(stylist), functools.partial(litert.convert, stylist, half=True), {FREE: sides})


def _converted(variant: str, source: _Source, judge: _Judge) -> bytes:
    if variant == "float32":
        return source.content
    if variant == "float16":
        return source.half()
    if variant == "int8_weights":
        return litert_int8.weights_in_int8(source.content)
    signature, side = source.first
    return litert_int8.convolutions_in_int8(source.content, {signature: judge.examples(side)})


def _write(path: pathlib.Path, variant: str, source: _Source, judge: _Judge, origin: Origin) -> None:
    """One file, its sidecar and its test vectors, under their names when all are whole and pass the gates."""
    kind, stylist = VARIANTS[variant], judge.stylist
    content = _converted(variant, source, judge)
    litert_gates.check_operations(content, source.is_fixed)
    litert_gates.check_size(content, litert_gates.kernel_weights(stylist.generator), kind.bytes_per_weight)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        partial = pathlib.Path(folder, path.name)
        partial.write_bytes(litert.with_facts(content, stylist.facts))
        scores = judge.scores(partial, source)
        litert_gates.check_likeness(scores, kind.least_ssim)
        likeness = {"ssim_worst": min(scores), "ssim_mean": float(np.mean(scores)), "pictures": len(scores)}
        signature, side = source.first
        levels = litert_sidecar.LEVELS[variant]
        vectors = litert_sidecar.write_vectors(partial, signature, judge.examples(side, 1)[0], 0, levels)
        words = {"variant": variant, "arithmetic": kind.arithmetic}
        litert_sidecar.write_sidecar(partial, stylist.facts, words, likeness, vectors, origin)
        for made in (*litert_sidecar.names_beside(partial), partial):
            made.replace(path.parent / made.name)


@contextlib.contextmanager
def _named(path: pathlib.Path):
    """Errors of the gates, with the file that they are about."""
    try:
        yield
    except RunError as error:
        raise RunError(f"{path}: not written: {error}") from None
