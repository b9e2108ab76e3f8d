"""The input and the scale of the VGG networks (Simonyan and Zisserman, https://arxiv.org/abs/1409.1556)."""

import tensorflow as tf

MEAN = (103.939, 116.779, 123.68)  # BGR of 0..255, as keras.applications.vgg19.preprocess_input
DEVIATION = 58.0  # of ImageNet's pixels in 0..255; dividing by it gives activations of MobileNet's order


def vgg_input(rgb) -> tf.Tensor:
    """Convert RGB [N, H, W, 3] in [-1, 1] to BGR in [0, 255] minus ImageNet's mean."""
    return (rgb[..., ::-1] + 1.0) * 127.5 - tf.constant(MEAN, rgb.dtype)
