"""Flicker of films: planted flicker has its value, camera moves have the errors worked by hand, cuts do not count."""

import json
import signal
import sys
import time
from fractions import Fraction

import av
import numpy as np
import pytest
import small_films
import small_models
import small_runs
from chromium import PROGRAM, Browser
from PIL import Image

from kgan import cli
from kgan.errors import RunError, UserError
from kgan.evaluation.evaluate import evaluate
from kgan.evaluation.films import evaluate as of_films
from kgan.evaluation.films.footage import BLOCK, Clip, Moves, camera_moves
from kgan.evaluation.films.measure import Way, measure
from kgan.evaluation.films.side_by_side import GAP, Strip
from kgan.evaluation.scored import Item
from kgan.film.film import Film
from kgan.film.painting import Painter, Pass
from kgan.film.smoothing import Smoother
from kgan.inference.loading import Model, of_generator
from kgan.inference.stylist import Facts

pytest.importorskip("cv2")

SIZE = (48, 64)
RAMP = 0.9 / 64


def blinking(inputs):
    """A tenth brighter where the film's corner says so."""
    return inputs["image"] * 0.8 + 0.1 * np.round(inputs["image"][:, :1, :1])


def ramp(inputs):
    """A ramp that stays with the frame, whatever it shows."""
    columns = np.arange(inputs["image"].shape[2], dtype=np.float32)
    return np.zeros_like(inputs["image"]) + (RAMP * columns)[:, None]


MODELS = {
    "blinking": blinking,
    "ramp": ramp,
    "copy": lambda inputs: inputs["image"],
    "negative": lambda inputs: 1 - inputs["image"],
}


@pytest.fixture(autouse=True)
def models(monkeypatch):
    """Models by the names of shipped ones, so that no network is loaded."""
    chosen = {"vangogh": "copy", "ukiyoe": "copy", "vangogh-mobile": "copy"}
    monkeypatch.setattr(
        of_films, "load", lambda name: Model(name, MODELS[chosen[name]], Facts(chosen.get("channels", 3), 0, True))
    )
    return chosen


def still_film(folder, scenes=(7, 6), size=SIZE):
    """A folder of frames: each scene is one picture, whose corner blinks."""
    folder.mkdir()
    number = 0
    for seed, length in enumerate(scenes):
        (picture,) = small_films.moving(1, size, seed=seed * 5)
        for _ in range(length):
            frame = picture.copy() if seed % 2 == 0 else 255 - picture
            frame[0, 0] = 255 * (number % 2)
            Image.fromarray(frame).save(folder / f"{number}.png")
            number += 1
    return folder


def photos(folder, count=2, level=128, size=(90, 80)):
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", size, (level,) * 3).save(folder / f"{number}.png")
    return folder


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


def value(film, row, metric):
    return film["rows"][row][metric]["value"]


def test_planted_flicker_is_found_and_cuts_do_not_count(tmp_path, models):
    models["vangogh"] = "blinking"
    report = evaluate("vangogh", film=still_film(tmp_path / "frames"), baseline="ukiyoe", smooth=0)
    (film,) = report["films"]
    assert (film["frames"], film["scenes"], film["pairs"], film["flow"]) == (13, 2, 11, "estimated")
    assert film["blocks"] == 3  # of 5 and 1 pairs, and of 5
    assert value(film, "identity", "warping_error") < 1e-3  # the corner, in one of 3072 pixels
    for row in ("frames", "model"):
        assert value(film, row, "flicker") == pytest.approx(0.01, rel=0.02)
        number = film["rows"][row]["flicker"]
        assert number["low"] <= number["value"] <= number["high"]
        difference = value(film, row, "warping_error") - value(film, "identity", "warping_error")
        assert value(film, row, "flicker") == pytest.approx(difference, abs=1e-9)
    assert film["rows"]["baseline"]["flicker"] == {"value": 0, "low": 0, "high": 0}
    assert value(film, "baseline", "content_structure") == pytest.approx(1, abs=1e-5)
    assert film["gain_over_baseline"]["flicker"]["value"] == pytest.approx(value(film, "model", "flicker"))
    assert film["gain_over_frames"]["flicker"] == {"value": 0, "low": 0, "high": 0}


