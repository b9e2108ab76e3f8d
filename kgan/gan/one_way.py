"""GANs with one generator, from content, noise or both to the style."""

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from kgan.gan.base import GAN, Draw, apply_together
from kgan.gan.batches import required
from kgan.gan.terms import Terms
from kgan.losses import AdversarialLoss
from kgan.networks import FeatureExtractor, PatchEmbedder
from kgan.networks.patches import draw_places

CONTRASTS = {"queries", "identity_queries"}


@keras.saving.register_keras_serializable("kgan")
class OneWay(GAN):
    """A GAN with a generator and at most one discriminator. All recipes except cyclegan use it.

    `fit` takes batches {"content": [N, H, W, C], "style": [N, H, W, C]}, float32 in [-1, 1]. A generator from noise
    alone needs {"style"} only. With a `teacher`, its pictures are the style of batches without {"style"}.
    `kgan.data.from_folders` makes such batches.

    The contrastive terms (nce) compare the generator's features of a picture and of its stylized version. A small
    network embeds the features, and is trained with the generator. These terms need a `kgan.networks.Generator`.

    Args:
        generator: a model from pictures [N, H, W, C] to pictures of the same shape, both in [-1, 1].
        discriminator: a model from pictures to logits of any shape, or to a list of logits (scales), or None.
        adversarial: "cross_entropy", "least_squares", "hinge", "wasserstein" or "article"; or a pair of functions: one
            from (real_logits, fake_logits) to the discriminator's loss, and one from fake_logits to the generator's.
        terms: weights of the generator's loss terms, {term: weight}. A term is a name in `kgan.kinds.TERMS` or a
            function from `LossInputs` to a scalar. The default weight of "adversarial" is 1.
        paired: whether the style picture is the true translation of the content picture.
        teacher: a function from content pictures to their true translations. The terms compare with these, and the
            discriminator with the style pictures of the batch, or with the teacher's if it has none.
        features: the pretrained network for terms that require one: "mobilenet", "vgg16", "vgg19" or a
            `FeatureExtractor`.
        feature_weights: a file with its weights, or None for the packaged or downloaded ones.
        regularizer: the network R of the term mmd: a model from pictures to embeddings [N, D]. Default: convolutions
            with random weights.
        train_regularizer: whether R is trained to maximise the MMD.
        discriminator_weight: D_weight of the adversarial loss "article".
        wasserstein_weight: LAMBDA of the adversarial loss "article", or the weight of the gradient penalty with
            "wasserstein".
        mmd_weight: weight of the trained R's loss.
        fresh_noise: whether each update draws its own noise, and the discriminator is updated first, as in the source
            article.
        noise: distribution of the noise: "normal", "uniform" or "truncated".
        truncation: bound of truncated noise in standard deviations.
        augment: augmentations of the discriminator's pictures, separated by commas: "colour", "translation", "cutout".
        discriminator_colour: share of the colour that the discriminator sees, from 0 (luminance alone) to 1.
        palette: the map of colours for "palette", "blown" and "highlights", float [C + 3, C]: the result of
            `kgan.losses.transport_map` for the colours of all content and all style pictures.
        ema: decay of the moving average of the generator's weights, in [0, 1).
        seed: seed of noise and augmentation.
        stylist: a network like `generator` for the moving average. Default: a copy.
        name: name of the model.

    Raises:
        ValueError: if arguments contradict each other.

    References:
        - [Contrastive unpaired translation](https://arxiv.org/abs/2007.15651).
        - [pix2pix](https://arxiv.org/abs/1611.07004).
    """

    own_arguments = ("generator", "discriminator", "paired", "teacher", "fresh_noise")

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model | None = None,
        *,
        adversarial: str | tuple[Callable, Callable] | AdversarialLoss | None = "least_squares",
        terms: Mapping[str | Callable, float] | None = None,
        paired: bool = False,
        teacher: Callable | None = None,
        features: str | FeatureExtractor = "mobilenet",
        feature_weights: str | None = None,
        regularizer: keras.Model | None = None,
        train_regularizer: bool = False,
        discriminator_weight: float = 1.0,
        wasserstein_weight: float = 1.0,
        mmd_weight: float = 1.0,
        fresh_noise: bool = False,
        noise: str = "normal",
        truncation: float = 2.0,
        augment: str = "",
        discriminator_colour: float = 1.0,
        palette=None,
        ema: float = 0.999,
        seed: int = 0,
        stylist: keras.Model | None = None,
        name: str | None = None,
    ):
        super().__init__(
            generator, adversarial=adversarial, terms=Terms(terms or {}, adversarial=discriminator is not None),
            features=features, feature_weights=feature_weights, regularizer=regularizer,
            train_regularizer=train_regularizer, discriminator_weight=discriminator_weight,
            wasserstein_weight=wasserstein_weight, mmd_weight=mmd_weight, noise=noise, truncation=truncation,
            augment=augment, ema=ema, seed=seed, name=name, discriminator_colour=discriminator_colour,
            palette=palette,
        )  # fmt: skip
        self.generator, self.discriminator = generator, discriminator
        self.paired, self.teacher, self.fresh_noise = paired, teacher, fresh_noise
        takes_content = self._takes_content = getattr(generator, "takes_content", True)
        has_layers = hasattr(generator, "layer_features")
        provided = {"content"} if takes_content else set()
        provided |= {"palette"} if palette is not None else set()
        self.terms.check(provided | ({"one_way"} if has_layers else set()) | self._always_provided(discriminator))
        contrasts = bool(CONTRASTS & self.terms.inputs)
        self.patch_embedder = _patch_embedder(generator) if contrasts else None
        compared = "truth" if paired or teacher is not None else "content"
        self._finish(
            generators=[generator, *([self.patch_embedder] if contrasts else [])],
            discriminators=[] if discriminator is None else [discriminator],
            stylist=stylist,
            tested=(compared,) if takes_content else (),
        )

    def get_config(self) -> dict:
        return super().get_config() | {"palette": None if self.palette is None else self.palette.numpy().tolist()}

    def train_step(self, batch: dict) -> dict:
        """Update both players once. Returns the mean losses since the last reset."""
        content = required(batch, "content") if self._takes_content else None
        truth = None if self.teacher is None else self._taught(content)
        style = required(batch, "style") if truth is None or "style" in batch else truth
        if self.fresh_noise:
            # The article's order: the discriminator, then new noise, then the generator.
            of_discriminator = self._discriminator_step(lambda: self._stylized(content, style, Draw.NOISE), style)
            of_generator, _ = self._generator_step(content, style, truth, Draw.SECOND_NOISE)
        else:
            # Both updates use the same stylized pictures, which saves a pass through the generator.
            of_generator, fake = self._generator_step(content, style, truth, Draw.NOISE)
            of_discriminator = self._discriminator_step(lambda: fake, style)
        return self._finish_step({**of_discriminator, **of_generator})

    def test_step(self, batch: dict) -> dict:
        """SSIM, PSNR and MSE of the stylist's results to "content" and, where there is one, to "truth".

        Pairs are compared with "truth" or "style" alone.
        """
        if not self.test_means:
            return {}
        content = required(batch, "content")
        fake = self.stylist(self._with_noise(content, content, Draw.TEST_NOISE), training=False)
        if "content_ssim" in self.test_means:
            return self._book_test("content", content, fake) | self._book_truth(batch, fake)
        truth = batch.get("truth", batch.get("style") if self.teacher is None else None)
        if truth is None and self.teacher is not None:
            truth = self._taught(content)
        return self._book_test("truth", required(batch, "truth") if truth is None else truth, fake)

    def _taught(self, content):
        """The teacher's translation of the content."""
        if self._compiles_in_replicas:
            return tf.function(self.teacher, jit_compile=True, autograph=False)(content)
        return self.teacher(content)

    def _discriminator_step(self, make_fake, style):
        if self.discriminator_player is None:
            return {}
        return self._update(self.discriminator_player, lambda: self._of_discriminator(make_fake(), style))[0]

    def _of_discriminator(self, fake, style):
        fake, parts = tf.stop_gradient(fake), {}
        if self.discriminator is not None:
            parts = self._discriminator_parts(self.discriminator, style, fake, Draw.AUGMENT)
        return parts | self._regularizer_parts(fake, style), None

    def _generator_step(self, content, style, truth, draw: int):
        return self._update(self.generator_player, lambda: self._of_generator(content, style, truth, draw))

    def _of_generator(self, content, style, truth, draw: int):
        inputs = [self._with_noise(content, style, draw)]
        if {"identity", "identity_queries"} & self.terms.inputs:
            inputs.append(self._with_noise(style, style, draw))
        passes = apply_together(self.generator, inputs, self._drawn)
        fake, identity = passes[0][0], passes[1][0] if len(passes) > 1 else None
        reference = truth if truth is not None else style if self.paired else content
        disturbed = self._disturbed(self.generator, inputs[0], fake, Draw.DISTURBANCE)
        found = self._loss_inputs(fake, style, reference, self.discriminator, Draw.FAKE_AUGMENT, content=content,
                                  identity=identity, disturbed=disturbed, **self._contrasts(passes))  # fmt: skip
        return self.terms(found), fake

    def _drawn(self, inputs):
        """The stylized pictures, followed by the feature maps of the generator's first half."""
        if self.patch_embedder is None:
            return [self.generator(inputs, training=True)]
        maps = self.generator.layer_features(inputs, training=True)
        return [self.generator.finish(inputs, maps, training=True), *maps]

    def _contrasts(self, passes: list) -> dict:
        """The arguments `patches` and `identity_patches` of the loss inputs that terms need. `passes` are of `_drawn`.

        Stylized pictures and content get different noise. With equal noise, equal positions would be easy to find.
        """
        names = zip(("queries", "identity_queries"), ("patches", "identity_patches"), passes, strict=False)
        wanted = [(argument, drawn) for name, argument, drawn in names if name in self.terms.inputs]
        if not wanted:
            return {}
        inputs = [self._with_noise(drawn[0], drawn[0], Draw.QUERY_NOISE) for _, drawn in wanted]
        maps = apply_together(self.generator, inputs, lambda batch: self.generator.layer_features(batch, training=True))
        places = draw_places(self._seed(Draw.PLACES), [one.shape[1] * one.shape[2] for one in maps[0]])
        return {
            argument: (self.patch_embedder(of_fake, places), self._keys(drawn[1:], places))
            for (argument, drawn), of_fake in zip(wanted, maps, strict=True)
        }

    def _keys(self, maps: list, places: list) -> list:
        return [tf.stop_gradient(vectors) for vectors in self.patch_embedder(maps, places)]

    def _stylized(self, content, style, draw: int):
        return self.generator(self._with_noise(content, style, draw), training=True)


def _patch_embedder(generator: keras.Model) -> PatchEmbedder:
    embedder = PatchEmbedder(generator.layer_channels, dtype=generator.dtype_policy, name="patch_embedder")
    embedder.build()
    return embedder
