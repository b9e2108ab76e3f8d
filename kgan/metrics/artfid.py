"""ArtFID's form: one number for the style that is reached and the content that is kept."""

import numpy as np

from kgan.kinds import METRICS


@METRICS.add("artfid_mobilenet", label="ArtFID (MobileNet)", inputs=("content_distances", "frechet"),
             network="mobilenet", digits=2, better="less", least=1.0, place=140, admitted=False)  # fmt: skip
@METRICS.add("artfid_vgg16", label="ArtFID (VGG16)", inputs=("content_distances", "frechet"),
             network="vgg16", digits=2, better="less", least=1.0, place=141, admitted=False)  # fmt: skip
def artfid(content_distances: np.ndarray, frechet: float, counts: np.ndarray | None = None) -> float:
    """(1 + mean distance to the content) (1 + FID).

    The paper takes Inception's FID and LPIPS. Here both are computed from the same packaged network: `frechet_distance`
    of its pooled features, and `content_distance` of its maps, which is LPIPS without learned weights. With few
    pictures, the FID is far from 0, and untouched photos get a better number than their paintings. So reports leave it
    out.

    Args:
        content_distances: the distance of each picture to its content, [N].
        frechet: the FID of the pictures to the style pictures.
        counts: how often each picture is in the set, [N]. None means once.

    Returns:
        The number, at least 1.

    Reference: [Wright and Ommer, ArtFID](https://arxiv.org/abs/2207.12280), equation 3.

    Example:

    >>> artfid(np.array([0.0, 1.0]), 3.0)  # 1.5 * 4
    6.0
    """
    return float((1.0 + np.average(content_distances, weights=counts)) * (1.0 + frechet))
