"""Which numbers of `kgan evaluate` deserve trust: a table of how each judges pictures whose quality is known.

    python scripts/admission.py photos --style vangogh=paintings --style ukiyoe=prints

Two models restyle the photos. Then each number is asked three questions, on single pictures:

- Does it tell the model of a style from the model of the other? (AUC: 1 always, 0.5 never)
- Does it call pictures worse to which grain, blur or JPEG blocks were added? (the share of the pictures)
- What does it say of the photos themselves, and of both models?

docs/evaluate.md contains the table of the shipped painters, and which numbers were left out for it. FID and KID, which
need sets, are computed from the windows of a picture.
"""

import argparse
import io
import json
import pathlib
import sys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter
from words import in_one_line, positive

from kgan.evaluation.measure import measured
from kgan.images.decoding import decode_picture
from kgan.images.listing import find_pictures
from kgan.images.pictures import to_uint8
from kgan.images.resizing import resized
from kgan.inference.loading import load
from kgan.kinds import METRICS, Metric, metrics_in_order
from kgan.metrics.grams import OF_A_PAINTING, OF_A_PICTURE, coordinates, windows
from kgan.metrics.picture_features import PictureFeatures, network_of
from kgan.metrics.tile_styles import tile_styles

NETWORKS = ("mobilenet", "vgg16")
SAME = "as made"


def grain(picture: np.ndarray) -> np.ndarray:
    """Gray noise with a standard deviation of 16 levels."""
    noise = np.random.default_rng(0).normal(0.0, 16.0, picture.shape[:2])
    return np.uint8(np.clip(np.rint(picture + noise[..., None]), 0, 255))


def blur(picture: np.ndarray) -> np.ndarray:
    """A Gaussian blur with a standard deviation of 2 pixels."""
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(2)))


def blocks(picture: np.ndarray) -> np.ndarray:
    """JPEG of quality 8."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=8)
    return np.asarray(Image.open(file).convert("RGB"))


HARMS: dict[str, Callable] = {"grain": grain, "blur": blur, "JPEG blocks": blocks}


class Style:
    """The pictures of a style, described by each network."""

    def __init__(self, pictures: list[np.ndarray]):
        tiles = [tile_styles(picture) for picture in pictures]
        self.tiles = np.concatenate([each.reshape(-1, each.shape[-1]) for each in tiles])[::2]
        self.grams = {network: PictureFeatures(network, OF_A_PAINTING) for network in NETWORKS}
        self.windows = {network: PictureFeatures(network) for network in NETWORKS}
        for picture in pictures:
            for network in NETWORKS:
                self.grams[network].add(picture)
                for window in windows(*picture.shape[:2], OF_A_PICTURE):
                    self.windows[network].add(picture[window])


class Judged:
    """A picture, described by each network."""

    def __init__(self, picture: np.ndarray, content: "Judged | None" = None):
        self.picture, self.content = picture, content or self
        self.tiles = tile_styles(picture)
        self.grams = {network: PictureFeatures(network, OF_A_PICTURE) for network in NETWORKS}
        self.windows = {network: PictureFeatures(network) for network in NETWORKS}
        self.maps: dict[str, list] = {}
        for network in NETWORKS:
            self.grams[network].add(picture)
            before = content.maps[network] if content else [None] * OF_A_PICTURE
            cut = windows(*picture.shape[:2], OF_A_PICTURE)
            self.maps[network] = [
                self.windows[network].add(picture[window], maps) for window, maps in zip(cut, before, strict=False)
            ]
        self.own = measured(picture, self.content.picture, None, "")

    def numbers(self, style: Style, photos: "list[Judged]") -> dict[str, float]:
        """All numbers of the picture."""
        found = dict(self.own)
        tiles = (self.tiles, self.content.tiles, style.tiles)
        for metric in metrics_in_order():
            if metric.of_sets:
                found[metric.name] = self._of_sets(metric, style)
            if "tiles" in metric.inputs:
                found[metric.name] = metric.load()(self.picture, self.content.picture, *tiles)
            if "styles" in metric.inputs:
                sets = [features.grams["mobilenet"].style() for features in (self, style)]
                content = np.concatenate([photo.grams["mobilenet"].style() for photo in photos])
                found[metric.name] = float(metric.load()(sets[0], content, sets[1])[0])
        return found

    def _of_sets(self, metric: Metric, style: Style) -> float:
        network = metric.network
        if "grams" in metric.inputs:
            vectors = np.concatenate([self.grams[network].grams(), style.grams[network].grams()])
            layers = coordinates(vectors, network_of(network).widths)
            return float(metric.load()([each[:1] for each in layers], [each[1:] for each in layers]).mean())
        made, reference = self.windows[network].pooled(), style.windows[network].pooled()
        if "frechet" in metric.inputs:
            distance = METRICS[f"fid_{network}"].load()(made, reference)
            return float(metric.load()(self.windows[network].distances(), distance))
        return float(metric.load()(made, reference))


def read(folder: str, longest: int, most: int) -> dict[str, np.ndarray]:
    """The first pictures of a folder, reduced to a longest side, RGB."""
    found = {}
    for path in find_pictures(pathlib.Path(folder))[:most]:
        picture = decode_picture(path, 3)
        share = min(1.0, longest / max(picture.shape[:2]))
        found[path.name] = resized(picture, tuple(round(share * side) for side in picture.shape[:2]))
    return found


def auc(better: np.ndarray, worse: np.ndarray) -> float:
    """The probability that a number of the first set is greater than one of the second."""
    return float(np.mean((better[:, None] > worse) + 0.5 * (better[:, None] == worse)))


def told(numbers: dict, styles: list[str], name: str) -> float:
    """The AUC by which a number tells the results of the two models.

    For a number that compares with a style, it is the difference between the number for one style and for the other,
    because a distance alone depends on the photo. Other numbers are taken as they are, in the better direction.
    """
    one, other = styles
    first, second = (numbers[one, maker, SAME, name] - numbers[other, maker, SAME, name] for maker in styles)
    if not np.any(first) and not np.any(second):
        first, second = (numbers[one, maker, SAME, name] for maker in styles)
    found = auc(first, second)
    return max(found, 1.0 - found)


def table(numbers: dict, styles: list[str]) -> list[str]:
    """The lines of the table. `numbers` has an array over the pictures by (style, maker, harm, metric)."""
    makers = " | ".join(f"{style}: photos | {style}" for style in styles)
    lines = [f"| number | AUC | {' | '.join(f'{harm} worse' for harm in HARMS)} | {makers} |"]
    lines.append("| --- |" + " --- |" * (5 + len(HARMS)))
    for metric in metrics_in_order():
        if (styles[0], styles[0], SAME, metric.name) not in numbers:
            continue
        sign = 1.0 if metric.better == "more" else -1.0
        worse = [np.mean([_is_less(numbers, style, harm, metric.name, sign) for style in styles]) for harm in HARMS]
        means = [numbers[style, maker, SAME, metric.name].mean() for style in styles for maker in ("photo", style)]
        cells = [f"{value:.2f}" for value in (told(numbers, styles, metric.name), *worse)]
        cells += [f"{metric.scale * value + 0.0:.{metric.digits}f}" for value in means]
        lines.append(f"| {metric.label} | {' | '.join(cells)} |")
    return lines


def _is_less(numbers: dict, style: str, harm: str, name: str, sign: float) -> float:
    """The share of the pictures of a style's model that are worse with a harm."""
    return float(np.mean(sign * numbers[style, style, harm, name] < sign * numbers[style, style, SAME, name]))


