"""Evaluation: numbers worked by hand for pictures with known distances, pairing, and the written files."""

import base64
import functools
import io
import json
import os
import pathlib
import re

import numpy as np
import pytest
import small_runs
from odd_names import odd_name
from PIL import Image

from kgan import cli
from kgan.assembly import build_generator
from kgan.errors import UserError
from kgan.evaluation import evaluate as evaluations
from kgan.evaluation import sets
from kgan.evaluation.gallery import thumbnail
from kgan.evaluation.measure import measured
from kgan.evaluation.scored import run_pictures
from kgan.export import export_saved_model
from kgan.images.resizing import for_scores
from kgan.kinds import METRICS
from kgan.metrics.bootstrap import draws, mean_interval
from kgan.metrics.picture_features import PictureFeatures, style_reached
from kgan.networks.generators import ResNetGenerator
from kgan.runs import recipes
from kgan.runs.models import resolve_model
from kgan.runs.run_folder import RunFolder, create
from kgan.runs.settings import TrainConfig

evaluate = functools.partial(evaluations.evaluate, networks="mobilenet")  # VGG16 takes ten times as long


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    generator = ResNetGenerator(filters=4, blocks=1, residual=True)
    generator(np.zeros((1, 32, 32, 3), np.float32))
    return export_saved_model(generator, tmp_path_factory.mktemp("models") / "identity")


@pytest.fixture(scope="module")
def orange():
    """A model that changes every picture."""
    return small_runs.teacher()


def fill(folder, names, value=None, size=(40, 32)):
    folder.mkdir(parents=True)
    for k, name in enumerate(names):
        random = np.random.default_rng(k).integers(50, 200, (*size, 3), np.uint8)
        Image.fromarray(random if value is None else np.full_like(random, value)).save(folder / name)
    return folder


def value(report, name, row="model"):
    return report["rows"][row][name]["value"]


def test_numbers_by_hand(identity, tmp_path, capsys):
    content = fill(tmp_path / "content", ["a.png", "b.png"], 102)
    truth = fill(tmp_path / "truth", ["a.png", "b.png"], 153)
    report = evaluate(identity, content, truth, output=tmp_path / "numbers.json")
    assert not [warning for warning in report["warnings"] if "same pictures" in warning]
    assert report["pictures"] == 2
    assert value(report, "content_ssim") == pytest.approx(1, abs=1e-6)
    assert value(report, "content_structure") == pytest.approx(1, abs=1e-4)
    assert value(report, "content_psnr") == 100  # equal pictures
    assert value(report, "truth_mse") == pytest.approx(0.04, rel=1e-4)  # (51 / 255)^2
    assert value(report, "truth_psnr") == pytest.approx(10 * np.log10(25), abs=1e-3)
    for name in ("truth_ssim", "truth_psnr", "truth_mse", "fid_mobilenet", "kid_mobilenet"):
        assert report["rows"]["identity"][name] == report["rows"]["model"][name]
        assert report["gain"][name] == {"value": 0, "low": 0, "high": 0}
    assert value(report, "truth_ssim", "truth") == pytest.approx(1, abs=1e-4)
    assert report["reference"] == {"what": "truths", "pictures": 2, "pairs": True}
    assert report["features"] == {"network": "mobilenet", "side": 224, "dimensions": 1024}
    assert json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8")) == report
    shown = capsys.readouterr().out
    assert "warning: 2 pictures are few: below 50" in shown
    assert "too few for FID on 1024 features" in shown
    assert "13.98 [13.98, 13.98]" in shown


@pytest.mark.long
def test_a_baseline_is_scored_as_if_alone_and_differences_are_paired(identity, orange, tmp_path, capsys):
    content = fill(tmp_path / "content", ["a.png", "b.png", "c.png"])
    style = fill(tmp_path / "style", ["x.png", "y.png", "z.png"], 200)
    alone, other = (evaluate(model, content, style=style) for model in (identity, orange))
    both = evaluate(identity, content, style=style, baseline=orange, output=tmp_path / "both.json")
    assert both["rows"] == alone["rows"] | {"baseline": other["rows"]["model"]}
    assert both["gain"] == alone["gain"]
    assert both["gain_over_baseline"].keys() == alone["rows"]["model"].keys()
    for name, gain in both["gain_over_baseline"].items():
        assert gain["value"] == pytest.approx(value(alone, name) - value(other, name), abs=1e-6)
    differences = np.array([100 - one["content_psnr"] for one in other["each"]])
    assert both["gain_over_baseline"]["content_psnr"] == pytest.approx(mean_interval(differences, seed=0))
    assert "stylized - baseline" in capsys.readouterr().out
    page = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert page.count("<figcaption>baseline</figcaption>") == 3
    assert "<th>stylized - baseline</th>" in page


