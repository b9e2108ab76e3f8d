"""The order of pictures, the augmentation bare and inside tf.data, and the batches."""

import dataclasses
import io
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kgan.data import Crops, augmentation, open_pictures, training_dataset
from kgan.data.order import permutation, picture_indices
from kgan.errors import UserError
from kgan.runs.settings import TrainConfig


def picture(index, height=48, width=64):
    """A smooth picture that is identified by its blue value."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, 0 * x + index], -1).astype(np.uint8)


def encoded(pixels, file_format="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Five photos and seven paintings in PNG; `negative`: the photos as 255 - value, under the same names."""
    root = tmp_path_factory.mktemp("pictures")
    for name in ("content", "style", "negative"):
        (root / name).mkdir()
    for index in range(5):
        Image.fromarray(picture(index * 10)).save(root / f"content/{index}.png")
        Image.fromarray(255 - picture(index * 10)).save(root / f"negative/{index}.png")
    for index in range(7):
        Image.fromarray(picture(100 + index * 10, 80, 50)).save(root / f"style/{index}.png")
    return root


@pytest.fixture
def config(folders):
    return TrainConfig(
        content=str(folders / "content"), style=str(folders / "style"), cache=str(folders / "cache"),
        recipe="cyclegan", size=16, batch_size=3, min_crop=0.5, max_crop=1.0,
    )  # fmt: skip


def batches(config, count, start=0):
    dataset = training_dataset(open_pictures(config), config, start)
    return list(dataset.take(count).as_numpy_iterator())


# --- order ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(-(2**40), 2**40), st.integers(0, 1), st.integers(0, 5))
def test_every_epoch_shows_every_picture_once(length, seed, domain, epoch):
    samples = np.arange(epoch * length, (epoch + 1) * length)
    assert sorted(picture_indices(samples, length, seed, domain)) == list(range(length))


def test_order_is_golden():
    """Runs of other versions must be resumed in the same order."""
    assert permutation(10, 0, 0, 0).tolist() == [0, 8, 9, 3, 7, 5, 1, 2, 6, 4]


def test_order_differs_by_seed_domain_and_epoch():
    orders = [permutation(50, *key).tolist() for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]]
    assert all(a != b for i, a in enumerate(orders) for b in orders[:i])


def test_order_ignores_how_samples_are_grouped():
    whole = picture_indices(np.arange(100), 7, 3, 0)
    parts = [picture_indices(np.arange(start, start + 4), 7, 3, 0) for start in range(0, 100, 4)]
    assert np.array_equal(whole, np.concatenate(parts))


# --- augmentation -----------------------------------------------------------------------------------------------------


CROPS = [(0.1, 1.0), (0.3, 0.6), (1.0, 1.0)]


@settings(max_examples=60)
@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 2**60), st.sampled_from(CROPS))
def test_window_lies_inside(height, width, number, crops):
    seed = tf.constant([5, number], tf.int64)
    top, left, side = augmentation.random_window(tf.constant([height, width]), seed, *crops).numpy()
    assert 0 <= top <= height - side
    assert 0 <= left <= width - side
    least, most = (max(1, round(share * min(height, width))) for share in crops)
    assert least - 1 <= side <= most


def test_windows_reach_both_ends_and_all_sides():
    seeds = tf.data.Dataset.range(1000).map(lambda number: tf.stack([0, number]))
    windows = seeds.map(lambda seed: augmentation.random_window(tf.constant([4, 6]), seed, 0.5, 1.0))
    seen = {tuple(window.tolist()) for window in windows.as_numpy_iterator()}
    every = {(y, x, s) for s in (2, 3, 4) for y in range(4 - s + 1) for x in range(6 - s + 1)}
    assert seen == every


@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True})])
def test_shape_from_the_header(file_format, options):
    data = encoded(picture(0, 37, 301), file_format, **options)
    assert augmentation.picture_shape(data).numpy().tolist() == [37, 301]


def test_window_at_full_resolution_is_the_slice():
    pixels = picture(7)
    crop = augmentation.decode_window(encoded(pixels), tf.constant([3, 5, 20]), 20, 3).numpy()
    assert np.array_equal(crop, pixels[3:23, 5:25])


@pytest.mark.parametrize("side", [100, 200, 399, 400, 800])
def test_jpeg_at_a_fraction_of_its_size_equals_the_png(side):
    """Decoding at 1/2, 1/4 and 1/8 gives the same picture."""
    pixels = picture(90, 810, 900)
    window = tf.constant([8, 64, side])
    jpeg = augmentation.decode_window(encoded(pixels, "JPEG", quality=98, subsampling=0), window, 100, 3).numpy()
    png = augmentation.decode_window(encoded(pixels), window, 100, 3).numpy()
    assert np.abs(jpeg - png).max() <= 4  # quality 98 alone costs 3 in single pixels
    assert np.abs(jpeg - png).mean() < 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels(channels):
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    pixels = np.asarray(Image.fromarray(picture(50)).convert(mode))
    crop = augmentation.decode_window(encoded(pixels), tf.constant([0, 0, 48]), 48, channels)
    assert np.array_equal(crop, pixels.reshape(48, 64, channels)[:, :48])


def test_gray_training_reads_a_colour_jpeg_as_luma():
    data = encoded(np.full((16, 16, 3), (255, 0, 0), np.uint8), "JPEG", quality=95)
    crop = augmentation.decode_window(data, tf.constant([0, 0, 16]), 16, 1)
    assert np.abs(crop - 76).max() <= 1


