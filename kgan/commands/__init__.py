"""The commands of `kgan`, each a file: its options, their help, and what runs it. No TensorFlow here.

To add one, add a file with a `COMMAND`; another package announces its own as an entry point of the group
`kgan.commands`.
"""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

from tyro.conf import arg

from kgan import console
from kgan.parsing import parse
from kgan.registry import Registry, imported

Model = Annotated[str, arg(metavar="MODEL")]
"""A path, or the name of a model that came with kgan."""


def _close_others(_: Any) -> str:
    return "close other programs, or use a machine with more"


@dataclasses.dataclass(frozen=True)
class Command:
    """One command.

    Args:
        name: What it is called.
        options: A dataclass: its fields are the options and files, their docstrings the help, its own first line what
            the command does. An option `max_megapixels` holds for all that reads pictures, and is not handed on.
        function: What runs, or where it is, as "module:function". Called with the options as keywords. A whole number
            that it returns is the exit status.
        place: Where it stands in the list of commands, the smallest first.
        read: Options from words, where that is more than parsing them.
        less_memory: Options -> what to do where memory runs out.
        takes_options: Whether the function takes the options as they are.
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
        """What it does, in a line."""
        return (self.options.__doc__ or "").partition("\n")[0]

    def options_from(self, args: list[str]) -> Any:
        """Its options from the words behind its name; UserError for words that make no sense."""
        return self.read(args) if self.read else parse(self.options, args, f"kgan {self.name}")

    def load(self) -> Callable:
        """The function that runs; importing it may import TensorFlow, whose own lines are kept back."""
        if not isinstance(self.function, str):
            return self.function
        with console.without_chatter():  # before it reads any setting of its log
            return imported(self.function)

    def run(self, options: Any) -> int:
        """Run it; returns the exit status."""
        function = self.load()
        result = function(options) if self.takes_options else function(**_keywords(options))
        return result if isinstance(result, int) else 0


def _keywords(options: Any) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(options)} - {"max_megapixels"}
    return {name: getattr(options, name) for name in names}


COMMANDS = Registry("COMMANDS", "command", Command, package="kgan.commands", attribute="COMMAND", group="kgan.commands")
