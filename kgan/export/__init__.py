"""From a trained generator to files that run elsewhere, and back."""

from kgan.export.command import export_all, export_run
from kgan.export.litert.convert import export_litert
from kgan.export.litert.fixed import export_fixed
from kgan.export.litert.sidecar import check_litert
from kgan.export.litert.variants import VARIANTS, export_variants
from kgan.export.saved_model import export_saved_model
from kgan.inference.loading import Model, load, load_generator
from kgan.inference.stylist import Stylist

__all__ = [
    "VARIANTS",
    "Model",
    "Stylist",
    "check_litert",
    "export_all",
    "export_fixed",
    "export_litert",
    "export_run",
    "export_saved_model",
    "export_variants",
    "load",
    "load_generator",
]
