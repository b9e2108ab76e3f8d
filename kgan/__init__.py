"""Trains a GAN on two folders of pictures, and restyles pictures with the trained model.

    import kgan

    run = kgan.train(recipe="projected", content="photos", style="paintings")
    kgan.stylize("holiday", model=run, output="restyled")
    report = kgan.evaluate(run)

All names in `__all__` are public and stable. A name is imported when it is first used, so that `import kgan` is fast
and TensorFlow is imported only when it is needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_LOCATIONS = {
    # one call each, as on the command line
    "train": "kgan.training.call:train",
    "stylize": "kgan.film.call:stylize",
    "generate": "kgan.inference.generate:generate",
    "evaluate": "kgan.evaluation.evaluate:evaluate",
    "compare": "kgan.comparison.compare:compare",
    "export": "kgan.export",
    "check": "kgan.data.check:check_folders",
    "load": "kgan.inference.loading:load",
    "push": "kgan.hub.push:push",
    # parts
    "OneWay": "kgan.gan.one_way:OneWay",
    "TwoWay": "kgan.gan.two_way:TwoWay",
    "LossInputs": "kgan.gan.loss_inputs:LossInputs",
    "data": "kgan.data",
    "networks": "kgan.networks",
    "losses": "kgan.losses",
    "metrics": "kgan.metrics",
    "Client": "kgan.serving.client:Client",
    "Film": "kgan.film.film:Film",
    # recipes
    "RECIPES": "kgan.recipes:RECIPES",
    "Recipe": "kgan.recipes:Recipe",
    "LossTerm": "kgan.recipes:LossTerm",
    # errors
    "UserError": "kgan.errors:UserError",
    "RunError": "kgan.errors:RunError",
}
"""Public name -> where it is."""

__all__ = [
    "RECIPES",
    "Client",
    "Film",
    "LossInputs",
    "LossTerm",
    "OneWay",
    "Recipe",
    "RunError",
    "TwoWay",
    "UserError",
    "check",
    "compare",
    "data",
    "evaluate",
    "export",
    "generate",
    "load",
    "losses",
    "metrics",
    "networks",
    "push",
    "stylize",
    "train",
]

if TYPE_CHECKING:  # what type checkers and editors see
    from kgan import data, losses, metrics, networks
    from kgan.comparison.compare import compare
    from kgan.data.check import check_folders as check
    from kgan.errors import RunError, UserError
    from kgan.evaluation.evaluate import evaluate
    from kgan.export.command import export_run as export
    from kgan.film.call import stylize
    from kgan.film.film import Film
    from kgan.gan.loss_inputs import LossInputs
    from kgan.gan.one_way import OneWay
    from kgan.gan.two_way import TwoWay
    from kgan.hub.push import push
    from kgan.inference.generate import generate
    from kgan.inference.loading import load
    from kgan.recipes import RECIPES, LossTerm, Recipe
    from kgan.serving.client import Client
    from kgan.training.call import train


def __getattr__(name: str) -> Any:
    if name not in _LOCATIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kgan.errors import needing_all_of_kgan

    module, _, attribute = _LOCATIONS[name].partition(":")
    with needing_all_of_kgan(f"kgan.{name}"):
        found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
