"""Loads a trained model from a run folder, a SavedModel or a .tflite file."""

import math
import os
import pathlib
from collections.abc import Callable
from typing import cast

import keras
import numpy as np
import tensorflow as tf

from kgan import console
from kgan.errors import UserError, call
from kgan.gan import noise as noises
from kgan.gan import tracking
from kgan.gan.checkpoints import first_line, found_in
from kgan.images import pictures as arrays
from kgan.inference import litert, saved_model
from kgan.inference.stylist import Facts, Stylist, from_noise
from kgan.runs.models import resolve_model, resolve_run
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig

Run = Callable[[dict[str, np.ndarray]], np.ndarray]
"""A function from inputs by name (image, noise: float32 NHWC) to stylized pictures, float32 NHWC in [0, 1]."""


class Model:
    """A trained model as a function of pictures. `load` makes one from any kind of file.

    Args:
        name: name of the model in error messages.
        run: the function that computes the result.
        facts: channels, noise and memory of the model.
        engine: the library that `run` uses, "tensorflow" or "litert".

    Example:

    >>> model = load("runs/cyclegan-1")  # doctest: +SKIP
    >>> stylized = model(picture, seed=3)  # doctest: +SKIP
    """

    def __init__(self, name: str, run: Run, facts: Facts, engine: str = "tensorflow"):
        self.name = name
        self.facts = facts
        self.bytes_per_pixel = facts.bytes_per_pixel(engine)
        self._run = run

    def __call__(self, pictures: np.ndarray, seed: int = 0, strokes: float = 1.0) -> np.ndarray:
        """Stylize one picture or a batch of pictures.

        Args:
            pictures: [H, W, C], [N, H, W, C] or gray [H, W], uint8 or float in [0, 1]. Gray, RGB and RGBA pictures are
                converted to the channels of the model.
            seed: seed of the noise, if the model takes noise.
            strokes: the factor by which brush strokes become broader, at least 1. The picture is restyled at a reduced
                size, enlarged to twice that size and restyled again, until it has its own size.

        Returns:
            Pictures of the same dtype and size, with the channels of the model.

        Raises:
            UserError: if the model takes no content, or the shape or the range of the pictures is wrong.

        Reference: strokes from coarse to fine, [Gatys et al.](https://arxiv.org/abs/1611.07865).
        """
        if not self.facts.takes_content:
            raise UserError(f"{self.name}: makes pictures from noise alone; use {call('generate')}")
        pictures = np.asarray(pictures)
        if pictures.ndim not in (2, 3, 4) or 0 in pictures.shape:
            raise UserError(f"a picture should have the shape [H, W, C] or [N, H, W, C]. Received: {pictures.shape}")
        batch = pictures[..., None] if pictures.ndim == 2 else pictures
        batch = batch if batch.ndim == 4 else batch[None]
        made = arrays.with_channels(arrays.to_float(batch), self.facts.channels)
        for share in shares_of_size(strokes):
            made = self._restyled(_resized(made, share, batch.shape[1:3]), seed)
        made = _as_dtype(made, pictures.dtype)
        return made if pictures.ndim == 4 else made[0]

    def _restyled(self, image: np.ndarray, seed: int) -> np.ndarray:
        inputs = {"image": np.ascontiguousarray(image)}
        if self.facts.noise_channels:
            inputs["noise"] = self.noise(seed, *image.shape[:3])
        return self._run(inputs)

    def noise(self, seed: int, count: int, height: int, width: int, truncation: float | None = None) -> np.ndarray:
        """Noise maps with the distribution of the training.

        Args:
            seed: seed of the noise.
            count: number of maps.
            height: height in pixels.
            width: width in pixels.
            truncation: bound of normal or truncated noise in standard deviations. Default: that of the training.

        Returns:
            float32 [count, height, width, Nz].
        """
        distribution, bound = self.facts.distribution, self.facts.truncation
        if truncation is not None:
            distribution, bound = "truncated", truncation
        return noises.sample(seed, (count, height, width, self.facts.noise_channels), distribution, bound).numpy()

    def from_noise(self, noise: np.ndarray) -> np.ndarray:
        """Generate pictures from noise alone.

        Args:
            noise: noise maps, float32 [N, H, W, Nz].

        Returns:
            Pictures, float32 [N, H, W, C] in [0, 1].

        Raises:
            UserError: if the model takes content.
        """
        if self.facts.takes_content:
            raise UserError(f"{self.name}: needs pictures to restyle; use {call('stylize')}")
        return self._run({"noise": noise})


def shares_of_size(strokes: float) -> list[float]:
    """The scales at which a picture is restyled, one after the other, to get broader strokes.

    Args:
        strokes: the factor by which strokes become broader, at least 1.

    Returns:
        Fractions of the picture's sides; the last is 1.

    Raises:
        UserError: if `strokes` is less than 1.

    Example:

    >>> shares_of_size(1), shares_of_size(4)
    ([1.0], [0.25, 0.5, 1.0])
    """
    if not 1 <= strokes < math.inf:
        raise UserError(f"--strokes should be at least 1. Received: {strokes:g}")
    shares = [1.0 / strokes]
    while shares[-1] < 1:
        shares.append(min(1.0, 2.0 * shares[-1]))
    return shares


