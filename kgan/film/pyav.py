"""PyAV, which brings FFmpeg. It is an optional part of kgan."""

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import Any

from kgan.errors import UserError


def pyav() -> Any:
    """The module `av`.

    Raises:
        UserError: if it is not installed.
    """
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints its settings otherwise
    try:
        return importlib.import_module("av")
    except ImportError:
        raise UserError(
            "films need PyAV, which is not installed: pip install 'kgan[film]' (or: pip install av)"
        ) from None


@contextlib.contextmanager
def ffmpeg_errors(what: object, reason: str) -> Iterator[None]:
    """A context that converts errors of FFmpeg to a UserError.

    Args:
        what: the file, for the message.
        reason: why it failed and what to do. FFmpeg's own words are added.
    """
    av = pyav()
    try:
        yield
    except UserError:
        raise
    except (av.FFmpegError, ValueError, OverflowError) as error:
        raise UserError(f"{what}: {reason} ({in_words(error)})") from None


def in_words(error: Exception) -> str:
    """FFmpeg's reason for an error, in one line."""
    return str(getattr(error, "strerror", None) or error).partition("\n")[0]
