"""The commands of `kgan`. Each is a file with its options, their help and its function.

This package does not import TensorFlow. To add a command, add a file with a `COMMAND`. Another package adds a command
by an entry point of the group `kgan.commands`.
"""

import dataclasses
import logging
from collections.abc import Callable
from typing import Annotated, Any

from tyro.conf import arg

from kgan import console
from kgan.parsing import parse
from kgan.registry import Registry, imported

Model = Annotated[str, arg(metavar="MODEL")]
"""A path or the name of a shipped model."""


def _close_others(_: Any) -> str:
    return "close other programs, or use a machine with more"


@dataclasses.dataclass(frozen=True)
class Command:
    """A command.

    Args:
        name: Name of the command.
        options: A dataclass. Its fields are the options and files, and their docstrings the help texts. The first line
            of its own docstring describes the command. An option `max_megapixels` applies to all pictures that are
            read, and is not passed to the function.
        function: The function of the command, or "module:function". The options are its keyword arguments. If it
            returns an integer, this is the exit status.
        place: Sort key in the list of commands.
        read: A function from the arguments to the options, if they are not only parsed.
        less_memory: A function from the options to advice for a command that is out of memory.
        takes_options: Whether the function takes the options object instead of keyword arguments.
    """

    name: str
    options: type
    function: str | Callable
    place: int = 100
    read: Callable[[list[str]], Any] | None = None
    less_memory: Callable[[Any], str] = _close_others
    takes_options: bool = False

    @property
    def help(self) -> str:
        """The description of the command in one line."""
        return (self.options.__doc__ or "").partition("\n")[0]

    def options_from(self, args: list[str]) -> Any:
        """Parse the arguments after the name of the command.

        Args:
            args: the arguments.

        Returns:
            The options.

        Raises:
            UserError: if the arguments are not valid.
        """
        return self.read(args) if self.read else parse(self.options, args, f"kgan {self.name}")

    def load(self) -> Callable:
        """Import the function. This may import TensorFlow, whose messages are hidden."""
        if not isinstance(self.function, str):
            return self.function
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on tracing is for who writes programs
        with console.without_chatter():  # TensorFlow prints messages before it reads the settings of its log
            return imported(self.function)

    def run(self, options: Any) -> int:
        """Run the command. Returns the exit status."""
        function = self.load()
        result = function(options) if self.takes_options else function(**_keywords(options))
        return result if isinstance(result, int) else 0


def _keywords(options: Any) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(options)} - {"max_megapixels"}
    return {name: getattr(options, name) for name in names}


COMMANDS = Registry("COMMANDS", "command", Command, package="kgan.commands", attribute="COMMAND", group="kgan.commands")
