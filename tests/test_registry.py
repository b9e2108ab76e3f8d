"""Tables of rows by name: of kgan's own files, of other packages, of the running program."""

import dataclasses
import importlib
import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from kgan import registry
from kgan.errors import UserError
from kgan.recipes import RECIPES
from kgan.registry import Registry, Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape(Row):
    corners: int = 0


@pytest.fixture
def shapes(tmp_path, monkeypatch):
    """A table over a folder with one file, whose import would fail."""
    monkeypatch.setattr(registry, "_ROOT", tmp_path)
    (tmp_path / "drawing").mkdir()
    write(
        tmp_path / "drawing" / "straight.py",
        """
        import no_such_module

        @tables.SHAPES.add("square", help="four sides", corners=4)
        class Square:
            pass

        @SHAPES.add(corners=3)
        def triangle():
            '''Three sides.

            And no more.
            '''

        @OTHERS.add("line")
        def line():
            pass
        """,
    )
    return Registry("SHAPES", "shape", Shape, folder="drawing", group="test.shapes")


ROOT = pathlib.Path(registry.__file__).parents[1]
NAMES = ", ".join([*RECIPES, "ink", "or module:RECIPE"])


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


def test_rows_of_files_are_read_without_importing_them(shapes):
    assert dict(shapes) == {
        "square": Shape(name="square", help="four sides", corners=4, target="kgan.drawing.straight:Square"),
        "triangle": Shape(name="triangle", help="Three sides.", corners=3, target="kgan.drawing.straight:triangle"),
    }


def test_one_more_row_takes_one_more_file(shapes, tmp_path):
    write(tmp_path / "drawing" / "many.py", "@SHAPES.add('hexagon', corners=6)\ndef hexagon(): pass\n")
    assert list(shapes) == ["hexagon", "square", "triangle"]


def test_a_decorator_adds_the_thing_itself(shapes):
    @shapes.add("ring", help="a hole")
    def ring():
        return 7

    assert shapes["ring"].load()() == 7
    assert list(shapes) == ["square", "triangle", "ring"]
    shapes.remove("ring")
    assert "ring" not in shapes


def test_a_name_is_given_once(shapes):
    with pytest.raises(UserError, match="square"):
        shapes.add("square")(lambda: 1)
    shapes.add("own")(write)
    shapes.add("own")(write)  # as a cell of a notebook that is run again
    with pytest.raises(UserError, match="own"):
        shapes.add("own")(print)


def test_targets_are_imported_when_loaded():
    rows = Registry("ROWS", "row", Row)
    rows.add_row(Row(name="root", target="math:sqrt"))
    assert rows["root"].load()(9) == 3


def test_unknown_names_get_the_nearest(shapes):
    with pytest.raises(UserError, match=r"^shape squre: no such shape; did you mean square"):
        shapes.find("squre", "--shape")
    assert shapes.find("square").corners == 4


def test_a_package_gives_one_row_a_module(tmp_path, monkeypatch):
    home = tmp_path / "colours_of_a_test"
    home.mkdir()
    write(home / "__init__.py", "")
    for name in ("red", "blue", "_shared"):
        write(home / f"{name}.py", f"from kgan.registry import Row\nROW = Row(name='{name}')\n")
    monkeypatch.syspath_prepend(tmp_path)
    colours = Registry("COLOURS", "colour", Row, package=home.name)
    assert dict(colours) == {"blue": Row(name="blue"), "red": Row(name="red")}
    write(home / "green.py", "from kgan.registry import Row\nROW = Row(name='green')\n")
    assert "green" not in colours
    colours.refresh()
    assert colours["green"] == Row(name="green")