def test_smoothing_leaves_of_planted_flicker_what_is_worked_by_hand(tmp_path, models):
    """Two pictures a and b in turn, of which each frame takes half: in the end they are (2 a + b) / 3 and the reverse,
    so that neighbours differ by a third, and its square is a ninth."""
    models["vangogh"] = "blinking"
    (film,) = evaluate("vangogh", film=still_film(tmp_path / "frames", (60,)), smooth=0.5)["films"]
    assert value(film, "frames", "flicker") == pytest.approx(0.01, rel=0.02)
    assert value(film, "model", "flicker") == pytest.approx(0.01 / 9, rel=0.25)  # more at the corner
    (default,) = evaluate("vangogh", film=tmp_path / "frames")["films"]
    assert default["rows"] == film["rows"]


def test_camera_moves_have_the_errors_worked_by_hand(tmp_path, models, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)  # their flow is known
    models["vangogh"] = "ramp"
    (film,) = evaluate("vangogh", moves=photos(tmp_path / "photos"), size=64, smooth=0)["films"]
    assert (film["frames"], film["scenes"], film["pairs"], film["blocks"]) == (2 * 3 * 8, 6, 2 * 3 * 7, 2)
    assert (film["size"], film["flow"], film["seen"]) == ([48, 64], "exact", 1.0)
    assert value(film, "identity", "warping_error") < 1e-12
    # Things move by 1.5 and 0.5 columns, and in the zoom by 1% of the distance to the centre, of those that stay inside
    apart = np.arange(64) - 31.5
    inside = apart[np.abs(apart) * 1.01 <= 31.5]
    by_hand = np.mean([1.5**2, 0.5**2, np.mean((0.01 * inside) ** 2)]) * RAMP**2
    assert value(film, "model", "warping_error") == pytest.approx(by_hand, rel=0.03)
    assert film["rows"]["model"] == film["rows"]["frames"]


def test_a_copy_does_not_flicker_over_photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)  # upright, while frames are wide
    Image.fromarray(pixels).save(folder / "a.png")
    (film,) = evaluate("vangogh", moves=folder, size=32, smooth=0)["films"]
    assert value(film, "identity", "warping_error") > 1e-3  # noise between pixels
    assert film["rows"]["model"]["flicker"] == {"value": 0, "low": 0, "high": 0}
    assert film["size"] == [24, 32]


def test_frames_between_pixels_are_as_sharp_as_others():
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    for take in Moves([Item("noise", lambda channels: noise)], side=64).takes():
        contrasts = [step.frame.pixels.std() for step in take]
        assert max(contrasts) < 1.1 * min(contrasts)  # linear interpolation of the photo itself: 1.35


def test_each_move_begins_anew_and_goes_on_smoothly():
    for views in camera_moves((48, 64)):
        assert (views[0].top, views[0].left, views[0].step) == (0, 0, 1)
        assert len({(view.top, view.left, view.step) for view in views}) == len(views) == 8


def test_statistics_are_shared_in_the_film_alone(tmp_path):
    """Something enters at the left: frame by frame, the right side changes with it."""
    model = of_generator(small_models.make_generator("content"), "normal", 2.0)
    (picture,) = small_films.moving(1, (40, 160))
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(6):
        frame = picture.copy()
        frame[10:20, : 6 * number] = 255
        Image.fromarray(frame).save(folder / f"{number}.png")
    seen = []
    each = Pass(4)
    painters = {"frames": Painter(model, each, shares=False), "model": Painter(model, each)}
    ways = {row: Way(painter, Smoother(0)) for row, painter in painters.items()}
    measure(Clip(Film(folder)), lambda: ways, [lambda step, pictures: seen.append(pictures)])
    ends = {row: np.ptp([pictures[row][:, -30:].astype(int) for pictures in seen], axis=0).max() for row in painters}
    assert ends["model"] < ends["frames"]
    for pictures in seen:
        assert np.abs(pictures["frames"].astype(int) - model(pictures["identity"])).max() <= 1


