"""The command line `kgan COMMAND ...`. TensorFlow is imported only when a command needs it."""

import errno
import math
import os
import sys
import tempfile

from kgan import __version__, console, memory
from kgan.commands import COMMANDS
from kgan.errors import UserError, for_command_line, hinted, nearest, needing_all_of_kgan
from kgan.exit_guard import ExitGuard
from kgan.images.decoding import at_most
from kgan.parsing import wants_quiet

_OF_THE_PATH = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR)
"""Errors of the path that was given. Others, such as that of a full disk, are failures of the work."""


def main(args: list[str] | None = None) -> int:
    """Run a command.

    Args:
        args: the arguments. Default: those of the process.

    Returns:
        The exit status: 0 for success, 1 for a failure, 2 for wrong input, 130 after an interruption.
    """
    with for_command_line():
        return _main(sys.argv[1:] if args is None else args)


def _main(args: list[str]) -> int:
    console.accept_any_text()
    try:
        try:
            with needing_all_of_kgan("this command"), ExitGuard():
                return _run(args)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of stdout has ended, as in: kgan train --help | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise Python prints an error at exit
        return 1
    except UserError as error:
        console.warn(f"error: {error}")
        return error.status
    except OSError as error:  # of a path that was not checked before
        console.warn(f"error: {_where(error)}{error.strerror or error}")
        return 2 if error.errno in _OF_THE_PATH else 1
    except KeyboardInterrupt:
        console.warn("interrupted")
        return 130
    finally:
        console.be_quiet(False)


def _where(error: OSError) -> str:
    """The path of an error and a colon. An error without a path can come from a current folder that was removed."""
    if error.filename:
        return f"{error.filename}: "
    try:
        os.getcwd()
    except OSError:
        return "the current folder was removed; change to another one: "
    return ""


def _run(args: list[str]) -> int:
    if args[:1] == ["help"]:
        args = [*args[1:], "--help"]
    if not args or args[0] in ("-h", "--help"):
        console.result(_overview())
        return 0
    if args[0] in ("-V", "--version"):
        console.result(f"kgan {__version__}")
        return 0
    name, rest = args[0], args[1:]
    if name not in COMMANDS:
        hint = "options stand behind the command. " if name.startswith("-") else nearest(name, COMMANDS, 0.4)
        raise UserError(f"{name}: no such command; {hinted(hint, 'see kgan --help')}")
    command = COMMANDS[name]
    console.be_quiet(wants_quiet(rest))
    options = command.options_from(rest)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides TensorFlow's messages
    if os.path.expanduser("~") == "~":  # no home folder: Keras would make a folder of this name
        os.environ.setdefault("KERAS_HOME", os.path.join(tempfile.gettempdir(), ".keras"))
    with at_most(getattr(options, "max_megapixels", None)), memory.guard(command.less_memory(options)):
        return command.run(options)


def _overview() -> str:
    lines = [f"  {name:10}{summary}" for _, name, summary in sorted(map(_described, COMMANDS))]
    return "\n".join(["usage: kgan COMMAND ...", "", *lines, "", *_NOTES])


def _described(name: str) -> tuple[float, str, str]:
    """Sort key, name and help of a command. A broken command of another package does not hide the others."""
    try:
        return COMMANDS[name].place, name, COMMANDS[name].help
    except UserError as error:
        return math.inf, name, f"cannot be used: {error}"


_NOTES = (
    "kgan COMMAND --help lists the options of a command. kgan --version prints the version.",
    "Options and files may be mixed; -- ends the options. If an option is given twice, the last one counts.",
    "Results go to stdout, messages to stderr. With --quiet, only warnings and errors go to stderr.",
)
