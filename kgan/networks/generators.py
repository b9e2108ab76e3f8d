"""Generators: a content picture, noise, or both -> a picture.

One tensor goes in, content and noise side by side: [N, H, W, (channels if takes_content) + noise_channels], H and W
multiples of `stride`, at least `minimum_size`. Out comes [N, H, W, channels] float32 in [-1, 1].
"""

import itertools

import keras
import tensorflow as tf
from keras import ops

from kgan.kinds import GENERATORS
from kgan.networks import layers
from kgan.networks.convolutions import ThinConv2D
from kgan.networks.layers import ConvBlock, ResidualBlock
from kgan.networks.norms import normalization
from kgan.networks.padding import ReflectionPadding2D
from kgan.precision import precise


class Generator(keras.Model):
    """Base of the generators: their arguments, downsampling, upsampling, and the last layer.

    With `residual`, output = x + c - x|c| where x is the content and c = tanh(last layer), which starts at zero: it
    equals the content exactly at first, has slope 1 in c there, and moves towards white (c > 0) or black (c < 0) by
    the share |c| of the way left, so that it never leaves [-1, 1] and no pixel saturates at the start.

    A subclass creates its layers in `_make_layers`: stem, down, body and up.

    Args:
        channels: C of the pictures: 1 gray, 3 RGB or 4 RGBA.
        noise_channels: channels of the noise map beside the content; 0 for none.
        takes_content: whether a content picture goes in.
        filters: of the first layer.
        blocks: residual blocks (or convolutions) at the coarsest resolution.
        stride: 2, 4 or 8: H and W at the coarsest resolution are 1 / stride of the picture's.
        kernel: side of the inner convolutions, 3 or 5.
        norm: "instance", "batch" or "none".
        downsample: "conv" (strided convolution) or "pool" (average pooling).
        upsample: "resize" (resize + convolution) or "transpose" (transposed convolution).
        residual: whether the output is content + correction.

    Raises:
        ValueError: for a generator without content that has no noise either, or is residual.
    """

    head_kernel = 7
    reflects = True
    """Whether pictures are continued by mirroring, not by zeros: at the last layer and on the way down."""

    def __init__(
        self,
        channels: int = 3,
        noise_channels: int = 0,
        takes_content: bool = True,
        filters: int = 64,
        blocks: int = 9,
        stride: int = 4,
        kernel: int = 3,
        norm: str = "instance",
        downsample: str = "conv",
        upsample: str = "resize",
        residual: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # content stays float32 in mixed precision, for `residual`
        if not takes_content and (residual or not noise_channels):
            raise ValueError("A generator without content should have noise_channels > 0 and residual=False.")
        self.channels, self.noise_channels, self.takes_content = channels, noise_channels, takes_content
        self.filters, self.blocks, self.stride, self.kernel = filters, blocks, stride, kernel
        self.norm, self.downsample, self.upsample, self.residual = norm, downsample, upsample, residual
        self.level_filters = [min(filters * 2**level, 4 * filters) for level in range(layers.levels(stride) + 1)]
        self.head = self._make_head()
        self._make_layers()

    @property
    def input_channels(self) -> int:
        return self.channels * self.takes_content + self.noise_channels

    @property
    def minimum_size(self) -> int:
        """The smallest H and W that work."""
        return self.stride

    @property
    def floats_at_peak(self) -> dict[str, float]:
        """By engine, how many float32 numbers per pixel the network holds at its peak, its pictures included: measured
        as the growth of a fresh process at 0.3 to 7 megapixels, and rounded up. `kgan.memory` asks for it."""
        return floats_of_resnet(self.filters, pools=self.downsample == "pool")

    @property
    def layer_channels(self) -> list[int]:
        """Channels of each map of `layer_features`."""
        body = [self.level_filters[-1]] * len(self._body_ends())
        return [self.channels] * self.takes_content + self.level_filters[1:] + body

    def layer_features(self, inputs, training=False) -> list:
        """What the layers up to the middle of the network make of the inputs, a map [N, h, w, c] each.

        They are the content picture, every level on the way down, the first block and the middle one (of 9, the fifth),
        like CUT's (https://arxiv.org/abs/2007.15651). The other half of the network is not run: `finish` goes on.
        """
        maps = [inputs[..., : self.channels]] if self.takes_content else []
        x = layers.run([self.stem], inputs, training)
        for level, block in enumerate(self.down, 1):
            x = layers.run([block], x, training)
            maps.append(self._enriched(x, inputs, training) if level == len(self.down) else x)
        for first, end in itertools.pairwise([0, *self._body_ends()]):
            maps.append(layers.run(self.body[first:end], maps[-1], training))
        return maps

    def finish(self, inputs, maps, training=False):
        """The picture [N, H, W, channels] from `maps = layer_features(inputs)`: together they are one call."""
        last = precise(layers.run(self.head, self._features_after(maps, training), training))
        return self._picture(inputs, ops.tanh(last))

    def features(self, inputs, training=False):
        """The feature map F before the last layer: [N, H, W, filters]."""
        return self._features_after(self.layer_features(inputs, training=training), training)

    def call(self, inputs, training=False):
        return self.finish(inputs, self.layer_features(inputs, training=training), training=training)

    def _features_after(self, maps, training):
        done = max(self._body_ends(), default=0)
        return layers.run([*self.body[done:], *self.up], maps[-1], training)

    def _body_ends(self) -> list[int]:
        """After how many blocks `layer_features` looks."""
        return sorted({1, self.blocks // 2 + 1}) if self.blocks else []

    def _enriched(self, coarse, inputs, training):
        """The map at the coarsest resolution, before the body."""
        return coarse

    def _picture(self, inputs, correction):
        if not self.residual:
            return correction
        content = ops.cast(inputs[..., : self.channels], correction.dtype)
        return content + correction - content * ops.abs(correction)

    def get_config(self):
        names = ("channels", "noise_channels", "takes_content", "filters", "blocks", "stride", "kernel", "norm",
                 "downsample", "upsample", "residual")  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _make_layers(self) -> None:
        """Create `stem` (a layer), `down`, `body` and `up` (lists of layers)."""
        raise NotImplementedError

    def _make_head(self):
        settings = {
            "kernel_initializer": "zeros" if self.residual else layers.weights_init("instance"),
            "dtype": self.dtype_policy, "name": "head",
        }  # fmt: skip
        if not self.reflects:
            return [keras.layers.Conv2D(self.channels, self.head_kernel, padding="same", **settings)]
        padding = ReflectionPadding2D(self.head_kernel // 2, dtype=self.dtype_policy)
        return [padding, ThinConv2D(self.channels, self.head_kernel, **settings)]

    def _down_blocks(self):
        """One block per level: strided, or at full resolution and then averaged over 2x2."""
        shared = {"norm": self.norm, "reflect": self.reflects, "dtype": self.dtype_policy}
        shared |= {"pool": True} if self.downsample == "pool" else {"stride": 2}
        return [
            ConvBlock(filters, self.kernel, name=f"down_{level}", **shared)
            for level, filters in enumerate(self.level_filters[1:], 1)
        ]

    def _up_blocks(self):
        shared = {"norm": self.norm, "up": self.upsample, "dtype": self.dtype_policy}
        reversed_filters = list(enumerate(self.level_filters[:-1], 1))[::-1]
        return [ConvBlock(filters, self.kernel, name=f"up_{level}", **shared) for level, filters in reversed_filters]


def floats_of_resnet(filters: int, pools: bool = False) -> dict[str, float]:
    """`Generator.floats_at_peak`: maps of `filters` at full resolution, more of them where they are pooled.

    TensorFlow needs 4.7 (9 with pooling), and at some sizes 6.9: its allocator takes memory in steps that double.
    LiteRT gives tensors of dynamic shape no shared memory.
    """
    return {"tensorflow": (10.0 if pools else 7.0) * filters, "litert": 250.0 + (15.0 if pools else 11.0) * filters}


@GENERATORS.add("resnet", help="residual blocks, as in CycleGAN")
@keras.saving.register_keras_serializable(package="kgan")
class ResNetGenerator(Generator):
    """c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-C with reflection padding.

    Reference: Johnson et al. (https://arxiv.org/abs/1603.08155) as in CycleGAN (https://arxiv.org/abs/1703.10593).
    Differs: resize + convolution by default, so that no checkerboard arises (https://distill.pub/2016/deconv-checkerboard);
    deeper strides keep 4 x filters.
    """

    def _make_layers(self):
        self.stem = ConvBlock(self.filters, 7, norm=self.norm, reflect=True, dtype=self.dtype_policy, name="stem")
        self.down = self._down_blocks()
        self.body = [
            ResidualBlock(self.level_filters[-1], self.kernel, self.norm, dtype=self.dtype_policy, name=f"block_{n}")
            for n in range(1, self.blocks + 1)
        ]
        self.up = self._up_blocks()

    @property
    def minimum_size(self) -> int:
        """Reflection needs more pixels than it pads: kernel // 2 at the coarsest resolution, 3 at the finest."""
        return max(self.stride * (self.kernel // 2 + 1), 4)

    def build(self, input_shape):
        features_shape = layers.build_in_order([self.stem, *self.down, *self.body, *self.up], input_shape)
        layers.build_in_order(self.head, features_shape)


@GENERATORS.add("article", help="the source article's")
@keras.saving.register_keras_serializable(package="kgan")
class ArticleGenerator(Generator):
    """The source article's: convolution + norm + ReLU, pooling or stride down, transposed convolution up.

    The noise works twice: as a map beside the content, and pooled, through a fully connected layer + norm + ReLU, as a
    coarse code that is added at the coarsest resolution (`NoiseCode`). Zero padding: any multiple of the stride works.
    """

    head_kernel = 3
    reflects = False

    def _make_layers(self):
        shared = {"kernel": self.kernel, "norm": self.norm, "dtype": self.dtype_policy}
        self.stem = ConvBlock(self.filters, name="stem", **shared)
        self.down = self._down_blocks()
        coarse = self.level_filters[-1]
        self.code = NoiseCode(coarse, self.norm, dtype=self.dtype_policy, name="code") if self.noise_channels else None
        self.body = [ConvBlock(coarse, name=f"block_{n}", **shared) for n in range(1, self.blocks + 1)]
        self.up = self._up_blocks()

    @property
    def floats_at_peak(self) -> dict[str, float]:
        kept = 8.0 if self.downsample == "pool" else 5.6
        return {"tensorflow": 7.0 * self.filters, "litert": 80.0 + kept * self.filters}

    def build(self, input_shape):
        if self.code:
            self.code.build((*input_shape[:3], self.noise_channels))
        features_shape = layers.build_in_order([self.stem, *self.down, *self.body, *self.up], input_shape)
        layers.build_in_order(self.head, features_shape)

    def _enriched(self, coarse, inputs, training):
        if not self.code:
            return coarse
        noise = inputs[..., self.input_channels - self.noise_channels :]
        size = tf.shape(coarse)[1:3] if None in coarse.shape[1:3] else tuple(coarse.shape[1:3])
        return coarse + self.code(noise, size=size, training=training)


@keras.saving.register_keras_serializable(package="kgan")
class NoiseCode(keras.layers.Layer):
    """A noise map of any size -> pooled -> fully connected + norm + ReLU -> grid -> resized to the wanted size.

    Pooling takes sum / sqrt(H W), not the mean: independent noise of variance 1 then pools to variance 1 whatever the
    size, so that statistics learned at the training size hold at every other.
    """

    grid = 4

    def __init__(self, filters: int, norm: str = "batch", **kwargs):
        super().__init__(**kwargs)
        self.filters, self.norm = filters, norm
        self.folded = False
        vector_norm = "batch" if norm == "batch" else "none"  # a vector has no H and W for an instance norm
        self.dense = keras.layers.Dense(
            self.grid**2 * filters, kernel_initializer=layers.weights_init(vector_norm), dtype=self.dtype_policy
        )
        self.normalize = normalization(vector_norm, self.dtype_policy)

    def build(self, noise_shape, size_shape=None):
        layers.build_in_order([self.dense, self.normalize], (noise_shape[0], noise_shape[-1]))

    def fold(self):
        """From now on resize by matrix products, as files of a fixed size want it; H and W must be known."""
        self.folded = True

    def call(self, noise, size, training=False):
        noise = precise(noise)
        pixels = ops.cast(tf.reduce_prod(tf.shape(noise)[1:3]), noise.dtype)
        pooled = ops.mean(noise, axis=(1, 2)) * ops.sqrt(pixels)  # [N, Nz]
        code = ops.relu(precise(self.normalize(self.dense(pooled), training=training)))
        code = ops.reshape(code, (-1, self.grid, self.grid, self.filters))
        return ops.cast(self._resized(code, size), self.compute_dtype)

    def _resized(self, code, size):
        if not self.folded and code.dtype == tf.float32:  # `tf.image.resize` gives no other
            return tf.image.resize(code, size, "bilinear")
        rows, columns = (tf.constant(_interpolation(self.grid, side), code.dtype) for side in size)
        return tf.einsum("nghc,ig,jh->nijc", code, rows, columns)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "norm": self.norm}


def _interpolation(grid: int, side: int):
    """[side, grid]: the bilinear weights of the grid's cells in each pixel, as `tf.image.resize` has them."""
    with tf.init_scope():
        return tf.image.resize(tf.eye(grid)[None, ..., None], (side, grid))[0, ..., 0].numpy()
