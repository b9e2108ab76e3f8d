"""Properties of a film that `kgan stylize` keeps."""

from fractions import Fraction

import av
import numpy as np
import pytest
import small_films
from small_films import QUARTER, moving, packets, pixels, restyled, times, write_film

import kgan
from kgan.film import stylize as made_by


@pytest.fixture(autouse=True)
def model(monkeypatch):
    def use(model):
        monkeypatch.setattr(made_by, "load", lambda *_, **__: model)

    use(small_films.identity())
    return use


@pytest.mark.parametrize(("base", "ticks"), [
    (Fraction(1, 1000), [0, 40, 80, 120, 400, 401, 1000]),
    (Fraction(1, 90000), [0, 3003, 6006, 9000, 9001, 40000]),
    (Fraction(1001, 30000), [0, 1, 2, 5, 9]),
])  # fmt: skip
def test_the_times_of_a_variable_rate(tmp_path, base, ticks):
    source = write_film(tmp_path / "a.mp4", moving(len(ticks)), ticks, base)
    made = restyled(source, tmp_path / "out.mp4")
    assert times(made) == times(source) == [tick * base for tick in ticks]
    with av.open(str(source)) as one, av.open(str(made)) as other:
        assert other.streams.video[0].duration * other.streams.video[0].time_base == (
            one.streams.video[0].duration * one.streams.video[0].time_base
        )


def test_a_film_that_begins_late_keeps_its_place_beside_the_sound(tmp_path):
    source = write_film(tmp_path / "a.mkv", moving(5), [400, 440, 480, 520, 560], audio=1.0)
    made = restyled(source, tmp_path / "out.mkv")
    assert times(made) == times(source)
    assert packets(made, "audio") == packets(source, "audio")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_sound_is_copied_bit_for_bit(tmp_path, suffix):
    source = write_film(tmp_path / f"a{suffix}", moving(25), audio=1.2)
    made = restyled(source, tmp_path / f"out{suffix}")
    assert packets(made, "audio") == packets(source, "audio")
    assert len(times(made)) == 25


def test_subtitles_chapters_and_metadata(tmp_path):
    (tmp_path / "a.srt").write_text(
        "1\n00:00:00,100 --> 00:00:00,300\nHello\n\n2\n00:00:00,500 --> 00:00:00,900\nthere\n", encoding="utf-8"
    )
    source = write_film(
        tmp_path / "a.mkv", moving(25), subtitles=tmp_path / "a.srt", chapters=[(0, 400, "one"), (400, 1000, "two")],
        metadata={"title": "A film", "artist": "Somebody"}, audio=1.0,
    )  # fmt: skip
    made = restyled(source, tmp_path / "out.mkv")
    assert packets(made, "subtitle") == packets(source, "subtitle")
    with av.open(str(made)) as film:
        assert [(each["start"] * each["time_base"], each["metadata"]["title"]) for each in film.chapters()] == [
            (0, "one"), (Fraction(2, 5), "two"),
        ]  # fmt: skip
        told = {key.lower(): value for key, value in film.metadata.items()}
        assert (told["title"], told["artist"]) == ("A film", "Somebody")
    stripped = restyled(source, tmp_path / "stripped.mkv", strip_metadata=True)
    with av.open(str(stripped)) as film:
        assert not {"title", "artist"} & {key.lower() for key in film.metadata}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_rotation(tmp_path, suffix):
    source = write_film(tmp_path / f"a{suffix}", moving(3), turn=QUARTER)
    assert kgan.Film(source).size == (64, 48)
    made = restyled(source, tmp_path / f"out{suffix}")
    with av.open(str(source)) as one, av.open(str(made)) as other:
        first, second = next(one.decode(video=0)), next(other.decode(video=0))
        assert (second.width, second.height) == (first.width, first.height) == (64, 48)
        assert second.rotation == first.rotation == -90
    difference = pixels(made).astype(int) - pixels(source)
    assert np.abs(difference).mean() < 4 < 20 < np.abs(pixels(made)[:, ::-1].astype(int) - pixels(source)).mean()


