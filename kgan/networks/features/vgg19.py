"""VGG19 (Simonyan and Zisserman, https://arxiv.org/abs/1409.1556), trained on ImageNet. It is downloaded."""

import keras
import tensorflow as tf

from kgan.kinds import FEATURES
from kgan.networks.features import FeatureExtractor, resized, to_rgb
from kgan.networks.features.applications import application

MEAN = (103.939, 116.779, 123.68)  # BGR of 0..255, as keras.applications.vgg19.preprocess_input
DEVIATION = 58.0  # of ImageNet's pixels in 0..255; dividing by it gives activations of MobileNet's order


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
        return [maps / DEVIATION for maps in self.perceptual_model(_caffe(to_rgb(pictures)), training=False)]

    def pooled(self, pictures) -> tf.Tensor:
        maps = self.model(_caffe(resized(to_rgb(pictures))), training=False)
        return tf.reduce_mean(maps, axis=(1, 2)) / DEVIATION


def _caffe(rgb):
    """Convert RGB in [-1, 1] to BGR in [0, 255] minus ImageNet's mean, the input of VGG."""
    return (rgb[..., ::-1] + 1.0) * 127.5 - tf.constant(MEAN)
