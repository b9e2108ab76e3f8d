"""Restyles picture files, completely or in part. A stylized picture has the size of its original."""

import dataclasses
import functools
import math
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import tensorflow as tf

from kgan.console import Progress, duration, progress, say, warn
from kgan.errors import RunError, UserError, call, counted
from kgan.exit_guard import interruptible
from kgan.images import blending, colour, targets
from kgan.images.decoding import Picture, PictureError, read_picture, size_by_header
from kgan.images.masks import Masks, fits, scaled
from kgan.images.pictures import HOLDS_ALPHA, Writing, check_sides, to_float, to_uint8, with_channels
from kgan.images.resizing import resized
from kgan.inference.loading import Model, load
from kgan.inference.model import shares_of_size
from kgan.inference.steady import offsets
from kgan.memory import OPENED, OPENED_WITH_MASK, PictureMemory, budget

__all__ = ["load", "stylize"]

SUFFIXES = {".jpg": ".jpg", ".jpeg": ".jpeg", ".jpe": ".jpg", ".jfif": ".jpg", ".png": ".png", ".webp": ".webp"}
"""Suffixes of pictures and the suffixes of their stylized files. Other suffixes become .png."""


FEATHER = 1.0
"""Default width of a mask's soft edge, in percent of the picture's shorter side."""

MOST_VARIANTS = 10_000
"""The largest number of results for each picture. Their names are listed before any work."""

PROBE = 128
"""Side in pixels of the picture with which the speed of a model is measured."""

WORTH_MEASURING = 500_000
"""Number of pixels above which the speed is measured to estimate the time."""

OUT_OF_MEMORY = (MemoryError, tf.errors.ResourceExhaustedError)

LONG = 10.0
"""The expected time is printed if it is longer than this number of seconds."""

SMALLEST = 0.1
"""Smallest scale at which a picture is tried again after the memory is exhausted."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A picture to restyle.

    Attributes:
        source: path of the picture.
        targets: the file to write for each variant.
        mask: path of its mask, or None.
        there: those of the targets that exist and are kept.
    """

    source: pathlib.Path
    targets: tuple[pathlib.Path, ...]
    mask: pathlib.Path | None = None
    there: frozenset[pathlib.Path] = frozenset()

    @functools.cached_property
    def size(self) -> tuple[int, int]:
        """Height and width from the header, before the picture is turned upright. (0, 0) if it is not a picture."""
        return size_by_header(self.source)


