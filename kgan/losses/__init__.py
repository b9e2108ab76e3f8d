"""Losses: pure functions from tensors to float32 scalars, which are means over all elements.

Pictures are in [-1, 1]. Losses of float64 tensors are float64.
"""

import dataclasses

from kgan import kinds
from kgan.losses.adversarial import AdversarialLoss, gradient_penalty, over_scales
from kgan.losses.consistency import (
    cycle_loss,
    equivariance_loss,
    fine_smoothness_loss,
    identity_loss,
    pixel_loss,
    smoothness_loss,
    stability_loss,
    total_variation_loss,
)
from kgan.losses.contrastive import contrastive_loss, identity_contrastive_loss, patch_nce
from kgan.losses.hypercolumns import earth_mover_loss, hypercolumns, self_similarity_loss
from kgan.losses.mmd import mmd
from kgan.losses.orientation import orientation_loss
from kgan.losses.palette import Palette, blown_loss, highlights_loss, moved, palette_loss, palette_of, transport_map
from kgan.losses.perceptual import (
    deep_feature_loss,
    feature_loss,
    gram_loss,
    gram_matrix,
    mean_gram,
    relative_gram_loss,
    ssim_loss,
)

__all__ = [
    "AdversarialLoss",
    "Palette",
    "adversarial_loss",
    "blown_loss",
    "contrastive_loss",
    "cycle_loss",
    "deep_feature_loss",
    "earth_mover_loss",
    "equivariance_loss",
    "feature_loss",
    "fine_smoothness_loss",
    "gradient_penalty",
    "gram_loss",
    "gram_matrix",
    "highlights_loss",
    "hypercolumns",
    "identity_contrastive_loss",
    "identity_loss",
    "mean_gram",
    "mmd",
    "moved",
    "orientation_loss",
    "over_scales",
    "palette_loss",
    "palette_of",
    "patch_nce",
    "pixel_loss",
    "relative_gram_loss",
    "self_similarity_loss",
    "smoothness_loss",
    "ssim_loss",
    "stability_loss",
    "total_variation_loss",
    "transport_map",
]


def adversarial_loss(loss: str | tuple | AdversarialLoss) -> AdversarialLoss:
    """Make a pair of adversarial losses.

    Args:
        loss: a name in `kgan.kinds.ADVERSARIAL`, a pair of functions (discriminator's, generator's), or an
            `AdversarialLoss`.

    Returns:
        The pair.

    Raises:
        ValueError: if the name is unknown or the argument is not a pair.

    Example:

    >>> import numpy as np
    >>> float(adversarial_loss("hinge").generator(np.array([1.0, 3.0])))
    -2.0
    """
    if isinstance(loss, str):
        if loss not in kinds.ADVERSARIAL:
            known = ", ".join(kinds.ADVERSARIAL)
            raise ValueError(f"`adversarial` should be one of {known}, or a pair of functions. Received: {loss}")
        row = kinds.ADVERSARIAL[loss]
        return dataclasses.replace(row.load()(), gradient_penalty=row.gradient_penalty, weights=row.weights)
    if isinstance(loss, AdversarialLoss):
        return loss
    try:
        discriminator, generator = loss
    except TypeError:
        raise ValueError(f"`adversarial` should be a name or a pair of functions. Received: {loss!r}") from None
    return AdversarialLoss(discriminator, generator)
