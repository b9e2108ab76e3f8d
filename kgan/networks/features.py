"""Pretrained features for the perceptual terms and for KID; frozen, in float32, offline by default.

The packaged network is MobileNet 1.0 (Howard et al., https://arxiv.org/abs/1704.04861), trained on ImageNet, with each
batch norm folded into its convolution; `scripts/make_features.py` made the file, mobilenet.NOTICE has its licence.

Its perceptual layers are the outputs of the last pointwise convolution at 1/2, 1/4, 1/8 and 1/16 of the picture: edges
and colours, textures, parts, objects. They come before the strided layer that throws detail away, and 1/32 is left
out: on a crop of 64 pixels it would be a map of 2x2.
"""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from kgan.errors import UserError
from kgan.precision import precise

PACKAGED = pathlib.Path(__file__).with_name("mobilenet.npz")

VGG19_MEAN = (103.939, 116.779, 123.68)  # BGR of 0..255, as keras.applications.vgg19.preprocess_input
VGG19_DEVIATION = 58.0  # of ImageNet's pixels in 0..255; dividing by it gives activations of MobileNet's order


class FeatureExtractor:
    """Pictures [N, H, W, 1|3|4] in [-1, 1] -> a list of float32 feature maps; any H and W of 16 and more.

    Deliberately no `keras.Model`: a GAN that holds one neither trains it nor writes it into checkpoints.
    """

    def __call__(self, pictures) -> list[tf.Tensor]:
        """The perceptual layers, fine to coarse, each [N, h, w, c]."""
        raise NotImplementedError

    def pooled(self, pictures) -> tf.Tensor:
        """[N, D]: the last layer averaged over H and W, of the picture resized to 224x224 (bilinear, antialiased)."""
        raise NotImplementedError


class MobileNetFeatures(FeatureExtractor):
    """MobileNet 1.0; `pooled` gives D = 1024. `weights` is a file for `keras.applications.MobileNet` without top."""

    perceptual = ("conv_pw_1", "conv_pw_3", "conv_pw_5", "conv_pw_11")
    widths = (64, 128, 256, 512)

    def __init__(self, weights: str | None = None):
        arrays = _folded_from_file(weights) if weights else read_folded(PACKAGED)
        self.weights = {
            name: tf.Variable(array.astype("float32"), trainable=False, name=f"mobilenet/{name.replace('/', '_')}")
            for name, array in arrays.items()
        }

    def __call__(self, pictures) -> list[tf.Tensor]:
        maps = self.layers(to_rgb(pictures), self.perceptual[-1])
        return [maps[name] for name in self.perceptual]

    def pooled(self, pictures) -> tf.Tensor:
        maps = self.layers(_resized(to_rgb(pictures)), "conv_pw_13")
        return tf.reduce_mean(maps["conv_pw_13"], axis=(1, 2))

    def layers(self, rgb, last: str) -> dict[str, tf.Tensor]:
        """The output (after ReLU6) of every layer up to and with `last`."""
        maps, outputs = rgb, {}
        for name, stride in mobilenet_layers():
            convolve = tf.nn.depthwise_conv2d if "_dw_" in name else tf.nn.conv2d
            kernel, bias = (tf.cast(self.weights[f"{name}/{part}"], maps.dtype) for part in ("kernel", "bias"))
            maps = tf.nn.relu6(convolve(maps, kernel, [1, stride, stride, 1], "SAME") + bias)
            outputs[name] = maps
            if name == last:
                break
        return outputs


class VGG19Features(FeatureExtractor):
    """VGG19 of keras.applications, downloaded with its hash unless `weights` is given; `pooled` gives D = 512."""

    perceptual = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1")
    widths = (64, 128, 256, 512, 512)

    def __init__(self, weights: str | None = None):
        self.model = _application(keras.applications.VGG19, "vgg19", weights)
        outputs = [self.model.get_layer(name).output for name in self.perceptual]
        self.perceptual_model = keras.Model(self.model.input, outputs)

    def __call__(self, pictures) -> list[tf.Tensor]:
        return [maps / VGG19_DEVIATION for maps in self.perceptual_model(_caffe(to_rgb(pictures)), training=False)]

    def pooled(self, pictures) -> tf.Tensor:
        maps = self.model(_caffe(_resized(to_rgb(pictures))), training=False)
        return tf.reduce_mean(maps, axis=(1, 2)) / VGG19_DEVIATION