@pytest.mark.long
def test_a_baseline_of_other_pictures_is_refused(identity, tmp_path):
    generator = ResNetGenerator(filters=4, blocks=1, channels=1)
    generator(np.zeros((1, 32, 32, 1), np.float32))
    gray = export_saved_model(generator, tmp_path / "gray")
    with pytest.raises(UserError, match=r"baseline .*gray: should take and make pictures of the same kind"):
        evaluate(identity, fill(tmp_path / "content", ["a.png"]), baseline=gray)


def test_style_is_the_reference_of_fid_and_kid(identity, tmp_path):
    content = fill(tmp_path / "content", ["a.png", "b.png", "c.png"])
    style = fill(tmp_path / "style", ["w.png", "x.png", "y.png", "z.png"])
    report = evaluate(identity, content, style=style, size=32)
    assert report["reference"] == {"what": "style pictures", "pictures": 4, "pairs": False}
    assert report["real"]["pictures"] == 2  # one half against the other
    assert report["rows"]["truth"].keys() >= {"fid_mobilenet", "kid_mobilenet"}
    kid = report["rows"]["model"]["kid_mobilenet"]
    assert kid["low"] < kid["value"] < kid["high"]
    assert not any(name.startswith("truth") for name in report["rows"]["model"])


def test_style_beside_truth_is_what_real_pictures_get(identity, tmp_path):
    content, truth = (fill(tmp_path / name, ["a.png", "b.png"]) for name in ("content", "truth"))
    report = evaluate(identity, content, truth, style=fill(tmp_path / "style", ["x.png", "y.png", "z.png"], 200))
    assert report["reference"]["what"] == "truths"
    assert report["real"] == {"what": "style pictures", "pictures": 2}  # no more than the reference has
    assert value(report, "kid_mobilenet", "truth") > value(report, "kid_mobilenet")  # the truth is the content here


@pytest.mark.long
def test_the_same_pictures_give_the_same_report(identity, tmp_path):
    content, truth = (fill(tmp_path / name, ["a.png", "b.png", "c.png"], v) for name, v in (("a", None), ("b", 90)))
    first, again, other = (evaluate(identity, content, truth, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["rows"]["model"]["truth_ssim"]["value"] == other["rows"]["model"]["truth_ssim"]["value"]
    assert first["rows"]["model"]["fid_mobilenet"] != other["rows"]["model"]["fid_mobilenet"]


def test_without_style_and_truth_there_are_no_sets(identity, tmp_path):
    report = evaluate(identity, fill(tmp_path / "content", ["a.png"]))
    assert "reference" not in report
    content = {"content_structure", "content_ssim", "content_psnr", "content_mse"}
    assert set(report["rows"]["model"]) == content | {
        "checkerboard", "droplets", "haloes", "inversion", "frame", "blown", "blotch", "grid",
        "shift_error"}  # fmt: skip
    assert value(report, "shift_error") < 1e-6
    assert all(value(report, name) == pytest.approx(0, abs=1e-3) for name in ("droplets", "haloes", "inversion"))
    assert report["each"][0]["name"] == "a.png"


def test_the_page_has_every_picture_worst_first(identity, tmp_path):
    content = fill(tmp_path / "content", ["a.png", "b<i>.png", "c.png"])
    truth = fill(tmp_path / "truth", ["c.png", "a.png", "b<i>.png"])  # the noise is the place's in the list
    report = evaluate(identity, content, truth, output=tmp_path / "numbers.json")
    assert not [warning for warning in report["warnings"] if "same pictures" in warning]
    text = (tmp_path / "numbers.html").read_text(encoding="utf-8")
    order = re.findall(r'<dt class="name">(.*?)</dt>', text)
    by_score = sorted(report["each"], key=lambda one: one["truth_ssim"])
    assert order == [one["name"].replace("<", "&lt;").replace(">", "&gt;") for one in by_score]
    urls = re.findall(r'src="([^"]*)"', text)
    assert len(urls) == 9
    pictures = [Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/jpeg;base64,")))) for url in urls]
    assert {picture.size for picture in pictures} == {(32, 40)}
    worst = Image.open(content / by_score[0]["name"])
    assert np.abs(np.asarray(pictures[0], float) - np.asarray(worst)).mean() < 20  # noise, through JPEG
    assert "http" not in text  # nothing is fetched
    assert f"{by_score[0]['truth_psnr']:.2f}" in text


def test_the_page_is_no_json(identity, tmp_path):
    with pytest.raises(UserError, match="should be a JSON file"):
        evaluate(identity, fill(tmp_path / "content", ["a.png"]), output=tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_an_output_that_is_a_folder_is_refused_before_the_work(identity, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="is a folder; name a JSON file in it"):
        evaluate(identity, fill(tmp_path / "content", ["a.png"]), output=tmp_path / "folder")
    assert capsys.readouterr() == ("", "")


def test_large_pictures_have_small_thumbnails():
    url = thumbnail(np.random.default_rng(0).random((300, 900, 4)))
    assert Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size == (192, 64)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"fail_under": ("content_sim=0.6",)}, "did you mean content_ssim"),
        ({"fail_under": ("content_ssim=high",)}, "should be METRIC=NUMBER"),
        ({"fail_under": ("kid_mobilenet=0.1",)}, "less is better; use fail_over"),
        ({"fail_over": ("content_ssim=0.1",)}, "more is better; use fail_under"),
        ({"fail_under": ("truth_ssim=0.1",)}, "is not measured on these pictures. Measured: content_structure"),
    ],
)
def test_bounds_that_make_no_sense(identity, tmp_path, option, text):
    content = fill(tmp_path / "content", ["a.png"])
    with pytest.raises(UserError, match=text) as raised:
        evaluate(identity, content, output=tmp_path / "x.json", **option)
    assert raised.value.status == 2
    assert not list(tmp_path.glob("x.*"))


