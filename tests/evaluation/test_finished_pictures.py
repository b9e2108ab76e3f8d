"""Finished pictures of any program, scored by --stylized and --baseline, and the networks that a model never saw."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
from odd_names import odd_name
from PIL import Image

from kgan import cli
from kgan.errors import UserError
from kgan.evaluation.evaluate import evaluate
from kgan.evaluation.makers import FromFolder
from kgan.evaluation.networks import trained_on, unseen
from kgan.evaluation.report import table
from kgan.evaluation.scored import Item
from kgan.export import export_saved_model
from kgan.networks.generators import ResNetGenerator
from kgan.runs import recipes
from kgan.runs.models import ModelSource, resolve_model
from kgan.runs.settings import TrainConfig

SIZE = (32, 40)


def photo(seed, size=SIZE):
    return np.random.default_rng(seed).integers(60, 200, (*size, 3), np.uint8)


def fill(folder, pictures):
    folder.mkdir(parents=True)
    for name, picture in pictures.items():
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / name, quality=100, lossless=True)
    return folder


@pytest.fixture
def content(tmp_path):
    return fill(tmp_path / "content", {f"{name}.png": photo(seed) for seed, name in enumerate("abc")})


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    generator = ResNetGenerator(filters=4, blocks=1, residual=True)
    generator(np.zeros((1, 32, 32, 3), np.float32))
    return export_saved_model(generator, tmp_path_factory.mktemp("models") / "identity")


def value(report, name, row="model"):
    return report["rows"][row][name]["value"]


def test_a_copy_in_another_format_is_the_content(content, tmp_path):
    made = fill(tmp_path / "made", {f"{name}.webp": photo(seed) for seed, name in enumerate("abc")})
    report = evaluate(stylized=made, content=content, output=tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == report
    assert report["model"] == str(made)
    assert value(report, "content_psnr") == 100
    assert "shift_error" not in report["rows"]["model"]  # nothing can be restyled again
    assert report["trained_on"] is None
    assert (tmp_path / "out.html").read_text(encoding="utf-8").count("<figcaption>stylized</figcaption>") == 3
    assert sorted(path.name for path in made.iterdir()) == ["a.webp", "b.webp", "c.webp"]


@pytest.mark.long
def test_numbers_are_those_of_the_model_that_made_the_pictures(content, identity, tmp_path):
    made = fill(tmp_path / "made", {f"{name}.png": photo(seed) // 2 for seed, name in enumerate("abc")})
    style = fill(tmp_path / "style", {f"{name}.png": photo(seed) // 3 for seed, name in enumerate("xyz", 5)})
    sets = {"content": content, "style": style, "networks": "mobilenet"}
    report = evaluate(identity, baseline=made, **sets)
    alone, other = evaluate(stylized=made, **sets), evaluate(stylized=made, baseline=identity, **sets)
    for name, number in alone["rows"]["model"].items():
        assert report["rows"]["baseline"][name] == pytest.approx(number)
        assert other["rows"]["model"][name] == pytest.approx(number)
    for name in ("kid_mobilenet", "content_psnr", "gram_mobilenet", "no_effect"):
        assert other["gain_over_baseline"][name]["value"] == pytest.approx(
            value(alone, name) - value(report, name), abs=1e-6
        )
    assert not {"artfid_mobilenet", "style_reached"} & alone["rows"]["model"].keys()  # they are not admitted
    assert not [name for name in alone["rows"]["model"] if name.endswith("vgg16")]


def test_missing_pictures_are_named_and_left_out_of_all_rows(content, identity, tmp_path, capsys):
    made = fill(tmp_path / "made", {"a.png": photo(0), "c.jpg": photo(2), "other.png": photo(3)})
    report = evaluate(identity, content, baseline=made)
    assert [one["name"] for one in report["each"]] == ["a.png", "c.png"]
    assert f"{made}: 1 of 3 pictures is missing there and left out: b.png" in report["warnings"]
    assert "warning: " + report["warnings"][0] in capsys.readouterr().out
    with pytest.raises(UserError, match=r"stylized .*pictures with the names of the content, as in a\.png"):
        evaluate(stylized=fill(tmp_path / "none", {"other.png": photo(0)}), content=content)


def test_truths_stay_with_their_contents(content, tmp_path):
    made = fill(tmp_path / "made", {f"{name}.png": photo(seed) for seed, name in enumerate("abc") if name != "a"})
    report = evaluate(stylized=made, content=content, truth=content, networks="mobilenet")
    assert value(report, "truth_psnr") == 100
    assert report["reference"]["pictures"] == 2


def test_other_sizes_of_the_same_shape_are_resized_and_others_left_out(content, tmp_path):
    large = np.kron(photo(0), np.ones((2, 2, 1), np.uint8))
    made = fill(tmp_path / "made", {"a.png": large, "b.png": photo(1, (40, 40)), "c.png": photo(2)})
    report = evaluate(stylized=made, content=content)
    assert [one["name"] for one in report["each"]] == ["a.png", "c.png"]
    assert any("b.png (40x40 and 40x32): not the content's shape" in warning for warning in report["warnings"])
    assert any("1 picture resized to the content's size, which blurs: a.png" in each for each in report["warnings"])
    with pytest.raises(UserError, match=r"a\.png \(40x40 and 40x32\): should have the content's shape"):
        FromFolder([Item("a.png", lambda _: photo(0, (40, 40)))], None).picture(0, photo(0), 0)


def test_finished_pictures_with_odd_names_are_found_and_named_in_the_report(content, tmp_path):
    names = [os.fsdecode(b"caf\xe9.png"), "two\nlines.png", os.fsdecode(b"\xff damaged.png")]
    for name in names:
        Image.fromarray(photo(5)).save(odd_name(content, os.fsencode(name)), "PNG")
    made = tmp_path / os.fsdecode(b"m\xe4de")
    shutil.copytree(content, made)
    (made / names[2]).write_bytes(b"nothing")
    report = evaluate(stylized=made, content=content, output=tmp_path / "out.json")
    assert [one["name"] for one in report["each"]] == ["a.png", "b.png", "c.png", r"caf\xe9.png", r"two\nlines.png"]
    assert any(r"\xff damaged.png: not a JPEG" in warning for warning in report["warnings"])
    assert r"m\xe4de" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_damaged_pictures_are_named(content, tmp_path):
    made = fill(tmp_path / "made", {f"{name}.png": photo(seed) for seed, name in enumerate("abc")})
    (made / "b.png").write_bytes((made / "b.png").read_bytes()[:900])
    report = evaluate(stylized=made, content=content)
    assert any("b.png: damaged" in warning for warning in report["warnings"])
    assert report["pictures"] == 2


def test_crops_are_those_of_the_content(content, tmp_path):
    made = fill(tmp_path / "made", {f"{name}.png": photo(seed) for seed, name in enumerate("abc")})
    report = evaluate(stylized=made, content=content, size=16, crops=2)
    assert report["pictures"] == 6
    assert value(report, "content_psnr") == 100


def test_what_makes_no_sense(content, identity, tmp_path, capsys):
    made = fill(tmp_path / "made", {"a.png": photo(0)})
    for words, message in (
        (["--content", content], "give either a model or --stylized"),
        ([identity, "--content", content, "--stylized", made], "give either a model or --stylized"),
        (["--stylized", made], "needs --content"),
        ([made, "--content", content], "is a folder of pictures, not a model; give it by --stylized"),
        ([identity, "--content", content, "--baseline", tmp_path / "gone"], "no model there"),
        (["--stylized", tmp_path / "gone", "--content", content], "no such folder"),
        ([identity, "--content", content, "--networks", "vgg19"], "scores are on mobilenet and vgg16 alone"),
        (["--stylized", made, "--film", made], "is for pictures alone"),
    ):
        assert cli.main(["evaluate", *map(str, words)]) == 2
        (line,) = capsys.readouterr().err.splitlines()[-1:]
        assert message in line


def config(**settings):
    style = None if settings["recipe"] == "distill" else "paintings"
    return recipes.resolve(TrainConfig(content="photos", style=style, **settings))


@pytest.mark.parametrize(
    ("settings", "networks"),
    [
        ({"recipe": "projected"}, ["mobilenet"]),
        ({"recipe": "projected", "discriminator_features": "vgg16"}, ["vgg16"]),
        ({"recipe": "projected", "discriminator_features": "mobilenet,vgg16"}, ["mobilenet", "vgg16"]),
        ({"recipe": "painting", "features": "vgg16", "discriminator_features": "mobilenet"}, ["mobilenet", "vgg16"]),
        ({"recipe": "cut"}, []),
        ({"recipe": "cut", "weight": ("gram=1",), "features": "vgg16"}, ["vgg16"]),
        ({"recipe": "distill", "distill_from": "vangogh", "features": "vgg16"}, ["mobilenet", "vgg16"]),
    ],
)
def test_the_networks_of_the_training(settings, networks, tmp_path):
    config(**settings).save(tmp_path / "config.json")
    assert trained_on(ModelSource("run", tmp_path)) == networks


def test_a_teacher_that_is_gone_is_left_out(tmp_path):
    settings = dataclasses.replace(config(recipe="distill", distill_from="vangogh", features="vgg16"), distill_from="x")
    settings.save(tmp_path / "config.json")
    assert trained_on(ModelSource("run", tmp_path)) == ["vgg16"]


def test_an_unknown_training_claims_nothing():
    assert trained_on(None) is None
    assert trained_on(ModelSource("litert", resolve_model("vangogh-mobile").path)) is None
    assert unseen(["mobilenet", "vgg16"], None) == []
    assert unseen(["mobilenet", "vgg16"], ["mobilenet"]) == ["vgg16"]


@pytest.fixture(scope="module")
def report(identity, tmp_path_factory):
    """Of a model that claims to be trained on MobileNet, on both networks."""
    home = tmp_path_factory.mktemp("both")
    config(recipe="projected", size=32).save(home / "config.json")
    (home / "saved_model").symlink_to(identity)
    pictures = {kind: {f"{k}.png": photo(k + shift) for k in range(2)} for kind, shift in (("photos", 0), ("art", 9))}
    folders = {kind: fill(home / kind, each) for kind, each in pictures.items()}
    return evaluate(home, folders["photos"], style=folders["art"], output=home / "out.json")


def test_the_unseen_network_is_marked(report):
    assert (report["trained_on"], report["headline"]) == (["mobilenet"], ["vgg16"])
    lines = table(report).splitlines()
    for name in ("FID", "KID", "Gram", "Nearest Gram"):
        marked = [line for line in lines if line.startswith(f"{name} (")]
        assert ["*" in line[:27] for line in marked] == [False, True]
    assert any("trained on features of mobilenet. Numbers marked * are on vgg16" in line for line in lines)
    assert report["networks"]["vgg16"] == {
        "side": 224, "dimensions": 512, "layers": ["conv1_2", "conv2_2", "conv3_3", "conv4_1"]}  # fmt: skip


def test_layers_have_lines_of_their_own(report):
    for name in ("gram_mobilenet", "gram_vgg16", "nearest_gram_vgg16"):
        for row in ("model", "identity", "truth"):
            if row in report["layers"][name]:
                mean = np.mean([layer["value"] for layer in report["layers"][name][row]])
                assert mean == pytest.approx(value(report, name, row))
    lines = table(report).splitlines()
    place = next(k for k, line in enumerate(lines) if line.startswith("Gram (VGG16)"))
    assert [line.split()[0] for line in lines[place + 1 : place + 5]] == ["conv1_2", "conv2_2", "conv3_3", "conv4_1"]
    assert value(report, "content_psnr") > 60  # the identity


def test_the_content_has_no_effect(report):
    assert value(report, "no_effect", "identity") == 1
    assert report["without_effect"]["pictures"] == ["0.png", "1.png"]
