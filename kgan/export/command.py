"""`kgan export`: a run's newest checkpoint as SavedModel and LiteRT files."""

import os
import pathlib

from kgan.config import TrainConfig
from kgan.export.litert import export_litert
from kgan.export.loading import load_generator
from kgan.export.saved_model import export_saved_model
from kgan.run_folder import RunFolder


def export_run(run: str | os.PathLike, output: str | os.PathLike | None = None) -> list[pathlib.Path]:
    """Write saved_model/, model.tflite and model_float16.tflite to `output` (default: the run); returns the paths."""
    generator, config = load_generator(run)
    written = export_all(generator, config, RunFolder(pathlib.Path(output or run)))
    print(*(f"wrote     {path}" for path in written), sep="\n", flush=True)
    return written


def export_all(generator, config: TrainConfig, to: RunFolder) -> list[pathlib.Path]:
    """The three files of a run for a generator trained with those settings."""
    noise = {"distribution": config.noise, "truncation": config.truncation}
    return [
        export_saved_model(generator, to.saved_model, **noise),
        export_litert(generator, to.litert(half=False), **noise),
        export_litert(generator, to.litert(half=True), half=True, **noise),
    ]
