"""Contrastive losses between positions of a stylized picture and of its content."""

from collections.abc import Sequence

from keras import ops

from kgan.kinds import TERMS
from kgan.losses.adversarial import over_scales
from kgan.precision import precise


def patch_nce(queries, keys, temperature: float = 0.07):
    """E[-log softmax(q . k / temperature)] at the key of the same position as the query.

    A position of the stylized picture should be more similar to the same position of its content than to the other
    P - 1 positions. Stop the gradient of `keys`, as the authors do, because the stylized picture should move towards
    the content.

    Args:
        queries: unit vectors for P positions of N pictures, [N, P, D].
        keys: unit vectors for the same positions, [N, P, D].
        temperature: a lower one gives more weight to the most similar wrong positions.

    Returns:
        A float32 scalar: log(P) if all positions are equal, and near 0 if each position differs from the others.

    Reference: [Contrastive unpaired translation](https://arxiv.org/abs/2007.15651), after
    [InfoNCE](https://arxiv.org/abs/1807.03748).
    """
    queries, keys = precise(queries), precise(keys)
    logits = ops.einsum("npd,nqd->npq", queries, keys) / temperature  # [NPP], within each picture
    right = ops.sum(queries * keys, axis=-1) / temperature  # [NP], the diagonal
    return ops.mean(ops.logsumexp(logits, axis=-1) - right)


@TERMS.add(
    "nce", help="features of each position against other positions of the content (one_way)", inputs=("queries", "keys")
)
def contrastive_loss(queries: Sequence, keys: Sequence):
    """The mean of `patch_nce` over layers.

    Args:
        queries: a list of [N, P, D] by layer.
        keys: a list of [N, P, D] by layer.

    Returns:
        A float32 scalar.
    """
    return over_scales(patch_nce)(queries, keys)


@TERMS.add(
    "nce_identity",
    help="the same for a restyled style picture and the style picture (one_way)",
    inputs=("identity_queries", "identity_keys"),
)
def identity_contrastive_loss(queries: Sequence, keys: Sequence):
    """The `contrastive_loss` of restyled style pictures and the style pictures.

    Args:
        queries: a list of [N, P, D] by layer.
        keys: a list of [N, P, D] by layer.

    Returns:
        A float32 scalar.
    """
    return contrastive_loss(queries, keys)