@dataclasses.dataclass(frozen=True)
class Finish:
    """How a stylized picture is blended with its original.

    Attributes:
        masks: masks of the area that is restyled, or None for the whole picture.
        feather: width of the soft edge of a mask, in percent of the picture's shorter side.
        strength: weight of the stylized picture, in [0, 1].
        keep_colour: whether the colours of the original are kept.
    """

    masks: Masks | None = None
    feather: float = FEATHER
    strength: float = 1.0
    keep_colour: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the stylized picture is used without blending."""
        return self.masks is None and self.strength == 1 and not self.keep_colour


@dataclasses.dataclass(frozen=True)
class Restyler:
    """The model and the options that are the same for every picture.

    Attributes:
        model: the model.
        seed: seed of the first variant.
        strokes: the factor by which strokes become broader, at least 1.
        memory: the memory that one picture may use, in bytes.
        exact: whether tiles use exact statistics.
        finish: how stylized pictures are blended with their originals.
        writing: how files are written.
        largest: number of pixels of the largest picture.
        steady: number of shifted copies whose results are averaged.
    """

    model: Model
    seed: int
    strokes: float
    memory: float
    exact: bool
    finish: Finish
    writing: Writing
    largest: int
    steady: int = 1

    def scale(self, job: Job) -> float:
        """The fraction of its sides at which a picture is restyled to fit into the memory. 0 if it cannot fit."""
        pixels = math.prod(job.size)
        if self.model.has_tiles:
            return float(pixels * self.need(job).opened <= self.memory)
        beside = self.need(job).opened * self.largest if pixels < self.largest else 0
        return self.need(job).affordable_scale(pixels, self.memory, beside)

    def need(self, job: Job) -> PictureMemory:
        """The memory that a picture needs per pixel."""
        return PictureMemory(self.model.bytes_per_pixel, OPENED_WITH_MASK if job.mask else OPENED)

    def effort(self, job: Job) -> float:
        """The number of pixels that the network will process for a picture."""
        variants = len(job.targets) - len(job.there)
        return self.pixels(job) * self.model.work_per_pixel(math.prod(job.size), self.memory, self.exact) * variants

    def pixels(self, job: Job) -> float:
        """The number of pixels of all passes over a picture and its shifted copies."""
        passes = self.steady * sum(share**2 for share in shares_of_size(self.strokes))
        return math.prod(job.size) * self.scale(job) ** 2 * passes

    def seconds_a_pixel(self) -> float | None:
        """The time per pixel in seconds, measured on a small picture. None if the model takes other sizes only."""
        blank = np.zeros((PROBE, PROBE, 3), np.uint8)
        try:
            self.model(blank)  # the first call includes compilation
            began = time.perf_counter()
            self.model(blank)
        except UserError:
            return None
        return (time.perf_counter() - began) / PROBE**2


@dataclasses.dataclass(frozen=True)
class Order:
    """How pictures are restyled. `kgan.stylize` says more of each attribute.

    Attributes:
        model: a run folder, a SavedModel folder, a .tflite or .onnx file or the name of a shipped model.
        seed: seed of the noise of the first variant.
        variants: number of files for each picture.
        overwrite: replace existing files.
        skip_existing: keep existing files and write the others.
        strokes: the factor by which brush strokes become broader.
        memory: the memory in GB that one picture may use, or None for a fraction of the free memory.
        finish: how stylized pictures are blended with their originals.
        writing: how files are written.
        exact: restyle in tiles with the exact statistics of the whole picture.
        steady: number of shifted copies whose results are averaged.
        precision: the arithmetic of the network.
    """

    model: str | os.PathLike
    seed: int = 0
    variants: int = 1
    overwrite: bool = False
    skip_existing: bool = False
    strokes: float = 1.0
    memory: float | None = None
    finish: Finish = dataclasses.field(default_factory=Finish)
    writing: Writing = dataclasses.field(default_factory=Writing)
    exact: bool = False
    steady: int = 1
    precision: str = "float32"


def stylize(pictures: Sequence[str | os.PathLike], output: str | os.PathLike, order: Order) -> list[pathlib.Path]:
    """Restyle picture files and folders of them, which are searched at any depth. Small pictures come first.

    Args:
        pictures: files, folders, or "-" for standard input.
        output: a folder, or for one picture a file such as "result.png", or "-" for standard output.
        order: how they are restyled.

    Returns:
        The paths of the written files.

    Raises:
        UserError: before any work if files would be overwritten or an option is wrong, and at the end if some pictures
            cannot be read. Each of these has a line on stderr, and the others are done.
    """
    check_numbers(order.seed, order.variants, order.memory)
    shares_of_size(order.strokes)
    jobs = plan(pictures, pathlib.Path(output), order.variants, order.finish.masks, order.writing)
    order.writing.check_targets(target for job in jobs for target in job.targets)
    jobs = targets.unfinished(jobs, order.overwrite, order.skip_existing)
    if not jobs:
        return []
    model = load(order.model, precision=order.precision)
    _check_model(model, order.variants)
    offsets(order.steady, model.facts.stride)  # an error before any work
    with targets.output_folder(output):
        room = budget() if order.memory is None else order.memory * 1e9
        largest = max(math.prod(job.size) for job in jobs)
        restyler = Restyler(
            model, order.seed, order.strokes, room, order.exact, order.finish, order.writing, largest, order.steady
        )
        written, failed = _stylize_all(jobs, restyler)
    if failed:
        raise UserError(f"{failed} of {len(jobs)} pictures could not be restyled (named above); the others are done")
    return written


def _stylize_all(jobs: list[Job], restyler: Restyler) -> tuple[list[pathlib.Path], int]:
    """The written files and the number of pictures that failed. If there is only one picture, its error is raised."""
    written, failed = set(), 0
    efforts = [restyler.effort(job) for job in jobs]
    seconds = _expected(sum(efforts), restyler)
    with progress(len(jobs), "stylize", sum(efforts) or 1, seconds) as bar, interruptible(len(jobs)) as counter:
        if seconds and seconds > LONG:
            say(_announcement(jobs, seconds))
        # Ordered by size, so that no small picture waits for a large one.
        for job, effort in sorted(zip(jobs, efforts, strict=True), key=lambda pair: math.prod(pair[0].size)):
            try:
                written.update(_stylize_one(job, restyler, bar, effort))
                counter.advance()
            except RunError:  # such as a full disk, which would fail for all others too
                raise
            except (UserError, *OUT_OF_MEMORY) as error:
                if len(jobs) == 1:
                    raise UserError(_one_line(job.source, error)) from None
                failed += 1
                warn(_one_line(job.source, error))
                bar.advance(effort)
    return [target for job in jobs for target in job.targets if target in written], failed


def _expected(pixels: float, restyler: Restyler) -> float | None:
    """The expected time in seconds for this number of pixels. None if it is unknown or too short to be measured."""
    pace = restyler.seconds_a_pixel() if pixels >= WORTH_MEASURING else None
    return pace and pace * pixels


def _announcement(jobs: list[Job], seconds: float) -> str:
    megapixels = sum(math.prod(job.size) for job in jobs) / 1e6
    size = f"{megapixels:.{0 if megapixels >= 10 else 1}f} megapixels"
    return f"{counted(len(jobs), 'picture')}, {size}: about {duration(seconds)}"


def check_numbers(seed: int, variants: int, memory: float | None) -> None:
    """Raise UserError if the seed, the number of variants or the memory in GB is out of its range."""
    if not 0 <= seed < 2**31:
        raise UserError(f"--seed should be at least 0 and below 2147483648. Received: {seed}")
    if not 1 <= variants <= MOST_VARIANTS:
        bound = "at least 1" if variants < 1 else f"at most {MOST_VARIANTS}"
        raise UserError(f"--variants should be {bound}. Received: {variants}")
    if memory is not None and not memory > 0:
        raise UserError(f"--memory should be above 0. Received: {memory}")


def finish_of(mask: str | os.PathLike | None, feather: float | None, strength: float, keep_colour: bool) -> Finish:
    """Check the options of blending. A mask that is used for all pictures is read."""
    check_blending(mask, feather, strength)
    masks = None if mask is None else Masks(pathlib.Path(mask))
    return Finish(masks, FEATHER if feather is None else feather, strength, keep_colour)


def check_blending(mask: str | os.PathLike | None, feather: float | None, strength: float) -> None:
    """Check the options of blending. Raises UserError if one is not valid."""
    if not 0 <= strength <= 1:
        raise UserError(f"--strength should be from 0 to 1. Received: {strength:g}")
    if feather is not None and mask is None:
        raise UserError(f"--feather {feather}: softens the edge of a mask; give --mask too, or leave it out")
    if feather is not None and not 0 <= feather <= 100:
        raise UserError(f"--feather should be from 0 to 100, in percent of the shorter side. Received: {feather:g}")


def plan(
    pictures: Sequence[str | os.PathLike],
    output: pathlib.Path,
    variants: int = 1,
    masks: Masks | None = None,
    writing: Writing | None = None,
) -> list[Job]:
    """Find all pictures, their masks and the files to write.

    Args:
        pictures: files, or folders, which are searched at any depth.
        output: the output folder or file.
        variants: number of files for each picture.
        masks: the masks, or None.
        writing: how files are written.

    Returns:
        A job for each picture.

    Raises:
        UserError: as `kgan.images.targets.plan`, and for a picture without mask if `masks` is a folder.
    """
    writing = writing or Writing()
    planned = targets.plan(pictures, output, lambda suffix: writing.suffix(SUFFIXES.get(suffix, ".png")), variants)
    files = masks.files_for(planned) if masks else [None] * len(planned)
    return [Job(each.source, each.targets, file) for each, file in zip(planned, files, strict=True)]


def _check_model(model: Model, variants: int) -> None:
    if not model.facts.takes_content:
        raise UserError(f"{model.name}: makes pictures from noise alone; use {call('generate')}")
    if variants > 1 and not model.facts.noise_channels:
        raise UserError(f"--variants {variants}: {model.name} takes no noise, so that all would be equal; leave it out")


def _stylize_one(job: Job, restyler: Restyler, bar: Progress, effort: float) -> list[pathlib.Path]:
    model, scale = restyler.model, restyler.scale(job)
    if not scale:
        raise UserError(_too_large(job, restyler))
    picture = _read(job)
    weight = _weight(job, restyler.finish, (picture.image.height, picture.image.width))
    if scale < 1:
        say(f"{_too_large(job, restyler)}; restyled at {math.floor(scale * 100)}% of its size and enlarged")
    # A model without alpha gets the colours without alpha. Composited over white, they would have white edges.
    seen = picture.seen() if model.facts.channels == 4 else picture.seen()[..., :3]
    part = _Part(bar, effort / (restyler.pixels(job) * (len(job.targets) - len(job.there)) or 1))
    for k, target in enumerate(job.targets):
        if target in job.there:
            continue
        seed = restyler.seed + k
        made, scale = _restyled(seen, restyler, seed, scale, job.source, part)
        targets.make_folder(target.parent)
        pixels, profile = finished(picture, made, weight, restyler.finish)
        restyler.writing.save(pixels, target, profile, picture.metadata, picture.lossless)
    bar.advance(effort - part.done)
    return [target for target in job.targets if target not in job.there]


@dataclasses.dataclass
class _Part:
    """Shows the progress within a picture.

    Attributes:
        bar: shows it.
        share: the amount of work per pixel.
        done: the amount of work that was shown.
    """

    bar: Progress
    share: float
    done: float = 0.0

    def __call__(self, pixels: float) -> None:
        self.done += pixels * self.share
        self.bar.advance(pixels * self.share, items=0)


def _too_large(job: Job, restyler: Restyler) -> str:
    need, size = restyler.need(job).of(math.prod(job.size)) / 1e9, f"{job.size[1]}x{job.size[0]}"
    allowed = f"{restyler.memory / 1e9:.2g} are allowed; --memory {math.ceil(need)} restyles it whole"
    return f"{job.source}: {size} would take about {need:.2g} GB of memory ({allowed})"


def _restyled(
    picture: np.ndarray, restyler: Restyler, seed: int, scale: float, source: pathlib.Path, tick: Callable
) -> tuple[np.ndarray, float]:
    """The restyled picture and its scale. If memory, such as a GPU's, is exhausted, smaller tiles or scales follow."""
    memory = restyler.memory
    while True:
        try:
            return _at_scale(picture, restyler, seed, scale, memory, tick), scale
        except OUT_OF_MEMORY:
            if restyler.model.has_tiles:
                memory /= 2
                if memory < SMALLEST * restyler.memory:
                    raise
                say(f"{source}: does not fit into memory; tried again in smaller parts")
            else:
                scale *= 0.7
                if scale < SMALLEST:
                    raise
                say(f"{source}: does not fit into memory; tried again at {scale:.0%} of its size")


