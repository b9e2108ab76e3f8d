"""The report of an evaluation as a table and as JSON, and its check against thresholds.

A report is plain data. `rows` holds {"value", "low", "high"} of each metric for "model", "identity" (the content
itself) and "truth" (real pictures). `gain` holds the paired differences between model and identity, and `each` the
numbers of the model for each picture. With a second model, there are also the row "baseline" and
`gain_over_baseline`. `weights` holds the training step of a run's weights. `layers` holds the numbers by layer of
metrics that have several. `trained_on` holds the feature networks that the model was trained on, or None if unknown,
and `headline` those that it never saw: their numbers count most.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterable

from kgan import files
from kgan.errors import UserError, counted, some
from kgan.kinds import METRICS, Metric, metrics_in_order
from kgan.metrics.bootstrap import Interval

Report = dict


BOUNDS = {"more": "--fail-under", "less": "--fail-over"}
"""The option for a threshold of a metric for which more, or less, is better."""

WIDTH = 29
"""Width of a column of the table in characters."""

ROWS = {"model": "stylized", "baseline": "baseline", "identity": "content as it is", "truth": "real"}


def labels(report: Report) -> list[str]:
    """The labels of the columns of the report's table."""
    difference = "baseline" if "baseline" in report["rows"] else "content"
    named = [label for row, label in ROWS.items() if report["rows"].get(row)]
    return [*named, f"stylized - {difference}"] if _gain(report) else named


def cells(report: Report) -> dict[str, list[str]]:
    """The lines of the table by the name of the metric. A cell is "value [low, high]"; there is one for each label."""
    rows = [report["rows"][row] for row in ROWS if report["rows"].get(row)]
    gain = _gain(report)
    return {
        metric.name: [shown(metric, numbers.get(metric.name)) for numbers in rows]
        + ([shown(metric, gain.get(metric.name), signed=True)] if gain else [])
        for metric in _measured(report)
    }


def titles(report: Report) -> dict[str, str]:
    """The titles of the table's lines by the name of the metric. Numbers on unseen networks are marked by *."""
    headline = report.get("headline", [])
    return {
        metric.name: metric.label + (" *" if metric.of_sets and metric.network in headline else "")
        for metric in _measured(report)
    }


def layers(report: Report, name: str) -> dict[str, list[str]]:
    """The cells of a metric by layer, which follow its line in the table. Empty for metrics with a single number."""
    by_row = report.get("layers", {}).get(name)
    if not by_row:
        return {}
    metric = METRICS[name]
    rows = [by_row.get(row) for row in ROWS if report["rows"].get(row)]
    return {
        layer: [shown(metric, numbers[place] if numbers else None) for numbers in rows]
        for place, layer in enumerate(report["networks"][metric.network]["layers"])
    }


def _measured(report: Report) -> list[Metric]:
    return [metric for metric in metrics_in_order() if metric.name in report["rows"]["model"]]


def _gain(report: Report) -> dict[str, Interval]:
    """The differences in the last column: to the baseline if there is one, otherwise to the content."""
    return report.get("gain_over_baseline", report["gain"])


def table(report: Report) -> str:
    """Render a report as a text table with a line for each metric, followed by remarks and warnings."""
    size = f" at {report['size']}x{report['size']}" if report["size"] else ""
    lines = [
        f"{counted(report['pictures'], 'picture')}{size}".ljust(26)
        + "".join(f"{label:>{WIDTH}}" for label in labels(report))
    ]
    titled = titles(report)
    for name, line in cells(report).items():
        lines.append(f"{titled[name]:26}" + "".join(f"{cell:>{WIDTH}}" for cell in line))
        for layer, values in layers(report, name).items():
            lines.append(f"  {layer:24}" + "".join(f"{cell:>{WIDTH}}" for cell in values))
    return "\n".join([*lines, *remarks(report), *(f"warning: {text}" for text in report["warnings"])])


def shown(metric: Metric, number: Interval | None, signed: bool = False) -> str:
    """Format a number with its interval, such as "0.812 [0.790, 0.833]".

    Args:
        metric: the metric.
        number: the number and its interval, or None.
        signed: whether a positive number gets a sign, as in differences.

    Returns:
        The text, or "-" without a number.
    """
    if number is None:
        return "-"
    value, low, high = (
        f"{round(number[key] * metric.scale, metric.digits) + 0.0:{'+' if signed else ''}.{metric.digits}f}"
        for key in ("value", "low", "high")  # + 0.0 avoids -0
    )
    return f"{value} [{low}, {high}]"


