"""Files of pictures to pixels and back in TensorFlow's own operations, so that a served model takes them as they are.

The decisions are those of `kgan.images.decoding`: only JPEG, PNG and WebP, the size read from the header before any
pixel is decoded, a truncated file refused, transparency laid over white. What needs Pillow is left out: ICC profiles.
"""

import tensorflow as tf

from kgan.export.orientation import jpeg_orientation, upright
from kgan.images.pictures import LUMA

MAX_BYTES = 32 * 2**20

BYTES_PER_PIXEL = 32
"""Memory that a picture takes beside the network: decoded, enlarged again in float32, rounded, as PNG. Measured on 61
megapixels: 20 from JPEG and PNG, 32 from WebP with alpha."""

DAMAGED = "damaged or truncated; send it again"
DAMAGED_WEBP = "damaged or truncated, or TensorFlow is older than 2.20 and reads no WebP; send it as JPEG or PNG"
UNKNOWN = "not a JPEG, PNG or WebP picture"
EMPTY = "empty (0 bytes)"
ANIMATED = "animated WebP is not read; send one picture"
TOO_LONG = f"longer than {MAX_BYTES // 2**20} MB; make it smaller"

FOREIGN = ((b"GIF8", 0, "GIF"), (b"BM", 0, "BMP"), (b"II*\0", 0, "TIFF"), (b"MM\0*", 0, "TIFF"), (b"ftyp", 4, "HEIC"))
"""First bytes, where they stand, and the format that they tell of."""

HEAD = 30
"""Bytes from which the size of every PNG and WebP can be read."""


def decode(data: tf.Tensor, channels: int, limit: int) -> tuple[tf.Tensor, tf.Tensor]:
    """A file's bytes (scalar string) -> uint8 [H, W, channels], upright, and ""; or one pixel and why it is not read.

    `limit`: most pixels that a header may claim. Whatever the bytes are, no operation fails the caller's: a decoder's
    error makes its data set of one element empty, and the first element of what follows it tells of the damage.
    """
    decoded = tf.autograph.experimental.do_not_convert(lambda given: _decode(given, channels, limit))
    tried = tf.data.Dataset.from_tensors(data).map(decoded).ignore_errors()
    reason = tf.where(_formats(_head(data))["webp"], DAMAGED_WEBP, DAMAGED)
    otherwise = tf.data.Dataset.from_tensors((_nothing(channels), reason))
    return tried.concatenate(otherwise).take(1).get_single_element()


def encode(picture: tf.Tensor) -> tf.Tensor:
    """uint8 [H, W, 1|3|4] -> the bytes of a PNG, scalar string."""
    return tf.io.encode_png(picture, compression=3)  # a third of the time of the default, 5% longer


