"""A measure of blown pixels: light places that lost their colour and their detail."""

import numpy as np

from kgan.images.pictures import to_float, with_channels
from kgan.kinds import METRICS

WHITE = 243.0 / 255.0
"""A pixel is blown if all its channels are above this value."""


@METRICS.add(label="Blown (%)", inputs=("picture", "content"), better="less", scale=100.0, digits=1, place=250)
def blown(picture: np.ndarray, content: np.ndarray) -> float:
    """The share of blown pixels above that of the content, as in a sky that became white paper. Clean pictures: 0.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].
        content: the content picture of the same size.

    Returns:
        A number in [0, 1]; in tables, it is a percentage. A picture with fewer blown pixels than its content gives 0.

    Example:

    >>> blown(np.array([[[1.0], [0.5], [0.99], [0.2]]]), np.array([[[1.0], [0.5], [0.5], [0.2]]]))  # 2/4 - 1/4
    0.25
    """
    return max(0.0, _share(picture) - _share(content))


def _share(picture: np.ndarray) -> float:
    return float(np.mean(np.all(with_channels(to_float(picture), 3) > WHITE, axis=-1)))
