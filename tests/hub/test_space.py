"""`kgan push --space`: the pushed files are a page that works in a browser, from a server of plain files."""

import functools
import http.server
import threading

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from chromium import PROGRAM, Browser
from huggingface_hub import RepoCard
from PIL import Image
from small_models import make_run

from kgan import cli
from kgan.assembly import build_generator
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig
from kgan.web.site import STATIC

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (STATIC / "vendor" / "NOTICE").is_file(), reason="LiteRT.js is not there: make web"),
]

SIDE = 256


class Plain(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.mark.long
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: apt-get install chromium")
def test_a_pushed_page_paints_in_the_browser(hub, tmp_path, capsys):
    small = {"size": 32, "filters": 4, "blocks": 1, "stride": 2, "steps": 3, "batch_size": 2}
    config = recipes.resolve(TrainConfig(recipe="fastcut", data="x", residual=False, **small))
    run = make_run(tmp_path / "monet", build_generator(config), config)
    hub.put("someone/page", {"models/older.tflite": b"old", "notes.txt": b"mine"}, kind="space")
    assert cli.main(["push", str(run), "hf://someone/page", "--space", "--licence", "mit"]) == 0
    assert f"pushed    {hub.address}/spaces/someone/page" in capsys.readouterr().out
    files = hub.files("someone/page", "space")
    assert {"index.html", "brush.js", "models/monet.tflite", "vendor/litert.js", "notes.txt"} <= set(files)
    assert "models/older.tflite" not in files
    data = RepoCard(files["README.md"].decode()).data.to_dict()
    assert (data["sdk"], data["license"]) == ("static", "mit")
    assert data["custom_headers"]["cross-origin-embedder-policy"] == "require-corp"

    for name, content in files.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_bytes(content)
    handler = functools.partial(Plain, directory=tmp_path / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, Browser(tmp_path / "browser") as browser:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        browser.wait("document.documentElement.dataset.threads")
        pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photo.png")
        browser.run("document.querySelector('input[name=size]').click()")
        browser.give("#file", tmp_path / "photo.png")
        browser.wait("!document.getElementById('compare').hidden && document.getElementById('busy').hidden")
        read = "document.getElementById('after').getContext('2d').getImageData(0, 0, 256, 256).data"
        made = np.array(browser.run(f"Array.from({read})"), float).reshape(SIDE, SIDE, 4)[..., :3]
        assert browser.faults == []
        server.shutdown()
    runner = Interpreter(model_content=files["models/monet.tflite"]).get_signature_runner("s256")
    expected = runner(image=pixels[None].astype(np.float32) / 255)["stylized"][0] * 255
    assert np.abs(expected - pixels).mean() > 10
    assert np.abs(made - expected).max() <= 2
