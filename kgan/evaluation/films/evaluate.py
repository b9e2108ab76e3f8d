"""Evaluates a model on films: how much they flicker, restyled as `kgan stylize` does and frame by frame."""

import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterator

from kgan import console
from kgan.errors import RunError, UserError, counted, shown
from kgan.evaluation.films.footage import Clip, Footage, Moves
from kgan.evaluation.films.measure import MEASURED, Watch, Way, measure
from kgan.evaluation.films.report import page, table
from kgan.evaluation.films.side_by_side import side_by_side
from kgan.evaluation.films.styles import Styles
from kgan.evaluation.report import Report, Threshold, missed, write, write_text
from kgan.evaluation.scored import Item, folder_pictures
from kgan.film.film import Film
from kgan.film.painting import Painter, fitting
from kgan.film.smoothing import SMOOTH, Smoother
from kgan.images import targets
from kgan.inference.loading import Model, load
from kgan.inference.steady import offsets
from kgan.memory import budget
from kgan.runs.models import resolve_model

ENOUGH = 20
"""Number of blocks that is enough for intervals."""

Path = str | os.PathLike


@dataclasses.dataclass(frozen=True)
class FilmOptions:
    """The arguments of `kgan.evaluate` that are about films.

    Attributes:
        films: films, whose flow is estimated.
        moves: folder of photos over which a camera is moved, or None.
        style: folder of pictures in the wanted style, or None.
        steady: number of shifted copies of each frame whose results are averaged.
        smooth: the part of the frame before that a frame takes up (`kgan.film.smoothing`).
        start: seconds that are left out at the beginning of each film, or None.
        duration: seconds of each film that are measured, or None for the rest.
        size: the longer side of frames in pixels, or None.
        baseline: a second model, or None.
        output: the JSON file, or None.
        seed: seed of the noise and of the resamples.
        bounds: thresholds.
    """

    films: tuple[Path, ...]
    moves: Path | None = None
    style: Path | None = None
    steady: int = 1
    smooth: float = SMOOTH
    start: float | None = None
    duration: float | None = None
    size: int | None = None
    baseline: Path | None = None
    output: Path | None = None
    seed: int = 0
    bounds: tuple[Threshold, ...] = ()


def evaluate_films(model: Path, options: FilmOptions) -> Report:
    """Measure how much films flicker. Prints a table, and writes a JSON file, a page and films side by side.

    Args:
        model: name or path of the model.
        options: the other arguments.

    Returns:
        The report, described in `kgan.evaluation.films.report`.

    Raises:
        UserError: if an option is wrong, a film cannot be read, or OpenCV or PyAV is not installed.
        RunError: after all files are written, if a metric misses its threshold.
    """
    _check_bounds(options)
    Smoother(options.smooth)  # an error before any work
    target, all_footage = _target(model, options), list(_footage(options))
    style = folder_pictures(options.style).content if options.style is not None else []
    models = _loaded(model, options)
    films = [
        _measured(each, models, style, options, _film_path(target, number))
        for number, each in enumerate(all_footage, start=1)
    ]
    report: Report = {
        "model": shown(model), "steady": options.steady, "smooth": options.smooth, "seed": options.seed,
        "start": options.start, "duration": options.duration, "films": films,
        "warnings": [text for film in films for text in _few(film)],
    }  # fmt: skip
    report |= {"baseline": shown(options.baseline)} if options.baseline else {}
    console.result(table(report))
    if target:
        write(report, target)
        write_text(page(report, _folder(target).name), target.with_suffix(".html"))
        console.say(f"written: {target}, {target.with_suffix('.html')}, {_folder(target)}")
    if failures := [f"{film['name']}: {text}" for film in films if (text := missed(film, list(options.bounds)))]:
        raise RunError("; ".join(failures))
    return report


def _check_bounds(options: FilmOptions) -> None:
    names = [name for name in MEASURED if name != "style_reached" or options.style is not None]
    for bound in options.bounds:
        if bound.metric not in names:
            hint = "; give --style" if bound.metric in MEASURED else ""
            raise UserError(
                f"{bound.option} {bound.metric}: is not measured on films{hint}. Measured: {', '.join(names)}"
            )


