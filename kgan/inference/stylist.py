"""The stylist applies a generator to pictures of any size. Keras, SavedModel and LiteRT models all use this code."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kgan.gan import noise as noises
from kgan.networks.generators import floats_of_resnet

MINIMUM_CELLS = 4
"""Smallest side of a generator's input, in multiples of its stride. With fewer pixels, inner layers cannot pad by
reflection, and instance normalization has too few values to average."""

UNKNOWN_STRIDE = 8
"""For generators that do not tell theirs: most halve a picture at most three times."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """Properties of a model that its callers need. They are stored in exported files.

    Attributes:
        channels: channels of its pictures: 1, 3 or 4.
        noise_channels: channels of its noise map; 0 if it takes no noise.
        takes_content: whether it takes a content picture.
        distribution: distribution of the noise: "normal", "uniform" or "truncated".
        truncation: bound of truncated noise in standard deviations.
        filters: filters of its first layer.
        floats_at_peak: by engine, the largest number of float32 values per pixel that it holds at the same time
            (`floats_at_peak` of `kgan.networks.generators`). Older files lack it; the value of a ResNet, which is the
            largest, is used then.
    """

    channels: int
    noise_channels: int
    takes_content: bool
    distribution: str = "normal"
    truncation: float = 2.0
    filters: int = 64
    floats_at_peak: dict[str, float] = dataclasses.field(default_factory=dict)

    def bytes_per_pixel(self, engine: str) -> float:
        """The memory in bytes that the network needs per pixel. `engine` is "tensorflow" or "litert"."""
        return 4 * (self.floats_at_peak or floats_of_resnet(self.filters))[engine]


class Stylist(tf.Module):
    """A generator as a function of pictures of any size.

    A picture is padded by reflection to a multiple of the generator's stride, and the result is cropped. Weights and
    arithmetic are float32, regardless of the precision of the training.

    Args:
        generator: a built generator: a `kgan.networks.Generator`, or any model from pictures to pictures in [-1, 1].
            Sides are padded to a multiple of its attribute `stride`, or of 8.
        distribution: distribution of the noise in training: "normal", "uniform" or "truncated".
        truncation: bound of truncated noise in standard deviations.
    """

    def __init__(self, generator: keras.Model, distribution: str = "normal", truncation: float = 2.0):
        super().__init__(name="stylist")
        self.generator = in_float32(generator)
        self.stride = getattr(generator, "stride", UNKNOWN_STRIDE)
        self.facts = Facts(
            channels=_channels(generator),
            noise_channels=getattr(generator, "noise_channels", 0),
            takes_content=bool(getattr(generator, "takes_content", True)),
            distribution=distribution,
            truncation=truncation,
            filters=getattr(generator, "filters", Facts.filters),
            floats_at_peak=getattr(generator, "floats_at_peak", {}),
        )

    def __call__(self, image: tf.Tensor | None = None, noise: tf.Tensor | None = None) -> tf.Tensor:
        """Stylize pictures.

        Args:
            image: content, float32 [N, H, W, C] in [0, 1]. None if the generator takes no content.
            noise: noise maps, float32 [N, H, W, Nz]. None if the generator takes no noise.

        Returns:
            Stylized pictures, float32 [N, H, W, C] in [0, 1].
        """
        content = [] if image is None else [image * 2.0 - 1.0]
        inputs = tf.concat(content + ([] if noise is None else [noise]), axis=-1)
        height, width = tf.shape(inputs)[1], tf.shape(inputs)[2]
        rows, top = reflected_indices(height, self.stride)
        columns, left = reflected_indices(width, self.stride)
        padded = tf.gather(tf.gather(inputs, rows, axis=1), columns, axis=2)
        made = self.network(padded)[:, top : top + height, left : left + width]
        return tf.clip_by_value(made * 0.5 + 0.5, 0.0, 1.0)

    def network(self, inputs: tf.Tensor) -> tf.Tensor:
        """Apply the generator to pictures in [-1, 1], with noise if it takes any. Sides are multiples of the stride."""
        return self.generator(inputs, training=False)

    @property
    def weights(self) -> list[tf.Variable]:
        """The variables of the network, in the order of the generator's variables."""
        return [variable.value for variable in self.generator.variables]

    def noise(self, seed: int | tf.Tensor, count: int, height: int, width: int) -> tf.Tensor:
        """Noise maps, float32 [count, height, width, Nz]. The first k maps do not depend on `count`."""
        shape = tf.stack([count, height, width, self.facts.noise_channels])
        return noises.sample(seed, shape, self.facts.distribution, self.facts.truncation)


def reflected_indices(length: tf.Tensor, stride: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Indices that pad an axis by reflection on both sides.

    Unlike tf.pad, this reflects more than once if necessary, so that an axis of one pixel can be padded to any length.

    Args:
        length: length of the axis, an int32 scalar.
        stride: the padded length is a multiple of it.

    Returns:
        Indices, int32 [P], and the position at which the original axis starts in the padded one.

    Example:

    >>> reflected_indices(tf.constant(9), 3)[0].numpy().tolist()[:3], reflected_indices(tf.constant(3), 2)[0].shape[0]
    ([1, 0, 1], 8)
    """
    padded = tf.maximum(-(-length // stride), MINIMUM_CELLS) * stride
    before = (padded - length) // 2
    period = tf.maximum(2 * (length - 1), 1)
    position = tf.math.floormod(tf.range(padded) - before, period)
    return tf.minimum(position, period - position), before


def _channels(generator: keras.Model) -> int:
    """Channels of a generator's pictures; 3 where it does not tell them."""
    own = getattr(generator, "channels", None)
    return own or (generator.output_shape[-1] if hasattr(generator, "output_shape") else 3)


def in_float32(generator: keras.Model) -> keras.Model:
    """The generator itself if it computes in float32, else a float32 copy with the same weights."""
    if generator.compute_dtype == "float32":
        return generator
    copy = type(generator).from_config({**generator.get_config(), "dtype": "float32"})
    side = MINIMUM_CELLS * generator.stride
    copy(np.zeros((1, side, side, generator.input_channels), np.float32))
    copy.set_weights(generator.get_weights())
    return copy


def from_noise(stylist: Stylist) -> tf.types.experimental.ConcreteFunction:
    """The signature whose inputs are all tensors of the caller: image, noise, or both.

    Args:
        stylist: the stylist.

    Returns:
        A concrete function with the output "stylized".
    """
    facts = stylist.facts
    if not facts.noise_channels:
        return _from_content(stylist)
    noise = _pictures(facts.noise_channels, "noise")
    if not facts.takes_content:
        return traced(lambda noise: {"stylized": stylist(None, noise)}, noise)
    image = _pictures(facts.channels, "image")
    return traced(lambda image, noise: {"stylized": stylist(image, noise)}, image, noise)


def _from_content(stylist: Stylist) -> tf.types.experimental.ConcreteFunction:
    return traced(lambda image: {"stylized": stylist(image)}, _pictures(stylist.facts.channels, "image"))


def traced(function: Callable, *inputs: tf.TensorSpec) -> tf.types.experimental.ConcreteFunction:
    """Trace a function for inputs of the given shapes.

    Args:
        function: a function of tensors.
        *inputs: shape, dtype and name of each input.

    Returns:
        A concrete function.
    """
    return tf.function(function, autograph=False).get_concrete_function(*inputs)


def _pictures(channels: int, name: str) -> tf.TensorSpec:
    return tf.TensorSpec((None, None, None, channels), tf.float32, name)
