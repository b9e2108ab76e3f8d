"""The weighted terms of the generator's loss."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from kgan import kinds
from kgan.gan.loss_inputs import LossInputs
from kgan.gan.serialization import deserialized, serialized


class Terms:
    """The weighted terms of a generator's loss.

    Args:
        weights: {term: weight}. A term is a name in `kgan.kinds.TERMS` or a function from `LossInputs` to a scalar.
            Terms with weight 0 are left out.
        adversarial: whether to add "adversarial" with weight 1 if it has no weight.

    Attributes:
        weights: the weights by the name of the term.
        requires: requirements of the terms on the GAN.
        inputs: attributes of `LossInputs` that named terms read. Those of functions are unknown.
        mix_pictures: whether a term is not a mean over pictures.

    Raises:
        ValueError: if a name is unknown, two terms have the same name, or a weight is negative.
    """

    def __init__(self, weights: Mapping, adversarial: bool):
        self.given = dict(weights)
        if adversarial:
            self.given.setdefault("adversarial", 1.0)
        named = [(term if isinstance(term, str) else term.__name__, term, weight)
                 for term, weight in self.given.items() if _checked(term, weight)]  # fmt: skip
        self.weights = {name: weight for name, _, weight in named}
        if len(self.weights) < len(named):
            raise ValueError(f"`terms` should have one weight for each name. Received: {[name for name, *_ in named]}")
        self._functions = {name: _function(term) for name, term, _ in named}
        rows = [_row(term) for _, term, _ in named]
        self.requires = {need for row in rows if row for need in row.requires}
        self.inputs = {name for row in rows if row for name in row.inputs}
        self.mix_pictures = any(row.mixes_pictures for row in rows if row)

    def __call__(self, inputs: LossInputs) -> dict[str, tf.Tensor]:
        """The weighted terms, {"name_loss": scalar}."""
        return {f"{name}_loss": weight * self._functions[name](inputs) for name, weight in self.weights.items()}

    def check(self, provided: set[str]) -> None:
        """Raise ValueError for a term with a requirement that is not in `provided`."""
        for row in map(_row, self.given):
            if row and self.given[row.name] and (lacking := sorted(row.requires - provided)):
                raise ValueError(f"Term {row.name} requires {', '.join(lacking)}, which this GAN does not have.")

    def get_config(self) -> list:
        """The terms as [[name or serialized function, weight], ...]."""
        return [[serialized(term), weight] for term, weight in self.given.items()]


def from_config(config: list) -> dict:
    """The argument `weights` from the result of `Terms.get_config()`."""
    return {deserialized(term): weight for term, weight in config}


def _function(term) -> Callable[[LossInputs], tf.Tensor]:
    row = _row(term)
    if row is None:
        return term
    function = row.load()
    return lambda inputs: function(*(getattr(inputs, name) for name in row.inputs))


def _row(term) -> kinds.Term | None:
    """The row of a named term, or None for a function."""
    if not isinstance(term, str):
        return None
    if term not in kinds.TERMS:
        known = ", ".join(kinds.TERMS)
        raise ValueError(f"`terms` should hold names of {known}, or functions of LossInputs. Received: {term}")
    return kinds.TERMS[term]


def _checked(term, weight: float) -> bool:
    """Whether the weight is not 0. Raises ValueError if the term or the weight is not valid."""
    if not (isinstance(term, str) or callable(term)):
        raise ValueError(f"`terms` should hold names, or functions of LossInputs. Received: {term!r}")
    if not 0 <= weight < float("inf"):
        raise ValueError(f"`terms` should hold weights of at least 0. Received: {weight} for {term}")
    return bool(weight)
