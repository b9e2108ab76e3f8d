"""The inputs of the terms of a generator's loss."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from kgan import losses
from kgan.gan.replicas import gathered


class LossInputs:
    """The tensors of one direction of translation. Pictures are [N, H, W, C] in [-1, 1].

    An own term is a function from this object to a scalar. `kgan.kinds.REQUIREMENTS` lists the requirements of each
    attribute. Attributes that a GAN does not have are None.

    Attributes:
        fake: stylized pictures.
        style: real pictures of the style.
        reference: the pictures that `fake` should resemble: the truth for pairs and for a teacher, else the content.
        content: content pictures.
        cycled: content pictures after both generators (TwoWay).
        identity: restyled style pictures.
        queries: embedded positions of `fake` as unit vectors, a list of [N, P, D] by layer (OneWay).
        keys: the same positions of its content.
        identity_queries: embedded positions of `identity`.
        identity_keys: the same positions of the style pictures.
        fake_logits: the discriminator's logits of `fake`, a list by scale.
        adversarial: the generator's adversarial loss, a function of the logits of one scale.
        palette: the map of colours from content to style, as of `kgan.losses.transport_map`.
        disturbed: functions that return the pair of `kgan.gan.disturbances` by its name, "shift" or "warp".
    """

    def __init__(self, fake, style, reference=None, *, content=None, cycled=None, identity=None, patches=None,
                 identity_patches=None, fake_logits=None, adversarial=None, features=None, regularizer=None,
                 palette=None,
                 disturbed: Mapping[str, Callable] | None = None,
                 crop: Callable = lambda pictures: pictures):  # fmt: skip
        self.fake, self.style, self.reference = fake, style, reference
        self.content, self.cycled, self.identity = content, cycled, identity
        self.queries, self.keys = patches or (None, None)
        self.identity_queries, self.identity_keys = identity_patches or (None, None)
        self.fake_logits, self.adversarial = fake_logits, adversarial
        self._features, self._regularizer, self._crop, self._palette = features, regularizer, crop, palette
        self._disturbed = disturbed or {}
        self._maps, self._embedded, self._pairs = {}, None, {}

    @property
    def fake_crop(self) -> tf.Tensor:
        """A random crop of `fake`, at the position of `reference_crop`."""
        return self._crop(self.fake)

    @property
    def reference_crop(self) -> tf.Tensor:
        """A random crop of `reference`, at the position of `fake_crop`."""
        return self._crop(self.reference)

    @property
    def content_in_palette(self) -> tf.Tensor:
        """`content`, whose colours are moved into the palette of all style pictures (OneWay)."""
        return losses.moved(self.content, self._palette)

    @property
    def fake_features(self) -> list[tf.Tensor]:
        """Pretrained feature maps of `fake_crop`, a list of [N, h, w, c] by layer."""
        return self._maps_of("fake")

    @property
    def reference_features(self) -> list[tf.Tensor]:
        """Pretrained feature maps of `reference_crop`, as `fake_features`."""
        return self._maps_of("reference")

    @property
    def fake_grams(self) -> list[tf.Tensor]:
        """The mean Gram matrix [C, C] of each layer of `fake_features`, over the whole global batch."""
        return self._mean_grams("fake")

    @property
    def style_grams(self) -> list[tf.Tensor]:
        """The mean Gram matrices of `style`, as `fake_grams`."""
        return self._mean_grams("style")

    @property
    def fake_columns(self) -> tf.Tensor:
        """The hypercolumns of `fake_features` [P, D], at the positions of the whole global batch."""
        return self._columns("fake")

    @property
    def style_columns(self) -> tf.Tensor:
        """The hypercolumns of `style`, as `fake_columns`."""
        return self._columns("style")

    @property
    def fake_embeddings(self) -> tf.Tensor:
        """The regularization network's embeddings of `fake` [N, D], over the whole global batch."""
        return self._embeddings()[0]

    @property
    def style_embeddings(self) -> tf.Tensor:
        """The embeddings of `style`, as `fake_embeddings`."""
        return self._embeddings()[1]

    @property
    def shift_of_fake(self) -> tf.Tensor:
        """A part of `fake`, shifted by whole pixels."""
        return self._pair("shift")[0]

    @property
    def fake_of_shift(self) -> tf.Tensor:
        """The same part of the stylized picture of the shifted content with noise."""
        return self._pair("shift")[1]

    @property
    def warp_of_fake(self) -> tf.Tensor:
        """A part of `fake`, warped, without gradient."""
        return self._pair("warp")[0]

    @property
    def fake_of_warp(self) -> tf.Tensor:
        """The same part of the stylized picture of the warped content in another light and with noise."""
        return self._pair("warp")[1]

    def _pair(self, name: str) -> tuple[tf.Tensor, tf.Tensor]:
        if name not in self._pairs:
            self._pairs[name] = self._disturbed[name]()
        return self._pairs[name]

    def _embeddings(self) -> tuple[tf.Tensor, tf.Tensor]:
        # Not functools.cached_property: in Python 3.11 it has a lock, and threads of replicas would block each other.
        if self._embedded is None:
            fake, style = (self._regularizer(pictures, training=True) for pictures in (self.fake, self.style))
            self._embedded = gathered(fake), gathered(style)
        return self._embedded

    def _maps_of(self, name: str) -> list[tf.Tensor]:
        """Pretrained feature maps of an attribute, which are computed once."""
        if name not in self._maps:
            self._maps[name] = self._features(self._crop(getattr(self, name)))
        return self._maps[name]

    def _mean_grams(self, name: str) -> list[tf.Tensor]:
        grams = [losses.mean_gram(maps)[None] for maps in self._maps_of(name)]
        return [tf.reduce_mean(gathered(gram), axis=0) for gram in grams]

    def _columns(self, name: str) -> tf.Tensor:
        columns = gathered(losses.hypercolumns(self._maps_of(name)))
        return tf.reshape(columns, [-1, columns.shape[-1]])
