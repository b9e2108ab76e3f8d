"""Adversarial losses in pairs, discriminator's and generator's: logits of any shape -> float32 scalar.

Plain names of losses follow the papers. The pairs at the end are the rows of `kgan.kinds.ADVERSARIAL`.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf
from keras import ops

from kgan.kinds import ADVERSARIAL, TERMS
from kgan.precision import precise


def cross_entropy_discriminator_loss(real_logits, fake_logits):
    """E[-log p(x)] + E[-log(1 - p(G))], p = sigmoid of the logits.

    Reference: [GAN](https://arxiv.org/abs/1406.2661).
    """
    return _mean(ops.softplus(-precise(real_logits))) + _mean(ops.softplus(precise(fake_logits)))


def cross_entropy_generator_loss(fake_logits):
    """E[-log p(G)]: the non-saturating form, whose gradient does not vanish while the discriminator wins."""
    return _mean(ops.softplus(-precise(fake_logits)))  # -log(sigmoid(x)), finite for large |x|


def least_squares_discriminator_loss(real_logits, fake_logits):
    """0.5 * (E[(D(x) - 1)^2] + E[D(G)^2]).

    Reference: [LSGAN](https://arxiv.org/abs/1611.04076).
    """
    return 0.5 * (_mean(ops.square(precise(real_logits) - 1.0)) + _mean(ops.square(precise(fake_logits))))


def least_squares_generator_loss(fake_logits):
    """E[(D(G) - 1)^2], without the 0.5 of LSGAN, as in CycleGAN, whose other weights are relative to it."""
    return _mean(ops.square(precise(fake_logits) - 1.0))


def hinge_discriminator_loss(real_logits, fake_logits):
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G))].

    Reference: [Geometric GAN](https://arxiv.org/abs/1705.02894).
    """
    return _mean(ops.relu(1.0 - precise(real_logits))) + _mean(ops.relu(1.0 + precise(fake_logits)))


def wasserstein_discriminator_loss(real_logits, fake_logits):
    """E[D(G)] - E[D(x)]; no floor: needs `gradient_penalty` or spectral norm.

    Reference: [Wasserstein GAN](https://arxiv.org/abs/1701.07875).
    """
    return _mean(precise(fake_logits)) - _mean(precise(real_logits))


def wasserstein_generator_loss(fake_logits):
    """-E[D(G)]; the generator's side of the hinge loss too."""
    return -_mean(precise(fake_logits))


def article_discriminator_loss(real_logits, fake_logits, discriminator_weight=1.0, wasserstein_weight=1.0):
    """D_weight * E[softplus(-D(x))] + LAMBDA * (E[D(G)] - E[D(x)]).

    Cross entropy on real pictures, Wasserstein between stylized and real ones; no floor: needs spectral norm.
    """
    cross_entropy = _mean(ops.softplus(-precise(real_logits)))
    wasserstein = wasserstein_discriminator_loss(real_logits, fake_logits)
    return discriminator_weight * cross_entropy + wasserstein_weight * wasserstein


def gradient_penalty(discriminator: Callable, real, fake, epsilon):
    """E[(|grad D(mix)| - 1)^2] at mix = epsilon * real + (1 - epsilon) * fake; pictures [N, H, W, C].

    A picture's D is the mean of its logits, over patches and then over scales. The discriminator must judge each
    picture by itself: under batch norm the gradient of one picture's logits would reach the others.

    Args:
        discriminator: called with `(pictures, training=True)`; gives logits or a list of them.
        epsilon: uniform in [0, 1], one number a picture: [N] or [N, 1, 1, 1].

    Reference: [WGAN-GP](https://arxiv.org/abs/1704.00028).
    """
    real, fake = precise(real), precise(fake)
    epsilon = ops.reshape(ops.cast(epsilon, real.dtype), (-1, 1, 1, 1))
    mixed = epsilon * real + (1.0 - epsilon) * fake
    with tf.GradientTape() as tape:
        tape.watch(mixed)
        scores = _scores(discriminator(mixed, training=True))  # [N]
    gradients = tape.gradient(scores, mixed)
    # 1e-12 under the root: its slope at a gradient of exactly zero would be infinite.
    norms = ops.sqrt(ops.sum(ops.square(gradients), axis=(1, 2, 3)) + 1e-12)
    return _mean(ops.square(norms - 1.0))


def over_scales(loss: Callable) -> Callable:
    """`loss` for discriminators with several scales: takes lists of logits, gives the mean over the scales."""

    def averaged(*logits_of_scales, **weights):
        scales = zip(*map(_as_list, logits_of_scales), strict=True)
        return _mean(ops.stack([loss(*logits, **weights) for logits in scales]))

    return averaged


@TERMS.add(
    "adversarial", help="the discriminator's verdict on the stylized picture", inputs=("adversarial", "fake_logits")
)
def adversarial_term(loss: Callable, fake_logits: list):
    """The generator's `loss` of the logits, averaged over the discriminator's scales."""
    return over_scales(loss)(fake_logits)


@dataclasses.dataclass(frozen=True)
class AdversarialLoss:
    """A pair of functions of logits -> float32 scalars.

    Args:
        discriminator: function of (real_logits, fake_logits, **weights).
        generator: function of fake_logits.
        gradient_penalty: whether the discriminator's loss needs `gradient_penalty` beside it.
        weights: names of the weights that `discriminator` takes.
    """

    discriminator: Callable
    generator: Callable
    gradient_penalty: bool = False
    weights: tuple[str, ...] = ()


@ADVERSARIAL.add(help="cross entropy, the non-saturating form")
def cross_entropy() -> AdversarialLoss:
    """The pair of the first GAN."""
    return AdversarialLoss(cross_entropy_discriminator_loss, cross_entropy_generator_loss)


@ADVERSARIAL.add(help="least squares, as in CycleGAN")
def least_squares() -> AdversarialLoss:
    """The pair of LSGAN."""
    return AdversarialLoss(least_squares_discriminator_loss, least_squares_generator_loss)


@ADVERSARIAL.add(help="hinge", floor=False)
def hinge() -> AdversarialLoss:
    """The pair of Geometric GAN."""
    return AdversarialLoss(hinge_discriminator_loss, wasserstein_generator_loss)


@ADVERSARIAL.add(help="Wasserstein with gradient penalty", floor=False, gradient_penalty=True)
def wasserstein() -> AdversarialLoss:
    """The pair of WGAN. Add `gradient_penalty` to the discriminator's loss."""
    return AdversarialLoss(wasserstein_discriminator_loss, wasserstein_generator_loss)


@ADVERSARIAL.add(
    help="the article's: cross entropy on real pictures and Wasserstein",
    floor=False,
    weights=("discriminator_weight", "wasserstein_weight"),
)
def article() -> AdversarialLoss:
    """The source article's pair."""
    return AdversarialLoss(article_discriminator_loss, cross_entropy_generator_loss)


def _mean(values):
    return ops.mean(values)


def _as_list(logits) -> list:
    return list(logits) if isinstance(logits, list | tuple) else [logits]


def _scores(logits):
    """The mean logit of each picture, over patches and then over scales: [N]."""
    scales = [ops.mean(ops.reshape(precise(x), (x.shape[0] or -1, -1)), axis=1) for x in _as_list(logits)]
    return ops.mean(ops.stack(scales), axis=0)
