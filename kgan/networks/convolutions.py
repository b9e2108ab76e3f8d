"""Convolutions with the results and weights of Keras' layers that train faster. Maps are NHWC."""

import functools

import keras
import numpy as np
import tensorflow as tf

from kgan.networks.padding import reflect, reflect_by_slices
from kgan.precision import precise

REPEATED, INTERPOLATED = (1.0, 1.0), (0.25, 0.75, 0.75, 0.25)
"""How one pixel is spread over a map of twice the resolution."""

BLURRED, HALVED = (0.25, 0.5, 0.25), (0.125, 0.375, 0.375, 0.125)
"""Weights of the pixels around one of the same, and of half the resolution."""

FEW = 8
"""Matrix units process channels in groups of eight. With fewer channels, they are mostly idle."""

CHANNELS_LAST = "channels_last"
"""The order of axes of all maps, whatever a user's keras.json says."""


@keras.saving.register_keras_serializable(package="kgan")
class ThinConv2D(keras.layers.Conv2D):
    """A `Conv2D` with stride 1 and padding "valid" that is faster on GPUs for few input or output channels.

    For training on GPUs, the columns of the kernel become channels. With few input channels, shifted copies of the
    input are concatenated. With few output channels, there is a map for each column, and the maps are shifted and
    summed. The products and sums are the same. On one H100 (16 x 256x256, bfloat16, 7x7, with gradients) 64 to 3
    channels took 0.54 ms instead of 2.69, and 3 to 64 channels 0.56 ms instead of 1.86. On a CPU it is slower.
    """

    def call(self, inputs, training=False):
        if not (training and tf.config.get_visible_devices("GPU")):
            return super().call(inputs)
        inputs = tf.convert_to_tensor(inputs)
        kernel = tf.cast(self.kernel, inputs.dtype)
        if inputs.shape[-1] < FEW:
            outputs = columns_gathered(inputs, kernel)
        elif self.filters < FEW:
            outputs = columns_summed(inputs, kernel)
        else:
            return super().call(inputs)
        return outputs + tf.cast(self.bias, outputs.dtype) if self.use_bias else outputs


def columns_gathered(x, kernel):
    """A "valid" convolution with few input channels, computed with shifted copies of the input.

    Args:
        x: maps [N, H, W, few].
        kernel: [h, w, few, F].

    Returns:
        [N, H - h + 1, W - w + 1, F].
    """
    height, width, few, filters = kernel.shape
    side = x.shape[2] - width + 1
    copies = tf.concat([x[:, :, column : column + side] for column in range(width)], axis=-1)
    kernel = tf.reshape(kernel, [height, 1, width * few, filters])
    more = -(width * few) % FEW
    copies, kernel = tf.pad(copies, [[0, 0]] * 3 + [[0, more]]), tf.pad(kernel, [[0, 0]] * 2 + [[0, more], [0, 0]])
    return tf.nn.conv2d(copies, kernel, 1, "VALID")


def columns_summed(x, kernel):
    """A "valid" convolution with few output channels, computed as a sum of shifted maps in float32.

    Args:
        x: maps [N, H, W, C].
        kernel: [h, w, C, few].

    Returns:
        [N, H - h + 1, W - w + 1, few].
    """
    height, width, channels, few = kernel.shape
    side = x.shape[2] - width + 1
    kernel = tf.reshape(tf.transpose(kernel, [0, 2, 1, 3]), [height, 1, channels, width * few])
    maps = tf.nn.conv2d(x, tf.pad(kernel, [[0, 0]] * 3 + [[0, -(width * few) % FEW]]), 1, "VALID")
    shifted = [maps[:, :, c : c + side, c * few : (c + 1) * few] for c in range(width)]
    return tf.cast(tf.add_n([precise(part) for part in shifted]), x.dtype)


