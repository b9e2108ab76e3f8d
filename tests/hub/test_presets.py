"""`Generator.from_preset` and `save_to_preset`."""

import json

import keras
import numpy as np
import pytest
from small_models import GENERATORS, make_generator

from kgan.errors import UserError
from kgan.networks import ArticleGenerator, Generator, MobileGenerator, ResNetGenerator


def answers(generator):
    seen = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, generator.input_channels)).astype(np.float32)
    return keras.ops.convert_to_numpy(generator(seen, training=False))


@pytest.mark.parametrize("kind", ["antialias", "content_noise", "noise", "rgba"])
def test_a_folder_gives_the_same_generator(kind, tmp_path):
    generator = make_generator(kind)
    generator.save_to_preset(tmp_path / "mine")
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"config.json", "model.safetensors"}
    again = Generator.from_preset(tmp_path / "mine")
    assert type(again) is GENERATORS[kind][0]
    assert np.array_equal(answers(again), answers(generator))
    again.save_to_preset(tmp_path / "second")
    for name in ("config.json", "model.safetensors"):
        first, second = ((tmp_path / folder / name).read_bytes() for folder in ("mine", "second"))
        assert len(first) == len(second)
    assert json.loads((tmp_path / "second" / "config.json").read_text(encoding="utf-8"))["data"] is None


def test_a_shipped_model():
    generator = MobileGenerator.from_preset("vangogh-mobile")
    assert generator.count_params() == 211_372
    assert generator.settings.recipe == "guided"


def test_on_the_hub(hub, tmp_path):
    make_generator("content").save_to_preset(tmp_path / "mine")
    hub.put("someone/mine", {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()})
    one, other = (ResNetGenerator.from_preset(word) for word in ("hf://someone/mine", tmp_path / "mine"))
    assert np.array_equal(answers(one), answers(other))


def test_refusals(tmp_path):
    make_generator("content").save_to_preset(tmp_path / "mine")
    with pytest.raises(UserError, match="is a ResNetGenerator, not a ArticleGenerator"):
        ArticleGenerator.from_preset(tmp_path / "mine")
    with pytest.raises(UserError, match="is of another network"):
        make_generator("rgba").save_to_preset(tmp_path / "mine")
    with pytest.raises(UserError, match="has no weights yet"):
        ResNetGenerator().save_to_preset(tmp_path / "empty")

    class Mine(ResNetGenerator):
        """A generator of no table."""

    mine = Mine(filters=4, blocks=1)
    mine.build((None, None, None, 3))
    with pytest.raises(UserError, match=r"Mine: is no generator of kgan\.kinds\.GENERATORS"):
        mine.save_to_preset(tmp_path / "other")
    assert not (tmp_path / "other").exists()
