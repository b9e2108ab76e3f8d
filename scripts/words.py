"""The command lines of the scripts: wrong values and other errors of the user end in one line, as those of `kgan`."""

import functools
import pathlib
import sys
from collections.abc import Callable

from kgan.errors import UserError, for_command_line


def positive(word: str) -> int:
    """Parse a whole number of at least 1, for argparse."""
    if int(word) < 1:
        raise ValueError
    return int(word)


positive.__name__ = "whole number of at least 1"  # argparse names it in its message


def in_one_line(main: Callable[..., int | None]) -> Callable[..., int]:
    """Decorate the main function of a script, so that errors of the user and of files are printed as one line.

    Args:
        main: the function. It returns the exit status, or None for 0.

    Returns:
        The same function, which returns 2 after an error of the user and 1 after an error of a file.
    """

    @functools.wraps(main)
    def guarded(*words) -> int:
        with for_command_line():
            try:
                return main(*words) or 0
            except UserError as error:
                said, status = str(error), error.status
            except OSError as error:
                said, status = f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", 1
        print(f"{pathlib.Path(main.__code__.co_filename).stem}: {said}", file=sys.stderr)
        return status

    return guarded
