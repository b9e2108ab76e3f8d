"""Generation of pictures from noise: a function of the seed, at any size, with a grid."""

import itertools

import numpy as np
import pytest
from PIL import Image

from kgan import load
from kgan.errors import UserError
from kgan.export import export_saved_model
from kgan.images.pictures import GUTTER
from kgan.inference.generate import generate, parse_size
from kgan.networks.generators import ArticleGenerator, ResNetGenerator


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    made = {}
    for distribution in ("normal", "uniform"):
        generator = ArticleGenerator(filters=4, blocks=1, noise_channels=2, takes_content=False, stride=8)
        generator(np.zeros((1, 32, 32, 2), np.float32))
        generator.set_weights([weight * 20 if weight.ndim > 1 else weight for weight in generator.get_weights()])
        made[distribution] = export_saved_model(generator, folder / distribution, distribution)
    stylist = ResNetGenerator(filters=4, blocks=1)
    stylist(np.zeros((1, 32, 32, 3), np.float32))
    made["stylist"] = export_saved_model(stylist, folder / "stylist")
    return made


def read(path):
    return np.asarray(Image.open(path)).astype(int)


def test_count_names_sizes_and_grid(models, tmp_path):
    written = generate(models["normal"], tmp_path, count=5, seed=7, size=(21, 34))
    assert [path.name for path in written] == [f"seed-{seed}.png" for seed in range(7, 12)] + ["grid.png"]
    assert all(read(path).shape == (21, 34, 3) for path in written[:-1])
    assert read(written[-1]).shape == (2 * 21 + GUTTER, 3 * 34 + 2 * GUTTER, 3)
    assert len({path.read_bytes() for path in written[:-1]}) == 5


def test_a_seed_is_a_picture_whatever_the_count(models, tmp_path):
    first = generate(models["normal"], tmp_path / "a", count=3, seed=7, size="32")
    second = generate(models["normal"], tmp_path / "b", count=1, seed=9, size="32x32")
    assert first[2].read_bytes() == second[0].read_bytes()


def test_between_goes_from_one_seed_to_the_other(models, tmp_path):
    row = generate(models["normal"], tmp_path / "row", count=4, size="32", between=(1, 2))
    assert [path.name for path in row] == [f"between-1-2-{k:02d}.png" for k in range(1, 5)] + ["between-1-2.png"]
    for end, seed in ((row[0], 1), (row[3], 2)):
        (single, _) = generate(models["normal"], tmp_path / f"{seed}", count=1, seed=seed, size="32")
        assert np.abs(read(end) - read(single)).max() <= 1
    steps = [np.abs(read(a) - read(b)).mean() for a, b in itertools.pairwise(row[:4])]
    assert min(steps) > 0
    assert max(steps) < np.abs(read(row[0]) - read(row[3])).mean() * 1.1
    assert read(row[4]).shape == (32, 4 * 32 + 3 * GUTTER, 3)


def test_between_stays_inside_the_bounds_of_uniform_noise(models, tmp_path):
    assert len(generate(models["uniform"], tmp_path, count=3, size="16", between=(0, 1))) == 4


def test_truncation_changes_the_picture_and_needs_a_bell(models, tmp_path):
    plain = generate(models["normal"], tmp_path / "a", count=1, size="32")
    tame = generate(models["normal"], tmp_path / "b", count=1, size="32", truncation=0.5)
    assert plain[0].read_bytes() != tame[0].read_bytes()
    noise = load(models["normal"]).noise(0, 1, 32, 32, truncation=0.5)
    assert np.abs(noise).max() <= 0.5
    with pytest.raises(UserError, match="trained on uniform noise"):
        generate(models["uniform"], tmp_path / "c", truncation=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count should be at least 1"),
        ({"count": 1, "between": (1, 2)}, "count should be at least 2"),
        ({"size": "12y9"}, "size should be HEIGHTxWIDTH"),
        ({"size": "0x9"}, "size should be HEIGHTxWIDTH"),
        ({"size": "\u00b2"}, "size should be HEIGHTxWIDTH"),  # a digit that is no decimal
        ({"size": "9" * 5000}, "size should be HEIGHTxWIDTH"),
        ({"size": ""}, "size should be HEIGHTxWIDTH"),
        ({"size": (16,)}, "size should be a height and a width"),
        ({"size": "16x20000", "format": "webp"}, "may have 16383 pixels a side. Received: 20000x16"),
        ({"count": 10**9}, "count should be at most 1000000"),
        ({"between": (-1, 2)}, "between should be two seeds of at least 0"),
        ({"truncation": 0.0}, "truncation should be above 0"),
    ],
)
def test_bad_numbers(models, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        generate(models["normal"], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_models_of_content_are_refused(models, tmp_path):
    with pytest.raises(UserError, match=r"use kgan\.stylize"):
        generate(models["stylist"], tmp_path / "out")


def test_nothing_is_overwritten_untold(models, tmp_path):
    (tmp_path / "seed-1.png").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"seed-1\.png: exists already"):
        generate(models["normal"], tmp_path, count=2, size="16")
    assert [path.name for path in tmp_path.iterdir()] == ["seed-1.png"]


def test_what_is_there_is_left_and_shown_in_the_grid(models, tmp_path):
    whole = generate(models["normal"], tmp_path / "whole", count=3, size="16")
    generate(models["normal"], tmp_path / "part", count=2, size="16")
    (tmp_path / "part" / "grid.png").unlink()
    made = generate(models["normal"], tmp_path / "part", count=3, size="16", skip_existing=True)
    assert [path.name for path in made] == ["seed-2.png", "grid.png"]
    assert (tmp_path / "part" / "grid.png").read_bytes() == whole[-1].read_bytes()
    assert generate(models["normal"], tmp_path / "part", count=3, size="16", skip_existing=True) == []


@pytest.mark.parametrize(
    ("between", "size"), [(None, (2 * 16 + GUTTER, 2 * 16 + GUTTER)), ((1, 2), (16, 4 * 16 + 3 * GUTTER))]
)
def test_a_grid_shows_as_many_as_fit(models, tmp_path, monkeypatch, capsys, between, size):
    monkeypatch.setattr("kgan.inference.generate.MOST_IN_GRID", 4 * 16 * 16)
    written = generate(models["normal"], tmp_path, count=7, size="16", between=between)
    assert len(written) == 8
    assert read(written[-1]).shape == (*size, 3)
    assert "shows the first 4 of 7 pictures" in capsys.readouterr().err


def test_a_row_is_no_longer_than_its_format_allows(models, tmp_path, capsys):
    *_, row = generate(models["normal"], tmp_path, count=3, size="1x8000", between=(1, 2), format="webp")
    assert read(row).shape == (1, 2 * 8000 + GUTTER, 3)
    assert "shows the first 2 of 3 pictures" in capsys.readouterr().err


def test_one_picture_may_be_one_file(models, tmp_path):
    (made,) = generate(models["normal"], tmp_path / "one.png", count=1, seed=7, size="16")
    first, _ = generate(models["normal"], tmp_path / "folder", count=1, seed=7, size="16")
    assert made == tmp_path / "one.png"
    assert made.read_bytes() == first.read_bytes()
    with pytest.raises(UserError, match="names one picture, and 2 are asked for"):
        generate(models["normal"], tmp_path / "two.png", count=2)


def test_parse_size():
    assert parse_size("96x128") == (96, 128)
    assert parse_size("64") == (64, 64)
