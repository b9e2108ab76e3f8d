"""Discriminators: networks from pictures [N, H, W, C] in [-1, 1] to a list of float32 logits, one tensor per scale."""

from typing import ClassVar

import keras
import tensorflow as tf
from keras import ops

from kgan.kinds import DISCRIMINATORS, Adversarial
from kgan.networks import features as pretrained
from kgan.networks import layers
from kgan.networks.convolutions import CHANNELS_LAST
from kgan.networks.layers import ConvBlock
from kgan.networks.norms import SpectralNormalization
from kgan.precision import precise


class Discriminator(keras.Model):
    """Base class of the discriminators.

    With batch norm, a picture's logits depend on the others in its batch. So it cannot be combined with a gradient
    penalty, which is defined for each picture. With spectral norm, batch norm has no learned scale, which would undo
    the bound.

    Args:
        filters: filters of the first layer.
        norm: "instance", "batch" or "none".
        spectral: whether spectral norm limits the gain of each layer. Losses without a minimum need it (hinge,
            Wasserstein and the article's).
    """

    def __init__(self, filters: int = 64, norm: str = "instance", spectral: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.norm, self.spectral = filters, norm, spectral

    def probabilities(self, pictures, training=False):
        """The probabilities that pictures are real or not.

        Args:
            pictures: [N, H, W, C] in [-1, 1].
            training: whether the network runs in training mode.

        Returns:
            (p_real, p_fake), each float32 [N] with sum 1: the sigmoid of the logits, averaged over patches and scales.
        """
        scales = [_picture_means(ops.sigmoid(logits)) for logits in self(pictures, training=training)]
        p_real = ops.mean(ops.stack(scales), axis=0)
        return p_real, 1.0 - p_real

    @classmethod
    def arguments_for(cls, adversarial: Adversarial, size: int) -> dict:
        """Constructor arguments that fit an adversarial loss and the size of pictures.

        They are instance norm, as in the paper, if the loss has a minimum, and otherwise only spectral norm.

        Args:
            adversarial: the row of the loss.
            size: side of the pictures in pixels.

        Returns:
            Keyword arguments.
        """
        return {"norm": "instance" if adversarial.floor else "none", "spectral": not adversarial.floor}

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "norm": self.norm, "spectral": self.spectral}


def _picture_means(values):
    """Means over all axes but the first: [N, ...] -> [N]."""
    return ops.mean(ops.reshape(values, (tf.shape(values)[0], -1)), axis=1)


@DISCRIMINATORS.add("patch", help="70x70 patches")
@keras.saving.register_keras_serializable(package="kgan")
class PatchDiscriminator(Discriminator):
    """C64-C128-C256-C512-1 with 4x4 kernels. With a `depth` of 3, the receptive field of a logit is 70x70 pixels.

    Args:
        filters: filters of the first layer.
        norm: "instance", "batch" or "none".
        spectral: whether to use spectral norm.
        depth: number of strided layers.

    Reference: [pix2pix](https://arxiv.org/abs/1611.07004).
    """

    def __init__(self, filters: int = 64, norm: str = "instance", spectral: bool = False, depth: int = 3, **kwargs):
        super().__init__(filters, norm, spectral, **kwargs)
        self.depth = depth
        self.sequence = [self._block(level) for level in range(depth + 1)]
        self.last = ConvBlock(1, 4, norm="none", activation="linear", spectral=self.spectral,
                              dtype=self.dtype_policy, name="logits")  # fmt: skip

    def build(self, input_shape):
        layers.build_in_order([*self.sequence, self.last], input_shape)

    def call(self, pictures, training=False):
        logits = layers.run([*self.sequence, self.last], pictures, training)
        return [precise(logits)]

    def get_config(self):
        return {**super().get_config(), "depth": self.depth}

    def _block(self, level: int) -> ConvBlock:
        """A block. Level 0 has no norm and the last level no stride, as in the paper."""
        return ConvBlock(
            min(2**level, 8) * self.filters, 4, stride=1 if level == self.depth else 2,
            norm=self.norm if level else "none", activation="leaky_relu", spectral=self.spectral,
            dtype=self.dtype_policy, name=f"block_{level}",
        )  # fmt: skip


