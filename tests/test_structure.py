"""Rules for the code that no linter checks. pyproject.toml has those for imports, docstrings and complexity."""

import ast
import dataclasses
import pathlib
import subprocess
import sys

import pytest

import kgan
from kgan import kinds, precision
from kgan.gan import diffaugment, optimizers
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

ROOT = pathlib.Path(kgan.__file__).parents[1]
FILES = sorted([*(ROOT / "kgan").rglob("*.py"), *(ROOT / "scripts").glob("*.py")])
LONGEST = 60
MEGABYTE = 2**20


def functions(path):
    """Names of functions and their numbers of lines without docstrings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            told = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
            docstring = told.end_lineno - told.lineno + 1 if told else 0
            yield node.name, node.end_lineno - node.lineno + 1 - docstring


def test_importing_leaves_tensorflow_alone():
    """A process that imports `kgan` first, which imports no other module of it."""
    code = """
import sys, kgan
assert not [name for name in sys.modules if name.startswith("kgan.")]
import kgan.cli, kgan.data.check, kgan.data.sample, kgan.web.command
assert not {"tensorflow", "keras"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_functions_are_short():
    lengths = [(count, f"{path.name}: {name}") for path in FILES for name, count in functions(path)]
    assert len(lengths) > 200
    assert max(lengths)[0] <= LONGEST, max(lengths)
    ordered = sorted(count for count, _ in lengths)
    assert ordered[len(ordered) // 2] <= 10
    assert ordered[len(ordered) * 9 // 10] <= 30


# --- names ------------------------------------------------------------------------------------------------------------


def test_choices_are_the_registries():
    registries = {
        "augment": diffaugment.CHANGES,
        "generator_optimizer": optimizers.OPTIMIZERS,
        "discriminator_optimizer": optimizers.OPTIMIZERS,
        "features": kinds.FEATURES,
    }
    for setting, registry in registries.items():
        assert set(recipes.CHOICES[setting]) == registry.keys(), setting


def literals(setting):
    """The values of a setting with fixed choices."""
    (field,) = (field for field in dataclasses.fields(TrainConfig) if field.name == setting)
    return set(field.type.__args__)


def test_fixed_choices_are_the_registries():
    assert literals("precision") == precision.POLICIES.keys()


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_every_name_of_a_recipe_resolves(name):
    recipe = recipes.RECIPES[name]
    for setting, choices in recipes.CHOICES.items():
        given = getattr(recipe, setting, None)
        several = setting in recipes.SEVERAL and given is not None
        names = [word for word in given.split(",") if word] if several else [given]
        assert set(names) <= {
            *choices,
            *((None,) if name in ("mmd", "distill") or not hasattr(recipe, setting) else ()),
        }
    assert {term.name for term in recipe.terms} <= kinds.TERMS.keys()
    settings = {field.name for field in dataclasses.fields(TrainConfig)}
    own = {"name", "help", "topology", "pictures", "teacher", "terms", "fresh_noise"}
    assert {field.name for field in dataclasses.fields(recipe)} - own <= settings


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_docs_name_every_recipe(name):
    assert name in (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_the_tree_stays_small():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    sizes = {
        name: (ROOT / name).stat().st_size for name in listed.stdout.split("\0") if name and (ROOT / name).exists()
    }
    assert max(sizes.values()) <= 10 * MEGABYTE, max(sizes, key=sizes.get)
    assert sum(sizes.values()) <= 50 * MEGABYTE
