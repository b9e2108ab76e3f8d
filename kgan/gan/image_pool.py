"""A pool of past stylized pictures, which the discriminator sees again (Shrivastava et al., 2017)."""

import keras
import tensorflow as tf

from kgan.gan.replicas import count, gathered, own_share


class ImagePool(keras.layers.Layer):
    """Exchanges new pictures for older ones. Each is returned either at once or once later; both while the pool fills.

    The pool of the authors processes the pictures of a batch one by one. Here, a whole global batch is exchanged, with
    a different slot for each picture, and random numbers are a function of (seed, step). Each replica has the whole
    pool, so that the result does not depend on the number of replicas. Batches of another size are exchanged too.

    Args:
        size: number of pictures in the pool. It is rounded up to a multiple of the global batch.
        picture_shape: (H, W, C).
        batch_size: number of pictures per step on all replicas, or None if it is unknown.

    Reference: [Learning from simulated and unsupervised images](https://arxiv.org/abs/1612.07828).
    """

    def __init__(self, size: int, picture_shape: tuple[int, int, int], batch_size: int | None, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.size = -(-size // (batch_size or 1)) * (batch_size or 1)
        self.pictures = self.add_weight(
            shape=(self.size, *picture_shape),
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="pictures",
        )
        self.built = True

    def exchange(self, new: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Exchange pictures.

        Args:
            new: new pictures, [N, H, W, C].
            step: number of the step, from 0.
            seed: int32 [2].

        Returns:
            New or old pictures, [N, H, W, C].

        Raises:
            ValueError: for pictures of another size than those in the pool.
        """
        if not new.shape[1:].is_compatible_with(self.pictures.shape[1:]):
            raise ValueError(f"An image pool holds pictures of one size. Received: {tuple(new.shape[1:])} after "
                             f"{tuple(self.pictures.shape[1:])}. Use `image_pool=0` for several sizes.")  # fmt: skip
        batch = gathered(new)
        total = batch.shape[0] or tf.shape(batch)[0]
        filled = tf.cast(step, tf.int32) * total
        filling = filled < self.size
        places = tf.maximum(self.size, total)  # those beyond the pool are for batches that are larger than it
        order = tf.argsort(tf.random.stateless_uniform([places], seed, alg="philox"))
        slots = tf.where(filling, filled + tf.range(total), order[:total])
        swap = tf.random.stateless_uniform([total, 1, 1, 1], seed + 1, alg="philox") < 0.5
        old = tf.gather(self.pictures.value, tf.minimum(slots, self.size - 1))
        is_inside = (slots < self.size)[:, None, None, None]
        shown = tf.where(swap & ~filling & is_inside, old, batch)
        kept = tf.where(swap | filling, batch, old)
        self.pictures.assign(_placed(self.pictures.value, kept, slots))
        return own_share(shown, new.shape[0] or total // count())


def _placed(pool: tf.Tensor, pictures: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
    """Put pictures [N, H, W, C] into the slots [N] of a pool [P, H, W, C].

    Each slot chooses its picture. TensorFlow's scatter took 12 ms for 44 MB on an H100 without XLA.
    """
    hits = tf.range(pool.shape[0])[:, None] == slots  # [P, N]
    new = tf.gather(pictures, tf.argmax(hits, axis=1))
    return tf.where(tf.reduce_any(hits, axis=1)[:, None, None, None], new, pool)
