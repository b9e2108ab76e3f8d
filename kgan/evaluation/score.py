"""Scores a set of pictures with all possible metrics and their intervals, for a report."""

import collections
import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np

from kgan import console
from kgan.errors import counted, is_or_are
from kgan.evaluation.gallery import thumbnail
from kgan.evaluation.measure import Numbers, measured
from kgan.evaluation.report import Report
from kgan.evaluation.scored import Named, Scored
from kgan.evaluation.sets import distances
from kgan.images.resizing import for_scores
from kgan.inference.loading import Model
from kgan.kinds import METRICS, metrics_in_order
from kgan.metrics import picture_features
from kgan.metrics.bootstrap import Interval, mean_interval
from kgan.metrics.picture_features import PictureFeatures

ENOUGH = {"pairs": 50, "kid": 100}
"""Numbers of pictures that are enough for intervals of means and of KID. FID needs more pictures than features."""

NOISE_SIDE = 256
"""Default side in pixels of pictures that are generated from noise."""

CAPTIONS = {"identity": "content", "model": "stylized", "baseline": "baseline", "truth": "truth"}
"""Captions of pictures on the page, by the row of the report."""

Models = dict[str, Model]
"""Models by the row of the report: "model", and "baseline" if there is one."""

Thumbnails = list[dict[str, str]]
"""Data URLs by caption, for each picture."""


@dataclasses.dataclass(frozen=True)
class Shot:
    """A scored picture: its name, and pictures and numbers by the row of the report."""

    name: str
    pictures: dict[str, np.ndarray]
    numbers: dict[str, Numbers]


def score(models: Models, scored: Scored, size: int | None, seed: int = 0) -> tuple[Report, Thumbnails]:
    """Score pictures with all possible metrics.

    Args:
        models: the models.
        scored: content, truths, and real pictures for the comparison of sets.
        size: side in pixels to which all pictures are resized, or None for their own sizes.
        seed: seed of the noise and of the resamples.

    Returns:
        The report and thumbnails.
    """
    gathered = Gathered()
    for shot in (_restyled if scored.content else _generated)(models, scored, size, seed):
        gathered.add(shot)
    report: Report = {"pictures": len(gathered.names), "warnings": _few_pairs(len(gathered.names))}
    rows: dict = {}
    gains: dict = {}
    if min(len(scored.reference.items), len(gathered.names)) >= 2:
        gathered.add_real(scored, models["model"].facts.channels, size)
        report |= _compared_with(scored, gathered.features["reference"])
        pooled = {name: features.pooled() for name, features in gathered.features.items()}
        rows, gains = distances(pooled, bool(scored.truth), seed)
        report["warnings"] += _few_for_sets(report)
    named = [*models, "identity", "truth"]
    report["rows"] = {row: gathered.means(row, seed) | rows.get(row, {}) for row in named}
    others = {"identity": "gain"} | {row: f"gain_over_{row}" for row in models if row != "model"}
    report |= {key: gathered.gains(row, seed) | gains.get(row, {}) for row, key in others.items()}
    report["each"] = gathered.each()
    return report, gathered.thumbnails


