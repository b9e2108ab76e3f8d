"""Writes requests that TensorFlow Serving replays when it loads a version, so that the first real one is not slow."""

import io
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from PIL import Image

WARMUP = pathlib.Path("assets.extra", "tf_serving_warmup_requests")
"""Path of the file in the folder of a version."""

PREDICT_LOG, REQUEST = 6, 1  # fields of PredictionLog and PredictLog
MODEL_SPEC, INPUTS = 1, 2  # of PredictRequest
NAME, SIGNATURE = 1, 3  # of ModelSpec
KEY, VALUE = 1, 2  # of a map's entries

Inputs = dict[str, np.ndarray | list]


Signatures = dict[str, tf.types.experimental.ConcreteFunction]


def write_warmup(folder: pathlib.Path, signatures: Signatures, name: str, side: int) -> pathlib.Path:
    """Write requests for each signature of a SavedModel.

    Args:
        folder: folder of the SavedModel.
        signatures: its signatures.
        name: name of the model on the server.
        side: side of the pictures in pixels.

    Returns:
        The path of the file.
    """
    path = folder / WARMUP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as records:
        for signature, inputs in requests(signatures, side):
            records.write(_field(PREDICT_LOG, _field(REQUEST, predict_request(name, signature, inputs))))
    return path


def requests(signatures: Signatures, side: int) -> Iterator[tuple[str, Inputs]]:
    """Yield (signature, inputs) with one row for each signature, and for each file format of `serving_bytes`."""
    for name, function in sorted(signatures.items()):
        specs = {spec.name: spec for spec in tf.nest.flatten(function.structured_input_signature) if spec is not None}
        one = {key: _value(key, spec, side) for key, spec in specs.items()}
        if "image_bytes" not in specs:
            yield name, one
            continue
        for kind in ("JPEG", "PNG", "WEBP"):
            yield name, one | {"image_bytes": [_file(kind, side)]}


def _value(key: str, spec: tf.TensorSpec, side: int) -> np.ndarray | list:
    if key in ("height", "width"):
        return np.array([side], np.int32)
    if key == "seed":
        return np.array([0], np.int32)
    if key == "image_bytes":
        return []
    shape = (1, side, side, spec.shape[-1])
    made = _picture(shape) if key == "image" else np.zeros(shape)
    return (made * 255 if spec.dtype == tf.uint8 else made).astype(spec.dtype.as_numpy_dtype)


def _picture(shape: tuple[int, ...]) -> np.ndarray:
    """A gradient from 0 to 1."""
    return np.linspace(0, 1, int(np.prod(shape))).reshape(shape)


def _file(kind: str, side: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray((_picture((side, side, 3)) * 255).astype(np.uint8)).save(buffer, kind)
    return buffer.getvalue()


# --- messages of the protocol, encoded here, so that an export does not need the package tensorflow-serving-api -------


def predict_request(name: str, signature: str, inputs: Inputs) -> bytes:
    """Encode a PredictRequest of tensorflow_serving/apis/predict.proto.

    Args:
        name: name of the model.
        signature: name of the signature.
        inputs: inputs by name.

    Returns:
        The bytes of the message.
    """
    spec = _field(NAME, name.encode()) + _field(SIGNATURE, signature.encode())
    entries = (
        _field(INPUTS, _field(KEY, key.encode()) + _field(VALUE, tf.make_tensor_proto(value).SerializeToString()))
        for key, value in inputs.items()
    )
    return _field(MODEL_SPEC, spec) + b"".join(entries)


def _field(number: int, content: bytes) -> bytes:
    """Encode a field of bytes, text or a message: its number and wire type (2), its length and its content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Encode a number with seven bits per byte, the lowest first. The high bit means that more bytes follow."""
    low = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([part | 0x80 for part in low[:-1]] + low[-1:])
