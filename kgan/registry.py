"""One table a kind: rows by name, of kgan itself, of other packages, and of the program that runs.

A row tells what its thing is called, what it means and what it needs. It stands as a decorator over the thing:

    @FEATURES.add("vgg19", help="VGG19 of keras.applications, downloaded")
    class VGG19Features(FeatureExtractor): ...

Rows of kgan's own files are read from the text of these files, which are not imported: `kgan train --help` lists the
networks and imports no TensorFlow. The thing itself is imported when its row is loaded. Another package announces a
thing of its own as an entry point; a program adds one with the same decorator.
"""

import ast
import dataclasses
import functools
import importlib
import importlib.metadata
import pathlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from kgan.errors import UserError, nearest

_ROOT = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table. A kind adds fields of its own by a subclass.

    Args:
        name: What it is called on the command line and in Python.
        help: What it is, in a line. Default: the first line of the thing's docstring.
        target: The thing, or where it is, as "module:attribute".
    """

    name: str
    help: str = ""
    target: Any = None

    def load(self) -> Any:
        """The thing that the row stands for; imported at the first call."""
        return imported(self.target) if isinstance(self.target, str) else self.target


AnyRow = TypeVar("AnyRow")
Loader = Callable[[], Any]
"""Gives a row; called when somebody looks at it."""


class Registry(Mapping[str, AnyRow], Generic[AnyRow]):
    """The table of one kind: name -> row.

    >>> SHAPES = Registry("SHAPES", "shape", Row)
    >>> @SHAPES.add("round", help="without corners")
    ... def circle(radius): return 3.14 * radius**2
    >>> SHAPES["round"].help, SHAPES["round"].load()(1)
    ('without corners', 3.14)

    Args:
        symbol: What the table is called in the code: rows in kgan's files begin with `@symbol.add(`.
        kind: What a row is, in words, for messages.
        row: The class of the rows; it has a field `name`.
        folder: Where in kgan the things are, as "losses": files in it are searched for rows.
        package: Instead: a package of which each public module holds one row, called `attribute`. It is imported.
        attribute: See `package`.
        group: Other packages announce their rows as entry points of this group.
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
        """A decorator that adds what it stands over. `name`: default the function's or class's own; `facts`: fields.

        Raises UserError at the decorator for a name that is taken by another thing.
        """

        def added(thing: Any) -> Any:
            self.add_row(self._row(name or thing.__name__, thing, thing.__doc__, facts))
            return thing

        return added

    def add_row(self, row: Any) -> None:
        """Add a row that is made already; UserError for a name that is taken by another thing."""
        before = self._added.get(row.name) or (self._own[row.name]() if row.name in self._own else None)
        if before is not None and not _is_same(before, row):
            raise UserError(f"{row.name}: there is a {self.kind} of that name already; take another name")
        self._added[row.name] = row

    def remove(self, name: str) -> None:
        """Take away a row that the running program added."""
        del self._added[name]

    def refresh(self) -> None:
        """Look again at kgan's files and at other packages, which are otherwise read once."""
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

    # --- words ----------------------------------------------------------------------------------------------------

    def find(self, name: str, option: str = "") -> AnyRow:
        """The row of that name; UserError names the nearest otherwise. `option`: the flag that the name came with."""
        if name not in self:
            hint = nearest(name, self, 0.4)
            told = f"{option} {name}".strip()
            raise UserError(f"{told}: no such {self.kind}; {hint}There are {', '.join(self)}")
        return self[name]

    # --- where rows come from -------------------------------------------------------------------------------------

    def _known(self) -> dict[str, Loader]:
        """kgan's own rows come first and keep their names."""
        added = {name: lambda row=row: row for name, row in self._added.items()}
        return self._own | {name: load for name, load in (self._others | added).items() if name not in self._own}

    @functools.cached_property
    def _own(self) -> dict[str, Loader]:
        if self._package:
            return self._of_package()
        return self._of_folder() if self._folder else {}

    @functools.cached_property
    def _others(self) -> dict[str, Loader]:
        found = importlib.metadata.entry_points(group=self.group) if self.group else ()
        return {point.name: lambda point=point: self._announced(point) for point in found}

    def _of_folder(self) -> dict[str, Loader]:
        rows = [row for path in sorted((_ROOT / self._folder).rglob("*.py")) for row in self._rows_in(path)]
        return {row.name: lambda row=row: row for row in rows}

    def _rows_in(self, path: pathlib.Path) -> Iterator[Any]:
        """The rows of a file, by its text alone."""
        text = path.read_text(encoding="utf-8")
        if f"{self.symbol}.add(" not in text:
            return
        module = ".".join(["kgan", *path.relative_to(_ROOT).with_suffix("").parts]).removesuffix(".__init__")
        for node in ast.parse(text).body:
            for call in getattr(node, "decorator_list", ()):
                if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(f"{self.symbol}.add"):
                    facts = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
                    name = ast.literal_eval(call.args[0]) if call.args else node.name
                    yield self._row(name, f"{module}:{node.name}", ast.get_docstring(node), facts)

    def _of_package(self) -> dict[str, Loader]:
        folders = importlib.import_module(self._package).__path__
        names = sorted(module.name for module in pkgutil.iter_modules(folders) if module.name[0] != "_")
        return {name: lambda name=name: imported(f"{self._package}.{name}:{self._attribute}") for name in names}

    def _announced(self, point: importlib.metadata.EntryPoint) -> Any:
        """The row that another package announces: a row, or what one stands over as a decorator."""
        try:
            thing = point.load()
        except Exception as error:  # whatever another package may raise
            raise UserError(f"{point.name}: {self.kind} of another package ({point.value}) fails: {error}") from None
        row = thing if isinstance(thing, self.row) else self._added.get(point.name)
        if row is None:
            wanted = f"a {self.row.__name__}, or have one by {self.symbol}.add({point.name!r})"
            raise UserError(f"{point.name}: {self.kind} of another package ({point.value}) should be {wanted}")
        return row

    def _row(self, name: str, target: Any, docstring: str | None, facts: dict[str, Any]) -> Any:
        told = facts.get("help") or (docstring or "").strip().partition("\n")[0]
        return self.row(**{"name": name, "target": target, **facts, "help": told})


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """Marks an option whose value is a name in a table, as in `Annotated[str, Choice(RECIPES, "{names}, or ...")]`.

    Args:
        table: The names, each with what it is.
        text: The option's help. {names} stands for the names, {choices} for the names with their help.
    """

    table: Mapping[str, Any]
    text: str

    @property
    def help(self) -> str:
        """The help text. It looks at the table, and so at other packages."""
        if "{choices}" in self.text:
            return self.text.replace("{choices}", choices(self.table))
        return self.text.replace("{names}", ", ".join(self.table))


def choices(table: Mapping[str, Any]) -> str:
    """All names with their help: "mobilenet (packaged), vgg19 (downloaded)"."""
    return ", ".join(f"{name} ({row.help})" if row.help else name for name, row in table.items())


def imported(target: str) -> Any:
    """What is at "module:attribute"."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _is_same(one: Any, other: Any) -> bool:
    """Whether two rows stand for the same thing: a file that is imported adds its rows again."""
    return one is other or _place(one) == _place(other) is not None


def _place(row: Any) -> str | None:
    target = getattr(row, "target", None)
    if target is None or isinstance(target, str):
        return target
    return f"{target.__module__}:{target.__qualname__}"
