import numpy as np
import pytest
import tensorflow as tf

from kgan import losses
from kgan.gan import replicas
from kgan.gan.loss_inputs import LossInputs


@pytest.fixture
def two():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())


def run_on(strategy, function, rows):
    """Run `function` on each replica's part of `rows`, in a tf.function. Returns the results of the replicas."""
    size = len(rows) // strategy.num_replicas_in_sync
    shares = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(
            rows[context.replica_id_in_sync_group * size : (context.replica_id_in_sync_group + 1) * size]
        )
    )
    result = tf.function(lambda share: strategy.run(function, args=(share,)))(shares)
    return [np.asarray(part) for part in strategy.experimental_local_results(result)]


def test_gathered_joins_in_replica_order(two):
    rows = np.arange(8, dtype="float32").reshape(4, 2)
    for whole in run_on(two, replicas.gathered, rows):
        np.testing.assert_array_equal(whole, rows)


def test_gradient_through_gathered_is_that_of_the_whole(two):
    # L = (sum of all rows)^2, each replica's share of it being L / 2; dL/drow = 2 * sum = 2 * 10 = 20.
    rows = np.array([[1.0], [2.0], [3.0], [4.0]], "float32")

    def gradient(share):
        with tf.GradientTape() as tape:
            tape.watch(share)
            loss = tf.reduce_sum(replicas.gathered(share)) ** 2 / replicas.count()
        return tape.gradient(loss, share)

    for part in run_on(two, gradient, rows):
        np.testing.assert_allclose(part, 20.0)


def test_earth_mover_looks_for_the_nearest_position_in_the_whole_batch(two):
    def loss(share):
        inputs = LossInputs(
            share, share**2, features=lambda pictures: [pictures, tf.nn.avg_pool2d(pictures, 2, 2, "VALID")]
        )
        return losses.earth_mover_loss(inputs.style_columns, inputs.fake_columns)

    pictures = np.random.default_rng(0).standard_normal((4, 6, 6, 3)).astype("float32")
    whole = float(loss(tf.constant(pictures)))
    for part in run_on(two, loss, pictures):
        np.testing.assert_allclose(part, whole, rtol=1e-5)
    assert float(loss(tf.constant(pictures[:2]))) != pytest.approx(whole, rel=1e-3)  # half of it has other neighbours


def test_a_gradient_that_is_bad_on_one_replica_is_bad_on_all(two):
    assert [np.isfinite(part).all() for part in run_on(two, replicas.bad_for_all, np.ones((4, 1), "float32"))] == [
        True
    ] * 2
    parts = run_on(two, replicas.bad_for_all, np.array([[1.0], [np.nan], [1.0], [1.0]], "float32"))
    assert all(np.isinf(part).all() for part in parts)


def test_own_share_splits_what_all_replicas_drew_alike(two):
    drawn = tf.random.stateless_normal([4, 3], [1, 2])
    parts = run_on(two, lambda share: replicas.own_share(drawn, share.shape[0]), np.zeros((4, 1), "float32"))
    np.testing.assert_array_equal(np.concatenate(parts), drawn)


def test_assign_everywhere_reaches_every_replica(two):
    with two.scope():
        average, weight = tf.Variable(0.0), tf.Variable(8.0)

    def step(share):
        replicas.assign_everywhere([(average, weight)], lambda a, w: 0.5 * a + 0.5 * w)
        return share

    run_on(two, step, np.zeros((2, 1), "float32"))
    run_on(two, step, np.zeros((2, 1), "float32"))
    # 0 -> 4 -> 6
    assert [float(v) for v in two.experimental_local_results(average)] == [6.0, 6.0]