def test_a_few_frames_are_in_memory_at_a_time(tmp_path):
    film, drawn = Film(still_film(tmp_path / "frames", (40,), (24, 32))), []

    class Counted(Clip):
        def takes(self):
            for take in super().takes():
                yield (drawn.append(step) or step for step in take)

    ahead, watched = [], []

    def watch(step, pictures):
        watched.append(step)
        ahead.append(len(drawn) - len(watched))

    painters = {"frames": Painter(small_films.identity(), Pass(3)), "model": Painter(small_films.identity(), Pass(8))}
    ways = {row: Way(painter, Smoother(0)) for row, painter in painters.items()}
    numbers = measure(Counted(film), lambda: ways, [watch])
    assert max(ahead) == 2
    assert numbers.frames == len(watched) == 40


@pytest.fixture
def small_clip(tmp_path):
    return small_films.write_film(tmp_path / "it's #1.mkv", small_films.moving(12), audio=0.5)


def test_the_files(tmp_path, small_clip, models, capsys):
    models["vangogh"] = "ramp"
    target = tmp_path / "out" / "a #b.json"
    report = evaluate("vangogh", film=[small_clip], moves=photos(tmp_path / "photos", 1), size=32, output=target)
    assert json.loads(target.read_text(encoding="utf-8")) == report
    page = target.with_suffix(".html").read_text(encoding="utf-8")
    assert 'src="a%20%23b/1.webm"' in page
    assert 'src="a%20%23b/2.jpg"' in page
    assert "it&#x27;s #1.mkv: 12 frames of 32x24" in page
    folder = target.with_suffix("")
    assert sorted(path.name for path in folder.iterdir()) == ["1.jpg", "1.webm", "2.jpg", "2.webm"]
    with av.open(str(folder / "1.webm")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert np.array(frames).shape == (12, 24, 3 * 32 + 2 * GAP, 3)
    assert small_films.times(folder / "1.webm") == small_films.times(small_clip)
    expected = np.broadcast_to(np.arange(32)[:, None] * RAMP * 255, (24, 32, 3))
    for frame in frames:
        assert np.abs(frame[:, 36:68] - expected).mean() < 6
        assert np.abs(frame[:, 72:] - expected).mean() < 6
    assert pixels_of(folder / "1.jpg").shape == (24, 3 * 32 + 2 * GAP, 3)
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines() if "2 scenes" in line or "3 scenes" in line] == ["camera"]
    assert f"written: {target}" in said.err


@pytest.mark.long
def test_an_interrupted_evaluation_leaves_nothing(tmp_path):
    clip = small_films.write_film(tmp_path / "clip.mkv", small_films.moving(400))
    words = ["evaluate", "vangogh-mobile", "--film", str(clip), "--output", str(tmp_path / "flicker.json")]
    process, end = small_runs.Process(words), time.monotonic() + 60
    while not list(tmp_path.glob("flicker/.*/1.webm")):  # the film side by side, which is being written
        assert process.process.is_alive(), process.output
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send(signal.SIGTERM)
    assert process.wait() == 130
    assert process.output.splitlines()[-1] == "kgan: error: interrupted: no complete report is written"
    assert list(tmp_path.iterdir()) == [clip]


def test_frames_of_nearly_the_same_time(tmp_path):
    times, base = [9000, 9001, 9002, 12603, 40000], Fraction(1, 90000)
    clip = small_films.write_film(tmp_path / "a.mp4", small_films.moving(5), times, base)
    evaluate("vangogh", film=clip, output=tmp_path / "x.json")
    shown = small_films.times(tmp_path / "x" / "1.webm")
    assert shown == [Fraction(number, 1000) for number in (0, 1, 2, 40, 344)]


