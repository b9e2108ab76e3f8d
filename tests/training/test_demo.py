"""The result of `make demo`: the PSNR of the test pictures improves by 1.5 dB, even with its shortest schedule."""

import dataclasses
import io
import pathlib
import re

import keras
import numpy as np
import pytest
import small_runs
from PIL import Image

import kgan
from kgan import metrics
from kgan.assembly import build_gan
from kgan.data import open_pictures, training_dataset
from kgan.evaluation.scored import first_pictures
from kgan.images.resizing import for_scores
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

MAKEFILE = (pathlib.Path(kgan.__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
PROMISE = 1.5


def settings(**changes):
    cache = str(small_runs.home() / "cache")
    return dataclasses.replace(recipes.resolve(TrainConfig(cache=cache, **changes)), jit=False, devices=1)


def pictures_of(pictures):
    return pictures.test_content, pictures.test_truth


def psnr(pictures, truth):
    return float(np.mean(metrics.psnr(*((np.clip(x, -1, 1) + 1) / 2 for x in (truth, pictures)))))


def test_it_fails_below_its_promise():
    asked = float(re.search(r"--fail-under truth_psnr=([\d.]+)", MAKEFILE)[1])
    pictures = open_pictures(settings())
    scores = [
        metrics.psnr(content / np.float32(255), truth / np.float32(255))
        for content, truth in zip(*map(shown, pictures_of(pictures)), strict=True)
    ]
    assert len(scores) == 52
    assert asked == pytest.approx(np.mean(scores) + PROMISE, abs=0.01)


def shown(store):
    """The pictures of a store as an evaluation reads them."""
    for encoded in store.encoded(np.arange(len(store))):
        yield for_scores(np.asarray(Image.open(io.BytesIO(encoded))), settings().size)


@pytest.mark.long
def test_the_shortest_schedule_keeps_it():
    """The fewest steps that `--minutes` may choose. At a smaller size, which takes a quarter of the time."""
    config = settings(size=32, minutes=1.0)
    config = recipes.with_intervals(config, recipes.steps_in_time(config, seconds=1e9))
    assert config.steps == 288
    keras.utils.set_random_seed(config.seed)
    gan, pictures = build_gan(config), open_pictures(config)
    gan.fit(training_dataset(pictures, config, 0), steps_per_epoch=config.steps, shuffle=False, verbose=0)
    scored = first_pictures(pictures, 99)
    pairs = [scored.example(place, config.channels, config.size) for place in range(52)]
    content, truth = (np.stack(side) / np.float32(127.5) - 1 for side in zip(*pairs, strict=True))
    assert psnr(gan.stylist(content).numpy(), truth) > psnr(content, truth) + PROMISE
