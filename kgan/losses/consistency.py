"""Losses that compare pictures pixel by pixel. Pictures are [N, H, W, C] in [-1, 1], losses float32 scalars."""

from keras import ops

from kgan.kinds import TERMS
from kgan.precision import precise


@TERMS.add("pixel", help="L1 distance to the reference", inputs=("reference", "fake"))
def pixel_loss(expected, got):
    """E|expected - got|, the L1 distance, which gives sharper pictures than L2.

    Args:
        expected: pictures [N, H, W, C].
        got: pictures [N, H, W, C].

    Returns:
        A float32 scalar.

    Reference: [pix2pix](https://arxiv.org/abs/1611.07004).
    """
    return ops.mean(ops.abs(precise(expected) - precise(got)))


@TERMS.add("cycle", help="L1 distance after both generators (two_way)", inputs=("content", "cycled"))
def cycle_loss(content, cycled):
    """L1 distance of a picture to its translation to the style and back: F(G(x)) should be x.

    Args:
        content: pictures [N, H, W, C].
        cycled: the pictures after both generators, [N, H, W, C].

    Returns:
        A float32 scalar.

    Reference: [CycleGAN](https://arxiv.org/abs/1703.10593).
    """
    return pixel_loss(content, cycled)


@TERMS.add("identity", help="L1 distance of a restyled style picture to itself", inputs=("style", "identity"))
def identity_loss(style, identity):
    """L1 distance of a style picture to its stylized version: G(y) should be y.

    Args:
        style: style pictures [N, H, W, C].
        identity: restyled style pictures [N, H, W, C].

    Returns:
        A float32 scalar.

    Reference: section 5.2 of [CycleGAN](https://arxiv.org/abs/1703.10593).
    """
    return pixel_loss(style, identity)


@TERMS.add(
    "equivariance",
    help="L1 distance of a shifted result to the result of the shifted content",
    inputs=("shift_of_fake", "fake_of_shift"),
)
def equivariance_loss(expected, got):
    """L1 distance of T(G(x)) to G(T(x)), where T shifts by 1 to 3 whole pixels and adds noise to the content.

    A generator with strides draws another picture for each phase of its grid, so that stylized films flicker. This term
    makes the phases equal. It is not squared, so that its gradient does not vanish with the difference.

    Args:
        expected: shifted stylized pictures [N, H, W, C].
        got: stylized pictures of the shifted content [N, H, W, C].

    Returns:
        A float32 scalar.

    Reference: compound regularization, [Wang et al.](https://daooshee.github.io/CompoundVST/).
    """
    return pixel_loss(expected, got)


@TERMS.add(
    "stability",
    help="the same under smooth warps, shifts, light changes and noise",
    inputs=("warp_of_fake", "fake_of_warp"),
)
def stability_loss(expected, got):
    """L1 distance of W(G(x)) to G(T(x)), where T is the warp W with another light and noise.

    It makes films steady without films to train on.

    Args:
        expected: warped stylized pictures [N, H, W, C].
        got: stylized pictures of the disturbed content [N, H, W, C].

    Returns:
        A float32 scalar.

    References:
        - Compound regularization, [Wang et al.](https://daooshee.github.io/CompoundVST/).
        - Temporal consistency, [Ruder et al.](https://arxiv.org/abs/1604.08610).
    """
    return pixel_loss(expected, got)


@TERMS.add("total_variation", help="differences between neighbouring pixels", inputs=("fake",))
def total_variation_loss(pictures):
    """E|difference to the pixel below| + E|difference to the pixel to the right|.

    Args:
        pictures: [N, H, W, C].

    Returns:
        A float32 scalar; 0 for flat pictures.

    Reference: [Rudin et al.](https://doi.org/10.1016/0167-2789(92)90242-F), the anisotropic form.
    """
    pictures = precise(pictures)
    down = ops.abs(pictures[:, 1:] - pictures[:, :-1])
    right = ops.abs(pictures[:, :, 1:] - pictures[:, :, :-1])
    return ops.mean(down) + ops.mean(right)


@TERMS.add(
    "smoothness",
    help="patches of colour where the reference is even",
    inputs=("reference_crop", "fake_crop"),
)
def smoothness_loss(content, got, cell: int = 8, slope: float = 10.0):
    """E[|step of `got`| * exp(-slope * |step of `content`|)] between the mean colours of neighbouring cells.

    It is large if a flat area has patches that the content does not have. Patterns finer than a cell, such as brush
    strokes, have no cost. Steps at edges of the content have a lower cost: a third for a step of 0.1, with pictures in
    [-1, 1] and a `slope` of 10. Steps down and to the right are added.

    Args:
        content: pictures [N, H, W, C].
        got: stylized pictures [N, H, W, C].
        cell: side of a cell in pixels. It is at most half of the picture.
        slope: how fast the cost decreases with the step of the content.

    Returns:
        A float32 scalar; 0 for flat pictures.

    Reference: edge-aware smoothness of disparities, [Godard et al.](https://arxiv.org/abs/1609.03677), on means.
    """
    cell = min(cell, *(side // 2 for side in content.shape[1:3]))
    content, got = (ops.average_pool(precise(each), cell) for each in (content, got))
    total = 0.0
    for axis in (1, 2):
        edges = ops.mean(ops.abs(ops.diff(content, axis=axis)), axis=-1, keepdims=True)
        total += ops.mean(ops.abs(ops.diff(got, axis=axis)) * ops.exp(-slope * edges))
    return total


@TERMS.add(
    "fine_smoothness",
    help="the same for single pixels: grain and nets where the reference is even",
    inputs=("reference_crop", "fake_crop"),
)
def fine_smoothness_loss(content, got):
    """`smoothness_loss` of pixels instead of cells.

    It is large if an even sky or a blurred ground has a fine pattern. Broad strokes have a lower cost, because they
    have fewer edges.

    Args:
        content: pictures [N, H, W, C].
        got: stylized pictures [N, H, W, C].

    Returns:
        A float32 scalar; 0 for flat pictures.

    Reference: edge-aware smoothness, as in `smoothness_loss`.
    """
    return smoothness_loss(content, got, cell=1)
