"""Scores a set of pictures with all possible metrics and their intervals, for a report."""

import collections
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from kgan import console
from kgan.errors import counted, is_or_are
from kgan.evaluation.gallery import thumbnail
from kgan.evaluation.makers import Maker
from kgan.evaluation.measure import Numbers, measured
from kgan.evaluation.networks import NETWORKS
from kgan.evaluation.report import Report
from kgan.evaluation.scored import Named, Scored
from kgan.evaluation.sets import Described, Sets, distances
from kgan.images.resizing import for_scores
from kgan.kinds import METRICS, metrics_in_order
from kgan.metrics import picture_features
from kgan.metrics.bootstrap import Interval, mean_interval
from kgan.metrics.effect import TENTH
from kgan.metrics.grams import OF_A_PAINTING, OF_A_PICTURE
from kgan.metrics.picture_features import PictureFeatures, network_of
from kgan.metrics.tile_styles import tile_styles

ENOUGH = {"pairs": 50, "kid": 100}
"""Numbers of pictures that are enough for intervals of means and of KID. FID needs more pictures than features."""

NOISE_SIDE = 256
"""Default side in pixels of pictures that are generated from noise."""

CAPTIONS = {"identity": "content", "model": "stylized", "baseline": "baseline", "truth": "truth"}
"""Captions of pictures on the page, by the row of the report."""

MOST_GRAMS, MOST_TILES = 100, 2000
"""The largest numbers of pictures of a set whose Gram matrices are compared, and of tiles of style pictures."""

Thumbnails = list[dict[str, str]]
"""Data URLs by caption, for each picture."""


@dataclasses.dataclass(frozen=True)
class Shot:
    """A scored picture: its name, and pictures and numbers by the row of the report."""

    name: str
    pictures: dict[str, np.ndarray]
    numbers: dict[str, Numbers]


def score(
    makers: Mapping[str, Maker],
    scored: Scored,
    size: int | None,
    seed: int = 0,
    channels: int = 3,
    networks: Sequence[str] = NETWORKS,
) -> tuple[Report, Thumbnails]:
    """Score pictures with all possible metrics.

    Args:
        makers: the sources of stylized pictures by the row of the report: "model", and "baseline" if there is one.
        scored: content, truths, and real pictures for the comparison of sets.
        size: side in pixels to which all pictures are resized, or None for their own sizes.
        seed: seed of the noise and of the resamples.
        channels: channels of the pictures.
        networks: names of the feature networks by which sets are compared.

    Returns:
        The report and thumbnails.
    """
    count = len(scored.content) or len(scored.reference.items)
    has_sets = min(len(scored.reference.items), count) >= 2
    gathered = Gathered(networks if has_sets else (), count)
    if has_sets:
        gathered.add_real(scored, channels, size)
    for shot in (_restyled if scored.content else _generated)(makers, scored, size, seed, channels, gathered.reference):
        gathered.add(shot)
    report: Report = {"pictures": len(gathered.names), "warnings": _few_pairs(len(gathered.names))}
    rows: dict = {}
    gains: dict = {}
    if has_sets:
        sets = gathered.sets()
        gathered.add_styles()
        report |= _compared_with(scored, sets)
        rows, gains, report["layers"] = distances(sets, bool(scored.truth), seed)
        report["warnings"] += _few_for_sets(report)
    named = [*makers, "identity", "truth"]
    report["rows"] = {row: gathered.means(row, seed) | rows.get(row, {}) for row in named}
    others = {"identity": "gain"} | {row: f"gain_over_{row}" for row in makers if row != "model"}
    report |= {key: gathered.gains(row, seed) | gains.get(row, {}) for row, key in others.items()}
    report["each"] = gathered.each()
    return report | without_effect(report["each"], seed), gathered.thumbnails


