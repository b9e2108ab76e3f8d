"""Loads a trained model as the teacher of a smaller one.

A teacher can see flattened pictures and paint in several passes, from coarse to fine. A student needs one pass for it.
"""

import functools
import itertools
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kgan.errors import UserError
from kgan.gan import replicas
from kgan.images import pictures as arrays
from kgan.inference.flattening import flatten
from kgan.inference.loading import check_generator, float_function, load, load_generator
from kgan.inference.model import shares_of_size
from kgan.inference.operations import GRAPH
from kgan.inference.stylist import Facts, Stylist
from kgan.precision import POLICIES
from kgan.runs.models import ModelSource, resolve_model
from kgan.runs.places import TEACHERS, teachers
from kgan.runs.settings import TrainConfig
from kgan.runs.trust import require

Teacher = Callable[[tf.Tensor], tf.Tensor]
"""A function from content to stylized pictures, both [N, S, S, C] in [-1, 1] with a static S. It is not trained."""


def load_teacher(config: TrainConfig) -> Teacher:
    """Load the models of --distill-from and --distill-also. Call it inside the scope of the strategy.

    The generator of a run folder computes in the precision of the student, a SavedModel in float32.

    Args:
        config: the settings of the student.

    Returns:
        The teacher. It returns the mean of both models' pictures, of flattened pictures and with broader strokes if the
        settings say so.

    Raises:
        UserError: if there is no such model, it takes noise or has other channels, or it is a SavedModel and there are
            several devices.
    """
    loaded = [_load(flag, source, config) for flag, source in check_teachers(config).items()]
    return _flattened(_mean(loaded), config.distill_flatten)


def picture_teacher(config: TrainConfig) -> Callable[[np.ndarray, int], np.ndarray]:
    """The same for single pictures of any size, which makes the truths of scores.

    Args:
        config: the settings of the student.

    Returns:
        A function from uint8 [H, W, C] and the seed of the noise to the stylized picture, of the same shape.

    Raises:
        UserError: if there is no such model.
    """
    models = [load(word) for word in teachers(config)]

    def teach(picture: np.ndarray, seed: int = 0) -> np.ndarray:
        flat = flatten(arrays.to_float(picture[np.newaxis]), config.distill_flatten).numpy()
        made = [model(flat, seed, config.distill_strokes) for model in models]
        return arrays.to_uint8(np.mean(made, axis=0))[0]

    return teach


def check_teachers(config: TrainConfig) -> dict[str, ModelSource]:
    """Find the models of --distill-from and --distill-also, and check whether they may be loaded, before any work.

    Args:
        config: the settings of the student.

    Returns:
        The models by their options. Empty for a recipe without a teacher.

    Raises:
        UserError: if there is no such model, or it is a program that is not trusted.
    """
    flags = {f"--{name.replace('_', '-')}": word for name in TEACHERS if (word := getattr(config, name))}
    return {flag: _checked(flag, word) for flag, word in flags.items()}


def _checked(flag: str, word: str) -> ModelSource:
    try:
        source = resolve_model(word)
        if source.is_run:
            check_generator(source.path)
        else:
            require(source.path / GRAPH, "is a SavedModel")
    except UserError as error:
        raise UserError(f"{flag} {error}") from None
    return source


def _load(flag: str, source: ModelSource, config: TrainConfig) -> Teacher:
    path = source.path
    if not source.is_run and replicas.count() > 1:  # the variables of its graph are on one device
        raise UserError(f"{flag} {path}: a SavedModel teaches on one device; give a run folder, or --devices 1")
    teacher, facts = (_from_run if source.is_run else _from_saved_model)(path, config)
    if not facts.takes_content or facts.noise_channels:
        raise UserError(f"{flag} {path}: draws noise; a teacher should make one picture of each content")
    if facts.channels != config.channels:
        raise UserError(f"{flag} {path}: has {facts.channels} channels; give --channels {facts.channels}")
    return teacher


def _from_run(path: pathlib.Path, config: TrainConfig) -> tuple[Teacher, Facts]:
    trained, _ = load_generator(path)
    generator = type(trained).from_config({**trained.get_config(), "dtype": POLICIES[config.precision]})
    generator.build((None, None, None, trained.input_channels))
    generator.set_weights(trained.get_weights())
    if config.size % generator.stride or config.size < generator.minimum_size:
        raise UserError(
            f"--size {config.size} should be a multiple of the teacher's stride, at least {generator.minimum_size}. "
            f"{path} has stride {generator.stride}"
        )
    teach = _in_passes(functools.partial(generator, training=False), config, generator.stride, generator.minimum_size)
    return teach, Stylist(generator).facts


def _from_saved_model(path: pathlib.Path, config: TrainConfig) -> tuple[Teacher, Facts]:
    function, facts = float_function(path)

    def teach(content):
        made = function(image=tf.cast(content, tf.float32) * 0.5 + 0.5)["stylized"]
        return tf.cast(tf.ensure_shape(made, content.shape) * 2.0 - 1.0, content.dtype)

    return _in_passes(teach, config, stride=1, least=1), facts


def _in_passes(teacher: Teacher, config: TrainConfig, stride: int, least: int) -> Teacher:
    """Restyle from coarse to fine, as `kgan.inference.model.Model` does it for `strokes`.

    The sides of smaller pictures are rounded to multiples of the stride, since nothing is mirrored around the crops.
    """
    shares = shares_of_size(config.distill_strokes)
    sides = [max(least, round(share * config.size / stride) * stride) for share in shares]
    scales = [_scale(side, new) for side, new in itertools.pairwise([config.size, *sides])]

    def teach(content):
        made = content
        for scale in scales:
            made = teacher(_scaled(made, scale))
        return made

    return teach


def _scale(side: int, new: int) -> np.ndarray | None:
    """The weights [new, side] of a resize with Lanczos, or None if nothing changes. XLA has no operation for it."""
    if side == new:
        return None
    return tf.image.resize(tf.eye(side)[..., tf.newaxis], [new, side], "lanczos3", antialias=True)[..., 0].numpy()


def _scaled(pictures: tf.Tensor, weights: np.ndarray | None) -> tf.Tensor:
    """Resize square pictures [N, S, S, C] in [-1, 1] along both axes."""
    if weights is None:
        return pictures
    scale = tf.cast(weights, pictures.dtype)
    return tf.clip_by_value(tf.einsum("ah,bw,nhwc->nabc", scale, scale, pictures), -1.0, 1.0)


def _mean(teachers: list[Teacher]) -> Teacher:
    if len(teachers) == 1:
        return teachers[0]
    return lambda content: tf.add_n([teach(content) for teach in teachers]) / len(teachers)


def _flattened(teacher: Teacher, amount: float) -> Teacher:
    if not amount:
        return teacher
    return lambda content: teacher(tf.cast(flatten(content * 0.5 + 0.5, amount) * 2.0 - 1.0, content.dtype))
