"""Numbers for a trained model: how far stylized pictures are from their content, from the truth, and from the style.

Every number has its baseline beside it, `identity_...`: the same number for the content itself, left as it is.
"""

import dataclasses
import functools
import io
import json
import math
import os
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from kgan import metrics
from kgan.config import TrainConfig
from kgan.data.decoding import decode_picture, find_pictures
from kgan.errors import UserError
from kgan.export.loading import Model, load, read_config
from kgan.networks import build_features
from kgan.pictures import to_float
from kgan.progress import progress

PSNR_CAP = 100.0
"""dB given to equal pictures, whose PSNR is infinite: a mean must stay a number."""

KID_SUBSET = 100
"""Pictures in each of KID's subsets, where there are as many."""

LIMIT = 500
"""Pictures of each kind that are looked at, at most: the first by name."""

Report = dict[str, float | int | str | None]


@dataclasses.dataclass(frozen=True)
class Item:
    """A picture by name, decoded when asked: `read(channels)` -> uint8 [H, W, channels]."""

    name: str
    read: Callable[[int], np.ndarray]

    @property
    def stem(self) -> str:
        return pathlib.PurePath(self.name).stem


@dataclasses.dataclass(frozen=True)
class Scored:
    """What is scored: `content` (or nothing, for synthesis), its `truth` in the same order, and `style`."""

    content: list[Item]
    truth: list[Item]
    style: list[Item]


def evaluate(
    model: str | os.PathLike,
    content: str | os.PathLike | None = None,
    truth: str | os.PathLike | None = None,
    style: str | os.PathLike | None = None,
    size: int | None = None,
    output: str | os.PathLike | None = None,
    seed: int = 0,
) -> Report:
    """Restyle the pictures in `content` and compare; print a table, write JSON to `output`, return the numbers.

    content_*: stylized against content. truth_*: stylized against the truth of the same file stem.
    kid_mobilenet: stylized against the style pictures (without them: the truth). identity_*: the content as it is.
    With `size`, every picture is cropped to its central square and resized to that side first. A run folder without
    `content` is scored on its own test pictures, at its own size; its JSON goes to evaluation.json in the run.

    Raises UserError for folders without pictures or pairs, and pairs of unequal size.
    """
    path = pathlib.Path(model)
    if size is not None and size < metrics.SSIM_WINDOW:
        raise UserError(f"--size should be at least {metrics.SSIM_WINDOW}, the window of SSIM. Received: {size}")
    loaded = load(path)
    is_run = (path / "config.json").is_file()
    if content is None and not is_run:
        raise UserError(f"--content is missing: {path} is no run folder, so that it has no test pictures of its own")
    config = read_config(path) if is_run else None
    scored = _run_pictures(config) if content is None else _folder_pictures(content, truth, style)
    size = size or (config.size if config and content is None else None)
    report = {"model": str(path), "size": size, "seed": seed, **score(loaded, scored, size, seed)}
    target = output or (path / "evaluation.json" if is_run else None)
    if target:
        _write(report, pathlib.Path(target))
    print(table(report), flush=True)
    return report


def score(model: Model, scored: Scored, size: int | None, seed: int = 0) -> Report:
    """All numbers that these pictures allow."""
    if not scored.content:
        return _score_synthesis(model, scored.style, size, seed)
    rows, fake, identity, true, real = [], *(Pooled() for _ in range(4))
    with progress(len(scored.content), "evaluate") as bar:
        for k, item in enumerate(scored.content):
            content = fitted(item.read(model.facts.channels), size)
            stylized = model(content, seed + k)
            row = compared("content", stylized, content, item.name)
            fake.add(stylized)
            identity.add(content)
            if scored.truth:
                truth = fitted(scored.truth[k].read(model.facts.channels), size)
                row |= compared("truth", stylized, truth, item.name)
                row |= compared("identity_truth", content, truth, item.name)
                true.add(truth)
            rows.append(row)
            bar.advance()
    report = {"pictures": len(rows), **{name: float(np.mean([row[name] for row in rows])) for name in rows[0]}}
    for item in scored.style:
        real.add(fitted(item.read(model.facts.channels), size))
    reference = ("style", real) if scored.style else ("truth", true)
    return report | _kid(*reference, {"": fake, "identity_": identity})


