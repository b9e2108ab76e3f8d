import numpy as np
import pytest
import small_models
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kgan.export.signatures import signatures
from kgan.inference import model as models
from kgan.inference.loading import of_generator
from kgan.inference.stylist import Stylist
from kgan.inference.tiles import Functions, Source, Tiled, spans
from kgan.metrics.seams import seam_ratio
from kgan.networks.mobile import MobileGenerator
from kgan.networks.statistics import Part

KINDS = ("content", "content_noise", "gray_pool", "rgba", "mobile")


def generator(kind):
    if kind != "mobile":
        return small_models.make_generator(kind)
    made = MobileGenerator(filters=8, blocks=2, residual=True)
    made.build((None, None, None, 3))
    for variable in made.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign_add(tf.random.normal(variable.shape, stddev=np.prod(variable.shape[:-1]) ** -0.5))
    return made


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    return of_generator(generator(request.param), "normal", 2.0)


def blocks(height, width, channels=3, seed=0):
    """A picture of flat squares of 8x8 pixels, so that coarse layers have much to see."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, channels), np.uint8)
    return small.repeat(8, 0).repeat(8, 1)[:height, :width]


def smallest_tiles(model):
    """So little memory that a picture of 40,000 pixels is restyled in the smallest tiles."""
    return model.bytes_per_pixel * 100 / 1e9


@pytest.mark.parametrize(
    ("height", "width", "strokes"), [(205, 143, 1), pytest.param(141, 211, 2, marks=pytest.mark.long)]
)
def test_exact_tiles_are_the_whole_picture(model, height, width, strokes):
    picture = blocks(height, width)
    whole = model(picture, 3, strokes, memory=100.0)
    tiled = model(picture, 3, strokes, memory=smallest_tiles(model), exact=True)
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert whole.std() > 10


def test_a_batch_in_tiles_has_the_noise_of_each_row():
    model = of_generator(generator("content_noise"), "normal", 2.0)
    pictures = np.stack([blocks(141, 97)] * 2)
    whole = model(pictures, 3, memory=100.0)
    tiled = model(pictures, 3, memory=smallest_tiles(model), exact=True)
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_floats_in_tiles_keep_their_dtype():
    model = of_generator(generator("rgba"), "normal", 2.0)
    picture = blocks(141, 97).astype(np.float64) / 255
    tiled = model(picture, 3, memory=smallest_tiles(model), exact=True)
    assert tiled.dtype == np.float64
    np.testing.assert_allclose(tiled, model(picture, 3, memory=100.0), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_beyond_the_reach_changes_nothing(kind):
    stylist = Stylist(generator(kind))
    reach, stride = stylist.facts.reach, stylist.stride
    side = 2 * (reach // stride + 4) * stride
    image = tf.random.stateless_uniform((1, side, side, stylist.facts.channels), (0, 1))
    noise = stylist.noise(0, 1, side, side) if stylist.facts.noise_channels else None
    statistics = stylist.statistics(image, noise)
    part = Part(tf.constant([0, 0, side, side]), tf.constant([0, side, 0, side]))
    middle = side // 2
    other = image.numpy()
    other[:, middle, middle] = 1 - other[:, middle, middle]
    before, after = (stylist.tile(each, noise, statistics, part)[0].numpy() for each in (image, tf.constant(other)))
    rows, columns = np.nonzero((before != after).any(axis=(0, 3)))
    distance = max(np.abs(rows - middle).max(), np.abs(columns - middle).max())
    assert 0 < distance <= reach


@pytest.mark.parametrize("kind", ["content", "content_noise"])
def test_own_statistics_change_nothing(kind):
    model = of_generator(generator(kind), "normal", 2.0)
    pictures = np.stack([blocks(37, 51), blocks(37, 51, seed=1)])
    made = model.with_statistics(pictures, model.statistics(pictures, 3), 3)
    assert np.abs(made.astype(int) - model(pictures, 3)).max() <= 1
    swapped = model.with_statistics(pictures, model.statistics(pictures, 3)[::-1], 3)
    assert np.abs(made.astype(int) - swapped).max() > 10


@given(st.integers(1, 60), st.integers(1, 5), st.integers(0, 4), st.integers(1, 8))
def test_spans_cover_an_axis_once(cells, inner, around, stride):
    length, margin, side = cells * stride, around * stride, (inner + 2 * around) * stride
    made = spans(length, side, margin, stride)
    assert [one.inner_start for one in made] == [0, *(one.inner_stop for one in made[:-1])]
    assert made[-1].inner_stop == length
    for one in made:
        assert one.stop - one.start <= side or len(made) == 1
        assert one.start == max(0, one.inner_start - margin)
        assert one.stop == min(length, one.inner_stop + margin)
        assert not (one.start % stride)
        assert not (one.stop % stride)


@pytest.mark.parametrize("size", [(97, 61), (48, 30), (194, 122), (131, 77)])
def test_a_window_is_cut_from_the_resized_picture(size):
    picture = blocks(97, 61, 4)
    source = Source(picture, size, 4)
    whole = tf.image.resize(picture[None] / np.float32(255), size, "lanczos3", antialias=True)[0].numpy()
    np.testing.assert_allclose(source.whole(), np.clip(whole, 0, 1), atol=1e-5)
    window = source.window(slice(11, 40), slice(5, 23))
    np.testing.assert_allclose(window, np.clip(whole, 0, 1)[11:40, 5:23], atol=1e-5)


def test_no_tile_is_larger_than_allowed():
    seen = []

    def tile(inputs):
        seen.append(inputs["image"].shape)
        return inputs["image"], np.zeros((1, 2, 0), np.float32)

    functions = Functions(lambda _: np.zeros((1, 2, 0), np.float32), lambda _: None, tile, stride=4, reach=10)
    picture = blocks(301, 517)
    tiled = Tiled(functions, Source(picture, (301, 517), 3), None, functions.side(70))
    np.testing.assert_array_equal(tiled.restyle(tiled.thumbnail_statistics(), np.uint8, lambda: None), picture)
    assert len(seen) == len(tiled) > 50
    assert max(max(shape[1:3]) for shape in seen) <= 70


def test_served_files_are_restyled_in_tiles_too():
    """Without norms the tiles of the served graph equal the whole picture."""
    stylist = Stylist(generator("rgba"))
    picture = blocks(203, 317, 4)
    picture[..., 3] = 255
    memory = stylist.facts.bytes_per_pixel("tensorflow") * 120**2
    served = signatures(stylist, memory)["serving_bytes"](image_bytes=tf.io.encode_png(picture)[None])
    assert served["error"].numpy().tolist() == [b""]
    made = tf.io.decode_png(served["stylized_bytes"][0], channels=4).numpy()
    whole = np.rint(stylist(tf.constant(picture[None] / np.float32(255)))[0].numpy() * 255)
    assert np.abs(made - whole).max() <= 1


def test_served_tiles_are_those_of_a_loaded_model():
    made = generator("content_noise")
    stylist = Stylist(made)
    picture = blocks(203, 317)
    memory = stylist.facts.bytes_per_pixel("tensorflow") * 150**2
    served = signatures(stylist, memory)["serving_bytes"](
        image_bytes=tf.io.encode_png(picture)[None], seed=tf.constant([3])
    )
    loaded = of_generator(made, "normal", 2.0)(picture, 3, memory=100.0)
    difference = tf.io.decode_png(served["stylized_bytes"][0]).numpy().astype(int) - loaded
    assert np.abs(difference).mean() < 12  # thumbnails give other statistics than the whole picture


def test_work_grows_with_the_overlap_of_tiles():
    model = of_generator(generator("content"), "normal", 2.0)
    memory = 1e9 * smallest_tiles(model)
    assert model.work_per_pixel(100, 1e12, exact=False) == 1
    plain = model.work_per_pixel(10**6, memory, exact=False)
    assert 1 < plain <= 9
    assert model.work_per_pixel(10**6, memory, exact=True) == models.EXACT_PASSES * plain


def test_seam_ratio_by_hand():
    slope = np.zeros((40, 40, 1)) + np.arange(40.0)[:, None, None]
    assert seam_ratio([slope], [[20]], [[]]) == pytest.approx(1)
    slope[20:] += 3
    assert seam_ratio([slope], [[20]], [[]]) == pytest.approx(4)
    with pytest.raises(ValueError, match="far enough"):
        seam_ratio([slope], [[4]], [[]])


def test_the_grid_of_a_network_is_no_seam():
    grid = np.zeros((80, 80, 1))
    grid[np.arange(80) // 4 % 2 == 1] = 1  # a step at every fourth row
    assert seam_ratio([grid], [[40]], [[]]) == pytest.approx(4)
    assert seam_ratio([grid], [[40]], [[]], stride=4) == pytest.approx(1)


@pytest.mark.long
def test_tiles_alone_have_seams_and_tiles_of_one_picture_have_none():
    """The planted fault: every tile is restyled with its own statistics."""
    model = of_generator(generator("content"), "normal", 2.0)
    picture = np.clip(np.linspace(0, 255, 256)[:, None, None] + blocks(256, 320) / 4.0, 0, 255).astype(np.uint8)
    tiled = model(picture, memory=smallest_tiles(model), exact=True)
    alone = np.concatenate([model(part, memory=100.0) for part in np.split(picture, 4)])
    rows = [[64, 128, 192]]
    assert seam_ratio([alone], rows, [[]], stride=4) > 1.3
    assert seam_ratio([tiled], rows, [[]], stride=4) == pytest.approx(
        seam_ratio([model(picture, memory=100.0)], rows, [[]], stride=4), abs=0.02
    )
