"""The client with models that kgan exports, over real sockets: the results are those of the local model."""

import pathlib
import re
import shlex

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from serving_server import Models, Server
from small_models import make_generator

import kgan
from kgan import cli
from kgan.export import export_saved_model, load
from kgan.serving import Client, errors
from kgan.serving.client import from_png, to_png

pytestmark = pytest.mark.long

KINDS = ("content", "content_noise", "noise")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("exported")
    tf.random.set_seed(1)
    for kind in KINDS:
        export_saved_model(make_generator(kind), root / kind / "1")
    return {kind: root / kind for kind in KINDS}


@pytest.fixture(scope="module")
def server(folders):
    with Server(Models(folders)) as running:
        yield running


@pytest.fixture(params=["rest", "grpc"])
def address(request, server):
    return getattr(server, request.param)


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("kind", ["content", "content_noise"])
def test_the_server_makes_what_the_model_makes(address, folders, kind):
    here, photo = load(folders[kind] / "1"), picture(21, 34)
    expected = here(photo, 5).astype(int)
    assert expected.std() > 5
    with Client(address, kind) as client:
        assert np.abs(client.stylize(photo, 5) - expected).max() <= 1
        assert np.abs(client.stylize(photo / 255, 5) * 255 - expected).max() <= 1.01
        made = client.stylize_bytes([to_png(photo), to_png(picture(16, 17))], 5)
    assert np.abs(from_png(made[0]) - expected).max() <= 1
    assert from_png(made[1]).shape == (16, 17, 3)
    assert kind == "content" or np.abs(here(photo, 6) - expected).max() > 1


def test_a_model_from_noise_alone_takes_no_pictures(address):
    with Client(address, "noise") as client, pytest.raises(errors.RequestRefused) as raised:
        client.stylize(picture(16, 16))
    assert str(raised.value) == f"{address}: model noise takes no pictures, but height, seed, width"


def test_its_refusals_are_told_row_by_row(address):
    png = to_png(picture(16, 16))
    with Client(address, "content") as client, pytest.raises(errors.PicturesRefused) as raised:
        client.stylize_bytes([b"GIF89a", png, png[:50], b""])
    assert set(raised.value.reasons) == {0, 2, 3}
    assert "GIF" in raised.value.reasons[0]
    assert from_png(raised.value.results[1]).shape == (16, 16, 3)


def test_photos_come_back_upright_in_their_size(address, folders, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(20, 32)).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    words = ["request", str(tmp_path / "photo.jpg"), "--server", address, "--name", "content"]
    assert cli.main([*words, "--output", str(tmp_path / "served")]) == 0
    model = ["--model", str(folders["content"] / "1"), "--output", str(tmp_path / "here")]
    assert cli.main(["stylize", str(tmp_path / "photo.jpg"), *model]) == 0
    with Image.open(tmp_path / "served" / "photo.png") as served, Image.open(tmp_path / "here" / "photo.jpg") as here:
        assert served.size == here.size == (20, 32)
        # JPEG on both ways, and two decoders: near, while a picture the wrong way up would be far off.
        assert np.abs(np.asarray(served, int) - np.asarray(here, int)).mean() < 6


def test_the_page_about_it_is_true(server, folders, tmp_path, monkeypatch, capsys):
    """Run the commands and Python code of the page with other addresses and another name of the model."""
    page = (pathlib.Path(kgan.__file__).parents[1] / "docs" / "client.md").read_text(encoding="utf-8")
    for theirs, ours in {
        "http://localhost:8501": server.rest,
        "grpc://localhost:8500": server.grpc,
        "vangogh": "content",
    }.items():
        page = page.replace(theirs, ours)
    blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    Image.fromarray(picture(20, 32)).save("photo.jpg", quality=95)
    Image.fromarray(picture(16, 20)).save("photos/one.png")
    for line in blocks["bash"].splitlines():
        assert cli.main(shlex.split(line)[1:]) == 0, line
    assert {str(path) for path in pathlib.Path().glob("served*/*")} == {
        "served/photo.png",
        "served-grpc/one.png",
        "served-old/photo.png",
    }
    capsys.readouterr()
    made = {}
    exec(compile(blocks["python"], "client.md", "exec"), made)
    assert np.abs(made["stylized"].astype(int) - load(folders["content"] / "1")(made["photo"])).max() <= 1
    assert from_png(made["pngs"][0]).shape == (20, 32, 3)
    assert made["pngs"][1] is None
    status, reasons = capsys.readouterr().out.splitlines()
    assert status == "{1: 'AVAILABLE'}"
    assert reasons.startswith("{1: 'not a JPEG, ")
