"""Generates pictures from noise with models of the recipe `synthesis`, one per seed or a row between two seeds."""

import math
import os
import pathlib
from collections.abc import Iterator
from typing import cast

import numpy as np
import tensorflow as tf

from kgan.console import progress, say
from kgan.errors import UserError, call
from kgan.exit_guard import interruptible
from kgan.gan import noise as noises
from kgan.images.decoding import decode_picture
from kgan.images.pictures import FORMATS, GUTTER, LONGEST, Format, Writing, check_sides, grid, to_uint8
from kgan.images.targets import existing, is_one_file, one_file, output_folder
from kgan.inference.loading import Model, load
from kgan.paths import expands_paths
from kgan.runs.models import resolve_model
from kgan.runs.trust import takes_trust

DEFAULT_SIZE = (256, 256)
"""Height and width of the pictures if neither the caller nor the settings of the run give them."""

MOST = 1_000_000
"""The largest number of pictures of a call."""

MOST_IN_GRID = 2**26
"""The largest number of pixels of the grid, which is held in memory."""


@expands_paths
@takes_trust
def generate(
    model: str | os.PathLike,
    output: str | os.PathLike,
    count: int = 16,
    seed: int = 0,
    size: str | int | tuple[int, int] | None = None,
    truncation: float | None = None,
    between: tuple[int, int] | None = None,
    overwrite: bool = False,
    format: Format | None = None,
    quality: int | None = None,
    skip_existing: bool = False,
    trust: bool = False,
) -> list[pathlib.Path]:
    """Generate pictures from noise and write them and a grid to a folder.

    The files are seed-S.png, seed-(S+1).png, ... and grid.png, which shows as many of them as fit (`MOST_IN_GRID`).
    With `between`, they are between-S1-S2-01.png, ... and between-S1-S2.png.

    Args:
        model: a run folder, a SavedModel folder, a .tflite or .onnx file or the name of a shipped model.
        output: the folder, or a single file such as "result.png" if `count` is 1.
        count: number of pictures, from 1 to `MOST`.
        seed: seed of the first picture. The next pictures have the next seeds.
        size: height and width in pixels: "HxW", a pair, or one number for both. Default: the training size of the run.
        truncation: bound of the noise in standard deviations, above 0. A lower bound gives less variety and fewer
            failures. Default: that of the training.
        between: two seeds. The pictures are then `count` spherical interpolations between their noise.
        overwrite: replace existing files.
        format: file format, as for `kgan.stylize`. Default: PNG, or that of the suffix of a single file.
        quality: quality of JPEG and WebP, 1 to 100, as for `kgan.stylize`.
        skip_existing: keep existing files and write the others.
        trust: open a model that is a program of somebody else (`kgan.load`).

    Returns:
        The paths of the written files, the grid last.

    Raises:
        UserError: if the model takes content, a number is out of range, or a file exists already.
    """
    sides = parse_size(str(size)) if isinstance(size, str | int) else size
    _check_numbers(seed, count, sides, truncation, between)
    writing = Writing(format or (None if is_one_file(output) else "png"), quality)
    names = _names(pathlib.Path(output), count, seed, between, writing.suffix(".png"))
    writing.check_targets(names)
    there = existing(names, overwrite, skip_existing)
    if len(there) == len(names):
        return []
    loaded = load(model)
    _check_model(loaded, truncation)
    shape = cast(tuple[int, int] | None, sides) or _training_size(model)
    check_sides(*shape, names[0])
    maps = _noises(loaded, count, seed, shape, truncation, between)
    rows, columns = 0, 0
    if len(names) > count and names[-1] not in there:
        rows, columns = _fitting(count if between else math.ceil(math.sqrt(count)), count, shape, names[-1])
    with output_folder(output):
        made = _make_all(loaded, names[:count], maps, there, writing, rows * columns)
        if made:
            writing.save(grid([made[start : start + columns] for start in range(0, len(made), columns)]), names[-1])
            if len(made) < count:
                say(f"kgan: {names[-1]}: shows the first {len(made)} of {count} pictures")
    return [name for name in names if name not in there]


def _make_all(
    model: Model,
    names: list[pathlib.Path],
    maps: Iterator[np.ndarray],
    there: frozenset[pathlib.Path],
    writing: Writing,
    kept: int,
) -> list[np.ndarray]:
    """Generate and write the files that do not exist. Returns the first `kept` pictures, also of existing files."""
    made: list[np.ndarray] = []
    with progress(len(names), "generate") as bar, interruptible(len(names)) as counter:
        for name, noise in zip(names, maps, strict=True):
            picture = None
            if name not in there:
                picture = to_uint8(model.from_noise(noise)[0])
                writing.save(picture, name)
            if len(made) < kept:
                made.append(decode_picture(name, model.facts.channels) if picture is None else picture)
            bar.advance()
            counter.advance()
    return made


