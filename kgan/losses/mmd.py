"""Maximum mean discrepancy (MMD): a distance between the distributions of two samples."""

from collections.abc import Sequence

from keras import ops

from kgan.kinds import TERMS
from kgan.precision import precise

SCALES = (0.125, 0.25, 0.5, 1.0, 2.0)


@TERMS.add(
    "mmd",
    help="maximum mean discrepancy to the style pictures",
    inputs=("style_embeddings", "fake_embeddings"),
    mixes_pictures=True,
)
def mmd(real, fake, scales: Sequence[float] = SCALES, unbiased: bool = False):
    """Squared MMD of embeddings [N, D] and [M, D]: E k(x, x') + E k(y, y') - 2 E k(x, y) -> float32 scalar.

    k is the mean of Gaussian kernels exp(-|a - b|^2 / (2 s m)), s in `scales`, where m is the mean squared distance
    between all rows of both samples, taken as a constant: the kernels then fit embeddings of any size, and an R that
    is trained to maximise the MMD gains nothing by scaling its output.

    The biased form (default) is at least 0 and finite for N = M = 1. The unbiased one leaves out the pairs of a row
    with itself, so that equal distributions give 0 on average; it needs N, M >= 2.

    Memory: (N + M)^2 * D numbers; differences are taken before squaring, since |a|^2 + |b|^2 - 2ab is wrong, and can
    be negative, for near neighbours far from the origin.

    Reference: [A Kernel Two-Sample Test](https://jmlr.org/papers/v13/gretton12a.html).
    """
    real, fake = precise(real), precise(fake)
    count = real.shape[0]
    if unbiased and min(count, fake.shape[0]) < 2:
        raise ValueError(f"The unbiased MMD needs 2 rows of each. Received: {count} and {fake.shape[0]}")
    kernel = _kernel(ops.concatenate([real, fake]), scales)  # [N + M, N + M]
    within = _mean_within(kernel[:count, :count], unbiased) + _mean_within(kernel[count:, count:], unbiased)
    return within - 2.0 * ops.mean(kernel[:count, count:])


def _kernel(rows, scales):
    """[R, D] -> [R, R], 1 on the diagonal."""
    squared = ops.sum(ops.square(rows[:, None] - rows[None]), axis=-1)
    typical = ops.stop_gradient(ops.mean(squared)) + 1e-12  # all rows equal: 0 / 1e-12, not 0 / 0
    return ops.mean(ops.stack([ops.exp(-squared / (2.0 * scale * typical)) for scale in scales]), axis=0)


def _mean_within(kernel, unbiased: bool):
    """Mean over the pairs of one sample."""
    if not unbiased:
        return ops.mean(kernel)
    count = kernel.shape[0]
    return (ops.sum(kernel) - count) / (count * (count - 1.0))
