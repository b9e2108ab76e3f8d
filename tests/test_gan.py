import dataclasses
import functools

import keras
import numpy as np
import pytest
import small_runs
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from kgan import recipes
from kgan.config import TrainConfig
from kgan.export.teacher import load_teacher
from kgan.gan import build_gan
from kgan.gan.player import joined, parted

SMALL = {
    "size": 16,
    "filters": 4,
    "blocks": 1,
    "discriminator_filters": 4,
    "batch_size": 4,
    "steps": 100,
    "learning_rate": 2e-4,
    "content": "photos",
    "style": "paintings",
}
SGD = {"generator_optimizer": "sgd", "discriminator_optimizer": "sgd", "decay": "constant"}
VARIANTS = {
    # fastcut's terms are among cut's, the article's in the variant below.
    **{name: {"recipe": name} for name in recipes.RECIPES if name not in ("article", "fastcut")},
    "contrastive article with an adversarial regularizer": {
        "recipe": "article",
        "regularizer": "adversarial",
        "regularizer_network": "dense",
        "weight": ("nce=1", "nce_identity=1"),
    },
    "wasserstein, identity by contrast alone": {
        "recipe": "paired",
        "adversarial": "wasserstein",
        "weight": ("identity=1", "nce_identity=1"),
        "noise_channels": 2,
    },
    "multiscale": {
        "recipe": "paired",
        "discriminator": "multiscale",
        "weight": ("gram=1", "identity=1"),
        "noise_channels": 2,
    },
}


def settings(**changes):
    if changes.get("recipe") == "distill":
        changes["distill_from"] = small_runs.teacher()
    config = recipes.resolve(TrainConfig(**{**SMALL, **changes}))
    # Few steps, so that the pool begins to swap within the test.
    return dataclasses.replace(config, image_pool=8 if config.image_pool else 0, jit=False, devices=1)


def batches(config, count):
    shape = (config.batch_size, config.size, config.size, config.channels)
    kind = recipes.find(config.recipe).pictures
    keys = [kind] if kind in ("style", "content") else ["content", "style"]
    draw = np.random.default_rng(17)
    return [{key: np.tanh(draw.normal(size=shape)).astype("float32") for key in keys} for _ in range(count)]


def make(config, replicas=1):
    keras.utils.set_random_seed(5)
    strategy = tf.distribute.get_strategy()
    if replicas > 1:
        names = [f"CPU:{index}" for index in range(replicas)]
        strategy = tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())
    with strategy.scope():
        return build_gan(config, load_teacher(config) if config.distill_from else None)


def train(gan, given):
    """`fit` on those global batches."""
    with gan.distribute_strategy.scope():
        stacked = {key: np.concatenate([batch[key] for batch in given]) for key in given[0]}
        dataset = tf.data.Dataset.from_tensor_slices(stacked).batch(gan.config.batch_size, drop_remainder=True)
        gan.fit(dataset, verbose=0, shuffle=False)
    return gan


def weights(*networks):
    return [np.asarray(variable) for network in networks for variable in network.variables]


def same(before, after):
    return all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_two_replicas_train_the_weights_of_one(name):
    config = settings(**VARIANTS[name], **SGD)
    one, two = make(config), make(config, 2)
    given = batches(config, 3)
    for part in (given[:1], given[1:]):  # after one update, and after three
        train(one, part), train(two, part)
        for a, b in zip(weights(one), weights(two), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["paired", "cut"])
def test_a_step_compiled_by_xla_is_the_same_step(recipe):
    disable_op_determinism()  # another test's training may have asked for it, and Keras then compiles nothing
    config = settings(recipe=recipe, **SGD)
    plain, compiled = make(config), make(dataclasses.replace(config, jit=True))
    mirrored = make(dataclasses.replace(config, jit=True), 2)
    assert compiled.jit_compile
    with mirrored.distribute_strategy.scope():
        assert mirrored._compiles_in_replicas
    for gan in (plain, compiled, mirrored):
        train(gan, batches(config, 3))
    for a, b, c in zip(weights(plain), weights(compiled), weights(mirrored), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a, c, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [name for name in recipes.RECIPES if name != "fastcut"])  # its terms are in cut
def test_compiled_bfloat16_losses_follow_those_in_float32(recipe):
    disable_op_determinism()
    losses = {}
    for precision in ("float32", "bfloat16"):
        gan = make(dataclasses.replace(settings(recipe=recipe, precision=precision), jit=True))
        train(gan, batches(gan.config, 4))
        losses[precision] = [float(gan.loss_means[name].result()) for name in gan.loss_names]
    # A generator's hinge loss is a mean of logits of about 1 that nearly cancel.
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.03, atol=0.03)


