"""`kgan compare`: the files of the page, the key to its sides, which photos it shows, and messages."""

import itertools
import os
import pathlib
import re
import shutil
import signal

import numpy as np
import pytest
from odd_names import odd_name
from PIL import Image
from voting import BLUE, RED, SIZE, make_folders, make_pictures, opened

import kgan
from kgan import cli
from kgan.comparison.page import TEMPLATES, Study
from kgan.images.decoding import decode_picture, size_by_header
from kgan.images.listing import find_pictures
from kgan.images.pictures import Writing
from kgan.runs.models import FOLDER


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with photos/, red/ and blue/."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    make_folders(pathlib.Path())
    return tmp_path / "here"


def colour(path):
    """The mean colour of a picture, which is in RGB."""
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image).mean((0, 1))


def firsts(page):
    """For each photo the side that is first, told by the colour of its picture."""
    found = sorted((page.parent / "pictures").glob("*-1.jpg"))
    return ["a" if colour(path)[0] > colour(path)[2] else "b" for path in found]


def sizes(page):
    """(width, height) of all pictures."""
    return {size_by_header(path)[::-1] for path in (page.parent / "pictures").iterdir()}


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_key_names_the_sides_of_the_pictures(here):
    page = kgan.compare("red", "blue", photos="photos", output="votes")
    key = opened(page)
    assert page == pathlib.Path("votes", "index.html")
    assert (key["a"], key["b"]) == ("red", "blue")
    assert [row["photo"] for row in key["photos"]] == ["1.png", "2.png", "3.png", "4.png"]
    assert [row["first"] for row in key["photos"]] == firsts(page)
    for k, first in enumerate(firsts(page), 1):
        one, other = (RED, BLUE) if first == "a" else (BLUE, RED)
        for part, wanted in (("1", one), ("2", other), ("photo", (90, 90, 90))):
            assert colour(f"votes/pictures/{k:04}-{part}.jpg") == pytest.approx(wanted, abs=2)


def test_a_page_among_the_photos_is_no_photo_later(here):
    before = find_pictures("photos")
    kgan.compare("red", "blue", photos="photos", output="photos/votes")
    assert find_pictures("photos") == before
    assert len(find_pictures("photos/votes")) == 3 * len(before)  # a folder that is named is always read


def test_nothing_else_tells_the_sides(here):
    page = kgan.compare("red", "blue", photos="photos")
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"\b(red|blue)\b|[.]png", text)
    assert not any(address in text for address in ("http:", "https:", "src=", "@import", "url("))
    files = sorted(path for path in page.parent.rglob("*") if path.is_file())
    assert len(files) == 1 + 3 * 4
    assert len({path.stat().st_mtime_ns for path in files if path.suffix == ".jpg"}) == 1
    for path in files:
        if path.suffix == ".jpg":
            with Image.open(path) as image:
                assert image.format == "JPEG"
                assert image.size == SIZE
                assert not set(image.info) & {"exif", "comment", "icc_profile", "xmp", "photoshop"}


def test_sides_are_shuffled_evenly_by_seed_and_by_names():
    def drawn(seed=0, a="x", photos=20):
        return Study(a, "y", tuple(map(str, range(photos))), "?", seed).firsts()

    assert drawn() == drawn()
    assert all(drawn(seed).count("a") == 10 for seed in range(20))
    assert len({tuple(drawn(seed)) for seed in range(20)}) == 20
    assert drawn(a="z") != drawn()
    assert {drawn(seed, photos=3).count("a") for seed in range(20)} == {1, 2}
    assert {drawn(seed, photos=1)[0] for seed in range(20)} == {"a", "b"}


def test_the_same_page_twice_and_another_seed(here):
    def identity(output, **options):
        page = kgan.compare("red", "blue", "photos", output, **options)
        return page.read_text(encoding="utf-8").partition('data-identity="')[2][:16], firsts(page)

    assert identity("one") == identity("two")
    pages = [identity(f"seed{seed}", seed=seed) for seed in range(8)]
    orders = dict(pages)
    assert all(orders[name] == order for name, order in pages)  # equal identities are of equal pages
    assert len(orders) == len({tuple(order) for _, order in pages}) > 1


def test_a_question_is_text_and_no_markup(here):
    page = kgan.compare("red", "blue", photos="photos", question="Is $a < 'b' & <b>bold</b>?")
    assert "<title>Is $a &lt; &#x27;b&#x27; &amp; &lt;b&gt;bold&lt;/b&gt;?</title>" in page.read_text(encoding="utf-8")


