"""`kgan export`: a run's newest checkpoint as SavedModel and LiteRT files, or as a version for TensorFlow Serving."""

import os
import pathlib

import keras

from kgan.config import TrainConfig
from kgan.errors import UserError
from kgan.export import versions
from kgan.export.deployment import write_deployment
from kgan.export.litert import export_litert
from kgan.export.loading import load_generator
from kgan.export.saved_model import export_saved_model, write
from kgan.export.stylist import Stylist
from kgan.export.warmup import write_warmup
from kgan.run_folder import RunFolder


def export_run(
    run: str | os.PathLike, output: str | os.PathLike | None = None, name: str | None = None
) -> list[pathlib.Path]:
    """Write a run's exports to `output` and return their paths.

    Without `name`: saved_model/, model.tflite and model_float16.tflite (default of `output`: the run). With it: the
    next version of the model of that name for TensorFlow Serving, and the files that a server needs. Raises UserError
    for a folder that is no run, and for a name that cannot be served.
    """
    if name is not None:
        versions.check_name(name)
        if output is None:
            raise UserError("--name needs --output: the folder of models that the server reads")
    generator, config = load_generator(run)
    if name is None:
        written = export_all(generator, config, RunFolder(pathlib.Path(output or run)))
    else:
        written = export_version(generator, config, pathlib.Path(output), name)
    print(*(f"wrote     {path}" for path in written), sep="\n", flush=True)
    return written


def export_all(generator: keras.Model, config: TrainConfig, to: RunFolder) -> list[pathlib.Path]:
    """The three files of a run for a generator trained with those settings."""
    noise = {"distribution": config.noise, "truncation": config.truncation}
    return [
        export_saved_model(generator, to.saved_model, **noise),
        export_litert(generator, to.litert(half=False), **noise),
        export_litert(generator, to.litert(half=True), half=True, **noise),
    ]


def export_version(generator: keras.Model, config: TrainConfig, root: pathlib.Path, name: str) -> list[pathlib.Path]:
    """The next version of a served model, with requests to warm it up, and the server's files beside; their paths."""

    def whole(folder: pathlib.Path) -> None:
        signatures = write(Stylist(generator, config.noise, config.truncation), folder)
        write_warmup(folder, signatures, name, config.size)

    return [versions.add_version(root / name, whole), *write_deployment(root, name)]
