"""Restyle picture files: any size in, the same size out; and `load`, the way to a model in Python."""

import contextlib
import dataclasses
import math
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from kgan.data.decoding import decode_picture, find_pictures
from kgan.errors import RunError, UserError
from kgan.export.loading import Model, load
from kgan.pictures import save_picture
from kgan.progress import progress

__all__ = ["load", "stylize"]

SUFFIXES = {".jpg": ".jpg", ".jpeg": ".jpeg", ".jpe": ".jpg", ".jfif": ".jpg", ".png": ".png", ".webp": ".webp"}
"""Suffix in -> suffix out; others become .png."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One picture to restyle, and a file for each variant."""

    source: pathlib.Path
    targets: tuple[pathlib.Path, ...]


def stylize(
    pictures: Sequence[str | os.PathLike],
    model: str | os.PathLike,
    output: str | os.PathLike,
    seed: int = 0,
    variants: int = 1,
    overwrite: bool = False,
    memory: float = 8.0,
) -> list[pathlib.Path]:
    """Restyle files and folders into the folder `output`, keeping names, formats, folder structure and sizes.

    Pictures are turned upright by their EXIF orientation first. With `variants` above 1 every picture becomes
    name-1, name-2, ... from the seeds `seed`, `seed` + 1, ... A picture that would take more than `memory` GB is
    restyled smaller and the result enlarged, with a notice.

    Returns the files written. Raises UserError before any work when files would be overwritten, and at the end when
    some pictures could not be read (each has had its line on stderr, the others are done).
    """
    _check_numbers(seed, variants, memory)
    jobs = plan(pictures, pathlib.Path(output), variants)
    refuse_clashes([target for job in jobs for target in job.targets], overwrite)
    loaded = load(model)
    _check_model(loaded, variants)
    created = make_folder(output)
    try:
        written, failed = _stylize_all(jobs, loaded, seed, memory * 1e9)
    finally:
        if created:
            _remove_if_empty(output)
    if failed:
        raise UserError(f"{failed} of {len(jobs)} pictures could not be restyled (named above); the others are done")
    return written


def _stylize_all(jobs: list[Job], model: Model, seed: int, memory: float) -> tuple[list[pathlib.Path], int]:
    """The files written, and how many pictures failed; raises at once where that was the only picture."""
    written, failed = [], 0
    with progress(len(jobs), "stylize") as bar:
        for job in jobs:
            try:
                written += _stylize_one(job, model, seed, memory, bar.notice)
            except RunError:  # a full disk would fail for all the others too
                raise
            except (UserError, MemoryError, tf.errors.ResourceExhaustedError) as error:
                if len(jobs) == 1:
                    raise UserError(_one_line(job.source, error)) from None
                failed += 1
                bar.notice(_one_line(job.source, error))
            bar.advance()
    return written, failed


def _check_numbers(seed: int, variants: int, memory: float) -> None:
    if not 0 <= seed < 2**31:
        raise UserError(f"--seed should be at least 0 and below 2147483648. Received: {seed}")
    if variants < 1:
        raise UserError(f"--variants should be at least 1. Received: {variants}")
    if not memory > 0:
        raise UserError(f"--memory should be above 0. Received: {memory}")


def plan(pictures: Sequence[str | os.PathLike], output: pathlib.Path, variants: int = 1) -> list[Job]:
    """Every picture in `pictures` (files, or folders at any depth) and where it goes.

    Raises UserError for missing paths, folders without pictures, two pictures with the same target, and a target
    that is its own source.
    """
    jobs: dict[pathlib.Path, Job] = {}
    for source, relative in _sources(pictures):
        target = output / relative.with_suffix(SUFFIXES.get(relative.suffix.lower(), ".png"))
        if target.exists() and target.samefile(source):
            raise UserError(f"--output {output}: {target} is the picture itself; name another folder")
        if target in jobs:
            raise UserError(f"{source} and {jobs[target].source} would both become {target}; restyle them apart")
        jobs[target] = Job(source, tuple(_variant_names(target, variants)))
    if not jobs:
        raise UserError("pictures are missing: name files or folders to restyle")
    return list(jobs.values())


def _sources(pictures: Sequence[str | os.PathLike]) -> Iterable[tuple[pathlib.Path, pathlib.Path]]:
    """(file, its path inside the output folder) for every picture."""
    for path in map(pathlib.Path, pictures):
        if path.is_dir():
            yield from ((found, found.relative_to(path)) for found in find_pictures(path))
        elif path.exists():
            yield path, pathlib.Path(path.name)
        else:
            raise UserError(f"{path}: no such file or folder; check the path")


def _variant_names(target: pathlib.Path, variants: int) -> list[pathlib.Path]:
    if variants == 1:
        return [target]
    return [target.with_stem(f"{target.stem}-{k}") for k in range(1, variants + 1)]


def refuse_clashes(targets: Iterable[pathlib.Path], overwrite: bool) -> None:
    """Raise UserError naming the first target that exists, unless `overwrite`."""
    clash = None if overwrite else next((target for target in targets if target.exists()), None)
    if clash:
        raise UserError(f"{clash}: exists already; name another --output folder, or give --overwrite")


def make_folder(path: str | os.PathLike) -> bool:
    """Create the folder; whether it was not there before. UserError when it cannot be."""
    is_new = not pathlib.Path(path).exists()
    try:
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        return is_new
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written ({error.strerror})") from None


def _remove_if_empty(path: str | os.PathLike) -> None:
    with contextlib.suppress(OSError):
        pathlib.Path(path).rmdir()


def _check_model(model: Model, variants: int) -> None:
    if not model.facts.takes_content:
        raise UserError(f"{model.name}: makes pictures from noise alone; use kgan generate")
    if variants > 1 and not model.facts.noise_channels:
        raise UserError(f"--variants {variants}: {model.name} takes no noise, so that all would be equal; leave it out")


def _stylize_one(job: Job, model: Model, seed: int, memory: float, notice) -> list[pathlib.Path]:
    picture = decode_picture(job.source, model.facts.channels)
    scale = affordable_scale(picture.shape[:2], model.bytes_per_pixel, memory)
    if scale < 1:
        need = picture.shape[0] * picture.shape[1] * model.bytes_per_pixel / 1e9
        notice(
            f"{job.source}: {picture.shape[1]}x{picture.shape[0]} would take about {need:.0f} GB; restyled at "
            f"{scale:.0%} of its size and enlarged (--memory {math.ceil(need)} restyles it whole)"
        )
    for k, target in enumerate(job.targets):
        make_folder(target.parent)
        save_picture(_at_scale(model, picture, seed + k, scale), target)
    return list(job.targets)


def affordable_scale(size: tuple[int, int], bytes_per_pixel: float, memory: float) -> float:
    """The share of its side lengths at which a picture (height, width) takes at most `memory` bytes; 1 if all of it."""
    return min(1.0, math.sqrt(memory / (size[0] * size[1] * bytes_per_pixel)))


def _at_scale(model: Model, picture: np.ndarray, seed: int, scale: float) -> np.ndarray:
    """uint8 [H, W, C] -> uint8 [H, W, C], restyled at `scale` times its side lengths."""
    if scale == 1:
        return model(picture, seed)
    height, width = picture.shape[:2]
    small = _resized(picture, max(1, int(height * scale)), max(1, int(width * scale)))
    return _resized(model(small, seed), height, width)


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    made = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    return made[..., None] if made.ndim == 2 else made


def _one_line(source: pathlib.Path, error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    return f"{source}: does not fit into memory; give a lower --memory"
