"""The files of results: unique names, single files, standard input and output, and existing files."""

import contextlib
import io
import os
import types

import pytest
from odd_names import odd_name
from PIL import Image

from kgan.errors import RunError, UserError
from kgan.images import targets
from kgan.images.listing import find_pictures

STYLIZE = {".jpg": ".jpg", ".png": ".png", ".webp": ".webp"}


def like_stylize(suffix):
    return STYLIZE.get(suffix, ".png")


def like_request(suffix):
    return ".png"


def write(path, kind=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path, kind)
    return path


def names(paths, output, suffix, variants=1):
    """The results of each picture, as paths below the folder of the test."""
    places = targets.plan(paths, output, suffix, variants)
    made = [target for place in places for target in place.targets]
    assert len(set(made)) == len(made)
    return {
        place.source.name: " ".join(str(target.relative_to(output)) for target in place.targets) for place in places
    }


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_name_is_kept_to_the_letter_where_the_format_can_be_written(tmp_path):
    for name in ("HOLIDAY.JPG", "IMG_1.jpg", "IMG_1.JPG", "deep/b.Png", "c.jfif"):
        write(tmp_path / "in" / name, "PNG")
    assert names([tmp_path / "in"], tmp_path / "out", like_stylize) == {
        "HOLIDAY.JPG": "HOLIDAY.JPG",
        "IMG_1.jpg": "IMG_1.jpg",
        "IMG_1.JPG": "IMG_1.JPG",
        "b.Png": "deep/b.Png",
        "c.jfif": "c.png",
    }


def test_spaces_and_dots_at_the_end_are_left_out(tmp_path):
    for name in ("a.png ", "b.JPG.", "c.gif. ", "c.png "):
        write(tmp_path / "in" / name, "PNG")
    whole = names([tmp_path / "in"], tmp_path / "out", like_stylize)
    assert whole == {"a.png ": "a.png", "b.JPG.": "b.JPG", "c.gif. ": "c.png", "c.png ": "c.png .png"}


def test_of_several_that_want_a_name_the_one_that_keeps_its_own_has_it(tmp_path):
    for name in ("alpha.jpg", "alpha.png", "alpha.webp", "beta.jpg", "beta.webp", "beta.webp.png"):
        write(tmp_path / "in" / name)
    expected = {
        "alpha.jpg": "alpha.jpg.png",
        "alpha.png": "alpha.png",
        "alpha.webp": "alpha.webp.png",
        "beta.jpg": "beta.png",
        "beta.webp": "beta.webp-2.png",
        "beta.webp.png": "beta.webp.png",
    }
    assert names([tmp_path / "in"], tmp_path / "out", like_request) == expected
    backwards = sorted((tmp_path / "in").iterdir(), reverse=True)
    kept = names(backwards, tmp_path / "out", like_request)
    assert {name: kept[name] for name in ("alpha.png", "beta.webp.png")} == {
        "alpha.png": "alpha.png",
        "beta.webp.png": "beta.webp.png",
    }


