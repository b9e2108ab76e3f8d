"""One generator: content (or noise, or both) -> style."""

import tensorflow as tf

from kgan.gan.base import GAN, apply_together
from kgan.networks import build_discriminator, build_generator, build_patch_embedder
from kgan.networks.patches import draw_places


class OneWay(GAN):
    """A generator and at most one discriminator: every recipe but cyclegan.

    The contrastive terms compare what the generator's own first half makes of a picture and of its stylized version;
    the small network that embeds it is trained with the generator.

    Reference: [Contrastive unpaired translation](https://arxiv.org/abs/2007.15651).
    """

    def __init__(self, config, teacher=None):
        """`teacher`: content [N, H, W, C] -> pictures in the style, for recipes with content alone; never trained, and
        no part of checkpoints."""
        super().__init__(config)
        if (teacher is None) == (self.recipe.pictures == "content"):
            raise ValueError("`teacher` should be given for recipes that have content alone, and for no others.")
        self.teacher = teacher
        self.generator = build_generator(config)
        self.discriminator = build_discriminator(config) if self.recipe.discriminator else None
        contrasts = self._needs("nce", "nce_identity")
        self.patch_embedder = build_patch_embedder(config, self.generator) if contrasts else None
        judge = [self.discriminator] if self.discriminator is not None else []
        self._finish(maker=[self.generator, *([self.patch_embedder] if contrasts else [])], judge=judge)

    def train_step(self, batch: dict) -> dict:
        """One step on {"content": [N, H, W, C], "style": [N, H, W, C]} in [-1, 1]; returns the mean losses.

        With a teacher, it makes the style pictures: the batch is {"content"} alone.
        """
        content = batch.get("content")
        style = self._taught(content) if self.teacher else batch["style"]
        if self.recipe.fresh_noise:
            # The article's order: judge, then new noise, then make.
            judged = self._judge_step(lambda: self._stylized(content, style, use=0), style)
            made, _ = self._maker_step(content, style, use=1)
        else:
            # Both updates see the same stylized pictures: one pass through the generator less.
            made, fake = self._maker_step(content, style, use=0)
            judged = self._judge_step(lambda: fake, style)
        return self._finish_step({**judged, **made})

    def test_step(self, batch: dict) -> dict:
        """SSIM, PSNR and MSE of the stylist on {"content", "truth" (pairs, or a teacher's)}."""
        content = batch["content"]
        fake = self.stylist(self._with_noise(content, content.shape[0], use=2), training=False)
        if "truth" in batch:
            self._book_test("truth", batch["truth"], fake)
        elif "content_ssim" in self.test_means:
            self._book_test("content", content, fake)
        return self.get_metrics_result()

    def _taught(self, content):
        """What the teacher makes of the content."""
        if self._compiles_in_replicas:
            return tf.function(self.teacher, jit_compile=True, autograph=False)(content)
        return self.teacher(content)

    def _judge_step(self, make_fake, style):
        if not self.judge:
            return {}
        return self._update(self.judge, lambda: self._judge_losses(tf.stop_gradient(make_fake()), style))[0]

    def _judge_losses(self, fake, style):
        parts = self._judged(self.discriminator, style, fake, use=8) if self.discriminator is not None else {}
        if "discriminator_mmd_loss" in self.loss_names:
            scene = self._scene(fake, style, None, None, use=6)
            parts["discriminator_mmd_loss"] = -self.config.mmd_weight * scene.mmd()
        return parts, None

    def _maker_step(self, content, style, use: int):
        return self._update(self.maker, lambda: self._maker_losses(content, style, use))

    def _maker_losses(self, content, style, use: int):
        size = style.shape[0]
        inputs = [self._with_noise(content, size, use)]
        if self._needs("identity", "nce_identity"):
            inputs.append(self._with_noise(style, size, use))
        made = apply_together(self.generator, inputs, self._drawn)
        fake, same = made[0][0], made[1][0] if len(made) > 1 else None
        reference = style if self.recipe.pictures in ("paired", "content") else content
        scene = self._scene(fake, style, reference, self.discriminator, use=7, same=same, **self._contrasts(made))
        return self._weighted_terms(scene), fake

    def _drawn(self, inputs):
        """[stylized pictures, *the maps of the generator's first half on the way to them]."""
        maps = self.generator.layer_features(inputs, training=True)
        return [self.generator.finish(inputs, maps, training=True), *maps]

    def _contrasts(self, made: list) -> dict:
        """The arguments `patches` and `same_patches` of a scene, as far as its terms need them; `made` is of `_drawn`.

        Other noise beside the stylized pictures than beside their content: equal noise would tell equal places.
        """
        passes = zip(("nce", "nce_identity"), ("patches", "same_patches"), made, strict=False)
        passes = [(argument, drawn) for term, argument, drawn in passes if term in self.weights_of]
        if not passes:
            return {}
        inputs = [self._with_noise(drawn[0], drawn[0].shape[0], use=4) for _, drawn in passes]
        maps = apply_together(self.generator, inputs, lambda batch: self.generator.layer_features(batch, training=True))
        places = draw_places(self._seed(5), [one.shape[1] * one.shape[2] for one in maps[0]])
        return {
            argument: (self.patch_embedder(of_fake, places), self._keys(drawn[1:], places))
            for (argument, drawn), of_fake in zip(passes, maps, strict=True)
        }

    def _keys(self, maps: list, places: list) -> list:
        return [tf.stop_gradient(vectors) for vectors in self.patch_embedder(maps, places)]

    def _stylized(self, content, style, use: int):
        return self.generator(self._with_noise(content, style.shape[0], use), training=True)
