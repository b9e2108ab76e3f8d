"""The client against models as kgan exports them, over real sockets: what comes back is what the model makes here."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from serving_server import Models, Server
from test_export import make_generator

from kgan import cli
from kgan.export import export_saved_model, load
from kgan.serving import Client, errors
from kgan.serving.client import from_png, to_png

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