def _read(job: Job) -> Picture:
    """Read a picture and report its notices. It is composited over white if its targets cannot store alpha."""
    picture = read_picture(job.source)
    for line in picture.notices:
        say(f"{job.source}: {line}")
    check_sides(picture.image.height, picture.image.width, job.targets[0])
    return picture if job.targets[0].suffix.lower() in HOLDS_ALPHA else picture.over_white()


def _weight(job: Job, finish: Finish, size: tuple[int, int]) -> float | np.ndarray:
    """The weight of the stylized picture: a number, or float32 [H, W, 1]."""
    if job.mask is None:
        return finish.strength
    mask = cast(Masks, finish.masks).read(job.mask)
    given, wanted = f"{mask.shape[1]}x{mask.shape[0]}", f"{size[1]}x{size[0]}"
    if not fits(mask, size):
        raise PictureError(str(job.mask), f"is {given}, another shape than {job.source} ({wanted}); cut it like that")
    if mask.shape != size:
        say(f"{job.source}: its mask {job.mask} is {given}, scaled to {wanted}")
    if not mask.any():
        say(f"{job.source}: its mask {job.mask} is black or transparent all over: nothing is restyled")
    soft = blending.feather(to_float(scaled(mask, size)), min(size) * finish.feather / 100)
    return soft[..., None] * np.float32(finish.strength)