class TestOtherPackages:
    @pytest.fixture
    def announce(self, tmp_path, monkeypatch):
        """Install a package that announces names of the group test.shapes."""
        monkeypatch.syspath_prepend(tmp_path / "site")

        def announced(code, **points):
            home = tmp_path / "site"
            (home / "their_shapes-1.dist-info").mkdir(parents=True)
            write(home / "their_shapes-1.dist-info" / "METADATA", "Name: their-shapes\nVersion: 1\n")
            lines = "\n".join(f"{name} = {target}" for name, target in points.items())
            write(home / "their_shapes-1.dist-info" / "entry_points.txt", f"[test.shapes]\n{lines}\n")
            write(home / "their_shapes.py", code)
            importlib.invalidate_caches()

        yield announced
        sys.modules.pop("their_shapes", None)

    def test_a_row(self, announce):
        announce("from kgan.registry import Row\nROW = Row(name='star')\n", star="their_shapes:ROW")
        table = Registry("SHAPES", "shape", Row, group="test.shapes")
        assert list(table) == ["star"]
        assert "their_shapes" not in sys.modules  # names alone need no import
        assert table["star"] == Row(name="star")

    def test_a_decorated_thing(self, announce, shapes, monkeypatch):
        announce(
            "import builtins\n@builtins.SHAPES.add('star', corners=5)\ndef star(): pass\n", star="their_shapes:star"
        )
        monkeypatch.setattr("builtins.SHAPES", shapes, raising=False)
        assert list(shapes) == ["square", "triangle", "star"]
        assert shapes["star"].corners == 5

    @pytest.mark.parametrize("code", ["1 / 0", "star = 3", "other = 3"])
    def test_what_does_not_work_is_one_line(self, announce, shapes, code):
        announce(code, star="their_shapes:star")
        assert shapes["square"].corners == 4
        with pytest.raises(UserError, match=r"star: shape of another package \(their_shapes:star\)"):
            shapes["star"]

    def test_kgans_own_names_stay(self, announce, shapes):
        announce("1 / 0", square="their_shapes:star")
        assert shapes["square"].corners == 4


def write_their_package(tmp_path):
    """A package with a command, a recipe and a feature network."""
    write(tmp_path / "theirs-1.dist-info" / "METADATA", "Name: theirs\nVersion: 1\n")
    write(
        tmp_path / "theirs-1.dist-info" / "entry_points.txt",
        """\
        [kgan.commands]
        hello = their_kgan.commands:HELLO
        [kgan.recipes]
        ink = their_kgan.recipes:INK
        [kgan.features]
        edges = their_kgan.features:Edges
        """,
    )
    write(tmp_path / "their_kgan" / "__init__.py", "")
    write(
        tmp_path / "their_kgan" / "commands.py",
        """
        import dataclasses
        from kgan.commands import Command

        @dataclasses.dataclass(frozen=True)
        class Hello:
            '''Greet.'''

        HELLO = Command("hello", Hello, lambda: print("hello from theirs"))
        """,
    )
    write(
        tmp_path / "their_kgan" / "recipes.py",
        """
        import dataclasses
        from kgan.recipes import PROJECTED

        INK = dataclasses.replace(PROJECTED, name="ink", help="black on white", blocks=3)
        """,
    )
    write(
        tmp_path / "their_kgan" / "features.py",
        """
        from kgan.kinds import FEATURES

        @FEATURES.add("edges", help="differences of neighbours")
        class Edges: ...
        """,
    )


def test_another_package_reaches_the_command_line(tmp_path):
    """Its command runs; its recipe and its feature network are choices, and nothing of TensorFlow is imported."""
    write_their_package(tmp_path)
    code = """
import sys
from kgan import cli
from kgan.kinds import FEATURES
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig
assert cli.main(["hello"]) == 0
config = recipes.resolve(TrainConfig(recipe="ink", content="a", style="b", features="edges"))
assert (config.blocks, FEATURES["edges"].help) == (3, "differences of neighbours")
assert cli.main(["train", "--recipe", "inc"]) == 2
assert "tensorflow" not in sys.modules
cli.main(["train", "--help"])
"""
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stderr == f"kgan: error: --recipe inc: no such recipe; did you mean ink? There are {NAMES}\n"
    assert done.stdout.startswith("hello from theirs\n")
    assert "edges (differences of neighbours)" in done.stdout
    assert "synthesis, ink, or your own" in done.stdout
