"""Films, animations and folders of frames, in and out; and what is no film."""

import gc
import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
import small_films
from PIL import Image
from small_films import SIZE, moving, pixels, restyled, times, write_film

import kgan
from kgan import cli
from kgan.errors import UserError
from kgan.film import encoding
from kgan.film import stylize as made_by
from kgan.film.frames import Facts as FilmFacts
from kgan.film.frames import Frame, as_stored, upright
from kgan.film.kinds import is_film
from kgan.inference.model import Model
from kgan.inference.stylist import Facts


@pytest.fixture(autouse=True)
def use(monkeypatch):
    def chosen(model):
        monkeypatch.setattr(made_by, "load", lambda *_, **__: model)

    chosen(small_films.identity())
    return chosen


def write_animation(path, durations=(100, 50, 300, 70), size=(24, 30), loop=3):
    """Flat shapes of few colours on a transparent ground. Returns uint8 [N, H, W, 4]."""
    frames = np.zeros((len(durations), *size, 4), np.uint8)
    for k, frame in enumerate(frames):
        frame[4:14, 2 + k : 12 + k] = (200, 20 * k, 90, 255)
        frame[16:20] = (0, 90, 250, 255)
    images = [Image.fromarray(frame) for frame in frames]
    lossless = {"lossless": True, "exact": True} if path.suffix == ".webp" else {}
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=list(durations),
        loop=loop,
        disposal=1 if path.suffix == ".png" else 2,
        **lossless,
    )
    return frames


def write_folder(folder, count=12, size=SIZE):
    folder.mkdir()
    frames = moving(count, size)
    for k, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"shot{k + 1}.png")
    return frames


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".m4v"])
def test_containers(tmp_path, suffix):
    source = write_film(tmp_path / "a.mkv", moving(6))
    made = restyled(source, tmp_path / f"out{suffix}")
    assert np.abs(pixels(made).astype(int) - pixels(source)).mean() < 5
    assert times(made) == times(source)


@pytest.mark.parametrize("codec", ["h265", "vp9", "av1", "prores", "ffv1", "mpeg4"])
def test_codecs(tmp_path, codec):
    source = write_film(tmp_path / "a.mkv", moving(6), [0, 40, 80, 125, 160, 400])
    made = restyled(source, tmp_path / ("out.mov" if codec == "prores" else "out.mkv"), codec=codec)
    assert np.abs(pixels(made).astype(int) - pixels(source)).mean() < 6
    assert times(made) == times(source)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng"])
@pytest.mark.parametrize("given", [".gif", ".webp", ".png"])
def test_animations(tmp_path, given, suffix):
    frames = write_animation(tmp_path / f"a{given}")
    made = restyled(tmp_path / f"a{given}", tmp_path / f"out{suffix}", film=True)
    with Image.open(made) as image:
        assert image.n_frames == 4
        assert image.info["loop"] == 3
        shown = []
        for k in range(4):
            image.seek(k)
            image.load()
            shown.append(image.info["duration"])
            seen = np.asarray(image.convert("RGBA"))
            assert np.array_equal(seen[..., 3], frames[k][..., 3])
            visible = frames[k][..., 3] > 0
            assert np.array_equal(seen[visible], frames[k][visible])
    assert shown == [100, 50, 300, 70]


def test_an_animation_becomes_a_film_and_comes_back(tmp_path):
    write_animation(tmp_path / "a.gif")
    film = restyled(tmp_path / "a.gif", tmp_path / "a.mp4")
    assert times(film) == [0, Fraction(1, 10), Fraction(3, 20), Fraction(9, 20)]
    back = restyled(film, tmp_path / "b.gif")
    with Image.open(back) as image:
        assert image.n_frames == 4


