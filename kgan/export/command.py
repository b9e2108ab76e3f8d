"""`kgan export` writes a run's newest checkpoint as SavedModel, LiteRT or ONNX files, or for TensorFlow Serving."""

import os
import pathlib
from collections.abc import Iterable
from typing import cast

import keras

from kgan import console
from kgan.errors import UserError
from kgan.export.litert.fixed import SIZES
from kgan.export.litert.pictures import real_pictures
from kgan.export.litert.variants import export_variants
from kgan.export.onnx.files import checked_weights, export_onnx
from kgan.export.saved_model import write
from kgan.export.sidecar import Origin
from kgan.export.tf_serving import versions
from kgan.export.tf_serving.deployment import write_deployment
from kgan.export.tf_serving.warmup import write_warmup
from kgan.images.targets import folder_for_results
from kgan.inference.loading import load_generator
from kgan.inference.stylist import Stylist
from kgan.kinds import FORMATS, ExportFormat
from kgan.paths import expands_paths
from kgan.runs import places
from kgan.runs.models import ModelSource, resolve_run
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import NETWORK, TrainConfig
from kgan.runs.trust import takes_trust

NOT_STATED = "not stated"


@expands_paths
@takes_trust
def export_run(
    run: str | os.PathLike,
    output: str | os.PathLike | None = None,
    name: str | None = None,
    litert: str | Iterable[str] = (),
    sizes: int | Iterable[int] = (),
    licence: str = NOT_STATED,
    source: str = NOT_STATED,
    format: str | Iterable[str] = (),
    trust: bool = False,
    onnx: str | Iterable[str] = (),
) -> list[pathlib.Path]:
    """Export the newest checkpoint of a run.

    Without `name`, `litert`, `onnx` and `format`, it writes saved_model/, model.tflite and model_float16.tflite.

    Args:
        run: a run folder or the name of a shipped model.
        output: the output folder. Default: the run folder. With `name`, the folder of models that a server reads.
        name: write the next version of the model of this name for TensorFlow Serving, and the server's files.
        litert: write only the .tflite files of these variants, such as "float16" (names
            in `kgan.kinds.WEIGHTS`). They are compared with Keras on the pictures of the run.
        sizes: sides in pixels for `litert` and `onnx` files of fixed sizes. Default: 256, 384 and 512 for `litert`, and
            none for `onnx`.
        licence: licence of the model, for `litert` and `onnx`.
        source: origin of the model, for `litert` and `onnx`.
        format: write only these formats, such as "saved_model" (names in `kgan.kinds.FORMATS`). With "safetensors",
            the settings of the run are written beside the weights, without the folders of its pictures.
        trust: export a run of somebody else that is a program (`kgan.load`).
        onnx: write only the .onnx files with these formats of weights, such as "float16" (names in `kgan.kinds.ONNX`),
            or also those of `litert`. They are compared with Keras, too.

    Returns:
        The paths of the written files.

    Raises:
        UserError: if the folder is not a run or an argument is not valid.
        RunError: if a file differs from Keras or cannot be written.
    """
    litert, onnx, format = ([each] if isinstance(each, str) else list(each) for each in (litert, onnx, format))
    sizes = [sizes] if isinstance(sizes, int) else list(sizes)
    formats = [FORMATS.find(each, "--format") for each in format]
    _check_words(name, output, {"--litert": litert, "--onnx": onnx, "--format": format})
    for flag, is_given in {
        "--sizes": bool(sizes), "--licence": licence != NOT_STATED, "--source": source != NOT_STATED
    }.items():  # fmt: skip
        if is_given and not (litert or onnx):
            raise UserError(f"{flag}: is for --litert and --onnx; give one of them, or leave it out")
    if output is not None and os.path.lexists(output) and not os.path.isdir(output):
        raise UserError(f"--output {output}: is no folder; name another one")
    if output is not None and os.fspath(output) == "-":
        raise UserError(
            "--output -: several files cannot be standard output; name a folder, or ./- for one of that name"
        )
    found = resolve_run(run)
    if output is None and found.is_borrowed:
        came = "with kgan" if found.is_shipped else "from the hub"
        raise UserError(f"--output is missing: {run} came {came} and stays as it is")
    generator, config = load_generator(found.path)
    folder = pathlib.Path(output or found.path)
    with folder_for_results(folder):
        if litert or onnx:
            origin = Origin(licence, source, _labels(config), cast(str, config.recipe))
            written = export_all_variants(generator, found, folder, litert, sizes, origin, onnx)
        elif name is None:
            written = export_all(generator, config, RunFolder(folder), formats)
        else:
            written = export_version(generator, config, folder, name)
    for path in written:
        console.say(f"wrote     {path}")
    return written