def parse_size(text: str) -> tuple[int, int]:
    """Parse a size in pixels.

    Args:
        text: "HEIGHTxWIDTH", or "N" for a square.

    Returns:
        (height, width).

    Raises:
        UserError: if the text is anything else.

    Example:

    >>> parse_size("96x128"), parse_size("64")
    ((96, 128), (64, 64))
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and len(part) < 10 and int(part) for part in parts):
        raise UserError(f"--size should be HEIGHTxWIDTH, as in 96x128. Received: {text}")
    return int(parts[0]), int(parts[-1])


def _check_numbers(seed: int, count: int, size, truncation: float | None, between) -> None:
    if not 0 <= seed < 2**31 - max(count, 0):
        raise UserError(f"--seed should be at least 0 and below 2147483648 with the count. Received: {seed}")
    if not 1 <= count <= MOST:
        raise UserError(f"--count should be {'at least 1' if count < 1 else f'at most {MOST}'}. Received: {count}")
    if between and not all(0 <= end < 2**31 for end in between):
        raise UserError(f"--between should be two seeds of at least 0 and below 2147483648. Received: {between}")
    if between and count < 2:
        raise UserError(f"--count should be at least 2 with --between. Received: {count}")
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise UserError(f"--size should be a height and a width of at least 1. Received: {size}")
    if truncation is not None and not truncation > 0:
        raise UserError(f"--truncation should be above 0. Received: {truncation}")


def _check_model(model: Model, truncation: float | None) -> None:
    if model.facts.takes_content:
        raise UserError(f"{model.name}: restyles pictures and makes none from noise alone; use {call('stylize')}")
    if truncation is not None and model.facts.distribution == "uniform":
        raise UserError(f"--truncation {truncation:g}: {model.name} was trained on uniform noise; leave it out")


def _names(
    output: pathlib.Path, count: int, seed: int, between: tuple[int, int] | None, suffix: str
) -> list[pathlib.Path]:
    """A file for each picture and one for the grid, or the single file that `output` names."""
    alone = one_file(output, suffix, count)
    if alone:
        return [alone]
    if not between:
        return [output / f"seed-{seed + k}{suffix}" for k in range(count)] + [output / f"grid{suffix}"]
    stem = f"between-{between[0]}-{between[1]}"
    return [output / f"{stem}-{k:02d}{suffix}" for k in range(1, count + 1)] + [output / f"{stem}{suffix}"]


def _training_size(model: str | os.PathLike) -> tuple[int, int]:
    config = resolve_model(model).config
    return (config.size, config.size) if config and config.size else DEFAULT_SIZE


def _noises(model: Model, count: int, seed: int, shape: tuple[int, int], truncation, between) -> Iterator[np.ndarray]:
    """`count` noise maps [1, H, W, Nz]."""
    if not between:
        yield from (model.noise(seed + k, 1, *shape, truncation=truncation) for k in range(count))
        return
    first, second = (model.noise(end, 1, *shape, truncation=truncation) for end in between)
    # An interpolation on the sphere can exceed the bounds of uniform and truncated noise, which training never does.
    bound = noises.bound(model.facts.distribution, model.facts.truncation) if truncation is None else truncation
    for share in np.linspace(0.0, 1.0, count):
        mixed = noises.interpolate(tf.constant(first), tf.constant(second), float(share))
        yield np.clip(mixed.numpy(), -bound, bound)


def _fitting(columns: int, count: int, shape: tuple[int, int], path: pathlib.Path) -> tuple[int, int]:
    """The rows and columns of a grid of `count` pictures. They are fewer if its file or `MOST_IN_GRID` allows no more.

    Args:
        columns: the number of columns for all pictures.
        count: the number of pictures.
        shape: height and width of each.
        path: the file of the grid.
    """
    longest = LONGEST.get(FORMATS[path.suffix.lower()], MOST_IN_GRID)
    most_rows, most_columns = (max(1, (longest + GUTTER) // (side + GUTTER)) for side in shape)
    rows, columns = min(math.ceil(count / columns), most_rows), min(columns, most_columns)
    while rows * columns > max(1, MOST_IN_GRID // math.prod(shape)):
        rows, columns = (rows - 1, columns) if rows >= columns else (rows, columns - 1)
    return rows, columns
