"""Contrastive losses: each place is told from the other places of its picture."""

from collections.abc import Sequence

from keras import ops

from kgan.kinds import TERMS
from kgan.losses.adversarial import over_scales
from kgan.precision import precise


def patch_nce(queries, keys, temperature: float = 0.07):
    """E[-log softmax(q . k / temperature) at the key of the query's own place]; [N, P, D] twice -> float32 scalar.

    A place of the stylized picture should be more like the same place of its content than like the other P - 1 places
    of the same picture. log(P) where all places look alike; towards 0 the better places are told apart.

    Stop the gradient at `keys`, as the authors do: the content is what the stylized picture is moved towards.

    Args:
        queries, keys: P places of N pictures as unit vectors, the same places in the same order.
        temperature: how much the nearest wrong places count above the others.

    Reference: [Contrastive unpaired translation](https://arxiv.org/abs/2007.15651), after
    [InfoNCE](https://arxiv.org/abs/1807.03748).
    """
    queries, keys = precise(queries), precise(keys)
    logits = ops.einsum("npd,nqd->npq", queries, keys) / temperature  # [NPP]: no place of another picture
    right = ops.sum(queries * keys, axis=-1) / temperature  # [NP], the diagonal
    return ops.mean(ops.logsumexp(logits, axis=-1) - right)


@TERMS.add(
    "nce", help="each place's features against other places of the content (one_way)", inputs=("queries", "keys")
)
def contrastive_loss(queries: Sequence, keys: Sequence):
    """The mean of `patch_nce` over the layers: two lists of [N, P, D] -> float32 scalar."""
    return over_scales(patch_nce)(queries, keys)


@TERMS.add(
    "nce_identity",
    help="the same of a restyled style picture against itself (one_way)",
    inputs=("identity_queries", "identity_keys"),
)
def identity_contrastive_loss(queries: Sequence, keys: Sequence):
    """`contrastive_loss` between style pictures and their restyled versions."""
    return contrastive_loss(queries, keys)
