"""Numbers for a trained model: how far stylized pictures are from their content, from the truth, and from the style.

Every number has an interval, and beside it the same number for the content as it is and for real pictures.
"""

import collections
import os
import pathlib

import numpy as np

from kgan import console, metrics
from kgan.errors import RunError, UserError, counted, is_or_are, shown
from kgan.evaluation.gallery import page, thumbnail
from kgan.evaluation.measure import Numbers, measured
from kgan.evaluation.report import Report, missed, table, thresholds, write, write_text
from kgan.evaluation.scored import Named, Scored, fitted, folder_pictures, in_crops, run_pictures, taught
from kgan.gan.checkpoints import found_in
from kgan.inference.loading import Model, load
from kgan.metrics import fidelity, picture_features
from kgan.metrics.bootstrap import Interval, draws, interval, mean_interval
from kgan.metrics.picture_features import PictureFeatures, style_reached
from kgan.paths import expands_paths
from kgan.runs import places
from kgan.runs.models import ModelSource, resolve_model

RESAMPLES = 200
"""Of FID and KID, which are dear; means are resampled ten times as often."""

ENOUGH = {"pairs": 50, "kid": 100}
"""Pictures from which on intervals of means and of KID can be trusted; FID wants more than it has features."""

Models = dict[str, Model]
"""By row of the report: "model", and "baseline" where there is one to compare with."""


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
    bounds = thresholds(fail_under, fail_over)
    if size is not None and size < metrics.SSIM_WINDOW:
        raise UserError(f"--size should be at least {metrics.SSIM_WINDOW}, the window of SSIM. Received: {size}")
    source = resolve_model(model)
    _check_content(source, content)
    config, compared_models = source.config, _loaded(model, baseline)
    scored, notes = _pictures(source, content, truth, style, size)
    size = size or (config.size if config and content is None else None)
    if crops is not None:
        scored = _in_crops(scored, crops, size)
    if content is None and config.distill_from:
        scored = taught(scored, _teacher(source), size, seed)
    numbers, thumbnails = score(compared_models, scored, size, seed)
    report = {"model": shown(model), "size": size, "crops": crops, "seed": seed, **numbers}
    report["warnings"] = notes + report["warnings"]
    if baseline:
        report["baseline"] = shown(baseline)
    if config:
        steps = [int(checkpoint.name.removeprefix("ckpt-")) for checkpoint in found_in(source.path / "checkpoints")]
        report["weights"] = {"step": max(steps, default=config.steps), "steps": config.steps, "ema": config.ema}
    if crops:
        report["warnings"].append("crops of one picture are alike: as many pictures would have wider intervals")
    failures = missed(report, bounds)
    target = output or (source.path / "evaluation.json" if config and not source.is_shipped else None)
    console.result(table(report))
    if target:
        _write(report, thumbnails, pathlib.Path(target))
    if failures:
        raise RunError(failures)
    return report


def _check_content(model: ModelSource, content: str | os.PathLike | None) -> None:
    """UserError where the pictures must be named: only a run of one's own knows where its own are."""
    if content is None and (model.is_shipped or not model.is_run):
        what = "came with kgan, without pictures" if model.is_shipped else "is no run folder"
        raise UserError(f"--content is missing: {model.path.name} {what}, so that it has no test pictures of its own")


def _pictures(model: ModelSource, content, truth, style, size: int | None) -> tuple[Scored, list[str]]:
    """What is scored, and what to warn of; without a size each must be large enough for SSIM as it is."""
    if content is None:
        return run_pictures(model)
    others = {"truth": truth, "style": style}
    notes = [places.overlap({"content": content, name: folder}) for name, folder in others.items() if folder]
    least = metrics.SSIM_WINDOW if size is None else 1
    return folder_pictures(content, truth, style, least), [note for note in notes if note]


def _loaded(model: str | os.PathLike, baseline: str | os.PathLike | None) -> Models:
    loaded = {"model": load(model)}
    if baseline is not None:
        loaded["baseline"] = load(baseline)
        one, other = (each.facts for each in loaded.values())
        if (one.channels, one.takes_content) != (other.channels, other.takes_content):
            raise UserError(f"--baseline {baseline}: should take and make pictures of the same kind as {model}")
    return loaded


def _teacher(run: ModelSource) -> Model:
    try:
        return load(run.config.distill_from)
    except UserError as error:
        raise UserError(
            f"{run.path}: its teacher, which makes the truth: {error}; give --content and --truth"
        ) from None


def _in_crops(scored: Scored, crops: int, size: int | None) -> Scored:
    if crops < 1:
        raise UserError(f"--crops should be at least 1. Received: {crops}")
    if size is None:
        raise UserError("--crops needs --size, the side to which the crops are resized")
    return in_crops(scored, crops)


