"""Endless batches for training from prepared stores, which can start at any step.

Batch k holds the samples k*B ... k*B+B-1. The picture, the crop and the mirroring of a sample are functions of
(seed, domain, number of the sample). Paired pictures share all three.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kgan.data import augmentation
from kgan.data.crops import Crops
from kgan.data.gate import gated
from kgan.data.order import picture_indices
from kgan.data.sources import Pictures
from kgan.data.stores import Store

CONTENT, STYLE = 0, 1
"""Domains. Content and style have independent random choices."""

READERS = 4
"""Batches that are read at the same time. Most of the time is spent outside Python's lock."""

AHEAD = 4
"""Finished batches that are kept ready. AUTOTUNE takes hundreds of megabytes."""

FOREVER = 2**62
"""A number of samples that no training reaches."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """The part of every global batch that one worker reads.

    Attributes:
        index: number of the worker, 0 to `count` - 1.
        count: number of workers.
        batches: number of batches into which the part is divided, one for each replica of the worker.
    """

    index: int = 0
    count: int = 1
    batches: int = 1

    def rows(self, batch_size: int) -> np.ndarray:
        """Positions in the global batch, int64 [batch_size / count]."""
        return np.arange(batch_size).reshape(self.count, -1)[self.index]


def training_dataset(
    pictures: Pictures, crops: Crops, start_step: int = 0, shard: Shard | None = None
) -> tf.data.Dataset:
    """An endless data set of batches for training.

    Args:
        pictures: the prepared stores.
        crops: how crops are drawn.
        start_step: number of the first batch.
        shard: the part of each batch that is read and decoded; all of it by default. The number of its batches must
            divide the global batch size.

    Returns:
        A data set of {"content", "style"}, each float32 [B, S, S, C] in [-1, 1], with the shard's batch size B.
        Recipes without content have "style" only, recipes with a teacher "content" only.
    """
    crops, shard = Crops.of(crops), shard or Shard()  # the settings of a run have the fields of Crops, too
    rows = shard.rows(crops.batch_size)
    kinds = {"content": (pictures.content, CONTENT), "style": (pictures.style, CONTENT if pictures.paired else STYLE)}
    stores = {name: (store, domain) for name, (store, domain) in kinds.items() if store is not None}
    dataset = tf.data.Dataset.range(start_step, FOREVER // crops.batch_size)
    read = functools.partial(_read, stores, crops, rows)
    read, decode = (tf.autograph.experimental.do_not_convert(each) for each in (read, _decoder(stores, crops)))
    dataset = dataset.map(read, num_parallel_calls=READERS, deterministic=True).unbatch()
    dataset = dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.batch(len(rows) // shard.batches, drop_remainder=True).prefetch(AHEAD * shard.batches)


def _read(
    stores: dict[str, tuple[Store, int]], crops: Crops, rows: np.ndarray, step: tf.Tensor
) -> dict[str, tf.Tensor]:
    """The encoded pictures of some rows of a batch, string [B] for each store, and their sample numbers, int64 [B]."""

    def encoded(step: np.ndarray) -> list[np.ndarray]:
        samples = int(step) * crops.batch_size + rows
        return [samples] + [
            np.array(store.encoded(picture_indices(samples, len(store), crops.seed, domain)), object)
            for store, domain in stores.values()
        ]

    columns = tf.numpy_function(gated(encoded), [step], [tf.int64] + [tf.string] * len(stores))
    for column in columns:
        column.set_shape([len(rows)])
    return dict(zip(["sample", *stores], columns, strict=True))


def _decoder(stores: dict[str, tuple[Store, int]], crops: Crops) -> Callable:
    keys = {name: _key(crops.seed, domain) for name, (_, domain) in stores.items()}
    crop = {name: _traced(crops.of_style if name == "style" else crops) for name in stores}

    def decode(sample: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        seeds = {name: tf.stack([tf.constant(key, tf.int64), sample["sample"]]) for name, key in keys.items()}
        return {name: crop[name](sample[name], seeds[name]) for name in stores}

    return decode


@functools.lru_cache(maxsize=2)
def _traced(crops: Crops) -> Callable:
    """`augment` with these settings, traced once for equal domains and for the next data set. A trace takes 0.3 s."""
    crop = functools.partial(augment, crops=crops)
    return tf.function(crop, [tf.TensorSpec((), tf.string), tf.TensorSpec((2,), tf.int64)], autograph=False)


def augment(encoded: tf.Tensor, seed: tf.Tensor, crops: Crops) -> tf.Tensor:
    """A random training crop of an encoded picture.

    Args:
        encoded: the bytes of a JPEG or PNG file, a string scalar.
        seed: int64 [2].
        crops: how crops are drawn: size, channels, range of the crop, mirroring.

    Returns:
        float32 [S, S, C] in [-1, 1].
    """
    shape = augmentation.picture_shape(encoded)
    window = augmentation.random_window(shape, seed, crops.min_crop, crops.max_crop)
    image = augmentation.to_range(augmentation.decode_window(encoded, window, crops.size, crops.channels))
    return augmentation.random_flip(image, seed) if crops.flip else image


def _key(seed: int, domain: int) -> int:
    """A 63-bit integer that depends on the seed and the domain."""
    state = np.random.SeedSequence((seed % 2**64, domain)).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))
