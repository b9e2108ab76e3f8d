"""Runs the examples in docstrings: the `>>>` lines of all modules of kgan."""

import doctest
import importlib
import pathlib

import pytest

import kgan

ROOT = pathlib.Path(kgan.__file__).parents[1]
FILES = [path for path in sorted((ROOT / "kgan").rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
"""Modules with examples, found by their text. Importing them would import TensorFlow when tests are collected."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert not found.failed


def test_a_wrong_example_would_fail():
    """Examples are found and compared."""
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner(verbose=False).run(wrong, out=lambda text: None).failed == 1
    pairs = importlib.import_module("kgan.metrics.pairs")
    assert sum(len(test.examples) for test in doctest.DocTestFinder().find(pairs)) >= 1
