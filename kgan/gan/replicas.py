"""What a train_step needs to give the same result on one and on many replicas."""

import tensorflow as tf


def count() -> int:
    """Replicas that train in sync."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def across_workers() -> bool:
    """Whether the replicas live in several processes."""
    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)


def gathered(rows: tf.Tensor) -> tf.Tensor:
    """[N, ...] of every replica, joined to [replicas * N, ...] in replica order; gradients flow back.

    A sum over the replicas, where each has its rows in their place and zeros elsewhere: `all_gather` would ask the
    devices for the number of rows, and the host would wait for the answer in every step.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return rows
    own = tf.range(context.num_replicas_in_sync) == context.replica_id_in_sync_group
    own = tf.reshape(own, [-1] + [1] * rows.shape.rank)
    spread = tf.where(own, rows, tf.zeros_like(rows))  # [RN...]
    whole = context.all_reduce(tf.distribute.ReduceOp.SUM, spread)
    return tf.reshape(whole, [-1, *rows.shape[1:]])


def own_share(rows: tf.Tensor, size: int) -> tf.Tensor:
    """This replica's `size` rows of something drawn alike on every replica for the whole global batch."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return rows[:size]
    first = context.replica_id_in_sync_group * size
    return rows[first : first + size]


def bad_for_all(gradient: tf.Tensor) -> tf.Tensor:
    """This replica's gradient; infinite where that of any replica holds NaN or infinity.

    Under collectives, Keras' loss scaling asks each replica alone whether to update. One that does then waits for ever
    for the sum of one that does not.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return gradient
    good = tf.cast(tf.reduce_all(tf.math.is_finite(gradient)), tf.float32)
    bad = context.all_reduce(tf.distribute.ReduceOp.SUM, 1.0 - good) > 0
    return tf.where(bad, tf.constant(float("inf"), gradient.dtype), gradient)


def assign_everywhere(pairs: list[tuple[tf.Variable, tf.Tensor]], change) -> None:
    """`variable.assign(change(variable, value))` on every replica; `value` may be a mirrored variable."""

    def update(strategy):
        for variable, value in pairs:
            strategy.extended.update(variable, lambda v, new: v.assign(change(v, new)), args=(value,), group=False)

    context = tf.distribute.get_replica_context()
    if context is None:
        update(tf.distribute.get_strategy())
    else:
        context.merge_call(update)
