import dataclasses
import json
import pathlib

import pytest

from kgan.commands import train
from kgan.errors import UserError
from kgan.runs import models, places, recipes, run_folder
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig


def config(**settings):
    return recipes.resolve(TrainConfig(**{"content": "photos", "style": "paintings", "recipe": "cyclegan", **settings}))


def test_settings_survive_the_file(tmp_path):
    before = config(weight=("cycle=3",), seed=7)
    before.save(tmp_path / "config.json")
    assert TrainConfig.load(tmp_path / "config.json") == before


def test_settings_that_came_later_are_what_older_runs_were_trained_with(tmp_path):
    path = tmp_path / "config.json"
    config(min_crop=0.3).save(path)
    older = {
        name: value
        for name, value in json.loads(path.read_text(encoding="utf-8")).items()
        if name not in ("flip", "max_crop")
    }
    path.write_text(json.dumps(older), encoding="utf-8")
    assert TrainConfig.load(path) == config(min_crop=0.3, flip=True, max_crop=1.0)


def test_create_writes_the_resolved_settings(tmp_path):
    run = run_folder.create(config(run=str(tmp_path / "a"), stop_after=5))
    saved = json.loads(run.config_file.read_text(encoding="utf-8"))
    assert saved["recipe"] == "cyclegan"
    assert saved["filters"] == 64
    assert saved["run"] is None
    assert saved["stop_after"] is None


def test_default_folders_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [run_folder.create(config()).path.name for _ in range(2)] == ["cyclegan-1", "cyclegan-2"]


