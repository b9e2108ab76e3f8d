"""One generator: content (or noise, or both) -> style."""

import tensorflow as tf

from kgan.gan.base import GAN
from kgan.networks import build_discriminator, build_generator


class OneWay(GAN):
    """A generator and at most one discriminator: recipes article, mmd, synthesis and paired."""

    def __init__(self, config):
        super().__init__(config)
        self.generator = build_generator(config)
        self.discriminator = build_discriminator(config) if self.recipe.discriminator else None
        judge = [self.discriminator] if self.discriminator is not None else []
        self._finish(maker=[self.generator], judge=judge)

    def train_step(self, batch: dict) -> dict:
        """One step on {"content": [N, H, W, C], "style": [N, H, W, C]} in [-1, 1]; returns the mean losses."""
        content, style = batch.get("content"), batch["style"]
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
        """SSIM, PSNR and MSE of the stylist on {"content", "truth" (pairs only)}."""
        content = batch["content"]
        fake = self.stylist(self._with_noise(content, content.shape[0], use=2), training=False)
        if "truth" in batch:
            self._book_test("truth", batch["truth"], fake)
        elif "content_ssim" in self.test_means:
            self._book_test("content", content, fake)
        return self.get_metrics_result()

    def _judge_step(self, make_fake, style):
        if not self.judge:
            return {}
        return self._update(self.judge, lambda: self._judge_losses(tf.stop_gradient(make_fake()), style))[0]

    def _judge_losses(self, fake, style):
        parts = self._judged(self.discriminator, style, fake, use=3) if self.discriminator is not None else {}
        if "discriminator_mmd_loss" in self.loss_names:
            scene = self._scene(fake, style, None, None)
            parts["discriminator_mmd_loss"] = -self.config.mmd_weight * scene.mmd()
        return parts, None

    def _maker_step(self, content, style, use: int):
        return self._update(self.maker, lambda: self._maker_losses(content, style, use))

    def _maker_losses(self, content, style, use: int):
        fake = self._stylized(content, style, use)
        reference = style if self.recipe.pictures == "paired" else content
        same = self._stylized(style, style, use) if "identity" in self.weights_of else None
        return self._weighted_terms(self._scene(fake, style, reference, self.discriminator, same=same)), fake

    def _stylized(self, content, style, use: int):
        return self.generator(self._with_noise(content, style.shape[0], use), training=True)
