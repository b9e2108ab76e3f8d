"""`kgan compare` makes a page for blind votes, or counts its votes."""

import os
import pathlib
from collections.abc import Sequence

from kgan import console
from kgan.comparison.compare import compare
from kgan.comparison.votes import read_ballots, report
from kgan.errors import UserError
from kgan.paths import expands_paths
from kgan.runs.trust import takes_trust


@expands_paths
@takes_trust
def main(
    sides: Sequence[str | os.PathLike],
    photos: str | os.PathLike | None,
    output: str | os.PathLike,
    size: int | None,
    question: str,
    seed: int,
    count: bool,
    trust: bool = False,
) -> None:
    """Make the page of two sides, or with `count` print the result of files of votes.

    Raises:
        UserError: if the arguments do not fit, and as `compare` and `read_ballots`.
    """
    if count:
        if photos is not None:
            raise UserError(f"--photos {photos}: --count takes files of votes alone; leave it out")
        console.result(report(read_ballots(list(map(pathlib.Path, sides)))))
        return
    if len(sides) != 2:
        received = ", ".join(map(str, sides)) or "none"
        raise UserError(f"should be two models or folders of restyled pictures, A and B. Received: {received}")
    if photos is None:
        raise UserError("--photos is missing: name the folder of photos to restyle")
    a, b = sides
    compare(a, b, photos, output, size, question, seed)