def test_flip_is_half_of_the_time_and_a_mirror():
    image = tf.constant([[[1.0], [2.0]]])
    seeds = [tf.constant([3, number], tf.int64) for number in range(200)]
    flipped = [augmentation.random_flip(image, seed).numpy().ravel().tolist() for seed in seeds]
    assert 70 < flipped.count([2.0, 1.0]) < 130
    assert flipped.count([2.0, 1.0]) + flipped.count([1.0, 2.0]) == 200


@pytest.mark.parametrize("operation", ["random_flip", "window"])
def test_the_same_bare_and_inside_tf_data(operation):
    def apply(seed):
        image = tf.constant(picture(1, 20, 20), tf.float32)
        if operation == "random_flip":
            return augmentation.random_flip(image, seed)
        return augmentation.random_window(tf.shape(image)[:2], seed, 0.3, 0.9)

    seeds = tf.constant([[1, 2], [3, 4], [5, 6]], tf.int64)
    inside = tf.data.Dataset.from_tensor_slices(seeds).map(apply, num_parallel_calls=2)
    for seed, value in zip(seeds, inside, strict=True):
        assert np.array_equal(apply(seed), value)


# --- batches ----------------------------------------------------------------------------------------------------------


def test_shape_range_and_static_shape(config):
    dataset = training_dataset(open_pictures(config), config, 0)
    assert {name: spec.shape.as_list() for name, spec in dataset.element_spec.items()} == {
        "content": [3, 16, 16, 3],
        "style": [3, 16, 16, 3],
    }
    first = next(dataset.as_numpy_iterator())
    assert first["content"].dtype == np.float32
    assert -1 <= first["content"].min() < -0.5
    assert 0.5 < first["content"].max() <= 1


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(config):
    one, two = batches(config, 6), batches(config, 6)
    other = batches(dataclasses.replace(config, seed=1), 6)
    assert all(a[name].tobytes() == b[name].tobytes() for a, b in zip(one, two, strict=True) for name in a)
    assert one[0]["content"].tobytes() != other[0]["content"].tobytes()


@pytest.mark.parametrize("start", [1, 4, 7])
def test_starting_at_a_step_equals_having_come_there(config, start):
    whole, late = batches(config, 9), batches(config, 9 - start, start)
    for expected, received in zip(whole[start:], late, strict=True):
        assert expected["content"].tobytes() == received["content"].tobytes()
        assert expected["style"].tobytes() == received["style"].tobytes()


def test_a_far_step_starts_at_once(config):
    assert batches(config, 1, 10**9)[0]["style"].shape == (3, 16, 16, 3)


def test_a_sample_does_not_depend_on_the_batch_size(config):
    single = batches(dataclasses.replace(config, batch_size=1), 6)
    assert np.array_equal(np.concatenate([batch["style"] for batch in single[:6]])[3:], batches(config, 2)[1]["style"])


def test_each_epoch_shows_each_picture_once(config):
    config = dataclasses.replace(config, batch_size=5)
    for batch in batches(config, 4):
        blues = np.round((batch["content"][..., 2].mean((1, 2)) + 1) * 127.5)
        assert sorted(blues.tolist()) == [0, 10, 20, 30, 40]


def test_paired_pictures_share_index_crop_and_mirroring(config, folders):
    config = dataclasses.replace(config, recipe="paired", style=str(folders / "negative"), batch_size=5)
    for batch in batches(config, 3):
        np.testing.assert_allclose(batch["content"], -batch["style"], atol=1e-5)


def test_unpaired_domains_are_augmented_independently(config, folders):
    config = dataclasses.replace(config, style=config.content, batch_size=5)
    batch = batches(config, 1)[0]
    assert not np.array_equal(np.sort(batch["content"], 0), np.sort(batch["style"], 0))


def test_the_style_can_have_crops_of_its_own(config):
    own = dataclasses.replace(config, style_min_crop=0.2, style_max_crop=0.3)
    usual = dataclasses.replace(config, min_crop=0.2, max_crop=0.3)
    (got,), (expected,), (before,) = (batches(each, 1) for each in (own, usual, config))
    assert np.array_equal(got["style"], expected["style"])
    assert np.array_equal(got["content"], before["content"])
    assert not np.array_equal(got["style"], before["style"])


def test_crops_of_the_style_by_hand():
    crops = Crops(min_crop=0.5, max_crop=0.9, style_min_crop=0.25)
    assert (crops.of_style.min_crop, crops.of_style.max_crop) == (0.25, 0.9)
    assert Crops().of_style == Crops()
    with pytest.raises(UserError, match=r"style_max_crop should be at least style_min_crop \(0.5\) and at most 1"):
        Crops(min_crop=0.5, style_max_crop=0.4)


def test_style_recipes_get_the_style_alone(config):
    config = dataclasses.replace(config, recipe="synthesis", content=None)
    assert list(batches(config, 1)[0]) == ["style"]


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels(config, channels):
    batch = batches(dataclasses.replace(config, channels=channels), 1)[0]
    assert batch["content"].shape == (3, 16, 16, channels)
    if channels == 4:
        np.testing.assert_allclose(batch["content"][..., 3], 1, atol=1e-5)


@pytest.mark.long
def test_process_that_stops_reading_ends_well(config):
    """tf.data's threads are inside Python when the interpreter ends; without `kgan.data.gate` that aborts it."""
    code = (
        "from kgan.runs.settings import TrainConfig; from kgan.data import *\n"
        f"config = {config!r}\n"
        "batches = iter(training_dataset(open_pictures(config), config, 0)); next(batches)\n"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=120).returncode == 0
