"""Decodes and encodes picture files with TensorFlow operations, so that a served model takes and returns files.

The rules are those of `kgan.images.decoding`: only JPEG, PNG and WebP are read, the size is read from the header before
any pixel is decoded, truncated files are refused, and transparency is composited over white. ICC profiles are ignored,
because they need Pillow.

`resized`, `to_uint8`, `_over_white` and `kgan.export.orientation` do what functions of `kgan.images` do. They exist
twice, because the graph of a served model cannot call Pillow or NumPy.
"""

import tensorflow as tf

from kgan.export.chunks import chunk, number
from kgan.export.orientation import orientation, upright
from kgan.images.pictures import LUMA

MAX_BYTES = 32 * 2**20

BYTES_PER_PIXEL = 32
"""Memory for a picture outside the network: decoded, enlarged in float32, rounded and encoded as PNG. It was measured
with 61 megapixels: 20 for JPEG and PNG, 32 for WebP with alpha."""

DAMAGED = "damaged or truncated; send it again"
DAMAGED_WEBP = "damaged or truncated, or TensorFlow is older than 2.20 and reads no WebP; send it as JPEG or PNG"
UNKNOWN = "not a JPEG, PNG or WebP picture"
EMPTY = "empty (0 bytes)"
ANIMATED = "an animation is not read; send one picture"
TOO_LONG = f"longer than {MAX_BYTES // 2**20} MB; make it smaller"

FOREIGN = ((b"GIF8", 0, "GIF"), (b"BM", 0, "BMP"), (b"II*\0", 0, "TIFF"), (b"MM\0*", 0, "TIFF"), (b"ftyp", 4, "HEIC"))
"""First bytes of other formats, their position and the name of the format."""

HEAD = 30
"""Bytes that contain the size of any PNG or WebP file."""


