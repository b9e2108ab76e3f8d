"""Exports a trained generator as a SavedModel, as LiteRT and ONNX files, and for TensorFlow Serving.

The package can be called: `kgan.export(run)` is the same as `kgan.export.export_run(run)`.
"""

import inspect
import sys
import types

from kgan.export.command import export_all, export_run
from kgan.export.litert.convert import export_litert
from kgan.export.litert.fixed import export_fixed
from kgan.export.litert.sidecar import check_litert
from kgan.export.litert.variants import export_variants
from kgan.export.onnx.files import check_onnx, export_onnx
from kgan.export.saved_model import export_saved_model
from kgan.export.stylist import export_stylist
from kgan.export.weights import export_weights
from kgan.inference.loading import Model, load, load_generator
from kgan.inference.stylist import Stylist

__all__ = [
    "Model",
    "Stylist",
    "check_litert",
    "check_onnx",
    "export_all",
    "export_fixed",
    "export_litert",
    "export_onnx",
    "export_run",
    "export_saved_model",
    "export_stylist",
    "export_variants",
    "export_weights",
    "load",
    "load_generator",
]


class _CallableModule(types.ModuleType):
    """A package that can be called, because `kgan.export` is both a package and a public function."""

    __call__ = staticmethod(export_run)


sys.modules[__name__].__class__ = _CallableModule
__signature__ = inspect.signature(export_run)
