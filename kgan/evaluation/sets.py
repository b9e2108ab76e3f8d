"""Distances between sets of pictures, such as FID, KID and those of Gram matrices, with bootstrap intervals."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from kgan.kinds import Metric, metrics_in_order
from kgan.metrics.bootstrap import Interval, draws, interval
from kgan.metrics.grams import coordinates

RESAMPLES = 200
"""Resamples of a distance, which are slow. Means have ten times as many."""


@dataclasses.dataclass(frozen=True)
class Described:
    """A set of pictures, described by a feature network.

    Attributes:
        features: pooled features, float [N, D].
        content_distances: distances to the contents, float [N].
        grams: vectors of Gram matrices, float [M, G] (`kgan.metrics.grams`).
        widths: the numbers of channels of the layers of the Gram matrices.
    """

    features: np.ndarray
    content_distances: np.ndarray
    grams: np.ndarray
    widths: tuple[int, ...]


Sets = Mapping[str, Mapping[str, Described]]
"""By the feature network and the name of the set: "model", "reference", and perhaps "baseline", "identity", "real"."""

Rows = dict[str, dict[str, Interval]]
"""Intervals by the row of the report and the name of the metric."""

ByLayer = dict[str, dict[str, list[Interval]]]
"""Intervals of each layer by the name of the metric and the row of the report."""


def set_metrics() -> list[Metric]:
    """The metrics of reports that compare two sets by their features, in the order of tables."""
    return [metric for metric in metrics_in_order() if metric.of_sets and metric.admitted]


def distances(sets: Sets, paired: bool, seed: int) -> tuple[Rows, Rows, ByLayer]:
    """Compute all metrics of sets.

    Args:
        sets: the described sets.
        paired: whether picture k of the model and of the reference form a pair. A resample then has both or none.
        seed: seed of the resamples.

    Returns:
        The metrics of the rows "model", "baseline", "identity" and "truth", the differences between the model and each
        other row, and the metrics that have a number for each layer, by layer.
    """
    names = set().union(*sets.values())
    made: list[str] = [row for row in ("model", "baseline", "identity") if row in names]
    rows: Rows = {row: {} for row in (*made, "truth")}
    gains: Rows = {row: {} for row in made if row != "model"}
    layers: ByLayer = {}
    for network, described in sets.items():
        for name, found in _Drawn(described, paired, seed).all_of(network, made).items():
            for row, one in found.items():
                rows[row][name] = one.interval
            for row in gains:
                gains[row][name] = found["model"].less(found[row])
            if len(found["model"].values) > 1:
                layers[name] = {row: one.by_layer for row, one in found.items()}
    return rows, gains, layers


@dataclasses.dataclass(frozen=True)
class Distance:
    """A distance of two sets, and the distances of their resamples.

    Attributes:
        metric: the metric.
        values: the distance of each layer, [L], or a single distance, [1].
        replicates: the distances of the resamples, [R, L].
    """

    metric: Metric
    values: np.ndarray
    replicates: np.ndarray

    @property
    def value(self) -> float:
        """The distance, which is the mean over the layers."""
        return float(self.values.mean())

    @property
    def interval(self) -> Interval:
        """The value and its interval, which is clipped at the metric's smallest possible value."""
        return interval(self.value, self.replicates.mean(axis=1), self.metric.least)

    @property
    def by_layer(self) -> list[Interval]:
        """The value and the interval of each layer."""
        layers = zip(self.values, self.replicates.T, strict=True)
        return [interval(value, replicates, self.metric.least) for value, replicates in layers]

    def less(self, other: "Distance") -> Interval:
        """The difference to another distance, with an interval from the differences of the same resamples."""
        return interval(self.value - other.value, (self.replicates - other.replicates).mean(axis=1))


def distance(metric: Metric, made, reference, made_draws, reference_draws) -> Distance:
    """Compute a metric of two sets and of their resamples.

    Args:
        metric: the metric.
        made: features of the first set, [N, D], or a list of them for each layer.
        reference: features of the second set, [M, D], or a list.
        made_draws: resamples of the first set, from `kgan.metrics.bootstrap.draws`.
        reference_draws: resamples of the second set.

    Returns:
        The distance.
    """
    function = metric.load()
    counts = zip(made_draws, reference_draws, strict=True)
    replicates = np.array([np.atleast_1d(function(made, reference, *each)) for each in counts])
    return Distance(metric, np.atleast_1d(function(made, reference, None, None)), replicates)


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """The sets of one feature network with their resamples."""

    described: Mapping[str, Described]
    paired: bool
    seed: int

    def all_of(self, network: str, made: list[str]) -> dict[str, dict[str, Distance]]:
        """All distances on the network, by the name of the metric and the row."""
        found: dict[str, dict[str, Distance]] = {}
        for metric in set_metrics():
            if metric.network != network:
                continue
            if "frechet" in metric.inputs:
                found[metric.name] = {row: self._derived(metric, row, found[f"fid_{network}"][row]) for row in made}
                continue
            found[metric.name] = {row: self._compared(metric, row) for row in made}
            if real := self._real(metric):
                found[metric.name]["truth"] = real
        return found

    def _compared(self, metric: Metric, row: str) -> Distance:
        """The distance between a row and the reference."""
        made, reference = self._inputs(metric, row, "reference")
        of_reference = self._draws(reference, 0 if self.paired else 1)
        return distance(metric, made, reference, self._draws(made, 0), of_reference)

    def _derived(self, metric: Metric, row: str, frechet: Distance) -> Distance:
        """A metric of the FID and of the distances to the contents, with the same resamples."""
        function, contents = metric.load(), self.described[row].content_distances
        pairs = zip(frechet.replicates[:, 0], self._draws(contents, 0), strict=True)
        replicates = np.array([[function(contents, *each)] for each in pairs])
        return Distance(metric, np.array([function(contents, frechet.value, None)]), replicates)

    def _real(self, metric: Metric) -> Distance | None:
        """The distance between other real pictures, or else half of the reference, and the (rest of the) reference."""
        shift = 0 if self.paired else 1
        if "real" in self.described:
            real, reference = self._inputs(metric, "real", "reference")
        else:
            _, whole = self._inputs(metric, "reference", "reference")
            reference, real, shift = _every_other(whole, 0), _every_other(whole, 1), 1
        if _count(real) < 2:
            return None
        return distance(metric, real, reference, self._draws(real, 2), self._draws(reference, shift))

    def _inputs(self, metric: Metric, *names: str) -> list:
        """The inputs of two sets: features, or the coordinates of Gram matrices by layer, which are short."""
        sets = [self.described[name] for name in names]
        if "grams" not in metric.inputs:
            return [each.features for each in sets]
        layers = coordinates(np.concatenate([each.grams for each in sets]), sets[0].widths)
        return [[layer[: len(sets[0].grams)] for layer in layers], [layer[len(sets[0].grams) :] for layer in layers]]

    def _draws(self, pictures, shift: int) -> np.ndarray:
        return draws(_count(pictures), RESAMPLES, self.seed + shift)


def _count(pictures) -> int:
    return len(pictures[0]) if isinstance(pictures, list) else len(pictures)


def _every_other(pictures, start: int):
    return [layer[start::2] for layer in pictures] if isinstance(pictures, list) else pictures[start::2]