def test_a_strip_by_hand():
    strip = Strip()
    for number in range(3):
        strip.add(np.full((2, 7, 3), number, np.uint8))
    assert strip.picture()[..., 0].tolist() == [[0, 0, 0, 1, 1, 2, 2]] * 2
    for number in range(3, 99):
        strip.add(np.full((2, 7, 3), number, np.uint8))
    assert strip.picture()[0, :, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_start_duration_and_size(tmp_path):
    clip = small_films.write_film(tmp_path / "a.mkv", small_films.moving(20))
    (film,) = evaluate("vangogh", film=clip, start=0.2, duration=0.4, size=40)["films"]
    assert (film["frames"], film["size"]) == (10, [30, 40])
    (whole,) = evaluate("vangogh", film=clip, size=640)["films"]
    assert (whole["frames"], whole["size"]) == (20, [48, 64])  # never enlarged


@pytest.mark.parametrize("channels", [1, 4])
def test_gray_models_and_animations_with_alpha(tmp_path, models, channels):
    frames = np.zeros((4, 24, 30, 4), np.uint8)
    frames[:, 4:14, 5:20] = (200, 30, 90, 255)
    images = [Image.fromarray(frame) for frame in frames]
    images[1].putpixel((8, 8), (0, 90, 250, 255))  # frames that are equal become one
    images[3].putpixel((9, 9), (0, 90, 250, 255))
    images[0].save(tmp_path / "a.webp", save_all=True, append_images=images[1:], duration=100, lossless=True)
    models["channels"] = channels
    (film,) = evaluate("vangogh", film=tmp_path / "a.webp", output=tmp_path / "x.json")["films"]
    assert value(film, "model", "flicker") < 1e-3
    assert pixels_of(tmp_path / "x" / "1.jpg")[2, 2].min() > 250  # what is transparent is white


def test_the_style_that_is_reached(tmp_path, models, capsys):
    """The content has none of it, pictures of the style have all of it."""
    folder = still_film(tmp_path / "frames", (24,))
    models["vangogh"] = "negative"
    negatives = tmp_path / "style"
    negatives.mkdir()
    for file in sorted(folder.iterdir())[:8]:
        Image.fromarray(255 - pixels_of(file)).save(negatives / file.name)
    report = evaluate("vangogh", film=folder, style=negatives, baseline="ukiyoe", fail_under={"style_reached": 0.9})
    (film,) = report["films"]
    assert value(film, "model", "style_reached") == pytest.approx(1, abs=0.02)
    assert value(film, "baseline", "style_reached") == pytest.approx(0, abs=0.02)
    assert film["gain_over_baseline"]["style_reached"]["value"] == pytest.approx(1, abs=0.03)
    assert "Style reached" in capsys.readouterr().out


def test_thresholds_and_the_command(tmp_path, models, capsys):
    models["vangogh"] = "blinking"
    one, other = (str(still_film(tmp_path / name, (3,))) for name in ("a", "b"))
    assert cli.main(["evaluate", "vangogh", "--film", one, other, "--smooth", "0", "--fail-over", "flicker=0.02"]) == 0
    said = capsys.readouterr()
    assert said.out.count("frame by frame") >= 4
    assert "too narrow" in said.out
    assert (
        cli.main(
            ["evaluate", "vangogh", "--film", one, "--film", other, "--smooth", "0", "--fail-over", "flicker=0.001"]
        )
        == 1
    )
    said = capsys.readouterr().err.splitlines()[-1]
    assert "a: flicker is 0.01" in said
    assert "b: flicker is 0.01" in said
    with pytest.raises(RunError, match="content_structure is"):
        evaluate("vangogh", film=one, fail_under={"content_structure": 1.1})


def test_wrong_options_are_one_line_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(of_films, "load", lambda name: pytest.fail("work began"))
    clip, pictures = still_film(tmp_path / "frames", (3,)), photos(tmp_path / "photos")
    wrong = [
        ({"film": clip, "content": pictures}, "content .*: is for pictures alone"),
        ({"film": clip, "crops": 3, "size": 32}, "crops 3: is for pictures alone"),
        ({"content": pictures, "steady": 4}, "steady 4: is for films alone"),
        ({"content": pictures, "duration": 1.0}, "duration 1.0: is for films alone"),
        ({"content": pictures, "smooth": 0.0}, "smooth 0.0: is for films alone"),
        ({"moves": pictures, "smooth": 1.0}, "smooth 1 should be at least 0 and below 1"),
        ({"moves": pictures, "start": 1.0}, "are for films; name one"),
        ({"film": clip, "start": 9.0}, "only 0.12 seconds long"),
        ({"film": clip, "size": 12}, "too small to be measured"),
        ({"moves": pictures, "size": 12}, "too small to be measured"),
        ({"film": "nowhere.mp4"}, "nowhere.mp4"),
        ({"moves": "nowhere"}, "nowhere"),
        ({"film": clip, "output": "x.html"}, "should be a file such as flicker.json"),
        ({"film": clip, "fail_under": ("style_reached=1",)}, "is not measured on films"),
        ({"film": clip, "style": "nowhere"}, "nowhere"),
        ({"film": clip, "fail_over": ("kid_mobilenet=1",)}, "is not measured on films"),
    ]
    for options, reason in wrong:
        with pytest.raises(UserError, match=reason):
            evaluate("vangogh", **options)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"OpenCV.*pip install"):
        evaluate("vangogh", film=clip)