@DISCRIMINATORS.add("multiscale", help="patches at several resolutions")
@keras.saving.register_keras_serializable(package="kgan")
class MultiScaleDiscriminator(Discriminator):
    """Patch discriminators on the picture at its full size, half size, quarter size and so on.

    Args:
        filters: filters of the first layer.
        norm: "instance", "batch" or "none".
        spectral: whether to use spectral norm.
        scales: number of scales. Each has its own weights.

    Reference: [pix2pixHD](https://arxiv.org/abs/1711.11585).
    """

    former_names: ClassVar[dict[str, str]] = {"discriminators": "judges"}
    """See `kgan.gan.base.GAN.former_names`."""

    def __init__(self, filters: int = 64, norm: str = "instance", spectral: bool = False, scales: int = 3, **kwargs):
        super().__init__(filters, norm, spectral, **kwargs)
        self.scales = scales
        shared = {"filters": self.filters, "norm": self.norm, "spectral": self.spectral, "dtype": self.dtype_policy}
        self.discriminators = [PatchDiscriminator(name=f"scale_{scale}", **shared) for scale in range(scales)]
        self.halve = keras.layers.AveragePooling2D(2, data_format=CHANNELS_LAST, dtype=self.dtype_policy)

    def build(self, input_shape):
        for discriminator in self.discriminators:
            discriminator.build((*input_shape[:1], None, None, input_shape[-1]))

    def call(self, pictures, training=False):
        logits = []
        for discriminator in self.discriminators:
            logits += discriminator(pictures, training=training)
            pictures = self.halve(pictures)
        return logits

    def get_config(self):
        return {**super().get_config(), "scales": self.scales}

    @classmethod
    def arguments_for(cls, adversarial: Adversarial, size: int) -> dict:
        """Arguments as in `Discriminator.arguments_for`, with at most 3 scales, of at least 32 pixels per side."""
        scales = sum(size >> scale >= 32 for scale in range(3)) or 1
        return {**super().arguments_for(adversarial, size), "scales": scales}


@DISCRIMINATORS.add("article", help="the source article's")
@keras.saving.register_keras_serializable(package="kgan")
class ArticleDiscriminator(Discriminator):
    """The discriminator of the source article: convolution + batch norm + leaky ReLU, and a fully connected layer.

    The last map is averaged over a fixed grid before the fully connected layer, so that any size works. Spectral norm
    is the default, because the article's Wasserstein term has no minimum.

    Args:
        filters: filters of the first layer.
        norm: "instance", "batch" or "none".
        spectral: whether to use spectral norm.
        depth: number of convolutions.
        kernel: side of the kernels.
        downsample: "conv" (strided convolution) or "pool" (average pooling).
    """

    grid = 4

    def __init__(
        self,
        filters: int = 64,
        norm: str = "batch",
        spectral: bool = True,
        depth: int = 4,
        kernel: int = 3,
        downsample: str = "conv",
        **kwargs,
    ):
        super().__init__(filters, norm, spectral, **kwargs)
        self.depth, self.kernel, self.downsample = depth, kernel, downsample
        self.sequence = [self._block(level) for level in range(depth)]
        self.dense = self._make_dense()

    def build(self, input_shape):
        maps_shape = layers.build_in_order(self.sequence, input_shape)
        self.dense.build((input_shape[0], self.grid**2 * maps_shape[-1]))

    def call(self, pictures, training=False):
        maps = layers.pool_to_grid(layers.run(self.sequence, pictures, training), self.grid)
        logits = self.dense(ops.reshape(maps, (-1, self.grid**2 * maps.shape[-1])), training=training)
        return [precise(logits)]

    def get_config(self):
        own = {"depth": self.depth, "kernel": self.kernel, "downsample": self.downsample}
        return {**super().get_config(), **own}

    @classmethod
    def arguments_for(cls, adversarial: Adversarial, size: int) -> dict:
        """Arguments: batch norm as in the article, except with a gradient penalty, and always spectral norm."""
        return {"norm": "none" if adversarial.gradient_penalty else "batch", "spectral": True}

    def _block(self, level: int) -> ConvBlock:
        """A block. Level 0 has no norm, as in DCGAN, because a norm hides the brightness and contrast of pictures."""
        step = {"pool": True} if self.downsample == "pool" else {"stride": 2}
        return ConvBlock(
            min(2**level, 8) * self.filters, self.kernel, norm=self.norm if level else "none", activation="leaky_relu",
            spectral=self.spectral, dtype=self.dtype_policy, name=f"block_{level}", **step,
        )  # fmt: skip

    def _make_dense(self):
        initializer = layers.weights_init("instance")
        dense = keras.layers.Dense(
            1, use_bias=not self.spectral, kernel_initializer=initializer, dtype=self.dtype_policy, name="logit"
        )
        return SpectralNormalization(dense) if self.spectral else dense


