"""Errors that a user can mend. The command line prints their text as one line, without a traceback."""


class UserError(Exception):
    """Something the user gave is wrong. The text says what, where, and what to do. Exit status 2."""

    status = 2


class RunError(UserError):
    """The machine or the training failed: disk full, NaN, out of memory. Exit status 1."""

    status = 1
