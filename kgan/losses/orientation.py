"""A loss on the direction of strokes. Pictures are in [-1, 1]."""

from keras import ops

from kgan.kinds import TERMS
from kgan.precision import precise

NOISE = 1 / 510
"""A quarter of a level of 255 in [-1, 1]. Steps between pixels that are much smaller than this have no direction."""


@TERMS.add(
    "orientation",
    help="strokes across the lines of the reference",
    inputs=("reference", "fake"),
)
def orientation_loss(expected, got, cell: int = 16):
    """How far strokes turn away from the lines of the content: 0 along them, 1 across, a half without strokes.

    The mean over cells of (|e| - e.g) / 2, where e and g are the orientations of content and result. So cells count as
    far as the content has one direction there.

    Args:
        expected: pictures [N, H, W, C].
        got: stylized pictures [N, H, W, C].
        cell: side of a cell in pixels. It is at most the picture's side less one.

    Returns:
        A float32 scalar in [0, 1].

    Reference: the edge tangent flow of [Kang et al.](https://doi.org/10.1145/1274871.1274878).
    """
    expected, got = (_orientation(precise(each), cell) for each in (expected, got))
    length = ops.sqrt(ops.sum(ops.square(expected), axis=-1) + 1e-12)  # the slope of the root is infinite at zero
    return ops.mean(length - ops.sum(expected * got, axis=-1)) / 2.0


def _orientation(pictures, cell: int):
    """The orientation of each cell, [N, h, w, 2]: the vector of twice the angle of its gradients.

    Its length is the share of gradients in that direction: 1 for parallel stripes, 0 for grain and flat areas. It is
    the difference of the structure tensor's eigenvalues over their sum.
    """
    light = ops.mean(pictures[..., :3], axis=-1, keepdims=True)
    down, right = light[:, 1:, :-1] - light[:, :-1, :-1], light[:, :-1, 1:] - light[:, :-1, :-1]
    products = ops.concatenate([right**2 - down**2, 2.0 * right * down, right**2 + down**2], axis=-1)
    tensor = ops.average_pool(products, min(cell, *products.shape[1:3]))
    return tensor[..., :2] / (tensor[..., 2:] + NOISE**2)
