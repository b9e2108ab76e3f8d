"""VGG19 (Simonyan and Zisserman, https://arxiv.org/abs/1409.1556), trained on ImageNet. It is downloaded."""

import keras
import tensorflow as tf

from kgan.kinds import FEATURES
from kgan.networks.features import FeatureExtractor, resized, to_rgb
from kgan.networks.features.applications import application
from kgan.networks.features.vgg import DEVIATION, vgg_input


@FEATURES.add("vgg19", help="VGG19, downloaded")
class VGG19Features(FeatureExtractor):
    """VGG19 of keras.applications. The length of `pooled` is 512.

    Args:
        weights: a file for `keras.applications.VGG19` without its top layers, or None to download them.
    """

    perceptual = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1")
    widths = (64, 128, 256, 512, 512)

    def __init__(self, weights: str | None = None):
        self.model = application(keras.applications.VGG19, "vgg19", weights)
        outputs = [self.model.get_layer(name).output for name in self.perceptual]
        self.perceptual_model = keras.Model(self.model.input, outputs)

    def __call__(self, pictures) -> list[tf.Tensor]:
        return [maps / DEVIATION for maps in self.perceptual_model(vgg_input(to_rgb(pictures)), training=False)]

    def pooled(self, pictures) -> tf.Tensor:
        maps = self.model(vgg_input(resized(to_rgb(pictures))), training=False)
        return tf.reduce_mean(maps, axis=(1, 2)) / DEVIATION