@keras.saving.register_keras_serializable(package="kgan")
class UpsampledConv2D(keras.layers.Conv2D):
    """Doubles H and W by repeating pixels and then convolves (padding "same", stride 1), without a checkerboard.

    In training, both are one transposed convolution, whose kernel is blurred by 2x2 ones. It needs 4/9 of the
    multiplications of a 3x3 kernel, and does not store the doubled map. Exports for any size use resize and
    convolution, and those for fixed sizes (after `fold`) the transposed convolution.

    Args:
        *args: as those of `keras.layers.Conv2D`.
        reflects: whether the map is reflected at its border. Otherwise it is continued by zeros.
        blur: whether pixels are interpolated instead of repeated, so that a shifted map gives a shifted result. The
            border is reflected then.
        **kwargs: as those of `keras.layers.Conv2D`.

    Reference: [Deconvolution and checkerboard artifacts](https://distill.pub/2016/deconv-checkerboard).
    """

    folded: np.ndarray | None = None
    """The blurred kernel, which `fold` computes once."""

    def __init__(self, *args, reflects: bool = False, blur: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        self.reflects, self.blur = reflects or blur, blur
        self.taps = INTERPOLATED if blur else REPEATED
        self.pad = reflect

    def fold(self):
        """Use the transposed convolution for inference too. The kernel must not change afterwards."""
        self.pad = reflect_by_slices
        if self._is_odd():
            self.folded = blurred_kernel(tf.convert_to_tensor(self.kernel), self.taps).numpy()
            self.folded_sum = np.asarray(self.kernel).sum(axis=(0, 1), keepdims=True)

    def call(self, inputs, training=False):
        inputs, double = tf.convert_to_tensor(inputs), functools.partial(self._doubled, training=training)
        reach = 2 if self.blur and self.kernel_size[0] > 3 else 1
        if not self.reflects:
            return double(inputs)
        if self.folded is None:
            return doubled_inside(inputs, double, self.pad, reach)
        # The four pixels of a doubled one are sums in another order. On an even ground, an instance norm would amplify
        # their rounding to a visible pattern, so the map is doubled without the value of one pixel, which is added.
        one = inputs[:, :1, :1]
        level = tf.nn.conv2d(one, self.folded_sum, 1, "VALID")
        return doubled_inside(inputs - one, double, self.pad, reach) + level

    def _doubled(self, inputs, training):
        if not (training or self.folded is not None) or not self._is_odd():
            doubled = double_nearest(inputs)
            return super().call(_filtered(doubled, BLURRED, 1, "SAME") if self.blur else doubled)
        count, height, width, _ = (known or tf.shape(inputs)[axis] for axis, known in enumerate(inputs.shape))
        shape = [count, 2 * height, 2 * width, self.filters]
        kernel = (
            self.folded if self.folded is not None else blurred_kernel(tf.convert_to_tensor(self.kernel), self.taps)
        )
        outputs = tf.nn.conv2d_transpose(inputs, tf.cast(kernel, inputs.dtype), shape, 2, "SAME")
        return outputs + tf.cast(self.bias, outputs.dtype) if self.use_bias else outputs

    def _is_odd(self) -> bool:
        """Whether the kernel is odd. Even kernels have an offset of half a pixel, so the doubled map is convolved."""
        return all(side % 2 for side in self.kernel_size)

    def compute_output_shape(self, input_shape):
        count, *sides, _ = input_shape
        return (count, *(side and 2 * side for side in sides), self.filters)

    def get_config(self):
        return {**super().get_config(), "reflects": self.reflects, "blur": self.blur}


def doubled_inside(x, double, pad, reach: int = 1):
    """Double a map that is reflected at its border.

    Args:
        x: [N, H, W, C].
        double: a function that doubles H and W.
        pad: `reflect` or `reflect_by_slices`.
        reach: how many more pixels `double` reads on each side.

    Returns:
        [N, 2H, 2W, C].
    """
    inside = slice(2 * reach, -2 * reach)
    return double(pad(x, reach, reach))[:, inside, inside]


@keras.saving.register_keras_serializable(package="kgan")
class TransposedConv2D(keras.layers.Conv2DTranspose):
    """A `Conv2DTranspose` that doubles a map, which is reflected at its border instead of continued by zeros."""

    pad = staticmethod(reflect)

    def fold(self):
        """Reflect by slices, for files of fixed sizes."""
        self.pad = reflect_by_slices

    def call(self, inputs):
        return doubled_inside(tf.convert_to_tensor(inputs), super().call, self.pad)


def blurred_kernel(kernel, taps=(1.0, 1.0)):
    """The kernel of a transposed convolution with stride 2 that doubles a map and convolves it.

    Args:
        kernel: [h, w, in, out].
        taps: how a pixel is spread over the doubled map: REPEATED or INTERPOLATED, t numbers.

    Returns:
        [h + t - 1, w + t - 1, out, in].
    """
    more = len(taps) - 1
    for axis in (0, 1):
        edges = [[more, more] if other == axis else [0, 0] for other in range(4)]
        padded, size = tf.pad(kernel, edges), kernel.shape[axis] + more
        kernel = tf.add_n([tap * tf.gather(padded, np.arange(at, at + size), axis=axis) for at, tap in enumerate(taps)])
    return tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2])


