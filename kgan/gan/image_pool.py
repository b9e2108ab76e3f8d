"""A memory of past stylized pictures, so that the discriminator does not forget (Shrivastava et al., 2017)."""

import keras
import tensorflow as tf

from kgan.gan.replicas import count, gathered, own_share


class ImagePool(keras.layers.Layer):
    """Swaps new pictures for older ones: each is shown at once or once later, or both while the pool fills.

    Differs from the authors' pool, which walks through the batch: a whole global batch is exchanged at a time, each
    picture with a slot of its own, and all randomness is a function of (seed, step). Every replica holds the whole
    pool, so that the result does not depend on their number.

    Args:
        size: pictures kept; rounded up to a multiple of the global batch.
        picture_shape: (H, W, C).
        batch_size: pictures per step over all replicas.

    Reference: [Learning from simulated and unsupervised images](https://arxiv.org/abs/1612.07828).
    """

    def __init__(self, size: int, picture_shape: tuple[int, int, int], batch_size: int, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.size = -(-size // batch_size) * batch_size
        self.pictures = self.add_weight(
            shape=(self.size, *picture_shape),
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="pictures",
        )
        self.built = True

    def exchange(self, new: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """New pictures [N, H, W, C] in, as many out: new or old. `step` counts from 0; `seed` is an int pair."""
        batch = gathered(new)
        total = batch.shape[0] or tf.shape(batch)[0]
        filled = tf.cast(step, tf.int32) * total
        filling = filled < self.size
        order = tf.argsort(tf.random.stateless_uniform([self.size], seed, alg="philox"))
        slots = tf.where(filling, filled + tf.range(total), order[:total])
        swap = tf.random.stateless_uniform([total, 1, 1, 1], seed + 1, alg="philox") < 0.5
        old = tf.gather(self.pictures.value, slots)
        shown = tf.where(swap & ~filling, old, batch)
        kept = tf.where(swap | filling, batch, old)
        self.pictures.assign(_placed(self.pictures.value, kept, slots))
        return own_share(shown, new.shape[0] or total // count())


def _placed(pool: tf.Tensor, pictures: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
    """The pool [P, H, W, C] with pictures [N, H, W, C] in its slots [N].

    Written as a choice for each slot: TensorFlow's scatter took 12 ms for 44 MB on an H100, outside XLA.
    """
    hits = tf.range(pool.shape[0])[:, None] == slots  # [P, N]
    new = tf.gather(pictures, tf.argmax(hits, axis=1))
    return tf.where(tf.reduce_any(hits, axis=1)[:, None, None, None], new, pool)
