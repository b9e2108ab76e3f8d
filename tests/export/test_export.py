"""Keras, SavedModel and LiteRT give the same pictures at several sizes and batches. No incomplete files are written."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from small_models import make_generator, make_run, quick_with

import kgan
from kgan import cli
from kgan.errors import RunError, UserError
from kgan.export import export_litert, export_run, export_saved_model, load, load_generator
from kgan.export.litert import convert as litert
from kgan.inference.stylist import Stylist, from_noise, in_precision, reflected_indices
from kgan.kinds import FORMATS
from kgan.runs.settings import TrainConfig

SIZES = [(64, 64), (37, 51), (33, 20)]
LEVEL = 1.0 / 255.0


def make_inputs(generator, count, height, width):
    random = np.random.default_rng(1)
    inputs = {}
    if generator.takes_content:
        inputs["image"] = random.random((count, height, width, generator.channels)).astype(np.float32)
    if generator.noise_channels:
        inputs["noise"] = random.normal(size=(count, height, width, generator.noise_channels)).astype(np.float32)
    return inputs


@pytest.mark.parametrize("kind", quick_with("content_noise"))
def test_keras_saved_model_and_litert_agree(tmp_path, kind):
    generator = make_generator(kind)
    stylist = Stylist(generator)
    saved = tf.saved_model.load(str(export_saved_model(generator, tmp_path / "saved")))
    function = saved.signatures["from_noise" if generator.noise_channels else "serving_float"]
    runner = Interpreter(str(export_litert(generator, tmp_path / "m.tflite"))).get_signature_runner("serving_default")
    for height, width in SIZES:
        for count in (1, 2):
            inputs = make_inputs(generator, count, height, width)
            expected = stylist(**inputs).numpy()
            assert expected.shape == (count, height, width, generator.channels)
            assert expected.std() > 0.01
            tensors = {name: tf.constant(value) for name, value in inputs.items()}
            assert np.abs(function(**tensors)["stylized"] - expected).max() < LEVEL
            assert np.abs(runner(**inputs)["stylized"] - expected).max() < LEVEL


@pytest.mark.long
def test_half_weights_stay_near_and_take_half_the_room(tmp_path):
    generator = make_generator("content")
    whole = export_litert(generator, tmp_path / "whole.tflite").stat().st_size
    half = export_litert(generator, tmp_path / "half.tflite", half=True).stat().st_size
    weights = generator.count_params() * 4
    assert weights < whole < weights + 60_000  # a file without its weights has 38 KB in all
    assert half < whole - 0.45 * weights
    inputs = make_inputs(generator, 1, 40, 30)
    runner = Interpreter(str(tmp_path / "half.tflite")).get_signature_runner("serving_default")
    assert np.abs(runner(**inputs)["stylized"] - Stylist(generator)(**inputs).numpy()).max() < 2 * LEVEL


def test_signature_names(tmp_path):
    generator = make_generator("content_noise")
    path = export_litert(generator, tmp_path / "m.tflite")
    assert Interpreter(str(path)).get_signature_list() == {
        "serving_default": {"inputs": ["image", "noise"], "outputs": ["stylized"]}
    }


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    """A generator that takes noise of a distribution that is not the default, and its SavedModel."""
    generator = make_generator("content_noise")
    return generator, export_saved_model(generator, tmp_path_factory.mktemp("drawing") / "saved", "truncated", 1.5)


@pytest.fixture
def plain(tmp_path, drawing):
    """A copy of a SavedModel, which a test may replace."""
    return shutil.copytree(drawing[1], tmp_path / "saved")


def test_seeds_draw_the_same_noise_in_the_graph_and_outside(drawing):
    generator, folder = drawing
    saved, stylist = tf.saved_model.load(str(folder)), Stylist(generator, "truncated", 1.5)
    image = make_inputs(generator, 2, 20, 28)["image"]
    drawn = saved.signatures["serving_float"](image=tf.constant(image), seed=tf.constant([9, 9]))["stylized"]
    noise = np.repeat(stylist.noise(9, 1, 20, 28), 2, axis=0)  # a row's noise is its own seed's
    assert np.abs(drawn - stylist(image, noise)).max() < 1e-5
    other = saved.signatures["serving_float"](image=tf.constant(image), seed=tf.constant([8, 8]))["stylized"]
    assert np.abs(drawn - other).max() > 1e-4


@pytest.mark.long
def test_mixed_bfloat16_is_exported_in_float32(tmp_path):
    generator = make_generator("content", dtype="mixed_bfloat16")
    exact = in_precision(generator, "float32")
    assert exact.compute_dtype == "float32"
    inputs = make_inputs(generator, 1, 37, 51)
    made = load(export_saved_model(generator, tmp_path / "saved"))(inputs["image"])
    assert np.abs(made - Stylist(exact)(**inputs).numpy()).max() < 1e-5
    assert np.abs(made - (generator(inputs["image"][:, :36, :48] * 2 - 1).numpy() / 2 + 0.5)[0, 0, 0, 0]).max() <= 1
    assert generator.compute_dtype == "bfloat16"


@pytest.mark.parametrize(("length", "stride"), [(1, 4), (2, 4), (3, 8), (15, 4), (16, 4), (17, 4), (97, 8)])
def test_reflected_indices_are_numpys_reflection(length, stride):
    indices, before = reflected_indices(tf.constant(length), stride)
    assert len(indices) % stride == 0
    assert len(indices) >= length
    after = len(indices) - length - int(before)
    assert (indices.numpy() == np.pad(np.arange(length), (int(before), after), "reflect")).all()


def test_sizes_that_fit_are_not_padded():
    generator = make_generator("content")
    image = make_inputs(generator, 1, 32, 48)["image"]
    assert np.allclose(Stylist(generator)(image), generator(image * 2 - 1) / 2 + 0.5, atol=1e-6)


def test_facts_travel_with_every_file(tmp_path, drawing, plain):
    generator, saved = drawing
    expected = Stylist(generator, "truncated", 1.5).facts
    assert expected.filters == 8
    lite = export_litert(generator, tmp_path / "m.tflite", distribution="truncated", truncation=1.5)
    assert load(saved).facts == load(lite).facts == expected
    saved = plain
    (saved / "assets.extra" / "kgan.json").unlink()
    assert load(saved).facts.noise_channels == 2
    assert load(saved).facts.takes_content


@pytest.mark.parametrize("kind", ["content", "content_noise"])
def test_saved_models_of_before_are_read(tmp_path, kind):
    """Their serving_default took floats. For models with noise it used one seed; they also had from_noise."""
    stylist = Stylist(make_generator(kind))
    root = tf.Module()
    root.weights = [variable.value for variable in stylist.generator.variables]
    name = "from_noise" if stylist.facts.noise_channels else "serving_default"
    tf.saved_model.save(root, str(tmp_path / "saved"), signatures={name: from_noise(stylist)})
    image = make_inputs(stylist.generator, 1, 20, 28)["image"]
    noise = stylist.noise(4, 1, 20, 28) if stylist.facts.noise_channels else None
    assert np.abs(load(tmp_path / "saved", trust=True)(image, seed=4) - stylist(image, noise)).max() < 1e-5


def test_a_former_saved_model_is_replaced_whole(tmp_path, plain):
    export_saved_model(make_generator("gray_pool"), plain)
    assert load(tmp_path / "saved").facts.channels == 1
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_failing_export_leaves_the_former_one(tmp_path, monkeypatch, drawing, plain):
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "saved").rglob("*"))
    monkeypatch.setattr(tf.saved_model, "save", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        export_saved_model(drawing[0], plain)
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "saved").rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_other_folders_are_not_replaced(tmp_path):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match="is no SavedModel"):
        export_saved_model(make_generator("content"), tmp_path / "holiday")
    assert (tmp_path / "holiday" / "photo.jpg").exists()


def test_a_conversion_that_differs_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    other = litert.convert(Stylist(make_generator("content")))
    monkeypatch.setattr(litert, "convert", lambda *_: other)
    with pytest.raises(RunError, match="differs from Keras"):
        export_litert(make_generator("content"), tmp_path / "m.tflite")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def run(tmp_path):
    from kgan.assembly import build_generator
    from kgan.runs import recipes

    config = recipes.resolve(TrainConfig(data="sample", filters=8, blocks=1, size=32))
    generator = build_generator(config)
    for variable in generator.trainable_variables:
        variable.assign_add(tf.random.normal(variable.shape, stddev=0.05))
    return make_run(tmp_path / "run", generator, config), generator


@pytest.mark.long
def test_a_run_loads_from_its_checkpoint_and_exports(run):
    folder, generator = run
    picture = np.random.default_rng(0).integers(0, 256, (37, 51, 3), np.uint8)
    expected = Stylist(generator)(picture[None] / np.float32(255))[0].numpy() * 255
    assert np.abs(load(folder)(picture) - expected).max() <= 0.51
    written = export_run(folder)
    assert [path.name for path in written] == ["saved_model", "model.tflite", "model_float16.tflite"]
    for path in (folder, *written[:2]):
        assert np.abs(load(path)(picture) - expected).max() <= 1


def test_a_run_without_checkpoints_is_read_from_its_saved_model(run):
    folder, generator = run
    export_saved_model(generator, folder / "saved_model")
    for path in (folder / "checkpoints").iterdir():
        path.unlink()
    read, config = load_generator(folder)  # which is what an export writes
    assert config.filters == 8
    assert all((a == b).all() for a, b in zip(read.get_weights(), generator.get_weights(), strict=True))


def test_a_run_that_does_not_fit_its_settings(run):
    folder, _ = run
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**settings, "filters": 16}), encoding="utf-8")
    with pytest.raises(UserError, match="does not fit the settings"):
        load(folder)


@pytest.mark.parametrize(
    "kind", ["nothing", "folder", "text", "broken.tflite", "broken_saved", "broken_config", "empty_run"]
)
def test_no_model(tmp_path, kind):
    path: pathlib.Path = tmp_path / kind
    if kind in ("folder", "broken_saved", "broken_config", "empty_run"):
        path.mkdir()
    content = {"text": path, "broken.tflite": path, "broken_saved": path / "saved_model.pb"}.get(kind)
    if content:
        content.write_bytes(b"not a model, not at all, whatever the suffix says")
    if kind == "broken_config":
        (path / "config.json").write_text('{"recipe": ', encoding="utf-8")
    if kind == "empty_run":
        from kgan.runs import recipes

        recipes.resolve(TrainConfig(data="sample", filters=8, blocks=1)).save(path / "config.json")
    with pytest.raises(UserError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    if kind in ("nothing", "folder", "text"):
        assert "a run folder, a SavedModel folder or a .tflite or .onnx file" in str(caught.value)


def test_one_more_format_takes_one_function(run, tmp_path, capsys):
    """It is a choice of the command line and of Python; what each training writes stays as it is."""

    @FORMATS.add("weights", help="an .h5 file for Keras", file="model.weights.h5")
    def weights(generator, path, **noise):
        generator.save_weights(path)
        return path

    try:
        with pytest.raises(SystemExit):
            cli.main(["export", "--help"])
        assert "weights (an .h5 file for Keras)" in " ".join(capsys.readouterr().out.replace("│", " ").split())
        words = ["export", "--run", str(run[0]), "--output", str(tmp_path / "out"), "--format"]
        assert cli.main([*words, "weight"]) == 2
        assert (
            "should be one of litert, litert_float16, saved_model, safetensors, safetensors_float16, weights"
            in capsys.readouterr().err
        )
        assert cli.main([*words, "weights"]) == 0
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.weights.h5"]
        assert kgan.export(run[0], tmp_path / "more", format="weights") == [tmp_path / "more" / "model.weights.h5"]
    finally:
        FORMATS.remove("weights")