def _resized(image: np.ndarray, share: float, whole: tuple[int, int]) -> np.ndarray:
    """Float32 [N, H, W, C] in [0, 1], with sides that are a fraction of those of `whole`, but at least one pixel."""
    size = tuple(max(1, round(share * side)) for side in whole)
    if image.shape[1:3] == size:
        return image
    return np.clip(tf.image.resize(image, size, "lanczos3", antialias=True).numpy(), 0.0, 1.0)


def _as_dtype(made: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return arrays.to_uint8(made) if dtype == np.uint8 else made.astype(dtype)


def load(model: str | os.PathLike) -> Model:
    """Load a trained model. A run folder is loaded from its SavedModel, or from the newest checkpoint if that is newer.

    Args:
        model: a run folder, a SavedModel folder, a .tflite file, or the name of a shipped model
            (`kgan.runs.models.resolve_model`).

    Returns:
        The model.

    Raises:
        UserError: if there is no such model, or it cannot be read.
    """
    source = resolve_model(model)
    if source.is_run:
        run = RunFolder(source.path)
        return _from_saved_model(run.saved_model) if run.has_saved_model() else _from_run(source.path)
    return {"saved_model": _from_saved_model, "litert": _from_litert}[source.kind](source.path)


def _from_run(path: pathlib.Path) -> Model:
    generator, config = load_generator(path)
    return of_generator(generator, config.noise, config.truncation, str(path))


def of_generator(generator: keras.Model, distribution: str, truncation: float, name: str = "model") -> Model:
    """Wrap a built generator as a `Model`, which reads the current weights of the generator in each call.

    Args:
        generator: in any precision. Of one that does not compute in float32 the model has a copy, whose weights are
            those of this moment.
        distribution: of the noise, as in `TrainConfig.noise`.
        truncation: its bound.
        name: what messages call it.
    """
    stylist = Stylist(generator, distribution, truncation)
    return Model(name, _graph(from_noise(stylist)), stylist.facts)


def _from_saved_model(path: pathlib.Path) -> Model:
    function, facts = float_function(path)
    return Model(str(path), _graph(function), facts)


def float_function(path: pathlib.Path) -> tuple[tf.types.experimental.ConcreteFunction, Facts]:
    """Load a SavedModel.

    Args:
        path: the folder of the SavedModel.

    Returns:
        The signature for float32 pictures in [0, 1], which keeps its weights alive, and the facts of the model.

    Raises:
        UserError: if the SavedModel cannot be read or is not one of kgan's.
    """
    try:
        loaded = tf.saved_model.load(str(path))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{path}: cannot be read as a SavedModel ({first_line(error)})") from None
    function = saved_model.float_function(loaded)
    if function is None:
        raise UserError(f"{path}: is a SavedModel that kgan did not write; it should have an output named stylized")
    function.owner = loaded  # the variables exist as long as this object
    return function, saved_model.read_facts(path, loaded)


def _graph(function: Callable[..., dict[str, tf.Tensor]]) -> Run:
    return lambda inputs: function(**{k: tf.constant(v) for k, v in inputs.items()})["stylized"].numpy()


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


def load_generator(run: str | os.PathLike) -> tuple[keras.Model, TrainConfig]:
    """Load the generator of a run, from its newest checkpoint or else from its saved_model/.

    Args:
        run: a run folder or the name of a shipped model.

    Returns:
        The generator, with the averaged weights that are exported, and the settings of the run.

    Raises:
        UserError: if there is no such run, or it has neither a checkpoint nor a SavedModel.
    """
    from kgan.assembly import build_generator

    source = resolve_run(run)
    run, config = source.path, cast(TrainConfig, source.config)
    generator = build_generator(config)
    checkpoints = found_in(run / "checkpoints")
    if checkpoints:
        restore_newest(generator, checkpoints)
    elif (run / "saved_model" / "saved_model.pb").is_file():
        _copy_weights(generator, run / "saved_model")
    else:
        raise UserError(
            f"{run}: holds no checkpoint yet; train it first, or go on with {call('train', run=run, resume=True)}"
        )
    return generator, config


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
        tracking.checkpoint(gan=gan).restore(str(checkpoint)).expect_partial().assert_existing_objects_matched()
    except Exception as error:  # TensorFlow raises IndexError, RuntimeError and many others
        raise UserError(f"{checkpoint}: is broken or does not fit the settings ({first_line(error)})") from None


def _copy_weights(generator: keras.Model, folder: pathlib.Path) -> None:
    saved = tf.saved_model.load(str(folder)).weights
    for variable, value in zip(generator.variables, saved, strict=True):
        variable.assign(tf.cast(value, variable.dtype))
