"""`kgan web`: its models, the answers of its server, and its error messages."""

import contextlib
import http.client
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
from small_models import make_generator

from kgan import cli
from kgan.errors import UserError
from kgan.export import export_fixed, export_litert
from kgan.runs.shipped import FOLDER
from kgan.web import models as page_models
from kgan.web.command import usual_models
from kgan.web.models import read_models, titles
from kgan.web.server import HEADERS, Server
from kgan.web.site import STATIC, build_site

WEB = STATIC.parent

is_built = pytest.mark.skipif(not (STATIC / "vendor" / "NOTICE").is_file(), reason="LiteRT.js is not there: make web")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A .tflite file for squares of 32 and 48 pixels."""
    return export_fixed(make_generator("content"), tmp_path_factory.mktemp("model") / "van_gogh.tflite", (48, 32))


@pytest.fixture
def server():
    site = {"index.html": b"<p>page", "vendor/run.wasm": b"\0asm", "models/a.tflite": b"TFL3", "app.js": b"1"}
    with Server(site, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(server, path, method="GET", **headers):
    with contextlib.closing(http.client.HTTPConnection(*server.server_address, timeout=20)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def refusal(capsys, *args):
    """The error message of `kgan web`, which must be one line."""
    status = cli.main(["web", *map(str, args)])
    said = capsys.readouterr()
    assert status == 2
    assert said.err.startswith("kgan: error: ")
    assert said.err.count("\n") == 1
    return said.err


# --- the server -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "content"),
    [
        ("/", "text/html; charset=utf-8", b"<p>page"),
        ("/?threads=1", "text/html; charset=utf-8", b"<p>page"),
        ("/app.js", "text/javascript; charset=utf-8", b"1"),
        ("/vendor/run.wasm", "application/wasm", b"\0asm"),
        ("/models/a.tflite", "application/octet-stream", b"TFL3"),
    ],
)
def test_files_with_types_that_browsers_insist_on(server, path, kind, content):
    status, headers, body = ask(server, path)
    assert (status, headers["Content-Type"], body) == (200, kind, content)
    assert HEADERS.items() <= headers.items()
    again, _, nothing = ask(server, path, **{"If-None-Match": headers["ETag"]})
    assert (again, nothing) == (304, b"")
    status, headers, body = ask(server, path, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(content)), b"")


@pytest.mark.parametrize(
    "path", ["/vendor/", "/vendor", "/../setup.cfg", "/%2e%2e/setup.cfg", "//etc/passwd", "/x\\..", "*"]
)
def test_nothing_but_its_files(server, path):
    assert ask(server, path)[0] == 404


def test_it_only_reads(server):
    assert {ask(server, "/", method)[0] for method in ("POST", "PUT", "DELETE")} == {501}


def test_a_port_that_is_taken_or_none(server):
    host, port = server.server_address
    for taken in (port, 70000):
        with pytest.raises(UserError, match=f"{host}:{taken}: cannot be served .*port"):
            Server({}, host, taken)


@is_built
def test_the_command_serves_until_interrupted(model):
    # Where the tests run in the background, their children ignore Ctrl-C.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heard}; import sys; from kgan.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "web", str(model), "--port", "0"]
    with contextlib.ExitStack() as ending:
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        ending.enter_context(run)
        ending.callback(run.kill)
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", run.stdout.readline())[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        ending.callback(connection.close)
        connection.request("GET", "/models.json")
        (listed,) = json.loads(connection.getresponse().read())["models"]
        connection.request("GET", f"/{listed['file']}")
        assert connection.getresponse().read() == model.read_bytes()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as rude:  # hangs up in the middle of 9 MB
            rude.sendall(b"GET /vendor/litert_wasm_internal.wasm HTTP/1.1\r\nHost: x\r\n\r\n")
            assert rude.recv(12) == b"HTTP/1.1 200"
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.request("GET", "/models.json")
        assert connection.getresponse().read()
        run.send_signal(signal.SIGINT)  # while a connection is open
        assert run.wait(timeout=20) == 0
        assert run.stderr.read().strip() == ""
    assert listed["title"] == "Van gogh"
    assert listed["signatures"] == {"32": "s32", "48": "s48"}


# --- models -----------------------------------------------------------------------------------------------------------


def test_no_two_models_share_a_name(model, tmp_path):
    run = tmp_path / "monet"
    run.mkdir()
    shutil.copy(model, run / "model_float16.tflite")
    names = [one.name for one in read_models([model, model, run / "model_float16.tflite"])]
    assert names == ["van_gogh", "van_gogh-2", "monet"]


def test_the_page_begins_with_a_painter():
    """Painters were trained on photos, fluent3d-mobile on smaller pictures of emoji."""
    assert usual_models()[0] == "ukiyoe-mobile"
    assert usual_models()[-1] == "fluent3d-mobile"


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["van_gogh"], ["Van gogh"]),
        (["vangogh-mobile"], ["Vangogh mobile"]),
        (["vangogh-mobile", "ukiyoe_mobile"], ["Vangogh", "Ukiyoe"]),
        (["mobile", "vangogh-mobile"], ["Mobile", "Vangogh mobile"]),
        (["run", "run-2"], ["Run", "Run 2"]),
    ],
)
def test_the_shown_names_differ(names, shown):
    assert titles(names) == shown


def test_a_model_that_takes_noise(tmp_path, capsys):
    path = export_fixed(make_generator("content_noise"), tmp_path / "m.tflite", (32,))
    assert "m.tflite: the page runs models of content alone" in refusal(capsys, path)


def test_a_model_without_fixed_sizes(tmp_path, capsys):
    path = export_litert(make_generator("content"), tmp_path / "m.tflite")
    assert "S fixed; give its run folder, or the *_fixed.tflite" in refusal(capsys, path)


def test_what_is_no_model(tmp_path, capsys):
    (tmp_path / "broken.tflite").write_bytes(b"TFL3 nothing")
    assert "broken.tflite: cannot be read as a LiteRT model" in refusal(capsys, tmp_path / "broken.tflite")
    assert "none.tflite: no model there" in refusal(capsys, tmp_path / "none.tflite")
    assert "is no model" in refusal(capsys, tmp_path)


# --- the site ---------------------------------------------------------------------------------------------------------


def test_without_the_runtime_it_says_how_to_get_it(tmp_path):
    shutil.copytree(STATIC, tmp_path / "static", ignore=shutil.ignore_patterns("vendor*"))
    with pytest.raises(UserError, match=r"LiteRT.js is not there; run .make web"):
        build_site([], tmp_path / "static")


def test_the_command_says_so_before_it_exports_a_model(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("kgan.web.site.check_runtime.__defaults__", (tmp_path,))
    assert cli.main(["web", str(tmp_path / "no-model")]) == 2
    assert "LiteRT.js is not there" in capsys.readouterr().err


@is_built
def test_written_to_a_folder(model, tmp_path, capsys):
    assert cli.main(["web", str(model), "--output", str(tmp_path / "site")]) == 0
    written = {
        path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*") if path.is_file()
    }
    assert {
        "index.html",
        "sw.js",
        "models.json",
        "models/van_gogh.tflite",
        "vendor/LICENSE",
        "vendor/NOTICE",
    } <= written
    capsys.readouterr()
    assert "cannot be written (Directory not empty)" in refusal(capsys, model, "--output", tmp_path / "site")
    (tmp_path / "file").touch()
    assert "cannot be written" in refusal(capsys, model, "--output", tmp_path / "file")
    assert {path.name for path in tmp_path.iterdir()} == {"site", "file"}


@pytest.mark.long
@is_built
def test_without_models_it_has_those_made_for_phones(tmp_path):
    assert cli.main(["web", "--output", str(tmp_path / "site")]) == 0
    offered = json.loads((tmp_path / "site" / "models.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in offered["models"]] == ["ukiyoe-mobile", "vangogh-mobile", "fluent3d-mobile"]
    assert [model["title"] for model in offered["models"]] == ["Ukiyoe", "Vangogh", "Fluent3d"]
    assert all(path.stat().st_size < 2**20 for path in (tmp_path / "site" / "models").iterdir())


def test_the_service_worker_keeps_every_file_and_isolates_as_the_server_does():
    script = (STATIC / "sw.js").read_text(encoding="utf-8")
    listed = set(re.findall(r'^ {2}"(.+)",$', script.split("const SHELL")[1].split("];")[0], re.M))
    files = {path.name for path in STATIC.iterdir() if path.is_file()}
    assert listed - {"./", "models.json"} == files - {"index.html", "sw.js"}
    for name in ("Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy"):
        assert f'"{name}": "{HEADERS[name]}"' in script


def test_it_can_be_installed():
    manifest = json.loads((STATIC / "manifest.webmanifest").read_text(encoding="utf-8"))
    assert {"name", "start_url", "display"} <= manifest.keys()
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in manifest["icons"]}
    assert "maskable" in {icon.get("purpose") for icon in manifest["icons"]}
    for icon in manifest["icons"]:
        if icon["type"] == "image/png":
            width, height = np.frombuffer((STATIC / icon["src"]).read_bytes()[16:24], ">u4")
            assert f"{width}x{height}" == icon["sizes"]


def test_packages_are_pinned_and_name_no_host():
    locked = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert {"node_modules/@litertjs/core", "node_modules/@litertjs/wasm-utils"} == locked.keys() - {""}
    for name, package in locked.items():
        if name:
            assert package["integrity"].startswith("sha512-")
            assert package["license"] == "Apache-2.0"
            assert "resolved" not in package
    asked = json.loads((WEB / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert asked == {"@litertjs/core": locked["node_modules/@litertjs/core"]["version"]}


def test_a_free_port_is_given():
    with Server({}, "127.0.0.1", 0) as one, socket.create_connection(one.server_address, timeout=5):
        assert one.address == f"http://127.0.0.1:{one.server_address[1]}/"


def test_the_page_names_no_other_host():
    """URLs that a file fetches, links to or imports, without SVG namespaces, which are not addresses."""
    for path in (path for path in STATIC.iterdir() if path.suffix in (".html", ".js", ".css", ".webmanifest")):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text), path.name


# --- exported runs are kept -------------------------------------------------------------------------------------------


@pytest.fixture
def exports(model, monkeypatch):
    """The runs that are exported, in a moment: to the small model."""
    runs = []
    monkeypatch.setattr(page_models, "_exported", lambda run: runs.append(run) or model.read_bytes())
    return runs


def test_a_run_is_exported_once_until_it_changes(tmp_path, monkeypatch, exports):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = tmp_path / "run"
    shutil.copytree(FOLDER / "vangogh-mobile", run)
    assert read_models([run]) == read_models([run])
    assert exports == [run]
    shutil.copy(FOLDER / "ukiyoe-mobile" / "model.safetensors", run)
    read_models([run, run])
    assert exports == [run, run]
    assert len(list((tmp_path / "cache" / "kgan" / "web").iterdir())) == 1


@pytest.mark.parametrize("cache", ["a file", "nowhere"])
def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch, exports, cache):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file") if cache == "a file" else "")
    if cache == "nowhere":
        monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as for a user without a home folder
    for _ in range(2):
        read_models(["vangogh-mobile"])
    assert len(exports) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]
