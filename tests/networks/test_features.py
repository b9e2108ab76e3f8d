import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan import cli
from kgan.errors import UserError
from kgan.networks import features
from kgan.networks.features import mobilenet, vgg19
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


@pytest.fixture(scope="module")
def packaged():
    return features.build()


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


def test_packaged_file_is_small_and_carries_its_notice():
    assert mobilenet.PACKAGED.stat().st_size <= 6.6e6
    notice = mobilenet.PACKAGED.with_suffix(".NOTICE").read_text(encoding="utf-8")
    assert "Apache License, Version 2.0" in notice
    assert "TensorFlow Authors" in notice


@pytest.mark.parametrize("side", [16, 31, 50, 64])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_size_and_channel_count(packaged, side, channels):
    maps = packaged(tf.zeros([2, side, side, channels]))
    assert [m.shape[1] for m in maps] == [-(-side // step) for step in (2, 4, 8, 16)]


def test_gray_is_repeated_and_alpha_laid_over_white():
    gray = tf.constant([[[[0.5]]]])
    np.testing.assert_allclose(features.to_rgb(gray), [[[[0.5, 0.5, 0.5]]]])
    # Alpha 0.5 in [-1, 1] is 3/4: -1 * 3/4 + 1 * 1/4
    np.testing.assert_allclose(features.to_rgb(tf.constant([[[[-1.0, 0.0, 1.0, 0.5]]]])), [[[[-0.5, 0.25, 1.0]]]])
    with pytest.raises(ValueError, match="Received: 2"):
        features.to_rgb(tf.zeros([1, 4, 4, 2]))


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
def test_vgg19_layers_are_those_of_keras_applications(tmp_path):
    model = keras.applications.VGG19(weights=None, include_top=False, input_shape=(None, None, 3))
    path = tmp_path / "vgg.weights.h5"
    model.save_weights(path)
    extractor = features.build("vgg19", str(path))
    pictures = tf.random.uniform([1, 32, 32, 3], -1, 1)
    prepared = keras.applications.vgg19.preprocess_input((pictures.numpy() + 1) * 127.5)
    for got, name in zip(extractor(pictures), extractor.perceptual, strict=True):
        expected = keras.Model(model.input, model.get_layer(name).output)(prepared) / vgg19.DEVIATION
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
    with pytest.raises(UserError, match=r"features resnet: no such feature network; .*There are mobilenet, vgg19"):
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
