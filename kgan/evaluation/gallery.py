"""The page of an evaluation: a single HTML file with a table and the pictures, worst first."""

import base64
import html
import io

import numpy as np

from kgan.errors import counted
from kgan.evaluation.report import Report, cells, labels, remarks
from kgan.images.pictures import to_float, to_uint8, with_channels
from kgan.images.resizing import resized, to_image
from kgan.kinds import METRICS, metrics_in_order

THUMBNAIL = 192
"""Largest side of a thumbnail in pixels."""

MOST = 100
"""Largest number of pictures on a page. The worst ones are shown."""

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #222;
  background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
small { color: #666; white-space: nowrap; }
.warning { background: #fff3cd; padding: .4rem .8rem; margin: .3rem 0; }
.row { display: flex; flex-wrap: wrap; gap: .8rem; padding: .8rem 0; border-bottom: 1px solid #ddd; }
figure { margin: 0; }
figure img { display: block; width: 12rem; max-width: 100%; }
figcaption { color: #666; font-size: 13px; }
dl { display: grid; grid-template-columns: repeat(2, auto auto); gap: 0 1rem; margin: 0; font-size: 13px;
  align-content: start; font-variant-numeric: tabular-nums; }
dt.name { grid-column: 1 / 5; font-weight: bold; overflow-wrap: anywhere; }
dd { margin: 0; text-align: right; }
"""


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
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(report['model'])}: evaluation</title><style>{_STYLE}</style></head><body>",
            f"<h1>{_text(report['model'])}</h1>",
            f"<p>{counted(report['pictures'], 'picture')}{size}, seed {report['seed']}.</p>",
            *(f'<p class="warning">{_text(warning)}</p>' for warning in report["warnings"]),
            _table(report),
            *(f"<p>{_text(remark)}</p>" for remark in remarks(report)),
            f"<h2>Pictures: {few}{_text(ordered)}</h2>",
            *(_row(report["each"][k], thumbnails[k]) for k in order[:MOST]),
            "</body></html>\n",
        ]
    )


def _text(value) -> str:
    return html.escape(str(value))


def _table(report: Report) -> str:
    head = "".join(f"<th>{_text(label)}</th>" for label in labels(report))
    lines = [f"<table><thead><tr><th></th>{head}</tr></thead><tbody>"]
    for name, line in cells(report).items():
        lines.append(f"<tr><td>{_text(METRICS[name].label)}</td>{''.join(_cell(cell) for cell in line)}</tr>")
    return "\n".join([*lines, "</tbody></table>"])


def _cell(words: str) -> str:
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