def decode(data: tf.Tensor, channels: int, limit: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode a picture file. Invalid bytes do not make the caller's graph fail.

    The decoder runs in a data set of one element, which is empty after an error. The next element then reports the
    damage.

    Args:
        data: bytes of the file, a string scalar.
        channels: channels of the result: 1, 3 or 4.
        limit: the largest number of pixels that a header may claim.

    Returns:
        The upright picture, uint8 [H, W, channels], and "". If the file cannot be read, one pixel and the reason.
    """
    decoded = tf.autograph.experimental.do_not_convert(lambda given: _decode(given, channels, limit))
    tried = tf.data.Dataset.from_tensors(data).map(decoded).ignore_errors()
    reason = tf.where(_formats(_head(data))["webp"], DAMAGED_WEBP, DAMAGED)
    otherwise = tf.data.Dataset.from_tensors((_nothing(channels), reason))
    return tried.concatenate(otherwise).take(1).get_single_element()


def encode(picture: tf.Tensor) -> tf.Tensor:
    """Encode a picture as PNG.

    Args:
        picture: uint8 [H, W, 1|3|4].

    Returns:
        The bytes of the file, a string scalar.
    """
    return tf.io.encode_png(picture, compression=3)  # a third of the time of the default, files 5% larger


def resized(picture: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Resize a picture with a Lanczos filter, as Pillow does.

    Args:
        picture: uint8 [H, W, C].
        height: height of the result in pixels, an int32 scalar.
        width: width of the result in pixels, an int32 scalar.

    Returns:
        uint8 [height, width, C].
    """
    made = tf.image.resize(picture, tf.stack([height, width]), "lanczos3", antialias=True)
    return to_uint8(made)


def to_uint8(values: tf.Tensor) -> tf.Tensor:
    """Clip floats to [0, 255] and round them to uint8."""
    return tf.cast(tf.round(tf.clip_by_value(values, 0.0, 255.0)), tf.uint8)


# --- one file ---------------------------------------------------------------------------------------------------------


def _decode(data: tf.Tensor, channels: int, limit: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode as `decode`, but with operations that fail for damaged files."""
    head = _head(data)
    formats = _formats(head)
    problem = _problem(data, head, formats, limit)
    pixels = tf.cond(tf.equal(problem, ""), lambda: _pixels(data, formats, channels), lambda: _nothing(channels))
    return tf.ensure_shape(pixels, [None, None, channels]), problem


def _head(data: tf.Tensor) -> tf.Tensor:
    """The first bytes of a file, followed by zeros if it is shorter."""
    return tf.strings.join([tf.strings.substr(data, 0, HEAD), tf.constant(b"\0" * HEAD)])


def _nothing(channels: int) -> tf.Tensor:
    return tf.zeros([1, 1, channels], tf.uint8)


def _starts(head: tf.Tensor, magic: bytes, at: int = 0) -> tf.Tensor:
    return tf.equal(tf.strings.substr(head, at, len(magic)), magic)


def _formats(head: tf.Tensor) -> dict[str, tf.Tensor]:
    """Whether the file has each of the formats, bool scalars by name."""
    return {
        "jpeg": _starts(head, b"\xff\xd8\xff"),
        # The header chunk must be the first one. Otherwise libpng could use a later one, whose size is not checked.
        "png": _starts(head, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        "webp": _starts(head, b"RIFF") & _starts(head, b"WEBP", 8),
    }


def _problem(data: tf.Tensor, head: tf.Tensor, formats: dict[str, tf.Tensor], limit: int) -> tf.Tensor:
    """The reason why a file is refused before it is decoded, or ""."""
    length = tf.strings.length(data)
    height, width = tf.unstack(_size(data, head, formats))
    # The decoder overruns its buffer for an animation without alpha. So animations are refused before it is called.
    animated_webp = formats["webp"] & _starts(head, b"VP8X", 12) & (number(head, 20, 1) // 2 % 2 == 1)
    animated_png = tf.cond(formats["png"], lambda: chunk(data, True, b"acTL") > 0, lambda: tf.constant(False))
    claims = tf.strings.join(["its header claims ", tf.as_string(width), "x", tf.as_string(height), " pixels"])
    too_large = tf.strings.join([claims, f"; the limit is {limit / 1e6:.3g} megapixels; make it smaller"])
    cases = [
        (length == 0, EMPTY),
        (length > MAX_BYTES, TOO_LONG),
        *(
            (_starts(head, first, at), f"{name} is not read; convert it to JPEG or PNG first")
            for first, at, name in FOREIGN
        ),
        (~tf.reduce_any(list(formats.values())), UNKNOWN),
        (animated_webp | animated_png, ANIMATED),
        (height * width > limit, too_large),
    ]
    problem = tf.constant("")
    for wrong, reason in reversed(cases):
        problem = tf.where(wrong, reason, problem)
    return problem


def _size(data: tf.Tensor, head: tf.Tensor, formats: dict[str, tf.Tensor]) -> tf.Tensor:
    """The height and width that a header claims, int64 [2]."""
    jpeg = lambda: tf.cast(tf.image.extract_jpeg_shape(data)[:2], tf.int64)  # noqa: E731
    png = lambda: tf.stack([number(head, 20, 4, big=True), number(head, 16, 4, big=True)])  # noqa: E731
    return tf.case(
        [(formats["jpeg"], jpeg), (formats["png"], png), (formats["webp"], lambda: _webp_size(head))],
        default=lambda: tf.zeros([2], tf.int64),
    )


def _webp_size(head: tf.Tensor) -> tf.Tensor:
    """The height and width in the first chunk, int64 [2]: VP8X (container), VP8L (lossless) or VP8 (lossy)."""
    container = tf.stack([number(head, 27, 3) + 1, number(head, 24, 3) + 1])
    both = number(head, 21, 4)
    lossless = tf.stack([both // 2**14 % 2**14 + 1, both % 2**14 + 1])
    lossy = tf.stack([number(head, 28, 2) % 2**14, number(head, 26, 2) % 2**14])
    simple = tf.where(_starts(head, b"VP8L", 12), lossless, lossy)
    return tf.where(_starts(head, b"VP8X", 12), container, simple)


def _pixels(data: tf.Tensor, formats: dict[str, tf.Tensor], channels: int) -> tf.Tensor:
    """Decode to uint8 [H, W, channels]. The operations fail for damaged files."""

    def jpeg():
        return tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE")

    def png():
        # For less than 8 bits without alpha, the decoder fills alpha with the largest value of those bits, not 255.
        pixels, depth = tf.io.decode_png(data, 4), number(data, 24, 1)
        full = tf.cast(2 ** tf.minimum(depth, 8) - 1, tf.uint8)
        return tf.cond(tf.reduce_all(pixels[..., 3] == full), lambda: pixels[..., :3], lambda: pixels)

    def webp():  # not DecodeWebP: older servers do not have it and could not load the model at all
        return tf.raw_ops.DecodeImage(contents=data, channels=0, expand_animations=False)

    pixels = tf.case([(formats["jpeg"], jpeg), (formats["png"], png)], default=webp)
    return upright(_with_channels(pixels, channels), orientation(data, formats))


def _with_channels(pixels: tf.Tensor, channels: int) -> tf.Tensor:
    """Convert uint8 [H, W, 3|4] to uint8 [H, W, channels]. The number of input channels is known at run time only."""
    has_alpha = tf.equal(tf.shape(pixels)[-1], 4)
    if channels == 4:
        return tf.cond(has_alpha, lambda: _without_hidden_colours(pixels), lambda: _opaque(pixels))
    colours = tf.cond(has_alpha, lambda: _over_white(pixels), lambda: pixels)
    if channels == 3:
        return colours
    return to_uint8(tf.reduce_sum(tf.cast(colours, tf.float32) * LUMA, -1, keepdims=True))


def _opaque(pixels: tf.Tensor) -> tf.Tensor:
    return tf.concat([pixels, tf.fill(tf.concat([tf.shape(pixels)[:2], [1]], 0), tf.constant(255, tf.uint8))], -1)


def _without_hidden_colours(pixels: tf.Tensor) -> tf.Tensor:
    """Make fully transparent pixels white. Their colours would be noise for a network."""
    white = tf.constant([255, 255, 255, 0], tf.uint8)
    return tf.where(pixels[..., 3:] == 0, white, pixels)


def _over_white(pixels: tf.Tensor) -> tf.Tensor:
    """Composite uint8 RGBA over white, in 16 bits, because floats of a large picture would need a gigabyte."""
    wide = tf.cast(pixels, tf.uint16)
    alpha = wide[..., 3:]
    return tf.cast((wide[..., :3] * alpha + (255 - alpha) * 255 + 127) // 255, tf.uint8)