FEATURES = {"mobilenet": MobileNetFeatures, "vgg19": VGG19Features}


def build(name: str = "mobilenet", weights: str | None = None) -> FeatureExtractor:
    """The feature network of that name; UserError if the name or the file of weights does not fit."""
    if name not in FEATURES:
        raise UserError(f"--features should be one of {', '.join(FEATURES)}. Received: {name}")
    return FEATURES[name](weights)


def to_rgb(pictures) -> tf.Tensor:
    """Gray repeated, RGBA laid over white; float32 [N, H, W, 3] in [-1, 1]."""
    pictures = precise(pictures)
    channels = pictures.shape[-1]
    if channels == 1:
        return tf.repeat(pictures, 3, axis=-1)
    if channels == 4:
        alpha = (pictures[..., 3:] + 1.0) / 2.0
        return pictures[..., :3] * alpha + (1.0 - alpha)
    if channels != 3:
        raise ValueError(f"Pictures should have 1, 3 or 4 channels. Received: {channels}")
    return pictures


def mobilenet_layers() -> list[tuple[str, int]]:
    """(name, stride) of the 27 convolutions, named as in keras.applications."""
    strided = (2, 4, 6, 12)
    blocks = [((f"conv_dw_{n}", 2 if n in strided else 1), (f"conv_pw_{n}", 1)) for n in range(1, 14)]
    return [("conv1", 2), *(layer for block in blocks for layer in block)]


def fold_mobilenet(model: keras.Model) -> dict[str, np.ndarray]:
    """keras.applications.MobileNet -> {"<layer>/kernel", "<layer>/bias"}, each batch norm folded into its layer.

    batch_norm(W x) = gamma (W x - mean) / sqrt(variance + epsilon) + beta = (W s) x + (beta - mean s).
    """
    folded = {}
    for name, _ in mobilenet_layers():
        norm = model.get_layer(f"{name}_bn")
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        (kernel,) = model.get_layer(name).get_weights()
        folded[f"{name}/kernel"] = kernel * (scale[:, None] if "_dw_" in name else scale)
        folded[f"{name}/bias"] = beta - mean * scale
    return folded


def read_folded(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The packaged arrays: pointwise kernels in float16 (it moves pooled features by 0.2 to 0.4%), the rest float32."""
    try:
        with np.load(path) as file:
            return dict(file)
    except OSError as error:
        raise UserError(f"{path}: the packaged feature network cannot be read ({error}); install kgan again") from None


def _folded_from_file(weights: str) -> dict[str, np.ndarray]:
    return fold_mobilenet(_application(keras.applications.MobileNet, "mobilenet", weights))


def _application(constructor, name: str, weights: str | None) -> keras.Model:
    """keras.applications' network without its top, with the weights of a file or, for None, downloaded ones."""
    if weights and not pathlib.Path(weights).is_file():
        raise UserError(f"--feature-weights {weights}: no such file")
    source = f"--feature-weights {weights}" if weights else f"--features {name}"
    try:
        model = constructor(include_top=False, weights=None if weights else "imagenet", input_shape=(None, None, 3))
        if weights:
            model.load_weights(weights)
    except Exception as error:  # h5py, Keras and the download each raise their own kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{source}: should give the weights of {name} without its top layers; {reason}") from None
    model.trainable = False
    return model


def _resized(rgb):
    return tf.image.resize(rgb, (224, 224), "bilinear", antialias=True)


def _caffe(rgb):
    """RGB in [-1, 1] -> BGR in 0..255 less ImageNet's mean, as VGG was trained."""
    return (rgb[..., ::-1] + 1.0) * 127.5 - tf.constant(VGG19_MEAN)
