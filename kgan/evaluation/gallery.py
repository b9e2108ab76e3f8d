"""The page of an evaluation: a single HTML file with a table and the pictures, worst first."""

import base64
import html
import importlib.resources
import io
import string
from collections.abc import Iterable

import numpy as np

from kgan.errors import counted
from kgan.evaluation.report import Report, cells, labels, layers, remarks, titles
from kgan.images.pictures import to_float, to_uint8, with_channels
from kgan.images.resizing import resized, to_image
from kgan.kinds import METRICS, metrics_in_order

THUMBNAIL = 192
"""Largest side of a thumbnail in pixels."""

MOST = 100
"""Largest number of pictures on a page. The worst ones are shown."""

PAGE = importlib.resources.files(__package__) / "templates" / "page.html"
"""The page without its contents. $name is replaced."""


def thumbnail(picture: np.ndarray) -> str:
    """Encode a picture as a small JPEG.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].

    Returns:
        A data URL.
    """
    share = min(1.0, THUMBNAIL / max(picture.shape[:2]))
    size = tuple(max(1, round(share * side)) for side in picture.shape[:2])
    file = io.BytesIO()
    to_image(resized(to_uint8(with_channels(to_float(picture), 3)), size)).save(file, "JPEG", quality=85, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def worst_first(each: list[dict]) -> tuple[str | None, list[int]]:
    """Order pictures by their SSIM to the truth, or else by the preserved structure of the content.

    Args:
        each: numbers of each picture.

    Returns:
        The name of the metric, or None, and the indices of the pictures, worst first.
    """
    for name in ("truth_ssim", "content_structure"):
        if each and name in each[0]:
            return name, sorted(range(len(each)), key=lambda k: each[k][name])
    return None, list(range(len(each)))


def page(report: Report, thumbnails: list[dict[str, str]]) -> str:
    """Render a report as HTML.

    Args:
        report: the report.
        thumbnails: for each picture, data URLs by caption (content, stylized, truth).

    Returns:
        The text of the page.
    """
    by, order = worst_first(report["each"])
    size = f" at {report['size']}x{report['size']}" if report["size"] else ""
    ordered = f", worst first by {METRICS[by].label}" if by else ""
    few = f"the first {MOST} of {len(order)}" if len(order) > MOST else f"{len(order)}"
    return rendered(
        report,
        about=f"{counted(report['pictures'], 'picture')}{size}, seed {report['seed']}.",
        table=_table(report),
        remarks=remarks(report),
        heading=f"Pictures: {few}{_text(ordered)}",
        rows="\n".join(_row(report["each"][k], thumbnails[k]) for k in order[:MOST]),
    )


def rendered(report: Report, about: str, table: str, remarks: Iterable[str], heading: str, rows: str) -> str:
    """Fill the template of pages.

    Args:
        report: the report, of which the name of the model and the warnings are shown.
        about: a line about what was measured.
        table: HTML of the numbers.
        remarks: sentences below the table.
        heading: the heading of what is shown.
        rows: HTML of what is shown.

    Returns:
        The text of the page.
    """
    return string.Template(PAGE.read_text(encoding="utf-8")).substitute(
        model=_text(report["model"]),
        about=_text(about),
        warnings="\n".join(f'<p class="warning">{_text(warning)}</p>' for warning in report["warnings"]),
        table=table,
        remarks="\n".join(f"<p>{_text(remark)}</p>" for remark in remarks),
        heading=heading,
        rows=rows,
    )


def _text(value) -> str:
    return html.escape(str(value))


def _table(report: Report) -> str:
    head = "".join(f"<th>{_text(label)}</th>" for label in labels(report))
    lines = [f"<table><thead><tr><th></th>{head}</tr></thead><tbody>"]
    titled = titles(report)
    for name, line in cells(report).items():
        lines.append(f"<tr><td>{_text(titled[name])}</td>{''.join(map(cell, line))}</tr>")
        for layer, values in layers(report, name).items():
            lines.append(f'<tr class="layer"><td>{_text(layer)}</td>{"".join(map(cell, values))}</tr>')
    return "\n".join([*lines, "</tbody></table>"])


def cell(words: str) -> str:
    """A cell of a table from a number with its interval, such as "0.812 [0.790, 0.833]"."""
    value, _, brackets = words.partition(" ")
    return f"<td>{value} <small>{brackets}</small></td>"


def _row(numbers: dict, pictures: dict[str, str]) -> str:
    figures = "".join(
        f'<figure><img src="{url}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
        for caption, url in pictures.items()
    )
    values = "".join(
        f"<dt>{_text(metric.label)}</dt><dd>{numbers[metric.name] * metric.scale:.{metric.digits}f}</dd>"
        for metric in metrics_in_order()
        if metric.name in numbers
    )
    return f'<div class="row">{figures}<dl><dt class="name">{_text(numbers["name"])}</dt>{values}</dl></div>'