def without_effect(each: list[dict], seed: int) -> Report:
    """The part of the report about pictures and places without effect: the worst tenth counts, not the mean.

    Args:
        each: the numbers of the pictures.
        seed: seed of the resamples.

    Returns:
        "without_effect": the names of the pictures at least half of whose tiles have no effect, and the mean share of
        the worst tenth of the pictures. Empty if no effect was measured.
    """
    shares = np.array([one["no_effect"] for one in each if "no_effect" in one])
    if not shares.size:
        return {}
    worst = np.sort(shares)[-max(1, round(TENTH * shares.size)) :]
    names = [one["name"] for one in each if one["no_effect"] >= 0.5]
    return {"without_effect": {"pictures": names, "worst_tenth": mean_interval(worst, seed)}}


class Gathered:
    """Collects numbers and features picture by picture, for each row of the report.

    Args:
        networks: names of the feature networks by which sets are compared. Empty if they are not.
        count: the number of pictures that are added to each row.
    """

    def __init__(self, networks: Sequence[str] = (), count: int = 1):
        self.names: list[str] = []
        self.numbers: dict[str, list[Numbers]] = collections.defaultdict(list)
        self.networks = networks
        self.features: dict[tuple[str, str], PictureFeatures] = {}
        self.thumbnails: Thumbnails = []
        self.reference: dict[str, np.ndarray] = {}
        self._every = -(-count // MOST_GRAMS)
        self._real: dict[str, np.ndarray] = {}

    def add(self, shot: Shot) -> None:
        """Add a picture to all rows. The features of truths are added by `add_real`, because they are the reference."""
        for row, numbers in shot.numbers.items():
            self.numbers[row].append(numbers)
        rows = sorted(shot.pictures.keys() - {"truth"}, key=lambda row: row != "identity")  # the content comes first
        for network in self.networks:
            content = None
            for row in rows:
                maps = self._of(network, row, OF_A_PICTURE).add(shot.pictures[row], content, self._has_grams())
                content = maps if row == "identity" else content
        self.names.append(shot.name)
        captions = CAPTIONS if "identity" in shot.pictures else CAPTIONS | {"model": "made"}
        self.thumbnails.append(
            {caption: thumbnail(shot.pictures[row]) for row, caption in captions.items() if row in shot.pictures}
        )

    def _of(self, network: str, name: str, most: int) -> PictureFeatures:
        return self.features.setdefault((network, name), PictureFeatures(network, most))

    def _has_grams(self) -> bool:
        return len(self.names) % self._every == 0

    def add_real(self, scored: Scored, channels: int, size: int | None) -> None:
        """Add the features of real pictures. It comes before the pictures, which are compared with the tiles of these.

        Without truths, the row "truth" contains the numbers of the reference pictures.

        Args:
            scored: the pictures.
            channels: channels of the pictures.
            size: side in pixels to which all pictures are resized, or None for their own sizes.
        """
        tiles = []
        for name, named in {"reference": scored.reference, "real": scored.real or Named("", [])}.items():
            every = -(-len(named.items) // MOST_GRAMS)
            for place, item in enumerate(named.items):
                picture = for_scores(item.read(channels), size or (None if scored.content else NOISE_SIDE))
                for network in self.networks:
                    self._of(network, name, OF_A_PAINTING).add(picture, grams=place % every == 0)
                if name == "reference" and scored.content:
                    tiles.append(tile_styles(picture))
                if name == "reference" and not scored.truth:
                    self.numbers["truth"].append(measured(picture, None, None, item.name))
        if tiles:
            rows = np.concatenate([each.reshape(-1, each.shape[-1]) for each in tiles])
            self.reference = {"reference_tiles": rows[:: -(-len(rows) // MOST_TILES)]}

    def sets(self) -> Sets:
        """All sets, described by each network."""
        found: dict[str, dict[str, Described]] = {}
        for network in self.networks:
            named = {name: features for (other, name), features in self.features.items() if other == network}
            found[network] = {
                name: Described(each.pooled(), each.distances(), each.grams(), network_of(network).widths)
                for name, each in named.items()
            }
        return found

    def add_styles(self) -> None:
        """Add the metrics of styles. Real pictures are not paired with the others, so their numbers are separate."""
        named = {name: each for (network, name), each in self.features.items() if network == picture_features.NETWORK}
        if "identity" not in named:
            return
        styles = {name: features.style() for name, features in named.items()}
        for metric in metrics_in_order():
            if "styles" not in metric.inputs or not metric.admitted:
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


def _restyled(
    makers: Mapping[str, Maker], scored: Scored, size: int | None, seed: int, channels: int, reference: dict
) -> Iterator[Shot]:
    """Stylize and measure each content picture, and measure the content itself and its truth."""
    with console.progress(len(scored.content), "evaluate") as bar:
        for place, item in enumerate(scored.content):
            content, truth = scored.example(place, channels, size)
            pictures = {row: maker.picture(place, content, seed + place) for row, maker in makers.items()}
            pictures |= {"identity": content} | ({} if truth is None else {"truth": truth})
            restyle: dict[str, Callable | None] = {row: maker.restyle(seed + place) for row, maker in makers.items()}
            restyle["identity"] = lambda crop: crop
            tiles = _tiles(pictures, reference)
            numbers = {
                row: measured(picture, content, truth, item.name, restyle.get(row), tiles.get(row))
                for row, picture in pictures.items()
            }
            yield Shot(item.name, pictures, numbers)
            bar.advance()


def _tiles(pictures: dict[str, np.ndarray], reference: dict) -> dict[str, dict[str, np.ndarray]]:
    """The features of tiles of each row but the truth, if there are style pictures to compare them with."""
    if not reference:
        return {}
    found = {row: tile_styles(picture) for row, picture in pictures.items() if row != "truth"}
    return {row: {"tiles": tiles, "content_tiles": found["identity"], **reference} for row, tiles in found.items()}


def _generated(
    makers: Mapping[str, Maker], scored: Scored, size: int | None, seed: int, channels: int, reference: dict
) -> Iterator[Shot]:
    """Generate and measure pictures from noise, as many as there are real ones."""
    side, count = size or NOISE_SIDE, len(scored.reference.items)
    with console.progress(count, "evaluate") as bar:
        for number in range(seed, seed + count):
            name = f"seed {number}"
            made = {row: maker.from_noise(number, side) for row, maker in makers.items()}
            yield Shot(name, made, {row: measured(picture, None, None, name) for row, picture in made.items()})
            bar.advance()


def _compared_with(scored: Scored, sets: Sets) -> Report:
    """The part of the report about the features and the sets that are compared."""
    reference, real = scored.reference, scored.real
    count = len(reference.items)
    halves = f"in one half of them, against the other {count - count // 2}"
    networks = {
        name: {
            "side": picture_features.SIDE,
            "dimensions": described["reference"].features.shape[1],
            "layers": list(picture_features.layers_of(name)),
        }
        for name, described in sets.items()
    }
    first = next(iter(networks))
    return {
        "features": {"network": first} | {key: networks[first][key] for key in ("side", "dimensions")},
        "networks": networks,
        "reference": {"what": reference.what, "pictures": count, "pairs": bool(scored.truth)},
        "real": {"what": real.what, "pictures": len(real.items)} if real else {"what": halves, "pictures": count // 2},
    }


def _few_pairs(pictures: int) -> list[str]:
    if pictures >= ENOUGH["pairs"]:
        return []
    few = f"{counted(pictures, 'picture')} {is_or_are(pictures)} few"
    return [f"{few}: below {ENOUGH['pairs']} the intervals of means are too narrow"]


def _few_for_sets(report: Report) -> list[str]:
    count = min(report["pictures"], report["reference"]["pictures"])
    dimensions = report["features"]["dimensions"]
    said = []
    if count < ENOUGH["kid"]:
        said.append(f"{count} pictures are few for KID: below {ENOUGH['kid']} compare it by its intervals alone")
    if count <= dimensions:
        said.append(
            f"{count} pictures are too few for FID on {dimensions} features: it is biased upwards; compare it only "
            f"with rows of this table that have as many"
        )
    return said
