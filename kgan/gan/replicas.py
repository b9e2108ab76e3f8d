"""Functions for steps that give the same result on one and on several replicas."""

import tensorflow as tf


def count() -> int:
    """The number of replicas that train in sync."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def gathered(rows: tf.Tensor) -> tf.Tensor:
    """Gather rows of all replicas, with gradients.

    It is a sum over the replicas, in which each has its rows at their position and zeros elsewhere. `all_gather` would
    read the number of rows from the devices, and the host would wait for it in each step.

    Args:
        rows: [N, ...] on each replica.

    Returns:
        [replicas * N, ...], in the order of the replicas.
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
    """The part of this replica, `size` rows, of values for the global batch that are the same on all replicas."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return rows[:size]
    first = context.replica_id_in_sync_group * size
    return rows[first : first + size]


def bad_for_all(gradient: tf.Tensor) -> tf.Tensor:
    """The gradient, made infinite on all replicas if it is NaN or infinite on any of them.

    With collectives, the loss scaling of Keras decides on each replica alone whether to update. A replica that updates
    would wait for ever for one that does not.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return gradient
    good = tf.cast(tf.reduce_all(tf.math.is_finite(gradient)), tf.float32)
    bad = context.all_reduce(tf.distribute.ReduceOp.SUM, 1.0 - good) > 0
    return tf.where(bad, tf.constant(float("inf"), gradient.dtype), gradient)


def assign_everywhere(pairs: list[tuple[tf.Variable, tf.Tensor]], change) -> None:
    """Call `variable.assign(change(variable, value))` on all replicas.

    Args:
        pairs: (variable, value). The value may be a mirrored variable.
        change: a function from the variable and the value to the new value.
    """

    def update(strategy):
        for variable, value in pairs:
            strategy.extended.update(variable, lambda v, new: v.assign(change(v, new)), args=(value,), group=False)

    context = tf.distribute.get_replica_context()
    if context is None:
        update(tf.distribute.get_strategy())
    else:
        context.merge_call(update)
