"""A film that is interrupted, and goes on."""

import os
import signal

import numpy as np
import pytest
from small_films import moving, packets, times, write_film

import kgan
from kgan.errors import UserError
from kgan.exit_guard import Interrupted
from kgan.film import stylize as made_by
from kgan.film.work import folder_of
from kgan.inference.loading import Model
from kgan.inference.stylist import Facts

COUNT, SEGMENT = 30, 8


class Killed(RuntimeError):
    """Stands for what ends a process."""


def model(calls=None, event=None):
    """Inverts the brightness. At the call of this number, `event` happens."""
    done = []

    def run(inputs):
        done.append(1)
        if len(done) == calls:
            event()
        return 1 - inputs["image"]

    return Model("negative", run, Facts(3, 0, True))


def die():
    raise Killed


@pytest.fixture
def use(monkeypatch):
    monkeypatch.setattr(made_by, "frames_of_segment", lambda size: SEGMENT)

    def chosen(*event):
        monkeypatch.setattr(made_by, "load", lambda *_, **__: model(*event))

    chosen()
    return chosen


@pytest.fixture
def source(tmp_path):
    return write_film(tmp_path / "a.mp4", moving(COUNT), audio=1.5, metadata={"title": "A film"})


def restyle(source, output, **options):
    return kgan.stylize(source, "vangogh-mobile", output, **options)


@pytest.fixture
def whole(use, source, tmp_path):
    """The film that was never interrupted."""
    restyle(source, tmp_path / "whole.mp4")
    return (tmp_path / "whole.mp4").read_bytes()


def test_the_same_bits_after_a_crash(use, whole, source, tmp_path):
    output = tmp_path / "out.mp4"
    use(4, die)  # a batch is a segment: three of them are sent to the encoder
    with pytest.raises(Killed):
        restyle(source, output)
    assert not output.exists()
    assert folder_of(output).is_dir()
    use()
    restyle(source, output, resume=True)
    assert output.read_bytes() == whole
    assert not folder_of(output).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_film_can_be_played_and_goes_on(use, whole, source, tmp_path, number):
    output = tmp_path / "out.mp4"
    use(2, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted, match=r"out\.mp4 holds the first 0\.6 seconds; resume goes on"):
        restyle(source, output)
    assert times(output) == times(source)[: 2 * SEGMENT]
    sound = packets(output, "audio")
    assert 0 < len(sound) < len(packets(source, "audio"))
    assert sound == packets(source, "audio")[: len(sound)]
    use()
    with pytest.raises(UserError, match="an interrupted run left a part of it"):
        restyle(source, output)
    restyle(source, output, resume=True)
    assert output.read_bytes() == whole


def test_a_damaged_segment_is_made_again(use, whole, source, tmp_path):
    output = tmp_path / "out.mp4"
    use(4, die)
    with pytest.raises(Killed):
        restyle(source, output)
    notes = sorted(folder_of(output).glob("*.npz"))
    notes[-1].write_bytes(notes[-1].read_bytes()[:100])
    use()
    restyle(source, output, resume=True)
    assert output.read_bytes() == whole


@pytest.mark.parametrize(("change", "said"), [
    ({"strength": 0.5}, "another strength"), ({"crf": 30}, "another coding"), ({"start": 0.1}, "another start"),
    ({"precision": "bfloat16"}, "another precision"),
])  # fmt: skip
def test_other_settings_are_refused(use, source, tmp_path, change, said):
    use(3, die)
    with pytest.raises(Killed):
        restyle(source, tmp_path / "out.mp4")
    use()
    with pytest.raises(UserError, match=f"was begun with {said}"):
        restyle(source, tmp_path / "out.mp4", resume=True, **change)


def test_another_film_is_refused_and_overwriting_starts_anew(use, whole, source, tmp_path):
    output = tmp_path / "out.mp4"
    other = write_film(tmp_path / "other.mp4", moving(COUNT, seed=5))
    use(3, die)
    with pytest.raises(Killed):
        restyle(other, output)
    use()
    with pytest.raises(UserError, match="was begun with another film"):
        restyle(source, output, resume=True)
    restyle(source, output, overwrite=True)
    assert output.read_bytes() == whole


def test_nothing_to_go_on_with(use, source, tmp_path, capsys):
    output = tmp_path / "out.mp4"
    assert restyle(source, output, resume=True) == [output]
    assert "starts at the beginning" in capsys.readouterr().err
    assert restyle(source, output, resume=True) == []
    assert "is complete already" in capsys.readouterr().err


def test_a_folder_of_pictures_goes_on(use, source, tmp_path):
    use(3, lambda: os.kill(os.getpid(), signal.SIGINT))
    output = tmp_path / "frames"
    with pytest.raises(Interrupted):
        restyle(source, output, format="png", smooth=0)
    assert len(list(output.iterdir())) == 3 * SEGMENT
    use()
    restyle(source, output, format="png", smooth=0, resume=True)
    assert [path.name for path in sorted(output.iterdir())] == [f"{k:06d}.png" for k in range(1, COUNT + 1)]
    frames = np.stack([frame.pixels for frame in kgan.Film(output)])
    assert np.array_equal(frames, 255 - np.stack([frame.pixels for frame in kgan.Film(source)]))
