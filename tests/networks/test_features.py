import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan import cli, kinds
from kgan.errors import UserError
from kgan.networks import features
from kgan.networks.features import mobilenet, vgg, vgg16
from kgan.networks.features import packaged as packaged_files
from kgan.registry import Registry
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

# Of keras.applications.MobileNet(include_top=False) with the float32 weights that the packaged file was made from, on
# `picture()`: (shape, mean, standard deviation) of each perceptual layer, and the largest 8 of the pooled features.
GOLDEN_LAYERS = [
    ((32, 32, 64), 1.57725, 1.66312),
    ((16, 16, 128), 1.09189, 1.33466),
    ((8, 8, 256), 0.97900, 1.22313),
    ((4, 4, 512), 1.74088, 1.85635),
]
GOLDEN_POOLED = {540: 5.9904, 618: 5.3595, 493: 5.1544, 140: 4.3866, 559: 4.3553, 353: 4.0906, 782: 3.9866, 217: 3.7475}
GOLDEN_POOLED_NORM = 23.89396

# Of the edge detector's float32 weights that vgg16.npz was made from, by `plain_vgg16` in float64.
GOLDEN_VGG16 = [
    ((64, 64, 64), 0.75557, 2.77154),
    ((32, 32, 128), 0.20147, 1.04475),
    ((16, 16, 256), 0.08078, 0.36219),
    ((8, 8, 512), 0.17638, 0.29943),
]


@pytest.fixture(scope="module")
def packaged():
    return features.build()


@pytest.fixture(scope="module")
def packaged_vgg16():
    return features.build("vgg16")


def picture():
    """[1, 64, 64, 3] in [-1, 1]: two ramps and a wave."""
    y, x = np.mgrid[0:64, 0:64] / 63
    light = np.stack([x, y, (np.sin(12 * x) * np.cos(9 * y) + 1) / 2], axis=-1)
    return (light[None] * 2 - 1).astype("float32")


def test_packaged_layers_agree_with_keras_applications(packaged):
    for maps, (shape, mean, deviation) in zip(packaged(picture()), GOLDEN_LAYERS, strict=True):
        assert maps.dtype == tf.float32
        assert maps.shape == (1, *shape)
        assert float(tf.reduce_mean(maps)) == pytest.approx(mean, rel=2e-3)
        assert float(tf.math.reduce_std(maps)) == pytest.approx(deviation, rel=2e-3)


def test_packaged_pooled_features_agree_with_keras_applications(packaged):
    pooled = packaged.pooled(picture())[0].numpy()
    assert pooled.shape == (1024,)
    np.testing.assert_allclose(pooled[list(GOLDEN_POOLED)], list(GOLDEN_POOLED.values()), atol=0.03)
    assert np.linalg.norm(pooled) == pytest.approx(GOLDEN_POOLED_NORM, rel=0.005)


