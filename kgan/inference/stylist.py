"""The stylist applies a generator to pictures of any size. Keras, SavedModel and LiteRT models all use this code."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kgan.gan import noise as noises
from kgan.keras_internals import layers_of
from kgan.networks.generators import floats_of_resnet
from kgan.networks.statistics import Given, Part, Recorded, channels_of, using
from kgan.precision import POLICIES

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
        stride: the sides of its input are padded to multiples of this number.
        reach: the largest distance in pixels at which an input changes an output, if statistics are given
            (`kgan.networks.statistics`). 0 if it is unknown: then pictures cannot be restyled in tiles.
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
    stride: int = 4
    reach: int = 0
    floats_at_peak: dict[str, float] = dataclasses.field(default_factory=dict)

    def bytes_per_pixel(self, engine: str) -> float:
        """The memory in bytes that the network needs per pixel. `engine` is "tensorflow", "litert" or "onnx"."""
        peak = self.floats_at_peak or floats_of_resnet(self.filters)
        return 4 * peak.get(engine, max(peak.values()))


class Stylist(tf.Module):
    """A generator as a function of pictures of any size.

    A picture is padded by reflection to a multiple of the generator's stride, and the result is cropped. Weights are
    float32, regardless of the precision of the training.

    Args:
        generator: a built generator: a `kgan.networks.Generator`, or any model from pictures to pictures in [-1, 1].
            Sides are padded to a multiple of its attribute `stride`, or of 8.
        distribution: distribution of the noise in training: "normal", "uniform" or "truncated".
        truncation: bound of truncated noise in standard deviations.
        plain: the network only measures the statistics of its own input (`kgan.networks.statistics`) and takes none, as
            in LiteRT files. Those without content or with an unknown reach do so anyway.
        precision: the arithmetic of the network, a key of `kgan.precision.POLICIES`.
    """

    def __init__(
        self, generator: keras.Model, distribution: str = "normal", truncation: float = 2.0, plain: bool = False,
        precision: str = "float32",
    ):  # fmt: skip
        super().__init__(name="stylist")
        self.generator = in_precision(generator, precision)
        self.stride = getattr(generator, "stride", UNKNOWN_STRIDE)
        self.facts = Facts(
            channels=_channels(generator),
            noise_channels=getattr(generator, "noise_channels", 0),
            takes_content=bool(getattr(generator, "takes_content", True)),
            distribution=distribution,
            truncation=truncation,
            filters=getattr(generator, "filters", Facts.filters),
            stride=self.stride,
            reach=getattr(generator, "reach", 0),
            floats_at_peak=getattr(generator, "floats_at_peak", {}),
        )
        self._plain = plain or not has_statistics(self.facts)
        # Every signature of an exported file calls this one function, so that it contains the network once.
        inputs = tf.TensorSpec(
            (None, None, None, self.facts.channels * self.facts.takes_content + self.facts.noise_channels)
        )
        place = tf.TensorSpec((4,), tf.int32)
        others = [tf.TensorSpec((None, 2, None)), place, place, tf.TensorSpec((), tf.bool)]
        specs = [inputs] if self._plain else [inputs, *others]
        self._network = tf.function(self._run_plain if self._plain else self._run, specs, autograph=False)

    def __call__(
        self, image: tf.Tensor | None = None, noise: tf.Tensor | None = None, statistics: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Stylize pictures.

        Args:
            image: content, float32 [N, H, W, C] in [0, 1]. None if the generator takes no content.
            noise: noise maps, float32 [N, H, W, Nz]. None if the generator takes no noise.
            statistics: use these statistics instead of the pictures' own, float32 [N, 2, M].

        Returns:
            Stylized pictures, float32 [N, H, W, C] in [0, 1].
        """
        inputs = _joined(image, noise)
        height, width = tf.shape(inputs)[1], tf.shape(inputs)[2]
        padded, top, left = self._padded(inputs)
        made, _ = self._whole(padded, statistics)
        return _in_unit(made[:, top : top + height, left : left + width])

    def statistics(self, image: tf.Tensor | None = None, noise: tf.Tensor | None = None) -> tf.Tensor:
        """The statistics of whole pictures, float32 [N, 2, M] (`kgan.networks.statistics`).

        Args:
            image: content, as in a call.
            noise: noise maps, as in a call.
        """
        padded, _, _ = self._padded(_joined(image, noise))
        return self._whole(padded)[1]

    def tile(
        self, image: tf.Tensor | None, noise: tf.Tensor | None, statistics: tf.Tensor, part: Part
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Stylize a part of a picture, whose sides are multiples of the stride, with statistics of the whole.

        Args:
            image: content, as in a call.
            noise: noise maps, as in a call.
            statistics: float32 [N, 2, M].
            part: where the part lies in the padded picture.

        Returns:
            The stylized part, and the statistics of its inner area, float32 [N, 2, M].
        """
        made, measured = self._network(_joined(image, noise), statistics, part.place, part.inner, True)
        return _in_unit(made), measured

    def _whole(self, inputs: tf.Tensor, statistics: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Apply the generator to whole pictures [N, H, W, ...] in [-1, 1], with noise if it takes any.

        Returns the stylized pictures and their statistics.
        """
        if self._plain:
            return self._network(inputs)
        sides, given = tf.shape(inputs)[1:3], statistics is not None
        if statistics is None:
            statistics = tf.zeros([1, 2, channels_of(layers_of(self.generator))])
        place, inner = tf.concat([[0, 0], sides], 0), tf.stack([0, sides[0], 0, sides[1]])
        return self._network(inputs, statistics, place, inner, given)

    def _run_plain(self, inputs):
        return self._run_with(Recorded(), inputs)

    def _run(self, inputs, statistics, place, inner, given):
        return self._run_with(Given(statistics, Part(place, inner), tf.shape(inputs)[1], given), inputs)

    def _run_with(self, source: Recorded, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with using(source):
            made = self._generate(inputs)
        return made, source.statistics(tf.shape(inputs)[0])

    def _generate(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.generator(inputs, training=False)

    def _padded(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Inputs padded by reflection to multiples of the stride, and the place of their first pixel."""
        rows, top = reflected_indices(tf.shape(inputs)[1], self.stride)
        columns, left = reflected_indices(tf.shape(inputs)[2], self.stride)
        return tf.gather(tf.gather(inputs, rows, axis=1), columns, axis=2), top, left

    @property
    def weights(self) -> list[tf.Variable]:
        """The variables of the network, in the order of the generator's variables."""
        return [variable.value for variable in self.generator.variables]

    def noise(self, seed: int | tf.Tensor, count: int, height: int, width: int) -> tf.Tensor:
        """Noise maps, float32 [count, height, width, Nz]. The first k maps do not depend on `count`."""
        shape = tf.stack([count, height, width, self.facts.noise_channels])
        return noises.sample(seed, shape, self.facts.distribution, self.facts.truncation)


def _joined(image: tf.Tensor | None, noise: tf.Tensor | None) -> tf.Tensor:
    """The input of the generator: pictures in [-1, 1] and noise."""
    content = [] if image is None else [image * 2.0 - 1.0]
    return tf.concat(content + ([] if noise is None else [noise]), axis=-1)


def _in_unit(made: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(made * 0.5 + 0.5, 0.0, 1.0)


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
    # No division of negative numbers, which tf2onnx rounds towards zero.
    padded = tf.maximum((length + stride - 1) // stride, MINIMUM_CELLS) * stride
    before = (padded - length) // 2
    period = tf.maximum(2 * (length - 1), 1)
    position = tf.math.floormod(tf.abs(tf.range(padded) - before), period)
    return tf.minimum(position, period - position), before


def _channels(generator: keras.Model) -> int:
    """Channels of a generator's pictures; 3 where it does not tell them."""
    own = getattr(generator, "channels", None)
    return own or (generator.output_shape[-1] if hasattr(generator, "output_shape") else 3)


def in_precision(generator: keras.Model, precision: str) -> keras.Model:
    """The generator itself if it computes in this precision, else a copy that does, with the same weights.

    Args:
        generator: a built generator.
        precision: a key of `kgan.precision.POLICIES`.
    """
    if generator.compute_dtype == precision:
        return generator
    copy = type(generator).from_config({**generator.get_config(), "dtype": POLICIES[precision]})
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


BY_STATISTICS = STATISTICS, WITH_STATISTICS, TILE = "statistics", "with_statistics", "tile"
"""Names of the signatures that measure and take the statistics of pictures."""


def has_statistics(facts: Facts) -> bool:
    """Whether a stylist has signatures with statistics: it takes content, and its reach is known."""
    return facts.takes_content and bool(facts.reach)


def by_statistics(stylist: Stylist) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """The signatures with statistics, float32 [N, 2, M] (`kgan.networks.statistics`).

    - `statistics`: takes the inputs of `from_noise` and returns "statistics".
    - `with_statistics`: takes statistics too and returns "stylized", such as frames of a film.
    - `tile`: takes statistics, place and inner, int32 [N, 4], and returns "stylized" and "statistics" (`Stylist.tile`).

    Args:
        stylist: the stylist.

    Returns:
        Concrete functions by name. There are none if the stylist takes no content or its reach is unknown.
    """
    facts = stylist.facts
    if not has_statistics(facts):
        return {}
    inputs = [_pictures(facts.channels, "image")]
    inputs += [_pictures(facts.noise_channels, "noise")] if facts.noise_channels else []
    given = tf.TensorSpec((None, 2, None), tf.float32, STATISTICS)
    window = [tf.TensorSpec((None, 4), tf.int32, name) for name in ("place", "inner")]

    def with_statistics(image, *others):
        return {"stylized": stylist(image, *others[:-1], statistics=others[-1])}

    def tile(*columns):
        """Each row has its own place, as batching of requests needs."""
        types = (tf.TensorSpec((None, None, facts.channels)), tf.TensorSpec((2, None)))
        made, measured = tf.map_fn(one_tile, columns, parallel_iterations=1, fn_output_signature=types)
        return {"stylized": made, STATISTICS: measured}

    def one_tile(row):
        image, *noise = (part[tf.newaxis] for part in row[:-3])
        statistics, place, inner = row[-3:]
        made, measured = stylist.tile(image, noise[0] if noise else None, statistics[tf.newaxis], Part(place, inner))
        return made[0], measured[0]

    return {
        STATISTICS: traced(lambda *inputs: {STATISTICS: stylist.statistics(*inputs)}, *inputs),
        WITH_STATISTICS: traced(with_statistics, *inputs, given),
        TILE: traced(tile, *inputs, given, *window),
    }


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