def test_names_that_are_no_utf8_are_escaped(here):
    for folder in ("photos", "red", "blue"):
        odd_name(here / folder)
    page = kgan.compare("red", "blue", photos="photos", question=os.fsdecode(b"caf\xe9?"))
    assert opened(page)["photos"][-1]["photo"] == r"caf\xe9.png"
    assert r"<title>caf\xe9?</title>" in page.read_text(encoding="utf-8")


def test_equal_names_of_folders_are_told_apart(here):
    make_pictures(pathlib.Path("other/red"))
    key = opened(kgan.compare("red", "other/red", photos="photos"))
    assert (key["a"], key["b"]) == ("red", "other/red")


def test_a_model_paints_what_stylize_paints(here):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), np.uint8)
    for k, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(f"photos/{k + 1}.png")
    shutil.copy(FOLDER / "vangogh-mobile" / "model_float16.tflite", "mobile.tflite")
    page = kgan.compare("mobile.tflite", "red", photos="photos")
    kgan.stylize("photos", model="mobile.tflite", output="painted")
    for k, row in enumerate(opened(page)["photos"], 1):
        with Image.open(f"painted/{row['photo']}") as painted:
            painted.convert("RGB").save("wanted.jpg", quality=95, subsampling=0)
        shown = f"votes/pictures/{k:04}-{'1' if row['first'] == 'a' else '2'}.jpg"
        assert np.array_equal(decode_picture(shown), decode_picture("wanted.jpg"))
    assert sorted(os.listdir()) == ["blue", "mobile.tflite", "painted", "photos", "red", "votes", "wanted.jpg"]


# --- which photos -----------------------------------------------------------------------------------------------------


def test_photos_without_a_result_are_left_out(here, capsys):
    pathlib.Path("red/1.png").unlink()
    pathlib.Path("photos/2.png").write_text("words", encoding="utf-8")
    Image.new("RGB", (40, 60)).save("blue/3.png")
    page = kgan.compare("red", "blue", photos="photos")
    assert [row["photo"] for row in opened(page)["photos"]] == ["4.png"]
    said = capsys.readouterr().err
    assert "red: 1 of 4 photos has no result and is left out" in said
    assert "photos/2.png: not a JPEG, PNG, WebP or GIF picture" in said
    assert "blue/3.png: is 40x60, another shape than its photo (60x40)" in said


@pytest.fixture
def at_save(here, monkeypatch):
    """A function that calls another one before a model's result is written, with the number of those before it."""
    shutil.copy(FOLDER / "vangogh-mobile" / "model_float16.tflite", "mobile.tflite")
    save, numbers = Writing.save, itertools.count()

    def patch(act):
        def called(*args, **options):
            act(next(numbers))
            save(*args, **options)

        monkeypatch.setattr(Writing, "save", called)

    return patch


def test_photos_that_a_model_cannot_restyle_are_left_out(at_save, capsys):
    def exhausted(done):
        if done == 1:
            raise MemoryError

    at_save(exhausted)
    page = kgan.compare("mobile.tflite", "red", photos="photos")
    assert [row["photo"] for row in opened(page)["photos"]] == ["1.png", "3.png", "4.png"]
    assert "left out, since a model could not restyle them: 2.png" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("hangup")
def test_an_interruption_leaves_nothing(here, at_save, capsys, number):
    """A signal after the model has restyled two of four photos."""
    before = sorted(os.listdir())
    at_save(lambda done: signal.raise_signal(number) if done == 2 else None)
    assert cli.main(["compare", "red", "mobile.tflite", "--photos", "photos", "--output", "new/votes"]) == 130
    assert "kgan: error: interrupted: no page is written" in capsys.readouterr().err
    assert sorted(os.listdir()) == before


def test_an_interruption_of_folders_leaves_nothing_either(here, monkeypatch, capsys):
    before = sorted(os.listdir())
    monkeypatch.setattr("kgan.comparison.compare.write_page", lambda *_: signal.raise_signal(signal.SIGTERM))
    assert cli.main(["compare", "red", "blue", "--photos", "photos"]) == 130
    assert "kgan: error: interrupted: no page is written" in capsys.readouterr().err
    assert sorted(os.listdir()) == before


def test_results_of_another_size_and_suffix_and_in_subfolders(here):
    make_pictures(pathlib.Path("photos"), ["deep/5.png"])
    make_pictures(pathlib.Path("small"), ["deep/5.jpg", "1.webp"], RED, (30, 20))
    make_pictures(pathlib.Path("blue"), ["deep/5.png"], BLUE)
    page = kgan.compare("small", "blue", photos="photos")
    assert [row["photo"] for row in opened(page)["photos"]] == ["1.png", "deep/5.png"]
    assert sizes(page) == {SIZE}


