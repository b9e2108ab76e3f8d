"""Numbers of one picture, beside its content and its truth: what `kgan evaluate` reports and a training logs."""

import numpy as np

from kgan import metrics
from kgan.errors import UserError
from kgan.images.pictures import to_float, with_channels
from kgan.metrics import artefacts

PSNR_CAP = 100.0
"""dB given to equal pictures, whose PSNR is infinite: a mean must stay a number."""

Numbers = dict[str, float]
"""By the metric's name."""


def measured(picture: np.ndarray, content: np.ndarray | None, truth: np.ndarray | None, name: str) -> Numbers:
    """Every number of one picture [H, W, C] that needs no other pictures than its content and its truth."""
    if content is None:
        return artefacts.measured(picture, None)
    numbers = compared("content", picture, content, name)
    gray = [with_channels(to_float(side), 1)[None] for side in (picture, content)]
    numbers["content_structure"] = float(metrics.structure(*gray)[0])
    numbers |= artefacts.measured(picture, content)
    return numbers if truth is None else numbers | compared("truth", picture, truth, name)


def compared(kind: str, pictures: np.ndarray, reference: np.ndarray, name: str) -> Numbers:
    """{kind_ssim, kind_psnr, kind_mse} of two uint8 or float pictures [H, W, C]; UserError when sizes differ."""
    if pictures.shape != reference.shape:
        sizes = f"{pictures.shape[1]}x{pictures.shape[0]} and {reference.shape[1]}x{reference.shape[0]}"
        raise UserError(f"{name}: pairs should have equal sizes. Received: {sizes}; give --size to score them alike")
    if min(pictures.shape[:2]) < metrics.SSIM_WINDOW:
        raise UserError(f"{name}: should be at least {metrics.SSIM_WINDOW} pixels wide and high for SSIM; leave it out")
    a, b = to_float(pictures)[None], to_float(reference)[None]
    return {
        f"{kind}_ssim": float(metrics.ssim(a, b)[0]),
        f"{kind}_psnr": min(float(metrics.psnr(a, b)[0]), PSNR_CAP),
        f"{kind}_mse": float(metrics.mse(a, b)[0]),
    }
