import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
from gan_runs import EXACT, PARITY, SGD, batches, eager, make, same, settings, train, weights

from kgan.assembly import build_optimizer
from kgan.gan.optimizers import LinearDecay
from kgan.gan.player import joined, parted

# Traced and compiled GANs: test_gan_compiled, test_resume.
_eager = pytest.fixture(autouse=True)(eager)

VARIANTS = {
    # projected is in painting; cut and fastcut are in the contrastive article and, with their generator, in painting.
    **{name: {"recipe": name} for name in ("painting", "synthesis")},
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
    "distill, steady": {
        "recipe": "distill",
        "weight": ("equivariance=5", "stability=5"),
        "noise_channels": 2,
    },
    "cyclegan, steady in both directions": {
        "recipe": "cyclegan",
        "weight": ("equivariance=5", "stability=5"),
        "residual": True,
    },
    "multiscale": {
        "recipe": "paired",
        "discriminator": "multiscale",
        "weight": ("gram=1", "identity=1"),
        "noise_channels": 2,
    },
}


QUICK = ("synthesis",)
"""Variants that are compared in a few seconds."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in VARIANTS]
)
def test_two_replicas_train_the_weights_of_one(name):
    config = settings(**VARIANTS[name], **SGD, **EXACT)
    one, two = make(config), make(config, 2)
    # All that an update leaves is compared. Only a pool does something new at the second: it swaps.
    for part in batches(config, 2 if config.image_pool else 1):
        train(one, [part]), train(two, [part])
        for a, b in zip(weights(one), weights(two), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=PARITY)


def test_every_network_of_both_players_moves():
    config = settings(recipe="cyclegan")
    gan = make(config)
    networks = [gan.generator, gan.backward_generator, gan.discriminator, gan.content_discriminator, gan.stylist]
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


@pytest.mark.long
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


@pytest.mark.long
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
    """The weights of both players after an update. All symbols are 1 by default."""
    config = settings(recipe="article", **symbols, **SGD)
    gan = train(make(config), batches(config, 1))
    return {player: weights(getattr(gan, player)) for player in ("generator", "discriminator")}


@pytest.mark.long
@pytest.mark.parametrize("symbol", ["generator_weight", "discriminator_weight", "wasserstein_weight", "mmd_weight"])
def test_doubling_a_symbol_of_the_article_changes_the_update(symbol):
    player = "generator" if symbol in ("generator_weight", "mmd_weight") else "discriminator"
    assert not same(article()[player], article(**{symbol: 2.0})[player])


def test_flat_weights_are_the_networks_weights_and_back():
    gan = make(settings(recipe="cyclegan"))
    before = weights(gan)
    gan.load_flat()
    np.testing.assert_array_equal(
        joined([v.value for v in gan.generator_player.weights]), gan.generator_player.flat.value
    )
    for value, weight in zip(
        parted(gan.generator_player.flat.value, gan.generator_player.weights), gan.generator_player.weights, strict=True
    ):
        np.testing.assert_array_equal(value, weight)
    gan.store_flat()
    assert same(before, weights(gan))


@pytest.mark.parametrize("recipe", ["mmd", "cyclegan"])
@pytest.mark.parametrize("wrap", [lambda step: step, tf.function], ids=["eager", "traced"])
def test_a_step_of_weights_that_were_not_loaded_is_refused(recipe, wrap):
    """It would train the zeros that the flat variables hold, and end in NaN."""
    config = settings(recipe=recipe)
    gan = make(config)
    before = weights(gan)
    with pytest.raises(RuntimeError, match=r"call load_flat\(\) before the first step"):
        wrap(gan.train_step)(batches(config, 1)[0])
    assert same(before, weights(gan))


def test_the_learning_rate_falls_in_the_second_half_and_a_longer_schedule_starts_anew():
    def rates(at, **changes):
        optimizer = build_optimizer(settings(learning_rate=2.0, decay="linear", **changes), "generator")
        saved = optimizer.get_config()["learning_rate"]["config"]
        return [float(LinearDecay.from_config(saved)(step)) for step in at]

    assert rates([0, 5, 6, 9, 10, 11], steps=10) == pytest.approx([2, 2, 1.6, 0.4, 0, 0])
    # From step 6 to 14: four at the full rate, then a quarter less each.
    assert rates([6, 10, 11, 13, 14], steps=14, extended_at=6) == pytest.approx([2, 2, 1.5, 0.5, 0])
    assert rates([9, 10], steps=10, extended_at=9) == [2, 0]  # a schedule of one step


@pytest.mark.parametrize("precision", ["float32", "float16"])  # in float16 the optimizer is inside another
def test_a_schedule_is_shortened_in_a_step_that_is_traced_already(precision):
    gan = make(settings(recipe="paired", learning_rate=2.0, decay="linear", steps=100, precision=precision))
    optimizers = [
        getattr(each, "inner_optimizer", each)
        for each in (gan.generator_player.optimizer, gan.discriminator_player.optimizer)
    ]
    tf.config.run_functions_eagerly(False)
    rates = tf.function(lambda step: [each._learning_rate(step) for each in optimizers])
    assert [float(rate) for rate in rates(tf.constant(8))] == [2, 2]
    gan.shorten_schedule(10)
    assert [float(rate) for rate in rates(tf.constant(8))] == pytest.approx([0.8, 0.8])
