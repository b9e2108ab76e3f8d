"""Restyle picture files, whole or in part: any size in, the same size out; and `load`, the way to a model in Python."""

import dataclasses
import functools
import math
import os
import pathlib
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from kgan.console import duration, progress, say, warn
from kgan.errors import RunError, UserError, counted
from kgan.exit_guard import interruptible
from kgan.images import blending, colour, targets
from kgan.images.decoding import Picture, PictureError, read_picture, size_by_header
from kgan.images.masks import Masks, fits, scaled
from kgan.images.pictures import HOLDS_ALPHA, Format, Writing, check_sides, to_float, to_uint8, with_channels
from kgan.inference.loading import Model, load, shares_of_size
from kgan.memory import OPENED, OPENED_WITH_MASK, Need, budget
from kgan.paths import expands_paths

__all__ = ["load", "stylize"]

SUFFIXES = {".jpg": ".jpg", ".jpeg": ".jpeg", ".jpe": ".jpg", ".jfif": ".jpg", ".png": ".png", ".webp": ".webp"}
"""Suffix in -> suffix out; others become .png."""


FEATHER = 1.0
"""Width of a mask's soft edge in percent of the picture's shorter side."""

PROBE = 128
"""Side of the picture on which a model's pace is measured."""

WORTH_MEASURING = 500_000
"""Pixels from which on the work may take long enough for that."""

OUT_OF_MEMORY = (MemoryError, tf.errors.ResourceExhaustedError)

LONG = 10.0
"""Seconds that are worth a word before they pass."""

SMALLEST = 0.1
"""The scale below which a picture is given up for which memory runs out."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One picture to restyle, a file for each variant, and the file of its mask if it has one.

    `there`: those of the files that are left as they are.
    """

    source: pathlib.Path
    targets: tuple[pathlib.Path, ...]
    mask: pathlib.Path | None = None
    there: frozenset[pathlib.Path] = frozenset()

    @functools.cached_property
    def size(self) -> tuple[int, int]:
        """Height and width by the header, before the picture is turned upright; (0, 0) of what is no picture."""
        return size_by_header(self.source)


