"""Writes the ONNX files of a generator, and compares each with Keras first."""

import os
import pathlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from kgan import files
from kgan.export.litert import gates
from kgan.export.litert.fixed import checked_sizes
from kgan.export.litert.pictures import real_pictures
from kgan.export.onnx.convert import convert
from kgan.export.reference import KerasReference, check_difference, naming
from kgan.export.sidecar import Origin, check_vectors, names_beside, write_sidecar, write_vectors
from kgan.inference.onnx import OnnxFile, opened
from kgan.inference.onnx_checks import library
from kgan.inference.stylist import Stylist
from kgan.kinds import ONNX
from kgan.paths import expands_paths

SIDE = 256
"""The side of the pictures with which a file of any size is compared."""


@expands_paths
def export_onnx(
    generator: keras.Model,
    folder: str | os.PathLike,
    weights: Iterable[str] = ("float16",),
    sizes: Iterable[int] = (),
    pictures: list[np.ndarray] | None = None,
    origin: Origin | None = None,
    distribution: str = "normal",
    truncation: float = 2.0,
) -> list[pathlib.Path]:
    """Write an ONNX file for any size for each format of weights, and one for each fixed size.

    They are `model.onnx` (float32) and `model_float16.onnx`, and for a fixed size `model_float16_256.onnx`. Each has a
    JSON file and test vectors beside it. The inputs are `image`, float32 [N, H, W, C] in [0, 1], and `noise`
    [N, H, W, Nz], if the model takes them. The output is `stylized`, with the shape and range of the image.

    Args:
        generator: a built generator.
        folder: folder of the files.
        weights: names in `kgan.kinds.ONNX`.
        sizes: sides in pixels of square pictures for files of fixed sizes.
        pictures: real pictures, uint8 [H, W, 3], for the comparison with Keras. Default: pictures of the packaged
            sample.
        origin: information about the origin of the model.
        distribution: distribution of the noise in training: "normal", "uniform" or "truncated".
        truncation: bound of truncated noise in standard deviations.

    Returns:
        The paths of the .onnx files.

    Raises:
        UserError: if a format of weights or a size is not valid, or a package is not installed.
        RunError: if a file differs from Keras. This file and those after it are not written.
    """
    weights, sizes = checked_weights(weights), list(sizes)
    sizes = checked_sizes(sizes, generator.stride) if sizes else ()
    stylist, folder = Stylist(generator, distribution, truncation, plain=True), pathlib.Path(folder)
    reference, written = KerasReference(stylist, pictures or real_pictures()), []
    for size in (None, *sizes):
        model = convert(stylist, size, origin or Origin())
        for name in weights:
            written.append(folder / _file_name(name, size))
            with naming(written[-1]):
                _write(written[-1], name, model, size, reference, origin or Origin())
    return written


def checked_weights(weights: Iterable[str]) -> list[str]:
    """Sort formats of weights in the order of `kgan.kinds.ONNX` and remove duplicates.

    Args:
        weights: names of formats.

    Returns:
        The names.

    Raises:
        UserError: if there are none, a name is unknown, or a package is not installed.
    """
    names = ONNX.chosen(weights, "--onnx")
    for module in ("onnx", "onnxruntime", "tf2onnx"):
        library(module)
    return names


def _file_name(weights: str, size: int | None) -> str:
    named = "" if weights == "float32" and size is None else f"_{weights}"
    return f"model{named}{'' if size is None else f'_{size}'}.onnx"


def _write(
    path: pathlib.Path, weights: str, model: Any, size: int | None, reference: KerasReference, origin: Origin
) -> None:
    """Write a file, its JSON file and its test vectors. They get their names after all checks pass."""
    row, stylist = ONNX[weights], reference.stylist
    content = row.load()(model).SerializeToString(deterministic=True)
    gates.check_size(content, gates.kernel_weights(stylist.generator), row.bytes_per_weight)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.beside(path) as folder:
        partial = folder / path.name
        partial.write_bytes(content)
        file = opened(partial)
        if size is None:
            check_difference(stylist, file.run, count=2)
        # The second size is not a multiple of a stride, so that padding and cropping are tested.
        sides = [size] if size else [SIDE, SIDE + 1]
        scores = reference.scores([(file.run, side) for side in sides])
        gates.check_likeness(scores, row.least_ssim)
        likeness = {"ssim_worst": min(scores), "ssim_mean": float(np.mean(scores)), "pictures": len(scores)}
        vectors = write_vectors(partial, file.run, reference.examples(sides[0], 1)[0], 0, row.levels)
        words = _signature(file, size) | {"variant": weights, "arithmetic": row.help}
        write_sidecar(partial, stylist.facts, words, likeness, vectors, origin)
        for made in (*names_beside(partial), partial):
            made.replace(path.parent / made.name)


def _signature(file: OnnxFile, size: int | None) -> dict:
    """The entries "sizes", "opset", "inputs" and "outputs" of the JSON file. An open side has a name."""
    sizes = "any height and width" if size is None else [size]
    return {"sizes": sizes, "opset": file.opset, "inputs": file.inputs, "outputs": file.outputs}


@expands_paths
def check_onnx(model: str | os.PathLike) -> str:
    """Compare an ONNX file with the hash and the test vectors beside it.

    Args:
        model: the .onnx file.

    Returns:
        A line of text with the largest difference.

    Raises:
        UserError: if a file is missing, or the ONNX file is one that kgan does not open.
        RunError: if the hash or the result differs.
    """
    path = pathlib.Path(model)
    return check_vectors(path, lambda told: opened(path).run)
