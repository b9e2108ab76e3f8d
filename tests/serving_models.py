"""Tiny SavedModels with kgan's signatures and simple arithmetic."""

import os
import pathlib
import tempfile

import tensorflow as tf

PNG_BEGIN, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


class Xor(tf.Module):
    """uint8 values are xored with `key`, plus the seed of the row if there is one. Floats become value * key / 255."""

    def __init__(self, key: int, takes_seed: bool = False):
        super().__init__()
        self.key, self.takes_seed = key, takes_seed

    def signatures(self) -> dict:
        specs = {
            "serving_default": (self.default, tf.TensorSpec([None, None, None, 3], tf.uint8, "image")),
            "serving_float": (self.float, tf.TensorSpec([None, None, None, 3], tf.float32, "image")),
            "serving_bytes": (self.bytes, tf.TensorSpec([None], tf.string, "image_bytes")),
        }
        seeds = [tf.TensorSpec([None], tf.int32, "seed")] if self.takes_seed else []
        return {name: tf.function(call).get_concrete_function(spec, *seeds) for name, (call, spec) in specs.items()}

    def default(self, image, seed=None):
        colours = tf.stack(tf.unstack(image, 3, axis=-1), axis=-1)  # fails on any other number of channels
        return {"stylized": tf.bitwise.bitwise_xor(colours, self._keys(seed, tf.uint8))}

    def float(self, image, seed=None):
        return {"stylized": image * self._keys(seed, tf.float32) / 255.0}

    def bytes(self, image_bytes, seed=None):
        begins = tf.equal(tf.strings.substr(image_bytes, 0, len(PNG_BEGIN)), PNG_BEGIN)
        whole = tf.logical_and(begins, self._ends(image_bytes))

        def one(row):
            text, good, own = row
            return tf.cond(good, lambda: self._png(text, own), lambda: tf.constant(b""))

        seeds = tf.zeros_like(whole, tf.int32) if seed is None else seed
        made = tf.map_fn(one, (image_bytes, whole, seeds), fn_output_signature=tf.string)
        error = tf.where(begins, tf.where(whole, "", "the file is cut off"), "not a PNG file")
        return {"stylized_bytes": made, "error": error}

    def _ends(self, texts):
        lengths = tf.strings.length(texts)
        tails = tf.strings.substr(texts, tf.maximum(lengths - len(PNG_END), 0), tf.minimum(lengths, len(PNG_END)))
        return tf.equal(tails, PNG_END)

    def _keys(self, seed, dtype):
        """One value for each row."""
        return tf.cast(self.key + (tf.zeros([1], tf.int32) if seed is None else seed), dtype)[:, None, None, None]

    def _png(self, text, seed):
        return tf.io.encode_png(self.default(tf.io.decode_png(text, channels=3)[None], seed[None])["stylized"][0])


class HalfPlusThree(tf.Module):
    """The example of TensorFlow Serving's documentation: x / 2 + 3."""

    def signatures(self) -> dict:
        spec = tf.TensorSpec([None], tf.float32, "x")
        return {"serving_default": tf.function(lambda x: {"y": x / 2 + 3}).get_concrete_function(spec)}


class Named(tf.Module):
    """Three named inputs as in the documentation. Outputs are tag as string and as bytes, and sums of the others."""

    def signatures(self) -> dict:
        specs = [
            tf.TensorSpec([None], tf.string, "tag"),
            tf.TensorSpec([None, 5], tf.int32, "signal"),
            tf.TensorSpec([None, 2, 2], tf.float32, "sensor"),
        ]
        return {"serving_default": tf.function(self.sums).get_concrete_function(*specs)}

    def sums(self, tag, signal, sensor):
        return {
            "tag": tf.identity(tag),
            "tag_bytes": tf.strings.reduce_join([tag, tag], axis=0),
            "signal_sum": tf.reduce_sum(signal, axis=1),
            "sensor_sum": tf.reduce_sum(sensor, axis=1),
        }


class Echo(tf.Module):
    """One input of strings, and one output whose name ends with _bytes."""

    def signatures(self) -> dict:
        spec = tf.TensorSpec([None], tf.string, "image_bytes")
        echo = tf.function(lambda image_bytes: {"same_bytes": tf.identity(image_bytes)})
        return {"serving_default": echo.get_concrete_function(spec)}


class Sky(tf.Module):
    """kgan's signatures with seeds, and simple results: 255 - x, x / 2, the same bytes."""

    def signatures(self) -> dict:
        seed = tf.TensorSpec([None], tf.int32, "seed")
        specs = {
            "serving_default": (
                lambda image, seed: {"stylized": 255 - image},
                tf.TensorSpec([None, None, None, None], tf.uint8, "image"),
            ),
            "serving_float": (
                lambda image, seed: {"stylized": image / 2},
                tf.TensorSpec([None, None, None, None], tf.float32, "image"),
            ),
            "serving_bytes": (
                lambda image_bytes, seed: {
                    "stylized_bytes": tf.identity(image_bytes),
                    "error": tf.where(tf.equal(image_bytes, ""), "an empty file", ""),
                },
                tf.TensorSpec([None], tf.string, "image_bytes"),
            ),
        }
        return {name: tf.function(call).get_concrete_function(spec, seed) for name, (call, spec) in specs.items()}


def publish(module: tf.Module, folder: pathlib.Path, version: int) -> None:
    """Write a version so that a server that watches the folder never sees an incomplete one."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as partial:
        tf.saved_model.save(module, os.path.join(partial, "it"), signatures=module.signatures())
        os.rename(os.path.join(partial, "it"), folder / str(version))