def test_a_single_frame_is_no_film(tmp_path):
    with pytest.raises(UserError, match="no two neighbouring frames"):
        evaluate("vangogh", film=still_film(tmp_path / "a", (1,)), output=tmp_path / "x.json")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_blocks_are_of_neighbours(tmp_path):
    (take,) = Clip(Film(still_film(tmp_path / "a", (8, 3)))).takes()
    pairs = [step.block for step in take if step.flow is not None]
    assert BLOCK == 5
    assert pairs == [1] * 5 + [2] * 2 + [3] * 2


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: apt-get install chromium")
def test_the_page_plays_in_a_browser(tmp_path, small_clip):
    target = tmp_path / "a #b.json"
    evaluate(
        "vangogh", film=small_clip, moves=photos(tmp_path / "photos", 1), size=32, output=target, baseline="ukiyoe"
    )
    with Browser(tmp_path) as browser:
        browser.open(target.with_suffix(".html").as_uri())
        browser.wait("document.readyState == 'complete'")
        for number in (0, 1):  # films begin when they come into view
            film = f"document.querySelectorAll('video')[{number}]"
            browser.run(f"{film}.scrollIntoView()")
            browser.wait(f"{film}.currentTime > 0 && !{film}.paused", seconds=20)
        width = 4 * 32 + 3 * GAP
        for kind, side in (("video", "videoWidth"), ("img", "naturalWidth")):
            widths = f"[...document.querySelectorAll('{kind}')].map(one => one.{side})"
            assert browser.run(widths) == [width, width]
        labels = "[...document.querySelector('.labels').children].map(one => one.innerText)"
        assert browser.run(labels) == ["the film", "frame by frame", "restyled", "baseline"]
        # The columns are those of the labels, at any width of the screen
        place = "document.querySelector('.labels').lastChild.getBoundingClientRect().left"
        film = "document.querySelector('video').getBoundingClientRect()"
        share = f"({place} - {film}.left) / {film}.width"
        assert browser.run(share) == pytest.approx(3 * (32 + GAP) / width, abs=0.03)
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        assert not browser.faults