def _target(model: Path, options: FilmOptions) -> pathlib.Path | None:
    """The JSON file: the one that the user names, or flicker.json in a run folder."""
    source = resolve_model(model)
    if options.output is None:
        return source.path / "flicker.json" if source.is_run and not source.is_borrowed else None
    target = pathlib.Path(options.output)
    if target.suffix in ("", ".html") or target.is_dir():
        raise UserError(
            f"--output {target}: should be a file such as flicker.json; page and films are written beside it"
        )
    return target


def _footage(options: FilmOptions) -> Iterator[Footage]:
    if not options.films and (options.start is not None or options.duration is not None):
        raise UserError("--start and --duration: are for films; name one by --film, or leave them out")
    for path in options.films:
        yield Clip(Film(path, options.start or 0.0, options.duration), options.size)
    if options.moves is not None:
        yield Moves(folder_pictures(options.moves).content, *([options.size] if options.size else []))


def _loaded(model: Path, options: FilmOptions) -> dict[str, Model]:
    """The models by the row of the report."""
    models = {"model": load(model)}
    if options.baseline is not None:
        models["baseline"] = load(options.baseline)
    for each in models.values():
        if not each.facts.takes_content:
            raise UserError(f"{each.name}: makes pictures from noise alone; films need a model that takes content")
        offsets(options.steady, each.facts.stride)  # an error before any work
    return models


def _folder(target: pathlib.Path) -> pathlib.Path:
    """The folder of the films and strips of a page."""
    return target.with_suffix("")


def _film_path(target: pathlib.Path | None, number: int) -> pathlib.Path | None:
    return _folder(target) / f"{number}.webm" if target else None


def _measured(
    footage: Footage, models: dict[str, Model], style: list[Item], options: FilmOptions, path: pathlib.Path | None
) -> Report:
    """The report of one film. Its versions are written to `path`."""
    for notice in footage.notices:
        console.say(f"kgan: {footage.name}: {notice}")
    styles = Styles(footage.count)
    with _watched(path, footage, ["identity", "frames", *models]) as show:
        watches = (show, styles.see) if style else (show,)
        numbers = measure(footage, functools.partial(_ways, models, footage.size, options), watches)
        if not numbers.blocks:
            raise UserError(f"{footage.name}: has no two neighbouring frames of one scene; name a longer part of it")
    if style:
        styles.tell(numbers, (item.read(3) for item in style))
    others = ["frames", *(row for row in models if row != "model")]
    return {
        "name": shown(footage.name), "flow": footage.flow, "alike": footage.alike, "size": list(footage.size),
        "frames": numbers.frames, "scenes": numbers.scenes, "pairs": len(numbers.blocks),
        "blocks": len(set(numbers.blocks)), "seen": sum(numbers.seen) / len(numbers.seen),
        "rows": {row: numbers.means(row, options.seed) for row in ("identity", "frames", *models)},
        **{f"gain_over_{row}": numbers.gains(row, options.seed) for row in others},
    }  # fmt: skip


def _ways(models: dict[str, Model], size: tuple[int, int], options: FilmOptions) -> dict[str, Way]:
    """How one take is restyled, by the row of the report. Each row has its own memory of the scene."""
    each = {row: fitting(model, size, budget()) for row, model in models.items()}
    alone = Painter(models["model"], each["model"], options.seed, shares=False)
    return {"frames": Way(alone, Smoother(0))} | {
        row: Way(Painter(model, each[row], options.seed, steady=options.steady), Smoother(options.smooth))
        for row, model in models.items()
    }


@contextlib.contextmanager
def _watched(path: pathlib.Path | None, footage: Footage, rows: list[str]) -> Iterator[Watch]:
    if path is None:
        yield lambda step, pictures: None
        return
    with targets.folder_for_results(path.parent), side_by_side(path, footage, rows) as watch:
        yield watch


def _few(film: Report) -> list[str]:
    if film["blocks"] >= ENOUGH:
        return []
    kind = film["alike"].partition(" of ")[0].removesuffix("s")
    return [f"{film['name']}: {counted(film['blocks'], kind)}: below {ENOUGH} the intervals are too narrow"]
