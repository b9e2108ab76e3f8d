"""docs/generated.py: what pages show of the code is complete."""

import importlib.util
import pathlib
import re

import pytest

import kgan
from kgan.commands import COMMANDS
from kgan.parsing import options_of
from kgan.recipes import RECIPES

ROOT = pathlib.Path(kgan.__file__).parents[1]


@pytest.fixture(scope="module")
def generated():
    spec = importlib.util.spec_from_file_location("generated", ROOT / "docs" / "generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def filled(generated, name):
    """A page as Sphinx reads it."""
    source = [(ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")]
    generated.fill_page(None, name, source)
    return source[0]


def sections(text):
    """Title of each section below the page's own -> its text."""
    parts = re.split(r"^##+ (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_option_of_every_command_is_told(generated):
    found = sections(filled(generated, "commands"))
    assert found.keys() == COMMANDS.keys()
    for name, row in COMMANDS.items():
        rows = [line.split(" | ") for line in found[name].splitlines() if line.startswith("| `")]
        told = {re.search(r"`([\w-]+)", row[0])[1]: row[1] for row in rows}
        assert told.keys() == {
            option.name.upper() if option.is_positional else option.flag for option in options_of(row.options)
        }
        assert all(len(meaning) > 4 for meaning in told.values()), told


def test_a_default_and_the_choices_are_told(generated):
    text = sections(filled(generated, "commands"))["train"]
    (line,) = (line for line in text.splitlines() if line.startswith("| `--channels N`"))
    assert line.endswith("One of `1`, `3`, `4`. Default: `3`. |")


def test_every_recipe_is_told(generated):
    found = sections(filled(generated, "recipes"))
    assert RECIPES.keys() <= found.keys()
    assert "arxiv.org/abs/1703.10593" in found["cyclegan"]
    assert "`cycle=10`" in found["cyclegan"]
    assert "kgan train --recipe cut" in found["cut"]


def test_every_model_has_a_card(generated):
    assert sections(filled(generated, "cards")).keys() >= {path.name for path in (ROOT / "saved_models").iterdir()}


def test_links_to_cards_lead_to_their_page(generated):
    page = filled(generated, "models")
    assert "](cards.md#vangogh)" in page
    assert "saved_models/vangogh/README.md" not in page


@pytest.mark.parametrize(
    "module", ["kgan", "kgan.networks", "kgan.losses", "kgan.metrics", "kgan.data", "kgan.serving"]
)
def test_every_public_name_is_told(generated, module):
    found = importlib.import_module(module)
    text = filled(generated, f"api/{module.removeprefix('kgan.')}")
    for name in found.__all__:
        assert re.search(rf"{module}\.{name}\b|^#+ {name}$", text, re.MULTILINE), name


def test_docstrings_become_sphinx_markup(generated):
    lines = ["E|x|, see [CUT](https://a.org/b(c)d).", "", "    kgan train", "", "Args:", "    x: a | b, **c."]
    generated.to_rst(None, "function", "f", None, None, lines)
    assert lines[0] == r"E\|x\|, see `CUT <https://a.org/b(c)d>`__."
    assert lines[2:5] == [".. code-block:: text", "", "    kgan train"]
    assert lines[-1] == r"    x: a \| b, \*\*c."
