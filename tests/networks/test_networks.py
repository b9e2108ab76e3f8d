import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan import assembly, kinds, networks
from kgan.errors import UserError
from kgan.export.litert.fixed import export_fixed
from kgan.inference.loading import load
from kgan.networks.generators import NoiseCode
from kgan.networks.patches import draw_places, values_at
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig


def settings(recipe="cyclegan", **changes) -> TrainConfig:
    """The settings of a recipe with small networks."""
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    values = {key: value for key, value in dataclasses.asdict(recipes.find(recipe)).items() if key in known}
    small = {"size": 32, "filters": 4, "blocks": 1, "discriminator_filters": 4}
    return TrainConfig(**{**values, **small, "recipe": recipe, **changes})


def generator(name="resnet", **arguments):
    model = kinds.GENERATORS[name].load()(**{"filters": 4, "blocks": 1, **arguments})
    model.build((None, None, None, model.input_channels))
    return model


def noise_like(model, height, width, count=2):
    return tf.random.uniform([count, height, width, model.input_channels], -1.0, 1.0)


def awake(model):
    """Make all weights random, so that each layer has an effect. A new batch norm or residual head hides others."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        change = random.normal(0, 0.2, weight.shape)
        weight.assign_add(np.abs(change) if "variance" in weight.path else change)
    return model


VARIANTS = [
    {},
    {"stride": 2},
    {"stride": 8, "downsample": "pool"},
    {"norm": "batch", "upsample": "transpose", "kernel": 5},
    {"norm": "none", "channels": 1, "residual": True},
    {"noise_channels": 3, "channels": 4, "residual": True},
    {"antialias": True},
    {"antialias": True, "kernel": 5, "padding": "zeros"},
    {"noise_channels": 5, "takes_content": False},
]


@pytest.mark.parametrize("arguments", VARIANTS, ids=str)
@pytest.mark.parametrize("name", sorted(kinds.GENERATORS))
def test_generator_contract(name, arguments):
    model = awake(generator(name, **arguments))
    height, width = max(model.stride * 5, model.minimum_size), model.stride * 7  # odd multiples of the stride
    inputs = noise_like(model, height, width)
    outputs = model(inputs)
    assert outputs.shape == (2, height, width, model.channels)
    assert outputs.dtype == tf.float32
    assert float(tf.reduce_max(tf.abs(outputs))) <= 1.0
    finest = 2 if name == "mobile" else 1
    assert model.features(inputs).shape == (2, height // finest, width // finest, 4)
    assert len({weight.path for weight in model.weights}) == len(model.weights)

    again = type(model).from_config(model.get_config())
    again.build(inputs.shape)
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again(inputs), outputs, atol=1e-6)
    assert again.get_config() == model.get_config()


@pytest.mark.parametrize("name", sorted(kinds.GENERATORS))
def test_generator_works_at_its_minimum_size(name):
    model = generator(name, kernel=5, stride=8)
    side = model.minimum_size
    assert np.isfinite(model(noise_like(model, side, side))).all()


@pytest.mark.parametrize("name", sorted(kinds.GENERATORS))
def test_every_generator_weight_gets_a_gradient(name):
    model = awake(generator(name, noise_channels=2))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(noise_like(model, 32, 32), training=True) ** 2)
    gradients = tape.gradient(total, model.trainable_variables)
    missing = [v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None]
    assert not missing


@pytest.mark.parametrize("name", sorted(kinds.GENERATORS))
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_residual_generator_starts_as_the_identity_with_useful_gradients(name, precision):
    model = generator(name, residual=True, noise_channels=2, dtype=precision)
    content = tf.concat(
        [tf.random.uniform([1, 32, 32, 3], -1, 1), -tf.ones([1, 32, 32, 3]), tf.ones([1, 32, 32, 3])], 0
    )
    inputs = tf.concat([content, tf.random.normal([3, 32, 32, 2])], axis=-1)
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        target = tf.reduce_mean(tf.abs(outputs - 0.1 * content))
    np.testing.assert_array_equal(outputs, content)  # black and white included
    gradient = tape.gradient(target, model.head[-1].kernel.value)
    assert float(tf.norm(gradient)) > 1e-3


def test_residual_output_stays_in_range_and_moves_towards_the_corrections_side():
    model = generator("article", residual=True)
    bias, content = model.head[-1].bias, tf.random.uniform([1, 32, 32, 3], -1, 1)
    for correction, limit in ((100.0, 1.0), (-100.0, -1.0)):
        bias.assign(tf.fill([3], correction))
        np.testing.assert_allclose(model(content), tf.fill([1, 32, 32, 3], limit), atol=1e-6)
    bias.assign(tf.fill([3], 0.3))
    lighter = model(content)
    assert bool(tf.reduce_all((lighter >= content) & (lighter <= 1.0)))
    # Order is kept: no inversion of light and dark.
    order = np.argsort(content.numpy().ravel())
    assert (np.diff(lighter.numpy().ravel()[order]) >= -1e-6).all()


@pytest.mark.parametrize("arguments", [{"residual": True, "noise_channels": 2}, {"noise_channels": 0}], ids=str)
def test_generator_without_content_refuses_what_needs_it(arguments):
    with pytest.raises(ValueError, match="without content"):
        kinds.GENERATORS["article"].load()(takes_content=False, **arguments)


@pytest.mark.parametrize("side", [8, 32, 128])
def test_pooled_noise_keeps_its_variance_at_every_size(side):
    code = NoiseCode(filters=2, norm="none")
    noise = tf.random.normal([64, side, side, 4])
    code(noise, tf.constant([2, 2]))
    code.dense.set_weights([np.ones((4, 32), "float32") / 2, np.zeros(32, "float32")])
    # Each code is relu(sum of 4 pooled values / 2): a half-normal of variance 1, whose mean square is 1/2.
    values = code(noise, tf.constant([code.grid, code.grid]))
    assert float(tf.reduce_mean(values[:, 0, 0] ** 2)) == pytest.approx(0.5, abs=0.25)


def test_noise_changes_the_articles_picture_and_equal_noise_does_not():
    model = awake(generator("article", noise_channels=2))
    content, noise = tf.random.uniform([1, 32, 32, 3], -1, 1), tf.random.normal([2, 32, 32, 2])
    first, second = (model(tf.concat([content, noise[n : n + 1]], -1)) for n in (0, 1))
    np.testing.assert_array_equal(first, model(tf.concat([content, noise[:1]], -1)))
    assert float(tf.reduce_max(tf.abs(first - second))) > 1e-4


# --- discriminators and R -----------------------------------------------------------------------------------------

JUDGES = [
    ("patch", {}),
    ("patch", {"norm": "none", "spectral": True, "depth": 2}),
    ("multiscale", {"scales": 2}),
    ("multiscale", {"scales": 1, "norm": "none", "spectral": True}),
    ("projected", {"norm": "none", "spectral": True}),
    ("projected", {"norm": "none", "spectral": True, "features": "mobilenet,vgg16"}),
    ("article", {}),
    ("article", {"downsample": "pool", "kernel": 5, "norm": "none", "depth": 3}),
]


def test_every_discriminator_is_in_the_contract():
    assert {name for name, _ in JUDGES} == set(kinds.DISCRIMINATORS)


@pytest.mark.parametrize(("name", "arguments"), JUDGES, ids=str)
def test_discriminator_contract(name, arguments):
    model = kinds.DISCRIMINATORS[name].load()(filters=4, **arguments)
    pictures = tf.random.uniform([3, 40, 56, 3], -1, 1)
    model.build((None, None, None, 3))
    count = len(model.weights)
    logits = model(pictures, training=True)
    assert isinstance(logits, list)
    # The pixels, four maps of MobileNet, and three of VGG16, whose first is as fine as the pixels.
    projected = 8 if "features" in arguments else 5
    assert len(logits) == (projected if name == "projected" else arguments.get("scales", 1))
    assert all(scale.dtype == tf.float32 and scale.shape[0] == 3 and scale.shape[-1] == 1 for scale in logits)
    p_real, p_fake = model.probabilities(pictures)
    assert p_real.shape == p_fake.shape == (3,)
    np.testing.assert_allclose(p_real + p_fake, 1.0, atol=1e-6)
    assert len({weight.path for weight in model.weights}) == len(model.weights) == count  # build made them all

    again = type(model).from_config(model.get_config())
    again.build(pictures.shape)
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again(pictures)[0], model(pictures)[0], atol=1e-6)


def test_patch_discriminator_sees_70_pixels():
    model = kinds.DISCRIMINATORS["patch"].load()(filters=2, norm="none", spectral=True)
    pictures = tf.Variable(tf.random.normal([1, 160, 160, 3]))
    with tf.GradientTape() as tape:
        logit = model(pictures)[0][0, 10, 10, 0]
    seen = np.flatnonzero(np.abs(tape.gradient(logit, pictures)[0]).sum(axis=(1, 2)))
    assert seen[-1] - seen[0] + 1 == 70


def test_probabilities_by_hand():
    model = kinds.DISCRIMINATORS["patch"].load()(filters=4)
    model(tf.zeros([1, 32, 32, 3]))
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    bias = model.last.sequence[0].bias
    bias.assign([np.log(3.0)])  # sigmoid(log 3) = 3 / 4 for every patch
    np.testing.assert_allclose(model.probabilities(tf.ones([2, 32, 32, 3])), [[0.75, 0.75], [0.25, 0.25]], rtol=1e-6)


def test_multiscale_judges_smaller_pictures_with_weights_of_their_own():
    model = kinds.DISCRIMINATORS["multiscale"].load()(filters=4, scales=3)
    logits = model(tf.zeros([1, 64, 64, 3]))
    assert [scale.shape[1] for scale in logits] == [8, 4, 2]
    assert len({id(judge) for judge in model.discriminators}) == 3


@pytest.mark.parametrize("name", sorted(kinds.REGULARIZERS))
@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (3, 40, 24, 1), (1, 16, 16, 4)], ids=str)
def test_regularizer_contract(name, shape):
    model = kinds.REGULARIZERS[name].load()(filters=8)
    pictures = tf.random.uniform(shape, -1, 1)
    embedding = model(pictures)
    assert embedding.shape == (shape[0], 64)
    assert embedding.dtype == tf.float32
    assert float(tf.math.reduce_std(embedding)) > 0.01
    again = type(model).from_config(model.get_config())
    again.build(pictures.shape)
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again(pictures), embedding, atol=1e-5)


# --- building from settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "precision"),
    [
        *((recipe, "float32") for recipe in sorted(recipes.RECIPES)),
        ("article", "bfloat16"),
        ("cyclegan", "bfloat16"),
        ("paired", "float16"),
        *((recipe, "float64") for recipe in ("article", "cyclegan", "projected")),
    ],
)
def test_every_recipe_builds_and_judges(recipe, precision):
    config = settings(recipe, precision=precision)
    model = assembly.build_generator(config)
    fake = model(noise_like(model, 32, 32), training=True)
    exact = tf.float64 if precision == "float64" else tf.float32
    assert fake.dtype == exact
    assert all(weight.dtype == exact for weight in model.weights)
    assert assembly.build_regularizer(config)(fake).dtype == exact
    if config.discriminator:
        logits = assembly.build_discriminator(config)(fake, training=True)
        assert all(scale.dtype == exact and np.isfinite(scale).all() for scale in logits)


def test_the_projected_discriminator_has_feature_networks_of_its_own():
    config = settings("projected", features="vgg16")
    assert assembly.build_discriminator(config).features == "vgg16"
    config = dataclasses.replace(config, discriminator_features="mobilenet")
    assert assembly.build_discriminator(config).features == "mobilenet"
    with pytest.raises(
        UserError, match="discriminator_features mobilenet: discriminator patch has none; use projected"
    ):
        assembly.build_discriminator(dataclasses.replace(config, discriminator="patch"))
    with pytest.raises(ValueError, match="should be None for several networks"):
        networks.ProjectedDiscriminator(features="mobilenet,vgg16", feature_weights="own.weights.h5")


def test_settings_reach_a_network_that_has_a_new_of_its_own():
    """Its signature is then that of `__new__`, as that of every Keras model is in Python 3.11.0 to 3.11.3."""

    @kinds.GENERATORS.add("with-new")
    class WithNew(networks.ResNetGenerator):
        def __new__(cls, *args, **kwargs):
            return super().__new__(cls, *args, **kwargs)

    try:
        model = assembly.build_generator(settings(generator="with-new"))
    finally:
        kinds.GENERATORS.remove("with-new")
    assert (model.filters, model.blocks) == (4, 1)


def test_synthesis_takes_noise_alone_and_the_article_takes_both():
    assert assembly.build_generator(settings("synthesis", noise_channels=7)).input_channels == 7
    assert assembly.build_generator(settings("article", noise_channels=7)).input_channels == 10


@pytest.mark.parametrize("adversarial", ["cross_entropy", "least_squares", "hinge", "wasserstein", "article"])
@pytest.mark.parametrize("discriminator", sorted(kinds.DISCRIMINATORS))
def test_losses_without_a_floor_get_spectral_norm_and_the_penalty_no_batch_norm(discriminator, adversarial):
    cls = kinds.DISCRIMINATORS[discriminator].load()
    norms = cls.arguments_for(kinds.ADVERSARIAL[adversarial], size=64)
    assert norms["spectral"] or adversarial in ("cross_entropy", "least_squares")
    assert not (adversarial == "wasserstein" and norms["norm"] == "batch")


@pytest.mark.parametrize(("size", "scales"), [(32, 1), (64, 2), (128, 3), (256, 3)])
def test_multiscale_looks_at_no_picture_under_32_pixels(size, scales):
    model = assembly.build_discriminator(settings(discriminator="multiscale", size=size))
    assert model.scales == scales


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("cyclegan", {"generator": "unet"}, "generator unet: no such generator; did you mean resnet"),
        ("cyclegan", {"size": 30}, "size should be a multiple of stride \\(4\\)"),
        ("cyclegan", {"size": 8, "stride": 8}, "at least 16. Received: 8"),
        ("synthesis", {"noise_channels": 0}, "noise_channels should be at least 1"),
        ("synthesis", {"residual": True}, "residual needs a content picture"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_one_clear_error(recipe, changes, message):
    with pytest.raises(UserError, match=message):
        assembly.build_generator(settings(recipe, **changes))


@pytest.mark.parametrize(
    "name",
    [each if each == "mobile" else pytest.param(each, marks=pytest.mark.long) for each in sorted(kinds.GENERATORS)],
)
def test_generator_converts_to_tflite_with_free_height_and_width(name, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    model = awake(generator(name, upsample="resize" if name == "resnet" else "transpose", noise_channels=1))
    model.export(tmp_path, input_signature=[tf.TensorSpec([1, None, None, model.input_channels])], verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
    interpreter = Interpreter(model_content=converter.convert())
    for height, width in ((16, 24), (28, 20)):
        inputs = noise_like(model, height, width, count=1)
        index = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(index, inputs.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(index, inputs.numpy())
        interpreter.invoke()
        outputs = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        np.testing.assert_allclose(outputs, model(inputs), atol=1e-4)


@pytest.mark.parametrize(("name", "shift", "factor"), [("resnet", 1, 5), ("resnet", 2, 5), ("mobile", 2, 2)])
def test_a_shift_changes_less_than_the_place_with_antialias(name, shift, factor):
    random = np.random.default_rng(0)
    picture = random.normal(0, 0.3, (1, 64, 64, 3)).cumsum(axis=1).cumsum(axis=2) / 8  # smooth, as photos are
    errors = []
    for antialias in (False, True):
        model = generator(name, filters=8, antialias=antialias)
        draw = np.random.default_rng(1)
        for weight in (each for each in model.weights if len(each.shape) > 1):
            inputs = weight.shape[:2] if "depthwise" in weight.path else weight.shape[:-1]
            weight.assign(draw.normal(0, np.prod(inputs) ** -0.5, weight.shape))
        shifted = model(picture[:, shift : 56 + shift, shift : 56 + shift]).numpy()[:, 16:40, 16:40]
        same = model(picture[:, :56, :56]).numpy()[:, 16 + shift : 40 + shift, 16 + shift : 40 + shift]
        errors.append(np.mean((shifted - same) ** 2) / np.var(same))
    assert errors[1] < errors[0] / factor


def frame(model, colour, stride):
    """How much the output for an even ground differs, at the border and elsewhere, from itself `stride` pixels away."""
    ground = np.full((1, 12 * stride, 15 * stride, model.input_channels), colour)
    made = model(ground).numpy()
    reference = np.tile(made[:, 4 * stride : 5 * stride, 4 * stride : 5 * stride], (1, 12, 15, 1))
    return np.abs(made - reference).max()


@pytest.mark.parametrize(
    ("stride", "arguments"),
    # Two transposed convolutions draw a pattern with a period of 4 pixels, whose mirror image is another pattern.
    [(4, {}), (2, {"kernel": 5, "norm": "batch"}), (2, {"upsample": "transpose", "norm": "none"})],
    ids=str,
)
@pytest.mark.parametrize("name", sorted(kinds.GENERATORS))
def test_an_even_ground_gets_no_frame(name, stride, arguments):
    model, old = (
        awake(generator(name, stride=stride, padding=padding, dtype="float64", **arguments))
        for padding in ("reflect", "zeros")
    )
    for colour in (-0.9, 0.3):
        assert frame(model, colour, stride) < 1e-6  # rounding, which norms enlarge
        assert frame(old, colour, stride) > 1e-3
    assert model.get_config()["padding"] == "reflect"
    restored = type(old).from_config(old.get_config())
    restored.build((None, None, None, 3))
    restored.set_weights(model.get_weights())
    assert frame(restored, 0.3, stride) > 1e-3


@pytest.mark.parametrize("antialias", [pytest.param(False, marks=pytest.mark.long), True])
def test_an_even_ground_stays_even_in_files_of_fixed_sizes(antialias, tmp_path):
    """Instance norms amplify rounding, if the pixels of a doubled one are computed in different ways."""
    model = awake(generator("resnet", filters=16, blocks=2, antialias=antialias))
    stylize = load(export_fixed(model, tmp_path / "model.tflite", sizes=(64,), half=False))
    for level in (40, 251):
        made = stylize(np.full((64, 64, 3), level, np.uint8)).astype(int)
        assert np.ptp(made, axis=(0, 1)).max() <= 6


def test_generator_survives_a_keras_file(tmp_path):
    model = awake(generator("article", noise_channels=2))
    model.save(tmp_path / "generator.keras")
    inputs = noise_like(model, 32, 32)
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "generator.keras")(inputs), model(inputs), atol=1e-6)


# --- features of the layers, for the contrastive loss -------------------------------------------------------------


@pytest.mark.parametrize(("blocks", "ends"), [(0, []), (1, [1]), (2, [1, 2]), (4, [1, 3]), (9, [1, 5])])
@pytest.mark.parametrize("arguments", [{}, {"stride": 8, "noise_channels": 2}], ids=str)
@pytest.mark.parametrize("name", sorted(kinds.GENERATORS))
def test_layer_features_are_those_of_the_pass_that_makes_the_picture(name, arguments, blocks, ends):
    model = awake(generator(name, blocks=blocks, residual=True, **arguments))
    inputs = noise_like(model, 32, 48)
    maps = model.layer_features(inputs)
    assert [one.shape[-1] for one in maps] == model.layer_channels
    scales = [1, *(2**level for level in range(1, len(model.down) + 1)), *(model.stride for _ in ends)]
    assert [tuple(one.shape[1:3]) for one in maps] == [(32 // scale, 48 // scale) for scale in scales]
    np.testing.assert_array_equal(maps[0], inputs[..., :3])
    for place, end in enumerate(ends, len(model.down) + 1):
        done = maps[len(model.down)]
        for block in model.body[:end]:
            done = block(done)
        np.testing.assert_allclose(maps[place], done, atol=1e-5)
    np.testing.assert_array_equal(model.finish(inputs, maps), model(inputs))


def test_without_content_the_first_layer_is_the_first_way_down():
    model = generator("article", takes_content=False, noise_channels=2)
    maps = model.layer_features(noise_like(model, 32, 32))
    assert [one.shape[-1] for one in maps] == model.layer_channels == [8, 16, 16]


@pytest.mark.parametrize(("size", "count"), [(16 * 16, 256), (24 * 24, 256), (64 * 64, 256), (9, 256), (1, 4)])
def test_places_are_different_spread_and_repeatable(size, count):
    (first,), (again,), (other,) = (draw_places(tf.constant(seed), [size], count) for seed in ([3, 5], [3, 5], [3, 6]))
    assert first.dtype == tf.int32
    assert len(set(first.numpy())) == min(size, count)
    run = size / min(size, count)
    np.testing.assert_array_less(np.abs(first - (np.arange(min(size, count)) + 0.5) * run), run + 1)
    np.testing.assert_array_equal(first, again)
    assert size <= count or not np.array_equal(first, other)


def test_every_place_of_a_map_is_drawn():
    seen = set(np.concatenate([draw_places(tf.constant([1, n]), [30], 4)[0] for n in range(200)]))
    assert seen == set(range(30))


def test_values_at_places_by_hand():
    maps = tf.reshape(tf.range(2 * 2 * 3 * 2, dtype=tf.float32), [2, 2, 3, 2])
    # Place 4 is row 1, column 1; place 2 is row 0, column 2.
    np.testing.assert_array_equal(values_at(maps, tf.constant([4, 2])), [[[8, 9], [4, 5]], [[20, 21], [16, 17]]])


@pytest.mark.parametrize("jit", [False, True])
def test_the_gradient_of_values_at_places_by_hand(jit):
    maps = tf.reshape(tf.range(6.0), (1, 2, 3, 1))

    @tf.function(jit_compile=jit)
    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(maps)
            picked = values_at(maps, tf.constant([4, 2, 4]))
            total = tf.reduce_sum(picked[0, :, 0] * [1.0, 10.0, 100.0])
        return tape.gradient(total, maps)

    np.testing.assert_array_equal(gradient()[0, :, :, 0], [[0, 0, 10], [0, 101, 0]])


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_patch_embedder_contract(policy):
    model = networks.PatchEmbedder([3, 4], units=8, dtype=policy)
    model.build()
    maps = [tf.random.uniform([2, 8, 8, 3], -1, 1), tf.nn.relu(tf.random.normal([2, 4, 4, 4]))]
    places = draw_places(tf.constant([1, 2]), [64, 16], 32)
    with tf.GradientTape() as tape:
        vectors = model(maps, places)
        total = sum(tf.reduce_sum(one[..., 0]) for one in vectors)
    assert [tuple(one.shape) for one in vectors] == [(2, 32, 8), (2, 16, 8)]
    assert all(one.dtype == tf.float32 for one in vectors)
    for one in vectors:
        np.testing.assert_allclose(tf.norm(one, axis=-1), 1.0, atol=1e-3)
    assert all(gradient is not None for gradient in tape.gradient(total, model.trainable_variables))
    assert len(model.trainable_variables) == 8
    again = type(model).from_config(model.get_config())
    again.build()
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(maps, places)[1], vectors[1])


def test_patch_embedder_tells_light_from_dark_of_the_same_hue():
    model = networks.PatchEmbedder([3])
    model.build()
    grays = tf.reshape(tf.repeat(tf.constant([0.1, 0.9]), 3), [1, 1, 2, 3])
    light, dark = tf.unstack(model([grays], [tf.constant([0, 1])])[0][0])
    assert float(tf.reduce_sum(light * dark)) < 0.98


def test_a_vector_of_zeros_has_a_bounded_gradient():
    model = networks.PatchEmbedder([2], units=4)
    model.build()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model([tf.zeros([1, 1, 1, 2])], [tf.constant([0])])[0])
    gradient = tape.gradient(total, model.last[0].bias)
    assert 0.0 < float(tf.reduce_max(tf.abs(gradient))) <= 1001.0


@pytest.mark.parametrize("table", ["GENERATORS", pytest.param("DISCRIMINATORS", marks=pytest.mark.long)])
def test_a_user_who_chose_channels_first_for_other_networks(table):
    """~/.keras/keras.json may say so."""
    keras.config.set_image_data_format("channels_first")
    try:
        for name in getattr(kinds, table):
            for down in ("conv", "pool"):
                choice = {"downsample": down} if table == "GENERATORS" else {}
                made = getattr(kinds, table)[name].load()(**({"filters": 4, "blocks": 1} if choice else {}), **choice)
                channels = getattr(made, "input_channels", 3)
                assert made(tf.zeros((1, 64, 64, channels)))[0] is not None
        assert load("vangogh-mobile")(np.zeros((16, 20, 3), np.uint8)).shape == (16, 20, 3)
    finally:
        keras.config.set_image_data_format("channels_last")