@dataclasses.dataclass(frozen=True)
class Finish:
    """What becomes of a stylized picture: how much of it is taken, where, and in whose colours."""

    masks: Masks | None = None
    feather: float = FEATHER
    strength: float = 1.0
    keep_colour: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the stylized picture is taken as it is."""
        return self.masks is None and self.strength == 1 and not self.keep_colour


@dataclasses.dataclass(frozen=True)
class Maker:
    """The model, and all that holds for every picture; `memory` in bytes, `largest`: the pixels of the largest."""

    model: Model
    seed: int
    strokes: float
    memory: float
    finish: Finish
    writing: Writing
    largest: int

    def scale(self, job: Job) -> float:
        """At which share of its side lengths a picture is restyled, so that it fits into the memory."""
        pixels = math.prod(job.size)
        beside = self.need(job).opened * self.largest if pixels < self.largest else 0
        return self.need(job).affordable_scale(pixels, self.memory, beside)

    def need(self, job: Job) -> Need:
        """What a pixel of a picture takes."""
        return Need(self.model.bytes_per_pixel, OPENED_WITH_MASK if job.mask else OPENED)

    def effort(self, job: Job) -> float:
        """How many pixels the network will go over."""
        passes = sum(share**2 for share in shares_of_size(self.strokes))
        return math.prod(job.size) * self.scale(job) ** 2 * passes * (len(job.targets) - len(job.there))

    def seconds_a_pixel(self) -> float | None:
        """Measured on a small picture; None for a model that takes pictures of other sizes alone."""
        blank = np.zeros((PROBE, PROBE, 3), np.uint8)
        try:
            self.model(blank)  # the first call prepares
            began = time.perf_counter()
            self.model(blank)
        except UserError:
            return None
        return (time.perf_counter() - began) / PROBE**2


@expands_paths
def stylize(
    pictures: Sequence[str | os.PathLike],
    model: str | os.PathLike,
    output: str | os.PathLike,
    seed: int = 0,
    variants: int = 1,
    overwrite: bool = False,
    strokes: float = 1.0,
    memory: float | None = None,
    mask: str | os.PathLike | None = None,
    feather: float | None = None,
    strength: float = 1.0,
    keep_colour: bool = False,
    format: Format | None = None,
    quality: int | None = None,
    strip_metadata: bool = False,
    skip_existing: bool = False,
) -> list[pathlib.Path]:
    """Restyle files and folders into the folder `output`, keeping names, formats, folder structure, sizes and alpha.

    Pictures are turned upright by their EXIF orientation first. With `variants` above 1 every picture becomes
    name-1, name-2, ... from the seeds `seed`, `seed` + 1, ... A picture that would take more than `memory` GB (default:
    a share of what is free, `kgan.memory`) is restyled smaller and the result enlarged, with a notice. Small pictures
    come first. `strokes` of at least 1 makes them so many times as broad
    (`kgan.inference.loading.Model`).

    `mask`, one picture for all or a folder with one of the same name for each, restyles only where it is white; its
    edge is softened over `feather` percent of the shorter side (default 1). `strength` in [0, 1] blends between the
    picture as it is and stylized; `keep_colour` takes only the luma of what is stylized (`kgan.images.blending`).

    Colour profiles and metadata are kept, the latter not with `strip_metadata`; lossless files stay lossless. `format`
    writes all in one format, `quality` (1 to 100) is that of JPEG and of lossy WebP (default 95).

    `output` may be one file for one picture, as "result.png", or "-" for standard output; "-" among the pictures is
    standard input. `skip_existing` leaves the files that are there already and makes the others.

    Returns the files written. Raises UserError before any work when files would be overwritten, and at the end when
    some pictures could not be read (each has had its line on stderr, the others are done).
    """
    _check_numbers(seed, variants, memory)
    shares_of_size(strokes)
    finish, writing = _finish(mask, feather, strength, keep_colour), Writing(format, quality, strip_metadata)
    jobs = plan(pictures, pathlib.Path(output), variants, finish.masks, writing)
    writing.check_targets(target for job in jobs for target in job.targets)
    jobs = targets.to_do(jobs, overwrite, skip_existing)
    if not jobs:
        return []
    loaded = load(model)
    _check_model(loaded, variants)
    with targets.output_folder(output):
        room = budget() if memory is None else memory * 1e9
        largest = max(math.prod(job.size) for job in jobs)
        written, failed = _stylize_all(jobs, Maker(loaded, seed, strokes, room, finish, writing, largest))
    if failed:
        raise UserError(f"{failed} of {len(jobs)} pictures could not be restyled (named above); the others are done")
    return written


def _stylize_all(jobs: list[Job], maker: Maker) -> tuple[list[pathlib.Path], int]:
    """The files written, and how many pictures failed; raises at once where that was the only picture."""
    written, failed = set(), 0
    efforts = [maker.effort(job) for job in jobs]
    seconds = _expected(sum(efforts), maker)
    with progress(len(jobs), "stylize", sum(efforts) or 1, seconds) as bar, interruptible(len(jobs)) as counter:
        if seconds and seconds > LONG:
            say(_announcement(jobs, seconds))
        # By size, so that no small picture waits for a large one.
        for job, effort in sorted(zip(jobs, efforts, strict=True), key=lambda pair: math.prod(pair[0].size)):
            try:
                written.update(_stylize_one(job, maker, bar.notice))
                counter.advance()
            except RunError:  # a full disk would fail for all the others too
                raise
            except (UserError, *OUT_OF_MEMORY) as error:
                if len(jobs) == 1:
                    raise UserError(_one_line(job.source, error)) from None
                failed += 1
                warn(_one_line(job.source, error))
            bar.advance(effort)
    return [target for job in jobs for target in job.targets if target in written], failed


def _expected(pixels: float, maker: Maker) -> float | None:
    """Seconds that the network will take for so many pixels; None where that is not known or not worth knowing."""
    pace = maker.seconds_a_pixel() if pixels >= WORTH_MEASURING else None
    return pace and pace * pixels


def _announcement(jobs: list[Job], seconds: float) -> str:
    megapixels = sum(math.prod(job.size) for job in jobs) / 1e6
    size = f"{megapixels:.{0 if megapixels >= 10 else 1}f} megapixels"
    return f"{counted(len(jobs), 'picture')}, {size}: about {duration(seconds)}"


def _check_numbers(seed: int, variants: int, memory: float | None) -> None:
    if not 0 <= seed < 2**31:
        raise UserError(f"--seed should be at least 0 and below 2147483648. Received: {seed}")
    if variants < 1:
        raise UserError(f"--variants should be at least 1. Received: {variants}")
    if memory is not None and not memory > 0:
        raise UserError(f"--memory should be above 0. Received: {memory}")


def _finish(mask: str | os.PathLike | None, feather: float | None, strength: float, keep_colour: bool) -> Finish:
    """The wishes, checked; reads the mask if it is one for all."""
    if not 0 <= strength <= 1:
        raise UserError(f"--strength should be from 0 to 1. Received: {strength:g}")
    if feather is not None and mask is None:
        raise UserError(f"--feather {feather:g}: softens the edge of a mask; give --mask too, or leave it out")
    if feather is not None and not 0 <= feather <= 100:
        raise UserError(f"--feather should be from 0 to 100, in percent of the shorter side. Received: {feather:g}")
    masks = None if mask is None else Masks(pathlib.Path(mask))
    return Finish(masks, FEATHER if feather is None else feather, strength, keep_colour)


def plan(
    pictures: Sequence[str | os.PathLike],
    output: pathlib.Path,
    variants: int = 1,
    masks: Masks | None = None,
    writing: Writing | None = None,
) -> list[Job]:
    """Every picture in `pictures` (files, or folders at any depth), its mask, and where it goes.

    Raises UserError as `kgan.images.targets.plan` does, and for a picture without mask where `masks` is a folder.
    """
    writing = writing or Writing()
    places = targets.plan(pictures, output, lambda suffix: writing.suffix(SUFFIXES.get(suffix, ".png")), variants)
    files = masks.files_for(places) if masks else [None] * len(places)
    return [Job(place.source, place.targets, file) for place, file in zip(places, files, strict=True)]


def _check_model(model: Model, variants: int) -> None:
    if not model.facts.takes_content:
        raise UserError(f"{model.name}: makes pictures from noise alone; use kgan generate")
    if variants > 1 and not model.facts.noise_channels:
        raise UserError(f"--variants {variants}: {model.name} takes no noise, so that all would be equal; leave it out")


def _stylize_one(job: Job, maker: Maker, notice) -> list[pathlib.Path]:
    model, scale = maker.model, maker.scale(job)
    if not scale:
        raise UserError(_too_large(job, maker))
    picture = _read(job, notice)
    weight = _weight(job, maker.finish, (picture.image.height, picture.image.width), notice)
    if scale < 1:
        notice(f"{_too_large(job, maker)}; restyled at {math.floor(scale * 100)}% of its size and enlarged")
    # A model without alpha sees the colours themselves: laid over white they would bring white edges back.
    seen = picture.seen() if model.facts.channels == 4 else picture.seen()[..., :3]
    for k, target in enumerate(job.targets):
        if target in job.there:
            continue
        made, scale = _restyled(seen, maker, maker.seed + k, scale, lambda line: notice(f"{job.source}: {line}"))
        targets.make_folder(target.parent)
        pixels, profile = _finished(picture, made, weight, maker.finish)
        maker.writing.save(pixels, target, profile, picture.metadata, picture.lossless)
    return [target for target in job.targets if target not in job.there]


def _too_large(job: Job, maker: Maker) -> str:
    need, size = maker.need(job).of(math.prod(job.size)) / 1e9, f"{job.size[1]}x{job.size[0]}"
    allowed = f"{maker.memory / 1e9:.2g} are allowed; --memory {math.ceil(need)} restyles it whole"
    return f"{job.source}: {size} would take about {need:.2g} GB of memory ({allowed})"


def _restyled(picture: np.ndarray, maker: Maker, seed: int, scale: float, notice) -> tuple[np.ndarray, float]:
    """The picture restyled, and at which scale: a smaller one than asked for where memory, as a GPU's, ran out."""
    while True:
        try:
            return _at_scale(maker.model, picture, seed, maker.strokes, scale), scale
        except OUT_OF_MEMORY:
            scale *= 0.7
            if scale < SMALLEST:
                raise
        notice(f"does not fit into memory; tried again at {scale:.0%} of its size")


