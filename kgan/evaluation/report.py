"""What an evaluation found, as a table, as JSON, and as a verdict for pipelines.

A report is plain data: `rows` holds {"value", "low", "high"} of each metric for "model", "identity" (the content as it
is) and "truth" (real pictures); `gain` the model's less the identity's, paired; `each` the model's by picture. With
another model to compare with there is a row "baseline" too, and `gain_over_baseline`. `weights`: of which step a run's
are.
"""

import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Iterable

from kgan.errors import UserError, counted
from kgan.kinds import METRICS, Metric, metrics_in_order
from kgan.metrics.bootstrap import Interval

Report = dict


BOUNDS = {"more": "--fail-under", "less": "--fail-over"}
"""The option that bounds a metric of which more, or less, is better."""

WIDTH = 29
"""Of a column of the table."""

ROWS = {"model": "stylized", "baseline": "baseline", "identity": "content as it is", "truth": "real"}


def labels(report: Report) -> list[str]:
    """Of the columns of the report's table."""
    difference = "baseline" if "baseline" in report["rows"] else "content"
    named = [label for row, label in ROWS.items() if report["rows"].get(row)]
    return [*named, f"stylized - {difference}"] if _gain(report) else named


def cells(report: Report) -> dict[str, list[str]]:
    """A line of the table for each metric that was measured: "value [low, high]" for each of `labels`."""
    rows = [report["rows"][row] for row in ROWS if report["rows"].get(row)]
    gain = _gain(report)
    return {
        metric.name: [shown(metric, numbers.get(metric.name)) for numbers in rows]
        + ([shown(metric, gain.get(metric.name), signed=True)] if gain else [])
        for metric in _measured(report)
    }


def _measured(report: Report) -> list[Metric]:
    return [metric for metric in metrics_in_order() if metric.name in report["rows"]["model"]]


def _gain(report: Report) -> dict[str, Interval]:
    """The differences worth a column: those to the baseline, where there is one."""
    return report.get("gain_over_baseline", report["gain"])


def table(report: Report) -> str:
    """Metrics down, rows of the report across, each with its interval; then what was compared, and warnings."""
    size = f" at {report['size']}x{report['size']}" if report["size"] else ""
    lines = [
        f"{counted(report['pictures'], 'picture')}{size}".ljust(26)
        + "".join(f"{label:>{WIDTH}}" for label in labels(report))
    ]
    for name, line in cells(report).items():
        lines.append(f"{METRICS[name].label:26}" + "".join(f"{cell:>{WIDTH}}" for cell in line))
    return "\n".join([*lines, *remarks(report), *(f"warning: {text}" for text in report["warnings"])])


def shown(metric: Metric, number: Interval | None, signed: bool = False) -> str:
    """A number as text, "0.812 [0.790, 0.833]", or a dash; `signed` for differences."""
    if number is None:
        return "-"
    value, low, high = (
        f"{round(number[key] * metric.scale, metric.digits) + 0.0:{'+' if signed else ''}.{metric.digits}f}"
        for key in ("value", "low", "high")  # + 0.0: no minus before zero
    )
    return f"{value} [{low}, {high}]"


def remarks(report: Report) -> list[str]:
    """Whose weights were measured; what FID, KID and style were measured with and against."""
    return _weights(report) + _comparisons(report)


def _weights(report: Report) -> list[str]:
    """That a run's last weights were measured, not the best of many."""
    if "weights" not in report:
        return []
    step, steps, ema = (report["weights"][name] for name in ("step", "steps", "ema"))
    average = f"the moving average (EMA {ema:g}) of the generator's" if ema else "the generator's"
    return [f"Weights: {average} at step {step} of {steps}, the last checkpoint; none was chosen by its scores."]


def _comparisons(report: Report) -> list[str]:
    brackets = f"In brackets: 95% bootstrap intervals. Less is better: {_less_is_better(report)}."
    if "reference" not in report:
        return [brackets]
    network, reference, real = report["features"], report["reference"], report["real"]
    pairs = (
        ["The truths show what the content shows, other real pictures do not: their FID and KID are higher for that."]
        if report["reference"]["pairs"]
        else []
    )
    return [
        f"FID, KID: {network['network']} at {network['side']}x{network['side']}, {network['dimensions']} features, "
        f"against {reference['pictures']} {reference['what']}; real: {real['pictures']} {real['what']}.",
        *pairs,
        brackets,
    ]


def _less_is_better(report: Report) -> str:
    return ", ".join(metric.label for metric in _measured(report) if metric.better == "less")


def write(report: Report, path: pathlib.Path) -> None:
    """The report as JSON, whole or not at all; UserError where it cannot be written."""
    write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", path)


def write_text(text: str, path: pathlib.Path) -> None:
    """Atomically; UserError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
            partial = pathlib.Path(folder, path.name)
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, path)
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written ({error.strerror})") from None


# --- verdicts ---------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Threshold:
    """`--fail-under content_ssim=0.6`: the option, the metric, the bound."""

    option: str
    metric: str
    bound: float

    def missed(self, rows: dict) -> str | None:
        """What is wrong, in words, or None; UserError where the evaluation has no such number."""
        if self.metric not in rows["model"]:
            have = ", ".join(rows["model"])
            raise UserError(f"{self.option} {self.metric}: is not measured on these pictures. Measured: {have}")
        value = rows["model"][self.metric]["value"]
        by = self.bound - value if self.option == "--fail-under" else value - self.bound
        side = self.option.removeprefix("--fail-")
        return f"{self.metric} is {value:.4g}, {by:.4g} {side} {self.bound:.4g}" if by > 0 else None


def thresholds(under: Iterable[str], over: Iterable[str]) -> list[Threshold]:
    """Those of the words METRIC=NUMBER; UserError for unknown metrics and for the wrong side of a metric."""
    return [_threshold("--fail-under", word) for word in under] + [_threshold("--fail-over", word) for word in over]


def _threshold(option: str, word: str) -> Threshold:
    name, _, number = word.partition("=")
    better = METRICS.find(name, option).better
    if option != BOUNDS[better]:
        raise UserError(f"{option} {word}: {better} is better; use {BOUNDS[better]}")
    try:
        return Threshold(option, name, float(number))
    except ValueError:
        raise UserError(f"{option} {word}: should be METRIC=NUMBER, as in {name}=0.6") from None


def missed(report: Report, bounds: list[Threshold]) -> str:
    """Which numbers are on the wrong side of their bounds, and by how much; empty where none is."""
    return "; ".join(text for bound in bounds if (text := bound.missed(report["rows"])))
