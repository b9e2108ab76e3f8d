"""The page of `kgan compare` in headless Chromium: votes by keys, touch and mouse, kept votes, zoom, the result."""

import contextlib
import json
import re
import shutil
import time

import pytest
from chromium import PHONE, PROGRAM, Browser
from voting import make_folders, opened

import kgan
from kgan.comparison.preference import tally
from kgan.comparison.votes import percent, probability, read_ballots, report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: apt-get install chromium"),
]

DESKTOP = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
READY = "document.querySelector('#choices button').getAttribute('aria-disabled') === 'false'"
KEYS = {"1": ("ArrowLeft", 37), "2": ("ArrowRight", 39), "0": ("ArrowDown", 40), "<": ("Backspace", 8), "z": ("z", 90)}
COUNT = 12


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A function that makes a page of some photos of a size."""

    def made(count=COUNT, size=(60, 40)):
        here = tmp_path_factory.mktemp("page")
        a, b = make_folders(here, names=[f"{k}.png" for k in range(1, count + 1)], size=size)
        return kgan.compare(a, b, here / "photos", here / "votes")

    return made


@pytest.fixture(scope="module")
def twelve(pages):
    return pages()


def show(browser, page, screen=PHONE):
    """Open a page as a new voter."""
    browser.renew()
    browser.faults.clear()
    browser.requests.clear()
    browser.page("Emulation.setDeviceMetricsOverride", **screen)
    browser.open(page.as_uri())
    browser.wait(f"location.href === {page.as_uri()!r} && document.readyState === 'complete'")


def reload(browser):
    browser.run("window.old = true")
    browser.page("Page.reload")
    browser.wait("!window.old && document.readyState === 'complete'")


@contextlib.contextmanager
def storage(browser, script):
    """Run a script in the next document, before its own scripts. What the document before wrote may come too late."""
    added = browser.page("Page.addScriptToEvaluateOnNewDocument", source=script)
    yield
    browser.page("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])


def begin(browser):
    browser.run("document.querySelector('#begin button').click()")
    browser.wait(READY)


def vote(browser, keys):
    """Press keys, each when the pictures are there. "1", "2" and "0" are votes, "<" is undo."""
    for key in keys:
        browser.wait(f"{READY} || document.getElementById('vote').hidden")
        browser.press(*KEYS[key])


def now(browser):
    """The part of the page that is visible, such as "vote"."""
    return browser.run("[...document.querySelectorAll('main')].filter((part) => !part.hidden).map((p) => p.id).join()")


def text(browser, name):
    return browser.run(f"document.getElementById({name!r}).innerText")


def saved(browser):
    """The file of votes that the page saves."""
    shutil.rmtree(browser.downloads, ignore_errors=True)
    browser.run("document.getElementById('save').click()")
    end = time.monotonic() + 60
    while not (found := list(browser.downloads.glob("*.json"))) and time.monotonic() < end:
        time.sleep(0.05)
    assert found, f"nothing was saved in a minute; {browser.faults}"
    return found[0]


def result(browser, page, places):
    """Open the result of kept votes, "1", "2" or "0" for each photo."""
    words = {"1": "first", "2": "second", "0": "none"}
    kept = {"ballot": "b", "voter": "", "votes": [words[place] for place in places], "shown": True}
    identity = browser.run("document.getElementById('sealed').dataset.identity")
    with storage(browser, f"localStorage.setItem('kgan compare {identity}', {json.dumps(json.dumps(kept))})"):
        reload(browser)
    firsts = [row["first"] for row in opened(page)["photos"]]
    return ["none" if place == "0" else first if place == "1" else {"a": "b", "b": "a"}[first]
            for place, first in zip(places, firsts, strict=True)]  # fmt: skip


# --- votes ------------------------------------------------------------------------------------------------------------


def test_votes_by_keys_become_a_result_and_a_file(browser, twelve):
    show(browser, twelve, DESKTOP)
    browser.run("document.getElementById('voter').value = ' Zoë '")
    begin(browser)
    vote(browser, "12<1012")  # the second is taken back, and is 1
    assert text(browser, "place") == f"Photo 6 of {COUNT}"
    vote(browser, "1121100")
    assert now(browser) == "end"
    vote(browser, "<2")  # the last one is 2, not 0
    assert now(browser) == "end"
    browser.run("document.getElementById('reveal').click()")
    key, places = opened(twelve), "110121121102"
    wanted = []
    for place, row in zip(places, key["photos"], strict=True):
        other = "b" if row["first"] == "a" else "a"
        wanted.append({"1": row["first"], "2": other, "0": "none"}[place])
    browser.page("Emulation.setEmulatedMedia", features=[{"name": "forced-colors", "value": "active"}])
    shades = browser.run("[...document.querySelectorAll('#bar span')].map((s) => getComputedStyle(s).backgroundColor)")
    assert len(set(shades)) == 3
    browser.page("Emulation.setEmulatedMedia", features=[])
    held = json.loads(saved(browser).read_text(encoding="utf-8"))
    assert [vote["choice"] for vote in held["votes"]] == wanted
    assert [vote["photo"] for vote in held["votes"]] == [row["photo"] for row in key["photos"]]
    assert (held["voter"], held["a"], held["b"]) == ("Zoë", "red", "blue")
    votes = tally(wanted)
    assert text(browser, "counts").split("\n") == [
        "red", str(votes.a), "no preference", str(votes.none), "blue", str(votes.b)
    ]  # fmt: skip
    assert browser.faults == []
    assert all(url.startswith((twelve.parent.as_uri(), "data:", "blob:")) for url in browser.requests)
    (ballot,) = read_ballots([next(browser.downloads.glob("votes-Zoë.json"))])
    assert ballot.choices == tuple(wanted)
    assert ballot.chose_first == places.count("1")
    assert f"Zoë  {votes.a:5}{votes.b:5}{votes.none:6}" in report([ballot])


def test_votes_by_touch(browser, pages):
    show(browser, pages(count=3))
    begin(browser)
    for choice in ("first", "none", "second"):
        browser.wait(READY)
        browser.run(f"document.querySelector('[data-choice={choice}]').click()")
    assert now(browser) == "end"
    browser.run("document.getElementById('back').click()")
    browser.wait(READY)
    assert text(browser, "place") == "Photo 3 of 3"


def test_a_held_key_and_shortcuts_of_the_browser_are_no_votes(browser, twelve):
    show(browser, twelve)
    begin(browser)
    for extra in ({"autoRepeat": True}, {"modifiers": 1}, {"modifiers": 2}, {"modifiers": 4}):
        browser.page("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", code="ArrowLeft", **extra)
    time.sleep(0.2)
    assert text(browser, "place") == f"Photo 1 of {COUNT}"


def test_a_name_is_typed_without_votes(browser, twelve):
    show(browser, twelve)
    before = browser.run("JSON.stringify(localStorage)")
    browser.run("document.getElementById('voter').focus()")
    for key in ("z", "1", "2", "<"):
        browser.press(*(KEYS[key]))
    assert now(browser) == "start"
    assert browser.run("JSON.stringify(localStorage)") == before


def open_again(browser, page, until):
    """Close the page and open it again until an expression is true. Chromium may show late what was stored before.

    The page is opened in a new tab each time, because a process of Chromium can remember that nothing was stored.
    """
    end = time.monotonic() + 60
    while True:
        browser.close_page()
        browser.open(page.as_uri())
        browser.wait(f"location.href === {page.as_uri()!r} && document.readyState === 'complete'")
        if browser.run(until):
            return
        assert time.monotonic() < end, browser.run("document.body.innerText")


def test_kept_votes_go_on_after_the_page_is_closed(browser, twelve):
    show(browser, twelve)
    begin(browser)
    vote(browser, "121")
    browser.wait(READY)
    open_again(
        browser, twelve, f"document.querySelector('#begin button').textContent === 'Go on with photo 4 of {COUNT}'"
    )
    assert now(browser) == "start"
    begin(browser)
    vote(browser, "121212121")
    assert now(browser) == "end"
    open_again(browser, twelve, "!document.getElementById('end').hidden")
    browser.run("document.getElementById('reveal').click()")
    open_again(browser, twelve, "!document.getElementById('result').hidden")
    browser.press(*KEYS["<"])  # what was shown cannot be changed
    assert now(browser) == "result"


def test_what_other_pages_keep_changes_nothing(browser, twelve):
    show(browser, twelve)
    browser.run("""
        document.getElementById("voter").value = "Zoë";
        addEventListener("storage", (event) => { seen = event.key; });
        seen = null;
        document.body.appendChild(document.createElement("iframe")).contentWindow.localStorage.setItem("another", "1");
    """)
    browser.wait("seen === 'another'")
    assert browser.run("document.getElementById('voter').value") == "Zoë"


def test_a_page_that_is_open_twice_goes_on_with_the_votes_of_both(browser, twelve):
    show(browser, twelve)
    begin(browser)
    vote(browser, "12")
    browser.wait(READY)
    browser.run("""
        frame = document.body.appendChild(document.createElement("iframe"));
        key = Object.keys(localStorage).find((key) => key.startsWith("kgan compare"));
        kept = JSON.parse(localStorage.getItem(key));
        kept.votes.push("none", "first");
        frame.contentWindow.localStorage.setItem(key, JSON.stringify(kept));
    """)
    browser.wait(f"document.getElementById('place').innerText === 'Photo 5 of {COUNT}'")
    vote(browser, "1")
    browser.wait(READY)
    assert browser.run("JSON.parse(localStorage.getItem(key)).votes.join()") == "first,second,none,first,first"


@pytest.mark.parametrize("kept", ["{", "[]", '{"votes": ["best"]}', '{"votes": 3}', "null"])
def test_damaged_votes_are_forgotten(browser, twelve, kept):
    show(browser, twelve)
    identity = browser.run("document.getElementById('sealed').dataset.identity")
    with storage(browser, f"localStorage.setItem('kgan compare {identity}', {json.dumps(kept)})"):
        reload(browser)
    assert now(browser) == "start"
    assert browser.run("document.querySelector('#begin button').textContent") == "Begin"
    assert browser.faults == []


def test_another_voter_starts_again(browser, pages):
    show(browser, pages(count=1))
    assert "You will see 1 photo with" in text(browser, "start")
    begin(browser)
    vote(browser, "1")
    assert "You have voted on 1 photo\n" in text(browser, "end")
    browser.run("document.getElementById('reveal').click()")
    one = json.loads(saved(browser).read_text(encoding="utf-8"))
    browser.run("window.confirm = () => true; document.getElementById('again').click()")
    assert now(browser) == "start"
    begin(browser)
    vote(browser, "1")
    browser.run("document.getElementById('reveal').click()")
    other = json.loads(saved(browser).read_text(encoding="utf-8"))
    assert one["ballot"] != other["ballot"]
    assert one["comparison"] == other["comparison"]


def test_a_browser_that_keeps_nothing(browser, pages):
    show(browser, pages(count=2))
    with storage(browser, "Storage.prototype.setItem = () => { throw new DOMException('full'); };"):
        reload(browser)
    begin(browser)
    vote(browser, "12")
    assert now(browser) == "end"
    assert "does not keep your votes" in text(browser, "unkept")


# --- what a voter sees ------------------------------------------------------------------------------------------------


def test_the_document_does_not_name_the_sides_before_the_result(browser, twelve):
    show(browser, twelve)
    begin(browser)
    vote(browser, "1" * COUNT)
    html = "document.documentElement.outerHTML"
    assert not re.search(r"\b(red|blue)\b", browser.run(html))
    assert not re.search(r"\b(red|blue)\b|[.]png", browser.run("JSON.stringify({ ...localStorage })"))
    browser.run("document.getElementById('reveal').click()")
    assert re.search(r"\bred\b", browser.run(html))


@pytest.mark.parametrize("places", ["1" * COUNT, "0" * COUNT, "111111111112", "120121211111", "222210001222"])
def test_the_numbers_are_those_of_python(browser, twelve, places):
    show(browser, twelve)
    choices = result(browser, twelve, places)
    votes = tally(choices)
    low, high = votes.interval
    if votes.decided:
        assert text(browser, "share") == (
            f"red won {percent(votes.a / votes.decided)} of the {votes.decided} photos with a preference; "
            f"95% interval {percent(low)} to {percent(high)}."
        )
    else:
        assert text(browser, "share") == "You preferred neither in any photo."
    p = probability(votes.p)
    assert text(browser, "test").startswith(f"Sign test: p {p.replace('<', '< ') if '<' in p else f'= {p}'}. ")
    words = {"a": "red", "b": "blue", "none": "no preference"}
    rows = browser.run("[...document.querySelectorAll('#votes tr')].map((row) => row.cells[1].textContent)")
    assert rows == [words[choice] for choice in choices]
    browser.run("document.querySelector('#votes td').textContent = 'a long name '.repeat(20)")
    widths = browser.run("[...document.querySelector('#votes tr').cells].map((cell) => cell.clientWidth)")
    assert widths[1] > 0.35 * sum(widths)  # "no preference" needs no line for each syllable


@pytest.mark.parametrize(
    "screen", [PHONE, DESKTOP, PHONE | {"width": 844, "height": 390}], ids=["phone", "desk", "wide"]
)
@pytest.mark.parametrize("size", [(1600, 1000), (1000, 1600)], ids=["landscape", "portrait"])
def test_all_fits_on_the_screen(browser, pages, screen, size):
    show(browser, pages(count=1, size=size), screen)
    begin(browser)
    assert browser.run("document.scrollingElement.scrollHeight <= innerHeight")
    assert browser.run("document.scrollingElement.scrollWidth <= innerWidth")
    smallest = browser.run(
        "Math.min(...[...document.querySelectorAll('.frame')].map((f) => Math.min(f.clientWidth, f.clientHeight)))"
    )
    assert smallest > 80
    finger = "#vote button" if screen["mobile"] else "#choices button"
    assert browser.run(f"Math.min(...[...document.querySelectorAll('{finger}')].map((b) => b.offsetHeight))") >= 44
    browser.run("document.documentElement.style.fontSize = '200%'")
    assert browser.run("getComputedStyle(document.getElementById('undo')).fontSize") == "32px"
    assert browser.run("document.scrollingElement.scrollWidth") <= screen["width"]
    assert browser.run("document.getElementById('place').clientHeight") <= 2 * 1.25 * 32  # no word is broken


def test_zoom_shows_all_pixels_of_the_same_place(browser, pages):
    show(browser, pages(count=2, size=(1600, 1000)), DESKTOP)
    begin(browser)
    widths = "[...document.querySelectorAll('.frame img')].map((image) => image.clientWidth)"
    centers = """[...document.querySelectorAll('.frame')].map((f) =>
        [(f.scrollLeft + f.clientWidth / 2) / f.scrollWidth, (f.scrollTop + f.clientHeight / 2) / f.scrollHeight])"""
    assert max(browser.run(widths)) < 1600
    browser.press(*KEYS["z"])
    assert browser.run(widths) == [1600] * 3
    assert text(browser, "zoom") == "100%"
    assert all(at == pytest.approx([0.5, 0.5], abs=0.01) for at in browser.run(centers))
    for key in ("ArrowRight", "ArrowDown"):
        browser.press(key, 39, shift=True)
    photo, one, other = browser.run(centers)
    assert one == pytest.approx([0.55, 0.58], abs=0.01)  # 80 pixels of 1600 and of 1000
    assert other == pytest.approx(one, abs=0.01)
    assert photo == pytest.approx(one, abs=0.01)
    browser.press("Escape", 27)
    assert max(browser.run(widths)) < 1600
    left, top = browser.run(
        "(({ left, top, width, height }) => [left + 0.6 * width, top + 0.5 * height])"
        "(document.querySelectorAll('.frame')[2].getBoundingClientRect())"
    )
    for kind in ("mousePressed", "mouseReleased"):
        browser.page("Input.dispatchMouseEvent", type=kind, x=left, y=top, button="left", clickCount=1)
    assert browser.run(centers)[1][0] == pytest.approx(0.6, abs=0.02)
    vote(browser, "1")
    browser.wait(READY)
    assert browser.run("document.getElementById('zoom').getAttribute('aria-pressed')") == "false"


def test_a_missing_picture_is_no_vote(browser, pages):
    page = pages(count=2)
    (page.parent / "pictures" / "0002-1.jpg").unlink()
    show(browser, page)
    begin(browser)
    vote(browser, "1")
    assert browser.wait("document.getElementById('fault').innerText").startswith("A picture cannot be loaded")
    browser.press(*KEYS["1"])
    assert text(browser, "place") == "Photo 2 of 2"
    browser.press(*KEYS["<"])
    browser.wait(READY)
    assert text(browser, "place") == "Photo 1 of 2"


def test_everything_has_a_name(browser, twelve):
    show(browser, twelve)
    begin(browser)
    tree = browser.page("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]}
    wanted = {"button", "image", "progressbar", "group"}
    assert wanted <= {role for role, _ in named}
    assert not [role for role, name in named if role in wanted and not name]
    assert ("image", "Result 1") in named
    assert ("button", "1 is better") in named
