import math

import numpy as np
import pytest
import tensorflow as tf
from skimage.metrics import structural_similarity

from kgan import kinds, losses

REAL, FAKE = [2.0, -1.0, 0.5, 0.0], [1.0, -2.0, 0.0, 3.0]

# softplus(x) = log(1 + e^x). By hand, over the four logits above:
SOFTPLUS_MINUS_REAL = (0.126928 + 1.313262 + 0.474077 + 0.693147) / 4  # 0.6518535
SOFTPLUS_FAKE = (1.313262 + 0.126928 + 0.693147 + 3.048587) / 4  # 1.295481
SOFTPLUS_MINUS_FAKE = (0.313262 + 2.126928 + 0.693147 + 0.048587) / 4  # 0.795481
EXPECTED = {
    "cross_entropy": (SOFTPLUS_MINUS_REAL + SOFTPLUS_FAKE, SOFTPLUS_MINUS_FAKE),
    # D: 0.5 * ((1 + 4 + 0.25 + 1) / 4 + (1 + 4 + 0 + 9) / 4); G: (0 + 9 + 1 + 4) / 4
    "least_squares": (0.5 * (1.5625 + 3.5), 3.5),
    # D: (0 + 2 + 0.5 + 1) / 4 + (2 + 0 + 1 + 4) / 4; G: -(1 - 2 + 0 + 3) / 4
    "hinge": (0.875 + 1.75, -0.5),
    # D: 2 / 4 - 1.5 / 4
    "wasserstein": (0.125, -0.5),
    "article": (SOFTPLUS_MINUS_REAL + 0.125, SOFTPLUS_MINUS_FAKE),
}


def logits(values, shape=(4,)):
    return tf.reshape(tf.constant(values), shape)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (1, 2, 2, 1)], ids=str)
