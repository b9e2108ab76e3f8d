"""The feature networks that score, and those that a model was trained on: a model is judged by one it never saw."""

from collections.abc import Iterable

from kgan.errors import UserError
from kgan.kinds import TERMS
from kgan.runs import recipes
from kgan.runs.models import ModelSource, resolve_model
from kgan.runs.places import teachers
from kgan.runs.settings import TrainConfig

NETWORKS = ("mobilenet", "vgg16")
"""The packaged feature networks, on which sets of pictures are compared."""


def chosen(names: str | Iterable[str]) -> tuple[str, ...]:
    """Check the names of the networks that score. Raises UserError for one on which nothing is measured."""
    names = tuple(dict.fromkeys([names] if isinstance(names, str) else names))
    for name in names:
        if name not in NETWORKS:
            raise UserError(f"--networks {name}: scores are on {' and '.join(NETWORKS)} alone")
    if not names:
        raise UserError(f"--networks: should name one or several of {', '.join(NETWORKS)}")
    return names


def trained_on(source: ModelSource | None) -> list[str] | None:
    """The feature networks that trained a model: in its loss terms, its projected discriminator, or its teacher's.

    Args:
        source: the model, or None for finished pictures.

    Returns:
        The names, sorted, or None if the model does not tell.
    """
    if source is None or source.config is None:
        return None
    try:
        return sorted(_of(source.config))
    except UserError:  # a recipe of another package, which is not installed here
        return None


def _of(config: TrainConfig) -> set[str]:
    recipe = recipes.find(config.recipe)
    needs = [TERMS[term].requires for term in recipes.term_weights(config, recipe)]
    found = {config.features} if any("features" in each for each in needs) else set()
    if config.discriminator == "projected" and recipe.discriminator:
        found |= set((getattr(config, "discriminator_features", None) or config.features).split(","))
    return found.union(*map(_of_teacher, teachers(config)))


def _of_teacher(word: str) -> set[str]:
    """The networks of the teacher, if it is still there. A word of a config.json fetches nothing from the hub."""
    try:
        return set(trained_on(resolve_model(word, online=False)) or ())
    except UserError:
        return set()


def unseen(networks: Iterable[str], seen: list[str] | None) -> list[str]:
    """The networks whose numbers count most: those that the model was not trained on.

    Args:
        networks: names of the networks that score.
        seen: the result of `trained_on`.

    Returns:
        The names. Empty if the model does not tell which networks trained it.
    """
    return [name for name in networks if seen is not None and name not in seen]
