"""ONNX files: what they compute, compared with Keras, the files beside them, and kgan's commands with them."""

import hashlib
import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import small_runs
from PIL import Image
from small_models import disturb, make_run

import kgan
from kgan import cli
from kgan.assembly import build_generator
from kgan.errors import RunError, UserError
from kgan.export import Stylist, check_onnx, export_onnx, load
from kgan.export.onnx import files as onnx_files
from kgan.inference.onnx_checks import OPERATORS
from kgan.kinds import ONNX
from kgan.networks.generators import ArticleGenerator
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

NAMES = ("model.onnx", "model_float16.onnx", "model_float32_32.onnx", "model_float16_32.onnx")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run and all its ONNX files from the command line."""
    folder = tmp_path_factory.mktemp("onnx")
    settings = {"generator": "mobile", "filters": 8, "blocks": 1, "size": 32}
    config = recipes.resolve(TrainConfig(data=small_runs.pictures(), **settings))
    generator = build_generator(config)
    disturb(generator)
    make_run(folder / "run", generator, config)
    words = ["--sizes", "32", "--licence", "CC0-1.0", "--source", "drawn by a test", "--onnx", "float32"]
    assert cli.main(["export", "--run", str(folder / "run"), "--output", str(folder / "out"), *words,
                     "--onnx", "float16"]) == 0  # fmt: skip
    return generator, folder / "out"


def picture(height, width, seed=0):
    """A smooth random picture."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def told_of(path):
    return json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"))


def test_a_file_for_each_format_and_size(exported):
    _, folder = exported
    assert {path.name for path in folder.iterdir()} == {
        name + end for name in NAMES for end in ("", ".json", ".vectors.bin")
    }


@pytest.mark.parametrize("size", [(64, 64), (37, 51), (9, 70), (3, 5)])
def test_they_give_what_keras_gives_at_any_size_and_number(exported, size):
    generator, folder = exported
    batch = np.stack([picture(*size, seed) for seed in (1, 2)]).astype(np.float32) / 255
    expected = Stylist(generator)(batch).numpy()
    assert np.abs(expected - batch).max() > 0.05
    assert np.abs(load(folder / "model.onnx")(batch) - expected).max() < 1e-4
    assert np.abs(load(folder / "model_float16.onnx")(batch) - expected).max() < 0.02


def test_files_of_a_fixed_size_take_that_size_alone(exported):
    generator, folder = exported
    batch = np.stack([picture(32, 32, seed) for seed in (1, 2)]).astype(np.float32) / 255
    model = load(folder / "model_float32_32.onnx")
    assert model.facts == Stylist(generator).facts
    assert np.abs(model(batch) - Stylist(generator)(batch).numpy()).max() < 1e-4
    with pytest.raises(UserError, match=r"_32\.onnx: takes pictures of 32x32 alone\. Received: 40x32"):
        model(np.zeros((32, 40, 3), np.uint8))


def test_float16_halves_the_kernels(exported):
    _, folder = exported
    whole, half = ((folder / name).stat().st_size for name in NAMES[:2])
    kernels = sum(w.shape.num_elements() for w in exported[0].trainable_variables if len(w.shape) > 1)
    assert kernels < whole - half < 2 * kernels
    types = {tensor.data_type for tensor in onnx.load(folder / NAMES[1]).graph.initializer if len(tensor.dims) == 4}
    assert onnx.TensorProto.FLOAT16 in types


def test_a_file_has_one_old_set_of_operators_and_says_what_it_is(exported):
    _, folder = exported
    for name in NAMES:
        model = onnx.load(folder / name)
        onnx.checker.check_model(model)
        assert [(each.domain, each.version) for each in model.opset_import] == [("", 13)]
        assert {node.op_type for node in model.graph.node} <= OPERATORS
        assert (model.producer_name, model.producer_version) == ("kgan", kgan.__version__)
        told = {each.key: each.value for each in model.metadata_props}
        assert (told["model_license"], told["source"], told["recipe"]) == ("CC0-1.0", "drawn by a test", "projected")


