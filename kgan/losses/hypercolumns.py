"""Losses on single positions of pictures, each described by the feature maps of all layers (its hypercolumn).

Both come from style transfer by relaxed optimal transport and self-similarity ([Kolkin et al.](https://arxiv.org/abs/1904.12785)).
"""

from collections.abc import Sequence

from keras import ops

from kgan.kinds import TERMS
from kgan.precision import precise


def hypercolumns(maps: Sequence):
    """The features of all layers at the positions of the coarsest map, side by side.

    A position of a finer map is that in the middle of the coarse one. Positions between are left out, so pictures
    should be random crops.

    Args:
        maps: feature maps, a list of [N, H, W, C] by layer, from fine to coarse, with static sides.

    Returns:
        float32 [N, h, w, D], where h and w are the sides of the coarsest map and D is the sum of all C.

    Reference: [Hariharan et al.](https://arxiv.org/abs/1411.5752).
    """
    height, width = maps[-1].shape[1:3]
    return ops.concatenate([_thinned(precise(each), height, width) for each in maps], axis=-1)


def _thinned(maps, height: int, width: int):
    down, across = maps.shape[1] // height, maps.shape[2] // width
    return maps[:, down // 2 :: down, across // 2 :: across][:, :height, :width]


@TERMS.add(
    "earth_mover",
    help="distance of positions to the nearest ones of the style (relaxed earth mover's distance)",
    inputs=("style_columns", "fake_columns"),
    mixes_pictures=True,
)
def earth_mover_loss(style, got):
    """The relaxed earth mover's distance of two sets of positions, with the cosine distance between positions.

    It is the larger of two means: the distance of a position of the stylized pictures to the nearest one of the style,
    and the other way round. So no place may stay as it is if nothing in the style resembles it, and all of the style
    must be used somewhere in the batch.

    Args:
        style: features of positions of all style pictures of the batch, [M, D].
        got: the same of the stylized pictures, [P, D].

    Returns:
        A float32 scalar in [0, 2].

    Reference: [Kolkin et al.](https://arxiv.org/abs/1904.12785), after
    [Kusner et al.](https://proceedings.mlr.press/v37/kusnerb15.html).
    """
    distances = 1.0 - ops.matmul(_unit(got), ops.transpose(_unit(style)))
    return ops.maximum(ops.mean(ops.min(distances, axis=1)), ops.mean(ops.min(distances, axis=0)))


@TERMS.add(
    "self_similarity",
    help="how positions of a picture resemble each other, against the reference",
    inputs=("reference_features", "fake_features"),
)
def self_similarity_loss(expected: Sequence, got: Sequence):
    """Mean difference of how near each position is to each other one, in a stylized picture and in its reference.

    Distances are cosine distances, divided by their sum over all positions. Colours, lines and strokes are free, as
    long as what is alike in the reference is alike in the picture.

    Args:
        expected: feature maps, a list of [N, H, W, C] by layer, from fine to coarse, with static sides.
        got: feature maps of the same shapes.

    Returns:
        A float32 scalar in [0, 2].

    Reference: [Kolkin et al.](https://arxiv.org/abs/1904.12785).
    """
    before, after = _shares(hypercolumns(expected)), _shares(hypercolumns(got))
    return ops.mean(ops.sum(ops.abs(before - after), axis=1))


def _shares(columns):
    """The share of each position in the distances to another one, [N, P, P]. A column's sum is 1."""
    positions = columns.shape[1] * columns.shape[2]
    units = _unit(ops.reshape(columns, (-1, positions, columns.shape[3])))
    distances = ops.maximum(1.0 - ops.matmul(units, ops.transpose(units, (0, 2, 1))), 0.0)
    return distances / (ops.sum(distances, axis=1, keepdims=True) + 1e-6)


def _unit(columns):
    columns = precise(columns)
    return columns / ops.sqrt(ops.sum(ops.square(columns), axis=-1, keepdims=True) + 1e-12)
