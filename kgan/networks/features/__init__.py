"""Pretrained feature networks for perceptual loss terms, the projected discriminator and KID.

They are frozen and compute in float32. Each is a file with a class in `kgan.kinds.FEATURES`. To add a network, add a
file. MobileNet and VGG16 are part of kgan, VGG19 is downloaded.
"""

import tensorflow as tf

from kgan.kinds import FEATURES
from kgan.precision import precise


class FeatureExtractor:
    """A function from pictures [N, H, W, 1|3|4] in [-1, 1], of at least 16 pixels per side, to float32 feature maps.

    It is not a `keras.Model`, so that a GAN with one neither trains it nor writes it to checkpoints.
    """

    perceptual: tuple[str, ...]
    """The names of the perceptual layers."""

    widths: tuple[int, ...]
    """The numbers of channels of the maps."""
    judged_from: int = 0
    """The first map of the projected discriminator, which sees the pixels too. Equally fine maps add little."""

    def __call__(self, pictures) -> list[tf.Tensor]:
        """The maps [N, h, w, c] of the perceptual layers, from fine to coarse."""
        raise NotImplementedError

    def pooled(self, pictures) -> tf.Tensor:
        """The last layer averaged over H and W, [N, D], for pictures resized to 224x224 (bilinear, antialiased)."""
        raise NotImplementedError

    def described(self, pictures) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """`pooled` and the maps of pictures of 224x224. A network whose last map is pooled computes both at once."""
        return self.pooled(pictures), self(pictures)


def build(name: str = "mobilenet", weights: str | None = None) -> FeatureExtractor:
    """Make a feature network.

    Args:
        name: name in `kgan.kinds.FEATURES`.
        weights: a .weights.h5 file, or None for the packaged or downloaded weights.

    Returns:
        The network.

    Raises:
        UserError: if the name is unknown or the file cannot be used.
    """
    return FEATURES.find(name, "--features").load()(weights)


def to_rgb(pictures) -> tf.Tensor:
    """Convert pictures to RGB. RGBA is composited over white.

    Args:
        pictures: [N, H, W, 1|3|4] in [-1, 1].

    Returns:
        float32 [N, H, W, 3] in [-1, 1].

    Raises:
        ValueError: for another number of channels.
    """
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
    """Resize [N, H, W, C] to the 224x224 pixels of ImageNet's pictures."""
    return tf.image.resize(rgb, (224, 224), "bilinear", antialias=True)
