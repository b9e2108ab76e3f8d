"""VGG16 (Simonyan and Zisserman, https://arxiv.org/abs/1409.1556) up to conv4_1: the second packaged feature network.

The packaged weights are the trunk of an edge detector (HED, Xie and Tu, https://arxiv.org/abs/1504.06375), which was
trained from ImageNet's VGG16 with small learning rates. The file is made by `scripts/make_features.py`, and its licence
is in vgg16.NOTICE.

The perceptual layers are relu1_2, relu2_2, relu3_3 and relu4_1, at 1, 1/2, 1/4 and 1/8 of the picture's resolution.
relu1_2 to relu3_3 are those of Johnson et al. (https://arxiv.org/abs/1603.08155), the last before each pooling. VGG has
no normalization and shows textures of pictures better than most later networks, so that a painter's model should be
measured with it too, or trained with it and measured with MobileNet.
"""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from kgan.kinds import FEATURES
from kgan.networks.features import FeatureExtractor, packaged, resized, to_rgb
from kgan.networks.features.applications import application
from kgan.networks.features.vgg import DEVIATION, vgg_input

PACKAGED = pathlib.Path(__file__).parents[1] / "vgg16.npz"

LAYERS = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1")
"""The convolutions of 3x3, with the names of the paper's authors. The first of each block follows a pooling of 2x2."""


@FEATURES.add("vgg16", help="packaged VGG16 up to conv4_1")
class VGG16Features(FeatureExtractor):
    """VGG16 up to conv4_1. The length of `pooled` is 512. Maps are divided by 58, to be of MobileNet's order.

    Args:
        weights: a file for `keras.applications.VGG16` without its top layers, or None for the packaged weights.
    """

    perceptual = ("conv1_2", "conv2_2", "conv3_3", "conv4_1")
    widths = (64, 128, 256, 512)
    judged_from = 1

    def __init__(self, weights: str | None = None):
        arrays = _from_file(weights) if weights else packaged.read(PACKAGED)
        self.weights = packaged.frozen(arrays, "vgg16")

    def __call__(self, pictures) -> list[tf.Tensor]:
        maps, outputs = vgg_input(to_rgb(pictures)), []
        for name in LAYERS:
            if name.endswith("_1") and name != LAYERS[0]:
                maps = tf.nn.max_pool2d(maps, 2, 2, "VALID")
            kernel, bias = (tf.cast(self.weights[f"{name}/{part}"], maps.dtype) for part in ("kernel", "bias"))
            maps = tf.nn.relu(tf.nn.conv2d(maps, kernel, 1, "SAME") + bias)
            if name in self.perceptual:
                outputs.append(maps / DEVIATION)
        return outputs

    def described(self, pictures) -> tuple[tf.Tensor, list[tf.Tensor]]:
        maps = self(pictures)
        return tf.reduce_mean(maps[-1], axis=(1, 2)), maps

    def pooled(self, pictures) -> tf.Tensor:
        return tf.reduce_mean(self(resized(to_rgb(pictures)))[-1], axis=(1, 2))


def _from_file(weights: str) -> dict[str, np.ndarray]:
    model = application(keras.applications.VGG16, "vgg16", weights)
    found = {name: model.get_layer(f"block{name[4]}_conv{name[6]}").get_weights() for name in LAYERS}
    return {f"{name}/{part}": found[name][place] for name in LAYERS for place, part in enumerate(("kernel", "bias"))}
