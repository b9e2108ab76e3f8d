"""Writes the .tflite files of a generator in several formats of weights, and compares each with Keras first."""

import functools
import importlib.util
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable

import keras
import numpy as np

from kgan import files
from kgan.errors import UserError
from kgan.export.litert import convert as litert
from kgan.export.litert import fixed as litert_fixed
from kgan.export.litert import gates as litert_gates
from kgan.export.litert import sidecar as litert_sidecar
from kgan.export.litert.pictures import real_pictures
from kgan.export.litert.source import Source
from kgan.export.reference import KerasReference, naming
from kgan.export.sidecar import Origin, Runner, names_beside, write_sidecar, write_vectors
from kgan.inference.litert import FREE
from kgan.inference.stylist import Stylist
from kgan.kinds import WEIGHTS
from kgan.paths import expands_paths

RANGE_EXAMPLES = 2
"""Number of pictures for which all intermediate results are checked. It is slow, and ranges differ little."""


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
    """Write two .tflite files for each variant: one for fixed sizes, for GPUs and browsers, and one for any size.

    They are `model_<variant>_fixed.tflite` and `model_<variant>.tflite` (`model.tflite` for float32). Each has a JSON
    file and test vectors beside it.

    Args:
        generator: a built generator.
        folder: folder of the files.
        variants: names in `kgan.kinds.WEIGHTS`.
        sizes: sides of the square pictures of the fixed sizes, in pixels.
        pictures: real pictures, uint8 [H, W, 3], for the calibration of int8 and the comparison with Keras. Default:
            pictures of the packaged sample.
        origin: information about the origin of the model.
        distribution: distribution of the noise in training: "normal", "uniform" or "truncated".
        truncation: bound of truncated noise in standard deviations.

    Returns:
        The paths of the .tflite files.

    Raises:
        UserError: if a variant or a size is not valid.
        RunError: if a file fails a check of `kgan.export.litert.gates`. This file and those after it are not written.
    """
    variants = checked_variants(variants)
    sizes = litert_fixed.checked_sizes(sizes, generator.stride)
    folder = pathlib.Path(folder)
    reference = KerasReference(Stylist(generator, distribution, truncation, plain=True), pictures or real_pictures())
    fixed, free = _fixed_source(reference, sizes), _free_source(reference, sizes)
    with naming(folder / _file_name(variants[0], fixed=True)):
        litert_gates.check_ranges(fixed.content, lambda size: reference.examples(size, RANGE_EXAMPLES))
    written = []
    for variant, source in itertools.product(variants, (fixed, free)):
        written.append(folder / _file_name(variant, source.is_fixed))
        with naming(written[-1]):
            _write(written[-1], variant, source, reference, origin or Origin())
    return written


def checked_variants(variants: Iterable[str]) -> list[str]:
    """Sort formats of weights in the order of `kgan.kinds.WEIGHTS` and remove duplicates.

    Args:
        variants: names of variants.

    Returns:
        The names.

    Raises:
        UserError: if there are none, a name is unknown, or what one needs is not installed.
    """
    names = WEIGHTS.chosen(variants, "--litert")
    for name in names:
        row = WEIGHTS[name]
        if row.module and importlib.util.find_spec(row.module) is None:
            raise UserError(f"--litert {name}: needs {row.module.replace('_', '-')}; pip install 'kgan[{row.extra}]'")
    return names


def _file_name(variant: str, fixed: bool) -> str:
    return f"model{'' if variant == 'float32' and not fixed else '_' + variant}{'_fixed' if fixed else ''}.tflite"


def _fixed_source(reference: KerasReference, sizes: tuple[int, ...]) -> Source:
    functions = litert_fixed.fixed_functions(reference.stylist, sizes)
    signatures: dict[str, tuple[int, ...]] = {litert_fixed.signature_name(size): (size,) for size in sizes}
    half = functools.partial(litert_fixed.convert, functions, half=True)
    return _source(litert_fixed.convert(functions, half=False), half, signatures, reference)


def _free_source(reference: KerasReference, sizes: tuple[int, ...]) -> Source:
    # The second size is not a multiple of a stride, so that padding and cropping are tested.
    sides = (sizes[0], sizes[0] + 1)
    half = functools.partial(litert.convert, reference.stylist, half=True)
    return _source(litert.convert(reference.stylist), half, {FREE: sides}, reference)


def _source(content: bytes, half: Callable, sizes: dict[str, tuple[int, ...]], reference: KerasReference) -> Source:
    signature, sides = next(iter(sizes.items()))
    return Source(content, half, sizes, lambda: {signature: reference.examples(sides[0])})


def _write(path: pathlib.Path, variant: str, source: Source, reference: KerasReference, origin: Origin) -> None:
    """Write a file, its JSON file and its test vectors. They get their names after all checks pass."""
    row, stylist = WEIGHTS[variant], reference.stylist
    content = row.load()(source)
    litert_gates.check_operations(content, source.is_fixed)
    litert_gates.check_size(content, litert_gates.kernel_weights(stylist.generator), row.bytes_per_weight)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.beside(path) as folder:
        partial = folder / path.name
        partial.write_bytes(litert.with_facts(content, stylist.facts))
        scores = reference.scores(_runs(partial, source))
        litert_gates.check_likeness(scores, row.least_ssim)
        likeness = {"ssim_worst": min(scores), "ssim_mean": float(np.mean(scores)), "pictures": len(scores)}
        signature, side = source.first
        example, run = reference.examples(side, 1)[0], litert_sidecar.runner(partial, signature)
        vectors = write_vectors(partial, run, example, 0, row.levels, signature=signature)
        words = litert_sidecar.signatures(partial) | {"variant": variant, "arithmetic": row.help}
        write_sidecar(partial, stylist.facts, words, likeness, vectors, origin)
        for made in (*names_beside(partial), partial):
            made.replace(path.parent / made.name)


def _runs(path: pathlib.Path, source: Source) -> list[tuple[Runner, int]]:
    """The function of each signature, with each size at which it is compared with Keras."""
    runners = {signature: litert_sidecar.runner(path, signature) for signature in source.sizes}
    return [(runners[signature], side) for signature, sides in source.sizes.items() for side in sides]