@keras.saving.register_keras_serializable(package="kgan")
class Blur2D(keras.layers.Layer):
    """Blurs maps, and takes every second pixel of the result if the stride is 2. The border is reflected.

    Without a blur, a shift by one pixel changes which pixels are taken, and so more than the place of the result.

    Args:
        stride: 1 or 2. Blurred pixels are weighted 1, 2, 1, or 1, 3, 3, 1 before those of half the resolution.

    Reference: [Zhang, Making Convolutional Networks Shift-Invariant Again](https://arxiv.org/abs/1904.11486).
    """

    def __init__(self, stride: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.stride = stride
        self.pad = reflect

    def fold(self):
        """Reflect by slices, for files of fixed sizes."""
        self.pad = reflect_by_slices

    def call(self, inputs, training=False):
        padded = self.pad(tf.convert_to_tensor(inputs), 1, 1)
        taps = HALVED if self.stride == 2 else BLURRED
        if training and tf.config.get_visible_devices("GPU"):
            return summed(padded, taps, self.stride)
        return _filtered(padded, taps, self.stride, "VALID")

    def compute_output_shape(self, input_shape):
        count, *sides, channels = input_shape
        return (count, *(side and side // self.stride for side in sides), channels)

    def get_config(self):
        return {**super().get_config(), "stride": self.stride}


def _filtered(x, taps, stride: int, padding: str):
    """Maps filtered along both axes, as one depthwise convolution."""
    kernel = np.tile(np.outer(taps, taps)[..., np.newaxis, np.newaxis], (1, 1, x.shape[-1], 1))
    return tf.nn.depthwise_conv2d(x, tf.constant(kernel, x.dtype), [1, stride, stride, 1], padding)


def summed(x, taps, stride: int):
    """Maps filtered along both axes without padding, as sums of slices, which XLA fuses on GPUs, also in the gradient.

    Args:
        x: [N, H, W, C].
        taps: weights of t neighbours.
        stride: distance of the results.

    Returns:
        [N, (H - t) // stride + 1, (W - t) // stride + 1, C].
    """
    for axis in (1, 2):
        size = x.shape[axis] if x.shape[axis] is not None else tf.shape(x)[axis]
        end = size - len(taps) + 1
        pixel = (slice(None),) * axis
        x = tf.add_n([tap * x[(*pixel, slice(at, end + at, stride))] for at, tap in enumerate(taps)])
    return x


@tf.custom_gradient
def double_nearest(x):
    """Repeat each pixel of [N, H, W, C] to [N, 2H, 2W, C].

    `UpSampling2D` cannot be converted to LiteRT with dynamic H and W, but `tf.image.resize` can. XLA does not support
    the gradient of the latter, so it is defined here: the sum over each block of 2x2.
    """

    def gradient(upstream):
        return 4.0 * tf.nn.avg_pool2d(upstream, 2, 2, "VALID")

    return tf.image.resize(x, 2 * tf.shape(x)[1:3], "nearest"), gradient
