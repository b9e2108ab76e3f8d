"""MobileNet 1.0 (Howard et al., https://arxiv.org/abs/1704.04861), trained on ImageNet: the packaged feature network.

Each batch norm is folded into its convolution. The file is made by `scripts/make_features.py`, and its licence is in
mobilenet.NOTICE. Its pointwise kernels are float16, which changes pooled features by 0.2 to 0.4%.

The perceptual layers are the last pointwise convolutions at 1/2, 1/4, 1/8 and 1/16 of the picture's resolution, before
the strided layer that loses detail. They represent edges and colours, textures, parts, and objects. 1/32 is left out,
because its map of a crop of 64 pixels would be 2x2.
"""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from kgan.kinds import FEATURES
from kgan.networks.features import FeatureExtractor, packaged, resized, to_rgb
from kgan.networks.features.applications import application

PACKAGED = pathlib.Path(__file__).parents[1] / "mobilenet.npz"


@FEATURES.add("mobilenet", help="packaged MobileNet")
class MobileNetFeatures(FeatureExtractor):
    """MobileNet 1.0. The length of `pooled` is 1024.

    Args:
        weights: a file for `keras.applications.MobileNet` without its top layers, or None for the packaged weights.
    """

    perceptual = ("conv_pw_1", "conv_pw_3", "conv_pw_5", "conv_pw_11")
    widths = (64, 128, 256, 512)

    def __init__(self, weights: str | None = None):
        arrays = _folded_from_file(weights) if weights else packaged.read(PACKAGED)
        self.weights = packaged.frozen(arrays, "mobilenet")

    def __call__(self, pictures) -> list[tf.Tensor]:
        maps = self.layers(to_rgb(pictures), self.perceptual[-1])
        return [maps[name] for name in self.perceptual]

    def pooled(self, pictures) -> tf.Tensor:
        maps = self.layers(resized(to_rgb(pictures)), "conv_pw_13")
        return tf.reduce_mean(maps["conv_pw_13"], axis=(1, 2))

    def layers(self, rgb, last: str) -> dict[str, tf.Tensor]:
        """The outputs (after ReLU6) of all layers up to `last`, by name."""
        maps, outputs = rgb, {}
        for name, stride in mobilenet_layers():
            convolve = tf.nn.depthwise_conv2d if "_dw_" in name else tf.nn.conv2d
            kernel, bias = (tf.cast(self.weights[f"{name}/{part}"], maps.dtype) for part in ("kernel", "bias"))
            maps = tf.nn.relu6(convolve(maps, kernel, [1, stride, stride, 1], "SAME") + bias)
            outputs[name] = maps
            if name == last:
                break
        return outputs


def mobilenet_layers() -> list[tuple[str, int]]:
    """(name, stride) of the 27 convolutions, with the names of keras.applications."""
    strided = (2, 4, 6, 12)
    blocks = [((f"conv_dw_{n}", 2 if n in strided else 1), (f"conv_pw_{n}", 1)) for n in range(1, 14)]
    return [("conv1", 2), *(layer for block in blocks for layer in block)]


def fold_mobilenet(model: keras.Model) -> dict[str, np.ndarray]:
    """Fold each batch norm of a MobileNet into its convolution.

    batch_norm(W x) = gamma (W x - mean) / sqrt(variance + epsilon) + beta = (W s) x + (beta - mean s).

    Args:
        model: a `keras.applications.MobileNet`.

    Returns:
        Arrays "<layer>/kernel" and "<layer>/bias".
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


def _folded_from_file(weights: str) -> dict[str, np.ndarray]:
    return fold_mobilenet(application(keras.applications.MobileNet, "mobilenet", weights))