def test_the_network_sees_upright_frames(tmp_path):
    frames = np.zeros((2, 48, 64, 3), np.uint8)
    frames[:, :, :16] = 255  # the left, which is at the top after a turn clockwise
    film = kgan.Film(write_film(tmp_path / "a.mp4", frames, turn=QUARTER))
    first = next(iter(film)).pixels
    assert first.shape == (64, 48, 3)
    assert first[:12].mean() > 240
    assert first[20:].mean() < 15


def test_aspect(tmp_path):
    source = write_film(tmp_path / "a.mp4", moving(3), aspect=Fraction(4, 3))
    with av.open(str(restyled(source, tmp_path / "out.mp4"))) as film:
        assert film.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "vp9"), (".mkv", "h264"), (".webm", None), (".mkv", "ffv1")])
def test_an_aspect_is_kept_or_its_loss_is_told(tmp_path, capsys, suffix, codec):
    source = write_film(tmp_path / "a.mp4", moving(3), aspect=Fraction(4, 3))
    with av.open(str(restyled(source, tmp_path / f"out{suffix}", codec=codec))) as film:
        kept = film.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    assert kept != ("aspect of pixels (4/3)" in capsys.readouterr().err)


@pytest.mark.parametrize("range", [1, 2], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 6], ids=["bt709", "bt601"])
def test_colours_come_back(tmp_path, matrix, range):
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [90, 160, 30]], np.uint8)
    frames = np.repeat(np.repeat(colours, 8, 0)[None], 48, 0)[None].repeat(3, 0)  # stripes of 8 pixels
    tags = (matrix, range, matrix, matrix)
    source = write_film(tmp_path / "a.mkv", frames, codec="ffv1", pixel_format="yuv444p", colours=tags)
    assert np.abs(pixels(source).astype(int) - frames).max() <= 3
    made = restyled(source, tmp_path / "out.mkv", codec="ffv1")
    with av.open(str(made)) as film:
        frame = next(film.decode(video=0))
        assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == tags
    assert np.abs(pixels(made).astype(int) - pixels(source)).max() <= 2


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64)])
@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_odd_sizes(tmp_path, size, codec):
    source = write_film(tmp_path / "a.mkv", moving(3, size), codec="ffv1", pixel_format="yuv444p")
    made = restyled(source, tmp_path / "out.mkv", codec=codec)
    assert kgan.Film(made).size == size
    assert np.abs(pixels(made).astype(int) - pixels(source)).mean() < 4


@pytest.mark.parametrize(("kind", "transfer", "white"), [("PQ", 16, 148), ("HLG", 18, 191)])
def test_hdr_becomes_sdr_with_one_line(tmp_path, capsys, kind, transfer, white):
    # White paper, 203 cd/m2, is at 58% in PQ and 75% in HLG (ITU-R BT.2408)
    gray = np.full((2, 48, 64, 3), white, np.uint8)
    source = write_film(tmp_path / "a.mkv", gray, codec="ffv1", pixel_format="yuv444p", colours=(9, 1, 9, transfer))
    made = restyled(source, tmp_path / "out.mkv")
    assert f"is HDR ({kind}); it is turned to SDR" in capsys.readouterr().err
    with av.open(str(made)) as film:
        frame = next(film.decode(video=0))
        assert (frame.colorspace, frame.color_trc) == (1, 1)
    seen = next(iter(kgan.Film(source))).pixels
    assert 225 <= seen.mean() <= 255
    assert seen.std() < 1


@pytest.mark.parametrize(("pixel_format", "told"), [("yuva420p", True), ("yuv420p", False)])
def test_the_loss_of_transparency_is_told(tmp_path, pixel_format, told):
    source = write_film(tmp_path / "a.mkv", moving(2), codec="ffv1", pixel_format=pixel_format)
    assert kgan.Film(source).notices == (("has transparency, which is left out",) if told else ())


