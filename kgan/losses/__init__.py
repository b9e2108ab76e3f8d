"""Losses: pure functions of tensors -> float32 scalars, means over all elements. Pictures are in [-1, 1].

Of tensors in float64 they are in float64.
"""

from kgan.losses.adversarial import ADVERSARIAL, AdversarialLoss, gradient_penalty, over_scales
from kgan.losses.consistency import cycle_loss, identity_loss, pixel_loss, smoothness_loss, total_variation_loss
from kgan.losses.contrastive import patch_nce
from kgan.losses.mmd import mmd
from kgan.losses.perceptual import feature_loss, gram_loss, gram_matrix, mean_gram, ssim_loss

__all__ = [
    "ADVERSARIAL",
    "AdversarialLoss",
    "cycle_loss",
    "feature_loss",
    "gradient_penalty",
    "gram_loss",
    "gram_matrix",
    "identity_loss",
    "mean_gram",
    "mmd",
    "over_scales",
    "patch_nce",
    "pixel_loss",
    "smoothness_loss",
    "ssim_loss",
    "total_variation_loss",
]