class Gathered:
    """Collects numbers and features picture by picture, for each row of the report."""

    def __init__(self):
        self.names: list[str] = []
        self.numbers: dict[str, list[Numbers]] = collections.defaultdict(list)
        self.features: dict[str, PictureFeatures] = collections.defaultdict(PictureFeatures)
        self.thumbnails: Thumbnails = []
        self._real: dict[str, np.ndarray] = {}

    def add(self, shot: Shot) -> None:
        """Add a picture to all rows. The features of truths are added by `add_real`, because they are the reference."""
        self.names.append(shot.name)
        for row, numbers in shot.numbers.items():
            self.numbers[row].append(numbers)
        for row in shot.pictures.keys() - {"truth"}:
            self.features[row].add(shot.pictures[row])
        captions = CAPTIONS if "identity" in shot.pictures else CAPTIONS | {"model": "made"}
        self.thumbnails.append(
            {caption: thumbnail(shot.pictures[row]) for row, caption in captions.items() if row in shot.pictures}
        )

    def add_real(self, scored: Scored, channels: int, size: int | None) -> None:
        """Add the features of real pictures, and the numbers that compare styles.

        Without truths, the row "truth" contains the numbers of the reference pictures.

        Args:
            scored: the pictures.
            channels: channels of the model.
            size: side in pixels to which all pictures are resized, or None for their own sizes.
        """
        for name, named in {"reference": scored.reference, "real": scored.real or Named("", [])}.items():
            for item in named.items:
                picture = for_scores(item.read(channels), size or (None if scored.content else NOISE_SIDE))
                self.features[name].add(picture)
                if name == "reference" and not scored.truth:
                    self.numbers["truth"].append(measured(picture, None, None, item.name))
        if scored.content:
            self._add_styles()

    def _add_styles(self) -> None:
        """Add the metrics of styles. Real pictures are not paired with the others, so their numbers are separate."""
        styles = {name: features.style() for name, features in self.features.items()}
        for metric in metrics_in_order():
            if "styles" not in metric.inputs:
                continue
            reached = {row: metric.load()(styles[row], styles["identity"], styles["reference"]) for row in styles}
            for row in styles.keys() - {"reference", "real"}:
                for numbers, value in zip(self.numbers[row], reached[row], strict=True):
                    numbers[metric.name] = float(value)
            if "real" in reached:
                self._real[metric.name] = reached["real"]

    def means(self, row: str, seed: int) -> dict[str, Interval]:
        """The mean and the interval of each number of a row."""
        columns = self._columns(row) | (self._real if row == "truth" else {})
        return {name: mean_interval(values, seed) for name, values in columns.items()}

    def gains(self, over: str, seed: int) -> dict[str, Interval]:
        """The mean and the interval of the paired differences between the model and another row.

        There are no differences to the content itself in metrics in which it is perfect.
        """
        before, after = self._columns(over), self._columns("model")
        perfect = {name for name, metric in METRICS.items() if metric.content_is_perfect and over == "identity"}
        names = [name for name in after if name in before and name not in perfect]
        return {name: mean_interval(after[name] - before[name], seed) for name in names}

    def each(self) -> list[dict]:
        """The name and the model's numbers of each picture."""
        return [{"name": name, **one} for name, one in zip(self.names, self.numbers["model"], strict=True)]

    def _columns(self, row: str) -> dict[str, np.ndarray]:
        rows = self.numbers[row]
        return {name: np.array([numbers[name] for numbers in rows]) for name in (rows[0] if rows else ())}


def _restyled(models: Models, scored: Scored, size: int | None, seed: int) -> Iterator[Shot]:
    """Stylize and measure each content picture, and measure the content itself and its truth."""
    channels = models["model"].facts.channels
    with console.progress(len(scored.content), "evaluate") as bar:
        for place, item in enumerate(scored.content):
            content, truth = scored.example(place, channels, size)
            pictures = {row: model(content, seed + place) for row, model in models.items()} | {"identity": content}
            if truth is not None:
                pictures["truth"] = truth
            restyle: dict[str, Callable] = {
                row: functools.partial(model, seed=seed + place) for row, model in models.items()
            }
            restyle["identity"] = lambda crop: crop
            numbers = {
                row: measured(picture, content, truth, item.name, restyle.get(row)) for row, picture in pictures.items()
            }
            yield Shot(item.name, pictures, numbers)
            bar.advance()


def _generated(models: Models, scored: Scored, size: int | None, seed: int) -> Iterator[Shot]:
    """Generate and measure pictures from noise, as many as there are real ones."""
    side, count = size or NOISE_SIDE, len(scored.reference.items)
    with console.progress(count, "evaluate") as bar:
        for number in range(seed, seed + count):
            name = f"seed {number}"
            made = {row: model.from_noise(model.noise(number, 1, side, side))[0] for row, model in models.items()}
            yield Shot(name, made, {row: measured(picture, None, None, name) for row, picture in made.items()})
            bar.advance()


def _compared_with(scored: Scored, features: PictureFeatures) -> Report:
    """The part of the report about the features and the sets that are compared."""
    reference, real = scored.reference, scored.real
    count = len(reference.items)
    halves = f"in one half of them, against the other {count - count // 2}"
    return {
        "features": {
            "network": picture_features.NETWORK,
            "side": picture_features.SIDE,
            "dimensions": features.pooled().shape[1],
        },
        "reference": {"what": reference.what, "pictures": count, "pairs": bool(scored.truth)},
        "real": {"what": real.what, "pictures": len(real.items)} if real else {"what": halves, "pictures": count // 2},
    }


def _few_pairs(pictures: int) -> list[str]:
    if pictures >= ENOUGH["pairs"]:
        return []
    few = f"{counted(pictures, 'picture')} {is_or_are(pictures)} few"
    return [f"{few}: below {ENOUGH['pairs']} the intervals of means are too narrow"]


def _few_for_sets(report: Report) -> list[str]:
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
