"""Adversarial losses of discriminator and generator: functions from logits of any shape to float32 scalars.

The pairs at the end of this file are the rows of `kgan.kinds.ADVERSARIAL`.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf
from keras import ops

from kgan.kinds import ADVERSARIAL, TERMS
from kgan.precision import precise


def cross_entropy_discriminator_loss(real_logits, fake_logits):
    """E[-log p(x)] + E[-log(1 - p(G))], where p is the sigmoid of the logits.

    Args:
        real_logits: logits of real pictures, any shape.
        fake_logits: logits of stylized pictures, any shape.

    Returns:
        A float32 scalar.

    Reference: [GAN](https://arxiv.org/abs/1406.2661).
    """
    return _mean(ops.softplus(-precise(real_logits))) + _mean(ops.softplus(precise(fake_logits)))


def cross_entropy_generator_loss(fake_logits):
    """E[-log p(G)], the non-saturating form, whose gradient does not vanish when the discriminator is confident.

    Args:
        fake_logits: logits of stylized pictures, any shape.

    Returns:
        A float32 scalar.
    """
    return _mean(ops.softplus(-precise(fake_logits)))  # -log(sigmoid(x)), finite for large |x|


def least_squares_discriminator_loss(real_logits, fake_logits):
    """0.5 * (E[(D(x) - 1)^2] + E[D(G)^2]).

    Args:
        real_logits: logits of real pictures, any shape.
        fake_logits: logits of stylized pictures, any shape.

    Returns:
        A float32 scalar.

    Reference: [LSGAN](https://arxiv.org/abs/1611.04076).
    """
    return 0.5 * (_mean(ops.square(precise(real_logits) - 1.0)) + _mean(ops.square(precise(fake_logits))))


def least_squares_generator_loss(fake_logits):
    """E[(D(G) - 1)^2], without the 0.5 of LSGAN, as in CycleGAN, whose other weights are relative to it.

    Args:
        fake_logits: logits of stylized pictures, any shape.

    Returns:
        A float32 scalar.
    """
    return _mean(ops.square(precise(fake_logits) - 1.0))


def hinge_discriminator_loss(real_logits, fake_logits):
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G))].

    Args:
        real_logits: logits of real pictures, any shape.
        fake_logits: logits of stylized pictures, any shape.

    Returns:
        A float32 scalar.

    Reference: [Geometric GAN](https://arxiv.org/abs/1705.02894).
    """
    return _mean(ops.relu(1.0 - precise(real_logits))) + _mean(ops.relu(1.0 + precise(fake_logits)))


def wasserstein_discriminator_loss(real_logits, fake_logits):
    """E[D(G)] - E[D(x)]. It has no minimum, so it needs `gradient_penalty` or spectral norm.

    Args:
        real_logits: logits of real pictures, any shape.
        fake_logits: logits of stylized pictures, any shape.

    Returns:
        A float32 scalar.

    Reference: [Wasserstein GAN](https://arxiv.org/abs/1701.07875).
    """
    return _mean(precise(fake_logits)) - _mean(precise(real_logits))


def wasserstein_generator_loss(fake_logits):
    """-E[D(G)], which is also the generator's loss for the hinge loss.

    Args:
        fake_logits: logits of stylized pictures, any shape.

    Returns:
        A float32 scalar.
    """
    return -_mean(precise(fake_logits))


def article_discriminator_loss(real_logits, fake_logits, discriminator_weight=1.0, wasserstein_weight=1.0):
    """D_weight * E[softplus(-D(x))] + LAMBDA * (E[D(G)] - E[D(x)]).

    This is cross entropy on real pictures, and Wasserstein loss between stylized and real pictures. It has no minimum,
    so it needs spectral norm.

    Args:
        real_logits: logits of real pictures, any shape.
        fake_logits: logits of stylized pictures, any shape.
        discriminator_weight: D_weight.
        wasserstein_weight: LAMBDA.

    Returns:
        A float32 scalar.
    """
    cross_entropy = _mean(ops.softplus(-precise(real_logits)))
    wasserstein = wasserstein_discriminator_loss(real_logits, fake_logits)
    return discriminator_weight * cross_entropy + wasserstein_weight * wasserstein


def gradient_penalty(discriminator: Callable, real, fake, epsilon):
    """E[(|grad D(mix)| - 1)^2] at mix = epsilon * real + (1 - epsilon) * fake.

    D of a picture is the mean of its logits, over patches and then over scales. The discriminator must not use batch
    norm, because the gradient of one picture's logits would include the others.

    Args:
        discriminator: a function of `(pictures, training=True)` that returns logits or a list of logits.
        real: real pictures, [N, H, W, C] in [-1, 1].
        fake: stylized pictures, [N, H, W, C] in [-1, 1].
        epsilon: a uniform random number in [0, 1] for each picture, [N] or [N, 1, 1, 1].

    Returns:
        A float32 scalar.

    Reference: [WGAN-GP](https://arxiv.org/abs/1704.00028).
    """
    real, fake = precise(real), precise(fake)
    epsilon = ops.reshape(ops.cast(epsilon, real.dtype), (-1, 1, 1, 1))
    mixed = epsilon * real + (1.0 - epsilon) * fake
    with tf.GradientTape() as tape:
        tape.watch(mixed)
        scores = _scores(discriminator(mixed, training=True))  # [N]
    gradients = tape.gradient(scores, mixed)
    # 1e-12 is added because the slope of the root is infinite at zero.
    norms = ops.sqrt(ops.sum(ops.square(gradients), axis=(1, 2, 3)) + 1e-12)
    return _mean(ops.square(norms - 1.0))


def over_scales(loss: Callable) -> Callable:
    """Average a loss over the scales of a discriminator.

    Args:
        loss: a function of logits.

    Returns:
        A function of lists of logits.
    """

    def averaged(*logits_of_scales, **weights):
        scales = zip(*map(_as_list, logits_of_scales), strict=True)
        return _mean(ops.stack([loss(*logits, **weights) for logits in scales]))

    return averaged


@TERMS.add(
    "adversarial", help="the discriminator's loss for the stylized picture", inputs=("adversarial", "fake_logits")
)
def adversarial_term(loss: Callable, fake_logits: list):
    """The generator's adversarial loss, averaged over the scales of the discriminator."""
    return over_scales(loss)(fake_logits)


@dataclasses.dataclass(frozen=True)
class AdversarialLoss:
    """A pair of functions from logits to float32 scalars.

    Args:
        discriminator: a function of (real_logits, fake_logits, **weights).
        generator: a function of fake_logits.
        gradient_penalty: whether `gradient_penalty` must be added to the discriminator's loss.
        weights: names of the weights that `discriminator` takes.
    """

    discriminator: Callable
    generator: Callable
    gradient_penalty: bool = False
    weights: tuple[str, ...] = ()


@ADVERSARIAL.add(help="cross entropy, the non-saturating form")
def cross_entropy() -> AdversarialLoss:
    """The losses of the original GAN."""
    return AdversarialLoss(cross_entropy_discriminator_loss, cross_entropy_generator_loss)


@ADVERSARIAL.add(help="least squares, as in CycleGAN")
def least_squares() -> AdversarialLoss:
    """The losses of LSGAN."""
    return AdversarialLoss(least_squares_discriminator_loss, least_squares_generator_loss)


@ADVERSARIAL.add(help="hinge", floor=False)
def hinge() -> AdversarialLoss:
    """The losses of Geometric GAN."""
    return AdversarialLoss(hinge_discriminator_loss, wasserstein_generator_loss)


@ADVERSARIAL.add(help="Wasserstein with gradient penalty", floor=False, gradient_penalty=True)
def wasserstein() -> AdversarialLoss:
    """The losses of WGAN. `gradient_penalty` must be added to the discriminator's loss."""
    return AdversarialLoss(wasserstein_discriminator_loss, wasserstein_generator_loss)


@ADVERSARIAL.add(
    help="the article's: cross entropy on real pictures and Wasserstein",
    floor=False,
    weights=("discriminator_weight", "wasserstein_weight"),
)
def article() -> AdversarialLoss:
    """The losses of the source article."""
    return AdversarialLoss(article_discriminator_loss, cross_entropy_generator_loss)


def _mean(values):
    return ops.mean(values)


def _as_list(logits) -> list:
    return list(logits) if isinstance(logits, list | tuple) else [logits]


def _scores(logits):
    """The mean logit of each picture over patches and then over scales, [N]."""
    scales = [ops.mean(ops.reshape(precise(x), (x.shape[0] or -1, -1)), axis=1) for x in _as_list(logits)]
    return ops.mean(ops.stack(scales), axis=0)
