"""tfds:NAME[/CONFIG]: a data set of TensorFlow Datasets as a source of pictures.

NAME is the folder of a prepared set, a set that is prepared in the TFDS data folder, or a set of the TFDS catalog. Only
a set of the catalog is downloaded, and only once.
"""

import pathlib
from typing import TypeAlias

import tensorflow_datasets as tfds

from kgan.data.prepared import Source
from kgan.data.stores import File
from kgan.errors import RunError, UserError
from kgan.paths import expanded

Builder: TypeAlias = tfds.core.DatasetBuilder

NAMES = ("name", "file_name", "filename", "image/filename", "image_id", "id")
"""Features that hold the name of a picture. The first that a set has is used."""


def builder(text: str) -> Builder:
    """The builder of a data set, which is downloaded if necessary.

    Args:
        text: "tfds:NAME", "tfds:NAME/CONFIG" or "tfds:FOLDER".

    Returns:
        The builder of a prepared set.

    Raises:
        UserError: if there is no such set.
        RunError: if the set cannot be downloaded or prepared.
    """
    name = text.removeprefix("tfds:")
    tfds.disable_progress_bar()
    folder = pathlib.Path(expanded(name))
    if (folder / "dataset_info.json").exists():
        return tfds.builder_from_directory(folder)
    try:
        found = tfds.builder(name, try_gcs=False)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise UserError(f"{text}: no such set ({_first_line(error)}); see tensorflow.org/datasets/catalog") from None
    if not found.is_prepared():
        _download(found, text)
    return found


def _download(found: Builder, text: str) -> None:
    try:
        found.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except Exception as error:  # a download, an archive and the code of the set can raise anything
        raise RunError(f"{text}: cannot be downloaded and prepared ({_first_line(error)})") from error


def source(found: Builder, split: str) -> Source | None:
    """One split of a data set as a source of pictures.

    Args:
        found: the builder of a prepared set.
        split: the name of a split, such as "trainA".

    Returns:
        The source, or None if the set does not have this split and its name begins with "test".

    Raises:
        UserError: if the set does not have the split, or has no image feature.
    """
    if split not in found.info.splits:
        if split.startswith("test"):
            return None
        has = ", ".join(found.info.splits)
        raise UserError(f"tfds:{found.info.full_name}: should have a split {split}. Received: {has}")
    image, name = _image_feature(found), _name_feature(found)
    rows = _Rows(found, split, image, name)
    written = (pathlib.Path(found.data_path) / "dataset_info.json").stat().st_mtime_ns
    identity = f"{found.data_path} {split} {written}"
    return Source(f"tfds:{found.info.full_name} {split}", identity, rows.files, rows.read)


def _image_feature(found: Builder) -> str:
    for name, feature in found.info.features.items():
        if isinstance(feature, tfds.features.Image):
            return name
    raise UserError(f"tfds:{found.info.full_name}: should have a feature that is an image. Received: none")


def _name_feature(found: Builder) -> str | None:
    return next((name for name in NAMES if name in found.info.features), None)


class _Rows:
    """Reads the encoded pictures of a split. They must be read in the order of `files`."""

    def __init__(self, found: Builder, split: str, image: str, name: str | None):
        self._found, self._split, self._image, self._name = found, split, image, name
        self._next = None
        count = found.info.splits[split].num_examples
        # The split is part of the name, so that pictures of two splits form no pairs: TFDS shuffles each split alone.
        self.files = [File(f"{split}/{index:07}", 0, 0) for index in range(count)]
        if name:
            self.files = [File(_text(example[name]), 0, index) for index, example in enumerate(self._examples())]

    def _examples(self):
        decoders = {self._image: tfds.decode.SkipDecoding()}
        if self._found.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
            return iter(self._found.as_data_source(self._split, decoders=decoders))
        options = tfds.ReadConfig(interleave_cycle_length=1)
        return iter(tfds.as_numpy(self._found.as_dataset(self._split, decoders=decoders, read_config=options)))

    def read(self, name: str) -> bytes:
        examples = self._next = self._next or self._examples()
        return next(examples)[self._image]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