def finished(
    picture: Picture, made: np.ndarray, weight: float | np.ndarray, finish: Finish
) -> tuple[np.ndarray, bytes | None]:
    """Blend a picture with its stylized version.

    They are blended in the colour space of the picture, so that areas that are not restyled stay exactly the same.

    Args:
        picture: the picture.
        made: the stylized picture, uint8 [H, W, C] in sRGB.
        weight: the weight of the stylized picture, a number or float32 [H, W, 1].
        finish: how they are blended.

    Returns:
        uint8 [H, W, C] and its colour profile.
    """
    stays_gray = picture.image.mode == "L" and (made.shape[-1] == 1 or finish.keep_colour or not np.any(weight))
    own = picture.in_srgb() if picture.image.mode == "L" and not stays_gray else picture
    if stays_gray:
        made = to_uint8(with_channels(to_float(made), 1))
    made = colour.pixels_from_srgb(made, own.profile)
    if finish.is_plain and picture.image.mode != "RGBA":
        return made, own.profile
    return blended(own.pixels, made, weight, finish), own.profile


def blended(content: np.ndarray, made: np.ndarray, weight: float | np.ndarray, finish: Finish) -> np.ndarray:
    """Blend two pictures, uint8 [H, W, C]."""
    result = np.empty((*made.shape[:2], max(content.shape[-1], made.shape[-1])), np.uint8)
    for rows in blending.strips(*made.shape[:2]):  # the floats of a whole large picture take gigabytes
        share = weight[rows] if isinstance(weight, np.ndarray) else weight
        mixed = blending.blend(to_float(content[rows]), to_float(made[rows]), share, finish.keep_colour)
        result[rows] = to_uint8(mixed)
    return result


def _at_scale(picture: np.ndarray, restyler: Restyler, seed: int, scale: float, memory: float, tick) -> np.ndarray:
    """Restyle a picture, uint8 [H, W, C], at `scale` times its sides. The result has the size of the picture."""
    model, strokes = restyler.model, restyler.strokes
    if scale == 1:
        return model(picture, seed, strokes, memory / 1e9, restyler.exact, tick, restyler.steady)
    height, width = picture.shape[:2]
    small = resized(picture, (max(1, int(height * scale)), max(1, int(width * scale))))
    return resized(model(small, seed, max(1.0, strokes * scale), steady=restyler.steady), (height, width))


def _one_line(source: pathlib.Path, error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    return f"{source}: does not fit into memory; give a lower --memory"
