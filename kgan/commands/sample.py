"""The command `kgan sample`."""

import dataclasses
import pathlib

from tyro.conf import Positional

from kgan.commands import Command


@dataclasses.dataclass(frozen=True)
class Sample:
    """Write the packaged sample as folders trainA, trainB, testA and testB, to view them or to try --data."""

    folder: Positional[pathlib.Path]
    """Output folder."""


COMMAND = Command("sample", Sample, "kgan.data.sample:write_sample", place=80)