def test_the_sidecar_tells_what_the_file_is(exported):
    _, folder = exported
    for name in NAMES:
        told, session = told_of(folder / name), onnxruntime.InferenceSession(folder / name)
        assert told["sha256"] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert (told["file"], told["kgan"], told["opset"]) == (name, kgan.__version__, 13)
        assert (told["licence"], told["source"], told["recipe"]) == ("CC0-1.0", "drawn by a test", "projected")
        assert told["inputs"] == {"image": {"shape": session.get_inputs()[0].shape, "dtype": "float32"}}
        assert told["outputs"].keys() == {"stylized"}
        assert (told["layout"], told["channels"]) == ("NHWC", ["red", "green", "blue"])
        assert told["sizes"] == ([32] if "_32" in name else "any height and width")
        assert told["likeness_to_keras"]["ssim_worst"] >= ONNX[told["variant"]].least_ssim
    assert told_of(folder / "model.onnx")["inputs"]["image"]["shape"] == ["batch", "height", "width", 3]


def test_test_vectors_are_what_onnxruntime_gives(exported):
    """They are read with the JSON file alone, as in a program without kgan."""
    _, folder = exported
    for name in NAMES:
        told = told_of(folder / name)["test_vectors"]
        raw = (folder / told["file"]).read_bytes()
        image, expected = (
            np.frombuffer(raw, np.uint8, place["bytes"], place["offset"]).reshape(place["shape"])
            for place in (told["tensors"][key] for key in ("image", "stylized"))
        )
        session = onnxruntime.InferenceSession(folder / name)
        (made,) = session.run(["stylized"], {"image": image.astype(np.float32) / 255})
        assert np.abs(np.rint(255 * made) - expected).max() <= told["tolerance_levels"]
        assert np.abs(image.astype(int) - expected).max() > 10
        assert "up to" in check_onnx(folder / name)


