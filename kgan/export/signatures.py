"""The signatures of a SavedModel.

- `serving_default`: takes `image`, uint8 [N, H, W, C], and returns `stylized` of the same shape and type. All pictures
  have the same size.
- `serving_float`: the same with float32 in [0, 1].
- `serving_bytes`: takes `image_bytes`, N files (JPEG, PNG, WebP) of any sizes. It returns `stylized_bytes`, N PNG files
  of the same sizes, and `error`, N strings that are empty for success. Each row is independent of the others.
- `statistics`, `with_statistics` and `tile` measure and take the statistics of pictures, for parts of large pictures
  and for films (`kgan.inference.stylist.by_statistics`).
- `from_noise`, only for models with noise: takes float32 `image` and `noise` [N, H, W, Nz].

Models with noise also take `seed`, int32 [N]. The noise of a row depends only on its seed. Models without content take
`seed`, `height` and `width`, int32 [N], instead of pictures. So each input has one entry per row, which batching needs.
"""

import math
from collections.abc import Callable

import tensorflow as tf

from kgan.export import picture_ops
from kgan.export.tiles import tiled
from kgan.images.decoding import MAX_UNPROVEN
from kgan.inference.stylist import MINIMUM_CELLS, Stylist, by_statistics, from_noise, traced

MEMORY = 2e9
"""Default of the memory in bytes that one picture of `serving_bytes` may use."""

Function = tf.types.experimental.ConcreteFunction


def signatures(stylist: Stylist, memory: float = MEMORY) -> dict[str, Function]:
    """Trace the signatures of a stylist.

    `serving_bytes` restyles a picture in tiles if the network would need more than `memory` bytes. It refuses a picture
    that needs more than `memory` bytes even without the network.

    Args:
        stylist: the stylist.
        memory: the memory in bytes that one picture of `serving_bytes` may use.

    Returns:
        Concrete functions by name.
    """
    make = _from_pictures if stylist.facts.takes_content else _from_numbers
    functions = make(stylist, memory)
    functions |= {"from_noise": from_noise(stylist)} if stylist.facts.noise_channels else {}
    return functions | by_statistics(stylist)


def _from_pictures(stylist: Stylist, memory: float) -> dict[str, Function]:
    facts = stylist.facts
    limit = int(min(MAX_UNPROVEN, memory / picture_ops.BYTES_PER_PIXEL))

    def in_floats(image, seed=None):
        return {"stylized": stylist(image, None if seed is None else _noise(stylist, seed, tf.shape(image)[1:3]))}

    def in_bytes(image_bytes, seed=None):
        seeds = tf.zeros_like(image_bytes, tf.int32) if seed is None else seed
        return _rows(lambda data, one: _stylized_file(stylist, data, one, limit, memory), (image_bytes, seeds))

    pictures = (None, None, None, facts.channels)
    seed = _numbers("seed") if facts.noise_channels else ()
    return {
        "serving_default": traced(_in_uint8(in_floats), tf.TensorSpec(pictures, tf.uint8, "image"), *seed),
        "serving_float": traced(in_floats, tf.TensorSpec(pictures, tf.float32, "image"), *seed),
        "serving_bytes": traced(in_bytes, tf.TensorSpec((None,), tf.string, "image_bytes"), *seed),
    }


def _from_numbers(stylist: Stylist, memory: float) -> dict[str, Function]:
    limit = _affordable_pixels(stylist, memory)

    def in_floats(seed, height, width):
        alike = (height == height[0]) & (width == width[0]) & _fits(height, width, limit)
        check = tf.debugging.Assert(
            tf.reduce_all(alike), [f"height and width should be alike in all rows, at most {limit} pixels"]
        )
        with tf.control_dependencies([check]):
            return {"stylized": stylist(None, _noise(stylist, seed, tf.stack([height[0], width[0]])))}

    def in_bytes(seed, height, width):
        return _rows(lambda *row: _made_file(stylist, *row, limit), (seed, height, width))

    numbers = _numbers("seed", "height", "width")
    return {
        "serving_default": traced(_in_uint8(in_floats), *numbers),
        "serving_float": traced(in_floats, *numbers),
        "serving_bytes": traced(in_bytes, *numbers),
    }


def _numbers(*names: str) -> tuple[tf.TensorSpec, ...]:
    return tuple(tf.TensorSpec((None,), tf.int32, name) for name in names)


def _in_uint8(function: Callable) -> Callable:
    """The same function, with uint8 pictures as input and output."""

    def wrapped(first, *others):
        given = tf.cast(first, tf.float32) / 255.0 if first.dtype == tf.uint8 else first
        return {"stylized": picture_ops.to_uint8(function(given, *others)["stylized"] * 255.0)}

    return wrapped


