"""Generators: networks from content pictures, noise or both to pictures.

The input is one tensor with content and noise channels, [N, H, W, (channels if takes_content) + noise_channels]. H and
W are multiples of `stride` and at least `minimum_size`. The output is float32 [N, H, W, channels] in [-1, 1].
"""

import itertools
import os
from typing import Any, Self

import keras
import tensorflow as tf
from keras import ops

from kgan.kinds import GENERATORS
from kgan.networks import layers, statistics
from kgan.networks.convolutions import CHANNELS_LAST, ThinConv2D
from kgan.networks.layers import ConvBlock, ResidualBlock
from kgan.networks.norms import normalization
from kgan.networks.padding import ReflectionPadding2D
from kgan.precision import precise


class Generator(keras.Model):
    """Base class of the generators: their arguments, downsampling, upsampling and the last layer.

    With `residual`, output = x + c - x|c|, where x is the content and c = tanh(last layer), which is zero at first. So
    the output equals the content at the start, with slope 1 in c. It moves towards white (c > 0) or black (c < 0) by
    the fraction |c| of the remaining distance. It never leaves [-1, 1], and no pixel saturates at the start.

    A subclass creates its layers in `_make_layers`: stem, down, body and up.

    Args:
        channels: channels of the pictures: 1 gray, 3 RGB or 4 RGBA.
        noise_channels: channels of the noise map; 0 for none.
        takes_content: whether a content picture is part of the input.
        filters: filters of the first layer.
        blocks: number of residual blocks (or convolutions) at the coarsest resolution.
        stride: 2, 4 or 8. The coarsest resolution is 1 / stride of the picture's.
        kernel: side of the inner convolutions, 3 or 5.
        norm: "instance", "batch" or "none".
        downsample: "conv" (strided convolution) or "pool" (average pooling).
        upsample: "resize" (resize + convolution) or "transpose" (transposed convolution).
        residual: whether the output is content + correction.
        padding: "reflect" or "zeros", with which networks draw a frame around even grounds. The weights are the same.
        antialias: whether maps are blurred where their resolution changes, so that a shifted picture gives a shifted
            result. It replaces `downsample`. Transposed convolutions are not blurred.

    Raises:
        ValueError: if a generator without content has no noise or is residual.
    """

    head_kernel = 7

    settings: Any = None
    """The settings of the training, if it came from a preset."""

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
        padding: str = "reflect",
        antialias: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # content stays float32 in mixed precision, for `residual`
        if not takes_content and (residual or not noise_channels):
            raise ValueError("A generator without content should have noise_channels > 0 and residual=False.")
        self.channels, self.noise_channels, self.takes_content = channels, noise_channels, takes_content
        self.filters, self.blocks, self.stride, self.kernel = filters, blocks, stride, kernel
        self.norm, self.downsample, self.upsample, self.residual = norm, downsample, upsample, residual
        self.padding, self.antialias = padding, antialias
        self.level_filters = [min(filters * 2**level, 4 * filters) for level in range(layers.levels(stride) + 1)]
        self.head = self._make_head()
        self._make_layers()

    @property
    def input_channels(self) -> int:
        return self.channels * self.takes_content + self.noise_channels

    @property
    def reflects(self) -> bool:
        """Whether all layers but those of upsampling use reflection padding. Those do with `padding` "reflect"."""
        return self.padding == "reflect"

    @property
    def minimum_size(self) -> int:
        """The smallest H and W that work. Reflection needs more pixels than the padding at the coarsest level."""
        return self.stride * (self.kernel // 2 + 1 if self.reflects else 1)

    @property
    def floats_at_peak(self) -> dict[str, float]:
        """The peak number of float32 values per pixel in memory, by engine, for `kgan.memory`.

        It includes the pictures, and was measured as the growth of a new process at 0.3 to 7 megapixels and rounded up.
        """
        return floats_of_resnet(self.filters, pools=self.antialias or self.downsample == "pool")

    @property
    def reach(self) -> int:
        """The largest distance in pixels at which an input changes an output, if the norms' statistics are given.

        Each convolution adds half its kernel in pixels of the picture, and each change of resolution one of its pixels.
        """
        sizes = [2**level for level in range(len(self.level_filters))]  # in pixels, from the finest to the coarsest
        one = self.kernel // 2 + 1
        blurs = 3 * sum(sizes) if self.antialias else 0
        return 3 + self.head_kernel // 2 + 2 * one * sum(sizes) + blurs + self._body_reach * self.stride

    @property
    def _body_reach(self) -> int:
        """The part of `reach` of the body, in pixels of the coarsest resolution."""
        return 2 * (self.kernel // 2) * self.blocks

    @property
    def layer_channels(self) -> list[int]:
        """The channels of each map of `layer_features`."""
        body = [self.level_filters[-1]] * len(self._body_ends())
        return [self.channels] * self.takes_content + self.level_filters[1:] + body

    def layer_features(self, inputs, training=False) -> list:
        """The feature maps of the first half of the network.

        They are the content picture, each level of downsampling, the first block and the middle block (the fifth of 9),
        as in [CUT](https://arxiv.org/abs/2007.15651). `finish` runs the second half.

        Args:
            inputs: [N, H, W, input_channels].
            training: whether the network runs in training mode.

        Returns:
            A list of maps [N, h, w, c].
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
        """Run the second half of the network. `layer_features` and `finish` together are a call of the network.

        Args:
            inputs: [N, H, W, input_channels].
            maps: the result of `layer_features(inputs)`.
            training: whether the network runs in training mode.

        Returns:
            Pictures [N, H, W, channels].
        """
        last = precise(layers.run(self.head, self._features_after(maps, training), training))
        return self._picture(inputs, ops.tanh(last))

    def features(self, inputs, training=False):
        """The feature map before the last layer, [N, H, W, filters]."""
        return self._features_after(self.layer_features(inputs, training=training), training)

    def call(self, inputs, training=False):
        return self.finish(inputs, self.layer_features(inputs, training=training), training=training)

    def _features_after(self, maps, training):
        done = max(self._body_ends(), default=0)
        return layers.run([*self.body[done:], *self.up], maps[-1], training)

    def _body_ends(self) -> list[int]:
        """The numbers of blocks after which `layer_features` returns a map."""
        return sorted({1, self.blocks // 2 + 1}) if self.blocks else []

    def _enriched(self, coarse, inputs, training):
        """The map at the coarsest resolution, before the body."""
        return coarse

    def _picture(self, inputs, correction):
        if not self.residual:
            return correction
        content = ops.cast(inputs[..., : self.channels], correction.dtype)
        return content + correction - content * ops.abs(correction)

    @classmethod
    def from_preset(cls, preset: str | os.PathLike, trust: bool = False) -> Self:
        """The trained generator of a preset, as in keras-hub.

        Args:
            preset: the name of a shipped model, a run folder or another folder with config.json and model.safetensors,
                or an address on the hub, hf://owner/name@revision.
            trust: as in `kgan.load`.

        Returns:
            The generator, of the class that the preset has. It takes pictures in [-1, 1]; `kgan.load` gives a function
            of pictures of any size instead.

        Raises:
            UserError: if there is no such preset, or its generator is no instance of this class.

        Example:

        >>> generator = Generator.from_preset("hf://someone/vangogh")  # doctest: +SKIP
        """
        from kgan.hub.presets import from_preset

        return from_preset(cls, preset, trust)

    def save_to_preset(self, preset: str | os.PathLike) -> None:
        """Write the weights and settings as a preset, as in keras-hub.

        Args:
            preset: a folder, which then holds config.json and model.safetensors, or an address on the hub
                (`kgan.push`).

        Raises:
            UserError: if the generator has no weights or is of a class that is not in `kgan.kinds.GENERATORS`, or the
                folder holds another network or cannot be written.
        """
        from kgan.hub.presets import save_to_preset

        save_to_preset(self, preset)

    def get_config(self):
        names = ("channels", "noise_channels", "takes_content", "filters", "blocks", "stride", "kernel", "norm",
                 "downsample", "upsample", "residual", "padding", "antialias")  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _make_layers(self) -> None:
        """Create `stem` (a layer), `down`, `body` and `up` (lists of layers)."""
        raise NotImplementedError

    def _make_head(self):
        settings = {
            "kernel_initializer": "zeros" if self.residual else layers.weights_init("instance"),
            "dtype": self.dtype_policy, "name": "head", "data_format": CHANNELS_LAST,
        }  # fmt: skip
        if not self.reflects:
            return [keras.layers.Conv2D(self.channels, self.head_kernel, padding="same", **settings)]
        padding = ReflectionPadding2D(self.head_kernel // 2, dtype=self.dtype_policy)
        return [padding, ThinConv2D(self.channels, self.head_kernel, **settings)]

    def _down_blocks(self):
        """A block per level, with a stride or with 2x2 average pooling."""
        shared = {"norm": self.norm, "reflect": self.reflects, "dtype": self.dtype_policy}
        shared |= {"blur": True} if self.antialias else {"pool": True} if self.downsample == "pool" else {"stride": 2}
        return [
            ConvBlock(filters, self.kernel, name=f"down_{level}", **shared)
            for level, filters in enumerate(self.level_filters[1:], 1)
        ]

    def _up_blocks(self):
        reflect = self.padding == "reflect"
        shared = {"norm": self.norm, "up": self.upsample, "reflect": reflect, "blur": self.antialias}
        shared |= {"dtype": self.dtype_policy}
        reversed_filters = list(enumerate(self.level_filters[:-1], 1))[::-1]
        return [ConvBlock(filters, self.kernel, name=f"up_{level}", **shared) for level, filters in reversed_filters]


def floats_of_resnet(filters: int, pools: bool = False) -> dict[str, float]:
    """`Generator.floats_at_peak` of a ResNet, in which maps with `filters` channels at full resolution dominate.

    TensorFlow needs 4.7 such maps (9 with pooling), and 6.9 at some sizes, because its allocator doubles its memory.
    LiteRT does not reuse the memory of tensors with dynamic shapes. onnxruntime's allocator doubles its memory, too.
    """
    return {
        "tensorflow": (10.0 if pools else 7.0) * filters,
        "litert": 250.0 + (15.0 if pools else 11.0) * filters,
        "onnx": (13.0 if pools else 10.0) * filters,
    }


@GENERATORS.add("resnet", help="residual blocks, as in CycleGAN")
@keras.saving.register_keras_serializable(package="kgan")
class ResNetGenerator(Generator):
    """c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-C with reflection padding.

    Differences to the papers: resize + convolution is the default, to avoid a
    [checkerboard](https://distill.pub/2016/deconv-checkerboard), and a stride of 8 has at most 4 x filters.

    Reference: [Johnson et al.](https://arxiv.org/abs/1603.08155), as in [CycleGAN](https://arxiv.org/abs/1703.10593).
    """

    reflects = True

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
        """As of other generators, and at least 4 for the padding of 3 pixels at the finest level."""
        return max(super().minimum_size, 4)

    def build(self, input_shape):
        features_shape = layers.build_in_order([self.stem, *self.down, *self.body, *self.up], input_shape)
        layers.build_in_order(self.head, features_shape)


@GENERATORS.add("article", help="the source article's")
@keras.saving.register_keras_serializable(package="kgan")
class ArticleGenerator(Generator):
    """The generator of the source article: convolution + norm + ReLU, pooling or strides, transposed convolution.

    The noise is used twice: as channels of the input, and as a code from a fully connected layer + norm + ReLU, which
    is added at the coarsest resolution (`NoiseCode`).
    """

    head_kernel = 3

    def _make_layers(self):
        shared = {"kernel": self.kernel, "norm": self.norm, "reflect": self.reflects, "dtype": self.dtype_policy}
        self.stem = ConvBlock(self.filters, name="stem", **shared)
        self.down = self._down_blocks()
        coarse = self.level_filters[-1]
        self.code = NoiseCode(coarse, self.norm, dtype=self.dtype_policy, name="code") if self.noise_channels else None
        self.body = [ConvBlock(coarse, name=f"block_{n}", **shared) for n in range(1, self.blocks + 1)]
        self.up = self._up_blocks()

    @property
    def floats_at_peak(self) -> dict[str, float]:
        pools = self.antialias or self.downsample == "pool"
        kept, onnx = (8.0, 13.0) if pools else (5.6, 10.0)
        return {"tensorflow": 7.0 * self.filters, "litert": 80.0 + kept * self.filters, "onnx": onnx * self.filters}

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
    """Converts a noise map of any size to a code: pooling, fully connected + norm + ReLU, and a grid that is resized.

    Pooling is sum / sqrt(H W) instead of the mean. So independent noise of variance 1 gives variance 1 at any size, and
    statistics that are learned at the training size are valid at others.

    Args:
        filters: channels of the code.
        norm: "batch" for batch norm; other norms are left out, because a vector has no H and W.
    """

    grid = 4

    def __init__(self, filters: int, norm: str = "batch", **kwargs):
        super().__init__(**kwargs)
        self.filters, self.norm = filters, norm
        self.folded = False
        vector_norm = "batch" if norm == "batch" else "none"  # a vector has no H and W for an instance norm
        self.dense = keras.layers.Dense(
            self.grid**2 * filters,
            kernel_initializer=layers.weights_init(vector_norm),
            dtype=self.dtype_policy,
            name="dense",  # of the tensors in model.safetensors
        )
        self.normalize = normalization(vector_norm, self.dtype_policy)

    def build(self, noise_shape, size_shape=None):
        self.measured_channels = noise_shape[-1]
        layers.build_in_order([self.dense, self.normalize], (noise_shape[0], noise_shape[-1]))

    def fold(self):
        """Resize with matrix products, for files of fixed sizes. H and W must be static."""
        self.folded = True

    def call(self, noise, size, training=False):
        source = statistics.active() or statistics.Recorded()
        pooled = source.pooled(precise(noise))[:, 0, 0]  # [N, Nz]
        code = ops.relu(precise(self.normalize(self.dense(pooled), training=training)))
        code = ops.reshape(code, (-1, self.grid, self.grid, self.filters))
        return ops.cast(source.spread(code, size, self._resized), self.compute_dtype)

    def _resized(self, code, size):
        if not self.folded and code.dtype == tf.float32:  # `tf.image.resize` gives no other
            return tf.image.resize(code, size, "bilinear")
        rows, columns = (tf.constant(_interpolation(self.grid, side), code.dtype) for side in size)
        return tf.einsum("nghc,ig,jh->nijc", code, rows, columns)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "norm": self.norm}


def _interpolation(grid: int, side: int):
    """The weights of the grid's cells in each pixel, [side, grid], as in the bilinear `tf.image.resize`."""
    with tf.init_scope():
        return tf.image.resize(tf.eye(grid)[None, ..., None], (side, grid))[0, ..., 0].numpy()