@pytest.mark.long
def test_bounds_end_a_pipeline(identity, tmp_path, capsys):
    content, truth = (fill(tmp_path / name, ["a.png", "b.png"], v) for name, v in (("content", 102), ("truth", 153)))
    words = ["evaluate", str(identity), "--content", str(content), "--truth", str(truth), "--networks", "mobilenet"]
    assert cli.main([*words, "--fail-under", "truth_psnr=13.5", "--fail-over", "truth_mse=0.05"]) == 0
    capsys.readouterr()
    output = ["--output", str(tmp_path / "numbers.json")]
    failing = ["--fail-under", "truth_psnr=20", "--fail-under", "content_ssim=0.6", "--fail-over", "truth_mse=0.03"]
    assert cli.main([*words, *failing, *output]) == 1
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line == "kgan: error: truth_psnr is 13.98, 6.021 under 20; truth_mse is 0.04, 0.01 over 0.03"
    assert (tmp_path / "numbers.json").exists()


def test_pairs_by_name(identity, tmp_path, capsys):
    content = fill(tmp_path / "content", ["a.png", "b.png", "c.png"])
    truth = fill(tmp_path / "truth", ["c.webp", "a.webp", "z.webp"], 0)
    assert evaluate(identity, content, truth)["pictures"] == 2
    assert "1 of 3 pictures has no truth and is left out" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"file names of the content, as in a\.png"):
        evaluate(identity, content, fill(tmp_path / "other", ["q.png"]))


def test_the_truth_is_brought_to_the_size_of_its_content(identity, tmp_path):
    content = fill(tmp_path / "content", ["a.png", "b.png"], 102)
    truth = fill(tmp_path / "truth", ["a.png"], 153, size=(80, 64))
    for size in (None, 32):
        report = evaluate(identity, content, truth, size=size)
        assert value(report, "truth_mse") == pytest.approx(0.04, rel=1e-4)  # (51 / 255)^2


def test_animations_are_told_of_once(identity, tmp_path, capsys):
    content = fill(tmp_path / "content", ["a.png"])
    frames = [Image.new("RGB", (40, 32), colour) for colour in ("red", "blue")]
    for name in ("b.webp", "c.gif"):
        frames[0].save(content / name, save_all=True, append_images=frames[1:])
    assert evaluate(identity, content)["pictures"] == 3
    said = capsys.readouterr().err
    assert f"{content}: b.webp and 1 more: animated: only the first frame is used\n" in said
    assert said.count("animated") == 1


