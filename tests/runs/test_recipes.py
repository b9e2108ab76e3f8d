import dataclasses

import pytest
import small_runs

import kgan.recipes
from kgan import cli
from kgan.errors import UserError
from kgan.recipes import ARTICLE, CYCLEGAN, RECIPES, LossTerm
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

FOLDERS = {"content": "photos", "style": "paintings"}


def resolved(**settings):
    if settings.get("recipe") in ("distill", "guided"):
        settings = {"distill_from": small_runs.teacher(), **settings}
    if settings.get("recipe") == "distill":
        settings = {"style": None, **settings}
    return recipes.resolve(TrainConfig(**{**FOLDERS, **settings}))


def test_nothing_given_trains_pairs_of_the_sample():
    config = recipes.resolve(TrainConfig())
    assert (config.recipe, config.data, config.size) == ("paired", "sample", 64)


def test_folders_train_projected():
    assert resolved().recipe == "projected"


def test_flags_win_over_the_recipe():
    config = resolved(recipe="cyclegan", filters=16, ema=0.0, steps=10)
    assert (config.filters, config.ema, config.steps, config.blocks) == (16, 0.0, 10, 9)


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_every_recipe_leaves_only_what_means_something_open(name):
    config = resolved(recipe=name, content=None if name == "synthesis" else "photos")
    open_ = {field.name for field in dataclasses.fields(config) if getattr(config, field.name) is None}
    allowed = {
        "content",
        "data",
        "feature_weights",
        "minutes",
        "stop_after",
        "init_from",
        "max_megapixels",
        "devices",
        "jit",
        "deterministic",
        "run",
        "style_min_crop",
        "style_max_crop",
        "discriminator_features",
        "distill_also",
    }
    allowed |= {"style"} if name == "distill" else {"distill_from"}
    if name in ("mmd", "distill"):
        allowed |= {"discriminator", "adversarial"}
    assert open_ <= allowed


def test_symbols_multiply_their_terms():
    recipe = ARTICLE
    before = recipes.term_weights(resolved(recipe="article"), recipe)
    doubled = recipes.term_weights(resolved(recipe="article", generator_weight=2.0, mmd_weight=3.0), recipe)
    assert before == {"ssim": 10.0, "features": 10.0, "mmd": 1.0, "adversarial": 1.0}
    assert doubled == {"ssim": 2.0, "features": 2.0, "mmd": 3.0, "adversarial": 1.0}


def test_weight_flags_change_add_and_remove_terms():
    config = resolved(recipe="cyclegan", weight=("cycle=3", "identity=0", "gram=1e-3"))
    assert recipes.term_weights(config, CYCLEGAN) == {"cycle": 3.0, "adversarial": 1.0, "gram": 1e-3}


