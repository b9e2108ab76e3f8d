"""Loads a trained model as the teacher of a smaller one."""

import pathlib
from collections.abc import Callable

import tensorflow as tf

from kgan.errors import UserError
from kgan.gan import replicas
from kgan.inference.loading import check_generator, float_function, load_generator
from kgan.inference.operations import GRAPH
from kgan.inference.stylist import Facts, Stylist
from kgan.precision import POLICIES
from kgan.runs.models import ModelSource, resolve_model
from kgan.runs.settings import TrainConfig
from kgan.runs.trust import require

Teacher = Callable[[tf.Tensor], tf.Tensor]
"""A function from content to stylized pictures, both [N, S, S, C] in [-1, 1] with a static S. It is not trained."""


def load_teacher(config: TrainConfig) -> Teacher:
    """Load the model of --distill-from. Call it inside the scope of the strategy.

    The generator of a run folder computes in the precision of the student, a SavedModel in float32.

    Args:
        config: the settings of the student.

    Returns:
        The teacher.

    Raises:
        UserError: if there is no such model, it takes noise or has other channels, or it is a SavedModel and there are
            several devices.
    """
    source = check_teacher(config)
    path = source.path
    if not source.is_run and replicas.count() > 1:  # the variables of its graph are on one device
        raise UserError(f"--distill-from {path}: a SavedModel teaches on one device; give a run folder, or --devices 1")
    teacher, facts = (_from_run if source.is_run else _from_saved_model)(path, config)
    if not facts.takes_content or facts.noise_channels:
        raise UserError(f"--distill-from {path}: draws noise; a teacher should make one picture of each content")
    if facts.channels != config.channels:
        raise UserError(f"--distill-from {path}: has {facts.channels} channels; give --channels {facts.channels}")
    return teacher


def check_teacher(config: TrainConfig) -> ModelSource:
    """Find the model of --distill-from, and check whether it may be loaded, before any work.

    Raises:
        UserError: if there is no such model, or it is a program that is not trusted.
    """
    try:
        source = resolve_model(str(config.distill_from))
        if source.is_run:
            check_generator(source.path)
        else:
            require(source.path / GRAPH, "is a SavedModel")
    except UserError as error:
        raise UserError(f"--distill-from {error}") from None
    return source


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
    return lambda content: generator(content, training=False), Stylist(generator).facts


def _from_saved_model(path: pathlib.Path, config: TrainConfig) -> tuple[Teacher, Facts]:
    function, facts = float_function(path)

    def teach(content):
        made = function(image=tf.cast(content, tf.float32) * 0.5 + 0.5)["stylized"]
        return tf.cast(tf.ensure_shape(made, content.shape) * 2.0 - 1.0, content.dtype)

    return teach, facts
