"""The GANs: keras.Models whose train_step reads as the algorithm. A recipe names its topology."""

import importlib

from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

_TOPOLOGIES = {"one_way": ("kgan.gan.one_way", "OneWay"), "two_way": ("kgan.gan.two_way", "TwoWay")}


def build_gan(config: TrainConfig, teacher=None):
    """The keras.Model that trains the (resolved) settings' recipe; call it inside the strategy's scope.

    `teacher`, for recipes that learn from one: a function of content pictures [N, H, W, C] in [-1, 1].
    """
    module, name = _TOPOLOGIES[recipes.find(config.recipe).topology]
    return getattr(importlib.import_module(module), name)(config, *([teacher] if teacher else []))
