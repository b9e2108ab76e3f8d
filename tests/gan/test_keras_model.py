"""What a Keras user expects of OneWay and TwoWay, by public calls of Keras alone."""

import functools
import inspect
import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from gan_runs import eager
from small_models import OwnGenerator, functional_generator

import kgan
from kgan import networks
from kgan.gan import OneWay, TwoWay

# Tracing a step takes longer than a few steps. Those that callbacks or Keras's own loop could disturb are traced.
_eager = pytest.fixture(autouse=True)(eager)


@pytest.fixture
def traced(_eager):
    tf.config.run_functions_eagerly(False)


def pictures(count, seed=0, size=16, channels=3):
    draw = np.random.default_rng(seed)
    return np.tanh(draw.normal(size=(count, size, size, channels))).astype("float32")


def dataset(count=4, batch=2, **more):
    arrays = {"content": pictures(count, 1), "style": pictures(count, 2)} | more
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch, drop_remainder=True)


def generator(**changes):
    return networks.ResNetGenerator(**{"filters": 4, "blocks": 1, **changes})


def one_way(compiled=True, seed=3, **changes):
    keras.utils.set_random_seed(seed)
    arguments = {"generator": generator(), "discriminator": networks.PatchDiscriminator(filters=4, depth=1)}
    gan = OneWay(**{**arguments, "terms": {"pixel": 1.0}, **changes})
    if compiled:
        gan.compile()
    return gan


def weights(model):
    return [np.array(weight) for weight in model.get_weights()]


def same(before, after):
    return len(before) == len(after) and all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


# --- fit, evaluate, predict -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("traced")
def test_validation_data_of_fit_gives_what_evaluate_gives_afterwards():
    gan = one_way()
    history = gan.fit(dataset(), epochs=2, validation_data=dataset(), verbose=0).history
    measured = gan.evaluate(dataset(), return_dict=True, verbose=0)
    assert set(measured) == {"content_ssim", "content_psnr", "content_mse"}
    for name, value in measured.items():
        assert history[f"val_{name}"][-1] == pytest.approx(value, rel=1e-6)
    assert history["val_content_mse"][0] != history["val_content_mse"][1]


def test_a_truth_in_validation_data_is_compared_though_the_training_has_none():
    gan, content = one_way(), pictures(4, 1)
    data = tf.data.Dataset.from_tensor_slices({"content": content, "truth": gan(content)}).batch(2)
    measured = gan.evaluate(data, return_dict=True, verbose=0)
    assert measured["truth_mse"] == pytest.approx(0.0, abs=1e-12)
    assert measured["truth_psnr"] == 100.0
    assert measured["content_mse"] > 0


def test_logs_hold_only_what_was_computed():
    gan = one_way()
    history = gan.fit(dataset(), verbose=0).history
    assert set(history) == {"pixel_loss", "adversarial_loss", "discriminator_loss"}
    assert all(values[0] > 0 for values in history.values())


@pytest.mark.usefixtures("traced")
def test_callbacks_read_the_newest_weights_after_every_batch():
    gan, seen, kept = one_way(), [], []
    reading = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(weights(gan.generator)),
        on_epoch_end=lambda epoch, logs: kept.append((weights(gan.generator), weights(gan.stylist))),
    )
    gan.fit(dataset(6), verbose=0, callbacks=[reading])
    assert len(seen) == 3
    assert not same(seen[0], seen[1])
    assert not same(seen[1], seen[2])
    assert same(seen[2], weights(gan.generator))
    assert same(kept[0][0], weights(gan.generator))
    assert same(kept[0][1], weights(gan.stylist))
    assert not same(weights(gan.generator), weights(gan.stylist))


@pytest.mark.usefixtures("traced")
def test_weights_that_a_callback_changes_are_trained_on():
    gan = one_way()
    clear = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: gan.generator.set_weights([0 * each for each in gan.generator.get_weights()])
    )
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    gan.fit(dataset(), epochs=2, verbose=0, callbacks=[clear])
    assert all((each == 0).all() for each in gan.generator.get_weights())


def test_early_stopping_restores_the_best_weights():
    gan, seen = one_way(), []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(weights(gan)))
    stop = keras.callbacks.EarlyStopping(
        "val_content_mse", mode="min", patience=1, min_delta=10.0, restore_best_weights=True
    )
    gan.fit(dataset(), epochs=5, validation_data=dataset(), verbose=0, callbacks=[note, stop])
    assert len(seen) == 2
    assert same(weights(gan), seen[0])
    assert not same(seen[0], seen[1])


