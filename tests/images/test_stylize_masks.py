"""`kgan stylize` with a mask, a strength, the content's colours and alpha: files in, files out."""

import itertools

import numpy as np
import pytest
from PIL import Image

from kgan import cli, load
from kgan.errors import UserError
from kgan.export import export_litert, export_saved_model
from kgan.film.call import stylize
from kgan.images.blending import feather, luma
from kgan.images.pictures import to_float
from kgan.memory import HELD
from kgan.networks.generators import ResNetGenerator
from kgan.runs.settings import TrainConfig


def strong(channels=3):
    """A generator that changes every picture a lot."""
    generator = ResNetGenerator(filters=4, blocks=1, channels=channels)
    generator(np.zeros((1, 32, 32, channels), np.float32))
    generator.set_weights([weight * 10 if weight.ndim > 1 else weight for weight in generator.get_weights()])
    return generator


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    export_saved_model(strong(), folder / "run" / "saved_model")
    TrainConfig().save(folder / "run" / "config.json")
    return {
        "run": folder / "run",
        "saved_model": folder / "run" / "saved_model",
        "tflite": export_litert(strong(), folder / "model.tflite"),
        "gray": export_litert(strong(1), folder / "gray.tflite"),
        "rgba": export_litert(strong(4), folder / "rgba.tflite"),
    }


