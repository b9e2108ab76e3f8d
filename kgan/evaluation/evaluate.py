"""Numbers for a trained model: how far stylized pictures are from their content, from the truth, and from the style.

Every number has an interval, and beside it the same number for the content as it is and for real pictures.
"""

import dataclasses
import os
import pathlib

from kgan import console
from kgan.errors import RunError, UserError, shown
from kgan.evaluation.gallery import page
from kgan.evaluation.report import Report, Threshold, missed, table, thresholds, write, write_text
from kgan.evaluation.score import Models, Thumbnails, score
from kgan.evaluation.scored import Scored, folder_pictures, in_crops, run_pictures, taught
from kgan.gan.checkpoints import found_in
from kgan.inference.loading import Model, load
from kgan.metrics import SSIM_WINDOW
from kgan.paths import expands_paths
from kgan.runs import places
from kgan.runs.models import ModelSource, resolve_model

Path = str | os.PathLike


@dataclasses.dataclass(frozen=True)
class Options:
    """What an evaluation is asked for: the arguments of `evaluate`. Raises UserError for what makes no sense."""

    model: Path
    content: Path | None
    truth: Path | None
    style: Path | None
    size: int | None
    crops: int | None
    baseline: Path | None
    output: Path | None
    seed: int
    bounds: tuple[Threshold, ...]

    def __post_init__(self):
        if self.size is not None and self.size < SSIM_WINDOW:
            raise UserError(f"--size should be at least {SSIM_WINDOW}, the window of SSIM. Received: {self.size}")
        if self.crops is not None and self.crops < 1:
            raise UserError(f"--crops should be at least 1. Received: {self.crops}")


@expands_paths
def evaluate(
    model: str | os.PathLike,
    content: str | os.PathLike | None = None,
    truth: str | os.PathLike | None = None,
    style: str | os.PathLike | None = None,
    size: int | None = None,
    crops: int | None = None,
    baseline: str | os.PathLike | None = None,
    output: str | os.PathLike | None = None,
    seed: int = 0,
    fail_under: tuple[str, ...] = (),
    fail_over: tuple[str, ...] = (),
) -> Report:
    """Restyle the pictures in `content` and compare; print a table, write JSON and a page, return the report.

    content_*: stylized against content. truth_*: against the truth of the same file name (`kgan.images.pairing`),
    brought to the size of the content. FID, KID and style_reached: against the truths, or without them the style
    pictures. With `size`, every picture is cropped to its central square and resized to that side first. A run folder
    without `content` is scored on its own test pictures, at its own size; its JSON goes to evaluation.json in the run,
    the page beside it as .html; the truth of a distilled run is what its teacher makes of them.
    `kgan.evaluation.report` describes the report. `crops`: score so many random square crops of every picture instead,
    for KID of few pictures. `baseline`: another model, scored on the same pictures beside this one: an earlier run, or
    a student's teacher. `fail_under`, `fail_over`: METRIC=NUMBER.

    Raises UserError for folders without pictures or pairs, unknown metrics; RunError, once all is written, for a metric
    on the wrong side of its bound.
    """
    bounds = tuple(thresholds(fail_under, fail_over))
    options = Options(model, content, truth, style, size, crops, baseline, output, seed, bounds)
    source = resolve_model(model)
    options = _completed(options, source)
    report, thumbnails = _scored(options, source)
    failures = missed(report, bounds)
    console.result(table(report))
    if options.output:
        _write(report, thumbnails, pathlib.Path(options.output))
    if failures:
        raise RunError(failures)
    return report


def _completed(options: Options, source: ModelSource) -> Options:
    """With the size and the place of the report that a run has of its own. UserError where something is missing."""
    own_pictures = options.content is None
    if own_pictures and (source.is_shipped or not source.is_run):
        what = "came with kgan, without pictures" if source.is_shipped else "is no run folder"
        raise UserError(f"--content is missing: {source.path.name} {what}, so that it has no test pictures of its own")
    size = options.size or (source.config.size if own_pictures else None)
    if options.crops and size is None:
        raise UserError("--crops needs --size, the side to which the crops are resized")
    own_output = source.path / "evaluation.json" if source.is_run and not source.is_shipped else None
    return dataclasses.replace(options, size=size, output=options.output or own_output)


def _scored(options: Options, source: ModelSource) -> tuple[Report, Thumbnails]:
    """The report and the thumbnails of its page."""
    models = _loaded(options)
    pictures, notes = _pictures(options, source)
    numbers, thumbnails = score(models, pictures, options.size, options.seed)
    asked = {"model": shown(options.model), "size": options.size, "crops": options.crops, "seed": options.seed}
    report = asked | numbers | {"warnings": notes + numbers["warnings"] + _of_crops(options)}
    if options.baseline:
        report["baseline"] = shown(options.baseline)
    return report | _weights(source), thumbnails


def _loaded(options: Options) -> Models:
    models = {"model": load(options.model)}
    if options.baseline is not None:
        models["baseline"] = load(options.baseline)
        one, other = (model.facts for model in models.values())
        if (one.channels, one.takes_content) != (other.channels, other.takes_content):
            same = f"should take and make pictures of the same kind as {options.model}"
            raise UserError(f"--baseline {options.baseline}: {same}")
    return models


def _pictures(options: Options, source: ModelSource) -> tuple[Scored, list[str]]:
    """What is scored, and what to warn of."""
    scored, notes = run_pictures(source) if options.content is None else _of_folders(options)
    if options.crops:
        scored = in_crops(scored, options.crops)
    if options.content is None and source.config.distill_from:
        scored = taught(scored, _teacher(source), options.size, options.seed)
    return scored, notes


def _of_folders(options: Options) -> tuple[Scored, list[str]]:
    """Those of the folders that were named; without a size each must be large enough for SSIM as it is."""
    others = {"truth": options.truth, "style": options.style}
    notes = [places.overlap({"content": options.content, name: folder}) for name, folder in others.items() if folder]
    least = SSIM_WINDOW if options.size is None else 1
    scored = folder_pictures(options.content, options.truth, options.style, least)
    return scored, [note for note in notes if note]


def _teacher(run: ModelSource) -> Model:
    try:
        return load(run.config.distill_from)
    except UserError as error:
        raise UserError(
            f"{run.path}: its teacher, which makes the truth: {error}; give --content and --truth"
        ) from None


def _of_crops(options: Options) -> list[str]:
    return ["crops of one picture are alike: as many pictures would have wider intervals"] if options.crops else []


def _weights(source: ModelSource) -> Report:
    """Of which step a run's weights are."""
    if not source.config:
        return {}
    config = source.config
    steps = [int(checkpoint.name.removeprefix("ckpt-")) for checkpoint in found_in(source.path / "checkpoints")]
    return {"weights": {"step": max(steps, default=config.steps), "steps": config.steps, "ema": config.ema}}


def _write(report: Report, thumbnails: Thumbnails, target: pathlib.Path) -> None:
    """The JSON file, and the page beside it."""
    if target.suffix == ".html":
        raise UserError(f"--output {target}: should be a JSON file; the page is written beside it, as .html")
    write(report, target)
    write_text(page(report, thumbnails), target.with_suffix(".html"))
    console.say(f"written: {target}, {target.with_suffix('.html')}")