def test_large_photos_are_reduced(here):
    page = kgan.compare("red", "blue", photos="photos", size=33)
    assert sizes(page) == {(33, 22)}


def test_equal_results_are_reported(here, capsys):
    kgan.compare("red", "red", photos="photos")
    assert "4 of 4 photos: both results are equal" in capsys.readouterr().err


def test_a_folder_of_the_name_of_a_shipped_model(here, capsys):
    make_pictures(pathlib.Path("vangogh"))
    kgan.compare("./vangogh", "red", photos="photos")
    assert "A is the folder ./vangogh, B is the folder red" in capsys.readouterr().err


# --- colours ----------------------------------------------------------------------------------------------------------


def luminance(colour):
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(scheme):
    """The ratios of WCAG 2.2 AA: 4.5 for text, 3 for marks."""
    blocks = re.findall(r":root \{(.*?)\}", (TEMPLATES / "page.css").read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[scheme]))
    text = [(ink, ground) for ink in ("ink", "soft") for ground in ("ground", "card")]
    text += [("on-accent", "accent"), ("bad", "ground")]
    marks = [("accent", "ground"), ("other", "ground")]
    for one, other in text + marks:
        light, dark = sorted((luminance(colours[one]), luminance(colours[other])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= (4.5 if (one, other) in text else 3), (one, other)


# --- wrong input ------------------------------------------------------------------------------------------------------

WRONG = {
    "": "should be two models or folders of restyled pictures, A and B. Received: none",
    "red --photos photos": "Received: red",
    "red blue photos --photos photos": "Received: red, blue, photos",
    "red blue": "--photos is missing",
    "red blue --photos nowhere": "nowhere: no such folder",
    "red blue --photos empty": "empty: no pictures in this folder",
    "red blue --photos texts": "none of its photos can be compared: texts/1.png: not a JPEG",
    "red nowhere --photos photos": "nowhere: no model there; give a run folder",
    "red vangohg --photos photos": "did you mean vangogh?",
    "red texts/1.png --photos photos": "texts/1.png: is no model",
    "red empty --photos photos": "empty: no pictures",
    "red others --photos photos": "others: should have the file names of the photos, as in 1.png",
    "red broken --photos photos": "broken: cannot be read as a SavedModel",
    "red blue --photos photos --size 3": "--size should be at least 32 pixels. Received: 3",
    "red blue --photos photos --seed -1": "--seed should be at least 0",
    "red blue --photos photos --question=": "--question is empty",
    "red blue --photos photos --output photos": "--output photos: exists already; name a new folder",
    "red blue --photos photos --output .": "--output .: exists already",
    "red blue --photos photos --output photos/1.png": "--output photos/1.png: should be a new folder",
    "red blue --photos photos --output page.html": "--output page.html: should be a new folder",
    "red blue --photos photos --output -": "--output -: should be a new folder",
    "red blue --photos photos --output notes": "--output notes: is a file; name a new folder",
    "red blue --photos photos --output dangling": "--output dangling: is a link to nothing; name a new folder",
    "red blue --photos photos --output notes/votes": "--output notes: exists and is no folder",
    "--count": "files of votes are missing",
    "--count nowhere.json": "nowhere.json: no such file",
    "--count notes": "notes: should be a file of votes",
    "--count photos": "photos: is a folder, not a file",
    "--count notes --photos photos": "--photos photos: --count takes files of votes alone",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_input(here, capsys, words):
    pathlib.Path("empty").mkdir()
    make_pictures(pathlib.Path("texts"), ["1.png"])
    pathlib.Path("texts/1.png").write_text("words", encoding="utf-8")
    make_pictures(pathlib.Path("others"), ["5.png"])
    pathlib.Path("broken").mkdir()
    pathlib.Path("broken/saved_model.pb").write_text("words", encoding="utf-8")
    pathlib.Path("notes").write_text("words", encoding="utf-8")
    pathlib.Path("dangling").symlink_to("nothing")
    before = sorted(map(str, here.rglob("*")))
    assert cli.main(["compare", *words.split()]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert WRONG[words] in said.err
    assert sorted(map(str, here.rglob("*"))) == before


def test_an_empty_folder_is_filled(here):
    pathlib.Path("votes").mkdir()
    assert kgan.compare("red", "blue", photos="photos").is_file()
    assert sorted(os.listdir()) == ["blue", "photos", "red", "votes"]