@pytest.mark.parametrize(
    ("suffix", "rate", "count", "longest"),
    [(".gif", 60, 20, 30), (".gif", 50, 30, 20), (".webp", 120, 15, 17), (".png", 120, 15, 17), (".webp", 60, 30, 17)],
)
def test_a_fast_film_has_the_same_speed_in_browsers(tmp_path, capsys, suffix, rate, count, longest):
    """They show a frame of 10 ms or less for 100 ms."""
    source = write_film(tmp_path / "a.mkv", moving(30), [round(k * 1000 / rate) for k in range(30)], last=1000 // rate)
    made = restyled(source, tmp_path / f"out{suffix}", film=True)
    with Image.open(made) as image:
        durations = []
        for k in range(image.n_frames):
            image.seek(k)
            image.load()
            durations.append(image.info["duration"])
    assert len(durations) == count
    assert min(durations) > 10
    assert max(durations) <= longest
    assert abs(sum(durations) - 30_000 / rate) <= 10
    left = 30 - count
    assert (f"{left} of 30 frames are left out" in capsys.readouterr().err) == bool(left)


def test_frames_of_an_animation_last_as_in_browsers(tmp_path):
    write_animation(tmp_path / "a.gif", (10, 20, 100))
    assert [frame.duration for frame in kgan.Film(tmp_path / "a.gif")] == [
        Fraction(1, 10),
        Fraction(1, 50),
        Fraction(1, 10),
    ]


def test_an_animation_is_a_picture_if_nothing_says_film(tmp_path, capsys, monkeypatch):
    from kgan.inference import stylize as pictures

    monkeypatch.setattr(pictures, "load", lambda *_, **__: small_films.identity())
    write_animation(tmp_path / "a.gif")
    made = restyled(tmp_path / "a.gif", tmp_path / "out", smooth=None)
    assert made == tmp_path / "out" / "a.png"
    assert "only the first frame is used" in capsys.readouterr().err


def test_a_film_as_pictures_and_back(tmp_path):
    source = write_film(tmp_path / "a.mp4", moving(12))
    folder = restyled(source, tmp_path / "frames", format="png")
    assert [path.name for path in sorted(folder.iterdir())] == [f"{k:06d}.png" for k in range(1, 13)]
    assert np.array_equal(pixels(folder), pixels(source))
    film = restyled(folder, tmp_path / "b.mp4", fps=12.5)
    assert times(film) == [Fraction(2 * k, 25) for k in range(12)]


def test_a_folder_keeps_the_names_and_the_order_of_its_frames(tmp_path, use):
    frames = write_folder(tmp_path / "shots")
    use(small_films.negative())
    made = restyled(tmp_path / "shots", tmp_path / "out", film=True)
    assert {path.name for path in made.iterdir()} == {f"shot{k}.png" for k in range(1, 13)}
    assert np.array_equal(np.asarray(Image.open(made / "shot10.png")), 255 - frames[9])


def test_television_rates_are_exact(tmp_path):
    write_folder(tmp_path / "shots", 3)
    made = restyled(tmp_path / "shots", tmp_path / "out.mp4", fps=29.97)
    assert times(made) == [0, Fraction(1001, 30000), Fraction(2002, 30000)]


def test_a_part_of_a_film(tmp_path):
    source = write_film(tmp_path / "a.mkv", moving(50), audio=2.0)
    made = restyled(source, tmp_path / "out.mkv", start=0.5, duration=1)
    assert times(made) == [time - Fraction(1, 2) for time in times(source) if Fraction(1, 2) <= time < Fraction(3, 2)]
    first = pixels(made)[0].astype(int)
    assert np.abs(first - pixels(source)[13]).mean() < 5
    sound = small_films.packets(made, "audio")
    assert all(0 <= time < 1 for _, time in sound)
    assert [data for data, _ in sound] == [
        data for data, time in small_films.packets(source, "audio") if 0.5 <= time < 1.5
    ]


def test_frames_are_not_kept_after_they_are_encoded(tmp_path, use):
    alive, calls = [], itertools.count(1)

    def restyle(inputs):
        if next(calls) % 15 == 0:
            alive.append(sum(isinstance(each, Frame) for each in gc.get_objects()))
        return inputs["image"]

    use(Model("one by one", restyle, Facts(3, noise_channels=1, takes_content=True)))
    assert len(times(restyled(write_film(tmp_path / "a.mp4", moving(60)), tmp_path / "out.mp4"))) == 60
    assert len(alive) == 4
    assert max(alive) < 20  # a segment has 120 frames


@pytest.mark.parametrize(("size", "codec", "held"), [
    ((48, 64), "h264", 48), ((47, 63), "h264", 96), ((48, 64), "h265", 340), ((48, 64), "ffv1", 80),
    ((48, 64), "cinepak", 340),
])  # fmt: skip
def test_the_memory_of_encoders(size, codec, held):
    facts = FilmFacts(size, rate=Fraction(25), time_base=small_films.MILLISECOND)
    assert encoding.choose(facts, "matroska", codec, None, 2).bytes_per_pixel == held


def test_several_films_keep_their_names(tmp_path):
    for name in ("a.mp4", "b.mkv"):
        write_film(tmp_path / name, moving(3))
    made = kgan.stylize([tmp_path / "a.mp4", tmp_path / "b.mkv"], "vangogh-mobile", tmp_path / "out")
    assert made == [tmp_path / "out" / "a.mp4", tmp_path / "out" / "b.mkv"]
    made = kgan.stylize(write_film(tmp_path / "c.avi", moving(3), codec="ffv1"), "vangogh-mobile", tmp_path / "out")
    assert made == [tmp_path / "out" / "c.mkv"]


# --- masks and blending -----------------------------------------------------------------------------------------------


@pytest.fixture
def dark(use):
    """A film of gray, whose restyled version is lighter."""
    use(small_films.negative())
    return np.full((12, *SIZE, 3), 64, np.uint8)


def lossless(path, frames):
    return write_film(path, frames, codec="ffv1", pixel_format="yuv444p", colours=(1, 1, 1, 1))


@pytest.fixture(params=["picture", "folder", "film"])
def left_mask(request, tmp_path):
    """White at the left; as a folder and a film, from the sixth frame on at the right."""
    masks = np.zeros((12, *SIZE, 3), np.uint8)
    masks[:6, :, :32] = masks[6:, :, 32:] = 255
    if request.param == "picture":
        Image.fromarray(masks[0]).save(tmp_path / "mask.png")
        return tmp_path / "mask.png"
    if request.param == "film":
        return lossless(tmp_path / "mask.mkv", masks)
    (tmp_path / "masks").mkdir()
    for k, mask in enumerate(masks):
        Image.fromarray(mask).save(tmp_path / "masks" / f"{k}.png")
    return tmp_path / "masks"


def test_masks(tmp_path, dark, left_mask):
    source = lossless(tmp_path / "a.mkv", dark)
    made = pixels(restyled(source, tmp_path / "out.mkv", codec="ffv1", mask=left_mask, feather=0)).astype(int)
    moves = left_mask.suffix != ".png"
    assert abs(made[:6, :, :32] - 191).max() <= 2
    assert abs(made[:6, :, 32:] - 64).max() <= 2
    assert abs(made[6:, :, :32] - (64 if moves else 191)).max() <= 2


def test_strength(tmp_path, dark):
    source = lossless(tmp_path / "a.mkv", dark)
    made = pixels(restyled(source, tmp_path / "out.mkv", codec="ffv1", strength=0.25)).astype(int)
    assert abs(made - (0.75 * 64 + 0.25 * 191)).max() <= 2


def test_colours_are_kept(tmp_path, use):
    use(small_films.negative())
    frames = np.full((3, *SIZE, 3), (150, 100, 80), np.uint8)
    made = pixels(restyled(lossless(tmp_path / "a.mkv", frames), tmp_path / "out.mkv", codec="ffv1", keep_colour=True))
    assert abs((made[..., 0].astype(int) - made[..., 2]) - 70).max() <= 4


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_truncated_film_gives_what_could_be_read(tmp_path, capsys):
    source = write_film(tmp_path / "a.mp4", moving(100), container_options={"movflags": "faststart"})
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) * 6 // 10])
    made = restyled(source, tmp_path / "out.mp4")
    said = capsys.readouterr().err
    assert "is cut off after" in said
    assert 40 < len(times(made)) < 80


