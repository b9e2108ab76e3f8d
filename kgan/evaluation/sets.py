"""Distances between sets of pictures, such as FID and KID, with bootstrap intervals."""

import dataclasses

import numpy as np

from kgan.kinds import Metric, metrics_in_order
from kgan.metrics.bootstrap import Interval, draws, interval

RESAMPLES = 200
"""Resamples of a distance, which are slow. Means have ten times as many."""

Features = dict[str, np.ndarray]
"""Features, float [N, D], by the name of the set: "model", "reference", and perhaps "baseline", "identity", "real"."""

Rows = dict[str, dict[str, Interval]]
"""Intervals by the row of the report and the name of the metric."""


def set_metrics() -> list[Metric]:
    """The metrics that compare two sets by their features, in the order of tables."""
    return [metric for metric in metrics_in_order() if "features" in metric.inputs]


def distances(features: Features, paired: bool, seed: int) -> tuple[Rows, Rows]:
    """Compute all metrics of sets.

    Args:
        features: the features of the sets.
        paired: whether picture k of the model and of the reference form a pair. A resample then has both or none.
        seed: seed of the resamples.

    Returns:
        The metrics of the rows "model", "baseline", "identity" and "truth", and the differences between the model and
        each other row.
    """
    drawn = _Drawn(features, paired, seed)
    made: list[str] = [row for row in ("model", "baseline", "identity") if row in features]
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
    """A distance of two sets, and the distances of their resamples."""

    metric: Metric
    value: float
    replicates: np.ndarray

    @property
    def interval(self) -> Interval:
        """The value and its interval, which is clipped at the metric's smallest possible value."""
        return interval(self.value, self.replicates, self.metric.least)

    def less(self, other: "Distance") -> Interval:
        """The difference to another distance, with an interval from the differences of the same resamples."""
        return interval(self.value - other.value, self.replicates - other.replicates)


def distance(metric: Metric, made: np.ndarray, reference: np.ndarray, made_draws, reference_draws) -> Distance:
    """Compute a metric of two sets and of their resamples.

    Args:
        metric: the metric.
        made: features of the first set, [N, D].
        reference: features of the second set, [M, D].
        made_draws: resamples of the first set, from `kgan.metrics.bootstrap.draws`.
        reference_draws: resamples of the second set.

    Returns:
        The distance.
    """
    function = metric.load()
    counts = zip(made_draws, reference_draws, strict=True)
    replicates = np.array([function(made, reference, *each) for each in counts])
    return Distance(metric, function(made, reference, None, None), replicates)


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """The sets with their resamples."""

    features: Features
    paired: bool
    seed: int

    def compared(self, metric: Metric, row: str) -> Distance:
        """The distance between a row and the reference."""
        made, reference = self.features[row], self.features["reference"]
        of_reference = self._draws(reference, 0 if self.paired else 1)
        return distance(metric, made, reference, self._draws(made, 0), of_reference)

    def real(self, metric: Metric) -> Distance | None:
        """The distance between other real pictures, or else half of the reference, and the (rest of the) reference."""
        reference, real = self.features["reference"], self.features.get("real")
        shift = 0 if self.paired else 1
        if real is None:
            reference, real, shift = reference[::2], reference[1::2], 1
        if len(real) < 2:
            return None
        return distance(metric, real, reference, self._draws(real, 2), self._draws(reference, shift))

    def _draws(self, pictures: np.ndarray, shift: int) -> np.ndarray:
        return draws(len(pictures), RESAMPLES, self.seed + shift)