def photo(height=40, width=60, channels=3, seed=0):
    """A smooth random picture."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, channels), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def write(path, picture, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(path, **options)
    return path


def read(path):
    return np.asarray(Image.open(path))


def left_half(height=40, width=60):
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    return mask


def restyled(models, tmp_path, source, name="tflite", **options):
    (made,) = stylize([source], models[name], tmp_path / "out", overwrite=True, **options)
    return read(made)


# --- the ends ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["saved_model", "tflite", "gray", "rgba"])
@pytest.mark.parametrize("channels", [3, 4])
def test_strength_0_and_a_black_mask_are_the_content(models, tmp_path, name, channels):
    picture = photo(channels=channels)
    if channels == 4:
        picture = np.concatenate([picture[..., :3], np.maximum(picture[..., 3:], 1)], axis=-1)
    source = write(tmp_path / "x.png", picture)
    black = write(tmp_path / "black.png", np.zeros((40, 60), np.uint8))
    for options in ({"strength": 0}, {"mask": black}, {"strength": 0, "keep_colour": True, "mask": black}):
        made = restyled(models, tmp_path, source, name, **options)
        assert (made[..., :channels] == picture).all()
        assert made.shape[-1] == channels or (made[..., 3] == 255).all()


@pytest.mark.parametrize("name", ["run", "tflite", "rgba"])
def test_strength_1_and_a_white_mask_are_the_stylized(models, tmp_path, name):
    source = write(tmp_path / "x.png", photo())
    white = write(tmp_path / "white.png", np.full((40, 60), 255, np.uint8))
    expected = load(models[name])(photo())
    assert np.abs(expected[..., :3].astype(int) - photo()).mean() > 10
    for options in ({}, {"strength": 1}, {"mask": white}, {"mask": white, "strength": 1, "feather": 20}):
        assert (restyled(models, tmp_path, source, name, **options) == expected).all()


# --- masks ------------------------------------------------------------------------------------------------------------


def test_only_inside_the_mask(models, tmp_path):
    source = write(tmp_path / "x.png", photo())
    mask = write(tmp_path / "mask.png", left_half())
    made = restyled(models, tmp_path, source, mask=mask, feather=0)
    stylized = load(models["tflite"])(photo())
    assert (made[:, :30] == stylized[:, :30]).all()
    assert (made[:, 30:] == photo()[:, 30:]).all()


def test_feather_is_in_percent_of_the_shorter_side(models, tmp_path):
    """20% of 40 pixels are 8."""
    source = write(tmp_path / "x.png", photo())
    mask = write(tmp_path / "mask.png", left_half())
    made = restyled(models, tmp_path, source, mask=mask, feather=20)
    stylized = load(models["tflite"])(photo())
    assert (made[:, :22] == stylized[:, :22]).all()
    assert (made[:, 30:] == photo()[:, 30:]).all()
    weight = feather(to_float(left_half()), 8)[..., None]
    expected = photo() * (1 - weight) + stylized * weight
    assert np.abs(made - expected).max() <= 0.51


def masks_of_all_kinds():
    """Files of several formats with the same mask, by name."""
    half = Image.fromarray(left_half())
    opaque, nothing = Image.new("L", half.size, 255), Image.new("L", half.size, 0)
    return {
        "gray.png": half,
        "rgb.png": half.convert("RGB"),
        "bits.png": half.convert("1"),
        "palette.png": half.convert("RGB").quantize(2),
        "deep.png": Image.fromarray(left_half().astype(np.uint16) * 257),
        "opaque.png": Image.merge("RGBA", [half, half, half, opaque]),
        "alpha.png": Image.merge("RGBA", [opaque, opaque, opaque, half]),
        "both.png": Image.merge("LA", [half, half]),
        "lossless.webp": half.convert("RGB"),
        "nothing.png": Image.merge("LA", [nothing, opaque]),
    }


@pytest.mark.parametrize("name", [name for name in masks_of_all_kinds() if name != "nothing.png"])
def test_masks_of_every_mode(models, tmp_path, name):
    source = write(tmp_path / "x.png", photo())
    plain = write(tmp_path / "plain.png", left_half())
    other = write(tmp_path / name, masks_of_all_kinds()[name], **({"lossless": True} if "webp" in name else {}))
    expected = restyled(models, tmp_path, source, mask=plain)
    assert (restyled(models, tmp_path, source, mask=other) == expected).all()


def test_gray_in_a_mask_is_a_share(models, tmp_path):
    source = write(tmp_path / "x.png", photo())
    gray = write(tmp_path / "gray.png", np.full((40, 60), 51, np.uint8))
    expected = restyled(models, tmp_path, source, strength=0.2)
    assert (restyled(models, tmp_path, source, mask=gray) == expected).all()


def test_a_mask_without_white_is_told(models, tmp_path, capsys):
    source = write(tmp_path / "x.png", photo())
    black = write(tmp_path / "nothing.png", masks_of_all_kinds()["nothing.png"])
    restyled(models, tmp_path, source, mask=black)
    assert "nothing is restyled" in capsys.readouterr().err


def test_a_mask_of_another_size_is_scaled_and_said(models, tmp_path, capsys):
    source = write(tmp_path / "x.png", photo())
    small = write(tmp_path / "mask.png", left_half(20, 30))
    made = restyled(models, tmp_path, source, mask=small)
    assert "mask.png is 30x20, scaled to 60x40" in capsys.readouterr().err
    assert (made[:, 32:] == photo()[:, 32:]).all()
    assert (made[:, :27] == load(models["tflite"])(photo())[:, :27]).all()


def test_folders_of_masks(models, tmp_path):
    """Masks have the same name, or differ only in the suffix, also in subfolders."""
    white = np.full((40, 60), 255, np.uint8)
    write(tmp_path / "in" / "a.png", photo(seed=1))
    write(tmp_path / "in" / "deep" / "b.png", photo(seed=2))
    write(tmp_path / "in" / "c.webp", photo(seed=3), lossless=True)
    write(tmp_path / "masks" / "a.png", white)
    write(tmp_path / "masks" / "deep" / "b.jpg", left_half() * 0)
    write(tmp_path / "masks" / "c.png", white)
    write(tmp_path / "masks" / "c.webp", left_half() * 0, lossless=True)
    write(tmp_path / "masks" / "more.png", white)
    stylize([tmp_path / "in"], models["tflite"], tmp_path / "out", mask=tmp_path / "masks")
    model = load(models["tflite"])
    assert (read(tmp_path / "out" / "a.png") == model(photo(seed=1))).all()
    assert (read(tmp_path / "out" / "deep" / "b.png") == photo(seed=2)).all()
    assert np.abs(read(tmp_path / "out" / "c.webp").astype(int) - photo(seed=3)).mean() < 5


def test_a_picture_that_cannot_be_read_needs_no_mask(models, tmp_path, capsys):
    write(tmp_path / "in" / "a.png", photo())
    (tmp_path / "in" / "b.png").write_bytes(b"words")
    write(tmp_path / "masks" / "a.png", left_half())
    with pytest.raises(UserError, match="1 of 2 pictures could not be restyled"):
        stylize([tmp_path / "in"], models["tflite"], tmp_path / "out", mask=tmp_path / "masks")
    assert "b.png: not a JPEG" in capsys.readouterr().err
    assert (tmp_path / "out" / "a.png").exists()


def test_one_mask_for_all(models, tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "in" / f"{name}.png", photo(seed=ord(name)))
    mask = write(tmp_path / "mask.png", left_half())
    stylize([tmp_path / "in"], models["tflite"], tmp_path / "out", mask=mask)
    for name in ("a", "b"):
        assert (read(tmp_path / "out" / f"{name}.png")[:, 30:] == photo(seed=ord(name))[:, 30:]).all()


def test_variants_share_the_mask(tmp_path, models):
    generator = ResNetGenerator(filters=4, blocks=1, noise_channels=2)
    generator(np.zeros((1, 32, 32, 5), np.float32))
    noisy = export_saved_model(generator, tmp_path / "noisy")
    source, mask = write(tmp_path / "x.png", photo()), write(tmp_path / "mask.png", left_half())
    first, second = map(read, stylize([source], noisy, tmp_path / "out", variants=2, mask=mask))
    assert (first[:, :30] != second[:, :30]).any()
    assert (first[:, 30:] == photo()[:, 30:]).all()
    assert (second[:, 30:] == photo()[:, 30:]).all()


def test_outside_a_mask_a_large_picture_keeps_every_detail(models, tmp_path, capsys):
    fine = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    source, mask = write(tmp_path / "x.png", fine), write(tmp_path / "mask.png", left_half())
    tight = 40 * 60 * (HELD + load(models["tflite"]).bytes_per_pixel / 4) / 1e9
    made = restyled(models, tmp_path, source, mask=mask, memory=tight, strength=0.7, keep_colour=True)
    assert "restyled at 50% of its size" in capsys.readouterr().err
    assert (made[:, 30:] == fine[:, 30:]).all()
    assert np.abs(made[:, :20].astype(int) - fine[:, :20]).mean() > 5


# --- colours and alpha ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tflite", "gray"])
def test_keep_colour(models, tmp_path, name):
    picture = photo() // 4 + 96
    made = restyled(models, tmp_path, write(tmp_path / "x.png", picture), name, keep_colour=True)
    stylized = load(models[name])(picture).astype(np.float32)
    assert np.abs(luma(made.astype(np.float32)) - luma(stylized)).max() < 1
    before, after = (p.astype(np.float32) - luma(p.astype(np.float32)) for p in (picture, made))
    inside = ((made > 0) & (made < 255)).all(axis=-1)
    assert inside.mean() > 0.3
    assert np.abs(before - after)[inside].max() < 1.5


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
@pytest.mark.parametrize("options", [{}, {"keep_colour": True, "strength": 0.5}], ids=["plain", "blended"])
def test_alpha_is_kept_where_the_format_has_it(models, tmp_path, suffix, options):
    picture = photo(channels=4)
    source = tmp_path / f"x.{suffix}"
    write(source, picture, format="png")  # a .jpg that is a PNG inside: it is written as a JPEG
    made = restyled(models, tmp_path, source, **options)
    if suffix == "jpg":
        assert made.shape[-1] == 3
    else:
        assert (made[..., 3] == picture[..., 3]).all()


def test_an_opaque_alpha_and_a_transparent_palette_are_kept(models, tmp_path):
    opaque = np.concatenate([photo(), np.full((40, 60, 1), 255, np.uint8)], axis=-1)
    made = restyled(models, tmp_path, write(tmp_path / "x.png", opaque))
    assert (made[..., 3] == 255).all()
    assert (made[..., :3] == load(models["tflite"])(photo())).all()
    palette = Image.fromarray(left_half()).convert("RGB").quantize(2)
    palette.info["transparency"] = 0
    made = restyled(models, tmp_path, write(tmp_path / "y.png", palette, transparency=0))
    assert set(np.unique(made[..., 3])) == {0, 255}


def test_gray_models_give_gray_unless_colour_is_asked_for(models, tmp_path):
    gray, coloured = photo()[..., 0], photo()
    assert restyled(models, tmp_path, write(tmp_path / "a.png", coloured), "gray").ndim == 2
    assert restyled(models, tmp_path, write(tmp_path / "a.png", coloured), "gray", strength=0.5).shape[-1] == 3
    made = restyled(models, tmp_path, write(tmp_path / "b.png", gray), "gray", strength=0)
    assert (made == gray).all()


# --- the command ------------------------------------------------------------------------------------------------------


def test_flags_in_any_order(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.png", photo(channels=4))
    write(tmp_path / "mask.png", left_half())
    parts = [["x.png"], ["--mask", "mask.png", "--feather", "5"], ["--strength", "0.6"], ["--keep-colour"]]
    pictures = []
    for number, order in enumerate(list(itertools.permutations(parts))[::7]):
        words = [word for part in order for word in part]
        assert cli.main(["stylize", *words, "--model", str(models["tflite"]), "--output", f"out{number}"]) == 0
        pictures.append((tmp_path / f"out{number}" / "x.png").read_bytes())
    assert len(pictures) >= 4
    assert len(set(pictures)) == 1


def make_bad_masks(folder):
    write(folder / "x.png", photo())
    write(folder / "two" / "a.png", photo())
    write(folder / "two" / "b.png", photo())
    write(folder / "square.png", np.full((40, 40), 255, np.uint8))
    frames = [Image.fromarray(left_half()), Image.fromarray(left_half().T).resize((60, 40))]
    for kind in ("png", "webp", "gif"):
        frames[0].save(folder / f"moving.{kind}", save_all=True, append_images=frames[1:])
    (folder / "words.png").write_text("words", encoding="utf-8")
    (folder / "empty.png").touch()
    (folder / "empty").mkdir()
    write(folder / "masks" / "a.png", left_half())
    write(folder / "many" / "x.jpg", left_half())
    write(folder / "many" / "x.webp", left_half())


@pytest.mark.parametrize(
    ("words", "expected"),
    {
        "x.png --strength 1.01": "--strength should be from 0 to 1. Received: 1.01",
        "x.png --strength -0.1": "--strength should be from 0 to 1. Received: -0.1",
        "x.png --strength nan": "--strength should be from 0 to 1",
        "x.png --strength half": "--strength half: should be a number",
        "x.png --feather 2": "give --mask too",
        "x.png --mask square.png --feather -1": "--feather should be from 0 to 100",
        "x.png --mask square.png --feather 101": "--feather should be from 0 to 100",
        "x.png --mask square.png": "square.png: is 40x40, another shape than x.png (60x40)",
        "x.png --mask nowhere.png": "--mask nowhere.png: no such file or folder",
        "x.png --mask moving.png": "moving.png: is animated",
        "x.png --mask moving.webp": "moving.webp: is animated",
        "x.png --mask moving.gif": "moving.gif: is animated",
        "x.png --mask words.png": "words.png: not a JPEG, PNG, WebP or GIF picture",
        "x.png --mask empty.png": "empty.png: empty file",
        "x.png --mask empty": "empty: no pictures in this folder",
        "two --mask masks": "masks/b: no such mask",
        "x.png --mask many": "could both be the mask of x.png",
        "x.png --keep-color": "did you mean --keep-colour",
    }.items(),
)
def test_one_clear_line_and_nothing_written(models, tmp_path, monkeypatch, capsys, words, expected):
    make_bad_masks(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["stylize", *words.split(), "--model", str(models["tflite"]), "--output", "out"]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_a_bad_mask_among_good_ones(models, tmp_path, capsys):
    for name in ("a", "b"):
        write(tmp_path / "in" / f"{name}.png", photo())
        write(tmp_path / "masks" / f"{name}.png", left_half())
    (tmp_path / "masks" / "a.png").write_text("words", encoding="utf-8")
    with pytest.raises(UserError, match="1 of 2 pictures could not be restyled"):
        stylize([tmp_path / "in"], models["tflite"], tmp_path / "out", mask=tmp_path / "masks")
    assert "masks/a.png: not a JPEG" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
