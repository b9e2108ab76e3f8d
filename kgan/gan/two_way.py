"""Two generators, content -> style and back, each with a discriminator."""

import tensorflow as tf

from kgan.gan.base import GAN, apply_together
from kgan.gan.image_pool import ImagePool
from kgan.networks import build_discriminator, build_generator


class TwoWay(GAN):
    """Recipe cyclegan: what goes there must come back.

    Reference: [CycleGAN](https://arxiv.org/abs/1703.10593).
    """

    def __init__(self, config):
        super().__init__(config)
        self.forward = build_generator(config)
        self.backward = build_generator(config)
        self.style_judge = build_discriminator(config)
        self.content_judge = build_discriminator(config)
        self.style_pool, self.content_pool = self._pool(), self._pool()
        self._finish(
            maker=[self.forward, self.backward],
            judge=[self.style_judge, self.content_judge],
        )

    def train_step(self, batch: dict) -> dict:
        """One step on {"content": [N, H, W, C], "style": [N, H, W, C]} in [-1, 1]; returns the mean losses."""
        content, style = batch["content"], batch["style"]
        made, fakes = self._update(self.maker, lambda: self._maker_losses(content, style))
        shown = self._from_pools(*(tf.stop_gradient(fake) for fake in fakes))
        judged, _ = self._update(self.judge, lambda: self._judge_losses(content, style, *shown))
        return self._finish_step({**judged, **made})

    def test_step(self, batch: dict) -> dict:
        """SSIM, PSNR and MSE of the stylist and of the way back, on {"content"}."""
        content = batch["content"]
        fake = self.stylist(self._with_noise(content, content.shape[0], use=2), training=False)
        back = self.backward(self._with_noise(fake, content.shape[0], use=3), training=False)
        self._book_test("content", content, fake)
        self._book_test("cycle", content, back)
        return self.get_metrics_result()

    def _pool(self) -> ImagePool | None:
        config = self.config
        shape = (config.size, config.size, config.channels)
        return ImagePool(config.image_pool, shape, config.batch_size, dtype=self.exact) if config.image_pool else None

    def _maker_losses(self, content, style):
        to_style, to_content = self._translate(content, style)
        fake_style, same_style = to_style
        fake_content, same_content = to_content
        cycled_content = self.backward(self._noisy(fake_style, use=6), training=True)
        cycled_style = self.forward(self._noisy(fake_content, use=7), training=True)
        there = self._scene(fake_style, style, content, self.style_judge, use=16,
                            content=content, cycled=cycled_content, same=same_style)  # fmt: skip
        back = self._scene(fake_content, content, style, self.content_judge, use=17,
                           content=style, cycled=cycled_style, same=same_content)  # fmt: skip
        there, back = self._weighted_terms(there), self._weighted_terms(back)
        return {name: there[name] + back[name] for name in there}, (fake_style, fake_content)

    def _translate(self, content, style):
        """(fake style, same style), (fake content, same content); the second of each only for the identity term."""
        if "identity" not in self.weights_of:
            fake_style = self.forward(self._noisy(content, use=0), training=True)
            return (fake_style, None), (self.backward(self._noisy(style, use=1), training=True), None)
        to_style = apply_together(self.forward, [self._noisy(content, use=0), self._noisy(style, use=4)])
        to_content = apply_together(self.backward, [self._noisy(style, use=1), self._noisy(content, use=5)])
        return [outputs[0] for outputs in to_style], [outputs[0] for outputs in to_content]

    def _noisy(self, pictures, use: int):
        return self._with_noise(pictures, pictures.shape[0], use)

    def _from_pools(self, fake_style, fake_content):
        if self.style_pool is None:
            return fake_style, fake_content
        step = self.step.value
        return (
            self.style_pool.exchange(fake_style, step, self._seed(8)),
            self.content_pool.exchange(fake_content, step, self._seed(10)),
        )

    def _judge_losses(self, content, style, shown_style, shown_content):
        of_style = self._judged(self.style_judge, style, shown_style, use=18)
        of_content = self._judged(self.content_judge, content, shown_content, use=20)
        return {name: 0.5 * (of_style[name] + of_content[name]) for name in of_style}, None
