"""Presets: generators by a name, a folder or an address on the hub, as keras-hub has them.

A preset is config.json and model.safetensors, which every run folder has. `kgan.networks.Generator` has the methods.
"""

import dataclasses
import os
import pathlib
import tempfile
from typing import TypeVar

from kgan import kinds
from kgan.errors import UserError
from kgan.export.command import export_all
from kgan.inference.loading import load_generator
from kgan.networks.generators import Generator
from kgan.paths import expanded
from kgan.recipes import RECIPES
from kgan.runs import hub, recipes
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig
from kgan.runs.trust import takes_trust

G = TypeVar("G", bound=Generator)

ARGUMENTS = ("channels", "noise_channels", "filters", "blocks", "stride", "kernel", "norm", "downsample", "upsample",
             "residual", "padding", "antialias")  # fmt: skip
"""Arguments of a generator that are settings of the same name."""


@takes_trust
def from_preset(cls: type[G], preset: str | os.PathLike, trust: bool = False) -> G:
    """The generator of a preset (`Generator.from_preset`)."""
    generator, config = load_generator(preset)
    if not isinstance(generator, cls):
        raise UserError(f"{preset}: is a {type(generator).__name__}, not a {cls.__name__}; use Generator.from_preset")
    generator.settings = config
    return generator


def save_to_preset(generator: Generator, preset: str | os.PathLike) -> None:
    """Write a generator as a preset (`Generator.save_to_preset`)."""
    if not generator.built:
        raise UserError(f"{generator.name}: has no weights yet; call it on a picture first")
    config = generator.settings or _settings(generator)
    if hub.is_address(preset):
        from kgan.hub.push import push

        address = hub.parse(preset)
        with tempfile.TemporaryDirectory(prefix="kgan-preset-") as above:
            folder = pathlib.Path(above, address.repo.rpartition("/")[2])
            _write(generator, config, folder)
            push(folder, str(address))
        return
    _write(generator, config, pathlib.Path(expanded(preset)))


def _write(generator: Generator, config: TrainConfig, folder: pathlib.Path) -> None:
    try:
        export_all(generator, config, RunFolder(folder), [kinds.FORMATS["safetensors"]])
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from None


def _settings(generator: Generator) -> TrainConfig:
    """Settings that rebuild a generator. It was made in Python, so that they do not say how it was trained."""
    kind = next((name for name in kinds.GENERATORS if kinds.GENERATORS[name].load() is type(generator)), None)
    if kind is None:
        raise UserError(f"{type(generator).__name__}: is no generator of kgan.kinds.GENERATORS, from which presets are")
    told = {name: getattr(generator, name) for name in ARGUMENTS}
    recipe = _recipe(generator.takes_content)
    size = generator.stride * max(64 // generator.stride, -(-generator.minimum_size // generator.stride))
    made = recipes.resolve(TrainConfig(recipe=recipe, generator=kind, data="unknown", size=size, **told))
    return dataclasses.replace(made, data=None)


def _recipe(takes_content: bool) -> str:
    """The first recipe with two folders whose generators take content, or that with style pictures alone."""
    pictures = ("unpaired",) if takes_content else ("style",)
    return next(name for name, recipe in RECIPES.items() if recipe.pictures in pictures)