def heard(path, first, last):
    """The sound between two times in seconds, float [16000 a second], by the times of its frames."""
    line = np.zeros(16000 * 3)
    with av.open(str(path)) as film:
        resampler = av.AudioResampler("flt", "mono", 16000)
        frames = [each for frame in film.decode(audio=0) for each in resampler.resample(frame)]
    for frame in frames:
        at = max(0, round(float(frame.pts * frame.time_base) * 16000))
        samples = frame.to_ndarray()[0]
        line[at : at + len(samples)] = samples
    return line[round(first * 16000) : round(last * 16000)]


@pytest.mark.parametrize("start", [None, 0.4])
def test_sound_that_webm_cannot_hold_is_encoded_anew_and_in_time(tmp_path, capsys, start):
    source = write_film(tmp_path / "a.mp4", moving(30), audio=1.2)
    made = restyled(source, tmp_path / "out.webm", start=start)
    assert "encoded anew as Opus" in capsys.readouterr().err
    with av.open(str(made)) as film:
        assert [stream.codec_context.name for stream in film.streams.audio] == ["opus"]
    shift = start or 0.0
    told, again = heard(source, shift + 0.2, 1.0), heard(made, 0.2, 1.0 - shift)
    # Times in WebM are whole milliseconds, 16 samples. A period of the tone is 3.5 of them.
    assert max(np.corrcoef(told[16:-16], np.roll(again, lag)[16:-16])[0, 1] for lag in range(-16, 17)) > 0.98
    assert 0.8 < np.std(again) / np.std(told) < 1.25


def test_six_channels_of_ac3_become_opus(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        sound = output.add_stream("ac3", rate=48000, layout="5.1(side)")
        film = output.add_stream("libx264", rate=25, width=64, height=48)
        for number, picture in enumerate(moving(10)):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(film.encode(frame))
        output.mux(film.encode(None))
        for start in range(0, 48000 // 5, 1536):
            samples = np.sin(np.arange(start, start + 1536) / 9).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.tile(samples, (6, 1)), "fltp", "5.1(side)")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    with av.open(str(restyled(tmp_path / "a.mkv", tmp_path / "out.webm"))) as film:
        (sound,) = film.streams.audio
        assert (sound.codec_context.name, sound.codec_context.layout.nb_channels) == ("opus", 6)
        assert sum(frame.samples for frame in film.decode(sound)) > 48000 // 6


def test_what_is_never_copied_is_named(tmp_path, capsys):
    frames = [av.VideoFrame.from_ndarray(picture, "rgb24") for picture in moving(4)]
    with av.open(str(tmp_path / "cover.mp4"), "w") as output:
        cover = output.add_stream("mjpeg", rate=25, width=64, height=48)
        cover.pix_fmt, cover.disposition = "yuvj420p", 1 << 10
        film = output.add_stream("libx264", rate=25, width=64, height=48)
        output.mux([*cover.encode(frames[0]), *cover.encode(None)])
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(film.encode(frame))
        output.mux(film.encode(None))
    with av.open(str(tmp_path / "data.ts"), "w") as output:
        film, data = output.add_stream("libx264", rate=25, width=64, height=48), output.add_data_stream("klv")
        for frame in frames:
            output.mux(film.encode(frame))
        output.mux(film.encode(None))
        packet = av.Packet(b"place")
        packet.stream, packet.pts, packet.dts, packet.time_base = data, 0, 0, Fraction(1, 1000)
        output.mux(packet)
    for name, what in (("cover.mp4", "a cover picture"), ("data.ts", "data (klv)")):
        made = restyled(tmp_path / name, tmp_path / f"out-{name}.mkv")
        said = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
        assert said == [f"kgan: {tmp_path / name}: holds {what}, which cannot be copied; left out"]
        assert len(times(made)) == 4
    restyled(write_film(tmp_path / "a.mp4", moving(6), audio=0.2, chapters=((0, 100, "one"), (100, 240, "two"))),
             tmp_path / "out.mp4")  # fmt: skip
    assert "left out" not in capsys.readouterr().err


def with_sound(path, codec, seconds=0.5):
    """A film with sound of a codec."""
    write_film(path.with_suffix(".silent.mkv"), moving(10))
    with av.open(str(path.with_suffix(".silent.mkv"))) as silent, av.open(str(path), "w") as output:
        film = output.add_stream_from_template(silent.streams.video[0], opaque=True)
        sound = output.add_stream(codec, rate=16000, layout="mono")
        resampler = av.AudioResampler(sound.codec_context.format, "mono", 16000, sound.codec_context.frame_size or None)
        for packet in silent.demux(video=0):
            if packet.size:
                packet.stream = film
                output.mux(packet)
        for frame in small_films.sound_frames(seconds):
            output.mux([packet for ready in resampler.resample(frame) for packet in sound.encode(ready)])
        output.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(("codec", "given", "suffix", "again"), [
    ("flac", ".mkv", ".mov", "aac"), ("pcm_mulaw", ".mov", ".mkv", "opus"), ("pcm_s16le", ".mkv", ".mov", "pcm_s16le"),
])  # fmt: skip
def test_sound_that_other_containers_cannot_hold(tmp_path, codec, given, suffix, again):
    source = with_sound(tmp_path / f"a{given}", codec)
    with av.open(str(restyled(source, tmp_path / f"out{suffix}"))) as film:
        (sound,) = film.streams.audio
        assert sound.codec_context.name == again
        assert sum(frame.samples / frame.rate for frame in film.decode(sound)) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".mkv"])
