import numpy as np
import pytest
import tensorflow as tf

from kgan.gan.image_pool import ImagePool


def numbered(first, count):
    """Pictures whose pixels are all equal to their number, from 1."""
    return tf.reshape(tf.range(first, first + count, dtype=tf.float32), (count, 1, 1, 1)) * tf.ones((1, 2, 2, 3))


def exchange_many(pool, batch_size, steps, seed=0):
    """The numbers of the pictures that the pool returned at each step."""
    exchange = tf.function(pool.exchange)
    shown = []
    for step in range(steps):
        out = exchange(
            numbered(1 + step * batch_size, batch_size), tf.constant(step, tf.int64), tf.constant([seed, step])
        )
        shown.append([int(picture[0, 0, 0]) for picture in out.numpy()])
    return shown


@pytest.mark.parametrize(("size", "batch_size"), [(4, 1), (6, 2), (5, 4), (2, 4)])
def test_invents_nothing_and_shows_no_picture_a_third_time(size, batch_size):
    steps = 60
    shown = exchange_many(ImagePool(size, (2, 2, 3), batch_size), batch_size, steps)
    seen = [number for step in shown for number in step]
    assert len(seen) == steps * batch_size
    for step, numbers in enumerate(shown):
        assert all(1 <= number <= (step + 1) * batch_size for number in numbers)
        assert len(set(numbers)) == batch_size
    assert max(np.bincount(seen)) <= 2


@pytest.mark.parametrize(("size", "batch_size", "first"), [(4, 3, 1), (6, 4, 5), (2, 5, 2), (3, 3, None)])
def test_takes_batches_of_another_size_than_the_first(size, batch_size, first):
    shown = exchange_many(ImagePool(size, (2, 2, 3), first), batch_size, 60)
    seen = [number for step in shown for number in step]
    assert len(seen) == 60 * batch_size
    assert min(seen) > 0
    assert max(np.bincount(seen)) == 2


def test_pictures_of_another_size_are_an_error():
    with pytest.raises(ValueError, match="one size"):
        ImagePool(4, (4, 2, 3), 2).exchange(numbered(1, 2), tf.constant(0, tf.int64), tf.constant([0, 0]))


def test_shows_new_pictures_while_it_fills_then_about_half_old_ones():
    shown = exchange_many(ImagePool(8, (2, 2, 3), 2), 2, 300)
    assert [number for step in shown[:4] for number in step] == list(range(1, 9))
    new = np.mean([[number > step * 2 for number in numbers] for step, numbers in enumerate(shown) if step >= 4])
    assert 0.42 < new < 0.58


def test_is_a_function_of_seed_and_step():
    first, again, other = (exchange_many(ImagePool(4, (2, 2, 3), 2), 2, 30, seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_size_is_rounded_up_to_whole_batches():
    assert ImagePool(50, (2, 2, 3), 8).size == 56


def test_two_replicas_show_what_one_would():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())
    with strategy.scope():
        pool = ImagePool(8, (2, 2, 3), 4)

    @tf.function
    def step(pictures, number):
        return strategy.run(pool.exchange, args=(pictures, number, tf.stack([0, tf.cast(number, tf.int32)])))

    got = []
    for number in range(20):
        whole = numbered(1 + number * 4, 4)
        halves = strategy.experimental_distribute_values_from_function(
            lambda context, whole=whole: whole[context.replica_id_in_sync_group * 2 :][:2]
        )
        parts = strategy.experimental_local_results(step(halves, tf.constant(number, tf.int64)))
        got.append([int(picture[0, 0, 0]) for part in parts for picture in part.numpy()])
    assert got == exchange_many(ImagePool(8, (2, 2, 3), 4), 4, 20)