@DISCRIMINATORS.add("projected", help="on pretrained features")
@keras.saving.register_keras_serializable(package="kgan")
class ProjectedDiscriminator(Discriminator):
    """A patch discriminator on the pixels, and a small head on each map of a frozen feature network.

    The features represent objects and textures from the start, and the heads memorise a small set of pictures later
    than a network that is trained from scratch. The pixels show fine patterns that ImageNet's features lack.

    Differences to the paper: there is no random mixing of channels and scales, and the pixels are used too.

    Args:
        filters: filters of the first layer.
        norm: "instance", "batch" or "none".
        spectral: whether to use spectral norm.
        features: name of the frozen network, as in `kgan.networks.features.build`, or several separated by commas.
        feature_weights: a file with the weights of a single network, or None for the packaged or downloaded ones.

    Raises:
        ValueError: if there is one file of weights for several networks.

    Reference: [Projected GANs](https://arxiv.org/abs/2111.01007).
    """

    def __init__(
        self,
        filters: int = 64,
        norm: str = "none",
        spectral: bool = True,
        features: str = "mobilenet",
        feature_weights: str | None = None,
        **kwargs,
    ):
        super().__init__(filters, norm, spectral, **kwargs)
        self.features, self.feature_weights = features, feature_weights
        names = features.split(",")
        if feature_weights and len(names) > 1:
            raise ValueError(f"`feature_weights` should be None for several networks. Received: {feature_weights}")
        self.extractors = [pretrained.build(name, feature_weights) for name in names]
        self.widths = [width for each in self.extractors for width in each.widths[each.judged_from :]]
        shared = {"norm": "none", "spectral": self.spectral, "dtype": self.dtype_policy}
        self.pixels = PatchDiscriminator(filters=self.filters, norm=self.norm, spectral=self.spectral,
                                         dtype=self.dtype_policy, name="pixels")  # fmt: skip
        scales = range(len(self.widths))
        self.hidden = [
            ConvBlock(2 * self.filters, 3, activation="leaky_relu", name=f"head_{scale}", **shared) for scale in scales
        ]
        self.last = [ConvBlock(1, 3, activation="linear", name=f"logits_{scale}", **shared) for scale in scales]

    def build(self, input_shape):
        self.pixels.build(input_shape)
        for head, width in zip(self._heads(), self.widths, strict=True):
            layers.build_in_order(head, (None, None, None, width))

    def call(self, pictures, training=False):
        found = [x for each in self.extractors for x in each(pictures)[each.judged_from :]]
        maps = [ops.cast(x, self.compute_dtype) for x in found]
        logits = [layers.run(head, x, training) for head, x in zip(self._heads(), maps, strict=True)]
        return self.pixels(pictures, training=training) + [precise(x) for x in logits]

    def get_config(self):
        return {**super().get_config(), "features": self.features, "feature_weights": self.feature_weights}

    def _heads(self):
        return list(zip(self.hidden, self.last, strict=True))
