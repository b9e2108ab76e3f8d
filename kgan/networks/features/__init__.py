"""Pretrained features for the perceptual terms, for the projected discriminator and for KID; frozen, in float32.

Each network is a file: its class stands under a row of `kgan.kinds.FEATURES`. To add one, add a file. The packaged one,
MobileNet, needs no network; others are downloaded.
"""

import tensorflow as tf

from kgan.kinds import FEATURES
from kgan.precision import precise


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


def build(name: str = "mobilenet", weights: str | None = None) -> FeatureExtractor:
    """The feature network of that name; UserError if the name or the file of weights does not fit."""
    return FEATURES.find(name, "--features").load()(weights)


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


def resized(rgb):
    """To the 224x224 of ImageNet's pictures: [N, H, W, C] -> [N, 224, 224, C]."""
    return tf.image.resize(rgb, (224, 224), "bilinear", antialias=True)