def test_what_cannot_be_scored_is_left_out_before_the_work(identity, tmp_path, capsys):
    content = fill(tmp_path / "content", [f"{name}.png" for name in "abcdefg"])
    truth = fill(tmp_path / "truth", [f"{name}.png" for name in "abcdef"])
    (content / "b.png").write_bytes((content / "b.png").read_bytes()[:2000])
    (content / "c.png").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    Image.new("RGB", (1, 1)).save(content / "d.png")
    Image.new("RGB", (1, 1)).save(truth / "d.png")
    (truth / "e.png").unlink()
    os.mkfifo(truth / "e.png")
    Image.new("RGB", (40, 32)).save(truth / "f.png")  # turned by 90 degrees
    report = evaluate(identity, content, truth, style=truth)
    assert [one["name"] for one in report["each"]] == ["a.png"]
    bad, bad_truths, odd, alone, styles = capsys.readouterr().err.splitlines()[:5]
    assert re.search(
        r"content: 3 pictures are left out: b\.png: damaged .*c\.png: HEIC .*d\.png: is 1x1, too small", bad
    )
    assert re.search(r"truth: 2 pictures are left out: d\.png: is 1x1.* e\.png: is a pipe, not a file", bad_truths)
    assert odd == "kgan: 1 pair of unequal shape is left out: f.png (32x40 and 40x32)"
    assert alone == "kgan: 1 of 7 pictures has no truth and is left out"
    assert "truth: 1 picture is left out: e.png: is a pipe" in styles
    (tmp_path / "pipes").mkdir()
    os.mkfifo(tmp_path / "pipes" / "x.png")
    with pytest.raises(UserError, match=r"none of its pictures can be used: x\.png: is a pipe"):
        evaluate(identity, tmp_path / "pipes")


def test_one_folder_for_two_purposes_is_warned_of(identity, tmp_path):
    content = fill(tmp_path / "content", ["a.png", "b.png"])
    (tmp_path / "link").symlink_to(content)
    said = evaluate(identity, content, tmp_path / "link", content / ".." / "content")["warnings"]
    assert [warning.split(" are ")[0] for warning in said[:2]] == ["content and truth", "content and style"]


def test_names_that_are_no_utf8_are_written_escaped(identity, tmp_path):
    content = fill(tmp_path / "content", ["a.png"])
    odd = odd_name(content, b"caf\xe9\n.png")
    odd.write_bytes((content / "a.png").read_bytes())
    evaluate(identity, content, output=tmp_path / "numbers.json")
    names = [one["name"] for one in json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))["each"]]
    assert names == ["a.png", r"caf\xe9\n.png"]
    assert r"caf\xe9\n.png" in (tmp_path / "numbers.html").read_text(encoding="utf-8")


def test_too_small_for_ssim():
    with pytest.raises(UserError, match="at least 11 pixels"):
        measured(*[np.zeros((10, 40, 3), np.uint8)] * 2, None, "x.png")


def test_scores_take_the_central_square():
    picture = np.zeros((20, 40, 1), np.uint8)
    picture[:, 10:30] = 255
    assert for_scores(picture, 20).tolist() == np.full((20, 20, 1), 255).tolist()
    assert for_scores(picture, None) is picture


def test_a_file_alone_has_no_test_pictures(identity):
    with pytest.raises(UserError, match="content is missing"):
        evaluate(identity)


def test_features_follow_the_pictures_whatever_their_sizes():
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 255, size, np.uint8) for size in ((32, 40, 3), (32, 40, 3), (50, 32, 1))]
    together, alone = PictureFeatures(), [PictureFeatures() for _ in pictures]
    for picture, one in zip(pictures, alone, strict=True):
        together.add(picture)
        one.add(picture)
    for name in ("pooled", "style"):
        expected = np.concatenate([getattr(one, name)() for one in alone])
        assert np.allclose(getattr(together, name)(), expected, atol=1e-3)
    assert together.pooled().shape == (3, 1024)


def test_style_reached_by_hand():
    # The second column never varies and counts for nothing; in the first the content's mean is 1, the reference's 3.
    content, reference = np.array([[0.0, 5.0], [2.0, 5.0]]), np.array([[2.0, 5.0], [4.0, 5.0]])
    reached = style_reached(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [5.0, 5.0]]), content, reference)
    assert reached == pytest.approx([0, 0.5, 1, 2])
    assert style_reached(content, content, content).tolist() == [0, 0]


def run_folder(folder, config):
    folder.mkdir()
    config.save(folder / "config.json")
    export_saved_model(build_generator(config), folder / "saved_model")
    return folder


@pytest.mark.slow
def test_a_run_is_scored_on_its_own_test_pictures(tmp_path, capsys):
    run = run_folder(tmp_path / "run", small_runs.settings(tmp_path, recipe="paired"))
    report = evaluate(run)
    assert report["pictures"] == 3
    assert abs(report["gain"]["truth_psnr"]["value"]) < 0.05  # it starts as the identity
    assert report["reference"] == {"what": "test truths", "pictures": 3, "pairs": True}
    assert report["real"] == {"what": "style pictures of the training", "pictures": 3}
    assert json.loads((run / "evaluation.json").read_text(encoding="utf-8")) == report
    assert report["weights"] == {"step": 6, "steps": 6, "ema": 0.999}
    said = "Weights: the moving average of the generator (EMA 0.999) at step 6 of 6, the last checkpoint; none was"
    assert said in capsys.readouterr().out


