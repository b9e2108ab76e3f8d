"""Networks as Keras models with explicit arguments. Pictures are float32 [N, H, W, C] in [-1, 1]."""

from kgan.networks.discriminators import (
    ArticleDiscriminator,
    Discriminator,
    MultiScaleDiscriminator,
    PatchDiscriminator,
    ProjectedDiscriminator,
)
from kgan.networks.features import FeatureExtractor
from kgan.networks.generators import ArticleGenerator, Generator, ResNetGenerator
from kgan.networks.mobile import MobileGenerator
from kgan.networks.patches import PatchEmbedder
from kgan.networks.regularizers import ConvRegularizer, DenseRegularizer

__all__ = [
    "ArticleDiscriminator",
    "ArticleGenerator",
    "ConvRegularizer",
    "DenseRegularizer",
    "Discriminator",
    "FeatureExtractor",
    "Generator",
    "MobileGenerator",
    "MultiScaleDiscriminator",
    "PatchDiscriminator",
    "PatchEmbedder",
    "ProjectedDiscriminator",
    "ResNetGenerator",
]
