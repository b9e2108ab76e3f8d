"""The one code path from picture to stylized picture that Keras, SavedModel and LiteRT share."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kgan.gan import noise as noises
from kgan.networks.generators import floats_of_resnet

MINIMUM_CELLS = 4
"""Smallest side fed to a generator, in cells of its stride: below it inner reflection paddings have nothing to
reflect, and instance norm nothing to average."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a caller must know of a model: its channels, the noise it was trained with (0 channels: none), the filters
    of its first layer, and by engine how many float32 numbers per pixel it holds at its peak (`floats_at_peak` of
    `kgan.networks.generators`; files from before that was stored have what a ResNet takes, the largest)."""

    channels: int
    noise_channels: int
    takes_content: bool
    distribution: str = "normal"
    truncation: float = 2.0
    filters: int = 64
    floats_at_peak: dict[str, float] = dataclasses.field(default_factory=dict)

    def bytes_per_pixel(self, engine: str) -> float:
        """What a picture takes inside the network; `engine`: tensorflow or litert."""
        return 4 * (self.floats_at_peak or floats_of_resnet(self.filters))[engine]


class Stylist(tf.Module):
    """A generator as a function of pictures of any size: float [N, H, W, C] in [0, 1] -> the same shape and range.

    The picture is padded by reflection to a multiple of the generator's stride and the result cropped. Weights and
    arithmetic are float32, whatever precision the generator was trained in.
    """

    def __init__(self, generator: keras.Model, distribution: str = "normal", truncation: float = 2.0):
        super().__init__(name="stylist")
        self.generator = in_float32(generator)
        self.facts = Facts(
            channels=generator.channels,
            noise_channels=generator.noise_channels,
            takes_content=bool(generator.takes_content),
            distribution=distribution,
            truncation=truncation,
            filters=generator.filters,
            floats_at_peak=generator.floats_at_peak,
        )

    def __call__(self, image: tf.Tensor | None = None, noise: tf.Tensor | None = None) -> tf.Tensor:
        """`image` [N, H, W, C] in [0, 1] and `noise` [N, H, W, Nz], each only if the model takes it."""
        content = [] if image is None else [image * 2.0 - 1.0]
        inputs = tf.concat(content + ([] if noise is None else [noise]), axis=-1)
        height, width = tf.shape(inputs)[1], tf.shape(inputs)[2]
        rows, top = reflected_indices(height, self.generator.stride)
        columns, left = reflected_indices(width, self.generator.stride)
        padded = tf.gather(tf.gather(inputs, rows, axis=1), columns, axis=2)
        made = self.network(padded)[:, top : top + height, left : left + width]
        return tf.clip_by_value(made * 0.5 + 0.5, 0.0, 1.0)

    def network(self, inputs: tf.Tensor) -> tf.Tensor:
        """The generator on pictures in [-1, 1] (and noise) whose sides its stride divides."""
        return self.generator(inputs, training=False)

    @property
    def weights(self) -> list[tf.Variable]:
        """What the network reads, in the order of the generator's variables."""
        return [variable.value for variable in self.generator.variables]

    def noise(self, seed: int | tf.Tensor, count: int, height: int, width: int) -> tf.Tensor:
        """Noise maps [count, height, width, Nz]; the first k are the same whatever the count."""
        shape = tf.stack([count, height, width, self.facts.noise_channels])
        return noises.sample(seed, shape, self.facts.distribution, self.facts.truncation)


def reflected_indices(length: tf.Tensor, stride: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Indices [P] that pad an axis of `length` by reflection on both sides, P a multiple of `stride`; where it starts.

    Unlike tf.pad it may reflect more than once, so an axis of one pixel can be padded to any length.

    >>> reflected_indices(tf.constant(9), 3)[0].numpy().tolist()[:3], reflected_indices(tf.constant(3), 2)[0].shape[0]
    ([1, 0, 1], 8)
    """
    padded = tf.maximum(-(-length // stride), MINIMUM_CELLS) * stride
    before = (padded - length) // 2
    period = tf.maximum(2 * (length - 1), 1)
    position = tf.math.floormod(tf.range(padded) - before, period)
    return tf.minimum(position, period - position), before


def in_float32(generator: keras.Model) -> keras.Model:
    """The generator itself, or for mixed precision a float32 rebuild of it with the same weights."""
    if generator.compute_dtype == "float32":
        return generator
    copy = type(generator).from_config({**generator.get_config(), "dtype": "float32"})
    side = MINIMUM_CELLS * generator.stride
    copy(np.zeros((1, side, side, generator.input_channels), np.float32))
    copy.set_weights(generator.get_weights())
    return copy


def from_noise(stylist: Stylist) -> tf.types.experimental.ConcreteFunction:
    """The signature in which every input is a tensor of the caller's: image, noise, or both."""
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
    """The function as a graph, for inputs of those shapes."""
    return tf.function(function, autograph=False).get_concrete_function(*inputs)


def _pictures(channels: int, name: str) -> tf.TensorSpec:
    return tf.TensorSpec((None, None, None, channels), tf.float32, name)