@pytest.mark.parametrize("name", sorted(kinds.ADVERSARIAL))
def test_adversarial_value_whatever_the_patch_shape(name, shape):
    pair = losses.adversarial_loss(name)
    got = (pair.discriminator(logits(REAL, shape), logits(FAKE, shape)), pair.generator(logits(FAKE, shape)))
    np.testing.assert_allclose(got, EXPECTED[name], atol=2e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("name", sorted(kinds.ADVERSARIAL))
def test_adversarial_losses_and_gradients_are_finite_float32_for_large_logits(name, dtype):
    extreme = tf.cast([3e4, -3e4, 0.0], dtype)
    with tf.GradientTape() as tape:
        tape.watch(extreme)
        pair = losses.adversarial_loss(name)
        d_loss, g_loss = pair.discriminator(extreme, -extreme), pair.generator(extreme)
        total = d_loss + g_loss
    assert d_loss.dtype == g_loss.dtype == tf.float32
    assert np.isfinite(total)
    assert np.isfinite(tf.cast(tape.gradient(total, extreme), tf.float32)).all()


def test_article_discriminator_loss_with_the_articles_symbols():
    # D_weight 2, LAMBDA 3: 2 * 0.6518535 + 3 * (0.5 - 0.375)
    value = losses.adversarial_loss("article").discriminator(
        logits(REAL), logits(FAKE), discriminator_weight=2.0, wasserstein_weight=3.0
    )
    assert float(value) == pytest.approx(2 * SOFTPLUS_MINUS_REAL + 3 * 0.125, abs=1e-5)


@pytest.mark.parametrize("symbol", ["discriminator_weight", "wasserstein_weight"])
def test_doubling_a_symbol_changes_the_articles_loss_and_its_gradient(symbol):
    def value_and_gradient(**weights):
        real = tf.constant(REAL)
        with tf.GradientTape() as tape:
            tape.watch(real)
            value = losses.adversarial_loss("article").discriminator(real, logits(FAKE), **weights)
        return float(value), tape.gradient(value, real).numpy()

    (value, gradient), (doubled, doubled_gradient) = value_and_gradient(), value_and_gradient(**{symbol: 2.0})
    assert abs(doubled - value) > 0.1
    assert np.abs(doubled_gradient - gradient).max() > 0.01


def test_over_scales_is_the_mean_of_the_scales_values():
    # Hinge D at scale 1: logits 0 and 0 -> 1 + 1; at scale 2: real 3, fake -0.5 -> 0 + 0.5; mean 1.25
    scaled = losses.over_scales(losses.adversarial_loss("hinge").discriminator)
    real, fake = [tf.zeros([2, 4, 4, 1]), tf.fill([2, 2, 2, 1], 3.0)], [tf.zeros([2, 4, 4, 1]), tf.fill([2, 2], -0.5)]
    assert float(scaled(real, fake)) == pytest.approx(1.25)
    assert float(scaled(real[0], fake[0])) == pytest.approx(2.0)


def test_over_scales_passes_weights_on_and_refuses_unequal_lists():
    article = losses.over_scales(losses.adversarial_loss("article").discriminator)
    assert float(article([tf.zeros(2)], [tf.ones(2)], wasserstein_weight=2.0)) == pytest.approx(math.log(2) + 2.0)
    with pytest.raises(ValueError, match="zip"):
        article([tf.zeros(2)], [tf.ones(2), tf.ones(2)])


@pytest.mark.parametrize("shape", [(3,), (3, 1, 1, 1)], ids=str)
def test_gradient_penalty_of_a_linear_discriminator(shape):
    # D = 2 * sum(x) over 2x2x1 pixels: |gradient| = sqrt(4 * 2^2) = 4 everywhere, (4 - 1)^2 = 9
    def discriminator(x, training):
        return [2.0 * tf.reduce_sum(x, axis=(1, 2, 3))[:, None]]

    epsilon = tf.fill(shape, 0.3)
    penalty = losses.gradient_penalty(discriminator, tf.zeros([3, 2, 2, 1]), tf.ones([3, 2, 2, 1]), epsilon)
    assert float(penalty) == pytest.approx(9.0, rel=1e-5)


def test_gradient_penalty_looks_between_the_pictures_and_means_over_patches_and_scales():
    # D = mean of two patches (x^2 and 0) and of two scales (that, and x): (x^2 / 2 + x) / 2, slope (x + 1) / 2.
    # real 3, fake 1, epsilon 0.75: x = 2.5, slope 1.75, (1.75 - 1)^2 = 0.5625
    def discriminator(x, training):
        x = x[:, 0, 0, :]
        return [tf.concat([x**2, 0.0 * x], axis=1), x]

    penalty = losses.gradient_penalty(discriminator, tf.fill([2, 1, 1, 1], 3.0), tf.ones([2, 1, 1, 1]), [0.75, 0.75])
    assert float(penalty) == pytest.approx(0.5625, rel=1e-5)


def test_gradient_penalty_has_a_finite_gradient_where_the_slope_is_zero():
    weight = tf.Variable(0.0)

    def discriminator(x, training):
        return weight * tf.reduce_sum(x, axis=(1, 2, 3))

    with tf.GradientTape() as tape:
        penalty = losses.gradient_penalty(discriminator, tf.zeros([2, 2, 2, 1]), tf.ones([2, 2, 2, 1]), [0.5, 0.5])
    assert float(penalty) == pytest.approx(1.0, rel=1e-5)
    assert np.isfinite(tape.gradient(penalty, weight))


# --- perceptual ---------------------------------------------------------------------------------------------------


def two_pictures(shape, seed=0):
    random = np.random.default_rng(seed)
    picture = random.uniform(-1, 1, shape).astype("float32")
    return picture, np.clip(picture + random.normal(0, 0.3, shape), -1, 1).astype("float32")


@pytest.mark.parametrize("shape", [(40, 56, 3), (16, 16, 3), (13, 24, 1), (20, 12, 4)], ids=str)
def test_ssim_loss_agrees_with_scikit_image(shape):
    picture, other = (one.astype("float64") for one in two_pictures(shape))
    expected = structural_similarity(
        (picture + 1) / 2, (other + 1) / 2, data_range=1.0, channel_axis=-1,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    got = losses.ssim_loss(*(tf.constant(one[None], tf.float64) for one in (picture, other)))
    assert float(got) == pytest.approx(1 - expected, abs=1e-12)


def test_ssim_loss_by_hand_on_flat_pictures():
    # Light 0.25 against 0.75, no variance: luminance (2 * 0.1875 + 1e-4) / (0.0625 + 0.5625 + 1e-4), contrast 1
    expected = 1 - 0.3751 / 0.6251
    value = losses.ssim_loss(tf.fill([1, 12, 12, 3], -0.5), tf.fill([1, 12, 12, 3], 0.5))
    assert float(value) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("side", [4, 8, 11])
def test_ssim_loss_of_small_pictures_is_zero_for_equal_and_larger_for_others(side):
    picture, other = (tf.constant(one, tf.float64) for one in two_pictures((2, side, side, 3)))
    assert float(losses.ssim_loss(picture, picture)) == pytest.approx(0.0, abs=1e-12)
    assert 0.05 < float(losses.ssim_loss(picture, other)) < 2.0


@pytest.mark.parametrize("light", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("other", [-1.0, 0.3])
def test_ssim_loss_has_finite_gradients_on_flat_pictures(light, other):
    picture = tf.fill([1, 16, 16, 3], light)
    with tf.GradientTape() as tape:
        tape.watch(picture)
        value = losses.ssim_loss(tf.fill([1, 16, 16, 3], other), picture)
    assert np.isfinite(value)
    assert np.isfinite(tape.gradient(value, picture)).all()


def test_ssim_loss_compiles_and_is_float32_for_half_precision_pictures():
    picture, other = two_pictures((2, 16, 16, 3))
    half = [tf.cast(x, tf.bfloat16) for x in (picture, other)]
    value = tf.function(losses.ssim_loss, jit_compile=True)(*half)
    assert value.dtype == tf.float32
    assert float(value) == pytest.approx(float(losses.ssim_loss(picture, other)), abs=0.02)


def test_feature_loss_by_hand():
    # Layer 1: (|1 - 0| + |2 - 4|) / 2 = 1.5; layer 2: |5 - 4.5| = 0.5; mean 1.0
    expected = [tf.reshape([1.0, 2.0], [1, 1, 2, 1]), tf.reshape([5.0], [1, 1, 1, 1])]
    got = [tf.reshape([0.0, 4.0], [1, 1, 2, 1]), tf.reshape([4.5], [1, 1, 1, 1])]
    assert float(losses.feature_loss(expected, got)) == pytest.approx(1.0)


def test_deep_feature_loss_is_that_of_the_last_map():
    got = [tf.zeros([1, 4, 4, 2]), tf.constant([[[[1.0, -3.0]]]])]
    expected = [tf.ones([1, 4, 4, 2]), tf.zeros([1, 1, 1, 2])]
    assert float(losses.deep_feature_loss(expected, got)) == pytest.approx(2.0)


def test_gram_matrix_by_hand():
    # Two places with features (1, 2) and (3, -1): mean of outer products [[1, 2], [2, 4]] and [[9, -3], [-3, 1]]
    maps = tf.reshape([1.0, 2.0, 3.0, -1.0], [1, 1, 2, 2])
    np.testing.assert_allclose(losses.gram_matrix(maps), [[[5.0, -0.5], [-0.5, 2.5]]])


def test_gram_loss_by_hand_and_blind_to_place_and_size():
    maps = tf.reshape([1.0, 2.0, 3.0, -1.0], [1, 1, 2, 2])
    gram = losses.mean_gram(maps)
    # Against zeros: (25 + 0.25 + 0.25 + 6.25) / 4
    assert float(losses.gram_loss([gram], [tf.zeros([2, 2])])) == pytest.approx(7.9375)
    shuffled_and_repeated = tf.tile(maps[:, :, ::-1], [1, 3, 1, 1])
    assert float(losses.gram_loss([gram], [losses.mean_gram(shuffled_and_repeated)])) == pytest.approx(0.0, abs=1e-9)


def test_relative_gram_loss_is_blind_to_the_scale_of_a_layer():
    ones = tf.constant([[2.0, 0.0], [0.0, 0.0]])
    other = tf.constant([[0.0, 0.0], [0.0, 1.0]])
    # |x - y|^2 / (|x|^2 + |y|^2): 5 / 5 without common features, (2 - 1)^2 / (4 + 1) for half the energy
    assert float(losses.relative_gram_loss([ones], [other])) == pytest.approx(1.0)
    assert float(losses.relative_gram_loss([ones, other], [ones / 2, other])) == pytest.approx((1 / 5 + 0) / 2)
    assert float(losses.relative_gram_loss([1e3 * ones], [1e3 * ones / 2])) == pytest.approx(1 / 5)
    assert float(losses.relative_gram_loss([0 * ones], [0 * ones])) == 0.0


def test_the_mean_gram_is_of_all_pictures_of_a_batch():
    one, other = (tf.random.stateless_normal([1, 3, 4, 2], [seed, 0]) for seed in (1, 2))
    both = losses.mean_gram(tf.concat([one, other], 0))
    np.testing.assert_allclose(both, (losses.gram_matrix(one) + losses.gram_matrix(other))[0] / 2, rtol=1e-6)


# --- positions --------------------------------------------------------------------------------------------------------


def test_hypercolumns_join_the_layers_at_the_middle_of_each_coarse_position():
    fine = tf.reshape(tf.range(16.0), [1, 4, 4, 1])  # rows 0 1 2 3, 4 5 6 7, ...
    coarse = tf.reshape([10.0, 20.0, 30.0, 40.0], [1, 2, 2, 1])
    got = losses.hypercolumns([fine, coarse])
    np.testing.assert_array_equal(got[0], [[[5, 10], [7, 20]], [[13, 30], [15, 40]]])


def test_hypercolumns_of_sides_that_are_no_multiples():
    # As after poolings of 2x2 without a border: 7 -> 3 -> 1
    got = losses.hypercolumns([tf.zeros([2, 7, 7, 4]), tf.zeros([2, 3, 3, 8]), tf.zeros([2, 1, 1, 16])])
    assert got.shape == (2, 1, 1, 28)


def test_earth_mover_by_hand():
    style, got = tf.constant([[1.0, 0.0], [0.0, 2.0]]), tf.constant([[3.0, 0.0], [1.0, 1.0]])
    # Cosine distances of (3, 0): 0, 1; of (1, 1): 1 - 1/sqrt(2) both. Each way, the nearest are 0 and 0.2929.
    assert float(losses.earth_mover_loss(style, got)) == pytest.approx((1 - math.sqrt(0.5)) / 2, abs=1e-6)
    # All stylized positions are in the style, but half of the style is not used: distances 0 and 1.
    assert float(losses.earth_mover_loss(style, got[:1])) == pytest.approx(0.5, abs=1e-6)
    # The other way round, half of the stylized positions resemble nothing in the style.
    assert float(losses.earth_mover_loss(got[:1], style)) == pytest.approx(0.5, abs=1e-6)
    assert float(losses.earth_mover_loss(style, -style)) == pytest.approx(1.0, abs=1e-6)


def test_earth_mover_is_blind_to_the_order_and_the_length_of_features():
    style = tf.random.stateless_normal([50, 7], [1, 2])
    assert float(losses.earth_mover_loss(style, 3.0 * style[::-1])) == pytest.approx(0.0, abs=1e-6)


def test_earth_mover_against_numpy():
    style, got = (np.random.default_rng(seed).standard_normal((count, 5)) for seed, count in ((1, 30), (2, 20)))
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (got, style)]
    distances = 1 - unit[0] @ unit[1].T
    expected = max(distances.min(axis=1).mean(), distances.min(axis=0).mean())
    assert float(losses.earth_mover_loss(style, got)) == pytest.approx(expected, abs=1e-6)


def test_self_similarity_by_hand():
    # Three positions. Distances before: 1 to 2 and 3, and 0 between these. After: 1 to 2, and 0 from 3 to 1.
    before = tf.reshape([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [1, 1, 3, 2])
    after = tf.reshape([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [1, 1, 3, 2])
    # Shares in the columns: (0, .5, .5), (1, 0, 0), (1, 0, 0) before; (0, 1, 0), (.5, 0, .5), (0, 1, 0) after
    assert float(losses.self_similarity_loss([before], [after])) == pytest.approx((1 + 1 + 2) / 3, abs=1e-4)
    assert float(losses.self_similarity_loss([before], [before])) == 0.0


def test_self_similarity_is_blind_to_colours_that_change_alike():
    maps = tf.random.stateless_normal([2, 3, 4, 6], [3, 4])
    turned = tf.linalg.qr(tf.random.stateless_normal([6, 6], [5, 6])).q
    other = 2.0 * tf.einsum("nhwc,cd->nhwd", maps, turned)
    assert float(losses.self_similarity_loss([maps], [other])) == pytest.approx(0.0, abs=1e-5)
    assert float(losses.self_similarity_loss([maps], [maps[:, ::-1]])) > 0.01


def test_terms_on_positions_have_finite_gradients_on_flat_pictures():
    flat = tf.zeros([1, 4, 4, 3])
    with tf.GradientTape() as tape:
        tape.watch(flat)
        columns = tf.reshape(losses.hypercolumns([flat]), [-1, 3])
        total = losses.earth_mover_loss(tf.ones([5, 3]), columns) + losses.self_similarity_loss([flat + 1], [flat])
    assert np.isfinite(tape.gradient(total, flat)).all()


# --- consistency --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pixel_loss", "cycle_loss", "identity_loss"])
def test_l1_losses_by_hand(name):
    # (|1 - 0.5| + |-1 - 0| + |0 - 0| + |0.25 + 0.25|) / 4
    x, y = (tf.reshape(v, [1, 2, 2, 1]) for v in ([1.0, -1.0, 0.0, 0.25], [0.5, 0.0, 0.0, -0.25]))
    assert float(getattr(losses, name)(x, y)) == pytest.approx(0.5)
    assert getattr(losses, name)(tf.cast(x, tf.float16), tf.cast(y, tf.float16)).dtype == tf.float32


def test_total_variation_by_hand():
    # [[0, 1], [3, -1]]: down |3 - 0|, |-1 - 1| -> 2.5; right |1 - 0|, |-1 - 3| -> 2.5
    picture = tf.reshape([0.0, 1.0, 3.0, -1.0], [1, 2, 2, 1])
    assert float(losses.total_variation_loss(picture)) == pytest.approx(5.0)
    assert float(losses.total_variation_loss(tf.ones([2, 5, 4, 3]))) == 0.0


def test_smoothness_by_hand():
    # Four cells of 2x2; a step of 1 to the right, none down. The content has none there, or one of 0.1: exp(-10 * 0.1).
    step = tf.tile(tf.reshape([0.0, 0.0, 1.0, 1.0], [1, 1, 4, 1]), [1, 4, 1, 3])
    even = tf.zeros([1, 4, 4, 3])
    assert float(losses.smoothness_loss(even, step, cell=2)) == pytest.approx(1.0)
    assert float(losses.smoothness_loss(0.1 * step, step, cell=2)) == pytest.approx(np.exp(-1.0))
    turned = tf.transpose(step, [0, 2, 1, 3])
    assert float(losses.smoothness_loss(0.1 * turned, turned, cell=2)) == pytest.approx(np.exp(-1.0))
    assert float(losses.smoothness_loss(step, even, cell=2)) == 0.0
    # Cells of 8, the default, would be larger than the picture.
    assert float(losses.smoothness_loss(even, step)) == pytest.approx(1.0)


def test_smoothness_is_blind_to_strokes_within_a_cell():
    strokes = tf.tile(tf.reshape([0.0, 1.0, 1.0, 0.0], [1, 2, 2, 1]), [1, 8, 8, 3])
    assert float(losses.smoothness_loss(tf.zeros_like(strokes), strokes)) == 0.0
    assert float(losses.total_variation_loss(strokes)) == pytest.approx(2.0)


def test_fine_smoothness_by_hand():
    # A net: every step across is 1, none down. Where the content has steps of 0.1 too, it counts by exp(-10 * 0.1).
    net = tf.tile(tf.reshape([0.0, 1.0, 0.0, 1.0], [1, 1, 4, 1]), [1, 4, 1, 3])
    assert float(losses.fine_smoothness_loss(tf.zeros_like(net), net)) == pytest.approx(1.0)
    assert float(losses.fine_smoothness_loss(0.1 * net, net)) == pytest.approx(np.exp(-1.0))
    assert float(losses.smoothness_loss(tf.zeros_like(net), net, cell=2)) == 0.0


# --- orientation ------------------------------------------------------------------------------------------------------


def stripes(right, down, side=17):
    """A wave whose gradient has the direction (right, down), [1, side, side, 3]."""
    y, x = np.mgrid[:side, :side]
    return tf.constant(np.repeat(np.sin(right * x + down * y)[None, ..., None], 3, axis=-1), tf.float32)


@pytest.mark.parametrize(
    ("got", "value"),
    [
        (stripes(0.5, 0.0), 0.0),  # along the lines
        (-0.3 * stripes(0.9, 0.0), 0.0),  # whatever their contrast and width
        (stripes(0.0, 0.5), 1.0),  # across
        (stripes(0.5, 0.5), 0.5),  # at 45 degrees
        (tf.zeros([1, 17, 17, 3]), 0.5),  # nothing
    ],
)
def test_orientation_by_hand(got, value):
    assert float(losses.orientation_loss(stripes(0.7, 0.0), got)) == pytest.approx(value, abs=1e-3)


def test_orientation_has_no_cost_and_a_finite_gradient_where_the_content_is_flat():
    flat, got = tf.zeros([1, 17, 17, 3]), tf.Variable(stripes(0.5, 0.2))
    with tf.GradientTape() as tape:
        loss = losses.orientation_loss(flat, got)
    assert float(loss) == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(tape.gradient(loss, got)).all()
    random = tf.random.stateless_uniform([1, 65, 65, 3], [1, 2], -1.0, 1.0)
    assert float(losses.orientation_loss(random, stripes(0.5, 0.2, 65))) < 0.1  # grain has no direction


# --- palette ----------------------------------------------------------------------------------------------------------


def test_the_palette_of_a_set_weighs_its_pictures_alike():
    # The first picture is one pixel of 0, the second two pixels of 1 and 3: means 0 and 2, together 1. Squared
    # distances to 1: 1, and (0 + 4) / 2.
    palette = losses.palette_of([np.array([[0.0]]), np.array([[1.0], [3.0]])])
    assert palette.mean == [1.0]
    assert palette.covariance == [[1.5]]
    np.testing.assert_allclose([palette.low, palette.high], [[0.02], [2.96]])  # between 0 and 1, and between 1 and 3


def test_the_transport_map_by_hand():
    # Independent channels of variances 1/16 and 1/4 become those of 1/4 and 1/4: factors 2 and 1.
    content = losses.Palette(np.array([0.0, 0.5]), np.diag([1 / 16, 1 / 4]), *np.zeros((2, 2)))
    style = losses.Palette(np.array([0.5, 0.0]), np.diag([1 / 4, 1 / 4]), np.array([-1.0, -0.5]), np.array([0.8, 0.9]))
    transport = losses.transport_map(content, style)
    np.testing.assert_allclose(transport, [[2, 0], [0, 1], [0.5, -0.5], [-1, -0.5], [0.8, 0.9]], atol=1e-3)


def test_the_transport_map_gives_one_set_mean_and_covariance_of_the_other_and_leaves_a_set_as_it_is():
    random = np.random.default_rng(0)
    content, style = (losses.palette_of([random.normal(0.1, 0.3, (90, 3)) @ random.normal(size=(3, 3))]) for _ in "ab")
    transport = losses.transport_map(content, style)
    matrix = transport[:3]
    np.testing.assert_allclose(content.mean @ matrix + transport[3], style.mean, atol=1e-9)
    np.testing.assert_allclose(matrix @ content.covariance @ matrix, style.covariance, atol=1e-3)
    assert np.linalg.eigvalsh(matrix).min() > 0  # hues are not turned round
    np.testing.assert_allclose(losses.transport_map(style, style)[:4], [*np.eye(3), np.zeros(3)], atol=1e-6)


def test_gray_sets_have_a_finite_transport_map():
    gray = losses.palette_of([np.repeat(np.linspace(-1, 1, 9)[:, None], 3, axis=1)])
    colourful = losses.palette_of([np.random.default_rng(0).uniform(-1, 1, (90, 3))])
    assert np.isfinite(losses.transport_map(gray, colourful)).all()
    np.testing.assert_allclose(losses.transport_map(gray, gray)[:3], np.eye(3), atol=1e-6)


def test_moved_pictures_stay_in_the_range_of_the_style_and_keep_their_alpha():
    transport = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 2], [0, 0, 0.1], [-0.5, -1, -1], [0.5, 1, 0.25]])
    # Red and green change places, blue becomes 2 * 0.2 + 0.1; red 0.75 is limited to 0.5 and blue 0.5 to 0.25.
    given = tf.reshape([0.3, 0.75, 0.2, -0.4], [1, 1, 1, 4])
    np.testing.assert_allclose(losses.moved(given, transport)[0, 0, 0], [0.5, 0.3, 0.25, -0.4])
    assert losses.moved(tf.cast(given, tf.float64), transport).dtype == tf.float64
    gray = losses.moved(tf.reshape([0.5], [1, 1, 1, 1]), [[2.0], [-0.25], [-1.0], [1.0]])
    np.testing.assert_allclose(gray, [[[[0.75]]]])


def test_palette_by_hand_and_blind_to_strokes_within_a_cell():
    # Two cells of 2x2: the first differs by 0.5 in its mean, the second not, though each of its pixels differs by 1.
    got = tf.reshape([0.5, 0.5, 1.0, -1.0] * 2, [1, 2, 4, 1])
    assert float(losses.palette_loss(tf.zeros_like(got), got, cell=2)) == pytest.approx(0.125)
    assert float(losses.palette_loss(tf.zeros_like(got), got)) == pytest.approx(0.125)  # cells of the picture's height


def test_blown_by_hand():
    # White is 0.75. The first pixel is blown by 0.25, the second has a darker blue, the third is expected at 0.9.
    got = tf.constant([[[[1.0, 1.0, 1.0], [1.0, 1.0, 0.5], [1.0, 0.95, 1.0], [0.0, 0.0, 0.0]]]])
    expected = tf.constant([[[[0.2, 0.2, 0.2], [0.2, 0.2, 0.2], [0.9, 0.9, 1.0], [1.0, 1.0, 1.0]]]])
    assert float(losses.blown_loss(expected, got, white=0.75)) == pytest.approx((0.25 + 0.05) / 4)
    assert float(losses.blown_loss(expected, tf.fill(got.shape, 243 / 127.5 - 1))) == 0.0
    assert float(losses.blown_loss(expected, tf.fill(got.shape, 244 / 127.5 - 1))) > 0.0


def test_blown_darkens_a_pixel_without_a_tint():
    got = tf.constant([[[[1.0, 0.95, 0.9], [0.2, 1.0, 1.0]]]])  # of two pixels, the first is blown
    with tf.GradientTape() as tape:
        tape.watch(got)
        loss = losses.blown_loss(tf.zeros_like(got), got, white=0.75)
    assert float(loss) == pytest.approx(0.15 / 2)
    np.testing.assert_allclose(tape.gradient(loss, got), [[[[1 / 6] * 3, [0.0] * 3]]], rtol=1e-6)


def test_highlights_by_hand():
    # Light is 0.5. Luma: yellow is 0.299 + 0.587 - 0.114 = 0.772, gray itself, and red 0.299 - 0.701 is dark.
    got = tf.constant([[[[1.0, 1.0, -1.0], [0.6, 0.6, 0.6], [1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]]])
    expected = tf.constant([[[[1.0, 0.5, 0.0], [0.6, 0.6, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]]])
    by_hand = (0.272 * (0.5**2 + 1.0**2) + 0.1 * 0.6**2) / 12
    assert float(losses.highlights_loss(expected, got, light=0.5)) == pytest.approx(by_hand, rel=1e-6)
    alpha = tf.ones((1, 1, 4, 1))
    with_alpha = (tf.concat([expected, -alpha], -1), tf.concat([got, alpha], -1))
    assert float(losses.highlights_loss(*with_alpha, light=0.5)) == pytest.approx(by_hand, rel=1e-6)
    gray = tf.fill((1, 1, 1, 1), 0.7)
    assert float(losses.highlights_loss(gray - 1, gray, light=0.5)) == pytest.approx(0.2)
    assert float(losses.highlights_loss(gray - 1, tf.fill((1, 1, 1, 1), 204 / 127.5 - 1))) == 0.0


# --- mmd ----------------------------------------------------------------------------------------------------------


def test_mmd_by_hand_for_one_row_each():
    # 0 and 2: squared distances 0, 4, 4, 0, mean 2. k(x, y) = exp(-4 / (2 * 1 * 2)) = 1/e; 1 + 1 - 2 / e
    value = losses.mmd(tf.constant([[0.0]]), tf.constant([[2.0]]), scales=(1.0,))
    assert float(value) == pytest.approx(2 - 2 / math.e, rel=1e-6)


def test_unbiased_mmd_by_hand():
    # x = 0, 2; y = 4, 4. Squared distances: 4 for (0, 2), 16 twice for (0, 4), 4 twice for (2, 4), and mirrored:
    # 88 / 16 = 5.5. Kernels a = exp(-4 / 11), b = exp(-16 / 11). xx: a; yy: 1; twice xy: 2 (2 a + 2 b) / 4.
    x, y = tf.constant([[0.0], [2.0]]), tf.constant([[4.0], [4.0]])
    a, b = math.exp(-4 / 11), math.exp(-16 / 11)
    assert float(losses.mmd(x, y, (1.0,), unbiased=True)) == pytest.approx(a + 1 - (a + b), rel=1e-5)
    # Biased, each row also with itself: xx (2 + 2 a) / 4.
    assert float(losses.mmd(x, y, (1.0,))) == pytest.approx((1 + a) / 2 + 1 - (a + b), rel=1e-5)


def test_mmd_averages_its_kernels_and_ignores_the_unit_of_the_embedding():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(6, 5)), random.normal(1.0, 1.0, size=(4, 5))
    both = float(losses.mmd(x, y, (0.5, 2.0)))
    single = [float(losses.mmd(x, y, (scale,))) for scale in (0.5, 2.0)]
    assert both == pytest.approx(np.mean(single), rel=1e-5)
    assert float(losses.mmd(1000 * x, 1000 * y, (0.5, 2.0))) == pytest.approx(both, rel=1e-4)


def test_mmd_grows_with_the_distance_of_the_distributions():
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 8))
    values = [float(losses.mmd(x, random.normal(shift, 1.0, (64, 8)))) for shift in (0.0, 0.5, 1.0)]
    assert values[0] < values[1] < values[2]
    assert abs(float(losses.mmd(x, random.normal(size=(64, 8)), unbiased=True))) < 0.01