def remarks(report: Report) -> list[str]:
    """Sentences about the weights, and about the features and pictures of FID, KID and style."""
    return _weights(report) + _effects(report) + _networks(report) + _comparisons(report)


def _weights(report: Report) -> list[str]:
    """A sentence about the step of the weights, which are the last and not chosen by their scores."""
    if "weights" not in report:
        return []
    step, steps, ema = (report["weights"][name] for name in ("step", "steps", "ema"))
    average = f"the moving average of the generator (EMA {ema:g})" if ema else "the generator"
    return [f"Weights: {average} at step {step} of {steps}, the last checkpoint; none was chosen by its scores."]


def _effects(report: Report) -> list[str]:
    """A sentence about the pictures and places that stayed as they were."""
    if "without_effect" not in report:
        return []
    worst, names = report["without_effect"]["worst_tenth"], report["without_effect"]["pictures"]
    which = f" Half of it and more: {some(names)}." if names else ""
    return [f"No effect, worst tenth of the pictures: {100 * worst['value']:.1f}% of their tiles.{which}"]


def _networks(report: Report) -> list[str]:
    """A sentence about the networks that the model was trained on, if it is known."""
    seen, unseen = report.get("trained_on"), report.get("headline", [])
    if "networks" not in report or seen is None:
        return []
    trained = f"trained on features of {' and '.join(seen)}" if seen else "trained without a feature network"
    if not unseen:
        return [f"The model was {trained}: no network here is new to it, and all numbers are too kind."]
    return [f"The model was {trained}. Numbers marked * are on {' and '.join(unseen)}, which it never saw: they count."]


def _comparisons(report: Report) -> list[str]:
    brackets = f"In brackets: 95% bootstrap intervals. Less is better: {_less_is_better(report)}."
    if "reference" not in report:
        return [brackets]
    network, reference, real = report["features"], report["reference"], report["real"]
    others = {name: each for name, each in report["networks"].items() if name != network["network"]}
    pairs = (
        ["The truths show what the content shows, other real pictures do not: their FID and KID are higher for that."]
        if report["reference"]["pairs"]
        else []
    )
    return [
        f"FID, KID: {network['network']} at {network['side']}x{network['side']}, {network['dimensions']} features, "
        + "".join(f"{name}, {each['dimensions']} features, " for name, each in others.items())
        + f"against {reference['pictures']} {reference['what']}; real: {real['pictures']} {real['what']}.",
        *pairs,
        brackets,
    ]


def _less_is_better(report: Report) -> str:
    return ", ".join(metric.label for metric in _measured(report) if metric.better == "less")


def write(report: Report, path: pathlib.Path) -> None:
    """Write a report as JSON. The file is replaced atomically. Raises UserError if it cannot be written."""
    write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", path)


def write_text(text: str, path: pathlib.Path) -> None:
    """Write a text file atomically. Raises UserError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, text)
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written ({error.strerror})") from None


# --- thresholds -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A threshold such as `--fail-under content_ssim=0.6`.

    Attributes:
        option: "--fail-under" or "--fail-over".
        metric: name of the metric.
        bound: the threshold.
    """

    option: str
    metric: str
    bound: float

    def missed(self, rows: dict) -> str | None:
        """A message if the number is on the wrong side, or None. Raises UserError if the metric was not measured."""
        if self.metric not in rows["model"]:
            have = ", ".join(rows["model"])
            raise UserError(f"{self.option} {self.metric}: is not measured on these pictures. Measured: {have}")
        value = rows["model"][self.metric]["value"]
        by = self.bound - value if self.option == "--fail-under" else value - self.bound
        side = self.option.removeprefix("--fail-")
        return f"{self.metric} is {value:.4g}, {by:.4g} {side} {self.bound:.4g}" if by > 0 else None


def thresholds(under: Iterable[str], over: Iterable[str]) -> list[Threshold]:
    """Parse thresholds.

    Args:
        under: METRIC=NUMBER of --fail-under.
        over: METRIC=NUMBER of --fail-over.

    Returns:
        The thresholds.

    Raises:
        UserError: if a metric is unknown, needs the other option, or the number is not valid.
    """
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
    """A message about all numbers on the wrong side of their thresholds, or an empty string."""
    return "; ".join(text for bound in bounds if (text := bound.missed(report["rows"])))