def test_attachments_are_kept_in_matroska_and_left_out_elsewhere(tmp_path, capsys, suffix):
    source = write_film(tmp_path / "plain.mkv", moving(5))
    with av.open(str(source)) as plain, av.open(str(tmp_path / "a.mkv"), "w") as output:
        film = output.add_stream_from_template(plain.streams.video[0], opaque=True)
        output.add_attachment("note.txt", "text/plain", b"hello")
        for packet in plain.demux(video=0):
            if packet.size:
                packet.stream = film
                output.mux(packet)
    made = restyled(tmp_path / "a.mkv", tmp_path / f"out{suffix}")
    kept = suffix == ".mkv"
    with av.open(str(made)) as film:
        assert [stream.type for stream in film.streams] == ["video", "attachment"][: 1 + kept]
    assert ("attachment" in capsys.readouterr().err) != kept


def test_a_clock_that_starts_anywhere_starts_at_zero(tmp_path):
    ticks = [90_000 * 5_000 + 3600 * k for k in (0, 1, 2, 5, 6)]
    source = write_film(tmp_path / "a.ts", moving(5), ticks, Fraction(1, 90_000))
    begin = times(source)[0]
    assert begin >= 5_000
    assert times(restyled(source, tmp_path / "out.mp4")) == [time - begin for time in times(source)]


def test_sound_before_an_edit_list_is_not_heard_in_matroska(tmp_path):
    source = write_film(tmp_path / "whole.mp4", moving(25), audio=1.5)
    with av.open(str(source)) as whole, av.open(str(tmp_path / "a.mp4"), "w") as output:
        copies = {each.index: output.add_stream_from_template(each, opaque=True) for each in whole.streams}
        for packet in whole.demux():
            if packet.size:
                if packet.stream.type == "audio":
                    early = round(Fraction(1, 2) / packet.time_base)
                    packet.pts, packet.dts = packet.pts - early, packet.dts - early
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    made = restyled(tmp_path / "a.mp4", tmp_path / "out.mkv")
    assert times(tmp_path / "a.mp4")[0] == 0
    assert times(made)[0] < 0.2


@pytest.mark.parametrize("suffix", [".h264", ".264"])
def test_a_bare_stream(tmp_path, suffix):
    source = write_film(tmp_path / f"a{suffix}", moving(6), container="h264")
    assert len(times(restyled(source, tmp_path / "out.mp4"))) == 6
