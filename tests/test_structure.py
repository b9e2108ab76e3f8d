"""The shape of the code itself: which part may import which, how long a function is, that every name resolves."""

import ast
import dataclasses
import inspect
import pathlib
import subprocess
import sys

import pytest

import kgan
from kgan import gan, losses, networks, recipes
from kgan.config import TrainConfig
from kgan.gan import optimizers, terms, views

ROOT = pathlib.Path(kgan.__file__).parents[1]
MODULES = sorted((ROOT / "kgan").rglob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
LONGEST = 60
MEGABYTE = 2**20

LAYERS = [
    {
        "errors",
        "config",
        "run_folder",
        "recipes",
        "models",
        "paths",
        "progress",
        "pictures",
        "blending",
        "compiled",
        "listing",
        "pairing",
    },
    {
        "data",
        "metrics",
        "fidelity",
        "bootstrap",
        "artefacts",
        "networks",
        "losses",
        "tracking",
        "record",
        "masks",
        "targets",
        "precision",
    },
    {"gan"},
    {"export", "checkpoints"},
    {
        "cluster",
        "devices",
        "callbacks",
        "interruption",
        "stylize",
        "generate",
        "evaluation",
        "scored",
        "picture_features",
        "report",
        "gallery",
        "training",
        "serving",
        "web",
    },
    {"cli"},
]
"""Parts of kgan from the bottom to the top: one may import from its own layer and from those before it."""

WITHOUT_TENSORFLOW = {
    "errors",
    "config",
    "run_folder",
    "recipes",
    "models",
    "paths",
    "progress",
    "pictures",
    "blending",
    "compiled",
    "listing",
    "pairing",
    "masks",
    "targets",
    "cli",
    "interruption",
    "cluster",
}
"""Parts that never import TensorFlow, so that a wrong word is answered at once."""


def part_of(path):
    """kgan/data/order.py -> data, kgan/cli.py -> cli, kgan/__init__.py -> the package itself: None."""
    first = path.relative_to(ROOT / "kgan").parts[0]
    return None if first == "__init__.py" else first.removesuffix(".py")


def imports(path, only_top=False):
    """Dotted names that a file imports; `only_top`: when it is itself imported, not later inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if only_top else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1


def test_every_part_has_its_layer():
    parts = {part_of(path) for path in MODULES} - {None}
    assert parts == set.union(*LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    level = {part: number for number, layer in enumerate(LAYERS) for part in layer}
    part = part_of(path)
    if part is None:
        assert not [name for name in imports(path, only_top=True) if name.startswith("kgan")]
        return
    for name in imports(path):
        words = name.split(".")
        if words[0] == "kgan" and len(words) > 1 and words[1] in level:
            assert level[words[1]] <= level[part], f"{part} imports {name}"


def test_the_core_does_not_know_its_users():
    """Inside a layer too: data, networks and losses do not import each other."""
    for path in MODULES:
        part = part_of(path)
        if part in ("data", "networks", "losses"):
            others = {"data", "networks", "losses"} - {part}
            assert not [name for name in imports(path) if name.split(".")[:2] in (["kgan", other] for other in others)]


@pytest.mark.parametrize("part", sorted(WITHOUT_TENSORFLOW))
def test_parts_without_tensorflow(part):
    path = ROOT / "kgan" / f"{part}.py"
    assert not {name.split(".")[0] for name in imports(path)} & {"tensorflow", "keras", "tensorflow_datasets"}


@pytest.mark.parametrize("module", ["kgan", "kgan.cli", "kgan.data.check", "kgan.data.sample", "kgan.web.command"])
def test_importing_leaves_tensorflow_alone(module):
    code = f"import sys, {module}; sys.exit(bool({{'tensorflow', 'keras'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_functions_are_short():
    lengths = [(count, f"{path.name}: {name}") for path in MODULES + SCRIPTS for name, count in functions(path)]
    assert len(lengths) > 200
    assert max(lengths)[0] <= LONGEST, max(lengths)
    ordered = sorted(count for count, _ in lengths)
    assert ordered[len(ordered) // 2] <= 10
    assert ordered[len(ordered) * 9 // 10] <= 30


def test_the_library_has_no_assert():
    """They vanish under `python -O`."""
    for path in MODULES:
        assert not [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Assert)
        ], path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_public_is_explained(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.ClassDef
    public = [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
    assert ast.get_docstring(tree), "the module"
    assert not [node.name for node in public if not ast.get_docstring(node)]


# --- names ------------------------------------------------------------------------------------------------------------


def test_choices_are_the_registries():
    registries = {
        "generator": networks.GENERATORS,
        "discriminator": networks.DISCRIMINATORS,
        "adversarial": losses.ADVERSARIAL,
        "augment": views.CHANGES,
        "generator_optimizer": optimizers.OPTIMIZERS,
        "discriminator_optimizer": optimizers.OPTIMIZERS,
    }
    assert registries.keys() == recipes.CHOICES.keys()
    for setting, registry in registries.items():
        assert set(recipes.CHOICES[setting]) == registry.keys(), setting


def test_terms_are_the_registry():
    assert recipes.TERMS.keys() == terms.TERMS.keys()


def literals(setting):
    """The words that a setting with fixed choices takes."""
    (field,) = (field for field in dataclasses.fields(TrainConfig) if field.name == setting)
    return set(field.type.__args__)


def test_fixed_choices_are_the_registries():
    assert literals("regularizer_network") == networks.REGULARIZERS.keys()
    assert literals("precision") == networks.POLICIES.keys()


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_every_name_of_a_recipe_resolves(name):
    recipe = recipes.RECIPES[name]
    assert recipe.topology in gan._TOPOLOGIES
    for setting, choices in recipes.CHOICES.items():
        given = getattr(recipe, setting)
        names = [word for word in given.split(",") if word] if setting in recipes.SEVERAL else [given]
        assert set(names) <= {*choices, *((None,) if name in ("mmd", "distill") else ())}
    assert {term.name for term in recipe.terms} <= terms.TERMS.keys()
    settings = {field.name for field in dataclasses.fields(TrainConfig)}
    own = {"name", "topology", "pictures", "terms", "fresh_noise"}
    assert {field.name for field in dataclasses.fields(recipe)} - own <= settings


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_help_and_docs_name_every_recipe(name):
    assert name in inspect.getsource(TrainConfig)
    assert name in (ROOT / "README.md").read_text(encoding="utf-8")


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