def _write(report: Report, thumbnails: list[dict[str, str]], target: pathlib.Path) -> None:
    """The JSON file, and the page beside it."""
    if target.suffix == ".html":
        raise UserError(f"--output {target}: should be a JSON file; the page is written beside it, as .html")
    write(report, target)
    write_text(page(report, thumbnails), target.with_suffix(".html"))
    console.say(f"written: {target}, {target.with_suffix('.html')}")


class Gathered:
    """What was measured picture by picture: numbers of the models', identity and truth rows, and features of sets."""

    def __init__(self):
        self.names: list[str] = []
        self.numbers: dict[str, list[Numbers]] = collections.defaultdict(list)
        self.features: dict[str, PictureFeatures] = collections.defaultdict(PictureFeatures)
        self.real_style: np.ndarray | None = None
        self.thumbnails: list[dict[str, str]] = []

    def means(self, row: str, seed: int) -> dict[str, Interval]:
        """Of every number of a row."""
        columns = self._columns(row)
        if row == "truth" and self.real_style is not None:
            columns["style_reached"] = self.real_style
        return {name: mean_interval(values, seed) for name, values in columns.items()}

    def gains(self, over: str, seed: int) -> dict[str, Interval]:
        """The model's numbers less those of another row, picture by picture; none of content_* over the content as it
        is, for which it is perfect."""
        before, after = self._columns(over), self._columns("model")
        perfect = "content_" if over == "identity" else ()
        names = [name for name in after if name in before and not name.startswith(perfect)]
        return {name: mean_interval(after[name] - before[name], seed) for name in names}

    def _columns(self, row: str) -> dict[str, np.ndarray]:
        rows = self.numbers[row]
        return {name: np.array([numbers[name] for numbers in rows]) for name in (rows[0] if rows else ())}


def score(models: Models, scored: Scored, size: int | None, seed: int = 0) -> tuple[Report, list[dict[str, str]]]:
    """All numbers that these pictures allow, and thumbnails of every picture by caption."""
    gathered = Gathered()
    (_restyle if scored.content else _generate)(models, scored, size, seed, gathered)
    report: Report = {"pictures": len(gathered.names), "warnings": _few_pairs(len(gathered.names))}
    rows = {row: {} for row in (*models, "identity", "truth")}
    gains = {"identity": {}} | {row: {} for row in models if row != "model"}
    if min(len(scored.reference.items), len(gathered.names)) >= 2:
        report |= _look_at_real(models["model"].facts.channels, scored, size, gathered)
        set_numbers(gathered.features, bool(scored.truth), seed, rows, gains)
        report["warnings"] += _few_for_sets(report, bool(scored.content))
    rows = {row: gathered.means(row, seed) | numbers for row, numbers in rows.items()}
    gains = {row: gathered.gains(row, seed) | numbers for row, numbers in gains.items()}
    each = [{"name": name, **one} for name, one in zip(gathered.names, gathered.numbers["model"], strict=True)]
    report |= {"rows": rows, "gain": gains.pop("identity"), "each": each}
    report |= {f"gain_over_{row}": numbers for row, numbers in gains.items()}
    return report, gathered.thumbnails


def _restyle(models: Models, scored: Scored, size: int | None, seed: int, gathered: Gathered) -> None:
    """Every content picture: stylized, as it is, and its truth."""
    channels = models["model"].facts.channels
    with console.progress(len(scored.content), "evaluate") as bar:
        for k, item in enumerate(scored.content):
            content, truth = scored.example(k, channels, size)
            pictures = {row: model(content, seed + k) for row, model in models.items()} | {"identity": content}
            if truth is not None:
                pictures["truth"] = truth
            for row, picture in pictures.items():
                gathered.numbers[row].append(measured(picture, content, truth, item.name))
            for row in (*models, "identity"):
                gathered.features[row].add(pictures[row])
            gathered.names.append(item.name)
            captions = {"identity": "content", "model": "stylized", "baseline": "baseline", "truth": "truth"}
            shown = {caption: thumbnail(pictures[row]) for row, caption in captions.items() if row in pictures}
            gathered.thumbnails.append(shown)
            bar.advance()


def _generate(models: Models, scored: Scored, size: int | None, seed: int, gathered: Gathered) -> None:
    """As many pictures from noise as there are real ones."""
    size = size or 256
    with console.progress(len(scored.reference.items), "evaluate") as bar:
        for k in range(len(scored.reference.items)):
            made = {row: model.from_noise(model.noise(seed + k, 1, size, size))[0] for row, model in models.items()}
            for row, picture in made.items():
                gathered.numbers[row].append(measured(picture, None, None, ""))
                gathered.features[row].add(picture)
            gathered.names.append(f"seed {seed + k}")
            captions = {"model": "made", "baseline": "baseline"}
            gathered.thumbnails.append({captions[row]: thumbnail(picture) for row, picture in made.items()})
            bar.advance()