def test_a_truncated_animation(tmp_path, capsys):
    write_animation(tmp_path / "a.gif", (100,) * 12)
    whole = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "a.gif").write_bytes(whole[: len(whole) * 7 // 10])
    made = restyled(tmp_path / "a.gif", tmp_path / "out.webp", film=True)
    with Image.open(made) as image:
        assert 4 < image.n_frames < 12


@pytest.mark.parametrize(("suffix", "missing"), [(".ts", 0.64), (".mp4", 0.8)])
def test_a_missing_beginning_is_told(tmp_path, capsys, suffix, missing):
    source = write_film(tmp_path / f"a{suffix}", moving(60), keyframes=20, options={"crf": "5"})
    content = bytearray(source.read_bytes())
    if suffix == ".ts":  # a recording that begins between two key frames
        del content[188 * 3 : 188 * 20]
    else:
        begin = content.index(b"mdat") + 60
        content[begin : begin + 2000] = bytes(2000)
    source.write_bytes(content)
    made = restyled(source, tmp_path / "out.mkv")
    assert len(times(made)) == 40
    assert float(times(made)[0]) == missing
    assert f"its first {missing:.2f} seconds cannot be decoded" in capsys.readouterr().err


def test_damage_in_the_middle(tmp_path, capsys):
    source = write_film(tmp_path / "a.mkv", moving(100), options={"crf": "5"})
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    source.write_bytes(content)
    made = restyled(source, tmp_path / "out.mkv")
    assert len(times(made)) > 60
    assert times(made)[-1] == Fraction(99, 25)


def sound_alone(path):
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=16000, layout="mono")
        for frame in small_films.sound_frames(1):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def encrypted(path):
    write_film(path, moving(5), container_options={
        "encryption_scheme": "cenc-aes-ctr", "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    })  # fmt: skip


def without_index(path):
    content = write_film(path, moving(30)).read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(("make", "said"), [
    (sound_alone, "has no video, only audio"),
    (encrypted, "is encrypted"),
    (without_index, "cannot be read as a film"),
    (lambda path: path.write_bytes(b"\0\0\0\x18ftypisom" + bytes(300)), "cannot be read as a film"),
    (lambda path: path.write_bytes(b""), "cannot be read as a film"),
    (lambda path: path.write_text("#EXTM3U\nhttp://localhost/a.ts\n", encoding="utf-8"), "film"),
], ids=["sound", "encrypted", "index", "noise", "empty", "playlist"])  # fmt: skip
def test_what_cannot_be_restyled_gets_one_line(tmp_path, capsys, make, said):
    make(tmp_path / "a.mp4")
    words = [
        "stylize",
        str(tmp_path / "a.mp4"),
        "--model",
        "vangogh-mobile",
        "--output",
        str(tmp_path / "out" / "b.mp4"),
    ]
    assert cli.main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("options", "said"), [
    ({"codec": "h266"}, "no such encoder"), ({"codec": "aac"}, "encodes audio"), ({"crf": 99}, "from 0 to 51"),
    ({"codec": "ffv1", "crf": 3}, "no such setting"), ({"codec": "vp9", "output": "x.mov"}, "cannot be encoded"),
    ({"codec": "rawvideo", "output": "x.mkv"}, "64x48 cannot be encoded with rawvideo in a .mkv file"),
    ({"start": 9}, "only 0.2"), ({"duration": 0}, "above 0"), ({"start": -1}, "at least 0"),
    ({"fps": 9}, "leave fps out"), ({"variants": 2}, "one result"),
    ({"output": "x.avi"}, "not written"), ({"output": "a.mp4"}, "is the film itself"), ({"strength": 3}, "from 0 to 1"),
    ({"output": "x.mp4", "format": "png"}, "leave one of them out"), ({"mask": "nowhere.png"}, "no such file"),
    ({"resume": True, "overwrite": True}, "give one of them"), ({"feather": 2}, "give mask too"),
    ({"output": "-"}, "standard output"), ({"jit": True, "strokes": 2}, "whole frames"),
    ({"format": "png", "crf": 3, "output": "frames"}, "have none"),
])  # fmt: skip
def test_wrong_options(tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    write_film(tmp_path / "a.mp4", moving(5))
    with pytest.raises(UserError, match=said) as caught:
        kgan.stylize("a.mp4", **{"model": "vangogh-mobile", "output": "out.mp4"} | options)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


def test_options_of_films_for_a_picture(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="crf: is for films"):
        kgan.stylize(tmp_path / "a.png", "vangogh-mobile", tmp_path / "out", crf=3)


def test_frames_of_different_sizes(tmp_path):
    write_folder(tmp_path / "shots", 3)
    Image.new("RGB", (40, 30)).save(tmp_path / "shots" / "shot4.png")
    with pytest.raises(UserError, match=r"shot4\.png: is 40x30; all frames should be 64x48"):
        restyled(tmp_path / "shots", tmp_path / "out.mp4")


def test_films_are_told_by_their_content(tmp_path):
    film = write_film(tmp_path / "a.mp4", moving(2))
    film.rename(tmp_path / "a.dat")
    Image.new("RGB", (9, 9)).save(tmp_path / "b.png")
    (tmp_path / "b.png").rename(tmp_path / "b.mp4")
    assert is_film(tmp_path / "a.dat")
    assert not is_film(tmp_path / "b.mp4")
    assert not is_film(tmp_path / "nowhere.mp4")


@pytest.mark.parametrize(
    "signs", [(1, 0, 0, 1), (-1, 0, 0, -1), (-1, 0, 0, 1), (0, 1, -1, 0), (0, -1, 1, 0), (0, 1, 1, 0)]
)
def test_turning_back(signs):
    a, b, c, d = (sign * 65536 for sign in signs)
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    picture = np.arange(24).reshape(2, 4, 3)
    turned = upright(picture, matrix)
    assert np.array_equal(as_stored(turned, matrix), picture)
    corner = {1: 0, -1: -1}  # where the first pixel goes: to the right or the bottom if the axis is mirrored
    assert np.array_equal(turned[corner[signs[1] + signs[3]], corner[signs[0] + signs[2]]], picture[0, 0])
