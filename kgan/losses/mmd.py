"""Maximum mean discrepancy (MMD), a distance between the distributions of two samples."""

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
    """Squared MMD of two samples: E k(x, x') + E k(y, y') - 2 E k(x, y).

    k is the mean of Gaussian kernels exp(-|a - b|^2 / (2 s m)) over s in `scales`, where m is the mean squared distance
    between all rows of both samples, without gradient. So the kernels fit embeddings of any scale, and a network that
    is trained to maximise the MMD gains nothing by scaling its output.

    The biased form is at least 0 and finite for N = M = 1. The unbiased form leaves out the pairs of a row with itself,
    so that equal distributions give 0 on average.

    It needs memory for (N + M)^2 * D numbers. Differences are taken before they are squared, because
    |a|^2 + |b|^2 - 2ab is inexact, and can be negative, for near rows far from the origin.

    Args:
        real: embeddings [N, D].
        fake: embeddings [M, D].
        scales: scales of the kernels.
        unbiased: whether to compute the unbiased form.

    Returns:
        A float32 scalar.

    Raises:
        ValueError: if N or M is below 2 for the unbiased form.

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
    """The kernel of all pairs of rows [R, D]: [R, R] with 1 on the diagonal."""
    squared = ops.sum(ops.square(rows[:, None] - rows[None]), axis=-1)
    typical = ops.stop_gradient(ops.mean(squared)) + 1e-12  # avoids 0 / 0 for equal rows
    return ops.mean(ops.stack([ops.exp(-squared / (2.0 * scale * typical)) for scale in scales]), axis=0)


def _mean_within(kernel, unbiased: bool):
    """The mean over the pairs of one sample."""
    if not unbiased:
        return ops.mean(kernel)
    count = kernel.shape[0]
    return (ops.sum(kernel) - count) / (count * (count - 1.0))