def test_what_cannot_be_read_takes_no_name_from_what_can(tmp_path):
    folder = tmp_path / "in"
    for name in ("a.HEIC", "b.jpg", "c.png", "d.heic"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"no picture")
    whole = write(folder / "e.jpg").read_bytes()
    (folder / "e.jpg").write_bytes(whole[: len(whole) // 2])
    os.mkfifo(folder / "f.jpg")
    for name in ("a.png", "b.webp", "c.jpg", "d.webp", "e.webp", "f.webp"):
        write(folder / name)
    made = names([folder], tmp_path / "out", like_request)
    readable = {"a.png": "a.png", "b.webp": "b.png", "c.jpg": "c.png", "d.webp": "d.png", "e.webp": "e.png"}
    assert {name: made[name] for name in (*readable, "f.webp")} == readable | {"f.webp": "f.png"}
    assert len(made) == 12


def test_two_folders_with_the_same_names_inside(tmp_path):
    paths = [write(tmp_path / folder / "x.png").parent for folder in ("a", "b", "c")]
    places = targets.plan(paths, tmp_path / "out", like_stylize)
    assert [place.target.name for place in places] == ["x.png", "x-2.png", "x-3.png"]
    assert [place.source.parent.name for place in places] == ["a", "b", "c"]


def test_variants_have_names_of_their_own_too(tmp_path):
    for name in ("x.png", "x-1.png", "x.jpg"):
        write(tmp_path / "in" / name)
    assert names([tmp_path / "in"], tmp_path / "out", like_request, 2) == {
        "x.png": "x-1.png x-2.png",
        "x-1.png": "x-1-1.png x-1-2.png",
        "x.jpg": "x.jpg-1.png x.jpg-2.png",
    }


def test_a_name_that_is_no_utf8_keeps_its_very_bytes(tmp_path):
    odd_name(tmp_path / "in")
    (place,) = targets.plan([tmp_path / "in"], tmp_path / "out", like_stylize)
    assert os.fsencode(place.target) == os.fsencode(tmp_path) + b"/out/caf\xe9.png"


def test_results_of_the_longest_names_can_be_written(tmp_path):
    """A longer suffix, a second name and the numbers of variants need room that the name of a picture has not."""
    odd = os.fsdecode(b"\xff" * 251)
    for name in ("n" * 251 + ".jpg", "n" * 251 + ".png", "n" * 250 + ".webp", "\N{ARTIST PALETTE}" * 62 + ".gif"):
        write(tmp_path / "in" / name)
    odd_name(tmp_path / "in", os.fsencode(odd) + b".jpg")
    for suffix, variants in ((like_stylize, 1), (like_request, 1), (lambda suffix: ".webp", 12)):
        for target in names([tmp_path / "in"], tmp_path, suffix, variants).values():
            for name in target.split(" "):
                write(tmp_path / name, "PNG").unlink()
    assert names([tmp_path / "in" / ("n" * 251 + ".png")], tmp_path, like_stylize) == {
        "n" * 251 + ".png": "n" * 251 + ".png"
    }


def test_where_case_makes_no_difference_results_do_not_meet(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "_ignores_case", lambda folder: True)
    for name in ("a/IMG.png", "b/img.png"):
        write(tmp_path / name)
    places = targets.plan([tmp_path / "a", tmp_path / "b"], tmp_path / "out", like_stylize)
    assert [place.target.name for place in places] == ["IMG.png", "img-2.png"]


def test_an_output_below_its_input_is_no_input(tmp_path):
    write(tmp_path / "in" / "a.png")
    for _ in range(2):
        (place,) = targets.plan([tmp_path / "in"], tmp_path / "in" / "painted", like_stylize)
        write(place.target)


@pytest.mark.parametrize("variants", [1, 2])
def test_no_picture_is_ever_a_target(tmp_path, variants):
    for name in ("x.png", "x-1.png"):
        write(tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match="is the picture itself"):
        targets.plan([tmp_path / "x.png", tmp_path / "x-1.png"], tmp_path / "link", like_stylize, variants)


# --- one file, standard input and output ------------------------------------------------------------------------------


def test_an_output_that_is_called_like_a_picture_is_that_file(tmp_path):
    source = write(tmp_path / "in" / "a.png")
    for output in ("result.png", "deep/result.JPG"):
        (place,) = targets.plan([source.parent], tmp_path / output, like_request)
        assert place.target == tmp_path / output
    (tmp_path / "folder.png").mkdir()
    (place,) = targets.plan([source], tmp_path / "folder.png", like_request)
    assert place.target == tmp_path / "folder.png" / "a.png"
    (place,) = targets.plan([source], tmp_path / "v1.5", like_request)
    assert place.target == tmp_path / "v1.5" / "a.png"


@pytest.mark.parametrize("output", ["result.png", "-"])
def test_one_file_is_one_picture(tmp_path, output):
    sources = [write(tmp_path / "in" / name) for name in ("a.png", "b.png")]
    with pytest.raises(UserError, match=f"output {output}: names one picture, and 2 are asked for; name a folder"):
        targets.plan(sources, output, like_stylize)
    with pytest.raises(UserError, match="and 3 are asked for"):
        targets.plan(sources[:1], output, like_stylize, 3)


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"output result\.heic: such files are not written"):
        targets.plan([write(tmp_path / "a.png")], "result.heic", like_stylize)


def streams(monkeypatch, given=b"", terminal=False):
    """Set standard input to these bytes. Returns the standard output."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(given), isatty=lambda: terminal))
    monkeypatch.setattr("sys.stdout", out)
    return out


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "stdin.jpg"), ("PNG", "stdin.png"), ("WEBP", "stdin.webp")])
def test_a_picture_from_standard_input_to_standard_output(tmp_path, monkeypatch, capfd, kind, name):
    given = write(tmp_path / "a", kind).read_bytes()
    out = streams(monkeypatch, given)
    (place,) = targets.plan(["-"], "-", like_stylize)
    assert place.source.read_bytes() == given
    assert (place.relative.name, place.target.suffix) == (name, name[5:])
    with targets.output_folder("-"):
        print("words")
        place.target.write_bytes(b"the result")
    assert out.buffer.getvalue() == b"the result"
    assert "words" in capfd.readouterr().err
    assert not place.target.exists()
    streams(monkeypatch, given)
    (place,) = targets.plan(["-"], tmp_path / "out", like_stylize)
    assert place.target.parent == tmp_path / "out"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_behind_standard_output_is_named(monkeypatch):
    with open("/dev/full", "wb") as full:
        streams(monkeypatch, b"")
        monkeypatch.setattr("sys.stdout", types.SimpleNamespace(buffer=full, isatty=lambda: False))
        with pytest.raises(RunError, match="output -: standard output cannot be written"), targets.output_folder("-"):
            (targets._temporary_folder() / "result.png").write_bytes(b"the result")
        with contextlib.suppress(OSError):
            full.close()


def test_words_on_standard_input_are_no_picture(monkeypatch):
    streams(monkeypatch, b"words")
    with pytest.raises(UserError, match="standard input: not a JPEG"):
        targets.plan(["-"], "out", like_stylize)


def test_terminals_are_refused(tmp_path, monkeypatch):
    out = streams(monkeypatch, terminal=True)
    with pytest.raises(UserError, match="-: standard input is a terminal"):
        targets.plan(["-"], "out", like_stylize)
    monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
    with pytest.raises(UserError, match="output -: standard output is a terminal"):
        targets.plan([write(tmp_path / "a.png")], "-", like_stylize)


# --- what is there already --------------------------------------------------------------------------------------------


def test_what_is_there_is_left_and_counted(tmp_path, capsys):
    for name in ("a.png", "b.png", "c.png"):
        write(tmp_path / "in" / name)
    places = targets.plan([tmp_path / "in"], tmp_path / "out", like_stylize, 2)
    for name in ("a-1.png", "a-2.png", "c-2.png"):
        write(tmp_path / "out" / name)
    left = targets.unfinished(places, overwrite=False, skip_existing=True)
    assert [(place.source.name, [path.name for path in place.there]) for place in left] == [
        ("b.png", []),
        ("c.png", ["c-2.png"]),
    ]
    assert capsys.readouterr().err == "kgan: 3 of 6 are there already and left so\n"
    assert targets.unfinished(places, overwrite=True, skip_existing=False) == places
    with pytest.raises(UserError, match=r"a-1\.png: exists already; give skip_existing .* overwrite"):
        targets.unfinished(places, overwrite=False, skip_existing=False)
    with pytest.raises(UserError, match="overwrite and skip_existing: give one"):
        targets.unfinished(places, overwrite=True, skip_existing=True)


def test_what_a_killed_process_leaves_half_written_is_no_picture(tmp_path):
    write(tmp_path / "a.png")
    write(tmp_path / ".b-x1.partial", "PNG")
    assert [path.name for path in find_pictures(tmp_path)] == ["a.png"]


def test_folders_made_in_vain_are_removed_again(tmp_path):
    for output in ("out", "result.png"):
        with targets.output_folder(tmp_path / output):
            pass
    with targets.output_folder(tmp_path / "new" / "result.png"):
        assert (tmp_path / "new").is_dir()
    assert not list(tmp_path.iterdir())


def test_a_file_where_a_folder_is_needed_is_named_so(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    for output in (write(tmp_path / "file", "PNG"), tmp_path / "link", "/dev/null"):
        with pytest.raises(UserError, match="exists and is no folder; name another one"):
            targets.make_folder(output)