def _check_words(name: str | None, output: str | os.PathLike | None, lists: dict[str, list[str]]) -> None:
    """Check the options that exclude each other, and that what `--onnx` needs is installed."""
    given = [option for option, words in lists.items() if words]
    if "--format" in given and (len(given) > 1 or name is not None):
        raise UserError(f"--format: leave it out, or {given[0] if len(given) > 1 else '--name'}")
    if lists["--onnx"]:
        checked_weights(lists["--onnx"])
    if name is not None:
        if given:
            kind = {"--litert": ".tflite", "--onnx": ".onnx"}[given[0]]
            raise UserError(f"{given[0]}: TensorFlow Serving serves no {kind} files; leave out --name")
        versions.check_name(name)
        if output is None:
            raise UserError("--name needs --output: the folder of models that the server reads")


def export_all(
    generator: keras.Model, config: TrainConfig, to: RunFolder, formats: Iterable[ExportFormat] = ()
) -> list[pathlib.Path]:
    """Write the exports of a run.

    Args:
        generator: a built generator.
        config: the settings of the run.
        to: the run folder.
        formats: rows of `kgan.kinds.FORMATS`. Default: the usual ones, a SavedModel and two LiteRT files.

    Returns:
        The paths.
    """
    rows = list(formats) or [row for row in FORMATS.values() if row.usual]
    noise = {"distribution": config.noise, "truncation": config.truncation}
    to.path.mkdir(parents=True, exist_ok=True)
    needs_config = any(row.needs_config for row in rows)
    if needs_config and to.config_file.exists():
        _check_config(config, to)
    written = [row.load()(generator, to.path / row.file, **noise) for row in sorted(rows, key=lambda row: row.place)]
    if needs_config and not to.config_file.exists():  # last, because it makes the folder a model
        to.keep(places.without_folders(config))
    return written


def _check_config(config: TrainConfig, to: RunFolder) -> None:
    """Raise UserError if the folder holds the config.json of another network."""
    there = resolve_run(to.path).run_config
    if any(getattr(there, name) != getattr(config, name) for name in NETWORK):
        raise UserError(f"{to.config_file}: is of another network; give another --output")


def export_all_variants(
    generator: keras.Model,
    run: ModelSource,
    folder: pathlib.Path,
    variants: Iterable[str],
    sizes: Iterable[int],
    origin: Origin,
    onnx: Iterable[str] = (),
) -> list[pathlib.Path]:
    """Write .tflite and .onnx files. They are compared with Keras on the run's pictures or the sample.

    Args:
        generator: a built generator.
        run: the run.
        folder: the output folder.
        variants: names of variants of .tflite files.
        sizes: sides in pixels for files of fixed sizes.
        origin: information about the origin of the model.
        onnx: names of formats of weights of .onnx files.

    Returns:
        The paths.
    """
    pictures, config = real_pictures(None if run.is_borrowed else run.config), cast(TrainConfig, run.config)
    noise, sizes, written = (config.noise, config.truncation), list(sizes), []
    if variants:
        written += export_variants(generator, folder, variants, sizes or SIZES, pictures, origin, *noise)
    if onnx:
        written += export_onnx(generator, folder, onnx, sizes, pictures, origin, *noise)
    return written


def _labels(config: TrainConfig) -> dict[str, str]:
    """The names of the training pictures."""
    sides = {"content": config.content or config.data, "style": config.style or config.data}
    return {side: pathlib.Path(name).name for side, name in sides.items() if name}


def export_version(generator: keras.Model, config: TrainConfig, root: pathlib.Path, name: str) -> list[pathlib.Path]:
    """Write the next version of a served model with warm-up requests, and the deployment files.

    Args:
        generator: a built generator.
        config: the settings of the run.
        root: the folder of models that the server reads.
        name: name of the model.

    Returns:
        The paths.
    """

    def whole(folder: pathlib.Path) -> None:
        signatures = write(Stylist(generator, config.noise, config.truncation), folder)
        write_warmup(folder, signatures, name, cast(int, config.size))

    return [versions.add_version(root / name, whole), *write_deployment(root, name)]