def _score_synthesis(model: Model, style: list[Item], size: int | None, seed: int) -> Report:
    """KID alone, of as many pictures from noise as there are style pictures."""
    size = size or 256
    real, fake = Pooled(), Pooled()
    with progress(len(style), "evaluate") as bar:
        for k, item in enumerate(style):
            real.add(fitted(item.read(model.facts.channels), size))
            fake.add(model.from_noise(model.noise(seed + k, 1, size, size))[0])
            bar.advance()
    return {"pictures": len(style)} | _kid("style", real, {"": fake})


def compared(kind: str, pictures: np.ndarray, reference: np.ndarray, name: str) -> Report:
    """{kind_ssim, kind_psnr, kind_mse} of two uint8 or float pictures [H, W, C]; UserError when sizes differ."""
    if pictures.shape != reference.shape:
        sizes = f"{pictures.shape[1]}x{pictures.shape[0]} and {reference.shape[1]}x{reference.shape[0]}"
        raise UserError(f"{name}: pairs should have equal sizes. Received: {sizes}; give --size to score them alike")
    if min(pictures.shape[:2]) < metrics.SSIM_WINDOW:
        raise UserError(f"{name}: should be at least {metrics.SSIM_WINDOW} pixels wide and high for SSIM; leave it out")
    a, b = to_float(pictures)[None], to_float(reference)[None]
    return {
        f"{kind}_ssim": float(metrics.ssim(a, b)[0]),
        f"{kind}_psnr": min(float(metrics.psnr(a, b)[0]), PSNR_CAP),
        f"{kind}_mse": float(metrics.mse(a, b)[0]),
    }


def fitted(picture: np.ndarray, size: int | None) -> np.ndarray:
    """uint8 [H, W, C] -> its central square resized (antialiased) to [size, size, C]; unchanged without a size."""
    if size is None:
        return picture
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    made = np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC))
    return made[..., None] if made.ndim == 2 else made


class Pooled:
    """Features [N, 1024] of the packaged MobileNet, gathered picture by picture, computed in batches of equal size."""

    batch = 16

    def __init__(self):
        self._waiting, self._done = [], []

    def add(self, picture: np.ndarray) -> None:
        """One more picture [H, W, C], uint8 or float in [0, 1]."""
        if self._waiting and (len(self._waiting) == self.batch or picture.shape != self._waiting[0].shape):
            self._flush()
        self._waiting.append(picture)

    def features(self) -> np.ndarray:
        """[N, 1024], in the order of adding."""
        if self._waiting:
            self._flush()
        return np.concatenate(self._done) if self._done else np.zeros((0, 1024), np.float32)

    def _flush(self) -> None:
        pictures = to_float(np.stack(self._waiting)) * 2.0 - 1.0
        self._done.append(_mobilenet()(tf.constant(pictures)).numpy())
        self._waiting = []


@functools.cache
def _mobilenet():
    return tf.function(build_features(TrainConfig()).pooled, reduce_retracing=True)


def _kid(reference: str, real: Pooled, fakes: dict[str, Pooled]) -> Report:
    """KID of each set of fakes; nothing where a side has fewer than two pictures."""
    true, made = real.features(), {prefix: fake.features() for prefix, fake in fakes.items()}
    count = min(len(true), *(len(features) for features in made.values()))
    if count < 2:
        return {}
    report = {
        "kid_reference": reference,
        "kid_reference_pictures": len(true),
        "kid_subset_size": min(count, KID_SUBSET),
    }
    for prefix, features in made.items():
        mean, deviation = metrics.kernel_inception_distance(true, features, KID_SUBSET)
        report[f"{prefix}kid_mobilenet"] = mean
        report[f"{prefix}kid_mobilenet_std"] = None if math.isnan(deviation) else deviation
    return report


# --- which pictures ---------------------------------------------------------------------------------------------------