@pytest.mark.parametrize(
    ("file", "megabytes", "named"),
    [
        (mobilenet.PACKAGED, 5.7, ["Apache License, Version 2.0", "TensorFlow Authors"]),
        (
            vgg16.PACKAGED,
            5.1,
            ["MIT License", "Mohammad Saad Nathani", "Zisserman", "creativecommons.org/licenses/by/4.0"],
        ),
    ],
    ids=["mobilenet", "vgg16"],
)
def test_packaged_files_are_small_and_carry_their_notices(file, megabytes, named):
    assert file.stat().st_size <= megabytes * 1e6
    notice = file.with_suffix(".NOTICE").read_text(encoding="utf-8")
    assert all(words in notice for words in named)


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_numbers_survive_as_separate_bytes(precision):
    array = np.array([[1.0, -2.0, 0.5], [np.inf, 6e-8, 65504.0]], precision)
    parts = packaged_files.split(array)
    assert parts.dtype == np.uint8
    assert parts[-1, 0].tolist() == {"float16": [0x3C, 0xC0, 0x38], "float32": [0x3F, 0xC0, 0x3F]}[precision]
    again = packaged_files.joined(parts)
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize("side", [16, 31, 50, 64])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_size_and_channel_count(packaged, packaged_vgg16, side, channels):
    maps = packaged(tf.zeros([2, side, side, channels]))
    assert [m.shape[1] for m in maps] == [-(-side // step) for step in (2, 4, 8, 16)]
    maps = packaged_vgg16(tf.zeros([2, side, side, channels]))
    assert [m.shape[1:] for m in maps] == [
        (side // step, side // step, width) for step, width in zip((1, 2, 4, 8), packaged_vgg16.widths, strict=True)
    ]


def plain_vgg16(picture):
    """The perceptual maps by NumPy in float64, written from the paper: [H, W, 3] in [-1, 1] -> [[h, w, c], ...]."""
    arrays = {name: array.astype("float64") for name, array in packaged_files.read(vgg16.PACKAGED).items()}
    maps = (picture.astype("float64")[..., ::-1] + 1) * 127.5 - np.array([103.939, 116.779, 123.68])
    found = []
    for block, depth in ((1, 2), (2, 2), (3, 3), (4, 1)):
        for place in range(1, depth + 1):
            kernel, bias = (arrays[f"conv{block}_{place}/{part}"] for part in ("kernel", "bias"))
            windows = np.lib.stride_tricks.sliding_window_view(np.pad(maps, ((1, 1), (1, 1), (0, 0))), (3, 3), (0, 1))
            maps = np.maximum(np.einsum("hwcij,ijcd->hwd", windows, kernel, optimize=True) + bias, 0)
        found.append(maps / 58)
        height, width = (side // 2 * 2 for side in maps.shape[:2])
        cells = maps[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
        maps = cells.max(axis=(1, 3))
    return found


def test_vgg16_agrees_with_a_plain_one_in_float64(packaged_vgg16):
    """Odd sides too: a last row is left out when halving. The tolerance is that of float32: a sum of n numbers errs by
    about sqrt(n) * 2^-24 of its size, n is at most 9 * 256, and 8 layers add up: 2.3e-5. Four times that is allowed."""
    noise = np.random.default_rng(0).uniform(-1, 1, (22, 19, 3)).astype("float32")
    for given in (picture()[0], noise):
        for got, expected in zip(packaged_vgg16(given[None]), plain_vgg16(given), strict=True):
            assert got.dtype == tf.float32
            np.testing.assert_allclose(got[0], expected, rtol=0, atol=1e-4 * expected.max())


def test_vgg16_has_the_weights_that_it_was_made_from(packaged_vgg16):
    for maps, (shape, mean, deviation) in zip(packaged_vgg16(picture()), GOLDEN_VGG16, strict=True):
        assert maps.shape == (1, *shape)
        assert float(tf.reduce_mean(maps)) == pytest.approx(mean, rel=2e-3)
        assert float(tf.math.reduce_std(maps)) == pytest.approx(deviation, rel=2e-3)


def test_vgg16_pools_its_last_map_of_224_pixels(packaged_vgg16):
    pictures = np.random.default_rng(1).uniform(-1, 1, (1, 224, 224, 3)).astype("float32")
    pooled = packaged_vgg16.pooled(pictures)
    np.testing.assert_allclose(pooled, np.mean(packaged_vgg16(pictures)[-1], axis=(1, 2)), rtol=1e-5)
    assert packaged_vgg16.pooled(picture()).shape == (1, 512)


@pytest.mark.slow  # XLA takes 8 s to compile 27 layers and their gradients
def test_gradients_reach_the_picture_and_no_weight_is_trained(packaged):
    pictures = tf.constant(picture())

    @tf.function(jit_compile=True)
    def gradient(pictures):
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            total = tf.add_n([tf.reduce_mean(maps) for maps in packaged(pictures)])
        return tape.gradient(total, pictures), len(tape.watched_variables())

    slope, trained = gradient(pictures)
    assert float(tf.reduce_max(tf.abs(slope))) > 0
    assert int(trained) == 0


def test_a_model_that_holds_features_does_not_save_them(packaged, tmp_path):
    model = keras.Model()
    model.extractor = packaged
    assert model.weights == []
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "checkpoint"))
    assert [shape for _, shape in tf.train.list_variables(path) if shape] == []


def test_own_mobilenet_weights_are_folded_exactly(tmp_path):
    model = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(None, None, 3))
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.gamma.shape[0]
            layer.set_weights([random.uniform(0.5, 3, count), *random.normal(0, 0.5, (2, count)),
                               random.uniform(0.01, 2, count)])  # fmt: skip
    path = tmp_path / "own.weights.h5"
    model.save_weights(path)
    names = [f"{name}_relu" for name in mobilenet.MobileNetFeatures.perceptual]
    reference = keras.Model(model.input, [model.get_layer(name).output for name in names])
    pictures = tf.random.uniform([2, 64, 64, 3], -1, 1)
    for got, expected in zip(features.build("mobilenet", str(path))(pictures), reference(pictures), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_vgg_layers_are_those_of_keras_applications(name, tmp_path):
    model = getattr(keras.applications, name.upper())(weights=None, include_top=False, input_shape=(None, None, 3))
    path = tmp_path / "vgg.weights.h5"
    model.save_weights(path)
    extractor = features.build(name, str(path))
    pictures = tf.random.uniform([1, 32, 32, 3], -1, 1)
    prepared = keras.applications.vgg19.preprocess_input((pictures.numpy() + 1) * 127.5)  # VGG16 has the same
    names = [re.sub(r"^conv(\d)_", r"block\1_conv", layer) for layer in extractor.perceptual]
    for got, layer in zip(extractor(pictures), names, strict=True):
        expected = keras.Model(model.input, model.get_layer(layer).output)(prepared) / vgg.DEVIATION
        np.testing.assert_allclose(got, expected, atol=1e-4 * float(tf.reduce_max(expected)))
    assert extractor.pooled(pictures).shape == (1, 512)


def test_a_missing_or_unsuitable_file_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match=r"feature_weights .*nowhere.h5: no such file"):
        features.build("mobilenet", str(tmp_path / "nowhere.h5"))
    text = tmp_path / "text.weights.h5"
    text.write_text("not weights", encoding="utf-8")
    with pytest.raises(UserError, match="should give the weights of mobilenet") as caught:
        features.build("mobilenet", str(text))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"features resnet: no such feature network; .*There are mobilenet, vgg16"):
        features.build("resnet")


def test_one_more_feature_network_takes_one_file(tmp_path, monkeypatch, capsys):
    """A file with a row is sufficient: the help, the settings, suggestions and loss terms use it."""
    (tmp_path / "networks" / "features").mkdir(parents=True)
    code = """
import tensorflow as tf
from kgan.kinds import FEATURES
from kgan.networks.features import FeatureExtractor

@FEATURES.add("edges", help="differences of neighbours")
class Edges(FeatureExtractor):
    widths = (3,)

    def __init__(self, weights=None):
        pass

    def __call__(self, pictures):
        return [pictures[:, 1:] - pictures[:, :-1]]
"""
    (tmp_path / "networks" / "features" / "edges.py").write_text(code, encoding="utf-8")
    for name in features.FEATURES:
        (tmp_path / "networks" / "features" / f"{name}.py").symlink_to(f"{features.__path__[0]}/{name}.py")
    for table in vars(kinds).values():
        list(table if isinstance(table, Registry) else ())  # the other tables are read from kgan's own files
    monkeypatch.setattr("kgan.registry._ROOT", tmp_path)
    monkeypatch.setattr(features, "__path__", [*features.__path__, str(tmp_path / "networks" / "features")])
    features.FEATURES.refresh()
    try:
        with pytest.raises(SystemExit):
            cli.main(["train", "--help"])
        assert "edges (differences of neighbours)" in " ".join(re.sub("[│ ]+", " ", capsys.readouterr().out).split())
        with pytest.raises(UserError, match="did you mean edges"):
            recipes.resolve(TrainConfig(features="egdes"))
        assert recipes.resolve(TrainConfig(features="edges")).features == "edges"
        (maps,) = features.build("edges")(tf.constant([[[[1.0]], [[3.0]]]]))
        assert maps.numpy().tolist() == [[[[2.0]]]]
    finally:
        features.FEATURES.remove("edges")
        features.FEATURES.refresh()