def test_a_run_knows_its_pictures_from_any_folder(tmp_path, monkeypatch, capsys):
    for place, name in (("here", "a.png"), ("elsewhere", "b.png")):
        for kind in ("photos", "paintings"):
            fill(tmp_path / place / kind, [name])
    monkeypatch.chdir(tmp_path / "here")
    asked = TrainConfig(content="photos", style="paintings", cache=str(tmp_path / "cache"), run="run")
    create(recipes.resolve(asked))
    (tmp_path / "here" / "run").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = RunFolder(pathlib.Path("../moved"))
    scored, warnings = run_pictures(resolve_model(run.path))
    assert ([item.name for item in scored.content], warnings) == (["a.png"], [])
    assert "scored on the first pictures that it was trained on" in capsys.readouterr().err
    run.pictures_file.write_text("2+1 (1234abcd)\n", encoding="utf-8")
    scored, (warning,) = run_pictures(resolve_model(run.path))
    assert warning.startswith("the pictures have changed since the run began: 2+1 (1234abcd) then, 1+1 (")
    assert "trained on" not in capsys.readouterr().err
    (tmp_path / "here" / "photos").rename("gone")
    with pytest.raises(UserError, match=r"here/photos: no such folder; ../moved had its pictures there.* content"):
        run_pictures(resolve_model(run.path))


@pytest.mark.slow
def test_a_synthesis_run_has_fid_and_kid_alone(tmp_path, capsys):
    style = fill(tmp_path / "style", ["a.png", "b.png", "c.png"])
    settings = TrainConfig(recipe="synthesis", style=str(style), size=32, filters=4, blocks=1, noise_channels=2,
                           cache=str(tmp_path / "cache"))  # fmt: skip
    run = run_folder(tmp_path / "run", recipes.resolve(settings))
    (run / "pictures.txt").write_text("4 (1234abcd)", encoding="utf-8")
    report = evaluate(run)
    assert report["pictures"] == 3
    # The pictures are not those of the training: the page and the file must not say so.
    noted = "the pictures have changed since the run began: 4 (1234abcd) then, 3 ("
    assert json.loads((run / "evaluation.json").read_text(encoding="utf-8"))["warnings"][0].startswith(noted)
    assert capsys.readouterr().out.count(noted) == 1
    assert report["reference"]["what"] == "style pictures"
    assert value(report, "kid_mobilenet") > 0
    assert "content_ssim" not in report["rows"]["model"]


@pytest.mark.parametrize("shift", [0.0, 0.01, 1.0])
def test_no_interval_of_fid_goes_below_zero(shift):
    """A few pictures that are similar to the reference, so that resamples are far above the value."""
    random = np.random.default_rng(0)
    made, reference = random.normal(shift, 1.0, (12, 8)), random.normal(0.0, 1.0, (12, 8))
    counts = draws(12, 200, seed=0), draws(12, 200, seed=1)
    for other in (reference, made):
        fid = sets.distance(METRICS["fid_mobilenet"], made, other, *counts).interval
        assert 0 <= fid["low"] <= fid["value"] <= fid["high"]
    assert fid["low"] == 0  # of the pictures themselves


@pytest.mark.long
def test_crops_of_every_picture_are_cut_alike_from_content_and_truth(identity, tmp_path):
    content, truth = (fill(tmp_path / name, ["a.png", "b.png"], size=(60, 40)) for name in ("content", "truth"))
    report = evaluate(identity, content, truth, size=16, crops=3)
    assert (report["pictures"], report["reference"]["what"], report["crops"]) == (6, "crops of truths", 3)
    assert [one["name"] for one in report["each"]][:2] == ["a, crop 1", "a, crop 2"]
    assert value(report, "truth_psnr") == 100  # the identity, and equal pictures: only if windows are equal
    assert "crops of one picture are alike" in report["warnings"][-1]
    assert len({one["checkerboard"] for one in report["each"]}) > 2  # the windows differ
    assert evaluate(identity, content, content, size=16)["warnings"][0].startswith("content and truth are the same")
    with pytest.raises(UserError, match="crops needs size"):
        evaluate(identity, content, truth, crops=3)
    with pytest.raises(UserError, match=r"at least 1\. Received: 0"):
        evaluate(identity, content, truth, size=16, crops=0)
