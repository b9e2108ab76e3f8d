"""The weighted terms of the generator's loss."""

import functools
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
        named = [(_name(term), term, weight) for term, weight in self.given.items() if _checked(term, weight)]
        self.weights = {name: weight for name, _, weight in named}
        if len(self.weights) < len(named):
            raise ValueError(f"`terms` should have one weight for each name. Received: {[name for name, *_ in named]}")
        self._functions = {name: _function(term) for name, term, _ in named}
        rows = [_row(term) for _, term, _ in named]
        self.requires = {need for row in rows if row for need in row.requires}
        self.inputs = {name for row in rows if row for name in row.inputs}
        self.mix_pictures = any(row.mixes_pictures for row in rows if row)

    def __call__(self, inputs: LossInputs) -> dict[str, tf.Tensor]:
        """The weighted terms, {"name_loss": scalar}. Raises ValueError if an own term gives no scalar."""
        dtype = tf.float64 if inputs.fake.dtype == tf.float64 else tf.float32
        found = {name: _scalar(name, self._functions[name](inputs), dtype) for name in self.weights}
        return {f"{name}_loss": self.weights[name] * value for name, value in found.items()}

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


def _name(term) -> str:
    """The name of a term: its own, that of its function, or for an object that can be called, that of its class."""
    if isinstance(term, str):
        return term
    function = term.func if isinstance(term, functools.partial) else term
    return getattr(function, "__name__", type(function).__name__)


def _scalar(name: str, value, dtype: tf.DType) -> tf.Tensor:
    if value is None:
        raise ValueError(f"Term {name} should give a scalar. Received: None")
    value = tf.convert_to_tensor(value)
    if value.shape.rank:
        raise ValueError(f"Term {name} should give a scalar, such as a mean. Received: shape {value.shape}")
    return tf.cast(value, dtype)


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
    if isinstance(weight, str):
        raise ValueError(f"`terms` should hold numbers as weights. Received: {weight!r} for {term}")
    if not 0 <= weight < float("inf"):
        raise ValueError(f"`terms` should hold weights of at least 0. Received: {weight} for {term}")
    return bool(weight)
