"""Loads a trained model from a run folder, a SavedModel, a .tflite or an .onnx file."""

import functools
import os
import pathlib
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from kgan import console
from kgan.assembly import build_generator
from kgan.errors import UserError, call
from kgan.gan import tracking
from kgan.gan.checkpoints import first_line, found_in
from kgan.inference import litert, onnx, saved_model
from kgan.inference.model import Model, Run
from kgan.inference.operations import GRAPH, check_program
from kgan.inference.stylist import (
    STATISTICS,
    TILE,
    WITH_STATISTICS,
    Facts,
    Stylist,
    by_statistics,
    from_noise,
    has_statistics,
)
from kgan.inference.tiles import Functions
from kgan.inference.weights import outline, read_generator
from kgan.runs.models import resolve_model, resolve_run
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig
from kgan.runs.trust import allows, foreign_parts, require, require_settings, takes_trust

PRECISIONS = ("float32", "bfloat16", "float16")
"""The arithmetic that a trained network may have. Keys of `kgan.precision.POLICIES`."""


@takes_trust
def load(model: str | os.PathLike, trust: bool = False, precision: str = "float32") -> Model:
    """Load a trained model.

    A run folder is loaded from model.safetensors or else from its SavedModel, or from the newest checkpoint if that is
    newer.

    Args:
        model: a run folder, a SavedModel folder, a .tflite or .onnx file, or the name of a shipped model
            (`kgan.runs.models.resolve_model`).
        trust: open a model that is a program of somebody else: a SavedModel that kgan did not write here, or settings
            that name code of another package. The operations of a SavedModel are checked in any case.
        precision: the arithmetic of the network. "bfloat16" and "float16" are faster on processors with matrix units
            for them: NVIDIA's GPUs since Ampere, and for bfloat16 Intel's CPUs with AMX. Pictures stay float32 or
            uint8. A file that is no run folder has an arithmetic of its own.

    Returns:
        The model.

    Raises:
        UserError: if there is no such model, it cannot be read, it is a program that is not trusted, or it cannot
            compute in this precision.
    """
    if precision not in PRECISIONS:
        raise UserError(f"--precision should be one of {', '.join(PRECISIONS)}. Received: {precision}")
    source = resolve_model(model)
    if source.kind == "run":
        return _from_run(source.path, precision)
    _check_own(source.path, precision)
    return {"saved_model": _from_saved_model, "litert": _from_litert, "onnx": _from_onnx}[source.kind](source.path)


def _check_own(path: pathlib.Path, precision: str) -> None:
    if precision != "float32":
        raise UserError(
            f"--precision {precision}: {path} is a file with an arithmetic of its own; name a run folder with "
            "config.json and model.safetensors or checkpoints"
        )


def _from_run(path: pathlib.Path, precision: str) -> Model:
    """The model of a run, from numbers alone if they are current and kgan has the network."""
    run = RunFolder(path)
    if run.has_weights() and not foreign_parts(resolve_run(path).run_config):
        return _from_numbers(path, precision)
    program = run.saved_model / GRAPH
    if run.has_saved_model() and (allows(program) or not (run.has_weights() or found_in(run.checkpoints))):
        _check_own(run.saved_model, precision)
        return _from_saved_model(run.saved_model)
    return _from_numbers(path, precision)


def _from_numbers(path: pathlib.Path, precision: str) -> Model:
    generator, config = load_generator(path)
    return of_generator(generator, config.noise, config.truncation, str(path), precision)


def of_generator(
    generator: keras.Model, distribution: str, truncation: float, name: str = "model", precision: str = "float32"
) -> Model:
    """Wrap a built generator as a `Model`, which reads the current weights of the generator in each call.

    Args:
        generator: in any precision. Of one that does not compute in `precision` the model has a copy, whose weights are
            those of this moment.
        distribution: of the noise, as in `TrainConfig.noise`.
        truncation: its bound.
        name: what messages call it.
        precision: the arithmetic of the network, a key of `kgan.precision.POLICIES`.
    """
    stylist = Stylist(generator, distribution, truncation, precision=precision)
    # Traced at the first use, which most models of a training run never see.
    signatures = functools.cache(lambda: by_statistics(stylist))
    functions = _functions(signatures, stylist.facts) if has_statistics(stylist.facts) else None
    return Model(name, _graph(from_noise(stylist)), stylist.facts, functions=functions)


def _from_saved_model(path: pathlib.Path) -> Model:
    function, facts = float_function(path)
    signatures = function.owner.signatures
    # Files of older versions have no signatures with statistics.
    functions = _functions(lambda: signatures, facts) if TILE in signatures else None
    return Model(str(path), _graph(function), facts, functions=functions)


def _functions(signatures: Callable[[], Mapping[str, Callable]], facts: Facts) -> Functions:
    """What tiles need, from the signatures with statistics (`by_statistics`)."""

    def tile(inputs):
        made = signatures()[TILE](**_tensors(inputs))
        return made["stylized"].numpy(), made[STATISTICS].numpy()

    def statistics(inputs):
        return signatures()[STATISTICS](**_tensors(inputs))[STATISTICS].numpy()

    @functools.cache
    def frames(jit):
        network = signatures()[WITH_STATISTICS]

        def restyled(image, **others):
            if image.dtype != tf.uint8:
                return network(image=image, **others)["stylized"]
            made = network(image=tf.cast(image, tf.float32) / 255.0, **others)["stylized"]
            return tf.cast(tf.round(made * 255.0), tf.uint8)

        return tf.function(restyled, jit_compile=jit, reduce_retracing=not jit, autograph=False)

    def stylized(inputs, jit):
        return frames(jit)(**_tensors(inputs))

    return Functions(statistics, stylized, tile, facts.stride, facts.reach)


