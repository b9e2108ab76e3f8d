"""Variants of LiteRT files: their names, their similarity to Keras, and the files beside them. kgan reads them too."""

import hashlib
import json
import logging
import sys

import numpy as np
import pytest
import small_runs
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from small_models import disturb, make_generator, make_run

import kgan
from kgan import cli
from kgan.assembly import build_generator
from kgan.errors import RunError, UserError
from kgan.export import Stylist, check_litert, export_fixed, export_variants, load
from kgan.export.litert import int8 as litert_int8
from kgan.export.litert.pictures import real_pictures, squares
from kgan.kinds import WEIGHTS
from kgan.metrics import ssim
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

SIZES = (32, 64)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run and all its variants from the command line."""
    folder = tmp_path_factory.mktemp("variants")
    root = small_runs.pictures()
    config = recipes.resolve(TrainConfig(data=root, filters=8, blocks=1, size=32))
    generator = build_generator(config)
    disturb(generator)
    make_run(folder / "run", generator, config)
    words = ["--sizes", "64", "--sizes", "32", "--licence", "CC0-1.0", "--source", "drawn by a test"]
    words += [word for variant in WEIGHTS for word in ("--litert", variant)]
    assert cli.main(["export", "--run", str(folder / "run"), "--output", str(folder / "out"), *words]) == 0
    return generator, folder / "out"


def files(folder):
    return sorted(path for path in folder.iterdir() if path.suffix == ".tflite")


@pytest.mark.long
def test_two_files_for_each_variant(exported):
    _, folder = exported
    names = {f"model{variant}{fixed}" for variant in ("_float16", "_int8_weights", "_int8") for fixed in ("", "_fixed")}
    names |= {"model", "model_float32_fixed"}
    suffixes = (".tflite", ".json", ".vectors.bin")
    assert {path.name for path in folder.iterdir()} == {name + suffix for name in names for suffix in suffixes}


def test_the_quantizer_warns_of_nothing_and_others_may(caplog):
    with litert_int8._quietly():
        logging.warning("weights of two sizes")
    logging.warning("another")
    assert [record.message for record in caplog.records] == ["another"]


def test_one_more_format_of_weights_takes_one_function(tmp_path, capsys):
    """It is a choice of the command line, and its files pass through the same checks."""

    @WEIGHTS.add(help="kernels of float32, written twice", least_ssim=0.5, bytes_per_weight=4)
    def doubled(source):
        return source.content

    try:
        with pytest.raises(SystemExit):
            cli.main(["export", "--help"])
        assert "doubled}" in capsys.readouterr().out
        assert cli.main(["export", "--run", "x", "--litert", "double"]) == 2
        assert "should be one of float32, float16, int8_weights, int8, doubled" in capsys.readouterr().err
        config = recipes.resolve(TrainConfig(data="sample", filters=4, blocks=1, size=32))
        made = export_variants(build_generator(config), tmp_path, ["doubled"], sizes=(16,))
        assert [path.name for path in made] == ["model_doubled_fixed.tflite", "model_doubled.tflite"]
        told = json.loads((tmp_path / "model_doubled.json").read_text(encoding="utf-8"))
        assert told["arithmetic"] == "kernels of float32, written twice"
    finally:
        WEIGHTS.remove("doubled")


@pytest.mark.long
def test_they_give_what_keras_gives(exported):
    generator, folder = exported
    stylist = Stylist(generator)
    (picture,) = squares(real_pictures(count=1), 64, 3)
    expected = stylist(picture[None].astype(np.float32) / 255.0).numpy()
    assert expected.std() > 0.05
    for path in files(folder):
        made = load(path)(picture.astype(np.float32) / 255.0)
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert float(ssim(made[None], expected)[0]) > WEIGHTS[told["variant"]].least_ssim, path.name
        assert told["likeness_to_keras"]["ssim_worst"] >= WEIGHTS[told["variant"]].least_ssim


@pytest.mark.long
def test_weights_take_the_room_that_the_variant_says(exported):
    _, folder = exported
    sizes = [(folder / f"model{name}.tflite").stat().st_size for name in ("", "_float16", "_int8_weights")]
    kernels = sum(w.shape.num_elements() for w in exported[0].trainable_variables if len(w.shape) > 1)
    assert sizes[0] - sizes[1] > 1.8 * kernels
    assert sizes[1] - sizes[2] > 0.5 * kernels


@pytest.mark.long
def test_the_sidecar_tells_what_the_file_is(exported):
    _, folder = exported
    for path in files(folder):
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (told["file"], told["bytes"], told["kgan"]) == (path.name, path.stat().st_size, kgan.__version__)
        assert (told["licence"], told["source"]) == ("CC0-1.0", "drawn by a test")
        assert told["labels"] == {"content": "pictures", "style": "pictures"}
        assert told["channels"] == ["red", "green", "blue"]
        assert told["noise"] is None
        interpreter = Interpreter(str(path))
        assert told["signatures"].keys() == interpreter.get_signature_list().keys()
        if path.stem.endswith("_fixed"):
            assert told["sizes"] == [32, 64]
            shape = interpreter.get_signature_runner("s64").get_input_details()["image"]["shape"].tolist()
            assert told["signatures"]["s64"]["inputs"]["image"] == {"shape": shape, "dtype": "float32"}
        else:
            assert told["sizes"] == "any height and width"


@pytest.mark.long
def test_test_vectors_are_what_the_interpreter_gives(exported):
    """The test vectors are read with the JSON file alone, as in a program without kgan."""
    _, folder = exported
    for path in files(folder):
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["test_vectors"]
        raw = (folder / told["file"]).read_bytes()

        def tensor(name, told=told, raw=raw):
            place = told["tensors"][name]
            assert place["dtype"] == "uint8"
            return np.frombuffer(raw, np.uint8, place["bytes"], place["offset"]).reshape(place["shape"])

        runner = Interpreter(str(path)).get_signature_runner(told["signature"])
        made = np.rint(255 * runner(image=tensor("image").astype(np.float32) / 255)["stylized"])
        assert np.abs(made - tensor("stylized")).max() <= told["tolerance_levels"]
        assert tensor("image").std() > 10
        assert np.abs(tensor("image").astype(int) - tensor("stylized")).max() > 10
        assert "up to" in check_litert(path)


@pytest.mark.long
def test_noise_is_among_the_test_vectors(tmp_path):
    generator = make_generator("content_noise")
    pictures = [np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)]
    sizes = (32, 128)  # s128 comes first by name
    (fixed, _) = export_variants(generator, tmp_path, ["float32"], sizes, pictures, distribution="uniform")
    told = json.loads(fixed.with_suffix(".json").read_text(encoding="utf-8"))
    assert told["noise"] == {"channels": 2, "distribution": "uniform", "truncation": 2.0}
    place = told["test_vectors"]["tensors"]["noise"]
    raw = (tmp_path / told["test_vectors"]["file"]).read_bytes()
    noise = np.frombuffer(raw, "<f4", place["bytes"] // 4, place["offset"]).reshape(place["shape"])
    seed = told["test_vectors"]["seed"]
    assert (noise == Stylist(generator, "uniform").noise(seed, 1, 32, 32).numpy()).all()
    assert "up to 0 of 255" in check_litert(fixed)


def copied(path, folder):
    for suffix in (".tflite", ".json", ".vectors.bin"):
        (folder / f"m{suffix}").write_bytes(path.with_suffix(suffix).read_bytes())
    return folder / "m.tflite"


@pytest.mark.long
def test_a_check_finds_what_was_changed(exported, tmp_path):
    _, folder = exported
    model = copied(folder / "model_float16_fixed.tflite", tmp_path)
    check_litert(model)
    vectors = bytearray((tmp_path / "m.vectors.bin").read_bytes())
    vectors[-5] ^= 128
    (tmp_path / "m.vectors.bin").write_bytes(vectors)
    with pytest.raises(RunError, match=r"differs by 1[0-9]{2} of 255 levels; 2 are allowed"):
        check_litert(model)
    model.write_bytes((folder / "model_int8_fixed.tflite").read_bytes())
    with pytest.raises(RunError, match="sha256 differs"):
        check_litert(model)
    (tmp_path / "m.json").unlink()
    with pytest.raises(UserError, match=r"needs m\.json and m\.vectors\.bin beside it"):
        check_litert(model)


# --- kgan takes them --------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_files_of_fixed_sizes_take_their_sizes_alone(exported):
    generator, folder = exported
    model = load(folder / "model_float16_fixed.tflite")
    assert model.facts == Stylist(generator).facts
    pictures = np.random.default_rng(4).integers(0, 256, (2, 32, 32, 3), np.uint8)
    together = model(pictures)
    assert (together[1] == model(pictures[1])).all()
    assert (together[0] != together[1]).any()
    with pytest.raises(UserError, match=r"takes pictures of 32x32, 64x64 alone\. Received: 40x32"):
        model(np.zeros((32, 40, 3), np.uint8))


def test_facts_are_told_by_the_tensors_of_a_file_without_them(tmp_path):
    generator = make_generator("content_noise")
    path = export_fixed(generator, tmp_path / "m.tflite", (32,))
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"PK\x03\x04")])
    facts = load(path).facts
    assert (facts.channels, facts.noise_channels, facts.takes_content) == (3, 2, True)


# --- words and pictures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--litert", "int4"], "int4"),
        (["--litert", "float16", "--name", "x", "--output", "o"], "leave out --name"),
        (["--litert", "float16", "--sizes", "250"], "--sizes 250: should be a multiple of the model's stride 4"),
    ],
)
def test_wrong_words(tmp_path, capsys, words, told):
    config = recipes.resolve(TrainConfig(data="sample", filters=4, blocks=1, size=32))
    run = make_run(tmp_path / "run", build_generator(config), config)
    before = sorted(run.iterdir())
    assert cli.main(["export", "--run", str(run), *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert told in lines[0]
    assert sorted(run.iterdir()) == before


def test_pictures_of_the_run_first_and_damaged_ones_left_out(tmp_path, capsys):
    (tmp_path / "trainA").mkdir()
    (tmp_path / "testA").mkdir()
    for index, shade in enumerate((10, 20, 30)):
        Image.new("RGB", (20, 30), (shade, 0, 0)).save(tmp_path / "testA" / f"{index}.png")
        Image.new("RGB", (20, 30), (0, shade, 0)).save(tmp_path / "trainA" / f"{index}.png")
    (tmp_path / "testA" / "1.png").write_bytes(b"no picture")
    assert [p[0, 0, 0] for p in real_pictures(TrainConfig(data=str(tmp_path)))] == [10, 30]
    assert [p[0, 0, 0] for p in real_pictures(TrainConfig(data=str(tmp_path)), count=1)] == [10]
    content = TrainConfig(content=str(tmp_path / "trainA"), style=str(tmp_path / "testA"))
    assert [p[0, 0, 1] for p in real_pictures(content)] == [10, 20, 30]
    for gone in (TrainConfig(data=str(tmp_path / "gone")), TrainConfig(data="sample"), None):
        assert len({picture.tobytes() for picture in real_pictures(gone)}) == 8
    said = f"kgan: {tmp_path}/gone: no such folder; pictures of the packaged sample are used instead\n"
    assert capsys.readouterr().err == said


def test_squares_are_cut_from_the_middle():
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:, 2:6] = (255, 0, 0)
    (square,) = squares([picture], 4, 3)
    assert (square == (255, 0, 0)).all()
    assert squares([picture], 4, 1)[0].shape == (4, 4, 1)
    assert (squares([picture], 4, 4)[0][..., 3] == 255).all()


def test_without_the_quantizer_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)  # as an import finds it that is not installed
    with pytest.raises(UserError, match=r"needs ai-edge-quantizer; pip install 'kgan\[int8\]'"):
        export_variants(make_generator("content"), tmp_path, ["float16", "int8"], (32,))
    assert not list(tmp_path.iterdir())
