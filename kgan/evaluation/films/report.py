"""The report of films as a table and as a page.

A report is plain data. `films` holds for each film `name`, `flow`, `size`, the numbers of `frames`, `scenes`, `pairs`
and `blocks`, `seen` (the mean fraction of a frame that is seen in the next one), and `rows`: {"value", "low", "high"}
of each metric for "identity" (the film itself), "frames" (each frame restyled alone) and "model" (restyled as
`kgan stylize` does), and perhaps "baseline". `gain_over_frames` and `gain_over_baseline` hold paired differences.
"""

import html
import urllib.parse
from collections.abc import Iterator

from kgan.errors import counted
from kgan.evaluation.films.measure import MEASURED
from kgan.evaluation.gallery import cell, rendered
from kgan.evaluation.report import WIDTH, Report, shown
from kgan.film.smoothing import SMOOTH
from kgan.kinds import METRICS

ROWS = {"identity": "the film", "frames": "frame by frame", "model": "restyled", "baseline": "baseline"}
"""The labels of the rows of tables, in their order."""

MARGIN = 26
"""Width of the labels in the text table in characters."""


def measured(report: Report) -> list[str]:
    """The names of the metrics that are in a report."""
    return [name for name in MEASURED if any(name in film["rows"]["model"] for film in report["films"])]


def lines(film: Report, names: list[str]) -> dict[str, list[str]]:
    """The lines of the table of a film by their labels. A cell is "value [low, high]"; there is one for each metric."""
    made = {label: _cells(film["rows"][row], names) for row, label in ROWS.items() if row in film["rows"]}
    for over in ("frames", "baseline"):
        if f"gain_over_{over}" in film:
            made[f"restyled - {ROWS[over]}"] = _cells(film[f"gain_over_{over}"], names, signed=True)
    return made


def _cells(numbers: dict, names: list[str], signed: bool = False) -> list[str]:
    return [shown(METRICS[name], numbers.get(name), signed) for name in names]


def heading(film: Report) -> str:
    """A line about a film."""
    height, width = film["size"]
    return (
        f"{film['name']}: {counted(film['frames'], 'frame')} of {width}x{height}, {counted(film['pairs'], 'pair')} in "
        f"{counted(film['scenes'], 'scene')}, {film['flow']} flow"
    )


def table(report: Report) -> str:
    """Render a report as a text table, followed by remarks and warnings."""
    names = measured(report)
    text = ["".ljust(MARGIN) + "".join(f"{METRICS[name].label:>{WIDTH}}" for name in names)]
    for film in report["films"]:
        text.append(heading(film))
        text += [f"  {label:{MARGIN - 2}}" + "".join(f"{each:>{WIDTH}}" for each in line)
                 for label, line in lines(film, names).items()]  # fmt: skip
    return "\n".join([*text, *remarks(report), *(f"warning: {warning}" for warning in report["warnings"])])


def remarks(report: Report) -> list[str]:
    """Sentences about the numbers."""
    alike = sorted({film["alike"] for film in report["films"]})
    return [
        *_shares(report),
        "Warping error: mean squared difference of the same points in neighbouring frames, within scenes.",
        "Flicker: how much it exceeds that of the film. A copy of the film has none, and keeps all structure.",
        f"In brackets: 95% bootstrap intervals over {' and '.join(alike)}. Less is better: warping error, flicker.",
    ]


def _shares(report: Report) -> Iterator[str]:
    """For each film, how much of the flicker of frame-by-frame restyling is left."""
    for film in report["films"]:
        model, frames = (film["rows"][row]["flicker"]["value"] for row in ("model", "frames"))
        if frames > 0:
            yield f"{film['name']}: {max(0.0, model / frames):.0%} of the flicker of frame-by-frame restyling."


def page(report: Report, folder: str) -> str:
    """Render a report as HTML.

    Args:
        report: the report.
        folder: name of the folder beside the page that holds the films and their strips.

    Returns:
        The text of the page.
    """
    films, address = report["films"], urllib.parse.quote(folder, errors="surrogateescape")
    steady = f", --steady {report['steady']}" if report["steady"] > 1 else ""
    steady += "" if report["smooth"] == SMOOTH else f", --smooth {report['smooth']:g}"
    return rendered(
        report,
        about=f"{counted(len(films), 'film')}{steady}, seed {report['seed']}.",
        table="\n".join(_table(film, measured(report)) for film in films),
        remarks=remarks(report),
        heading="Side by side",
        rows="\n".join(_shown(film, f"{address}/{number}") for number, film in enumerate(films, start=1)),
    )


def _table(film: Report, names: list[str]) -> str:
    head = "".join(f"<th>{METRICS[name].label}</th>" for name in names)
    made = lines(film, names).items()
    body = "\n".join(f"<tr><td>{label}</td>{''.join(map(cell, line))}</tr>" for label, line in made)
    table = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
    return f"<h3>{html.escape(heading(film))}</h3>\n{table}"


def _shown(film: Report, name: str) -> str:
    """The film and its strip below the labels of their columns."""
    labels = "".join(f"<span>{label}</span>" for row, label in ROWS.items() if row in film["rows"])
    title = html.escape(film["name"])
    return (
        f'<section class="film"><h3>{title}</h3>\n<div class="labels">{labels}</div>\n'
        f'<video src="{name}.webm" controls loop muted playsinline autoplay></video>\n'
        "<p>The middle column of each over time, which goes to the right. Flicker is grain along the lines.</p>\n"
        f'<img src="{name}.jpg" alt="{title}: the middle column over time"></section>'
    )