def _read(job: Job, notice) -> Picture:
    """The picture, laid over white where its targets cannot hold its alpha; tells what is to be told of it."""
    picture = read_picture(job.source)
    for line in picture.notices:
        notice(f"{job.source}: {line}")
    check_sides(picture.image.height, picture.image.width, job.targets[0])
    return picture if job.targets[0].suffix.lower() in HOLDS_ALPHA else picture.over_white()


def _weight(job: Job, finish: Finish, size: tuple[int, int], notice) -> float | np.ndarray:
    """How much of the stylized picture to take: a number, or for every pixel float32 [H, W, 1]."""
    if job.mask is None:
        return finish.strength
    mask = finish.masks.read(job.mask)
    given, wanted = f"{mask.shape[1]}x{mask.shape[0]}", f"{size[1]}x{size[0]}"
    if not fits(mask, size):
        raise PictureError(str(job.mask), f"is {given}, another shape than {job.source} ({wanted}); cut it like that")
    if mask.shape != size:
        notice(f"{job.source}: its mask {job.mask} is {given}, scaled to {wanted}")
    if not mask.any():
        notice(f"{job.source}: its mask {job.mask} is black or transparent all over: nothing is restyled")
    soft = blending.feather(to_float(scaled(mask, size)), min(size) * finish.feather / 100)
    return soft[..., None] * np.float32(finish.strength)


