"""Writes prepared pictures as a TFDS data set. `tfds.builder_from_directory(FOLDER).as_data_source()` reads it."""

import contextlib
import pathlib
from collections.abc import Iterator

import tensorflow_datasets as tfds

from kgan.errors import shown

Encoded = tuple[str, bytes]


class PreparedPictures(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Pictures with the relative paths of their source files, in the order in which they are given."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, pictures: Iterator[Encoded], at_most: int, channels: int, **options):
        """`pictures` yields (name, JPEG or PNG bytes), at most `at_most` times."""
        self._pictures, self._at_most, self._channels = pictures, at_most, channels
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {"picture": tfds.features.Image(shape=(None, None, self._channels)), "name": tfds.features.Text()}
        info = self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features), disable_shuffling=True)
        # The set is not in the bucket of TFDS, and a look-up there leaves a folder in /tmp.
        info.initialize_from_bucket = lambda: None
        return info

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict]]:
        # TFDS sorts by key. For more than a gigabyte it uses 1000 files, each for a part of the range of 128-bit keys.
        # Keys that are spread over the whole range keep the order and make the files small.
        spacing = 2**128 // (self._at_most + 1)
        for index, (name, encoded) in enumerate(self._pictures):
            yield index * spacing, {"picture": encoded, "name": shown(name)}


def write(pictures: Iterator[Encoded], at_most: int, channels: int, folder: pathlib.Path) -> pathlib.Path:
    """Write the set below `folder`.

    Args:
        pictures: yields (name, JPEG or PNG bytes).
        at_most: the largest possible number of pictures.
        channels: channels of each picture: 1, 3 or 4.
        folder: a folder that does not exist yet.

    Returns:
        The folder of the set, which is below `folder`.
    """
    tfds.disable_progress_bar()
    builder = PreparedPictures(
        pictures=pictures, at_most=at_most, channels=channels, data_dir=str(folder), file_format="array_record"
    )
    with contextlib.redirect_stdout(None):  # "Downloading and preparing dataset Unknown size ..."
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    return pathlib.Path(builder.data_path)
