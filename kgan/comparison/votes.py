"""Reads files of votes, which the page of `kgan compare` saves, and counts them.

A file is JSON. Its names are those of `templates/page.js`:

    {"format": "kgan votes 1", "comparison": "5d41402abc4b2a76", "ballot": "b9719d911017c592", "voter": "Ada",
     "question": "Which result do you prefer?", "a": "vangogh", "b": "runs/first",
     "votes": [{"photo": "1.jpg", "choice": "a", "first": "b"}, ...]}

"choice" is "a", "b" or "none", and "first" is the side that was shown as 1.
"""

import dataclasses
import itertools
import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any, get_args

from kgan.comparison.preference import Choice, Tally, agreement, majority, tally
from kgan.errors import UserError, counted, shown
from kgan.images.listing import not_a_file

FORMAT = "kgan votes 1"

WORDS = {"comparison": "comparison", "identity": "ballot", "voter": "voter", "a": "a", "b": "b"}
COLUMNS = {"photos": "photo", "choices": "choice", "firsts": "first"}
"""Attributes of a `Ballot` and the names in a file, at its top and in each vote."""


@dataclasses.dataclass(frozen=True)
class Ballot:
    """The votes of one person.

    Attributes:
        path: the file.
        comparison: identity of the page.
        identity: identity of the person's votes, which a copy of the file has too.
        voter: name of the person, or an empty string.
        a: name of A.
        b: name of B.
        photos: names of the photos.
        choices: the choice for each photo.
        firsts: the side that was shown first, "a" or "b", for each photo.
    """

    path: pathlib.Path
    comparison: str
    identity: str
    voter: str
    a: str
    b: str
    photos: tuple[str, ...]
    choices: tuple[Choice, ...]
    firsts: tuple[Choice, ...]

    @property
    def chose_first(self) -> int:
        """How often the person preferred what was shown first."""
        return sum(choice == first for choice, first in zip(self.choices, self.firsts, strict=True))


def read_ballots(paths: Sequence[pathlib.Path]) -> list[Ballot]:
    """Read files of votes.

    Args:
        paths: the files.

    Returns:
        The votes of each person.

    Raises:
        UserError: if there is no file, one cannot be read, two are copies of the same votes, or they are votes of
            different pages.
    """
    if not paths:
        raise UserError("files of votes are missing: name those that were saved on the page")
    ballots = [_read(path) for path in paths]
    seen: dict[str, Ballot] = {}
    for ballot in ballots:
        if ballot.comparison != ballots[0].comparison or ballot.photos != ballots[0].photos:
            raise UserError(f"{ballot.path}: holds votes of another page than {ballots[0].path}; count them apart")
        if other := seen.get(ballot.identity):
            raise UserError(f"{ballot.path}: holds the same votes as {other.path}; leave one of them out")
        seen[ballot.identity] = ballot
    return ballots


def _read(path: pathlib.Path) -> Ballot:
    if reason := not_a_file(path):
        raise UserError(f"{path}: {reason}")
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):  # no JSON, or no UTF-8
        held = None
    ballot = _ballot(path, held)
    if ballot is None:
        raise UserError(f"{path}: should be a file of votes that was saved on the page of kgan compare")
    return ballot


def _ballot(path: pathlib.Path, held: Any) -> Ballot | None:
    """The votes in a decoded file, or None if it holds something else."""
    try:
        words: dict[str, Any] = {name: held[key] for name, key in WORDS.items()}
        columns: dict[str, Any] = {name: tuple(vote[key] for vote in held["votes"]) for name, key in COLUMNS.items()}
        if held["format"] != FORMAT or not held["votes"]:
            return None
    except (TypeError, KeyError, IndexError):
        return None
    texts = [*words.values(), *itertools.chain(*columns.values())]
    if not all(isinstance(text, str) for text in texts):
        return None
    if not {*columns["choices"]} <= {*get_args(Choice)} or not {*columns["firsts"]} <= {"a", "b"}:
        return None
    return Ballot(path, **words, **columns)


# --- the result -------------------------------------------------------------------------------------------------------


def report(ballots: Sequence[Ballot]) -> str:
    """Render the result of one or several voters as text.

    Args:
        ballots: their votes on the same page.

    Returns:
        A table with a line for each voter. With several, the votes of all, the choice of the majority for each photo,
        and how far voters agree.
    """
    first, several = ballots[0], len(ballots) > 1
    by_photo = list(zip(*(ballot.choices for ballot in ballots), strict=True))
    rows = [(ballot.voter or ballot.path.stem, tally(ballot.choices)) for ballot in ballots]
    if several:
        rows += [(ALL, tally(choice for choices in by_photo for choice in choices))]
        rows += [("majority of each photo", tally(majority(choices) for choices in by_photo))]
    votes = counted(len(ballots), "voter")
    return "\n".join(
        [
            f"A is {shown(first.a)}, B is {shown(first.b)}: {counted(len(first.photos), 'photo')}, {votes}",
            "",
            *_table(rows),
            "",
            "In brackets: 95% Wilson intervals of the share of A among the votes for A or B. p: two-sided sign test.",
            _sides(ballots),
            *([_agreement(by_photo)] if several else []),
        ]
    )


ALL = "all votes"
"""The row without an interval: votes of several people for the same photo are no independent trials."""


def _table(rows: Sequence[tuple[str, Tally]]) -> list[str]:
    width = max(len(shown(name)) for name, _ in rows) + 2
    lines = [f"{'':{width}}{'A':>5}{'B':>5}{'none':>6}   {'share of A':18}{'p':>6}"]
    for name, votes in rows:
        share, p = (_share(votes, name != ALL), "" if name == ALL else probability(votes.p))
        lines.append(f"{shown(name):{width}}{votes.a:5}{votes.b:5}{votes.none:6}   {share:18}{p:>6}".rstrip())
    return lines


def _share(votes: Tally, with_interval: bool) -> str:
    if not votes.decided:
        return "-"
    low, high = votes.interval
    brackets = f" [{percent(low)}, {percent(high)}]" if with_interval else ""
    return f"{percent(votes.a / votes.decided)}{brackets}"


def percent(share: float) -> str:
    """A share in [0, 1] in whole percent. Halves are rounded up, as the page does."""
    return f"{math.floor(100 * share + 0.5)}%"


def probability(p: float) -> str:
    """A p-value with three digits."""
    return "<0.001" if p < 0.001 else f"{math.floor(1000 * p + 0.5) / 1000:.3f}"


def _sides(ballots: Sequence[Ballot]) -> str:
    """A sentence that shows whether voters preferred a place on the page."""
    decided = sum(tally(ballot.choices).decided for ballot in ballots)
    return f"What was shown as 1 got {sum(ballot.chose_first for ballot in ballots)} of {counted(decided, 'choice')}."


def _agreement(by_photo: Sequence[Sequence[Choice]]) -> str:
    equal, kappa = agreement(by_photo)
    told = "all votes are equal" if kappa is None else f"Fleiss' kappa {kappa:.2f}"
    return f"Two voters agree on {percent(equal)} of the photos ({told}); the majority's row counts photos, not votes."