@pytest.mark.parametrize(("rows", "unbiased"), [(1, False), (3, False), (3, True)])
def test_mmd_of_equal_rows_is_zero_with_a_finite_gradient(rows, unbiased):
    x = tf.ones([rows, 4])
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = losses.mmd(tf.ones([rows, 4]), x, unbiased=unbiased)
    assert float(value) == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(tape.gradient(value, x)).all()


def test_unbiased_mmd_of_one_row_is_refused():
    with pytest.raises(ValueError, match="Received: 1 and 3"):
        losses.mmd(tf.ones([1, 2]), tf.ones([3, 2]), unbiased=True)


# --- contrastive --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_patch_nce_of_orthonormal_places_by_hand(temperature):
    # Each place is 1 to itself and 0 to the three others: -log(e^(1/t) / (e^(1/t) + 3)) = log(1 + 3 e^(-1/t))
    # In float64: the logarithm is what is left of the difference of two numbers of 1/t, 1.9e-6 of 14 for 0.07.
    places = tf.tile(tf.eye(4, dtype=tf.float64)[None], [2, 1, 1])
    got = losses.patch_nce(places, places, temperature)
    assert float(got) == pytest.approx(math.log(1 + 3 * math.exp(-1 / temperature)), abs=1e-12)
    # Each place's own is one of the three others: 1/t more
    got = losses.patch_nce(places, tf.roll(places, 1, axis=1), temperature)
    assert float(got) == pytest.approx(math.log(1 + 3 * math.exp(-1 / temperature)) + 1 / temperature, abs=1e-12)


