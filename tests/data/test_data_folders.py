"""kgan.data.from_folders and validation_from_folders: data sets for Python programs."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest
import small_runs
import tensorflow as tf
from PIL import Image

import kgan
from kgan.data import open_pictures, training_dataset
from kgan.images.decoding import decode_picture
from kgan.runs.settings import TrainConfig

ROOT = pathlib.Path(small_runs.pictures())


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def folders(cache, **changes):
    given = {"content": ROOT / "trainA", "style": ROOT / "trainB", "size": 16, "batch_size": 4, "cache": cache}
    return kgan.data.from_folders(**given | changes)


def batches(dataset, count):
    return [{name: value.numpy() for name, value in batch.items()} for batch in dataset.take(count)]


@pytest.mark.parametrize("recipe", ["cut", "paired"])
def test_they_are_the_batches_of_a_training(cache, recipe):
    crops = {"size": 16, "batch_size": 4, "seed": 3, "min_crop": 0.6, "max_crop": 0.9, "flip": True}
    config = dataclasses.replace(TrainConfig(recipe=recipe, data=str(ROOT), cache=str(cache)), **crops)
    expected = batches(training_dataset(open_pictures(config), config, 2), 3)
    got = batches(folders(cache, paired=recipe == "paired", first_batch=2, **crops), 3)
    for one, other in zip(got, expected, strict=True):
        assert one.keys() == other.keys() == {"content", "style"}
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_shapes_ranges_and_kinds(cache):
    (batch,) = batches(folders(cache, channels=1, size=24, batch_size=5), 1)
    assert {name: (value.shape, value.dtype) for name, value in batch.items()} == {
        "content": ((5, 24, 24, 1), np.float32),
        "style": ((5, 24, 24, 1), np.float32),
    }
    assert -1 <= batch["content"].min() < 0 < batch["content"].max() <= 1
    assert [*folders(cache, style=None).element_spec] == ["content"]
    assert [*folders(cache, content=None).element_spec] == ["style"]
    spec = folders(cache).element_spec["content"]
    assert spec == tf.TensorSpec((4, 16, 16, 3), tf.float32)


def test_the_seed_decides(cache):
    first, again, other = (batches(folders(cache, seed=seed), 1)[0]["style"] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_validation_is_the_middle_of_every_picture(cache, tmp_path):
    rows = np.arange(0, 200, 10, dtype=np.uint8)[:, None].repeat(30, axis=1)  # 20 rows, 30 columns
    for name in ("a", "b", "c"):
        Image.fromarray(np.stack([rows] * 3, -1)).save(tmp_path / f"{name}.png")
    dataset = kgan.data.validation_from_folders(tmp_path, size=20, batch_size=2, cache=cache)
    assert dataset.cardinality() == 2
    got = batches(dataset, 9)
    assert [batch["content"].shape for batch in got] == [(2, 20, 20, 3), (1, 20, 20, 3)]
    expected = rows[:, 5:25, None].repeat(3, axis=2) / 127.5 - 1
    np.testing.assert_allclose(got[1]["content"][0], expected, atol=1e-6)
    assert len(batches(kgan.data.validation_from_folders(tmp_path, size=20, count=1, cache=cache), 9)) == 1


def test_validation_has_the_truth_of_the_same_name(cache):
    dataset = kgan.data.validation_from_folders(ROOT / "testA", ROOT / "testB", size=16, cache=cache)
    (batch,) = batches(dataset, 9)
    assert batch["content"].shape == batch["truth"].shape == (3, 16, 16, 3)
    (alone,) = batches(kgan.data.validation_from_folders(ROOT / "testB", size=16, cache=cache), 9)
    assert np.array_equal(alone["content"], batch["truth"])
    side = min(decode_picture(next((ROOT / "testB").iterdir())).shape[:2])
    assert side >= 16


def test_a_model_of_ones_own_trains_on_them(cache):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.layer = keras.layers.Conv2D(3, 1)

        def train_step(self, data):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.abs(self.layer(data["content"]) - data["style"]))
            self.optimizer.apply(tape.gradient(loss, self.layer.trainable_variables), self.layer.trainable_variables)
            return {"loss": loss}

    model = Model()
    model.compile("sgd")
    history = model.fit(folders(cache), steps_per_epoch=2, epochs=2, verbose=0, shuffle=False).history
    assert len(history["loss"]) == 2


def test_the_names_of_the_room():
    for name in kgan.data.__all__:
        assert getattr(kgan.data, name).__doc__, name
    assert set(kgan.data.__all__) == set(kgan.data._LOCATIONS) <= set(dir(kgan.data))
