"""Data sets of folders of pictures, for `fit` and `evaluate` in Python programs."""

import os
import pathlib

import numpy as np
import tensorflow as tf

from kgan import console
from kgan.data.crops import Crops
from kgan.data.gate import gated
from kgan.data.prepared import CacheSpec, prepare
from kgan.data.sources import Pictures, matched, named_source
from kgan.data.stores import Store
from kgan.data.training import training_dataset
from kgan.errors import UserError
from kgan.images.decoding import at_most
from kgan.images.resizing import for_scores
from kgan.paths import expanded, expands_paths
from kgan.runs import places

CACHE = "~/.cache/kgan"


@expands_paths
def from_folders(
    content: str | os.PathLike | None = None,
    style: str | os.PathLike | None = None,
    *,
    size: int = 256,
    batch_size: int = 8,
    seed: int = 0,
    channels: int = 3,
    min_crop: float = 0.5,
    max_crop: float = 1.0,
    flip: bool = True,
    style_min_crop: float | None = None,
    style_max_crop: float | None = None,
    paired: bool = False,
    cache: str | os.PathLike = CACHE,
    max_megapixels: float | None = None,
    first_batch: int = 0,
) -> tf.data.Dataset:
    """An endless data set of training batches, drawn from two folders of pictures.

    `kgan train` uses the same batches. The pictures are decoded once and stored below `cache`. Batch k depends only on
    `seed` and k, so that a training run can be resumed at step k with `first_batch=k`.

    >>> dataset = kgan.data.from_folders("photos", "paintings", size=128)  # doctest: +SKIP
    >>> gan.fit(dataset, steps_per_epoch=1000, epochs=3)  # doctest: +SKIP

    Args:
        content: Pictures to restyle: a folder, which is searched at any depth, one picture, tfds:NAME, or None.
        style: Pictures in the wanted style: a folder, one picture, tfds:NAME, or None.
        size: Side of the square crops in pixels.
        batch_size: Number of crops of each kind in a batch.
        seed: Seed of the order, the crops and the mirroring.
        channels: Channels of the crops: 1 (gray), 3 (RGB) or 4 (RGBA).
        min_crop: Smallest side of a crop, as a fraction of the picture's short side, in (0, 1].
        max_crop: Largest side of a crop, as a fraction of the picture's short side, in (0, 1].
        flip: Whether half of the pictures are mirrored.
        style_min_crop: `min_crop` of the style pictures. Default: that of the content.
        style_max_crop: `max_crop` of the style pictures. Default: that of the content.
        paired: Whether pictures of equal file names show the same scene. They then share crop and mirroring.
        cache: Folder of prepared pictures.
        max_megapixels: Largest picture that is read. Default: 400, or 100 if the file is too short for the pixels that
            it claims.
        first_batch: Number of the first batch.

    Returns:
        A data set of {"content", "style"}, each float32 [batch_size, size, size, channels] in [-1, 1]. A kind that is
        None is left out.

    Raises:
        UserError: if an argument is not valid, or a folder does not exist or contains no usable picture.
        RunError: if the cache cannot be written.
    """
    crops = Crops(size, batch_size, seed, channels, min_crop, max_crop, flip, style_min_crop, style_max_crop)
    if content is None and style is None:
        raise UserError("--content and --style are missing: give at least one folder of pictures")
    if paired and (content is None or style is None):
        raise UserError("--content and --style are both needed for pairs")
    if paired and crops.of_style != crops:
        raise UserError("--style-min-crop and --style-max-crop are not for pairs, which share their crops")
    if content is not None and style is not None and (warning := places.overlap({"content": content, "style": style})):
        console.warn(warning)
    spec = _cache_spec(crops, cache)
    with at_most(max_megapixels):
        stores = _opened(content, spec), _opened(style, spec)
    if stores[0] and stores[1] and paired:
        stores = matched(stores[0], stores[1])
    return training_dataset(Pictures(*stores, None, None, paired), crops, first_batch)


@expands_paths
def validation_from_folders(
    content: str | os.PathLike,
    truth: str | os.PathLike | None = None,
    *,
    size: int = 256,
    batch_size: int = 8,
    count: int | None = None,
    channels: int = 3,
    cache: str | os.PathLike = CACHE,
    max_megapixels: float | None = None,
) -> tf.data.Dataset:
    """A finite data set of test pictures, for `validation_data` of `fit` and for `evaluate`.

    The largest centred square of each picture is resized, as in `kgan evaluate`.

    Args:
        content: Pictures to restyle: a folder, one picture, or tfds:NAME.
        truth: The pictures that they should become. The same file name means the same scene.
        size: Side of the pictures in pixels.
        batch_size: Number of pictures in a batch. The last batch may be smaller.
        count: Number of pictures. Default: all.
        channels: Channels of the pictures: 1, 3 or 4.
        cache: Folder of prepared pictures.
        max_megapixels: Largest picture that is read; see `from_folders`.

    Returns:
        A data set of {"content", "truth"}, each float32 [N, size, size, channels] in [-1, 1]; without `truth`,
        {"content"}.

    Raises:
        UserError: if an argument is not valid, a folder contains no usable picture, or no picture has a truth.
        RunError: if the cache cannot be written.
    """
    crops = Crops(size, batch_size, channels=channels)
    if count is not None and count < 1:
        raise UserError(f"--count should be at least 1. Received: {count}")
    spec = _cache_spec(crops, cache)
    with at_most(max_megapixels):
        stores = _opened(content, spec), _opened(truth, spec)
    if stores[0] and stores[1]:
        stores = matched(stores[0], stores[1])
    pictures = {name: store for name, store in zip(("content", "truth"), stores, strict=True) if store is not None}
    return _finite(pictures, crops, count)


def _cache_spec(crops: Crops, cache: str | os.PathLike) -> CacheSpec:
    return CacheSpec(max(512, 2 * crops.size), crops.channels, pathlib.Path(expanded(cache)) / "pictures")


def _opened(folder: str | os.PathLike | None, spec: CacheSpec) -> Store | None:
    return None if folder is None else prepare(named_source(str(folder), spec.cache.parent), spec)


def _finite(stores: dict[str, Store], crops: Crops, count: int | None) -> tf.data.Dataset:
    """Batches of the centred squares of the first pictures, which are decoded when they are needed."""
    number = min([len(store) for store in stores.values()] + ([] if count is None else [count]))

    def squares(start: np.ndarray) -> list[np.ndarray]:
        rows = np.arange(int(start), min(int(start) + crops.batch_size, number))
        return [np.stack([_square(store, int(row), crops) for row in rows]) for store in stores.values()]

    @tf.autograph.experimental.do_not_convert
    def batch(start: tf.Tensor) -> dict[str, tf.Tensor]:
        columns = tf.numpy_function(gated(squares), [start], [tf.float32] * len(stores))
        for column in columns:
            column.set_shape([None, crops.size, crops.size, crops.channels])
        return dict(zip(stores, columns, strict=True))

    return tf.data.Dataset.range(0, number, crops.batch_size).map(batch)


def _square(store: Store, row: int, crops: Crops) -> np.ndarray:
    """The largest centred square of a picture, resized as in `kgan evaluate`: float32 [S, S, C] in [-1, 1]."""
    picture = for_scores(store.picture(row, crops.channels), crops.size)
    return picture.astype(np.float32) / np.float32(127.5) - np.float32(1.0)
