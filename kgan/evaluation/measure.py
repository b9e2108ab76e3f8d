"""Measures a single picture. `kgan evaluate` and training use the same numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kgan.errors import UserError
from kgan.images.pictures import to_float
from kgan.kinds import Metric, metrics_in_order
from kgan.metrics import SSIM_WINDOW
from kgan.metrics.shifts import shifted_crops

Numbers = dict[str, float]
"""Numbers by the name of the metric."""


def measured(
    picture: np.ndarray,
    content: np.ndarray | None,
    truth: np.ndarray | None,
    name: str,
    restyle: Callable[[np.ndarray], np.ndarray] | None = None,
    tiles: Mapping[str, np.ndarray] | None = None,
) -> Numbers:
    """All metrics of a picture that need only the picture, its content, its truth and its model.

    Args:
        picture: uint8 or float in [0, 1], [H, W, C].
        content: the content picture. None for a real picture or one that was generated from noise.
        truth: the picture that it should become, or None if unknown.
        name: name of the picture in messages.
        restyle: the function that made the picture from the content, or None. It is called for shifted content.
        tiles: features of tiles by the names of inputs: "tiles", "content_tiles" and "reference_tiles", or None.

    Returns:
        The numbers.

    Raises:
        UserError: if the pictures differ in size, or are smaller than the window of SSIM.
    """
    pictures = {"picture": picture, "content": content, "truth": truth}
    given: dict[str, Any] = {key: to_float(value) for key, value in pictures.items() if value is not None}
    _check(given, name)
    if restyle is not None and content is not None:
        given["shifted"] = [to_float(restyle(crop)) for crop in shifted_crops(content)]
    given |= tiles or {}
    return {metric.name: _number(metric, given) for metric in metrics_in_order() if given.keys() >= set(metric.inputs)}


def _check(given: dict[str, np.ndarray], name: str) -> None:
    shapes = [picture.shape for picture in given.values()]
    other = next((shape for shape in shapes if shape != shapes[0]), None)
    if other:
        sizes = " and ".join(f"{shape[1]}x{shape[0]}" for shape in (shapes[0], other))
        raise UserError(f"{name}: pairs should have equal sizes. Received: {sizes}; give --size to score them alike")
    if len(given) > 1 and min(shapes[0][:2]) < SSIM_WINDOW:
        raise UserError(f"{name}: should be at least {SSIM_WINDOW} pixels wide and high for SSIM; leave it out")


def _number(metric: Metric, given: dict) -> float:
    inputs = [given[each] for each in metric.inputs] + [given.get(each) for each in metric.optional]
    return min(float(metric.load()(*inputs)), metric.most)
