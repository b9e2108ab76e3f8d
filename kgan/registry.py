"""Tables of objects by name, such as networks or metrics: those of kgan, of other packages and of the running program.

A row has the name, the help and the properties of an object. It is a decorator of the object:

    @FEATURES.add("vgg19", help="VGG19 of keras.applications, downloaded")
    class VGG19Features(FeatureExtractor): ...

The rows of kgan are read from the source text of its files without importing them, so that `kgan train --help` lists
the networks without TensorFlow. An object is imported when its row is loaded. Another package adds an object by an
entry point, and a program with the same decorator.
"""

import ast
import dataclasses
import functools
import importlib
import importlib.metadata
import os
import pathlib
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from kgan.errors import UserError, hinted, nearest

_ROOT = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table. Subclasses add fields.

    Args:
        name: Name on the command line and in Python.
        help: Description in one line. Default: the first line of the object's docstring.
        target: The object, or "module:attribute".
    """

    name: str
    help: str = ""
    target: Any = None

    def load(self) -> Any:
        """Import and return the object of the row."""
        return imported(self.target) if isinstance(self.target, str) else self.target


AnyRow = TypeVar("AnyRow")
Loader = Callable[[], Any]
"""A function that returns a row. It is called when the row is needed."""


class Registry(Mapping[str, AnyRow], Generic[AnyRow]):
    """A table of rows by name.

    Example:

    >>> SHAPES = Registry("SHAPES", "shape", Row)
    >>> @SHAPES.add("round", help="without corners")
    ... def circle(radius): return 3.14 * radius**2
    >>> SHAPES["round"].help, SHAPES["round"].load()(1)
    ('without corners', 3.14)

    Args:
        symbol: Name of the table in the code. Rows in kgan's files begin with `@symbol.add(`.
        kind: Name of the kind of rows in messages.
        row: Class of the rows, with a field `name`.
        folder: Folder in kgan whose files contain rows, such as "losses".
        package: A package of which each public module contains a row, instead of `folder`. It is imported.
        attribute: Name of the row in a module of `package`.
        group: Group of the entry points by which other packages add rows.
    """

    def __init__(
        self,
        symbol: str,
        kind: str,
        row: type[AnyRow],
        *,
        folder: str = "",
        package: str = "",
        attribute: str = "ROW",
        group: str = "",
    ):
        self.symbol, self.kind, self.row, self.group = symbol, kind, row, group
        self._folder, self._package, self._attribute = folder, package, attribute
        self._added: dict[str, Any] = {}

    # --- rows -----------------------------------------------------------------------------------------------------

    def add(self, name: str = "", /, **facts: Any) -> Callable:
        """Decorate a function or class to add it to the table.

        Args:
            name: name of the row. Default: that of the function or class.
            **facts: fields of the row.

        Returns:
            A decorator. It raises UserError if another object has the name.
        """

        def added(thing: Any) -> Any:
            self.add_row(self._row(name or thing.__name__, thing, thing.__doc__, facts))
            return thing

        return added

    def add_row(self, row: Any) -> None:
        """Add a row. Raises UserError if another object has its name."""
        before = self._added.get(row.name) or (self._own[row.name]() if row.name in self._own else None)
        if before is not None and not _is_same(before, row):
            raise UserError(f"{row.name}: there is a {self.kind} of that name already; take another name")
        self._added[row.name] = row

    def remove(self, name: str) -> None:
        """Remove a row that the running program added."""
        del self._added[name]

    def refresh(self) -> None:
        """Read kgan's files and other packages again. Otherwise they are read once."""
        vars(self).pop("_own", None)
        vars(self).pop("_others", None)

    def __getitem__(self, name: str) -> AnyRow:
        return self._known()[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def __contains__(self, name: object) -> bool:
        return name in self._known()

    def is_own(self, name: str) -> bool:
        """Whether a row is one of kgan's."""
        return name in self._own

    def is_foreign(self, name: str) -> bool:
        """Whether a row is of another package, whose code runs when the row is read."""
        return name in self and name not in self._own and name not in self._added

    # --- search ---------------------------------------------------------------------------------------------------

    def find(self, name: str, option: str = "") -> AnyRow:
        """Find a row.

        Args:
            name: name of the row.
            option: the option with this name, for the message.

        Returns:
            The row.

        Raises:
            UserError: if there is no such row. The message contains the most similar name.
        """
        if name not in self:
            advice = hinted(nearest(name, self, 0.4), f"there are {', '.join(self)}")
            given = f"{option} {name}".strip()
            raise UserError(f"{given}: no such {self.kind}; {advice}")
        return self[name]

    def chosen(self, names: Iterable[str], option: str) -> list[str]:
        """Sort names in the order of the table and remove duplicates.

        Args:
            names: names of rows.
            option: the option with these names, for the message.

        Returns:
            The names.

        Raises:
            UserError: if there are none, or one is unknown.
        """
        names = list(names)
        for name in names or [""]:
            self.find(name, option)
        return [name for name in self if name in names]

    # --- sources of rows ------------------------------------------------------------------------------------------

    def _known(self) -> dict[str, Loader]:
        """All rows. Those of kgan come first, and others cannot replace them."""
        added = {name: functools.partial(_itself, row) for name, row in self._added.items()}
        return self._own | {name: load for name, load in (self._others | added).items() if name not in self._own}

    @functools.cached_property
    def _own(self) -> dict[str, Loader]:
        if self._package:
            return self._of_package()
        return self._of_folder() if self._folder else {}

    @functools.cached_property
    def _others(self) -> dict[str, Loader]:
        found = importlib.metadata.entry_points(group=self.group) if self.group else ()
        return {point.name: functools.partial(self._announced, point) for point in found}

    def _of_folder(self) -> dict[str, Loader]:
        rows = [row for path in sorted((_ROOT / self._folder).rglob("*.py")) for row in self._rows_in(path)]
        return {row.name: functools.partial(_itself, row) for row in rows}

    def _rows_in(self, path: pathlib.Path) -> Iterator[Any]:
        """The rows in the source text of a file, which is not imported."""
        text = path.read_text(encoding="utf-8")
        if f"{self.symbol}.add(" not in text:
            return
        module = ".".join(["kgan", *path.relative_to(_ROOT).with_suffix("").parts]).removesuffix(".__init__")
        for node in ast.parse(text).body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(f"{self.symbol}.add"):
                    facts = {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg}
                    name = ast.literal_eval(call.args[0]) if call.args else node.name
                    yield self._row(name, f"{module}:{node.name}", ast.get_docstring(node), facts)

    def _of_package(self) -> dict[str, Loader]:
        folders = importlib.import_module(self._package).__path__
        names = sorted(module.name for module in pkgutil.iter_modules(folders) if module.name[0] != "_")
        return {name: functools.partial(imported, f"{self._package}.{name}:{self._attribute}") for name in names}

    def _announced(self, point: importlib.metadata.EntryPoint) -> Any:
        """The row of an entry point, which is a row or a decorated object."""
        try:
            thing = point.load()
        except Exception as error:  # another package can raise anything
            raise UserError(f"{point.name}: {self.kind} of another package ({point.value}) fails: {error}") from None
        row = thing if isinstance(thing, self.row) else self._added.get(point.name)
        if row is None:
            wanted = f"a {self.row.__name__}, or have one by {self.symbol}.add({point.name!r})"
            raise UserError(f"{point.name}: {self.kind} of another package ({point.value}) should be {wanted}")
        return row

    def _row(self, name: str, target: Any, docstring: str | None, facts: dict[str, Any]) -> Any:
        summary = facts.get("help") or (docstring or "").strip().partition("\n")[0]
        return self.row(**{"name": name, "target": target, **facts, "help": summary})


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """Marks an option whose value is a name in a table, as in `Annotated[str, Choice(RECIPES, "{names}, or ...")]`.

    Args:
        table: The rows by name.
        text: The help of the option. {names} is replaced by the names, {choices} by the names with their help.
        only: Whether the option takes nothing else.
    """

    table: Mapping[str, Any]
    text: str
    only: bool = False

    @property
    def help(self) -> str:
        """The help text. This reads the table, including the rows of other packages."""
        if "{choices}" in self.text:
            return self.text.replace("{choices}", choices(self.table))
        return self.text.replace("{names}", ", ".join(self.table))


def choices(table: Mapping[str, Any]) -> str:
    """All names with their help, such as "mobilenet (packaged), vgg19 (downloaded)"."""
    return ", ".join(f"{name} ({row.help})" if row.help not in ("", name) else name for name, row in table.items())


def imported(target: str) -> Any:
    """Import "module:attribute"."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def imported_for(word: str, flag: str, wanted: str) -> Any:
    """Import what a user names as module:ATTRIBUTE. The module may lie in the current folder.

    Args:
        word: "module:ATTRIBUTE".
        flag: the option, for messages.
        wanted: what it should be, for messages.

    Raises:
        UserError: if there is no such module or attribute, or the module fails.
    """
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # the path of an installed command does not contain the current folder
    try:
        return imported(word)
    except Exception as error:  # the module is a program of the user's
        reason = f"{type(error).__name__}: {error}" if not isinstance(error, ImportError | AttributeError) else error
        raise UserError(
            f"{flag} {word}: {reason}; give a module, here or in PYTHONPATH, and the name of {wanted} in it"
        ) from None


def _itself(row: Any) -> Any:
    return row


def _is_same(one: Any, other: Any) -> bool:
    """Whether two rows are of the same object. A file that is imported adds its rows again."""
    return one is other or _place(one) == _place(other) is not None


def _place(row: Any) -> str | None:
    target = getattr(row, "target", None)
    if target is None or isinstance(target, str):
        return target
    return f"{target.__module__}:{target.__qualname__}"
