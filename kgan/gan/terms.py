"""The generator's loss terms by name. A new term is a pure function in `kgan.losses` and one row here."""

from collections.abc import Callable

import tensorflow as tf

from kgan import losses
from kgan.gan.replicas import gathered


class Scene:
    """What one direction of translation shows to the loss terms; pictures are [N, H, W, C] in [-1, 1].

    Args:
        fake: stylized pictures.
        reference: what they should keep: the truth (paired, or a teacher's), the content (unpaired) or None.
        style: real pictures of the style.
        cycled, content: the way there and back, and where it began (two_way only).
        same: stylized style pictures, for the identity term.
        patches, same_patches: (queries, keys) for the contrastive terms: places of `fake` and of its content, of `same`
            and of the style picture; unit vectors [N, P, D] for each layer.
        fake_logits: what the discriminator says of `fake`.
        extractor, embedder: the pretrained features and the regularization network.
        view: what those terms see of a batch of pictures that look at a grid of places.
    """

    def __init__(self, fake, style, reference=None, *, content=None, cycled=None, same=None, patches=None,
                 same_patches=None, fake_logits=None, adversarial=None, extractor=None, embedder=None,
                 view=lambda pictures: pictures):  # fmt: skip
        self.fake, self.style, self.reference = fake, style, reference
        self.content, self.cycled, self.same = content, cycled, same
        self.patches, self.same_patches = patches, same_patches
        self.fake_logits, self.adversarial = fake_logits, adversarial
        self.extractor, self.embedder, self.view = extractor, embedder, view
        self._maps = {}

    def maps(self, name: str) -> list[tf.Tensor]:
        """Pretrained feature maps of `fake`, `style` or `reference`, computed once."""
        if name not in self._maps:
            self._maps[name] = self.extractor(self.view(getattr(self, name)))
        return self._maps[name]

    def mean_grams(self, name: str) -> list[tf.Tensor]:
        """The Gram matrix [C, C] of each of `maps(name)`, over the pictures of the whole global batch."""
        return [tf.reduce_mean(gathered(losses.mean_gram(maps)[None]), axis=0) for maps in self.maps(name)]

    def mmd(self) -> tf.Tensor:
        """MMD between stylized and real pictures of the whole global batch: it is not a sum over replicas."""
        fake = gathered(self.embedder(self.fake, training=True))
        real = gathered(self.embedder(self.style, training=True))
        return losses.mmd(real, fake)


_nce = losses.over_scales(losses.patch_nce)  # the mean over the layers

TERMS: dict[str, Callable[[Scene], tf.Tensor]] = {
    "adversarial": lambda scene: scene.adversarial(scene.fake_logits),
    "pixel": lambda scene: losses.pixel_loss(scene.reference, scene.fake),
    "ssim": lambda scene: losses.ssim_loss(scene.reference, scene.fake),
    "features": lambda scene: losses.feature_loss(scene.maps("reference"), scene.maps("fake")),
    "gram": lambda scene: losses.gram_loss(scene.mean_grams("style"), scene.mean_grams("fake")),
    "mmd": lambda scene: scene.mmd(),
    "cycle": lambda scene: losses.cycle_loss(scene.content, scene.cycled),
    "identity": lambda scene: losses.identity_loss(scene.style, scene.same),
    "nce": lambda scene: _nce(*scene.patches),
    "nce_identity": lambda scene: _nce(*scene.same_patches),
    "smoothness": lambda scene: losses.smoothness_loss(scene.view(scene.reference), scene.view(scene.fake)),
    "total_variation": lambda scene: losses.total_variation_loss(scene.fake),
}
