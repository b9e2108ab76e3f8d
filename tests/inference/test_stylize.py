"""Restyling of arrays and files: sizes, types, orientation, names, refusals and bad pictures."""

import functools
import io
import os
import re
import signal
import sys

import numpy as np
import pytest
import tensorflow as tf
from odd_names import odd_name
from PIL import Image

from kgan import load
from kgan.errors import UserError
from kgan.exit_guard import Interrupted
from kgan.export import export_litert, export_saved_model
from kgan.film.call import stylize
from kgan.images.pictures import Writing, save_picture
from kgan.inference.model import shares_of_size
from kgan.memory import HELD, OPENED
from kgan.networks.generators import ArticleGenerator, ResNetGenerator

stylize_module = sys.modules["kgan.inference.stylize"]


def build(generator):
    generator(np.zeros((1, 32, 32, generator.input_channels), np.float32))
    return generator


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A residual generator at its start, which is the identity, so that the results are known."""
    folder = tmp_path_factory.mktemp("models")
    identity = build(ResNetGenerator(filters=4, blocks=1, residual=True))
    noisy = build(ArticleGenerator(filters=4, blocks=1, noise_channels=2))
    noisy.set_weights([weight * 20 if weight.ndim > 1 else weight for weight in noisy.get_weights()])
    synthesis = build(ArticleGenerator(filters=4, blocks=1, noise_channels=2, takes_content=False))
    return {
        "identity": export_saved_model(identity, folder / "identity"),
        "identity.tflite": export_litert(identity, folder / "identity.tflite"),
        "noisy": export_saved_model(noisy, folder / "noisy"),
        "synthesis": export_saved_model(synthesis, folder / "synthesis"),
    }


loaded = functools.cache(load)
"""Reading a model takes as long as all else in most tests."""


def photo(height=21, width=34, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def write(path, picture, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path


def read(path):
    return np.asarray(Image.open(path))


# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["identity", "identity.tflite"])
@pytest.mark.parametrize("size", [(1, 1), (3, 500), (64, 64), (37, 51)])
def test_any_size_comes_back_unchanged_by_the_identity(models, name, size):
    picture = photo(*size)
    made = loaded(models[name])(picture)
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - picture).max() <= 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_come_back_as_they_came(models, dtype):
    picture = (photo() / 255).astype(dtype)
    made = loaded(models["identity"])(picture)
    assert made.dtype == dtype
    assert np.abs(made - picture).max() < 2e-3


def test_gray_and_rgba_become_the_models_channels(models):
    model = loaded(models["identity"])
    gray = photo(channels=1)
    assert (model(gray) == np.repeat(gray, 3, axis=-1)).all()
    assert (model(gray[..., 0]) == model(gray)).all()
    transparent = np.concatenate([photo(), np.zeros((21, 34, 1), np.uint8)], axis=-1)
    assert (model(transparent) == 255).all()


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8)])
def test_other_shapes_are_refused(models, wrong):
    with pytest.raises(UserError, match="should have"):
        loaded(models["identity"])(wrong)


def test_a_batch_is_its_pictures(models):
    model = loaded(models["noisy"])
    batch = np.stack([photo(seed=1), photo(seed=2)])
    made = model(batch, seed=5)
    assert made.shape == batch.shape
    assert np.abs(made[0].astype(int) - model(batch[0], seed=5)).max() <= 1


def test_seeds(models):
    model, picture = loaded(models["noisy"]), photo()
    assert (model(picture, seed=5) == model(picture, seed=5)).all()
    assert (model(picture, seed=5) != model(picture, seed=6)).any()


# --- files ------------------------------------------------------------------------------------------------------------


def test_folders_keep_structure_formats_and_sizes(models, tmp_path):
    write(tmp_path / "in" / "a.png", photo(21, 34))
    write(tmp_path / "in" / "deep" / "b.JPG", photo(40, 17))
    write(tmp_path / "in" / "deep" / "c.webp", photo(9, 9), lossless=True)
    single = write(tmp_path / "single.png", photo(5, 5))
    written = stylize([tmp_path / "in", single], models["identity"], tmp_path / "out")
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in written)
    assert names == ["a.png", "deep/b.JPG", "deep/c.webp", "single.png"]
    assert sorted(written) == sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    formats = {}
    for path in written:
        with Image.open(path) as image:
            formats[path.name.lower()] = (image.format, image.size)
    assert formats["a.png"] == ("PNG", (34, 21))
    assert formats["b.jpg"] == ("JPEG", (17, 40))
    assert formats["c.webp"] == ("WEBP", (9, 9))
    assert np.abs(read(tmp_path / "out" / "a.png").astype(int) - photo(21, 34)).max() <= 1


def test_orientation_is_applied(models, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    source = write(tmp_path / "turned.png", photo(20, 30), exif=exif)
    (made,) = stylize([source], models["identity"], tmp_path / "out")
    assert np.abs(read(made).astype(int) - np.rot90(photo(20, 30), -1)).max() <= 1
    with Image.open(made) as image:
        assert image.getexif()[0x0112] == 1


def test_variants_are_the_seeds(models, tmp_path):
    source = write(tmp_path / "x.png", photo())
    first, second = stylize([source], models["noisy"], tmp_path / "out", seed=7, variants=2)
    assert (first.name, second.name) == ("x-1.png", "x-2.png")
    model = loaded(models["noisy"])
    assert (read(first) == model(photo(), seed=7)).all()
    assert (read(second) == model(photo(), seed=8)).all()


def test_variants_need_noise(models, tmp_path):
    source = write(tmp_path / "x.png", photo())
    with pytest.raises(UserError, match="takes no noise"):
        stylize([source], models["identity"], tmp_path / "out", variants=2)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_untold(models, tmp_path):
    for name in ("a.png", "b.png"):
        write(tmp_path / "in" / name, photo())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"b\.png: exists already; give skip_existing .*, overwrite"):
        stylize([tmp_path / "in"], models["identity"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
    assert (tmp_path / "out" / "b.png").read_bytes() == b"mine"
    (made,) = stylize([tmp_path / "in"], models["identity"], tmp_path / "out", skip_existing=True)
    assert made == tmp_path / "out" / "a.png"
    assert (tmp_path / "out" / "b.png").read_bytes() == b"mine"
    assert stylize([tmp_path / "in"], "no such model", tmp_path / "out", skip_existing=True) == []  # nothing to do
    assert len(stylize([tmp_path / "in"], models["identity"], tmp_path / "out", overwrite=True)) == 2
    assert read(tmp_path / "out" / "b.png").shape == (21, 34, 3)


def test_the_source_itself_is_never_overwritten(models, tmp_path):
    source = write(tmp_path / "x.png", photo())
    before = source.read_bytes()
    with pytest.raises(UserError, match="is the picture itself"):
        stylize([source], models["identity"], tmp_path, overwrite=True)
    assert source.read_bytes() == before


def test_a_bad_picture_is_told_and_the_rest_goes_on(models, tmp_path, capsys):
    buffer = io.BytesIO()
    Image.fromarray(photo(64, 64)).save(buffer, "JPEG")
    for name in ("a", "c"):
        write(tmp_path / "in" / f"{name}.png", photo())
    (tmp_path / "in" / "b.jpg").write_bytes(buffer.getvalue()[:1000])
    with pytest.raises(UserError, match="1 of 3 pictures could not be restyled") as caught:
        stylize([tmp_path / "in"], models["identity"], tmp_path / "out")
    assert caught.value.status == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "b.jpg" in line]
    assert len(lines) == 1
    assert "truncated" in lines[0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


def test_missing_and_empty(models, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(UserError, match=path.name):
            stylize([path], models["identity"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_readable_picture_is_done_under_a_name_of_its_own(models, tmp_path, capsys):
    """The folder also has a name with invalid UTF-8, an unreadable picture, a pipe and a link to a folder."""
    for name in ("IMG_1.JPG", "IMG_1.jpg", "IMG_2.png", "deep/HOLIDAY.JPG"):
        write(tmp_path / "in" / name, photo())
    odd = odd_name(tmp_path / "in")
    (tmp_path / "in" / "IMG_2.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    os.mkfifo(tmp_path / "in" / "pipe.png")
    write(tmp_path / "far" / "x.png", photo())
    (tmp_path / "in" / "more").symlink_to(tmp_path / "far")
    with pytest.raises(UserError, match="2 of 8 pictures could not be restyled"):
        stylize([tmp_path / "in"], models["identity"], tmp_path / "in" / "out")
    made = sorted(str(path.relative_to(tmp_path / "in/out")) for path in (tmp_path / "in/out").rglob("*.*"))
    assert made == ["IMG_1.JPG", "IMG_1.jpg", "IMG_2.png", odd.name, "deep/HOLIDAY.JPG", "more/x.png"]
    said = capsys.readouterr().err
    assert "IMG_2.HEIC: HEIC is not read" in said
    assert "pipe.png: is a pipe, not a file" in said
    again = stylize(
        [tmp_path / "in" / "deep", tmp_path / "in/IMG_2.png"], models["identity"], tmp_path / "in" / "again"
    )
    assert len(again) == 2


def test_ctrl_c_says_how_many_are_done_and_how_to_go_on(models, tmp_path, monkeypatch):
    for name in "abc":
        write(tmp_path / "in" / f"{name}.png", photo())
    saved = []

    def save(self, picture, path, *args):
        if len(saved) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        saved.append(path)
        save_picture(picture, path)

    monkeypatch.setattr(Writing, "save", save)
    with pytest.raises(Interrupted, match="2 of 3 pictures are done; skip_existing leaves these") as caught:
        stylize([tmp_path / "in"], models["identity"], tmp_path / "out")
    assert caught.value.status == 130
    assert len(list((tmp_path / "out").iterdir())) == 2
    monkeypatch.undo()
    assert len(stylize([tmp_path / "in"], models["identity"], tmp_path / "out", skip_existing=True)) == 1


def test_variants_that_are_there_are_left(models, tmp_path):
    source = write(tmp_path / "x.png", photo())
    first, second = stylize([source], models["noisy"], tmp_path / "out", seed=7, variants=2)
    before = second.read_bytes()
    second.unlink()
    first.write_bytes(b"mine")
    assert stylize([source], models["noisy"], tmp_path / "out", seed=7, variants=2, skip_existing=True) == [second]
    assert (first.read_bytes(), second.read_bytes()) == (b"mine", before)


def test_one_picture_may_be_one_file(models, tmp_path):
    source = write(tmp_path / "x.png", photo())
    (made,) = stylize([source], models["identity"], tmp_path / "new" / "result.webp")
    assert made == tmp_path / "new" / "result.webp"
    with Image.open(made) as image:
        assert image.format == "WEBP"


def test_models_of_noise_alone_are_refused(models, tmp_path):
    source = write(tmp_path / "x.png", photo())
    with pytest.raises(UserError, match=r"use kgan\.generate"):
        stylize([source], models["synthesis"], tmp_path / "out")


def for_half(model, pixels):
    """The memory in GB with which a picture of this number of pixels is restyled at half its sides."""
    return pixels * (HELD + loaded(model).bytes_per_pixel / 4) / 1e9


def test_a_file_without_tiles_is_restyled_smaller_and_enlarged(models, tmp_path, capsys):
    ramp = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], 150, axis=0).repeat(3, axis=-1)
    source = write(tmp_path / "x.png", ramp)
    little = for_half(models["identity.tflite"], 150 * 200)
    (made,) = stylize([source], models["identity.tflite"], tmp_path / "out", memory=little)
    assert read(made).shape == ramp.shape
    assert np.abs(read(made).astype(int) - ramp).max() <= 4
    assert "restyled at 50% of its size" in capsys.readouterr().err


@pytest.mark.long
def test_little_memory_means_tiles(models, tmp_path, capsys):
    source = write(tmp_path / "x.png", photo(300, 400))
    little = for_half(models["identity"], 300 * 400)
    (made,) = stylize([source], models["identity"], tmp_path / "out", memory=little, strokes=2, exact=True)
    whole = loaded(models["identity"])(photo(300, 400), strokes=2)
    assert np.abs(read(made).astype(int) - whole).max() <= 1
    assert "of its size" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["noisy", "identity.tflite"])
def test_broad_strokes_are_drawn_small_enlarged_and_drawn_over(models, name):
    model, picture = loaded(models[name]), photo(40, 64) / np.float32(255)

    def resized(image, height, width):
        return np.clip(tf.image.resize(image, (height, width), "lanczos3", antialias=True), 0, 1)

    small = model(resized(picture, 13, 21), 5)
    middle = model(resized(small, 27, 43), 5)
    expected = model(resized(middle, 40, 64), 5)
    np.testing.assert_allclose(model(picture, 5, strokes=3), expected, atol=1e-5)
    assert np.abs(expected - model(picture, 5)).max() > 0.05


@pytest.mark.parametrize(
    ("strokes", "shares"), [(1, [1]), (1.25, [0.8, 1]), (3, [1 / 3, 2 / 3, 1]), (8, [0.125, 0.25, 0.5, 1])]
)
def test_shares_of_size_by_hand(strokes, shares):
    np.testing.assert_allclose(shares_of_size(strokes), shares)


def test_strokes_of_files_count_from_the_size_they_are_restyled_at(models, tmp_path, capsys):
    source = write(tmp_path / "in.png", photo(300, 400))
    stylize([source], models["identity.tflite"], tmp_path / "broad", strokes=4)
    expected = loaded(models["identity.tflite"])(photo(300, 400), strokes=4)
    assert (read(tmp_path / "broad/in.png") == expected).all()
    half = for_half(models["identity.tflite"], 300 * 400)
    stylize([source], models["identity.tflite"], tmp_path / "small", strokes=2, memory=half)
    small = np.asarray(Image.fromarray(photo(300, 400)).resize((200, 150), Image.Resampling.LANCZOS))
    small = Image.fromarray(loaded(models["identity.tflite"])(small))  # half the size already: no broader than that
    assert (read(tmp_path / "small/in.png") == small.resize((400, 300), Image.Resampling.LANCZOS)).all()


def test_small_pictures_come_first_and_the_list_keeps_its_order(models, tmp_path):
    sizes = {"a.png": (90, 120), "b.png": (20, 30), "c.png": (40, 50)}
    for name, size in sizes.items():
        write(tmp_path / "in" / name, photo(*size))
    made = stylize([tmp_path / "in"], models["identity"], tmp_path / "out")
    assert [path.name for path in made] == ["a.png", "b.png", "c.png"]
    assert sorted(made, key=lambda path: path.stat().st_mtime_ns) == [made[1], made[2], made[0]]


def test_a_picture_that_cannot_be_opened_holds_nobody_up(models, tmp_path, capsys):
    write(tmp_path / "in" / "large.png", photo(300, 400))
    write(tmp_path / "in" / "small.png", photo())
    with pytest.raises(UserError, match="1 of 2 pictures"):
        stylize([tmp_path / "in"], models["identity"], tmp_path / "out", memory=300 * 400 * (OPENED - 1) / 1e9)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.png"]
    assert "large.png: 400x300 would take about" in capsys.readouterr().err


def test_long_work_is_announced(models, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(stylize_module, "LONG", 0.0)
    for name in ("a.png", "b.png"):
        write(tmp_path / "in" / name, photo(600, 700))
    stylize([tmp_path / "in"], models["identity"], tmp_path / "out")
    assert re.match(r"2 pictures, 0\.8 megapixels: about \d+ s\n", capsys.readouterr().err)
