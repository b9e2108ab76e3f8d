"""Parses the arguments of a command line to the options of a command, with error messages of one line.

tyro converts the values and prints the help. The arguments are sorted for it first, so that options and files may be
mixed, `--` ends the options, and a value may begin with "-".
"""

import collections
import contextlib
import dataclasses
import io
import os
import re
import types
import typing
from collections.abc import Iterable, Mapping

import tyro
from tyro.conf import Fixed, Positional, UseAppendAction, arg

from kgan.errors import UserError, hinted, nearest
from kgan.registry import Choice

QUIET, LOUD = "--quiet", "--no-quiet"
"""An option of all commands, which `wants_quiet` reads."""

SILENT = """Print only errors, warnings and results: evaluate's table, check's list, web's address."""

_TRUTHS = {"true": "True", "false": "False"}
_KINDS = {int: "a whole number", float: "a number", bool: "True or False"}


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        name: name of the field.
        is_positional: whether it is an argument without a flag.
        is_required: whether it has no default.
        is_path: whether its value is a path.
        kind: type of its value: int, float, str, pathlib.Path, bool, a Literal, or a tuple of those.
        may_be_none: whether its value may be None.
        names: the table whose names are its only valid values, or None.
    """

    name: str
    is_positional: bool
    is_required: bool
    is_path: bool
    kind: typing.Any
    may_be_none: bool
    names: Mapping[str, typing.Any] | None = None

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_switch(self) -> bool:
        """Whether it is used without a value."""
        return self.kind is bool and not self.may_be_none

    @property
    def takes_several(self) -> bool:
        """Whether several values may follow its flag, as in `--film a.mp4 b.mp4`."""
        return typing.get_origin(self.kind) is tuple and self.is_path and self.length == 1

    @property
    def length(self) -> int:
        """The number of its values, or for a positional option the largest number."""
        if typing.get_origin(self.kind) is not tuple:
            return 1
        parts = typing.get_args(self.kind)
        several = parts[-1] is Ellipsis
        return (10**6 if self.is_positional else 1) if several else len(parts)

    @property
    def wanted(self) -> str:
        """A description of valid values."""
        if self.names is not None:
            return f"one of {', '.join(self.names)}"
        kind = typing.get_args(self.kind)[0] if typing.get_origin(self.kind) is tuple else self.kind
        if typing.get_origin(kind) is typing.Literal:
            return f"one of {', '.join(str(choice) for choice in typing.get_args(kind))}"
        wanted = _KINDS.get(kind, "a text")
        return wanted if self.length == 1 else f"{self.length} values, each {wanted}"


def parse(options: type, args: list[str], program: str, default=None):
    """Parse arguments. Prints the help and exits if it is asked for.

    Args:
        options: the dataclass of the options.
        args: the arguments.
        program: name of the program in messages.
        default: options that are the defaults.

    Returns:
        The options.

    Raises:
        UserError: if the arguments are not valid.
    """
    known = options_of(options)
    words = _in_order(known, args, program)
    if words is None:
        tyro.cli(_for_help(options), args=["--help"], prog=program, config=(UseAppendAction,))
        raise SystemExit  # tyro has ended the program
    missing = [option for option in known if option.is_required and default is None and option.name not in words]
    if missing:
        named = ", ".join(option.name.upper() if option.is_positional else option.flag for option in missing)
        raise UserError(f"missing: {named}; see {program} --help")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            spelled = [word for option in known for word in words.get(option.name, [])]
            parsed = tyro.cli(options, args=spelled, prog=program, default=default, config=(UseAppendAction,))
    except SystemExit:
        raise UserError(f"{_why(known, words, said.getvalue())}; see {program} --help") from None
    _check_names(known, parsed, program)
    return parsed


def _check_names(known: list[Option], parsed: object, program: str) -> None:
    for option in known:
        given = getattr(parsed, option.name)
        for value in given if isinstance(given, tuple) else (given,):
            if option.names is not None and value is not None and value not in option.names:
                raise UserError(f"{option.flag} {value}: should be {option.wanted}; see {program} --help")


def wants_quiet(args: list[str]) -> bool:
    """Whether --quiet is among the arguments before `--`."""
    before = args[: args.index("--")] if "--" in args else args
    return [word for word in before if word in (QUIET, LOUD)][-1:] == [QUIET]


def options_of(options: type) -> list[Option]:
    """The options of a command, without fields that only kgan sets."""
    fixed = _mark(Fixed[int])
    fields = dataclasses.fields(options)
    return [_option(field) for field in fields if fixed not in getattr(field.type, "__metadata__", ())]


def _mark(annotated: typing.Any) -> object:
    return annotated.__metadata__[0]


def _option(field: dataclasses.Field) -> Option:
    marks = getattr(field.type, "__metadata__", ())
    kind = typing.get_args(field.type)[0] if typing.get_origin(field.type) is typing.Annotated else field.type
    is_union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    parts = set(typing.get_args(kind)) if is_union else {kind}
    may_be_none = type(None) in parts
    (kind,) = parts - {type(None)}
    is_path = "pathlib" in str(kind) or bool({"PATH", "MODEL"} & {getattr(mark, "metavar", "") for mark in marks})
    is_positional = _mark(Positional[int]) in marks
    lacks = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    may_be_left_out = is_positional and typing.get_origin(kind) is tuple  # the command reports missing files
    names = next((mark.table for mark in marks if isinstance(mark, Choice) and mark.only), None)
    return Option(field.name, is_positional, lacks and not may_be_left_out, is_path, kind, may_be_none, names)


def _for_help(options: type) -> type:
    """The same options with --quiet, and with the help texts that list the rows of a table."""
    told: list[tuple[str, typing.Any, typing.Any]] = [("quiet", typing.Annotated[bool, arg(help=SILENT)], False)]
    for field in dataclasses.fields(options):
        for mark in getattr(field.type, "__metadata__", ()):
            if isinstance(mark, Choice):
                shown = arg(help=mark.help, metavar=f"{{{','.join(mark.table)}}}" if mark.only else None)
                told.append((field.name, typing.Annotated[field.type, shown], field.default))
    return dataclasses.make_dataclass(
        options.__name__, told, bases=(options,), frozen=True, namespace={"__doc__": options.__doc__}
    )


# --- arguments --------------------------------------------------------------------------------------------------------


def assignments(given: Mapping[str, float] | Iterable[str]) -> tuple[str, ...]:
    """NAME=NUMBER for each item of a mapping, or the given texts. One text is accepted too.

    >>> assignments({"cycle": 10.0}), assignments("cycle=10")
    (('cycle=10.0',), ('cycle=10',))
    """
    if isinstance(given, Mapping):
        return tuple(f"{name}={number}" for name, number in given.items())
    return (given,) if isinstance(given, str) else tuple(given)


Words = dict[str, list[str]]
"""Arguments for tyro by the name of the option: ["--seed=3"], ["--between", "1", "2"], ["a.png", "b.png"]."""


def _in_order(known: list[Option], args: list[str], program: str) -> Words | None:
    """Sort the arguments by option. Returns None for --help. Raises UserError for unknown arguments."""
    flags = {option.flag: option for option in known if not option.is_positional}
    words: Words = collections.defaultdict(list)
    alone: list[str] = []
    rest = collections.deque(args)
    while rest:
        word = rest.popleft()
        if word == "--":
            alone += rest
            break
        if word in ("-h", "--help"):
            return None
        if word == "-" or not word.startswith("-"):
            alone.append(word)
        elif word not in (QUIET, LOUD):
            _take(word, rest, flags, words, program)
    _place(known, alone, words, program)
    return words


def _take(word: str, rest: collections.deque, flags: dict[str, Option], words: Words, program: str) -> None:
    """Parse an option. Its values are removed from `rest`."""
    name, equals, value = word.partition("=")
    denied = flags.get(f"--{name.removeprefix('--no-')}") if name.startswith("--no-") else None
    option = flags.get(name) or (denied if denied and denied.kind is bool and not equals else None)
    if option is None:
        raise UserError(_unknown(name, [*flags, QUIET, "--help"], program))
    values = [value] if equals else []
    if option.kind is bool:
        value = "False" if name != option.flag else _truth(option, values, rest, program)
        values = [value]
    while len(values) < option.length:
        if not rest or rest[0].partition("=")[0] in {*flags, QUIET, "--", "-h", "--help"}:
            raise UserError(f"{option.flag}: its value is missing; see {program} --help")
        values.append(rest.popleft())
    while option.takes_several and rest and not rest[0].startswith("-"):
        values.append(rest.popleft())
    if option.is_path and not all(values):
        raise UserError(f"{option.flag} is empty: name a path; see {program} --help")
    words[option.name] = _spelled(option, values, words[option.name])


def _truth(option: Option, values: list[str], rest: collections.deque, program: str) -> str:
    """The value of a boolean option, which may be used without a value."""
    follows = rest[0] if rest else "-"
    if not values and (follows in _TRUTHS.values() if option.is_switch else not follows.startswith("-")):
        values = [rest.popleft()]
    if not values:
        return "True"
    if values[0].lower() not in _TRUTHS:
        raise UserError(f"{option.flag} {values[0]}: should be True or False; see {program} --help")
    return _TRUTHS[values[0].lower()]


def _spelled(option: Option, values: list[str], before: list[str]) -> list[str]:
    """The arguments for tyro. If an option is repeated, the last one counts, unless the option collects its values."""
    if option.is_switch:
        return [option.flag if values[0] == "True" else f"--no-{option.flag[2:]}"]
    words = [f"{option.flag}={value}" for value in values] if option.length == 1 else [option.flag, *values]
    collects = typing.get_origin(option.kind) is tuple and option.length == 1
    return before + words if collects else words


def _place(known: list[Option], alone: list[str], words: Words, program: str) -> None:
    """Assign the arguments without a flag to the positional options of the command, in their order."""
    left = list(alone)
    for option in (option for option in known if option.is_positional):
        taken, left = left[: option.length], left[option.length :]
        if not all(taken):
            raise UserError(f"{option.name} is empty: name a path; see {program} --help")
        if taken:
            words[option.name] = [f"./{word}" if word.startswith("-") and word != "-" else word for word in taken]
    if left:
        names = " and ".join(option.name for option in known if option.is_positional)
        what = f"one {names} is enough" if names else "options begin with --"
        raise UserError(f"{left[0]}: not expected here, {what}; see {program} --help")


def _unknown(word: str, flags: list[str], program: str) -> str:
    short = [flag for flag in flags if len(word) == 2 and flag.startswith(f"-{word}")]
    hint = nearest("--" + word.lstrip("-"), short or flags, 0.1 if short else 0.5)
    if os.path.exists(word):
        hint = f"a file of that name is given as ./{word}. "
    return f"{word}: no such option; {hinted(hint, f'see {program} --help')}"


def _why(known: list[Option], words: Words, box: str) -> str:
    """The value that tyro cannot convert, and a description of valid values."""
    found = re.search(r"(?:parsing|argument) '?(--[a-z0-9-]+)", box)
    option = next((option for option in known if found and option.flag == found[1]), None)
    if option is None:
        return re.sub(r"\s+", " ", box).strip() or "these words make no sense"
    given = " ".join(word.replace("=", " ", 1) for word in words[option.name])
    return f"{given.strip()}: should be {option.wanted}"
