"""OneWay and TwoWay put together of networks, losses and terms, kgan's and one's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import OwnGenerator, functional_generator

import kgan
from kgan import assembly, networks
from kgan.errors import UserError
from kgan.gan import OneWay, TwoWay, tracking
from kgan.kinds import DISCRIMINATORS, REQUIREMENTS, TERMS
from kgan.recipes import RECIPES
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig


def pictures(count=2, seed=0, size=16):
    return np.tanh(np.random.default_rng(seed).normal(size=(count, size, size, 3))).astype("float32")


def batch(**more):
    return {"content": pictures(), "style": pictures(seed=1), **more}


def sequential_discriminator():
    return keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])


def scaled_discriminator():
    inputs = keras.Input((None, None, 3))
    fine = keras.layers.Conv2D(1, 4, 2)(inputs)
    coarse = keras.layers.Conv2D(1, 4, 4)(inputs)
    return keras.Model(inputs, [fine, coarse])


def once(gan, data=None):
    """The losses of one eager update."""
    gan.compile(run_eagerly=True)
    return gan.train_on_batch(data or batch(), return_dict=True)


def moved(network, before):
    return any(not np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))


@pytest.mark.parametrize("generator", [functional_generator, OwnGenerator])
@pytest.mark.parametrize("discriminator", [sequential_discriminator, scaled_discriminator])
def test_networks_of_ones_own_train(generator, discriminator):
    gan = OneWay(generator(), discriminator(), adversarial="hinge", terms={"ssim": 1.0, "features": 0.1})
    gan.build((2, 16, 16, 3))
    before = gan.generator.get_weights(), gan.discriminator.get_weights(), gan.stylist.get_weights()
    logs = once(gan)
    assert set(logs) == {"ssim_loss", "features_loss", "adversarial_loss", "discriminator_loss"}
    networks_ = (gan.generator, gan.discriminator, gan.stylist)
    assert all(moved(network, old) for network, old in zip(networks_, before, strict=True))


def test_networks_without_shapes_are_built_by_the_first_batch():
    gan = OneWay(OwnGenerator(), None, terms={"pixel": 1.0})
    assert not gan.built
    once(gan)
    assert gan.built
    assert gan(pictures()).shape == (2, 16, 16, 3)


def test_two_way_of_own_networks_makes_the_second_ones_itself():
    gan = TwoWay(functional_generator(), sequential_discriminator(), image_pool=2)
    once(gan)
    assert gan.backward_generator is not gan.generator
    assert gan.style_pool.pictures.shape == (2, 16, 16, 3)
    assert not np.array_equal(gan.generator.get_weights()[0], gan.backward_generator.get_weights()[0])


def test_an_own_pair_of_adversarial_losses_is_used():
    def of_discriminator(real_logits, fake_logits):
        return 7.0 + 0.0 * tf.reduce_mean(real_logits) + 0.0 * tf.reduce_mean(fake_logits)

    def of_generator(fake_logits):
        return 5.0 + 0.0 * tf.reduce_mean(fake_logits)

    gan = OneWay(functional_generator(), sequential_discriminator(), adversarial=(of_discriminator, of_generator),
                 terms={"adversarial": 2.0})  # fmt: skip
    assert once(gan) == {"discriminator_loss": 7.0, "adversarial_loss": 10.0}


def test_the_wasserstein_pair_brings_its_gradient_penalty():
    logs = once(OneWay(functional_generator(), scaled_discriminator(), adversarial="wasserstein"))
    assert logs["gradient_penalty_loss"] > 0


def test_an_own_term_sees_the_inputs_by_name():
    seen = {}

    def bright(inputs):
        seen.update(fake=inputs.fake, style=inputs.style, reference=inputs.reference)
        return tf.reduce_mean(inputs.fake)

    gan = OneWay(functional_generator(), None, terms={bright: 2.0})
    gan.build((2, 16, 16, 3))
    expected = gan.generator(pictures()).numpy()
    logs = once(gan)
    assert logs["bright_loss"] == pytest.approx(2.0 * expected.mean(), rel=1e-5)
    np.testing.assert_array_equal(seen["style"], batch()["style"])
    np.testing.assert_array_equal(seen["reference"], batch()["content"])


def test_a_term_is_added_by_its_decorator_alone():
    @TERMS.add("darkness", help="mean darkness", inputs=("fake",))
    def darkness(fake):
        return tf.reduce_mean(1.0 - fake)

    try:
        logs = once(OneWay(functional_generator(), None, terms={"darkness": 3.0}))
    finally:
        TERMS.remove("darkness")
    assert 0 < logs["darkness_loss"] < 6


def test_a_discriminator_is_added_by_its_decorator_alone():
    @DISCRIMINATORS.add("tiny", help="one convolution")
    class Tiny(networks.Discriminator):
        def __init__(self, filters=64, norm="none", spectral=True, kernel=3, **kwargs):
            super().__init__(filters, norm, spectral, **kwargs)
            self.convolution = keras.layers.Conv2D(1, kernel)

        def build(self, input_shape):
            self.convolution.build(input_shape)

        def call(self, pictures, training=False):
            return [self.convolution(pictures)]

    try:
        config = recipes.resolve(TrainConfig(content="photos", style="paintings", discriminator="tiny", kernel=5))
        built = assembly.build_discriminator(config)
    finally:
        DISCRIMINATORS.remove("tiny")
    assert isinstance(built, Tiny)
    assert built.convolution.kernel.shape == (5, 5, 3, 1)  # an argument that is a setting is given


SWAPPED = [[0, 0, 1], [0, 1, 0], [1, 0, 0], [0.1, 0, 0], [-1, -1, -1], [1, 1, 1]]
"""A map of colours: red and blue change places, and red gets lighter."""


def test_the_palette_term_compares_with_the_content_in_other_colours():
    gan = OneWay(functional_generator(), None, terms={"palette": 2.0}, palette=SWAPPED)
    gan.build((2, 16, 16, 3))
    made = gan.generator(pictures()).numpy()
    expected = np.clip(pictures()[..., ::-1] + [0.1, 0, 0], -1, 1)
    difference = (made - expected).mean(axis=(1, 2))  # a cell is the whole picture
    assert once(gan)["palette_loss"] == pytest.approx(2.0 * (difference**2).mean(), rel=1e-4)


def test_the_palette_belongs_to_checkpoints_and_saved_models(tmp_path):
    gan = OneWay(functional_generator(), None, terms={"blown": 1.0}, palette=SWAPPED)
    gan.build((2, 16, 16, 3))
    gan.save(tmp_path / "gan.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "gan.keras").palette, SWAPPED)
    path = tracking.checkpoint(gan=gan).write(str(tmp_path / "checkpoint"))
    other = OneWay(functional_generator(), None, terms={"blown": 1.0}, palette=np.zeros((6, 3)))
    other.build((2, 16, 16, 3))
    tracking.checkpoint(gan=other).read(path)
    np.testing.assert_allclose(other.palette, SWAPPED)


@pytest.mark.parametrize(("colour", "distance"), [(0.0, 0.0), (0.5, 1.0), (1.0, 2.0)])
def test_the_discriminator_sees_less_colour(colour, distance):
    """Red real pictures and green made ones have the same luminance: 0.299 of 1, and 0.587 of 0.299 / 0.587."""
    seen = []

    class Seeing(keras.layers.Dense):
        def call(self, given, training=False):
            seen.append(given.numpy()[..., 0])
            return super().call(given)

    green = keras.initializers.Constant([-1.0, 2 * 0.299 / 0.587 - 1, -1.0])
    convolution = keras.layers.Conv2D(3, 1, kernel_initializer="zeros", bias_initializer=green)
    red = np.broadcast_to(np.float32([1, -1, -1]), (2, 16, 16, 3))
    gan = OneWay(keras.Sequential([keras.Input((None, None, 3)), convolution]), Seeing(1), discriminator_colour=colour)
    gan.build((2, 16, 16, 3))
    seen.clear()
    once(gan, {"content": red, "style": red})
    of_generator, of_discriminator = seen
    assert np.ptp(of_generator) == pytest.approx(0.0, abs=1e-6)
    assert np.ptp(of_discriminator) == pytest.approx(distance, abs=1e-3)


def test_paired_pictures_are_compared_with_their_truth():
    gan = OneWay(functional_generator(), None, terms={"pixel": 1.0}, paired=True)
    gan.build((2, 16, 16, 3))
    data, made = batch(), gan.generator(pictures()).numpy()
    assert once(gan)["pixel_loss"] == pytest.approx(np.abs(made - data["style"]).mean(), rel=1e-5)
    measured = gan.evaluate(tf.data.Dataset.from_tensors(data), return_dict=True, verbose=0)
    assert set(measured) == {"truth_ssim", "truth_psnr", "truth_mse"}
    named = {"content": data["content"], "truth": data["style"]}
    again = gan.evaluate(tf.data.Dataset.from_tensors(named), return_dict=True, verbose=0)
    assert again == measured


def test_a_teacher_makes_the_style_pictures():
    gan = OneWay(functional_generator(), None, terms={"pixel": 1.0}, teacher=lambda content: -content)
    gan.build((2, 16, 16, 3))
    made = gan.generator(pictures()).numpy()
    assert once(gan, {"content": pictures()})["pixel_loss"] == pytest.approx(np.abs(made + pictures()).mean(), rel=1e-5)


def test_with_style_pictures_a_teacher_gives_the_reference_and_they_are_what_is_real():
    adversarial = (lambda real, fake: tf.reduce_mean(real), tf.reduce_mean)
    gan = OneWay(functional_generator(), sequential_discriminator(), adversarial=adversarial, terms={"pixel": 1.0},
                 teacher=lambda content: -content)  # fmt: skip
    gan.build((2, 16, 16, 3))
    made, real = gan.generator(pictures()).numpy(), gan.discriminator(batch()["style"]).numpy().mean()
    losses = once(gan)
    assert losses["pixel_loss"] == pytest.approx(np.abs(made + pictures()).mean(), rel=1e-5)
    assert losses["discriminator_loss"] == pytest.approx(real, rel=1e-5)
    data = {"content": pictures(), "truth": -pictures()}
    measured = [
        gan.evaluate(tf.data.Dataset.from_tensors(given), return_dict=True, verbose=0) for given in (batch(), data)
    ]
    assert measured[0] == pytest.approx(measured[1], rel=1e-5)


def test_pictures_from_noise_alone():
    generator = networks.ArticleGenerator(filters=4, blocks=1, takes_content=False, noise_channels=2)
    gan = OneWay(generator, sequential_discriminator(), adversarial="hinge")
    assert set(once(gan, {"style": pictures()})) == {"adversarial_loss", "discriminator_loss"}
    assert gan.evaluate(tf.data.Dataset.from_tensors({"style": pictures()}), return_dict=True, verbose=0) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"terms": {"picsel": 1.0}}, "picsel"),
        ({"terms": {"cycle": 1.0}}, "two_way"),
        ({"terms": {"adversarial": 1.0}}, "discriminator"),
        ({"terms": {"nce": 1.0}}, "one_way"),  # needs layers that this generator does not show
        ({"terms": {"pixel": -1.0}}, "at least 0"),
        ({"terms": {"pixel": float("nan")}}, "at least 0"),
        ({"terms": {3: 1.0}}, "3"),
        ({"discriminator": sequential_discriminator, "adversarial": "hing"}, "hinge"),
        ({"discriminator": sequential_discriminator, "adversarial": None}, "adversarial"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_what_does_not_fit_together_is_refused_by_name(changes, message):
    changes = {name: value() if callable(value) else value for name, value in changes.items()}
    with pytest.raises(ValueError, match=message):
        OneWay(functional_generator(), **changes)


def test_batches_and_pictures_that_do_not_fit_are_named():
    gan = OneWay(networks.ResNetGenerator(filters=4, blocks=1), None, terms={"pixel": 1.0}, paired=True)
    gan.compile(run_eagerly=True)
    with pytest.raises(ValueError, match="pictures called style"):
        gan.train_on_batch({"content": pictures()})
    with pytest.raises(ValueError, match="pictures called content"):
        gan.train_on_batch({"style": pictures()})
    with pytest.raises(ValueError, match="pictures called truth"):
        gan.test_on_batch({"content": pictures()})
    with pytest.raises(ValueError, match="should get 3 channels"):
        gan(pictures()[..., :1])


def test_a_generator_that_cannot_be_copied_is_named():
    class Uncopied(keras.Model):
        def __init__(self, depth):
            super().__init__()
            self.convolution = keras.layers.Conv2D(depth, 3, padding="same")

        def call(self, pictures):
            return self.convolution(pictures)

        def get_config(self):
            raise NotImplementedError

    with pytest.raises(ValueError, match="Uncopied should have `get_config`"):
        OneWay(Uncopied(3), None, terms={"pixel": 1.0}).build((2, 16, 16, 3))
    own = Uncopied(3)
    own(pictures())
    gan = OneWay(Uncopied(3), None, terms={"pixel": 1.0}, stylist=own)
    once(gan)


def test_every_input_of_a_term_has_its_requirement():
    for row in TERMS.values():
        assert set(row.inputs) <= REQUIREMENTS.keys()
        assert callable(row.load())


@pytest.mark.slow
@pytest.mark.parametrize("generator", [functional_generator, lambda: networks.ResNetGenerator(filters=4, blocks=1)])
def test_a_gan_exports_what_kgan_loads(generator, tmp_path):
    gan = OneWay(generator(), None, terms={"pixel": 1.0})
    folder = gan.export(tmp_path / "model")
    given = np.random.default_rng(0).random((1, 32, 48, 3)).astype("float32")
    expected = np.clip(gan(given * 2 - 1).numpy() / 2 + 0.5, 0, 1)
    for name in ("saved_model", "model.tflite"):
        made = kgan.load(folder / name)(np.rint(given[0] * 255).astype("uint8"))
        np.testing.assert_allclose(made / 255, expected[0], rtol=0, atol=2.5 / 255)


# --- from the settings of a recipe ------------------------------------------------------------------------------------

SMALL = {"size": 16, "filters": 4, "blocks": 1, "discriminator_filters": 4, "batch_size": 2, "steps": 8}


def test_the_settings_of_a_recipe_make_its_compiled_gan():
    config = TrainConfig(recipe="cut", adversarial="hinge", weight=("ssim=5",), learning_rate=1e-3, **SMALL)
    gan = OneWay.from_config(config)
    assert gan.terms.weights == recipes.term_weights(recipes.completed(config), RECIPES["cut"])
    assert gan.terms.weights["ssim"] == 5.0
    assert float(gan.generator_optimizer.learning_rate) == pytest.approx(1e-3)
    assert set(once(gan)) == {"nce_loss", "nce_identity_loss", "ssim_loss", "adversarial_loss", "discriminator_loss"}
    again = OneWay.from_config(gan.get_config())
    assert again.get_config() == gan.get_config()


def test_settings_without_the_adversarial_term_make_a_gan_without_it():
    gan = OneWay.from_config(TrainConfig(recipe="cut", weight=("adversarial=0",), **SMALL))
    assert set(once(gan)) == {"nce_loss", "nce_identity_loss", "discriminator_loss"}


def test_a_recipe_of_two_generators_is_a_two_way():
    config = TrainConfig(recipe="cyclegan", **SMALL)
    assert isinstance(TwoWay.from_config(config), TwoWay)
    with pytest.raises(ValueError, match=r"TwoWay\.from_config"):
        OneWay.from_config(config)


def test_settings_that_cannot_be_are_errors():
    with pytest.raises(UserError, match="multiple of stride"):
        OneWay.from_config(TrainConfig(recipe="cut", **{**SMALL, "size": 18}))
    with pytest.raises(ValueError, match="teacher"):
        OneWay.from_config(TrainConfig(recipe="distill", **SMALL))
