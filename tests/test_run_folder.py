import dataclasses
import json

import pytest

from kgan import recipes, run_folder
from kgan.config import TrainConfig
from kgan.errors import UserError


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
    with pytest.raises(UserError, match="--resume needs --run"):
        run_folder.saved_config(None)
    with pytest.raises(UserError, match="no run to resume"):
        run_folder.saved_config(str(tmp_path))


def test_broken_and_foreign_settings_are_named(tmp_path):
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read"):
        run_folder.saved_config(str(tmp_path))
    (tmp_path / "config.json").write_text('{"colour": 3}', encoding="utf-8")
    with pytest.raises(UserError, match="unknown settings colour"):
        run_folder.saved_config(str(tmp_path))


def test_a_changed_setting_is_refused_with_both_values():
    saved = config()
    run_folder.refuse_changes(saved, dataclasses.replace(saved, stop_after=10, run="x", resume=True))
    with pytest.raises(UserError, match=r"--batch-size 8: this run was started with 4"):
        run_folder.refuse_changes(saved, dataclasses.replace(saved, batch_size=8))