def _finished(
    picture: Picture, made: np.ndarray, weight: float | np.ndarray, finish: Finish
) -> tuple[np.ndarray, bytes | None]:
    """The picture as it is and stylized (uint8 [H, W, C], sRGB) -> what is written, uint8 [H, W, C], and its profile.

    They are mixed in the picture's own colours, so that what is not restyled stays as it is, to the last bit.
    """
    stays_gray = picture.image.mode == "L" and (made.shape[-1] == 1 or finish.keep_colour or not np.any(weight))
    own = picture.in_srgb() if picture.image.mode == "L" and not stays_gray else picture
    if stays_gray:
        made = to_uint8(with_channels(to_float(made), 1))
    made = colour.pixels_from_srgb(made, own.profile)
    if finish.is_plain and picture.image.mode != "RGBA":
        return made, own.profile
    return _blended(own.pixels, made, weight, finish), own.profile


def _blended(content: np.ndarray, made: np.ndarray, weight: float | np.ndarray, finish: Finish) -> np.ndarray:
    """uint8 [H, W, C] each -> uint8 [H, W, C]."""
    result = np.empty((*made.shape[:2], max(content.shape[-1], made.shape[-1])), np.uint8)
    for rows in blending.strips(*made.shape[:2]):  # whole, the floats of a large picture would need gigabytes
        share = weight[rows] if isinstance(weight, np.ndarray) else weight
        mixed = blending.blend(to_float(content[rows]), to_float(made[rows]), share, finish.keep_colour)
        result[rows] = to_uint8(mixed)
    return result


def _at_scale(model: Model, picture: np.ndarray, seed: int, strokes: float, scale: float) -> np.ndarray:
    """uint8 [H, W, C] -> uint8 [H, W, C], restyled at `scale` times its side lengths."""
    if scale == 1:
        return model(picture, seed, strokes)
    height, width = picture.shape[:2]
    small = _resized(picture, max(1, int(height * scale)), max(1, int(width * scale)))
    return _resized(model(small, seed, max(1.0, strokes * scale)), height, width)


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    made = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    return made[..., None] if made.ndim == 2 else made


def _one_line(source: pathlib.Path, error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    return f"{source}: does not fit into memory; give a lower --memory"