def test_patch_nce_is_the_logarithm_of_the_places_where_all_look_alike():
    places = tf.fill([2, 8, 4], 0.5)
    assert float(losses.patch_nce(places, places)) == pytest.approx(math.log(8), abs=1e-5)


def test_patch_nce_compares_with_places_of_the_same_picture_alone():
    draw = np.random.default_rng(4)
    queries, keys = (tf.math.l2_normalize(tf.constant(draw.normal(size=(3, 5, 4)), tf.float32), -1) for _ in "qk")
    alone = [float(losses.patch_nce(queries[n : n + 1], keys[n : n + 1])) for n in range(3)]
    assert max(alone) - min(alone) > 0.1
    assert float(losses.patch_nce(queries, keys)) == pytest.approx(np.mean(alone), rel=1e-5)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32])
def test_patch_nce_is_float32_and_its_gradient_reaches_what_is_not_stopped(dtype):
    queries = tf.Variable(tf.cast(tf.math.l2_normalize([[[1.0, 0.5], [0.0, 1.0]]], -1), dtype))
    keys = tf.Variable(tf.cast(tf.eye(2)[None], dtype))
    with tf.GradientTape(persistent=True) as tape:
        both = losses.patch_nce(queries, keys)
        stopped = losses.patch_nce(queries, tf.stop_gradient(keys))
    assert both.dtype == tf.float32
    assert float(both) == float(stopped) > 0.0
    assert float(tf.reduce_max(tf.abs(tf.cast(tape.gradient(stopped, queries), tf.float32)))) > 1e-3
    assert tape.gradient(stopped, keys) is None
    assert tape.gradient(both, keys) is not None
