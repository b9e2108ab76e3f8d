"""What the terms of a generator's loss are functions of."""

from collections.abc import Callable

import tensorflow as tf

from kgan import losses
from kgan.gan.replicas import gathered


class LossInputs:
    """The tensors of one direction of translation. Pictures are [N, H, W, C] in [-1, 1].

    A term of your own is a function of this object -> scalar. `kgan.kinds.REQUIREMENTS` says what each attribute
    requires of the GAN; what a GAN lacks is None.

    Attributes:
        fake: stylized pictures.
        style: real pictures of the style.
        reference: what `fake` should keep: the truth (paired, or a teacher's pictures) or the content (unpaired).
        content, cycled: a picture, and its translation there and back (TwoWay).
        identity: restyled style pictures.
        queries, keys: places of `fake` and of its content as unit vectors: lists over layers of [N, P, D] (OneWay).
        identity_queries, identity_keys: the same of `identity` and of the style picture.
        fake_logits: the discriminator's logits of `fake`: a list over scales.
        adversarial: the generator's adversarial loss, a function of the logits of one scale.
    """

    def __init__(self, fake, style, reference=None, *, content=None, cycled=None, identity=None, patches=None,
                 identity_patches=None, fake_logits=None, adversarial=None, features=None, regularizer=None,
                 crop: Callable = lambda pictures: pictures):  # fmt: skip
        self.fake, self.style, self.reference = fake, style, reference
        self.content, self.cycled, self.identity = content, cycled, identity
        self.queries, self.keys = patches or (None, None)
        self.identity_queries, self.identity_keys = identity_patches or (None, None)
        self.fake_logits, self.adversarial = fake_logits, adversarial
        self._features, self._regularizer, self._crop = features, regularizer, crop
        self._maps, self._embedded = {}, None

    @property
    def fake_crop(self) -> tf.Tensor:
        """A random crop of `fake`, the same as `reference_crop`'s."""
        return self._crop(self.fake)

    @property
    def reference_crop(self) -> tf.Tensor:
        """A random crop of `reference`, the same as `fake_crop`'s."""
        return self._crop(self.reference)

    @property
    def fake_features(self) -> list[tf.Tensor]:
        """Pretrained feature maps of `fake_crop`: a list over layers of [N, h, w, c]."""
        return self._maps_of("fake")

    @property
    def reference_features(self) -> list[tf.Tensor]:
        """As `fake_features`, of `reference_crop`."""
        return self._maps_of("reference")

    @property
    def fake_grams(self) -> list[tf.Tensor]:
        """The mean Gram matrix [C, C] of each layer of `fake_features`, over the whole global batch."""
        return self._mean_grams("fake")

    @property
    def style_grams(self) -> list[tf.Tensor]:
        """As `fake_grams`, of real pictures of the style."""
        return self._mean_grams("style")

    @property
    def fake_embeddings(self) -> tf.Tensor:
        """The regularization network's embeddings of `fake` [N, D], over the whole global batch."""
        return self._embeddings()[0]

    @property
    def style_embeddings(self) -> tf.Tensor:
        """As `fake_embeddings`, of `style`."""
        return self._embeddings()[1]

    def _embeddings(self) -> tuple[tf.Tensor, tf.Tensor]:
        # No functools.cached_property: in Python 3.11 it holds a lock, on which the replicas' threads block each other.
        if self._embedded is None:
            fake, style = (self._regularizer(pictures, training=True) for pictures in (self.fake, self.style))
            self._embedded = gathered(fake), gathered(style)
        return self._embedded

    def _maps_of(self, name: str) -> list[tf.Tensor]:
        """Pretrained feature maps of an attribute, computed once."""
        if name not in self._maps:
            self._maps[name] = self._features(self._crop(getattr(self, name)))
        return self._maps[name]

    def _mean_grams(self, name: str) -> list[tf.Tensor]:
        grams = [losses.mean_gram(maps)[None] for maps in self._maps_of(name)]
        return [tf.reduce_mean(gathered(gram), axis=0) for gram in grams]
