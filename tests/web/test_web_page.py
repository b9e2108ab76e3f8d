"""The page of `kgan web` in headless Chromium at a phone's size: results, downloads, messages and requests."""

import functools
import http.server
import json
import platform
import re
import subprocess
import sys
import threading
import time

import av
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from chromium import PHONE, PROGRAM, Browser
from PIL import Image
from small_models import make_generator

from kgan.assembly import build_generator
from kgan.export import export_fixed, export_saved_model
from kgan.inference.stylist import Stylist
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig
from kgan.web.models import read_models
from kgan.web.server import Server
from kgan.web.site import STATIC, build_site, write_site

SIDE = 96
READY = "document.documentElement.dataset.threads"
PAINTED = "!document.getElementById('compare').hidden && document.getElementById('busy').hidden"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: apt-get install chromium"),
    pytest.mark.skipif(not (STATIC / "vendor" / "NOTICE").is_file(), reason="LiteRT.js is not there: make web"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A .tflite file for squares of 64 and 96 pixels."""
    return export_fixed(make_generator("content"), tmp_path_factory.mktemp("model") / "van_gogh.tflite", (64, SIDE))


@pytest.fixture(scope="module")
def address(model):
    """The address of a page that has the model twice."""
    server, address = serve([model, model])
    yield address
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def new_browser(tmp_path):
    """A browser in which no other page was open, whose service worker could still be loading."""
    with Browser(tmp_path / "browser") as browser:
        yield browser


def serve(models, port=0):
    server = Server(build_site(read_models(models)), "127.0.0.1", port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, server.address


def picture(folder, height=61, width=SIDE, name="photo.png"):
    """A photo of noise and its pixels."""
    pixels = np.random.default_rng(4).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return folder / name, pixels


def python_paints(model, pixels):
    """Stylize uint8 [h, w, 3] with a longer side of SIDE to floats in [0, 255]: mirror to a square, run, crop."""
    height, width = pixels.shape[:2]
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    around = ((top, SIDE - height - top), (left, SIDE - width - left), (0, 0))
    image = np.pad(pixels, around, "reflect")[None].astype(np.float32) / 255
    made = Interpreter(str(model)).get_signature_runner(f"s{SIDE}")(image=image)["stylized"][0] * 255
    return made[top : top + height, left : left + width]


def opened(browser, address):
    browser.faults.clear()
    browser.page("Emulation.setDeviceMetricsOverride", **PHONE)
    browser.open(address)
    browser.wait(READY)
    return browser


def paint(browser, path):
    browser.run(f"document.querySelector('input[name=size][value=\"{SIDE}\"]').click()")
    browser.give("#file", path)
    browser.wait(PAINTED)


def open_camera(browser):
    browser.run("document.getElementById('open-camera').click()")
    browser.wait("document.querySelector('video').videoWidth > 0 && document.activeElement.id === 'shoot'")


def saved(browser, name="photo-van_gogh.png", press=True):
    """The picture that the save button downloads, or has downloaded if it is not pressed."""
    path = browser.downloads / name
    if press:
        path.unlink(missing_ok=True)
        browser.run("document.getElementById('save').click()")
    end = time.monotonic() + 20
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    with Image.open(path) as image:
        assert image.mode in ("RGB", "RGBA")
        return np.asarray(image.convert("RGB"))


def set_slider(browser, name, value):
    slider = f"document.getElementById('{name}')"
    browser.run(f"{slider}.value = {value}; {slider}.dispatchEvent(new Event('input'))")


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?threads=1"])
@pytest.mark.parametrize(("height", "width"), [(61, SIDE), (SIDE, 7)])
def test_the_page_paints_what_python_paints(browser, address, model, tmp_path, query, height, width):
    opened(browser, address + query)
    assert browser.run(READY) == ("1" if query else str(min(4, browser.run("navigator.hardwareConcurrency"))))
    path, pixels = picture(tmp_path, height, width)
    paint(browser, path)
    expected = python_paints(model, pixels)
    assert np.abs(expected - pixels).mean() > 10
    assert np.abs(saved(browser) - expected).max() <= 2
    for strength in (40, 0):
        set_slider(browser, "strength", strength)
        mixed = pixels + strength / 100 * (expected - pixels)
        assert np.abs(saved(browser) - mixed).max() <= (2 if strength else 0)
    assert browser.faults == []


@pytest.mark.long
def test_a_run_with_the_generator_for_phones(browser, tmp_path):
    """`kgan web RUN` exports the run. The time per picture on one thread is printed."""
    run = tmp_path / "monet"
    config = recipes.resolve(TrainConfig(recipe="cyclegan", generator="mobile", data="sample", run=str(run)))
    generator = build_generator(config)
    for variable in generator.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign_add(tf.random.normal(variable.shape, stddev=0.3 * np.prod(variable.shape[:-1]) ** -0.5))
    config.save(export_saved_model(generator, run / "saved_model").with_name("config.json"))
    (model,) = read_models([run])
    assert list(model.signatures) == [256, 384, 512]
    with Server(build_site([model]), "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened(browser, server.address + "?threads=1")
        path, pixels = picture(tmp_path, 256, 256)
        browser.run("document.querySelector('input[name=size]').click()")
        browser.give("#file", path)
        browser.wait(PAINTED)
        expected = Stylist(generator)(pixels[None].astype(np.float32) / 255).numpy()[0] * 255
        assert np.abs(saved(browser, "photo-monet.png") - expected).max() <= 2
        browser.run("document.getElementById('sizes').onchange()")
        browser.wait(PAINTED)
        print(f"{generator.count_params()} parameters:", browser.run("document.getElementById('status').textContent"))
        browser.open("about:blank")
        server.shutdown()


def test_mirroring_is_numpys(browser, address):
    opened(browser, address)
    for length, side in [(1, 4), (2, 7), (5, 5), (3, 16), (60, 96)]:
        made = browser.run(f"import('./picture.js').then((m) => Array.from(m.mirrored({length}, {side})))")
        before = (side - length) // 2
        assert made == np.pad(np.arange(length), (before, side - length - before), "reflect").tolist()


def test_a_large_photo_keeps_its_shape_and_stands_upright(browser, address, tmp_path):
    """A picture of 1800 x 2400 pixels with a quarter turn in EXIF. After the turn, the left is red."""
    pixels = np.zeros((1800, 2400, 3), np.uint8)
    pixels[900:, :, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "phone.jpg", exif=exif)
    opened(browser, address)
    browser.run("""{
        const make = createImageBitmap;
        window.bitmaps = [];
        window.createImageBitmap = async (...given) => bitmaps[bitmaps.push(await make(...given)) - 1];
    }""")
    paint(browser, tmp_path / "phone.jpg")
    kept = browser.run("bitmaps.map((bitmap) => [bitmap.width, bitmap.height])")  # a closed one has no size
    assert kept == [[0, 0], [1536, 2048]]  # a photo of 50 megapixels would fill a phone's memory
    set_slider(browser, "strength", 0)
    made = saved(browser, "phone-van_gogh.png")
    assert made.shape == (SIDE, 72, 3)
    assert made[:, :34, 0].min() > 240
    assert made[:, 38:, 0].max() < 15


def test_a_picture_is_saved_under_the_name_of_its_own_style(browser, address, model, tmp_path):
    """While the next style is painted, the page still shows the one before."""
    opened(browser, address)
    path, pixels = picture(tmp_path)
    paint(browser, path)
    (browser.downloads / "photo-van_gogh.png").unlink(missing_ok=True)
    browser.run("document.querySelectorAll('input[name=style]')[1].click(); document.getElementById('save').click()")
    assert np.abs(saved(browser, "photo-van_gogh.png", press=False) - python_paints(model, pixels)).max() <= 2
    browser.wait(PAINTED)
    saved(browser, "photo-van_gogh-2.png")


def test_a_picture_is_dropped_or_pasted(browser, address):
    """Without the page's own answer, browsers leave it to show a dropped file."""
    opened(browser, address)
    give = """(async () => {{
        const data = new DataTransfer();
        data.items.add(new File([await (await fetch("icon-192.png")).blob()], "{name}.png", {{ type: "image/png" }}));
        const given = {{ {key}: data, bubbles: true, cancelable: true }};
        return document.body.dispatchEvent(new {kind}("{event}", given));
    }})()"""
    assert not browser.run("document.body.dispatchEvent(new DragEvent('dragover', {bubbles: true, cancelable: true}))")
    for event, kind, key in (("drop", "DragEvent", "dataTransfer"), ("paste", "ClipboardEvent", "clipboardData")):
        browser.run("document.getElementById('status').textContent = ''")
        assert not browser.run(give.format(name=event, event=event, kind=kind, key=key))
        browser.wait("/pixels/.test(document.getElementById('status').innerText)")
        assert saved(browser, f"{event}-van_gogh.png").shape == (SIDE, SIDE, 3)


def test_the_photo_that_was_chosen_last_is_painted(browser, address, tmp_path):
    """The first photo takes longer to be decoded than the second, as a large one does."""
    opened(browser, address)
    browser.run("""{
        const make = createImageBitmap, later = new Promise((resolve) => { window.goOn = resolve; });
        window.waits = [later];
        window.createImageBitmap = async (...given) => {
            await waits.pop();
            return make(...given);
        };
    }""")
    browser.give("#file", picture(tmp_path, 30, SIDE, "first.png")[0])
    browser.wait("waits.length === 0")
    paint(browser, picture(tmp_path, 61, SIDE)[0])
    browser.run("goOn(), new Promise((resolve) => setTimeout(resolve, 100))")
    browser.wait(PAINTED)
    assert browser.run("document.getElementById('status').innerText").startswith(f"{SIDE} × 61 pixels")
    saved(browser)


def test_the_camera(browser, address):
    opened(browser, address)
    open_camera(browser)
    browser.run("document.getElementById('turn').click()")
    browser.wait("document.querySelector('video').classList.contains('mirrored')")
    browser.wait("document.querySelector('video').readyState >= 2")
    browser.run("document.getElementById('shoot').click()")
    browser.wait(PAINTED)
    set_slider(browser, "strength", 0)
    shot = saved(browser)
    assert max(shot.shape) == SIDE
    assert shot[..., 1].mean() > 2 * shot[..., 0].mean()  # Chromium's camera without a camera sees green
    assert browser.run("document.querySelector('video').srcObject") is None


def test_the_live_camera(browser, address):
    """Chromium's camera without a camera shows a moving picture, which is stylized frame by frame."""
    opened(browser, address)
    browser.run(f"document.querySelector('input[name=size][value=\"{SIDE}\"]').click()")
    browser.run("document.getElementById('open-camera').click()")
    browser.wait("document.querySelector('video').videoWidth > 0")
    browser.run("document.getElementById('go-live').click()")
    browser.wait(
        "!document.getElementById('live').hidden && /frames.s/.test(document.getElementById('status').innerText)"
    )
    size = browser.run("[document.getElementById('live').width, document.getElementById('live').height]")
    assert max(size) == SIDE
    first = browser.run("document.getElementById('live').toDataURL()")
    browser.wait(f"document.getElementById('live').toDataURL() !== {json.dumps(first)}")  # it goes on
    film = browser.downloads / "film-van_gogh.webm"
    ends = ["document.querySelector('input[name=size]')", "document.getElementById('close')"]  # another size, no camera
    for ending, side in zip(ends, (SIDE, 64), strict=True):
        film.unlink(missing_ok=True)
        browser.run("document.getElementById('record').click()")
        time.sleep(0.6)
        browser.run(f"{ending}.click()")
        end = time.monotonic() + 20
        while not film.exists() and time.monotonic() < end:
            time.sleep(0.05)
        with av.open(film) as opened_film:
            sizes = {max(frame.width, frame.height) for frame in opened_film.decode(video=0)}
        assert sizes == {side}
        assert browser.run("document.getElementById('record').ariaPressed") == "false"
    assert browser.run("document.getElementById('live').hidden && document.querySelector('video').srcObject === null")
    assert browser.faults == []


def test_the_camera_is_off_whenever_it_is_not_shown(browser, address, tmp_path):
    opened(browser, address)
    browser.run("""{
        const devices = navigator.mediaDevices, ask = devices.getUserMedia.bind(devices);
        window.tracks = [];
        devices.getUserMedia = async (wanted) => {
            const stream = await ask(wanted);
            tracks.push(...stream.getTracks());
            return stream;
        };
    }""")
    off = "tracks.length > 0 && tracks.every((track) => track.readyState === 'ended')"
    shown = "!document.getElementById('camera').hidden"
    browser.run("document.getElementById('open-camera').click()")  # twice, before it is there
    open_camera(browser)
    browser.wait("tracks.length === 2")
    browser.press("Escape", 27)
    assert browser.run(f"{off} && document.activeElement.id === 'open-camera'")
    open_camera(browser)
    assert browser.run("document.getElementById('save').disabled")  # the photo is not seen
    paint(browser, picture(tmp_path)[0])
    assert browser.run(f"{off} && !({shown})")
    told = browser.run("document.getElementById('status').innerText")
    open_camera(browser)
    browser.run("document.getElementById('go-live').click()")
    live = "/frames.s/.test(document.getElementById('status').innerText)"
    browser.wait(live)
    assert browser.run("document.getElementById('status').ariaLive") == "off"
    browser.run("document.querySelectorAll('input[name=style]')[1].click()")  # paints the photo too
    browser.wait("document.getElementById('busy').hidden")
    browser.wait(live)
    assert browser.run(shown)
    browser.run("document.getElementById('close').focus(); document.getElementById('close').click()")
    assert browser.run(f"{off} && document.activeElement.id === 'open-camera'")
    assert browser.run("document.getElementById('status').innerText").split(" in ")[0] == told.split(" in ")[0]
    assert browser.run("document.getElementById('status').ariaLive") == "polite"
    assert browser.faults == []


# --- brush ------------------------------------------------------------------------------------------------------------


def take(browser, mode):
    browser.run(f"document.querySelector('input[name=mode][value={mode}]').click()")


def stroke(browser, *places, kind="touch"):
    """Draw along places, which are parts of the picture, with a finger or a mouse."""
    box = browser.run("(({left, top, width, height}) => [left, top, width, height])"
                      "(document.getElementById('brush').getBoundingClientRect())")  # fmt: skip
    points = [{"x": box[0] + x * box[2], "y": box[1] + y * box[3]} for x, y in places]
    if kind == "touch":
        browser.page("Input.dispatchTouchEvent", type="touchStart", touchPoints=points[:1])
        for point in points[1:]:
            browser.page("Input.dispatchTouchEvent", type="touchMove", touchPoints=[point])
        browser.page("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        return
    button = {"button": "left", "buttons": 1, "clickCount": 1}
    browser.page("Input.dispatchMouseEvent", type="mousePressed", **points[0], **button)
    for point in points[1:]:
        browser.page("Input.dispatchMouseEvent", type="mouseMoved", **point, **button)
    browser.page("Input.dispatchMouseEvent", type="mouseReleased", **points[-1], **button)


@pytest.mark.parametrize("kind", ["touch", "mouse"])
def test_the_brush_paints_where_the_style_goes(browser, address, model, tmp_path, kind):
    opened(browser, address)
    path, pixels = picture(tmp_path, SIDE, SIDE)
    paint(browser, path)
    expected = python_paints(model, pixels)
    take(browser, "paint")
    stroke(browser, (0.1, 0.25), (0.9, 0.25), kind=kind)  # a line of 20% of the height
    made = saved(browser)
    assert np.abs(made[20:29, 12:84] - expected[20:29, 12:84]).max() <= 2  # the style, in the middle of the stroke
    assert np.abs(made[40:].astype(int) - pixels[40:]).max() == 0  # the photo elsewhere
    share = (made[15:17, 20:76] - pixels[15:17, 20:76].astype(float)).std() / (expected - pixels)[15:17, 20:76].std()
    assert 0.2 < share < 0.95  # a soft edge
    set_slider(browser, "strength", 40)
    mixed = pixels + 0.4 * (expected - pixels)
    assert np.abs(saved(browser)[20:29, 12:84] - mixed[20:29, 12:84]).max() <= 2
    set_slider(browser, "strength", 100)
    take(browser, "erase")
    set_slider(browser, "brush-size", 60)
    stroke(browser, (0.8, 0.25), kind=kind)
    made = saved(browser)
    assert np.abs(made[20:29, 70:84].astype(int) - pixels[20:29, 70:84]).max() == 0
    assert np.abs(made[20:29, 12:40] - expected[20:29, 12:40]).max() <= 2
    assert browser.faults == []


def test_the_eraser_begins_on_style_everywhere_and_all_of_it_comes_back(browser, address, model, tmp_path):
    opened(browser, address)
    path, pixels = picture(tmp_path)
    paint(browser, path)
    expected = python_paints(model, pixels)
    assert browser.run("document.getElementById('clear').hidden")
    take(browser, "erase")
    stroke(browser, (0.5, 0.5))
    made = saved(browser)
    assert np.abs(made[28:33, 45:51].astype(int) - pixels[28:33, 45:51]).max() == 0
    assert np.abs(made[:, :30] - expected[:, :30]).max() <= 2
    browser.run("document.querySelector('input[name=size]').click()")  # another size has the same mask
    browser.wait("document.getElementById('after').width === 64 && document.getElementById('busy').hidden")
    kept = "document.getElementById('after').getContext('2d').getImageData(32, 20, 1, 1).data.join()"
    assert browser.run(kept) == browser.run(kept.replace("'after'", "'before'"))
    browser.run("document.getElementById('clear').click()")
    assert browser.run("document.activeElement.name") == "mode"
    paint(browser, path)
    assert np.abs(saved(browser) - expected).max() <= 2


def test_the_brush_by_keyboard(browser, address, tmp_path):
    opened(browser, address)
    path, pixels = picture(tmp_path, SIDE, SIDE)
    paint(browser, path)
    set_slider(browser, "brush-size", 20)
    take(browser, "paint")
    browser.run("document.getElementById('brush').focus()")
    for _ in range(4):
        browser.press("ArrowLeft", 37)  # a quarter of the brush each: by 20% of the picture
    browser.press(" ", 32)
    place = browser.run("[document.getElementById('ring').style.left, document.getElementById('ring').style.width]")
    assert place == ["30%", "20%"]
    changed = np.abs(saved(browser).astype(int) - pixels).max(axis=-1) > 2
    rows, columns = np.nonzero(changed)
    assert abs(rows.mean() - 48) < 2
    assert abs(columns.mean() - 0.3 * SIDE) < 2
    assert 0.4 < changed.sum() / (np.pi * (0.1 * SIDE) ** 2) < 1.05


def test_before_and_after_know_the_mask(browser, address, tmp_path):
    opened(browser, address)
    path, _ = picture(tmp_path)
    paint(browser, path)
    clip = "getComputedStyle(document.getElementById('after')).clipPath"
    take(browser, "paint")
    stroke(browser, (0.5, 0.5))
    assert browser.run(clip) == "none"
    painted = saved(browser)
    take(browser, "off")
    assert browser.run(clip) == "inset(0px 0px 0px 50%)"
    assert browser.run("document.getElementById('brush').hidden")
    assert np.array_equal(saved(browser), painted)
    paint(browser, picture(tmp_path, name="photo.png")[0])  # a new photo has a new mask
    browser.wait("document.getElementById('clear').hidden")


# --- network ----------------------------------------------------------------------------------------------------------


def test_it_works_offline_after_the_first_visit(browser, model, tmp_path):
    code = "import sys; from kgan.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "web", str(model), str(model), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        address = re.search(r"http\S+", server.stdout.readline())[0]
        opened(browser, address)
        browser.wait("document.documentElement.dataset.kept")
        server.kill()
    path, pixels = picture(tmp_path)
    with pytest.raises(RuntimeError, match="Failed to fetch"):
        browser.run(f"fetch('{address}never-seen').then((r) => r.text())")
    opened(browser, address)
    browser.run("document.querySelectorAll('input[name=style]')[1].click()")
    paint(browser, path)
    assert np.abs(saved(browser, "photo-van_gogh-2.png") - python_paints(model, pixels)).max() <= 2
    browser.open("about:blank")


def test_a_host_without_our_headers_gives_threads_from_the_second_visit_on(browser, model, tmp_path):
    class Plain(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    write_site(build_site(read_models([model])), tmp_path / "site")
    handler = functools.partial(Plain, directory=tmp_path / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        opened(browser, address)
        assert (browser.run("crossOriginIsolated"), browser.run(READY)) == (False, "1")
        browser.wait("document.documentElement.dataset.kept")
        opened(browser, address)
        assert browser.run("crossOriginIsolated")
        browser.open("about:blank")
        server.shutdown()


def test_no_request_leaves_the_device(new_browser, address, tmp_path):
    """The page sends no requests to other hosts, and the browser would refuse them."""
    browser = new_browser
    asked = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)

    other = http.server.HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    opened(browser, address)
    path, _ = picture(tmp_path)
    paint(browser, path)
    saved(browser)
    browser.wait("document.documentElement.dataset.kept")
    assert len(browser.requests) > 20
    assert f"{address}vendor/litert.js" in browser.requests  # workers are seen too
    assert not [url for url in browser.requests if not url.startswith((address, f"blob:{address}", "data:"))]
    for plant in (
        "fetch('{0}')",
        "import('{0}')",
        "new Promise((a, b) => {{ const i = new Image(); i.onload = a; i.onerror = b; i.src = '{0}'; }})",
    ):
        url = f"http://127.0.0.1:{other.server_port}/"
        assert browser.run(f"{plant.format(url)}.then(() => 'got', () => 'refused')") == "refused"
    assert asked == []
    other.shutdown()
    other.server_close()


# --- what it says -----------------------------------------------------------------------------------------------------


def test_what_is_no_picture(browser, address, tmp_path):
    opened(browser, address)
    (tmp_path / "notes.png").write_text("no picture", encoding="utf-8")
    browser.give("#file", tmp_path / "notes.png")
    assert browser.wait("document.getElementById('error').innerText").startswith("notes.png cannot be read")
    path, _ = picture(tmp_path)
    paint(browser, path)
    assert browser.run("document.getElementById('error').hidden")


def test_no_camera(browser, address):
    opened(browser, address)
    browser.run("navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'))")
    browser.run("document.getElementById('open-camera').click()")
    assert "No camera was found" in browser.wait("document.getElementById('error').innerText")
    assert browser.run("document.getElementById('camera').hidden")


@pytest.mark.parametrize(
    "flags",
    [
        "--jitless",
        pytest.param(
            "--no-enable-sse3 --no-enable-ssse3 --no-enable-sse4-1",
            marks=pytest.mark.skipif(platform.machine() != "x86_64", reason="turns off SIMD of x86-64 alone"),
        ),
    ],
    ids=["no WebAssembly", "no SIMD"],
)
def test_a_browser_that_cannot_compute(address, tmp_path, flags):
    with Browser(tmp_path / "browser", (f"--js-flags={flags}",)) as browser:
        browser.open(address)
        said = browser.wait("document.getElementById('error')?.innerText")
        assert said.startswith("The page cannot work: it needs WebAssembly with SIMD; update this browser")
        assert browser.run("document.getElementById('choose').disabled")


@pytest.mark.parametrize("gone", ["models.json", "models/van_gogh.tflite", "vendor/litert.js"])
def test_a_file_that_is_missing(browser, model, gone):
    site = build_site(read_models([model]))
    del site[gone]
    with Server(site, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.open(server.address)
        assert "The page cannot work: " in browser.wait("document.getElementById('error').innerText", 30)
        assert browser.run("document.getElementById('busy').hidden")
        assert browser.run("document.getElementById('save').disabled")
        browser.open("about:blank")
        server.shutdown()


# --- how it looks and is used -----------------------------------------------------------------------------------------


def test_by_keyboard_alone(browser, address, tmp_path):
    opened(browser, address)
    path, _ = picture(tmp_path)
    paint(browser, path)
    browser.run("document.activeElement.blur()")
    reached = {}
    for _ in range(10):
        browser.press("Tab", 9)
        element = "document.activeElement"
        name = browser.run(f"{element}.id || {element}.name")
        reached[name] = browser.run(f"{element}.matches(':focus-visible')")
        if name in ("style", "strength", "mode", "size"):
            assert not browser.run(COVERED.format(element)), name
    assert reached.keys() >= {"split", "style", "strength", "mode", "size", "open-camera", "choose", "save"}
    browser.run("document.getElementById('split').focus()")
    for _ in range(3):
        browser.press("ArrowRight", 39)
    assert browser.run("document.getElementById('split').value") == "53"
    clip = browser.run("getComputedStyle(document.getElementById('after')).clipPath")
    assert clip == "inset(0px 0px 0px 53%)"


COVERED = """
(() => {{
  const [box, bar] = [{}, document.getElementById("actions")].map((part) => part.getBoundingClientRect());
  return box.top < 0 || box.bottom > bar.top;
}})()
"""
"""Whether an element is above the screen or under the bar of buttons."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(browser, address, tmp_path, scheme):
    browser.page("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    opened(browser, address)
    path, _ = picture(tmp_path)
    paint(browser, path)
    assert browser.run("document.documentElement.scrollWidth") == PHONE["width"]
    boxes = browser.run(
        "[...document.querySelectorAll('button, .choices label, canvas')].filter((e) => e.offsetParent)"
        ".map((e) => e.getBoundingClientRect()).map((r) => [r.left, r.right, r.width, r.height])"
    )
    assert len(boxes) == 12
    for left, right, width, height in boxes:
        assert left >= 0
        assert right <= PHONE["width"]
        assert min(width, height) >= 44
    ground = {"light": lambda level: level > 0.8, "dark": lambda level: level < 0.05}[scheme]
    contrasts = browser.run(CONTRASTS)
    assert len(contrasts) > 8
    for name, text, behind in contrasts:
        lighter, darker = max(text, behind), min(text, behind)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name
    assert ground({name: behind for name, _, behind in contrasts}["H1"])
    browser.page("Emulation.setEmulatedMedia", features=[{"name": "forced-colors", "value": "active"}])
    colour = "getComputedStyle(document.querySelectorAll('#sizes span')[{}]).backgroundColor"
    assert browser.run(colour.format(0)) != browser.run(colour.format(1))  # what is chosen
    browser.page("Emulation.setEmulatedMedia", features=[])
    take(browser, "paint")
    stroke(browser, (0.5, 0.5))
    for name in ("brush-size", "clear"):
        assert not browser.run(COVERED.format(f"document.getElementById('{name}')")), name
    browser.run("document.documentElement.style.fontSize = '200%'")
    browser.run("document.querySelector('#styles span').textContent = 'a_name_without_spaces_that_is_rather_long'")
    boxes = browser.run(
        "[...document.querySelectorAll('button, .choices label, .choices span, #status')].filter((e) => e.offsetParent)"
        ".map((e) => [e.innerText, e.getBoundingClientRect().right, e.scrollWidth - e.clientWidth])"
    )
    assert [box for box in boxes if box[1] > PHONE["width"] or box[2] > 0] == []
    assert browser.run("getComputedStyle(document.getElementById('save')).fontSize") == "32px"


CONTRASTS = """
(() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((v) => v / 255).map((v) =>
      v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (!color.startsWith("rgba")) return color;
    }
  };
  return [...document.querySelectorAll("h1, p, legend, button, .choices span, label[for], output")]
    .filter((e) => e.offsetParent && !e.disabled)
    .map((e) => [e.tagName, light(getComputedStyle(e).color), light(behind(e))]);
})()
"""
"""Name, and relative luminances of text and background according to WCAG 2, of all visible text."""


def test_the_picture_fills_the_stage(browser, address, tmp_path):
    opened(browser, address)
    Image.new("RGB", (SIDE, SIDE), (250, 20, 200)).save(tmp_path / "flat.png")
    paint(browser, tmp_path / "flat.png")
    set_slider(browser, "strength", 0)
    browser.screenshot(tmp_path / "screen.png")
    with Image.open(tmp_path / "screen.png") as screen:
        assert screen.size == (2 * PHONE["width"], 2 * PHONE["height"])
        share = (np.abs(np.asarray(screen.convert("RGB"), int) - (250, 20, 200)).max(axis=-1) < 12).mean()
    assert 0.25 < share < 0.6
    browser.page("Emulation.setDeviceMetricsOverride", **PHONE | {"width": 844, "height": 390})
    take(browser, "paint")
    for place in (0, 1000):
        browser.run(f"scrollTo(0, {place})")
        assert in_sight(browser, "compare")
    open_camera(browser)
    assert in_sight(browser, "go-live")
    assert in_sight(browser, "shoot")
    browser.run("document.getElementById('close').click()")


def in_sight(browser, name):
    """Whether all of an element is on the screen."""
    left, top, right, bottom = browser.run(
        f"(({{left, top, right, bottom}}) => [left, top, right, bottom])"
        f"(document.getElementById('{name}').getBoundingClientRect())"
    )
    width, height = browser.run("[innerWidth, innerHeight]")
    return 0 <= left < right <= width and 0 <= top < bottom <= height