def test_cut_and_fastcut_hold_the_content_by_the_papers_weights():
    weights = {name: recipes.term_weights(resolved(recipe=name), recipes.find(name)) for name in ("cut", "fastcut")}
    assert weights["cut"] == {"nce": 1.0, "nce_identity": 1.0, "adversarial": 1.0}
    assert weights["fastcut"] == {"nce": 10.0, "adversarial": 1.0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipe": "cyclgan"}, "did you mean cyclegan"),
        ({"recipe": "nowhere:RECIPE"}, "nowhere"),
        ({"recipe": "json:dumps"}, "should be a kgan.Recipe"),
        ({"size": 130}, "128 or 132"),
        ({"batch_size": 0}, "batch_size should be above 0"),
        ({"minutes": 0.0}, "minutes should be above 0"),
        ({"recipe": "cyclegan", "weight": ("cycel=1",)}, "did you mean cycle"),
        ({"weight": ("cycle",)}, "TERM=NUMBER"),
        ({"recipe": "paired", "weight": ("cycle=1",)}, "no such term in recipe paired"),
        ({"recipe": "cyclegan", "weight": ("nce=1",)}, "no such term in recipe cyclegan"),
        ({"recipe": "synthesis", "weight": ("nce=1",)}, "no such term in recipe synthesis"),
        ({"generator": "resnest"}, "did you mean resnet"),
        ({"adversarial": "least-squares"}, "did you mean least_squares"),
        ({"data": "root"}, "either data or"),
        ({"style": None}, "style is missing"),
        ({"recipe": "distill", "style": "paintings"}, "learns from its teacher's pictures alone"),
        ({"content": None}, "content is missing"),
        ({"min_crop": 1.5}, "min_crop"),
        ({"max_crop": 1.5}, "max_crop"),
        ({"min_crop": 0.8, "max_crop": 0.6}, "min_crop should be .* at most max_crop"),
        ({"style_min_crop": 0.8, "style_max_crop": 0.6}, "style_min_crop should be .* at most style_max_crop"),
        ({"style_max_crop": 0.4}, "Received: 0.5 and 0.4"),
        ({"style_min_crop": 0.0}, "style_min_crop should be above 0"),
        ({"recipe": "paired", "style_min_crop": 0.3}, "crops both pictures alike"),
        ({"discriminator_colour": 1.5}, "discriminator_colour should be at least 0 and at most 1"),
        ({"recipe": "mmd", "discriminator_colour": 0.5}, "without a discriminator"),
        ({"recipe": "mmd", "discriminator_features": "vgg16"}, "without a discriminator"),
        ({"discriminator_features": "vgg16,mobilnet"}, "discriminator_features mobilnet: .*did you mean mobilenet"),
        ({"recipe": "cyclegan", "weight": ("palette=1",)}, "no such term in recipe cyclegan"),
        ({"ema": 1.0}, "ema"),
        ({"recipe": "mmd", "discriminator": "patch"}, "without a discriminator"),
        ({"recipe": "synthesis", "noise_channels": 0}, "noise_channels"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_get_one_line(settings, message):
    with pytest.raises(UserError, match=message) as caught:
        resolved(**settings)
    assert "\n" not in str(caught.value)


def test_own_recipe_by_module_and_name(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import dataclasses\nfrom kgan.recipes import CYCLEGAN\n"
        "SOFT = dataclasses.replace(CYCLEGAN, name='soft', ema=0.9)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = resolved(recipe="mine:SOFT")
    assert (config.recipe, config.ema) == ("mine:SOFT", 0.9)


def test_smoke_shortens_a_run(monkeypatch):
    monkeypatch.setenv("KGAN_SMOKE", "1")
    assert resolved(recipe="cyclegan", steps=50_000).steps <= 4


def test_minutes_shorten_a_schedule_to_a_quarter_at_most():
    config = resolved(recipe="paired", steps=1150, minutes=6, sample_every=7)
    fitting = {0.1: 1150, 0.36: 1000, 0.6: 600, 5.0: 288, 0.0: 1150}
    assert {seconds: recipes.steps_in_time(config, seconds) for seconds in fitting} == fitting
    assert recipes.steps_in_time(resolved(steps=1150), 1e6) == 1150
    shorter = recipes.with_intervals(config, 600)
    assert (shorter.steps, shorter.sample_every, shorter.checkpoint_every) == (600, 7, 7)
    shorter = recipes.with_intervals(resolved(steps=1150, minutes=6), 600)
    assert (shorter.sample_every, shorter.checkpoint_every) == (30, 30)


def test_terms_of_every_recipe_are_known():
    for recipe in recipes.RECIPES.values():
        assert {term.name for term in recipe.terms} <= set(recipes.TERMS)
        assert all(isinstance(term, LossTerm) for term in recipe.terms)


def test_one_more_recipe_takes_one_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "watercolour.py").write_text(
        "import dataclasses\nfrom kgan.recipes.cut import RECIPE as CUT\n"
        "RECIPE = dataclasses.replace(CUT, name='watercolour', help='soft', blocks=5)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(kgan.recipes, "__path__", [*kgan.recipes.__path__, str(tmp_path)])
    RECIPES.refresh()
    try:
        with pytest.raises(SystemExit):
            cli.main(["train", "--help"])
        assert "watercolour" in capsys.readouterr().out
        with pytest.raises(UserError, match="did you mean watercolour"):
            resolved(recipe="watercolor")
        config = resolved(recipe="watercolour")
        assert (config.recipe, config.blocks, kgan.recipes.WATERCOLOUR.help) == ("watercolour", 5, "soft")
    finally:
        RECIPES.refresh()
