"""Convolutions that give what Keras' give, but in forms that train faster; weights are Keras' own. Maps are NHWC."""

import keras
import numpy as np
import tensorflow as tf

from kgan.precision import precise

FEW = 8
"""Matrix units work on channels by eights: below that, most of their work is lost."""


@keras.saving.register_keras_serializable(package="kgan")
class ThinConv2D(keras.layers.Conv2D):
    """`Conv2D` (stride 1, "valid"), faster on GPUs where pictures go in or out: with few channels on one side.

    While training on GPUs, the kernel's columns become channels: shifted copies of a thin input side by side, or a thin
    output taken apart into one map for each column, which are then shifted and summed. Same products, same sums. On one
    H100 (16 x 256x256, bfloat16, 7x7, with gradients) 64 -> 3 took 0.54 ms instead of 2.69, 3 -> 64 0.56 instead of
    1.86. On a CPU it is slower.
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
    """The valid convolution of [N, H, W, few] by [h, w, few, F], as one by [h, 1, w * few, F]."""
    height, width, few, filters = kernel.shape
    side = x.shape[2] - width + 1
    copies = tf.concat([x[:, :, column : column + side] for column in range(width)], axis=-1)
    kernel = tf.reshape(kernel, [height, 1, width * few, filters])
    more = -(width * few) % FEW
    copies, kernel = tf.pad(copies, [[0, 0]] * 3 + [[0, more]]), tf.pad(kernel, [[0, 0]] * 2 + [[0, more], [0, 0]])
    return tf.nn.conv2d(copies, kernel, 1, "VALID")


def columns_summed(x, kernel):
    """The valid convolution of [N, H, W, C] by [h, w, C, few], as one by [h, 1, C, w * few]; summed in float32."""
    height, width, channels, few = kernel.shape
    side = x.shape[2] - width + 1
    kernel = tf.reshape(tf.transpose(kernel, [0, 2, 1, 3]), [height, 1, channels, width * few])
    maps = tf.nn.conv2d(x, tf.pad(kernel, [[0, 0]] * 3 + [[0, -(width * few) % FEW]]), 1, "VALID")
    shifted = [maps[:, :, c : c + side, c * few : (c + 1) * few] for c in range(width)]
    return tf.cast(tf.add_n([precise(part) for part in shifted]), x.dtype)


@keras.saving.register_keras_serializable(package="kgan")
class UpsampledConv2D(keras.layers.Conv2D):
    """Doubles H and W by repeating pixels, then convolves (padding "same", stride 1): no checkerboard.

    While training, the two are one transposed convolution, whose kernel is the layer's own blurred by 2x2 ones: 4/9 of
    the multiplications of a 3x3 kernel, and the doubled map is never written. Exports of free size keep resize and
    convolution, those of a fixed size (after `fold`) have the transposed one.

    Reference: [Deconvolution and checkerboard artifacts](https://distill.pub/2016/deconv-checkerboard).
    """

    folded: np.ndarray | None = None
    """The blurred kernel, worked out once by `fold`."""

    def fold(self):
        """From now on infer by the transposed convolution too; the kernel must not change any more."""
        if self._is_odd():
            self.folded = blurred_kernel(tf.convert_to_tensor(self.kernel)).numpy()

    def call(self, inputs, training=False):
        if not (training or self.folded is not None) or not self._is_odd():
            return super().call(double_nearest(inputs))
        inputs = tf.convert_to_tensor(inputs)
        count, height, width, _ = (known or tf.shape(inputs)[axis] for axis, known in enumerate(inputs.shape))
        shape = [count, 2 * height, 2 * width, self.filters]
        kernel = self.folded if self.folded is not None else blurred_kernel(tf.convert_to_tensor(self.kernel))
        outputs = tf.nn.conv2d_transpose(inputs, tf.cast(kernel, inputs.dtype), shape, 2, "SAME")
        return outputs + tf.cast(self.bias, outputs.dtype) if self.use_bias else outputs

    def _is_odd(self) -> bool:
        """Even kernels sit half a pixel off: doubled maps are convolved by them as they are."""
        return all(side % 2 for side in self.kernel_size)

    def compute_output_shape(self, input_shape):
        count, *sides, _ = input_shape
        return (count, *(side and 2 * side for side in sides), self.filters)


def blurred_kernel(kernel):
    """[h, w, in, out] -> [h + 1, w + 1, out, in]: transposed by it with stride 2, x is doubled and convolved."""
    padded = tf.pad(kernel, [[1, 1], [1, 1], [0, 0], [0, 0]])
    blurred = padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]
    return tf.transpose(blurred[::-1, ::-1], [0, 1, 3, 2])


@tf.custom_gradient
def double_nearest(x):
    """[N,H,W,C] -> [N,2H,2W,C], each pixel repeated.

    `UpSampling2D` does not convert to TFLite with a dynamic H and W, `tf.image.resize` does; but XLA has no kernel for
    its gradient, which is therefore written out: the sum over each block of 2x2.
    """

    def gradient(upstream):
        return 4.0 * tf.nn.avg_pool2d(upstream, 2, 2, "VALID")

    return tf.image.resize(x, 2 * tf.shape(x)[1:3], "nearest"), gradient
