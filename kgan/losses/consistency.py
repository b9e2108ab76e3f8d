"""Losses that hold a picture to another one pixel by pixel, or to itself: [N, H, W, C] -> float32 scalar."""

from keras import ops

from kgan.precision import precise


def pixel_loss(expected, got):
    """E|expected - got|: the L1 distance, which blurs less than L2 (pix2pix, https://arxiv.org/abs/1611.07004)."""
    return ops.mean(ops.abs(precise(expected) - precise(got)))


def cycle_loss(content, cycled):
    """L1 between a picture and what comes back after both generators: F(G(x)) should be x.

    Reference: [CycleGAN](https://arxiv.org/abs/1703.10593).
    """
    return pixel_loss(content, cycled)


def identity_loss(style, same):
    """L1 between a picture that already has the style and its stylized version: G(y) should be y (CycleGAN, 5.2)."""
    return pixel_loss(style, same)


def total_variation_loss(pictures):
    """E|difference to the pixel below| + E|difference to the pixel to the right|; 0 for flat pictures.

    Reference: [Rudin et al.](https://doi.org/10.1016/0167-2789(92)90242-F), the anisotropic form.
    """
    pictures = precise(pictures)
    down = ops.abs(pictures[:, 1:] - pictures[:, :-1])
    right = ops.abs(pictures[:, :, 1:] - pictures[:, :, :-1])
    return ops.mean(down) + ops.mean(right)


def smoothness_loss(content, got, cell: int = 8, slope: float = 10.0):
    """E[|step of `got`| * exp(-slope * |step of `content`|)] between the mean colours of neighbouring cells.

    Large where a flat ground is cut into patches that the content does not have. Patterns finer than a cell, as brush
    strokes, cost nothing, nor do steps at the content's own edges: at a step of 0.1, in the range [-1, 1], `slope` 10
    leaves a third. Steps down and to the right are added up; 0 for flat pictures. A cell is `cell` pixels wide, or half
    of a smaller picture.

    Reference: edge-aware smoothness of disparities, [Godard et al.](https://arxiv.org/abs/1609.03677), on means.
    """
    cell = min(cell, *(side // 2 for side in content.shape[1:3]))
    content, got = (ops.average_pool(precise(each), cell) for each in (content, got))
    total = 0.0
    for axis in (1, 2):
        edges = ops.mean(ops.abs(ops.diff(content, axis=axis)), axis=-1, keepdims=True)
        total += ops.mean(ops.abs(ops.diff(got, axis=axis)) * ops.exp(-slope * edges))
    return total
