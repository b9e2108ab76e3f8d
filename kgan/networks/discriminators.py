"""Discriminators: pictures [N, H, W, C] in [-1, 1] -> a list of logits, one float32 tensor per scale."""

from typing import ClassVar

import keras
import tensorflow as tf
from keras import ops

from kgan.kinds import DISCRIMINATORS, Adversarial
from kgan.networks import features as pretrained
from kgan.networks import layers
from kgan.networks.layers import ConvBlock
from kgan.networks.norms import SpectralNormalization
from kgan.precision import precise


class Discriminator(keras.Model):
    """Base of the discriminators.

    Batch norm couples the pictures of a batch: do not combine it with a gradient penalty, which is defined for each
    picture alone. Beside spectral norm it has no learned scale, which would undo the bound.

    Args:
        filters: of the first layer.
        norm: "instance", "batch" or "none".
        spectral: bounds every layer's gain by spectral norm, which losses without a floor need (hinge, Wasserstein,
            the article's).
    """

    def __init__(self, filters: int = 64, norm: str = "instance", spectral: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.norm, self.spectral = filters, norm, spectral

    def probabilities(self, pictures, training=False):
        """(p_real, p_fake), each float32 [N], their sum 1: sigmoid of the logits averaged over patches and scales."""
        scales = [_picture_means(ops.sigmoid(logits)) for logits in self(pictures, training=training)]
        p_real = ops.mean(ops.stack(scales), axis=0)
        return p_real, 1.0 - p_real

    @classmethod
    def arguments_for(cls, adversarial: Adversarial, size: int) -> dict:
        """Constructor arguments that suit an adversarial loss and pictures of `size` pixels a side.

        The paper's instance norm where the loss has a floor, spectral norm alone where it has none.
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
    """C64-C128-C256-C512-1, 4x4 kernels: with `depth` 3 each logit sees 70x70 pixels.

    Reference: pix2pix (https://arxiv.org/abs/1611.07004).
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
        """Level 0 has no norm, the last no stride, as in the paper."""
        return ConvBlock(
            min(2**level, 8) * self.filters, 4, stride=1 if level == self.depth else 2,
            norm=self.norm if level else "none", activation="leaky_relu", spectral=self.spectral,
            dtype=self.dtype_policy, name=f"block_{level}",
        )  # fmt: skip


@DISCRIMINATORS.add("multiscale", help="patches at several resolutions")
@keras.saving.register_keras_serializable(package="kgan")
class MultiScaleDiscriminator(Discriminator):
    """The patch discriminator on the picture at full, half, quarter... size, each scale with its own weights.

    Reference: pix2pixHD (https://arxiv.org/abs/1711.11585).
    """

    former_names: ClassVar[dict[str, str]] = {"discriminators": "judges"}
    """As `kgan.gan.base.GAN.former_names`."""

    def __init__(self, filters: int = 64, norm: str = "instance", spectral: bool = False, scales: int = 3, **kwargs):
        super().__init__(filters, norm, spectral, **kwargs)
        self.scales = scales
        shared = {"filters": self.filters, "norm": self.norm, "spectral": self.spectral, "dtype": self.dtype_policy}
        self.discriminators = [PatchDiscriminator(name=f"scale_{scale}", **shared) for scale in range(scales)]
        self.halve = keras.layers.AveragePooling2D(2, dtype=self.dtype_policy)

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
        """As `Discriminator.arguments_for`; as many scales, at most 3, as have 32 pixels a side."""
        scales = sum(size >> scale >= 32 for scale in range(3)) or 1
        return {**super().arguments_for(adversarial, size), "scales": scales}


@DISCRIMINATORS.add("article", help="the source article's")
@keras.saving.register_keras_serializable(package="kgan")
class ArticleDiscriminator(Discriminator):
    """The source article's: convolution + batch norm + leaky ReLU, stride or pooling, fully connected, one logit.

    The last map is averaged over a fixed grid before the fully connected layer, so that any size works. Spectrally
    normalised by default: the article's Wasserstein term has no floor.
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
        """Batch norm, as the article has it, but for the gradient penalty; spectral norm always."""
        return {"norm": "none" if adversarial.gradient_penalty else "batch", "spectral": True}

    def _block(self, level: int) -> ConvBlock:
        """Level 0 has no norm, as in DCGAN: it would hide the pictures' own brightness and contrast."""
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
    """The patch discriminator on the pixels, and a small head on every map of a frozen feature network.

    The heads know objects and textures from the start, and learn a few pictures by heart later than a network that is
    trained alone. The pixels show what ImageNet's features miss, such as fine patterns.

    Reference: [Projected GANs](https://arxiv.org/abs/2111.01007). Differs: no random mixing of channels and scales;
    the pixels are judged too.

    Args:
        features, feature_weights: the frozen network, as in `kgan.networks.features.build`.
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
        self.extractor = pretrained.build(features, feature_weights)
        shared = {"norm": "none", "spectral": self.spectral, "dtype": self.dtype_policy}
        self.pixels = PatchDiscriminator(filters=self.filters, norm=self.norm, spectral=self.spectral,
                                         dtype=self.dtype_policy, name="pixels")  # fmt: skip
        scales = range(len(self.extractor.widths))
        self.hidden = [
            ConvBlock(2 * self.filters, 3, activation="leaky_relu", name=f"head_{scale}", **shared) for scale in scales
        ]
        self.last = [ConvBlock(1, 3, activation="linear", name=f"logits_{scale}", **shared) for scale in scales]

    def build(self, input_shape):
        self.pixels.build(input_shape)
        for head, width in zip(self._heads(), self.extractor.widths, strict=True):
            layers.build_in_order(head, (None, None, None, width))

    def call(self, pictures, training=False):
        maps = [ops.cast(x, self.compute_dtype) for x in self.extractor(pictures)]
        logits = [layers.run(head, x, training) for head, x in zip(self._heads(), maps, strict=True)]
        return self.pixels(pictures, training=training) + [precise(x) for x in logits]

    def get_config(self):
        return {**super().get_config(), "features": self.features, "feature_weights": self.feature_weights}

    def _heads(self):
        return list(zip(self.hidden, self.last, strict=True))
