"""Every number that a set of pictures allows, with intervals: the rows of a report."""

import collections
import dataclasses
from collections.abc import Iterator

import numpy as np

from kgan import console
from kgan.errors import counted, is_or_are
from kgan.evaluation.gallery import thumbnail
from kgan.evaluation.measure import Numbers, measured
from kgan.evaluation.report import Report
from kgan.evaluation.scored import Named, Scored, fitted
from kgan.evaluation.sets import distances
from kgan.inference.loading import Model
from kgan.kinds import metrics_in_order
from kgan.metrics import picture_features
from kgan.metrics.bootstrap import Interval, mean_interval
from kgan.metrics.picture_features import PictureFeatures

ENOUGH = {"pairs": 50, "kid": 100}
"""Pictures from which on intervals of means and of KID can be trusted; FID wants more than it has features."""

NOISE_SIDE = 256
"""Pixels: the side of pictures from noise where no size is given."""

CAPTIONS = {"identity": "content", "model": "stylized", "baseline": "baseline", "truth": "truth"}
"""What the page calls the picture of a row."""

Models = dict[str, Model]
"""By row of the report: "model", and "baseline" where there is one to compare with."""

Thumbnails = list[dict[str, str]]
"""Of every picture by caption."""


@dataclasses.dataclass(frozen=True)
class Shot:
    """One scored picture: its name, the pictures of the rows, and their numbers."""

    name: str
    pictures: dict[str, np.ndarray]
    numbers: dict[str, Numbers]


def score(models: Models, scored: Scored, size: int | None, seed: int = 0) -> tuple[Report, Thumbnails]:
    """All numbers that these pictures allow, and thumbnails.

    Args:
        models: what makes the pictures.
        scored: the content and the truths, and the real pictures that sets are compared with.
        size: the side that all pictures are brought to. None: their own.
        seed: of the noise and of the resamples.
    """
    gathered = Gathered()
    for shot in (_restyled if scored.content else _generated)(models, scored, size, seed):
        gathered.add(shot)
    report: Report = {"pictures": len(gathered.names), "warnings": _few_pairs(len(gathered.names))}
    rows, gains = {}, {}
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
    """What was measured picture by picture: numbers by row, and features of sets."""

    def __init__(self):
        self.names: list[str] = []
        self.numbers: dict[str, list[Numbers]] = collections.defaultdict(list)
        self.features: dict[str, PictureFeatures] = collections.defaultdict(PictureFeatures)
        self.thumbnails: Thumbnails = []
        self._real: dict[str, np.ndarray] = {}

    def add(self, shot: Shot) -> None:
        """One more picture of every row; of the truths, which are the reference, the features come later."""
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
        """The features of the real pictures, and how near each stylized one came to their style.

        Where there is no truth of a content, the row "truth" has the numbers of the reference.
        """
        for name, named in {"reference": scored.reference, "real": scored.real or Named("", [])}.items():
            for item in named.items:
                picture = fitted(item.read(channels), size or (None if scored.content else NOISE_SIDE))
                self.features[name].add(picture)
                if name == "reference" and not scored.truth:
                    self.numbers["truth"].append(measured(picture, None, None, item.name))
        if scored.content:
            self._add_styles()

    def _add_styles(self) -> None:
        """For real pictures, which are no pairs, as numbers of their own."""
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
        """Of every number of a row."""
        columns = self._columns(row) | (self._real if row == "truth" else {})
        return {name: mean_interval(values, seed) for name, values in columns.items()}

    def gains(self, over: str, seed: int) -> dict[str, Interval]:
        """The model's numbers less those of another row, picture by picture; none of content_* over the content as it
        is, for which it is perfect."""
        before, after = self._columns(over), self._columns("model")
        perfect = "content_" if over == "identity" else ()
        names = [name for name in after if name in before and not name.startswith(perfect)]
        return {name: mean_interval(after[name] - before[name], seed) for name in names}

    def each(self) -> list[dict]:
        """The name and the model's numbers of every picture."""
        return [{"name": name, **one} for name, one in zip(self.names, self.numbers["model"], strict=True)]

    def _columns(self, row: str) -> dict[str, np.ndarray]:
        rows = self.numbers[row]
        return {name: np.array([numbers[name] for numbers in rows]) for name in (rows[0] if rows else ())}


def _restyled(models: Models, scored: Scored, size: int | None, seed: int) -> Iterator[Shot]:
    """Every content picture: stylized, as it is, and its truth."""
    channels = models["model"].facts.channels
    with console.progress(len(scored.content), "evaluate") as bar:
        for place, item in enumerate(scored.content):
            content, truth = scored.example(place, channels, size)
            pictures = {row: model(content, seed + place) for row, model in models.items()} | {"identity": content}
            if truth is not None:
                pictures["truth"] = truth
            numbers = {row: measured(picture, content, truth, item.name) for row, picture in pictures.items()}
            yield Shot(item.name, pictures, numbers)
            bar.advance()


def _generated(models: Models, scored: Scored, size: int | None, seed: int) -> Iterator[Shot]:
    """As many pictures from noise as there are real ones."""
    side, count = size or NOISE_SIDE, len(scored.reference.items)
    with console.progress(count, "evaluate") as bar:
        for number in range(seed, seed + count):
            name = f"seed {number}"
            made = {row: model.from_noise(model.noise(number, 1, side, side))[0] for row, model in models.items()}
            yield Shot(name, made, {row: measured(picture, None, None, name) for row, picture in made.items()})
            bar.advance()


def _compared_with(scored: Scored, features: PictureFeatures) -> Report:
    """What sets were compared by, and with."""
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