def _look_at_real(channels: int, scored: Scored, size: int | None, gathered: Gathered) -> Report:
    """Features of the real pictures, and how near each stylized one came to their style; says what they are."""
    sets = {"reference": scored.reference, "real": scored.real or Named("", [])}
    for name, named in sets.items():
        for item in named.items:
            picture = fitted(item.read(channels), size or (None if scored.content else 256))
            gathered.features[name].add(picture)
            if name == "reference" and not scored.truth:
                gathered.numbers["truth"].append(measured(picture, None, None, item.name))
    if scored.content:
        _add_style(gathered)
    reference, real = scored.reference, scored.real
    halves = f"in one half of them, against the other {len(reference.items) - len(reference.items) // 2}"
    return {
        "features": {
            "network": picture_features.NETWORK,
            "side": picture_features.SIDE,
            "dimensions": gathered.features["reference"].pooled().shape[1],
        },
        "reference": {"what": reference.what, "pictures": len(reference.items), "pairs": bool(scored.truth)},
        "real": {"what": real.what, "pictures": len(real.items)}
        if real
        else {"what": halves, "pictures": len(reference.items) // 2},
    }


def _add_style(gathered: Gathered) -> None:
    """style_reached of every picture; for real ones, which are no pairs, as numbers of their own."""
    content, reference = (gathered.features[name].style() for name in ("identity", "reference"))
    for row in ("model", "baseline", "identity"):
        if row not in gathered.features:
            continue
        reached = style_reached(gathered.features[row].style(), content, reference)
        for numbers, value in zip(gathered.numbers[row], reached, strict=True):
            numbers["style_reached"] = float(value)
    if "real" in gathered.features:
        gathered.real_style = style_reached(gathered.features["real"].style(), content, reference)


# --- numbers of sets --------------------------------------------------------------------------------------------------

DISTANCES = {"fid_mobilenet": fidelity.frechet_distance, "kid_mobilenet": fidelity.polynomial_mmd}
"""KID over all pictures at once: the mean over all subsets, of any size, that could be drawn from them."""

LEAST = {"fid_mobilenet": 0.0}
"""The smallest that a distance of sets can be. KID is an unbiased estimate, which is below zero where there is none."""


def set_numbers(features: dict[str, PictureFeatures], paired: bool, seed: int, rows: dict, gains: dict) -> None:
    """Add FID and KID to those rows, and to `gains` the model's less another row's.

    The features' sets: model, reference; baseline, identity and real, or not. `paired`: picture k of the model and of
    the reference show the same, so that a resample has both or neither.
    """
    pooled = {name: gathered.pooled() for name, gathered in features.items()}
    reference = pooled["reference"]
    reference_draws = draws(len(reference), RESAMPLES, seed if paired else seed + 1)
    for name in DISTANCES:
        replicates = {}
        for row in rows.keys() & pooled.keys():
            drawn = draws(len(pooled[row]), RESAMPLES, seed)
            rows[row][name], replicates[row] = _resampled(name, pooled[row], reference, drawn, reference_draws)
        for row in gains.keys() & pooled.keys():
            difference = rows["model"][name]["value"] - rows[row][name]["value"]
            gains[row][name] = interval(difference, replicates["model"] - replicates[row])
        rows["truth"] |= _of_real(name, pooled, reference_draws, seed)


def _of_real(name: str, pooled: dict[str, np.ndarray], reference_draws: np.ndarray, seed: int) -> dict:
    """Other real pictures against the reference; without any, every second picture of it against the rest."""
    real, reference = pooled.get("real"), pooled["reference"]
    if real is None:
        real, reference = reference[1::2], reference[::2]
        reference_draws = draws(len(reference), RESAMPLES, seed + 1)
    if len(real) < 2:
        return {}
    return {name: _resampled(name, real, reference, draws(len(real), RESAMPLES, seed + 2), reference_draws)[0]}


def _resampled(name: str, made, reference, made_draws, reference_draws) -> tuple[Interval, np.ndarray]:
    distance = DISTANCES[name]
    value = distance(made, reference)
    values = [distance(made, reference, *counts) for counts in zip(made_draws, reference_draws, strict=True)]
    return interval(value, np.array(values), LEAST.get(name, -np.inf)), np.array(values)


# --- warnings ---------------------------------------------------------------------------------------------------------


def _few_pairs(pictures: int) -> list[str]:
    if pictures >= ENOUGH["pairs"]:
        return []
    few = f"{counted(pictures, 'picture')} {is_or_are(pictures)} few"
    return [f"{few}: below {ENOUGH['pairs']} the intervals of means are too narrow"]


def _few_for_sets(report: Report, has_content: bool) -> list[str]:
    count, dimensions = min(report["pictures"], report["reference"]["pictures"]), report["features"]["dimensions"]
    said = []
    if count < ENOUGH["kid"]:
        said.append(f"{count} pictures are few for KID: below {ENOUGH['kid']} compare it by its intervals alone")
    if count <= dimensions:
        said.append(
            f"{count} pictures are too few for FID on {dimensions} features: it is biased upwards; compare it only "
            f"with rows of this table that have as many"
        )
    return said