def test_a_run_that_exists_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="exists already"):
        run_folder.create(config(run=str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_resume_wants_a_run(tmp_path):
    with pytest.raises(UserError, match="resume needs run"):
        run_folder.saved_config(None)
    with pytest.raises(UserError, match="no run to resume"):
        run_folder.saved_config(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "said"),
    {
        "{": "cannot be read",
        "[1]": "a JSON object",
        '{"colour": 3}': "unknown settings colour",
        '{"recipe": 3, "steps": "ten", "weight": "cycle=3", "flip": 1}':
            r"not a value of the right kind: .*recipe 3, .*steps 'ten', weight 'cycle=3'",
        '{"channels": 2}': "not a value of the right kind: channels 2",
        "\udce4": "cannot be read",
    }.items(),
)  # fmt: skip
def test_broken_and_foreign_settings_are_named(text, said, tmp_path):
    (tmp_path / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=said):
        run_folder.saved_config(str(tmp_path))


def test_what_is_no_run_is_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("file").touch()
    pathlib.Path("folder/config.json").mkdir(parents=True)
    for path, said in {"file": "no run to resume", "folder": "cannot be read .Is a directory",
                       "vangogh": r"kgan\.train\(init_from='vangogh'\)"}.items():  # fmt: skip
        with pytest.raises(UserError, match=said):
            run_folder.saved_config(path)
    shipped = str(models.FOLDER / "vangogh")
    saved = run_folder.saved_config(shipped)
    with pytest.raises(UserError, match=r"no checkpoint to go on from; .*init_from=.*vangogh"):
        run_folder.check_resumable(dataclasses.replace(saved, run=shipped, resume=True))
    for changes, said in (
        ({"learning_rate": None, "steps": None}, "its config.json lacks learning_rate, steps; "),
        ({"recipe": None}, "lacks recipe;"),
        ({"size": 66}, "size 66 should be a multiple"),
        ({"generator": "resnt"}, "generator resnt: no such choice"),
        ({"steps": 2**31}, "steps should be above 0 and at most"),
    ):
        with pytest.raises(UserError, match=said):
            run_folder.check_resumable(dataclasses.replace(config(run="folder"), **changes))


# --- where things lie -------------------------------------------------------------------------------------------------


def test_a_run_keeps_absolute_paths(tmp_path, monkeypatch):
    here, deep = tmp_path / "here", tmp_path / "there" / "deep"
    here.mkdir()
    deep.mkdir(parents=True)
    (here / "link").symlink_to(deep)
    pathlib.Path(here, "set").mkdir()
    pathlib.Path(here, "set", "dataset_info.json").touch()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for given, kept in {
        "photos": f"{here}/photos",
        "./a/photos/": f"{here}/a/photos",
        "../photos": f"{tmp_path}/photos",
        "link/photos": f"{here}/link/photos",
        "link/../photos": f"{tmp_path}/there/photos",  # as the file system has it
        "~/photos": f"{tmp_path}/home/photos",
        "/photos": "/photos",
        "tfds:set": f"tfds:{here}/set",
        "tfds:cats/a": "tfds:cats/a",
    }.items():
        assert places.absolute(TrainConfig(content=given)).content == kept
        assert places.absolute(TrainConfig(data=given)).data == kept
    assert places.absolute(TrainConfig(data="sample")).data == "sample"
    assert places.absolute(TrainConfig(content="sample")).content == f"{here}/sample"
    kept = places.absolute(
        TrainConfig(cache="cache", feature_weights="w.h5", init_from="vangogh", distill_from="runs/a")
    )
    assert (kept.cache, kept.feature_weights) == (f"{here}/cache", f"{here}/w.h5")
    assert (kept.init_from, kept.distill_from) == ("vangogh", f"{here}/runs/a")
    assert places.absolute(TrainConfig()) == TrainConfig()
    run = run_folder.create(config(content="photos", style="../paintings"))
    saved = run_folder.saved_config(str(run.path))
    assert (saved.content, saved.style) == (f"{here}/photos", f"{tmp_path}/paintings")


def resumed(run, *words):
    return train.read(["--run", str(run), "--resume", *words])


def test_where_the_pictures_lie_may_be_given_anew(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = run_folder.create(config(run="run")).path.absolute()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resumed(run).content == f"{tmp_path}/photos"
    assert resumed(run, "--content", "../photos", "--steps", "50000") == resumed(run)
    moved = resumed(run, "--content", "new", "--cache", "c")
    here = pathlib.Path.cwd()
    assert (moved.content, moved.style, moved.cache) == (f"{here}/new", f"{tmp_path}/paintings", f"{here}/c")
    moved = resumed(run, "--data", "root")
    assert (moved.content, moved.style, moved.data) == (None, None, f"{here}/root")
    RunFolder(run).keep(moved)
    moved = resumed(run, "--content", "a", "--style", "b")
    assert (moved.content, moved.style, moved.data) == (f"{here}/a", f"{here}/b", None)
    with pytest.raises(UserError, match="either data or content and style"):
        resumed(run, "--content", "a", "--data", "b")
    with pytest.raises(UserError, match="seed 3: this run was started with 0"):
        resumed(run, "--seed", "3")


@pytest.mark.parametrize("which", ["distill_from", "distill_also"])
def test_a_teacher_may_be_given_anew_once_it_is_gone(which, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("teacher", "other"):
        pathlib.Path(name).mkdir()
        pathlib.Path(name, "saved_model.pb").touch()
    teachers = {"distill_from": "vangogh", which: "teacher"}
    run = run_folder.create(config(recipe="distill", style=None, **teachers)).path
    flag = "--" + which.replace("_", "-")
    with pytest.raises(UserError, match=rf"{which} other: this run was started with .*/teacher"):
        resumed(run, flag, "other")
    pathlib.Path("teacher").rename("moved")
    with pytest.raises(UserError, match=rf"/teacher: not there; say by {which} where"):
        run_folder.check_resumable(dataclasses.replace(run_folder.saved_config(run), run=str(run)))
    assert getattr(resumed(run, flag, "moved"), which) == f"{tmp_path}/moved"
    with pytest.raises(UserError, match=r"feature_weights w.h5: this run was started with None"):
        resumed(run, "--feature-weights", "w.h5")


def test_pictures_that_are_gone_or_overlap(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos/paintings", "root/trainA"):
        pathlib.Path(name).mkdir(parents=True)
    pathlib.Path("root/trainB").symlink_to("trainA")
    assert places.missing(TrainConfig(content="photos", style="tfds:cats", cache="nowhere")) is None
    assert places.missing(TrainConfig(data="sample")) is None
    old = TrainConfig(content="photos", style="nowhere")
    assert places.missing(old) == "style"
    assert "nowhere: no such folder here; the name is meant from" in places.lost(old, "style")
    gone = TrainConfig(data="tfds:/nowhere/set")
    assert places.lost(gone, places.missing(gone)) == "tfds:/nowhere/set: no such folder"
    overlap = places.training_overlap
    assert (
        overlap(TrainConfig(content="photos", style="./photos/")) == "content and style are the same pictures (photos)"
    )
    assert "are the same pictures" in overlap(TrainConfig(data="root"))
    assert "style lies in that of content" in overlap(TrainConfig(content="photos", style="photos/paintings"))
    assert "content lies in that of style" in overlap(TrainConfig(content="photos/paintings", style="."))
    for apart in (TrainConfig(content="photos", style="photos2"), TrainConfig(data="sample"), TrainConfig(style="a")):
        assert overlap(apart) is None


# --- longer -----------------------------------------------------------------------------------------------------------


def test_a_longer_schedule():
    run = config(steps=10)
    for reached in (0, 5):  # the decay begins with the update after the fifth
        assert run_folder.extended(run, 20, reached) == config(steps=20, sample_every=1)
    begun = run_folder.extended(run, 20, 6)
    assert (begun.steps, begun.extended_at) == (20, 6)
    assert run_folder.extended(config(steps=10, decay="constant"), 20, 10).extended_at == 0
    # From step 6 to 20: constant up to step 13, then falling.
    assert run_folder.extended(begun, 30, 13).extended_at == 6
    assert run_folder.extended(begun, 30, 14).extended_at == 14
    assert run_folder.extended(begun, 20, 14) == begun


def test_a_schedule_becomes_no_shorter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = run_folder.create(config(steps=10)).path
    assert resumed(run, "--steps", "11").steps == 11
    for steps in ("9", "0", "-1"):
        with pytest.raises(UserError, match=rf"steps {steps}: this run has 10, and can only be made longer"):
            resumed(run, "--steps", steps)
    with pytest.raises(UserError, match="extended_at"):
        resumed(run, "--extended-at", "3")


def test_the_lock_outlives_a_change_of_the_settings(tmp_path):
    run = run_folder.create(config(run=str(tmp_path / "a")))
    with run.locked():
        run.keep(config(steps=9))
        with pytest.raises(UserError, match="another process is training there"), run.locked():
            pass
    with run.locked():
        pass


def test_a_changed_setting_is_refused_with_both_values():
    saved = config()
    run_folder.refuse_changes(saved, dataclasses.replace(saved, stop_after=10, run="x", resume=True))
    with pytest.raises(UserError, match=r"batch_size 8: this run was started with 4"):
        run_folder.refuse_changes(saved, dataclasses.replace(saved, batch_size=8))
