"""GANs with two generators, from content to style and back, and a discriminator for each."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import keras
import tensorflow as tf

from kgan.gan.base import GAN, Draw, apply_together, new_like
from kgan.gan.batches import required
from kgan.gan.image_pool import ImagePool
from kgan.gan.terms import Terms
from kgan.losses import AdversarialLoss
from kgan.networks import FeatureExtractor


@keras.saving.register_keras_serializable("kgan")
class TwoWay(GAN):
    """A GAN with cycle consistency: a picture that is translated to the style and back should be the same picture.

    Args:
        generator: generator from content to style, as in `OneWay`.
        discriminator: discriminator of style pictures, as in `OneWay`.
        backward_generator: generator from style to content. Default: a new network like `generator`.
        content_discriminator: discriminator of content pictures. Default: a new network like `discriminator`.
        image_pool: number of past stylized pictures that the discriminators can see again, rounded up to a multiple of
            the first training batch; 0 for none. All training pictures must have the same size.

    The other arguments are those of `OneWay`.

    Reference: [CycleGAN](https://arxiv.org/abs/1703.10593).
    """

    former_names: ClassVar[dict[str, str]] = {
        **GAN.former_names,
        "generator": "forward",
        "backward_generator": "backward",
        "discriminator": "style_judge",
        "content_discriminator": "content_judge",
    }
    own_arguments = ("generator", "discriminator", "backward_generator", "content_discriminator", "image_pool")

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        backward_generator: keras.Model | None = None,
        content_discriminator: keras.Model | None = None,
        adversarial: str | tuple[Callable, Callable] | AdversarialLoss = "least_squares",
        terms: Mapping[str | Callable, float] | None = None,
        image_pool: int = 50,
        features: str | FeatureExtractor = "mobilenet",
        feature_weights: str | None = None,
        regularizer: keras.Model | None = None,
        train_regularizer: bool = False,
        discriminator_weight: float = 1.0,
        wasserstein_weight: float = 1.0,
        mmd_weight: float = 1.0,
        noise: str = "normal",
        truncation: float = 2.0,
        augment: str = "",
        discriminator_colour: float = 1.0,
        ema: float = 0.999,
        seed: int = 0,
        stylist: keras.Model | None = None,
        name: str | None = None,
    ):
        super().__init__(
            generator, adversarial=adversarial,
            terms=Terms({"cycle": 10.0} if terms is None else terms, adversarial=True),
            features=features, feature_weights=feature_weights, regularizer=regularizer,
            train_regularizer=train_regularizer, discriminator_weight=discriminator_weight,
            wasserstein_weight=wasserstein_weight, mmd_weight=mmd_weight, noise=noise, truncation=truncation,
            augment=augment, ema=ema, seed=seed, name=name, discriminator_colour=discriminator_colour,
        )  # fmt: skip
        self.generator, self.discriminator = generator, discriminator
        self.backward_generator = backward_generator or new_like(generator)
        self.content_discriminator = content_discriminator or new_like(discriminator)
        self.image_pool = image_pool
        self.style_pool = self.content_pool = None
        self.terms.check({"content", "two_way"} | self._always_provided(discriminator))
        self._finish(
            generators=[self.generator, self.backward_generator],
            discriminators=[self.discriminator, self.content_discriminator],
            stylist=stylist,
            tested=("content", "cycle"),
        )

    def _can_be_built(self) -> bool:
        return super()._can_be_built() and not self.image_pool

    def build(self, input_shape: tuple | None) -> None:
        """Build as `GAN.build`, and the image pools for batches of the shape (N, H, W, C), with N on all replicas.

        `fit` does this with the shape of its batches.
        """
        if input_shape is None and self.image_pool:
            raise ValueError("`input_shape` should be (N, H, W, C) for a GAN with image pools. Received: None")
        super().build(input_shape)
        if input_shape is not None:
            self._build_for_training(input_shape)

    def _lacks_for_training(self) -> bool:
        return bool(self.image_pool) and self.style_pool is None

    def _build_for_training(self, shape: tuple) -> None:
        if self._lacks_for_training():
            count, *picture_shape = shape
            self.style_pool, self.content_pool = (
                ImagePool(self.image_pool, tuple(picture_shape), count, dtype=self.exact) for _ in range(2)
            )
            self._pool_shape = tuple(shape)

    def get_build_config(self) -> dict:
        return {"input_shape": None if self.style_pool is None else self._pool_shape}

    def build_from_config(self, config: dict) -> None:
        super().build_from_config(config)
        if config["input_shape"] is not None:
            self._build_for_training(config["input_shape"])

    def train_step(self, batch: dict) -> dict:
        """Update both players once. Returns the mean losses since the last reset."""
        content, style = required(batch, "content"), required(batch, "style")
        of_generators, fakes = self._update(self.generator_player, lambda: self._of_generators(content, style))
        shown = self._from_pools(*(tf.stop_gradient(fake) for fake in fakes))
        of_discriminators, _ = self._update(
            self.discriminator_player, lambda: self._of_discriminators(content, style, *shown)
        )
        return self._finish_step({**of_discriminators, **of_generators})

    def test_step(self, batch: dict) -> dict:
        """SSIM, PSNR and MSE of the stylist's results and of the cycled pictures to "content", and to any "truth"."""
        content = required(batch, "content")
        fake = self.stylist(self._with_noise(content, content, Draw.TEST_NOISE), training=False)
        back = self.backward_generator(self._with_noise(fake, fake, Draw.BACKWARD_TEST_NOISE), training=False)
        of_content = self._book_test("content", content, fake) | self._book_test("cycle", content, back)
        return of_content | self._book_truth(batch, fake)

    def _of_generators(self, content, style):
        to_style, to_content = self._translate(content, style)
        (fake_style, same_style), (fake_content, same_content) = to_style, to_content
        cycled_content = self.backward_generator(self._noisy(fake_style, Draw.CYCLE_NOISE), training=True)
        cycled_style = self.generator(self._noisy(fake_content, Draw.BACKWARD_CYCLE_NOISE), training=True)
        given = self._noisy(content, Draw.NOISE), self._noisy(style, Draw.SECOND_NOISE)
        disturbed_style = self._disturbed(self.generator, given[0], fake_style, Draw.DISTURBANCE)
        disturbed_content = self._disturbed(self.backward_generator, given[1], fake_content, Draw.BACKWARD_DISTURBANCE)
        there = self._loss_inputs(fake_style, style, content, self.discriminator, Draw.FAKE_STYLE_AUGMENT,
                                  content=content, cycled=cycled_content, identity=same_style,
                                  disturbed=disturbed_style)  # fmt: skip
        back = self._loss_inputs(fake_content, content, style, self.content_discriminator, Draw.FAKE_CONTENT_AUGMENT,
                                 content=style, cycled=cycled_style, identity=same_content,
                                 disturbed=disturbed_content)  # fmt: skip
        there, back = self.terms(there), self.terms(back)
        return {name: there[name] + back[name] for name in there}, (fake_style, fake_content)

    def _translate(self, content, style):
        """(fake style, same style), (fake content, same content); the second of each only for the identity term."""
        if "identity" not in self.terms.inputs:
            fake_style = self.generator(self._noisy(content, Draw.NOISE), training=True)
            fake_content = self.backward_generator(self._noisy(style, Draw.SECOND_NOISE), training=True)
            return (fake_style, None), (fake_content, None)
        to_style = [self._noisy(content, Draw.NOISE), self._noisy(style, Draw.IDENTITY_NOISE)]
        to_content = [self._noisy(style, Draw.SECOND_NOISE), self._noisy(content, Draw.BACKWARD_IDENTITY_NOISE)]
        to_style = apply_together(self.generator, to_style)
        to_content = apply_together(self.backward_generator, to_content)
        return [outputs[0] for outputs in to_style], [outputs[0] for outputs in to_content]

    def _noisy(self, pictures, draw: int):
        return self._with_noise(pictures, pictures, draw)

    def _from_pools(self, fake_style, fake_content):
        if self._lacks_for_training():
            raise ValueError("The image pools are not built. Call `build((N, H, W, C))` before `train_step`.")
        if self.style_pool is None:
            return fake_style, fake_content
        step = self.step.value
        return (
            self.style_pool.exchange(fake_style, step, self._seed(Draw.POOL)),
            self.content_pool.exchange(fake_content, step, self._seed(Draw.CONTENT_POOL)),
        )

    def _of_discriminators(self, content, style, shown_style, shown_content):
        of_style = self._discriminator_parts(self.discriminator, style, shown_style, Draw.STYLE_AUGMENT)
        of_style |= self._regularizer_parts(shown_style, style)
        of_content = self._discriminator_parts(self.content_discriminator, content, shown_content, Draw.CONTENT_AUGMENT)
        of_content |= self._regularizer_parts(shown_content, content)
        return {name: 0.5 * (of_style[name] + of_content[name]) for name in of_style}, None