@pytest.mark.long
def test_model_checkpoint_saves_what_was_trained(tmp_path):
    gan = one_way()
    save = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    best = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    gan.fit(dataset(), epochs=1, verbose=0, callbacks=[save, best])
    loaded = keras.models.load_model(tmp_path / "1.keras")
    assert same(weights(loaded), weights(gan))
    other = one_way(seed=4)
    other.load_weights(tmp_path / "1.weights.h5")
    assert same(weights(other), weights(gan))


@pytest.mark.long
def test_backup_and_restore_goes_on_where_it_was_interrupted(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                raise KeyboardInterrupt

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    whole = one_way()
    whole.fit(dataset(), epochs=2, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        one_way().fit(dataset(), epochs=2, verbose=0, callbacks=[backup(), Interrupt()])
    other = one_way(seed=9)
    other.fit(dataset(), epochs=2, verbose=0, callbacks=[backup()])
    assert int(other.step) == int(whole.step) == 4
    for a, b in zip(weights(other), weights(whole), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)  # steps of 2e-4; two programs may sum in another order


def test_tensorboard_and_learning_rate_callbacks_run(tmp_path):
    gan = one_way()
    calls = [
        keras.callbacks.TensorBoard(tmp_path / "logs", write_graph=False),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.ReduceLROnPlateau("pixel_loss", mode="min", factor=0.5, patience=0, min_delta=100.0),
    ]
    gan.fit(dataset(), epochs=2, verbose=0, callbacks=calls)
    assert float(gan.generator_optimizer.learning_rate) == pytest.approx(1e-4)
    assert list((tmp_path / "logs").rglob("events*"))
    assert "pixel_loss" in (tmp_path / "log.csv").read_text()


def test_the_gan_called_is_its_stylist():
    gan, content = one_way(), pictures(3)
    expected = gan.stylist(content).numpy()
    np.testing.assert_array_equal(gan(content), expected)
    np.testing.assert_allclose(gan.predict(content, verbose=0), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(gan.predict({"content": content}, verbose=0), expected, rtol=0, atol=1e-6)


def test_noise_of_the_generator_is_added_where_the_pictures_bring_none():
    gan = one_way(generator=generator(noise_channels=2))
    content = pictures(2)
    np.testing.assert_array_equal(gan(content), gan(content))
    noise = np.zeros((2, 16, 16, 2), np.float32)
    given = np.concatenate([content, noise], axis=-1)
    np.testing.assert_array_equal(gan(given), gan.stylist(given))


def test_train_on_batch_moves_the_networks_and_test_on_batch_sees_it():
    gan = one_way()
    batch = next(iter(dataset()))
    before, first = weights(gan.generator), gan.test_on_batch(batch, return_dict=True)
    logs = gan.train_on_batch(batch, return_dict=True)
    assert set(logs) == {"pixel_loss", "adversarial_loss", "discriminator_loss"}
    assert not same(before, weights(gan.generator))
    assert gan.test_on_batch(batch, return_dict=True) != first


@pytest.mark.long
@pytest.mark.usefixtures("traced")
def test_steps_per_execution_make_the_same_updates():
    one, many = one_way(), one_way(compiled=False)
    many.compile(steps_per_execution=3)
    for gan in (one, many):
        gan.fit(dataset(12), verbose=0)
    assert int(many.step) == 6
    for a, b in zip(weights(one), weights(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


def test_arrays_pairs_and_eager_steps_train_as_well():
    gan = one_way(compiled=False)
    gan.compile(run_eagerly=True)
    gan.fit({"content": pictures(4), "style": pictures(4, 1)}, batch_size=2, verbose=0)
    gan.fit(pictures(4), pictures(4, 1), batch_size=2, verbose=0)
    assert int(gan.step) == 4


def test_two_gans_in_one_process_train_apart():
    alone = one_way()
    alone.fit(dataset(), verbose=0)
    one, other = one_way(), one_way(seed=8)
    for epoch in range(2):
        other.fit(dataset(), verbose=0)
        one.fit(dataset().skip(epoch).take(1), verbose=0)
    for a, b in zip(weights(alone), weights(one), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


# --- compile ----------------------------------------------------------------------------------------------------------


def test_compile_chooses_the_optimizers_and_fit_asks_for_it():
    gan = one_way(compiled=False)
    with pytest.raises(ValueError, match="compile"):
        gan.fit(dataset(), verbose=0)
    gan.compile(keras.optimizers.SGD(0.5), "rmsprop")
    assert isinstance(gan.generator_optimizer, keras.optimizers.SGD)
    assert isinstance(gan.discriminator_optimizer, keras.optimizers.RMSprop)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.Adam(1e-3))
    before = weights(gan.generator), weights(gan.discriminator)
    gan.fit(dataset(), verbose=0)
    assert same(before[0], weights(gan.generator))
    assert not same(before[1], weights(gan.discriminator))


def test_one_optimizer_for_both_players_is_refused():
    shared = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="an optimizer each"):
        one_way(compiled=False).compile(shared, shared)


# --- saving -----------------------------------------------------------------------------------------------------------

NETWORKS = [
    networks.ResNetGenerator(filters=4, blocks=1),
    networks.ArticleGenerator(filters=4, blocks=1, noise_channels=2),
    networks.MobileGenerator(filters=4, blocks=1),
    networks.PatchDiscriminator(filters=4),
    networks.MultiScaleDiscriminator(filters=4, scales=2),
    networks.ArticleDiscriminator(filters=4, depth=2),
    networks.ProjectedDiscriminator(filters=4),
    networks.ConvRegularizer(filters=4),
    networks.DenseRegularizer(filters=4),
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)
def test_every_network_is_saved_and_loaded(network, tmp_path):
    inputs = tf.constant(pictures(2, size=64, channels=getattr(network, "input_channels", 3)))
    expected = network(inputs)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    for a, b in zip(tf.nest.flatten(loaded(inputs)), tf.nest.flatten(expected), strict=True):
        np.testing.assert_array_equal(a, b)
    config = network.get_config()
    assert type(network).from_config(config).get_config() == config


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)
def test_signatures_name_their_arguments(network):
    names = inspect.signature(type(network).__init__).parameters
    assert "filters" in names
    assert set(network.get_config()) - {"name", "trainable", "dtype"} <= set(names)


@keras.saving.register_keras_serializable("tests")
def brightness(inputs):
    return tf.reduce_mean(tf.square(inputs.fake))


def two_way(**changes):
    keras.utils.set_random_seed(3)
    gan = TwoWay(generator(), networks.PatchDiscriminator(filters=4, depth=1), terms={"cycle": 10.0, "identity": 5.0},
                 image_pool=2, **changes)  # fmt: skip
    gan.compile(keras.optimizers.Adam(1e-3), "sgd")
    return gan


@pytest.mark.long
def test_a_call_before_fit_does_not_size_the_image_pools(tmp_path):
    direct, called = two_way(), two_way()
    called(pictures(1, 32))
    called.predict(pictures(1, 32), verbose=0)
    called.save(tmp_path / "called.keras")
    loaded = keras.models.load_model(tmp_path / "called.keras")
    for gan in (direct, called, loaded):
        gan.fit(dataset(2), verbose=0)
    assert called.style_pool.pictures.shape == direct.style_pool.pictures.shape == (2, 16, 16, 3)
    assert same(weights(called), weights(direct))
    assert loaded.style_pool.pictures.shape == (2, 16, 16, 3)


def contrastive():
    gan = one_way(terms={"nce": 1.0, "mmd": 0.5, brightness: 2.0}, train_regularizer=True, adversarial="hinge")
    gan.compile(keras.optimizers.Adam(1e-3), "rmsprop")
    return gan


@pytest.mark.slow
@pytest.mark.parametrize("make", [contrastive, pytest.param(two_way, marks=pytest.mark.long)])
def test_a_whole_gan_is_saved_loaded_and_trained_on(make, tmp_path):
    gan = make()
    gan.fit(dataset(2), verbose=0)
    gan.save(tmp_path / "gan.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert json.dumps(loaded.get_config()) == json.dumps(gan.get_config())
    assert same(weights(loaded), weights(gan))
    np.testing.assert_array_equal(loaded(pictures(2)), gan(pictures(2)))
    for one in (gan, loaded):
        one.fit(dataset(2), verbose=0)
    assert int(loaded.step) == 2
    for a, b in zip(weights(loaded), weights(gan), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)  # steps of 1e-3; the optimizers' moments were kept


def test_a_gan_from_its_config_has_its_structure_and_new_weights():
    gan = one_way(terms={"pixel": 1.0, brightness: 2.0}, augment="cutout", ema=0.9)
    other = OneWay.from_config(gan.get_config())
    assert other.get_config() == gan.get_config()
    assert [w.shape for w in other.weights] == [w.shape for w in gan.weights]
    assert not same(weights(other), weights(gan))


def test_what_keras_could_not_load_again_is_not_saved(tmp_path):
    gan = one_way(terms={(lambda inputs: tf.reduce_mean(inputs.fake)): 1.0})
    with pytest.raises(ValueError, match="register_keras_serializable"):
        gan.save(tmp_path / "gan.keras")
    assert not list(tmp_path.iterdir())


def test_summary_counts_the_networks():
    lines = []
    one_way().summary(print_fn=lambda line, **_: lines.append(line))
    assert "patch_discriminator" in "\n".join(lines)


# --- what Keras allows and a flat variable could lose -----------------------------------------------------------------


@pytest.mark.parametrize("fitted", [False, True])
def test_a_layer_frozen_before_compile_does_not_change_and_can_be_thawed(fitted):
    net = functional_generator()
    gan = one_way(generator=net, terms={})
    if fitted:
        gan.fit(dataset(), verbose=0)
    first, last = net.get_layer("first"), net.get_layer("last")
    first.trainable = False
    before, moving = weights(first), weights(last)
    gan.compile()
    gan.fit(dataset(), verbose=0)
    assert same(weights(first), before)
    assert not same(weights(last), moving)
    first.trainable = True
    gan.compile()
    gan.fit(dataset(), verbose=0)
    assert not same(weights(first), before)


def test_a_frozen_discriminator_is_refused_by_name():
    judge = networks.PatchDiscriminator(filters=4, depth=1, name="judge")
    judge.trainable = False
    with pytest.raises(ValueError, match="judge: has no trainable weights"):
        one_way(discriminator=judge)


def test_an_average_of_the_optimizer_is_refused_before_the_training():
    with pytest.raises(ValueError, match="use_ema=False"):
        one_way(compiled=False).compile(keras.optimizers.Adam(use_ema=True), "adam")


def test_custom_objects_of_load_model_reach_the_networks(tmp_path):
    gan = one_way(generator=OwnGenerator(), terms={})
    gan.fit(dataset(), verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras", custom_objects={"OwnGenerator": OwnGenerator})
    assert same(weights(loaded), weights(gan))


@pytest.mark.usefixtures("traced")
@pytest.mark.long
@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "float64"])
def test_a_global_policy(tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    try:
        gan = one_way(discriminator=networks.PatchDiscriminator(filters=4, depth=1, spectral=True))
        history = gan.fit(dataset(), verbose=0).history
    finally:
        keras.config.set_dtype_policy("float32")
    assert gan.generator.dtype_policy.name == policy
    assert all(np.isfinite(values).all() for values in history.values())
    gan.export(tmp_path, litert=False)
    made = kgan.load(tmp_path / "saved_model")(np.zeros((8, 8, 3), np.uint8))
    assert made.shape == (8, 8, 3)


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_pictures_of_whole_numbers_are_refused(kind):
    whole = np.full((2, 16, 16, 3), 200, kind)
    with pytest.raises(ValueError, match="float pictures in"):
        one_way().fit(whole, whole, verbose=0)


def lightness(inputs, factor=1.0):
    return factor * keras.ops.mean(inputs.fake)


class Brightness:
    def __call__(self, inputs):
        return keras.ops.cast(keras.ops.mean(inputs.fake), "float64")


@pytest.mark.parametrize(("term", "name"), [
    (functools.partial(lightness, factor=2.0), "lightness_loss"), (Brightness(), "Brightness_loss"),
])  # fmt: skip
def test_terms_that_are_no_plain_functions(tmp_path, term, name):
    gan = one_way(terms={term: 1.0})
    assert name in gan.fit(dataset(), verbose=0).history
    with pytest.raises(ValueError, match="cannot be saved"):
        gan.save(tmp_path / "gan.keras")


@pytest.mark.parametrize("term", [lambda inputs: inputs.fake, lambda inputs: None])
def test_a_term_that_gives_no_scalar_is_named(term):
    with pytest.raises(ValueError, match="Term <lambda> should give a scalar"):
        one_way(terms={term: 1.0}).fit(dataset(), verbose=0)