def resized(picture: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """uint8 [H, W, C] -> uint8 [height, width, C] by Lanczos' filter, as Pillow does it."""
    made = tf.image.resize(picture, tf.stack([height, width]), "lanczos3", antialias=True)
    return to_uint8(made)


def to_uint8(values: tf.Tensor) -> tf.Tensor:
    """Floats in 0..255, clipped and rounded."""
    return tf.cast(tf.round(tf.clip_by_value(values, 0.0, 255.0)), tf.uint8)


# --- one file ---------------------------------------------------------------------------------------------------------


def _decode(data: tf.Tensor, channels: int, limit: int) -> tuple[tf.Tensor, tf.Tensor]:
    """As `decode`, but operations fail on damaged files."""
    head = _head(data)
    formats = _formats(head)
    problem = _problem(data, head, formats, limit)
    pixels = tf.cond(tf.equal(problem, ""), lambda: _pixels(data, formats, channels), lambda: _nothing(channels))
    return tf.ensure_shape(pixels, [None, None, channels]), problem


def _head(data: tf.Tensor) -> tf.Tensor:
    """The first bytes of a file, zeros where it is shorter."""
    return tf.strings.join([tf.strings.substr(data, 0, HEAD), tf.constant(b"\0" * HEAD)])


def _nothing(channels: int) -> tf.Tensor:
    return tf.zeros([1, 1, channels], tf.uint8)


def _starts(head: tf.Tensor, magic: bytes, at: int = 0) -> tf.Tensor:
    return tf.equal(tf.strings.substr(head, at, len(magic)), magic)


def _formats(head: tf.Tensor) -> dict[str, tf.Tensor]:
    """Which of the formats it is, each a bool."""
    return {
        "jpeg": _starts(head, b"\xff\xd8\xff"),
        # Without the header chunk right at the start libpng might find one elsewhere, with a size not looked at.
        "png": _starts(head, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        "webp": _starts(head, b"RIFF") & _starts(head, b"WEBP", 8),
    }


def _problem(data: tf.Tensor, head: tf.Tensor, formats: dict[str, tf.Tensor], limit: int) -> tf.Tensor:
    """Why a file is refused before decoding, else ""."""
    length = tf.strings.length(data)
    height, width = tf.unstack(_size(data, head, formats))
    # The decoders overrun their buffer on an animation without alpha: its flag is looked at before they are called.
    animated = formats["webp"] & _starts(head, b"VP8X", 12) & (_number(head, 20, 1) // 2 % 2 == 1)
    claims = tf.strings.join(["its header claims ", tf.as_string(width), "x", tf.as_string(height), " pixels"])
    too_large = tf.strings.join([claims, f"; the limit is {limit / 1e6:.3g} megapixels; make it smaller"])
    cases = [
        (length == 0, EMPTY),
        (length > MAX_BYTES, TOO_LONG),
        *((_starts(head, *at), f"{name} is not read; convert it to JPEG or PNG first") for *at, name in FOREIGN),
        (~tf.reduce_any(list(formats.values())), UNKNOWN),
        (animated, ANIMATED),
        (height * width > limit, too_large),
    ]
    problem = tf.constant("")
    for wrong, reason in reversed(cases):
        problem = tf.where(wrong, reason, problem)
    return problem


def _size(data: tf.Tensor, head: tf.Tensor, formats: dict[str, tf.Tensor]) -> tf.Tensor:
    """int64 [2]: the height and width that a header claims."""
    jpeg = lambda: tf.cast(tf.image.extract_jpeg_shape(data)[:2], tf.int64)  # noqa: E731
    png = lambda: tf.stack([_number(head, 20, 4, "big"), _number(head, 16, 4, "big")])  # noqa: E731
    return tf.case(
        [(formats["jpeg"], jpeg), (formats["png"], png), (formats["webp"], lambda: _webp_size(head))],
        default=lambda: tf.zeros([2], tf.int64),
    )


def _webp_size(head: tf.Tensor) -> tf.Tensor:
    """int64 [2] from the first chunk: VP8X (a container), VP8L (lossless), else VP8 (lossy)."""
    container = tf.stack([_number(head, 27, 3) + 1, _number(head, 24, 3) + 1])
    both = _number(head, 21, 4)
    lossless = tf.stack([both // 2**14 % 2**14 + 1, both % 2**14 + 1])
    lossy = tf.stack([_number(head, 28, 2) % 2**14, _number(head, 26, 2) % 2**14])
    simple = tf.where(_starts(head, b"VP8L", 12), lossless, lossy)
    return tf.where(_starts(head, b"VP8X", 12), container, simple)


def _number(data: tf.Tensor, start: int, count: int, order: str = "little") -> tf.Tensor:
    """Unsigned int64 in `count` bytes."""
    digits = tf.cast(tf.io.decode_raw(tf.strings.substr(data, start, count), tf.uint8), tf.int64)
    places = [256**k for k in range(count)]
    return tf.reduce_sum(digits * tf.constant(places if order == "little" else places[::-1], tf.int64))


def _pixels(data: tf.Tensor, formats: dict[str, tf.Tensor], channels: int) -> tf.Tensor:
    """uint8 [H, W, channels]; the operations fail on damaged files."""

    def jpeg():
        return upright(tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE"), jpeg_orientation(data))

    def png():
        # Where less than 8 bits have no alpha the decoder makes it full in those bits: 1, 3 or 15 instead of 255.
        pixels, depth = tf.io.decode_png(data, 4), _number(data, 24, 1)
        full = tf.cast(2 ** tf.minimum(depth, 8) - 1, tf.uint8)
        return tf.cond(tf.reduce_all(pixels[..., 3] == full), lambda: pixels[..., :3], lambda: pixels)

    def webp():  # DecodeWebP would be unknown to older servers, and they could load nothing of the model
        return tf.raw_ops.DecodeImage(contents=data, channels=0, expand_animations=False)

    pixels = tf.case([(formats["jpeg"], jpeg), (formats["png"], png)], default=webp)
    return _with_channels(pixels, channels)


def _with_channels(pixels: tf.Tensor, channels: int) -> tf.Tensor:
    """uint8 [H, W, 3|4], which is known only when it runs -> uint8 [H, W, 1|3|4]."""
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
    """White under full transparency: another colour there would be noise to a network."""
    white = tf.constant([255, 255, 255, 0], tf.uint8)
    return tf.where(pixels[..., 3:] == 0, white, pixels)


def _over_white(pixels: tf.Tensor) -> tf.Tensor:
    """uint8 RGBA -> RGB; in 16 bits, since floats of a large picture would need a gigabyte."""
    wide = tf.cast(pixels, tf.uint16)
    alpha = wide[..., 3:]
    return tf.cast((wide[..., :3] * alpha + (255 - alpha) * 255 + 127) // 255, tf.uint8)
