"""Losses that tell the one right answer from wrong ones."""

from keras import ops

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