def _noise(stylist: Stylist, seeds: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Noise maps [N, *size, Nz], each with its own seed."""
    spec = tf.TensorSpec((None, None, stylist.facts.noise_channels), tf.float32)
    return tf.map_fn(lambda seed: stylist.noise(seed, 1, size[0], size[1])[0], seeds, fn_output_signature=spec)


# --- rows of files ----------------------------------------------------------------------------------------------------


def _rows(one: Callable, columns: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
    """Apply `one(*row)`, which returns (bytes, error), to each row in turn. All at once need N times the memory."""
    made, error = tf.map_fn(
        lambda row: one(*row), columns, parallel_iterations=1, fn_output_signature=(tf.string, tf.string)
    )
    return {"stylized_bytes": made, "error": error}


def _stylized_file(
    stylist: Stylist, data: tf.Tensor, seed: tf.Tensor, limit: int, memory: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Stylize a picture file. Returns a PNG file of the same size and "", or "" and the reason why it is not read."""
    picture, problem = picture_ops.decode(data, stylist.facts.channels, limit)

    def made():
        return picture_ops.encode(_at_affordable_size(stylist, picture, seed, _affordable_pixels(stylist, memory)))

    return tf.cond(tf.equal(problem, ""), made, lambda: tf.constant(b"")), problem


def _at_affordable_size(stylist: Stylist, picture: tf.Tensor, seed: tf.Tensor, pixels: int) -> tf.Tensor:
    """Stylize uint8 [H, W, C]. The network processes at most `pixels` pixels at once, with padding.

    A larger picture is restyled in tiles. If the reach of the network is unknown, it is restyled smaller and enlarged.
    """
    size = tf.shape(picture)[:2]
    height, width = affordable_size(size[0], size[1], pixels, _least(stylist))
    fits = tf.reduce_all(tf.stack([height, width]) == size)

    def whole():
        return _stylized(stylist, picture, seed)

    def smaller():
        small = picture_ops.resized(picture, height, width)
        return picture_ops.resized(_stylized(stylist, small, seed), size[0], size[1])

    def in_tiles():
        return tiled(stylist, picture, picture_ops.resized(picture, height, width), seed, math.isqrt(pixels))

    return tf.cond(fits, whole, in_tiles if stylist.facts.reach else smaller)


def _stylized(stylist: Stylist, picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Stylize uint8 [H, W, C] whole."""
    image = tf.cast(picture[tf.newaxis], tf.float32) / 255.0
    height, width = tf.shape(picture)[0], tf.shape(picture)[1]
    noise = stylist.noise(seed, 1, height, width) if stylist.facts.noise_channels else None
    return picture_ops.to_uint8(stylist(image, noise)[0] * 255.0)


def affordable_size(height: tf.Tensor, width: tf.Tensor, pixels: int, least: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Reduce a size by one factor so that it has at most `pixels` pixels.

    The network pads sides to at least `least` pixels. So the aspect ratio of a very long picture changes a little.

    Args:
        height: height in pixels, an int32 scalar.
        width: width in pixels, an int32 scalar.
        pixels: the largest number of pixels after padding.
        least: the least side after padding.

    Returns:
        (height, width), int32 scalars.
    """
    area = tf.cast(tf.maximum(height, least), tf.float64) * tf.cast(tf.maximum(width, least), tf.float64)
    scale = tf.minimum(tf.sqrt(pixels / area), 1.0)
    high, wide = (tf.maximum(tf.cast(tf.cast(side, tf.float64) * scale, tf.int32), 1) for side in (height, width))
    high = tf.minimum(high, pixels // tf.maximum(wide, least))
    return high, tf.minimum(wide, pixels // tf.maximum(high, least))


def _made_file(
    stylist: Stylist, seed: tf.Tensor, height: tf.Tensor, width: tf.Tensor, limit: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Generate a PNG file from noise. Returns the file and "", or "" and the reason why the size is not valid."""

    def made():
        return picture_ops.encode(picture_ops.to_uint8(stylist(None, stylist.noise(seed, 1, height, width))[0] * 255.0))

    fits = _fits(height, width, limit)
    problem = tf.where(fits, "", f"height and width should be above 0, and at most {limit} pixels together")
    return tf.cond(fits, made, lambda: tf.constant(b"")), problem


def _fits(height: tf.Tensor, width: tf.Tensor, limit: int) -> tf.Tensor:
    return (height > 0) & (width > 0) & (tf.cast(height, tf.int64) * tf.cast(width, tf.int64) <= limit)


def _least(stylist: Stylist) -> int:
    """The least side of the network's input."""
    return MINIMUM_CELLS * stylist.stride


def _affordable_pixels(stylist: Stylist, memory: float) -> int:
    """The largest number of pixels of the network's input."""
    return max(int(memory / stylist.facts.bytes_per_pixel("tensorflow")), _least(stylist) ** 2)
