"""Writes requests that TensorFlow Serving replays when it loads a version, so that the first real one is not slow."""

import io
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from PIL import Image

from kgan.inference.stylist import BY_STATISTICS
from kgan.protocol import message, predict_request

WARMUP = pathlib.Path("assets.extra", "tf_serving_warmup_requests")
"""Path of the file in the folder of a version."""

Inputs = dict[str, np.ndarray | list]
"""Arrays, or lists of files, by the name of the input."""

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
            request = predict_request(message("ModelSpec", name=name, signature_name=signature), inputs)
            log = message("PredictionLog", predict_log=message("PredictLog", request=request))
            records.write(log.SerializeToString(deterministic=True))
    return path


def requests(signatures: Signatures, side: int) -> Iterator[tuple[str, Inputs]]:
    """Yield (signature, inputs) with one row for each signature, and for each file format of `serving_bytes`.

    Signatures with statistics are left out: programs that use them call `statistics` themselves first.
    """
    for name, function in sorted(signatures.items()):
        if name in BY_STATISTICS:
            continue
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