def test_a_check_finds_what_was_changed(exported, tmp_path):
    _, folder = exported
    for end in ("", ".json", ".vectors.bin"):
        (tmp_path / f"model.onnx{end}").write_bytes((folder / f"model.onnx{end}").read_bytes())
    vectors = bytearray((tmp_path / "model.onnx.vectors.bin").read_bytes())
    vectors[-5] ^= 128
    (tmp_path / "model.onnx.vectors.bin").write_bytes(vectors)
    with pytest.raises(RunError, match=r"differs by 1[0-9]{2} of 255 levels; 2 are allowed"):
        check_onnx(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes((folder / "model_float16.onnx").read_bytes())
    with pytest.raises(RunError, match="sha256 differs"):
        check_onnx(tmp_path / "model.onnx")


# --- commands ---------------------------------------------------------------------------------------------------------


def test_stylize_gives_what_the_run_gives_with_masks_strokes_and_alpha(exported, tmp_path):
    _, folder = exported
    alpha = np.tile(np.arange(70, dtype=np.uint8), (41, 1)) * 3
    Image.fromarray(np.dstack([picture(41, 70), alpha])).save(tmp_path / "photo.png")
    Image.fromarray((np.arange(70) < 35).astype(np.uint8)[None].repeat(41, 0) * 255).save(tmp_path / "mask.png")
    words = ["--mask", str(tmp_path / "mask.png"), "--feather", "0", "--strokes", "2"]
    made = {}
    for name, model in {"run": folder.parent / "run", "onnx": folder / "model.onnx"}.items():
        out = tmp_path / f"{name}.png"
        assert (
            cli.main(["stylize", str(tmp_path / "photo.png"), "--model", str(model), "--output", str(out), *words]) == 0
        )
        made[name] = np.asarray(Image.open(out)).astype(int)
    before = np.asarray(Image.open(tmp_path / "photo.png")).astype(int)
    assert np.abs(made["run"] - made["onnx"]).max() <= 1
    assert np.abs(made["onnx"] - before)[:, :35].max() > 10
    assert (made["onnx"] - before)[:, 35:].max() == 0
    assert (made["onnx"][..., 3] == alpha).all()


def test_a_picture_beyond_the_memory_is_restyled_smaller(exported, tmp_path, capsys):
    _, folder = exported
    Image.fromarray(picture(300, 400)).save(tmp_path / "photo.png")
    words = ["--model", str(folder / "model.onnx"), "--output", str(tmp_path / "out"), "--memory", "0.006"]
    assert cli.main(["stylize", str(tmp_path / "photo.png"), *words]) == 0
    assert "% of its size and enlarged" in capsys.readouterr().err
    assert np.asarray(Image.open(tmp_path / "out" / "photo.png")).shape == (300, 400, 3)
    model = load(folder / "model.onnx")
    assert not model.has_tiles
    assert model.bytes_per_pixel == 4 * model.facts.floats_at_peak["onnx"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--onnx", "int8"], "--onnx int8: should be one of float32, float16"),
        (["--onnx", "float16", "--name", "x", "--output", "o"], "serves no .onnx files; leave out --name"),
        (["--onnx", "float16", "--format", "litert"], "--format: leave it out, or --onnx"),
        (["--onnx", "float16", "--sizes", "250"], "--sizes 250: should be a multiple of the model's stride 4"),
    ],
)
def test_wrong_words(exported, tmp_path, capsys, words, told):
    assert cli.main(["export", "--run", str(exported[1].parent / "run"), "--output", str(tmp_path / "o"), *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert told in lines[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", ["onnx", "onnxruntime", "tf2onnx"])
def test_without_a_package_one_line_says_what_to_install(exported, tmp_path, monkeypatch, capsys, module):
    run, file = exported[1].parent / "run", exported[1] / "model.onnx"
    monkeypatch.setitem(sys.modules, module, None)  # as an import finds it that is not installed
    said = f"ONNX files need {module}, which is not installed: pip install 'kgan[onnx]'"
    assert cli.main(["export", "--run", str(run), "--output", str(tmp_path / "out"), "--onnx", "float16"]) == 2
    assert capsys.readouterr().err.strip().endswith(said)
    assert not list(tmp_path.iterdir())
    if module != "tf2onnx":
        with pytest.raises(UserError) as caught:
            load(file)
        assert str(caught.value) == said


# --- files that differ ------------------------------------------------------------------------------------------------


def test_a_file_that_differs_from_keras_is_not_written(exported, tmp_path, monkeypatch):
    """A format of weights takes one function. This one forgets the weights of the last layer."""
    generator, folder = exported

    @ONNX.add(help="without a layer", least_ssim=0.5, bytes_per_weight=4)
    def forgotten(model):
        kernels = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 4]
        kernels[-1].raw_data = bytes(len(kernels[-1].raw_data))
        return model

    monkeypatch.setattr(onnx_files, "convert", lambda *_: onnx.load(folder / "model.onnx"))
    try:
        with pytest.raises(
            RunError, match=r"model_forgotten\.onnx: not written: the converted model differs from Keras"
        ):
            export_onnx(generator, tmp_path, ["forgotten"])
        assert not list(tmp_path.iterdir())
    finally:
        ONNX.remove("forgotten")


@pytest.mark.slow
def test_noise_is_an_input_and_among_the_test_vectors(tmp_path):
    generator = ArticleGenerator(filters=4, blocks=1, stride=2, norm="none", noise_channels=2)
    generator(np.zeros((1, 32, 32, 5), np.float32))
    pictures = [picture(32, 32)]
    (path,) = export_onnx(generator, tmp_path, ["float32"], pictures=pictures, distribution="uniform")
    told = told_of(path)
    assert told["noise"] == {"channels": 2, "distribution": "uniform", "truncation": 2.0}
    assert told["inputs"]["noise"] == {"shape": ["batch", "height", "width", 2], "dtype": "float32"}
    place = told["test_vectors"]["tensors"]["noise"]
    raw = (tmp_path / told["test_vectors"]["file"]).read_bytes()
    noise = np.frombuffer(raw, "<f4", place["bytes"] // 4, place["offset"]).reshape(place["shape"])
    seed = told["test_vectors"]["seed"]
    assert (noise == Stylist(generator, "uniform").noise(seed, *place["shape"][:3]).numpy()).all()
    model, photo = load(path), picture(37, 51)
    assert model.facts == Stylist(generator, "uniform").facts
    made = [model(photo, seed=seed) for seed in (1, 1, 2)]
    assert (made[0] == made[1]).all()
    assert (made[0] != made[2]).any()
    expected = Stylist(generator, "uniform")(photo[None].astype(np.float32) / 255, model.noise(1, 1, 37, 51)).numpy()
    assert np.abs(made[0] - 255 * expected[0]).max() < 1