@in_one_line
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", help="folder of photos")
    parser.add_argument("--style", action="append", required=True, metavar="MODEL=FOLDER", help="twice")
    parser.add_argument("--longest", type=positive, default=768, help="longest side of the photos in pixels")
    parser.add_argument("--most", type=positive, default=20, help="number of photos")
    parser.add_argument("--numbers", type=pathlib.Path, help="JSON file for all numbers")
    options = parser.parse_args()
    folders = {name: folder for name, _, folder in (word.partition("=") for word in options.style)}
    if len(folders) != 2 or not all(folders.values()):
        parser.error("--style MODEL=FOLDER should be given twice, for two models")
    photos = read(options.photos, options.longest, options.most)
    models = {name: load(name) for name in folders}
    styles = {name: Style(list(read(folder, options.longest, 100).values())) for name, folder in folders.items()}
    contents = {name: Judged(photo) for name, photo in photos.items()}
    numbers: dict = {}
    for name, photo in photos.items():
        shots = {("photo", SAME): contents[name]}
        for maker, model in models.items():
            made = to_uint8(model(photo, 0))
            for harm, harmed in {SAME: lambda same: same, **HARMS}.items():
                shots[maker, harm] = Judged(harmed(made), contents[name])
        for (maker, harm), shot in shots.items():
            for style, described in styles.items():
                for metric, value in shot.numbers(described, list(contents.values())).items():
                    numbers.setdefault((style, maker, harm, metric), []).append(value)
        print(f"measured: {name}", flush=True)
    if options.numbers:
        options.numbers.write_text(json.dumps({"/".join(key): values for key, values in numbers.items()}))
    arrays = {key: np.array(values) for key, values in numbers.items()}
    print("\n".join(table(arrays, list(folders))))


if __name__ == "__main__":
    sys.exit(main())