def float_function(path: pathlib.Path) -> tuple[tf.types.experimental.ConcreteFunction, Facts]:
    """Load a SavedModel.

    Args:
        path: the folder of the SavedModel.

    Returns:
        The signature for float32 pictures in [0, 1], which keeps its weights alive, and the facts of the model.

    Raises:
        UserError: if the SavedModel cannot be read or is not one of kgan's.
    """
    check_program(path)
    require(path / GRAPH, "is a SavedModel")
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:  # of a broken file, TensorFlow raises KeyError, IndexError and many others
        raise UserError(f"{path}: cannot be read as a SavedModel ({first_line(error)})") from None
    function = saved_model.float_function(loaded)
    if function is None:
        raise UserError(f"{path}: is a SavedModel that kgan did not write; it should have an output named stylized")
    function.owner = loaded  # the variables exist as long as this object
    return function, saved_model.read_facts(path, loaded)


def _graph(function: Callable[..., dict[str, tf.Tensor]]) -> Run:
    return lambda inputs: function(**_tensors(inputs))["stylized"].numpy()


def _tensors(inputs: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value) for name, value in inputs.items()}


def _from_litert(path: pathlib.Path) -> Model:
    try:
        interpreter = litert.open_interpreter(path, num_threads=os.cpu_count())
        runners = {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as a LiteRT model ({first_line(error)})") from None
    if not runners or any("stylized" not in runner.get_output_details() for runner in runners.values()):
        raise UserError(f"{path}: is a LiteRT model that kgan did not write; it should have an output named stylized")
    facts = litert.read_facts(path, interpreter)
    return Model(str(path), litert.run_by_size(str(path), runners), facts, "litert")


def _from_onnx(path: pathlib.Path) -> Model:
    file = onnx.opened(path)
    run = litert.run_by_size(str(path), file.runners)
    return Model(str(path), run, file.facts, "onnx")


def load_generator(run: str | os.PathLike) -> tuple[keras.Model, TrainConfig]:
    """Load the generator of a run, from its newest checkpoint or else from model.safetensors or its saved_model/.

    Args:
        run: a run folder or the name of a shipped model.

    Returns:
        The generator, with the averaged weights that are exported, and the settings of the run.

    Raises:
        UserError: if there is no such run, it has no weights, or it needs code that is not trusted.
    """
    config = check_generator(run)
    folder = RunFolder(resolve_run(run).path)
    checkpoints = found_in(folder.checkpoints)
    if not checkpoints and folder.weights.is_file():
        return read_generator(folder.weights, config), config
    outline(config, folder.config_file)
    generator = build_generator(config)
    if checkpoints:
        restore_newest(generator, checkpoints)
    else:
        _copy_weights(generator, folder.saved_model)
    return generator, config


def check_generator(run: str | os.PathLike) -> TrainConfig:
    """Check whether the generator of a run may be loaded, before any work. Its weights are not read.

    Args:
        run: as that of `load_generator`.

    Returns:
        The settings of the run.

    Raises:
        UserError: if there is no such run, it has no weights, or it needs code that is not trusted.
    """
    source = resolve_run(run)
    folder, config = RunFolder(source.path), source.run_config
    require_settings(config, folder.config_file)
    if found_in(folder.checkpoints) or folder.weights.is_file():
        return config
    if not (folder.saved_model / GRAPH).is_file():
        raise UserError(
            f"{source.path}: holds no checkpoint yet; train it first, or go on with "
            f"{call('train', run=source.path, resume=True)}"
        )
    require(folder.saved_model / GRAPH, "is a SavedModel")
    return config


def restore_newest(generator: keras.Model, checkpoints: list[pathlib.Path]) -> None:
    """Restore the newest checkpoint that can be read, with a warning for each newer one that cannot.

    Args:
        generator: a built generator.
        checkpoints: paths of checkpoints, the newest first.

    Raises:
        UserError: if none can be read.
    """
    for path in checkpoints[:-1]:
        try:
            return restore_stylist(generator, path)
        except UserError as error:
            console.warn(f"{error}; trying the one before")
    return restore_stylist(generator, checkpoints[-1])


def restore_stylist(generator: keras.Model, checkpoint: str | os.PathLike) -> None:
    """Restore a generator from the entry gan/stylist of a training checkpoint.

    Args:
        generator: a built generator.
        checkpoint: path of a checkpoint, without suffix.

    Raises:
        UserError: if the checkpoint is broken or has other weights.
    """
    gan = tf.Module()
    gan.stylist = generator
    try:
        saved_model.checked_reader(pathlib.Path(checkpoint))
        tracking.checkpoint(gan=gan).restore(str(checkpoint)).expect_partial().assert_existing_objects_matched()
    except Exception as error:  # TensorFlow raises IndexError, RuntimeError and many others
        reason = first_line(error)[:300]  # which can list all variables with their values
        raise UserError(f"{checkpoint}: is broken or does not fit the settings ({reason})") from None


def _copy_weights(generator: keras.Model, folder: pathlib.Path) -> None:
    """Copy the numbers of a SavedModel. Its graph is not loaded."""
    values = saved_model.read_weights(folder)
    if [value.shape for value in values] != [tuple(variable.shape) for variable in generator.variables]:
        raise UserError(f"{folder}: does not fit the settings in config.json, which should be of the same run")
    for variable, value in zip(generator.variables, values, strict=True):
        variable.assign(value.astype(variable.dtype))