def test_every_network_of_both_players_moves():
    config = settings(recipe="cyclegan")
    gan = make(config)
    networks = [gan.forward, gan.backward, gan.style_judge, gan.content_judge, gan.stylist]
    before = [weights(network) for network in networks]
    train(gan, batches(config, 1))
    assert not any(same(old, weights(network)) for old, network in zip(before, networks, strict=True))


@pytest.mark.parametrize(
    ("weight", "moves"), [((), True), (("adversarial=0",), True), (("nce=0", "nce_identity=0"), None)], ids=str
)
def test_the_generator_and_what_embeds_its_patches_move_together(weight, moves):
    config = settings(recipe="cut", weight=weight, residual=False)
    gan = make(config)
    assert (gan.patch_embedder is None) == (moves is None)
    networks = [gan.generator, gan.stylist] + ([gan.patch_embedder] if moves else [])
    before = [weights(network) for network in networks]
    train(gan, batches(config, 1))
    assert not any(same(old, weights(network)) for old, network in zip(before, networks, strict=True))
    assert len(weights(gan.stylist)) == len(weights(gan.generator))  # the average has no patches


def test_an_untouched_picture_matches_itself_better_than_one_restyled():
    # With `residual` the first stylized pictures are the content; without, they are noise.
    start = {}
    for residual in (True, False):
        gan = train(make(settings(recipe="fastcut", residual=residual, **SGD)), batches(settings(recipe="fastcut"), 1))
        start[residual] = float(gan.loss_means["nce_loss"].result()) / 10
    assert start[True] < 0.8 * start[False]


@pytest.mark.parametrize(
    ("still", "moving", "changes"),
    [
        ("discriminator", "generator", {"discriminator_learning_rate": 0.0}),
        ("generator", "discriminator", {"learning_rate": 0.0}),
    ],
)
def test_a_players_update_leaves_the_other_still(still, moving, changes):
    config = dataclasses.replace(settings(recipe="paired", **SGD), **changes)
    gan = make(config)
    before = {name: [np.asarray(v) for v in getattr(gan, name).trainable_variables] for name in (still, moving)}
    train(gan, batches(config, 1))
    after = {name: [np.asarray(v) for v in getattr(gan, name).trainable_variables] for name in (still, moving)}
    assert same(before[still], after[still])
    assert not same(before[moving], after[moving])


def test_without_a_moving_average_the_stylist_is_the_generator():
    config = settings(recipe="article", ema=0.0)
    gan = train(make(config), batches(config, 2))
    for a, b in zip(weights(gan.stylist), weights(gan.generator), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_the_moving_average_by_hand():
    # After steps 1 and 2 the decay is min(0.5, (1 + step) / (10 + step)) = 2/11 and 3/12.
    config = settings(recipe="paired", ema=0.5)
    gan = make(config)
    kernel = gan.generator.trainable_variables[0]
    given, seen = batches(config, 2), [np.asarray(kernel)]
    for batch in given:
        train(gan, [batch])
        seen.append(np.asarray(kernel))
    first = 2 / 11 * seen[0] + 9 / 11 * seen[1]
    np.testing.assert_allclose(gan.average.weights[0], 0.25 * first + 0.75 * seen[2], atol=1e-6)


@functools.cache
def article(**symbols):
    """Both players' weights after one update; every symbol is 1 unless given."""
    config = settings(recipe="article", **symbols, **SGD)
    gan = train(make(config), batches(config, 1))
    return {player: weights(getattr(gan, player)) for player in ("generator", "discriminator")}


@pytest.mark.slow
@pytest.mark.parametrize("symbol", ["generator_weight", "discriminator_weight", "wasserstein_weight", "mmd_weight"])
def test_doubling_a_symbol_of_the_article_changes_the_update(symbol):
    player = "generator" if symbol in ("generator_weight", "mmd_weight") else "discriminator"
    assert not same(article()[player], article(**{symbol: 2.0})[player])


def test_flat_weights_are_the_networks_weights_and_back():
    gan = make(settings(recipe="cyclegan"))
    before = weights(gan)
    gan.take_up()
    np.testing.assert_array_equal(joined([v.value for v in gan.maker.weights]), gan.maker.flat.value)
    for value, weight in zip(parted(gan.maker.flat.value, gan.maker.weights), gan.maker.weights, strict=True):
        np.testing.assert_array_equal(value, weight)
    gan.settle()
    assert same(before, weights(gan))
