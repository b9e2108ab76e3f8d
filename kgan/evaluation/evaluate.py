"""Evaluates a trained model: the distances of stylized pictures to their content, to the truth and to the style.

Each number has an interval, and is reported for the content itself and for real pictures too.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from kgan import console
from kgan.errors import RunError, UserError, shown
from kgan.evaluation.films.evaluate import FilmOptions, evaluate_films
from kgan.evaluation.gallery import page
from kgan.evaluation.makers import FromFolder, FromModel, Maker, has_pictures, with_made
from kgan.evaluation.networks import NETWORKS, chosen, trained_on, unseen
from kgan.evaluation.report import ROWS, Report, Threshold, missed, table, thresholds, write, write_text
from kgan.evaluation.score import Thumbnails, score
from kgan.evaluation.scored import Scored, folder_pictures, in_crops, run_pictures, taught
from kgan.exit_guard import interrupted_as
from kgan.film.smoothing import SMOOTH
from kgan.gan.checkpoints import found_in
from kgan.images.decoding import limits_pictures
from kgan.inference.loading import Model, load
from kgan.inference.teacher import picture_teacher
from kgan.metrics import SSIM_WINDOW
from kgan.parsing import assignments
from kgan.paths import expands_paths, several
from kgan.runs import places
from kgan.runs.models import KINDS, ModelSource, resolve_model
from kgan.runs.trust import takes_trust

Path = str | os.PathLike


@dataclasses.dataclass(frozen=True)
class Options:
    """The arguments of `evaluate`. Raises UserError if one is not valid."""

    model: Path | None
    content: Path | None
    truth: Path | None
    style: Path | None
    stylized: Path | None
    size: int | None
    crops: int | None
    baseline: Path | None
    networks: tuple[str, ...]
    output: Path | None
    seed: int
    bounds: tuple[Threshold, ...]

    def __post_init__(self):
        if (self.model is None) == (self.stylized is None):
            raise UserError("give either a model or --stylized, a folder of finished pictures")
        if self.stylized is not None and self.content is None:
            raise UserError(f"--stylized {self.stylized}: needs --content, the pictures that were restyled")
        if self.size is not None and self.size < SSIM_WINDOW:
            raise UserError(f"--size should be at least {SSIM_WINDOW}, the window of SSIM. Received: {self.size}")
        if self.crops is not None and self.crops < 1:
            raise UserError(f"--crops should be at least 1. Received: {self.crops}")


@expands_paths
@takes_trust
@limits_pictures
@interrupted_as(lambda: "interrupted: no complete report is written")
def evaluate(
    model: str | os.PathLike | None = None,
    content: str | os.PathLike | None = None,
    truth: str | os.PathLike | None = None,
    style: str | os.PathLike | None = None,
    size: int | None = None,
    crops: int | None = None,
    baseline: str | os.PathLike | None = None,
    output: str | os.PathLike | None = None,
    seed: int = 0,
    fail_under: Mapping[str, float] | Iterable[str] = (),
    fail_over: Mapping[str, float] | Iterable[str] = (),
    max_megapixels: float | None = None,
    film: str | os.PathLike | Sequence[str | os.PathLike] = (),
    moves: str | os.PathLike | None = None,
    steady: int = 1,
    start: float | None = None,
    duration: float | None = None,
    stylized: str | os.PathLike | None = None,
    networks: str | Iterable[str] = NETWORKS,
    trust: bool = False,
    smooth: float | None = None,
) -> Report:
    """Evaluate a model or the pictures of any program. Prints a table, and writes a JSON file and an HTML page.

    With `film` or `moves`, the flicker of films is measured instead (`kgan.metrics.flicker`).

    Metrics content_* compare stylized pictures with their content, and truth_* with the truth of the same file name
    (`kgan.images.pairing`), resized to the content. FID, KID, Gram matrices and no_effect compare with the truths,
    or else with the style pictures.

    Args:
        model: a run folder, a SavedModel folder, a .tflite or .onnx file or the name of a shipped model.
        content: folder of content pictures. Default: the test pictures of the run. The truths of a distilled run are
            the results of its teacher.
        truth: folder of the pictures that the content should become.
        style: folder of style pictures.
        size: side in pixels. Pictures are cropped to their centred square and resized. Default: the pictures' own
            sizes, or the training size for a run's test pictures. For films, the longer side to which larger frames are
            reduced, and the width of the frames of `moves` (default 256).
        crops: number of random square crops of each picture, which are scored instead of it. They allow KID for few
            pictures.
        baseline: a second model that is scored on the same pictures, such as an earlier run or the teacher, or a folder
            of finished pictures.
        output: the JSON file. The page is written beside it as .html. Default: evaluation.json in a run folder, or
            flicker.json for films, which are written to a folder beside it.
        seed: seed of the noise and of the bootstrap resamples.
        fail_under: least values, as {"content_ssim": 0.6}.
        fail_over: largest values, as {"kid_mobilenet": 0.1}.
        max_megapixels: the largest picture that is read. Default: 400, and 100 where a short file claims more than it
            can contain.
        film: films, animations and folders of frames. Each is restyled as `kgan.stylize` does, and frame by frame.
            Their flow is estimated by OpenCV.
        moves: photos over which a camera is moved: films whose flow is known.
        steady: for films, the number of shifted copies of each frame whose results are averaged.
        start: seconds that are left out at the beginning of a film.
        duration: seconds of a film that are measured. Default: the rest.
        stylized: folder of finished pictures, which are scored instead of those of a model. They have the names of the
            content, with any suffix. Contents without one are left out. Other sizes of the same shape are resized.
        networks: names of the feature networks by which sets are compared.
        trust: open a model that is a program of somebody else (`kgan.load`).
        smooth: for films, the part of the frame before that a frame takes up (`kgan.film.smoothing`). Default: 0.5.

    Returns:
        The report, described in `kgan.evaluation.report`, or for films in `kgan.evaluation.films.report`.

    Raises:
        UserError: if a folder contains no pictures or pairs, a metric is unknown, or another argument is not valid.
        RunError: after all files are written, if a metric misses its threshold.
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP. Unfinished files are removed.
    """
    bounds = tuple(thresholds(assignments(fail_under), assignments(fail_over)))
    films = tuple(several(film))
    if films or moves is not None:
        pictures = {"content": content, "truth": truth, "crops": crops, "stylized": stylized}
        _refuse("pictures", pictures)
        if model is None:
            raise UserError(f"the model is missing: give {KINDS}, or a name")
        return evaluate_films(
            model,
            FilmOptions(
                films, moves, style, steady, SMOOTH if smooth is None else smooth, start, duration, size, baseline,
                output, seed, bounds,
            ),
        )  # fmt: skip
    only = {"steady": None if steady == 1 else steady, "smooth": smooth, "start": start, "duration": duration}
    _refuse("films", only)
    options = Options(model, content, truth, style, stylized, size, crops, baseline, chosen(networks), output,
                      seed, bounds)  # fmt: skip
    source = None if model is None else _source(model)
    options = _completed(options, source)
    report, thumbnails = _scored(options, source)
    failures = missed(report, list(bounds))
    console.result(table(report))
    if options.output:
        _write(report, thumbnails, pathlib.Path(options.output))
    if failures:
        raise RunError(failures)
    return report


def _refuse(kind: str, given: Mapping[str, object]) -> None:
    """Refuse options that are for pictures or for films alone."""
    for name, value in given.items():
        if value is not None:
            other = "without --film and --moves" if kind == "pictures" else "with --film or --moves"
            raise UserError(f"--{name} {value}: is for {kind} alone; give it {other}, or leave it out")


def _source(word: Path) -> ModelSource:
    """The model. The message about a folder of pictures names the option for it."""
    try:
        return resolve_model(word)
    except UserError as error:
        if has_pictures(word):
            raise UserError(f"{word}: is a folder of pictures, not a model; give it by --stylized") from None
        raise error


def _completed(options: Options, source: ModelSource | None) -> Options:
    """The options with the default size and output of a run. Raises UserError if something is missing."""
    own_pictures = options.content is None
    if own_pictures and source and (source.is_borrowed or not source.is_run):
        come = f"came {'with kgan' if source.is_shipped else 'from the hub'}, without pictures"
        what = come if source.is_borrowed else "is no run folder"
        raise UserError(f"--content is missing: {source.name} {what}, so that it has no test pictures of its own")
    size = options.size or (source.run_config.size if own_pictures and source else None)
    if options.crops and size is None:
        raise UserError("--crops needs --size, the side to which the crops are resized")
    is_own_run = source is not None and source.is_run and not source.is_borrowed
    if options.output:
        _check_output(pathlib.Path(options.output))
    own_output = source.path / "evaluation.json" if source and is_own_run else None
    return dataclasses.replace(options, size=size, output=options.output or own_output)


def _scored(options: Options, source: ModelSource | None) -> tuple[Report, Thumbnails]:
    """The report and the thumbnails of its page."""
    models, folders = _sources(options)
    pictures, notes = _pictures(options, source, folders)
    makers: dict[str, Maker] = {row: FromModel(model) for row, model in models.items()}
    makers |= {row: FromFolder(pictures.made[row], options.size) for row in folders}
    makers = {row: makers[row] for row in ROWS if row in makers}
    channels = next((model.facts.channels for model in models.values()), 3)
    numbers, thumbnails = score(makers, pictures, options.size, options.seed, channels, options.networks)
    name = options.stylized if options.model is None else options.model
    asked = {"model": shown(name), "size": options.size, "crops": options.crops, "seed": options.seed}
    report = asked | numbers | {"warnings": [*map(shown, notes), *numbers["warnings"], *_of_crops(options)]}
    if options.baseline:
        report["baseline"] = shown(options.baseline)
    seen = trained_on(source)
    judges = {"trained_on": seen, "headline": unseen(numbers.get("networks", ()), seen)}
    return report | judges | _weights(source), thumbnails


def _sources(options: Options) -> tuple[dict[str, Model], dict[str, Path]]:
    """The models and the folders of finished pictures by the row of the report."""
    words = {"model": options.model, "baseline": options.baseline}
    folders = {"model": options.stylized} if options.stylized is not None else {}
    if options.baseline is not None and _is_folder(options.baseline):
        folders["baseline"] = options.baseline
    models = {row: load(word) for row, word in words.items() if word is not None and row not in folders}
    if len(models) == 2:
        one, other = (model.facts for model in models.values())
        if (one.channels, one.takes_content) != (other.channels, other.takes_content):
            same = f"should take and make pictures of the same kind as {options.model}"
            raise UserError(f"--baseline {options.baseline}: {same}")
    if options.stylized is not None and not all(model.facts.takes_content for model in models.values()):
        raise UserError(f"--baseline {options.baseline}: makes pictures from noise, which no content belongs to")
    return models, folders


def _is_folder(word: Path) -> bool:
    """Whether a word names no model, but a folder of pictures."""
    try:
        resolve_model(word)
    except UserError:
        return has_pictures(word)
    return False


def _pictures(options: Options, source: ModelSource | None, folders: Mapping[str, Path]) -> tuple[Scored, list[str]]:
    """The pictures, and warnings."""
    own = options.content is None and source is not None
    scored, notes = run_pictures(source) if own and source else _of_folders(options)
    for row, folder in folders.items():
        scored, warnings = with_made(scored, row, folder)
        notes = notes + warnings
    if options.crops:
        scored = in_crops(scored, options.crops)
    if own and source and source.run_config.distill_from:
        scored = taught(scored, _teacher(source), options.size, options.seed)
    return scored, notes


def _of_folders(options: Options) -> tuple[Scored, list[str]]:
    """The pictures of the given folders. Without a size, each must be large enough for SSIM."""
    others = {"truth": options.truth, "style": options.style}
    notes = [
        places.overlap({"content": options.content or "", name: folder}) for name, folder in others.items() if folder
    ]
    least = SSIM_WINDOW if options.size is None else 1
    scored = folder_pictures(options.content, options.truth, options.style, least)
    return scored, [note for note in notes if note]


def _teacher(run: ModelSource) -> Callable[[np.ndarray, int], np.ndarray]:
    try:
        return picture_teacher(run.run_config)
    except UserError as error:
        raise UserError(
            f"{run.path}: its teacher, which makes the truth: {error}; give --content and --truth"
        ) from None


def _of_crops(options: Options) -> list[str]:
    return ["crops of one picture are alike: as many pictures would have wider intervals"] if options.crops else []


def _weights(source: ModelSource | None) -> Report:
    """The part of the report about the training step of a run's weights."""
    if source is None or not source.config:
        return {}
    config = source.config
    steps = [int(checkpoint.name.removeprefix("ckpt-")) for checkpoint in found_in(source.path / "checkpoints")]
    return {"weights": {"step": max(steps, default=config.steps), "steps": config.steps, "ema": config.ema}}


def _check_output(target: pathlib.Path) -> None:
    """Raise UserError if no report can be written to a file, before the work of minutes."""
    if target.suffix.lower() in (".html", ".htm"):
        raise UserError(f"--output {target}: should be a JSON file; the page is written beside it, as .html")
    if target.is_dir():
        raise UserError(f"--output {target}: is a folder; name a JSON file in it, such as {target / 'evaluation.json'}")


def _write(report: Report, thumbnails: Thumbnails, target: pathlib.Path) -> None:
    """Write the JSON file, and the page beside it."""
    write(report, target)
    write_text(page(report, thumbnails), target.with_suffix(".html"))
    console.say(f"written: {target}, {target.with_suffix('.html')}")
