"""Pictures in a folder: links, loops, folders that kgan wrote, pipes, and unusual names."""

import os
import socket

import pytest
from odd_names import odd_name
from PIL import Image

from kgan.data import check
from kgan.errors import UserError, counted, shown, some
from kgan.images.listing import (
    CACHE_TAG,
    find_pictures,
    is_named_as_picture,
    kind_of_folder,
    make_cache,
    pictures_of,
    same,
    scan_folder,
)
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path, "PNG")
    return path


def names(folder, outputs=()):
    return [path.relative_to(folder).as_posix() for path in find_pictures(folder, outputs)]


# --- links ------------------------------------------------------------------------------------------------------------


def test_links_are_followed_and_each_real_folder_is_read_once(tmp_path):
    for name in ("set/a.png", "set/deep/b.png", "far/c.png", "far/d/e.png"):
        picture(tmp_path / name)
    (tmp_path / "set/again").symlink_to("deep")
    (tmp_path / "set/more").symlink_to(tmp_path / "far")
    (tmp_path / "set/twice").symlink_to(tmp_path / "far" / "d")
    (tmp_path / "set/f.png").symlink_to(tmp_path / "far" / "c.png")
    assert names(tmp_path / "set") == ["a.png", "deep/b.png", "f.png", "more/c.png", "more/d/e.png"]


def test_a_link_never_renames_what_is_there(tmp_path):
    picture(tmp_path / "z/a.png")
    (tmp_path / "b").symlink_to("z")
    assert names(tmp_path) == ["z/a.png"]


def test_loops_end(tmp_path):
    picture(tmp_path / "set/deep/a.png")
    picture(tmp_path / "beside.png")
    for name, target in {"self": ".", "up": "..", "deep/top": "../..", "deep/itself": "itself"}.items():
        (tmp_path / "set" / name).symlink_to(target)
    (tmp_path / "set/lost.png").symlink_to("nowhere")
    (tmp_path / "set/round.png").symlink_to("round.png")
    assert names(tmp_path / "set") == ["deep/a.png", "lost.png", "round.png"]
    problems = check.check_folders([tmp_path / "set"])
    assert [(path.name, reason.split(":")[0]) for path, reason in problems] == [
        ("lost.png", "cannot be read"),
        ("round.png", "cannot be read"),
    ]


def test_a_folder_may_be_named_by_a_link(tmp_path):
    picture(tmp_path / "set/a.png")
    (tmp_path / "link").symlink_to("set")
    assert names(tmp_path / "link") == ["a.png"]
    assert same(tmp_path / "link", tmp_path / "set")
    assert not same(tmp_path / "none", tmp_path / "none")


# --- folders that kgan wrote ------------------------------------------------------------------------------------------


def kgan_folders(root):
    """A run, an exported model, a cache and an output, and folders that only look similar."""
    for name in ("run/samples/0.png", "model/x.png", "cache/x.png", "painted/x.png", "foreign/a.png", "list/b.png"):
        picture(root / name)
    recipes.resolve(TrainConfig(content="a", style="b")).save(root / "run/config.json")
    (root / "model/saved_model.pb").write_bytes(b"")
    (root / "cache" / CACHE_TAG).write_text("Signature: 8a477f597d28d172789f06886806bc55\n", encoding="utf-8")
    (root / "foreign/config.json").write_text('{"model_type": "bert", "steps": 3}', encoding="utf-8")
    (root / "foreign" / CACHE_TAG).write_text("mine", encoding="utf-8")
    (root / "list/config.json").write_text('["recipe", "steps"]', encoding="utf-8")
    picture(root / "c.png")


def test_what_kgan_wrote_is_no_input(tmp_path, capsys):
    kgan_folders(tmp_path)
    found = names(tmp_path, [tmp_path / "painted"])
    assert found == ["c.png", "foreign/a.png", "list/b.png"]
    said = capsys.readouterr().err
    assert said == f"kgan: {tmp_path}: left out what kgan wrote: {tmp_path}/cache (cache) and 2 more folders\n"


def test_a_link_to_what_kgan_wrote_is_none_either(tmp_path):
    kgan_folders(tmp_path / "far")
    picture(tmp_path / "set/a.png")
    for name in ("run", "model", "cache", "painted"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "far" / name)
    assert names(tmp_path / "set", [tmp_path / "far/painted"]) == ["a.png"]


@pytest.mark.parametrize("name", ["run", "model", "cache", "painted"])
def test_a_folder_that_is_named_is_always_read(tmp_path, name):
    kgan_folders(tmp_path)
    assert len(find_pictures(tmp_path / name, [tmp_path / "painted"])) == 1


def test_a_folder_of_nothing_else_says_so(tmp_path):
    picture(tmp_path / "run/samples/0.png")
    recipes.resolve(TrainConfig(content="a", style="b")).save(tmp_path / "run/config.json")
    with pytest.raises(UserError, match=r"no pictures besides those in .*run \(run\); name that folder to use them"):
        find_pictures(tmp_path)