def _folder_pictures(content, truth, style) -> Scored:
    items = _in_folder(content)
    pairs = ([], []) if truth is None else _pairs(items, _in_folder(truth), str(truth))
    return Scored(
        content=(pairs[0] if truth else items)[:LIMIT],
        truth=pairs[1][:LIMIT],
        style=_in_folder(style)[:LIMIT] if style else [],
    )


def _in_folder(folder: str | os.PathLike) -> list[Item]:
    root = pathlib.Path(folder)
    return [
        Item(str(path.relative_to(root)), lambda channels, path=path: decode_picture(path, channels))
        for path in find_pictures(root)
    ]


def _pairs(content: list[Item], truth: list[Item], where: str) -> tuple[list[Item], list[Item]]:
    """Content and truth with equal stems, in the order of the content; says how many have no partner."""
    by_stem = {item.stem: item for item in truth}
    paired = [item for item in content if item.stem in by_stem]
    if not paired:
        raise UserError(f"--truth {where}: should have the file names of the content, as in {content[0].stem}")
    if len(paired) < len(content):
        print(f"{len(content) - len(paired)} of {len(content)} pictures have no truth and are left out", flush=True)
    return paired, [by_stem[item.stem] for item in paired]


def _run_pictures(config: TrainConfig) -> Scored:
    """The test pictures of a run, or the first it was trained on where it has none, and its style pictures."""
    from kgan.data import open_pictures

    pictures = open_pictures(config)
    content, style = pictures.test_content, _in_store(pictures.style)
    if content is None and pictures.content is not None:
        print("the run has no test pictures: scored on the first pictures that it was trained on", flush=True)
        content = pictures.content
    items = _in_store(content)
    truth = _in_store(pictures.test_truth)
    if not truth:
        return Scored(items, [], style)
    return Scored(*_pairs(items, truth, "of the run"), style)


def _in_store(store) -> list[Item]:
    if store is None:
        return []
    return [
        Item(name, lambda channels, k=k: decode_picture(io.BytesIO(store.encoded(np.array([k]))[0]), channels))
        for k, name in enumerate(store.names[:LIMIT])
    ]


# --- the numbers shown ------------------------------------------------------------------------------------------------

_ROWS = (
    ("SSIM to the content", "content_ssim", None),
    ("PSNR to the content, dB", "content_psnr", None),
    ("MSE to the content", "content_mse", None),
    ("SSIM to the truth", "truth_ssim", "identity_truth_ssim"),
    ("PSNR to the truth, dB", "truth_psnr", "identity_truth_psnr"),
    ("MSE to the truth", "truth_mse", "identity_truth_mse"),
    ("KID (MobileNet) x 1000", "kid_mobilenet", "identity_kid_mobilenet"),
)


def table(report: Report) -> str:
    """The numbers as text: what, the stylized pictures, the content as it is."""
    pictures = f"{report['pictures']} pictures" + (f" at {report['size']}x{report['size']}" if report["size"] else "")
    lines = [f"{pictures:28}{'stylized':>18}{'content as it is':>18}"]
    for label, name, baseline in _ROWS:
        if name in report:
            lines.append(f"{label:28}{_shown(report, name):>18}{_shown(report, baseline):>18}")
    if "kid_reference" in report:
        lines.append(_kid_remark(report))
    return "\n".join(lines)


def _shown(report: Report, name: str | None) -> str:
    if name is None or name not in report:
        return "-"
    if name.endswith("kid_mobilenet"):
        deviation = report[f"{name}_std"]
        return f"{report[name] * 1000:.2f}" + (f" ± {deviation * 1000:.2f}" if deviation is not None else "")
    return f"{report[name]:.2f}" if name.endswith("psnr") else f"{report[name]:.4f}"


def _kid_remark(report: Report) -> str:
    text = f"KID against {report['kid_reference_pictures']} {report['kid_reference']} pictures"
    size = report["kid_subset_size"]
    few = f"; subsets of only {size}: there are no more pictures" if size < KID_SUBSET else f"; subsets of {size}"
    return text + few


def _write(report: Report, path: pathlib.Path) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
        partial.replace(path)
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written ({error.strerror})") from None
