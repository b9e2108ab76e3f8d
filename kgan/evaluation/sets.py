"""Distances between sets of pictures, as FID and KID, with bootstrap intervals."""

import dataclasses

import numpy as np

from kgan.kinds import Metric, metrics_in_order
from kgan.metrics.bootstrap import Interval, draws, interval

RESAMPLES = 200
"""Of a distance, which is dear; means are resampled ten times as often."""

Features = dict[str, np.ndarray]
"""float [N, D] by the name of the set: "model", "reference", maybe "baseline", "identity" and "real"."""

Rows = dict[str, dict[str, Interval]]
"""By row of the report and by metric."""


def set_metrics() -> list[Metric]:
    """The metrics that compare two sets by their features, in the order of tables."""
    return [metric for metric in metrics_in_order() if "features" in metric.inputs]


def distances(features: Features, paired: bool, seed: int) -> tuple[Rows, Rows]:
    """Every set metric of the rows "model", "baseline", "identity" and "truth", and the model's less each other one's.

    Args:
        features: the features of the sets.
        paired: whether picture k of the model and of the reference show the same, so that a resample has both or none.
        seed: of the resamples.
    """
    drawn = _Drawn(features, paired, seed)
    made = [row for row in ("model", "baseline", "identity") if row in features]
    rows: Rows = {row: {} for row in (*made, "truth")}
    gains: Rows = {row: {} for row in made if row != "model"}
    for metric in set_metrics():
        found = {row: drawn.compared(metric, row) for row in made}
        for row in made:
            rows[row][metric.name] = found[row].interval
        for row in gains:
            gains[row][metric.name] = found["model"].less(found[row])
        if real := drawn.real(metric):
            rows["truth"][metric.name] = real.interval
    return rows, gains


@dataclasses.dataclass(frozen=True)
class Distance:
    """A distance of two sets, and of each pair of their resamples."""

    metric: Metric
    value: float
    replicates: np.ndarray

    @property
    def interval(self) -> Interval:
        """The value and its interval, which goes no lower than the metric can."""
        return interval(self.value, self.replicates, self.metric.least)

    def less(self, other: "Distance") -> Interval:
        """The difference, with an interval of the differences of the same resamples."""
        return interval(self.value - other.value, self.replicates - other.replicates)


def distance(metric: Metric, made: np.ndarray, reference: np.ndarray, made_draws, reference_draws) -> Distance:
    """The metric of two sets of features; draws are of `kgan.metrics.bootstrap.draws`."""
    function = metric.load()
    counts = zip(made_draws, reference_draws, strict=True)
    replicates = np.array([function(made, reference, *each) for each in counts])
    return Distance(metric, function(made, reference, None, None), replicates)


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """The sets, each with its resamples."""

    features: Features
    paired: bool
    seed: int

    def compared(self, metric: Metric, row: str) -> Distance:
        """The pictures of a row against the reference."""
        made, reference = self.features[row], self.features["reference"]
        of_reference = self._draws(reference, 0 if self.paired else 1)
        return distance(metric, made, reference, self._draws(made, 0), of_reference)

    def real(self, metric: Metric) -> Distance | None:
        """Other real pictures against the reference; without any, every second picture of it against the rest."""
        reference, real = self.features["reference"], self.features.get("real")
        shift = 0 if self.paired else 1
        if real is None:
            reference, real, shift = reference[::2], reference[1::2], 1
        if len(real) < 2:
            return None
        return distance(metric, real, reference, self._draws(real, 2), self._draws(reference, shift))

    def _draws(self, pictures: np.ndarray, shift: int) -> np.ndarray:
        return draws(len(pictures), RESAMPLES, self.seed + shift)