def test_a_pipe_as_config_is_no_mark(tmp_path):
    picture(tmp_path / "set/deep/a.png")
    os.mkfifo(tmp_path / "set/deep/config.json")
    os.mkfifo(tmp_path / "set/deep" / CACHE_TAG)
    assert names(tmp_path / "set") == ["deep/a.png"]


def test_a_cache_is_marked_when_it_is_made_and_only_then(tmp_path):
    make_cache(tmp_path / "new" / "cache")
    assert kind_of_folder(tmp_path / "new" / "cache") == "cache"
    make_cache(tmp_path / "new")  # a folder of the user's own
    assert kind_of_folder(tmp_path / "new") is None


def test_check_lists_every_folder_that_is_left_out(tmp_path, capsys):
    kgan_folders(tmp_path)
    assert check.main([tmp_path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"{tmp_path}/{name}: left out: kgan wrote it ({kind})"
        for name, kind in (("cache", "cache"), ("model", "exported model"), ("run", "run"))
    ]
    assert lines[3:] == ["4 pictures checked, all good"]


# --- what is no file --------------------------------------------------------------------------------------------------


def test_pipes_and_sockets_are_named_and_not_opened(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    picture(tmp_path / "set/a.png")
    os.mkfifo("set/b.png")
    os.mkfifo("set/notes.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("set/c.jpg")
        assert check.main(["set"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["set/b.png: is a pipe, not a file", "set/c.jpg: is a socket, not a file"]
    assert lines[2:] == ["3 pictures checked, 2 cannot be used"]


@pytest.mark.parametrize("name", ["pipe", "pipe.png", "/dev/null"])
def test_what_is_neither_file_nor_folder_is_refused_when_named(tmp_path, name):
    if not name.startswith("/"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=r"is a (pipe|device), neither a file nor a folder"):
        list(pictures_of([tmp_path / name]))
    with pytest.raises(UserError, match=r"should be a folder of pictures\. Received: a (pipe|device)"):
        find_pictures(tmp_path / name)


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch, capsys):
    shut = tmp_path / "set" / "shut"
    picture(shut / "a.png")
    picture(tmp_path / "set" / "b.png")
    monkeypatch.chdir(tmp_path / "set")
    shut.chmod(0)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        assert check.main(["."]) == 2
        with pytest.raises(UserError, match="shut: cannot be read: Permission denied"):
            find_pictures("shut")
    finally:
        os.seteuid(user)
        shut.chmod(0o700)
    assert "shut: cannot be read: Permission denied\n2 pictures checked, 1 cannot" in capsys.readouterr().out


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_link_to_nothing_is_named_so(tmp_path):
    (tmp_path / "a.png").symlink_to("nothing")
    with pytest.raises(UserError, match=r"a\.png: is a link to nothing; check where it leads"):
        scan_folder(tmp_path / "a.png")


def test_a_folder_is_read_once_however_often_it_is_named(tmp_path):
    picture(tmp_path / "set/deep/a.png")
    paths = [tmp_path / "set", tmp_path / "set/deep", tmp_path / "set" / ".." / "set"]
    assert [str(relative) for _, relative in pictures_of(paths)] == ["deep/a.png", "a.png"]


def test_names_are_shown_on_one_line_with_nothing_hidden():
    assert shown("süß 写真 🎨.png") == "süß 写真 🎨.png"
    assert shown(os.fsdecode(b"caf\xe9.png")) == r"caf\xe9.png"
    assert shown("a\nb\r\t\x1b[31m\x7f\x9b\u2028\u202egnp.exe") == r"a\nb\r\t\x1b[31m\x7f\x9b\u2028\u202egnp.exe"
    assert str(UserError("a\x1b]0;title\x07.png: bad")) == r"a\x1b]0;title\x07.png: bad"


def test_check_shows_names_that_are_no_utf8_and_names_that_drive_terminals(tmp_path, capsys):
    odd_name(tmp_path).write_bytes(b"x")
    odd_name(tmp_path, b"\x1b[2Jx\n.png").write_bytes(b"x")
    assert check.main([tmp_path]) == 2
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.splitlines()[0].startswith(rf"{tmp_path}/\x1b[2Jx\n.png: not a JPEG")
    assert out.splitlines()[1].startswith(rf"{tmp_path}/caf\xe9.png: not a JPEG")


def test_which_names_are_those_of_pictures():
    assert all(map(is_named_as_picture, ("a.JPG", "deep/a.Webp", "x.heic", "x.y.png", "a.png ", "a.PNG.")))
    assert not any(map(is_named_as_picture, ("a", "png", "a.txt", ".png", "a.png.txt", "a.png/ ", " ", "..")))


def test_words_for_numbers():
    assert (counted(1, "picture"), counted(0, "pair"), counted(2, "pair")) == ("1 picture", "0 pairs", "2 pairs")
    assert (some(["a", "b"]), some(["a", "b", "c"], 1)) == ("a, b", "a, and 2 more")
