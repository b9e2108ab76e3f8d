"""Small films that several test files use, made with PyAV."""

import contextlib
from fractions import Fraction

import av
import numpy as np

import kgan
from kgan.inference.loading import Model
from kgan.inference.stylist import Facts

SIZE = (48, 64)
MILLISECOND = Fraction(1, 1000)
QUARTER = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
"""The display matrix of a turn clockwise by a quarter, as phones write it."""


def identity(channels=3):
    """A model without a network: the result is the picture."""
    return Model("identity", lambda inputs: inputs["image"], Facts(channels, 0, True))


def negative(channels=3):
    """A model without a network that inverts the brightness."""
    return Model("negative", lambda inputs: 1 - inputs["image"], Facts(channels, 0, True))


def moving(count, size=SIZE, seed=0):
    """Smooth pictures that differ from each other, uint8 [count, H, W, 3]."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    shift = np.random.default_rng(seed).uniform(0, 6, 3)
    vertical, horizontal, diagonal = rows / 9 + shift[0], columns / 11 + shift[1], (rows + columns) / 13
    frames = [np.stack([np.sin(vertical + k), np.cos(horizontal), np.sin(diagonal + k / 3)], -1) for k in range(count)]
    return np.uint8(np.clip(127 + 100 * np.stack(frames), 0, 255))


def restyled(source, output, **options):
    """The path of a film that `kgan.stylize` made, each frame by itself. Tests put a model of their own in the place of
    the named one."""
    (made,) = kgan.stylize(source, "vangogh-mobile", output, **{"smooth": 0, **options})
    return made


def pixels(path, **options):
    """The frames of a film, uint8 [N, H, W, C]."""
    return np.stack([frame.pixels for frame in kgan.Film(path, **options)])


def write_film(
    path, frames, times=None, base=MILLISECOND, codec="libx264", pixel_format="yuv420p", options=None, turn=None,
    aspect=None, colours=(2, 0, 2, 2), audio=0.0, subtitles=None, chapters=(), metadata=None, last=40, container=None,
    container_options=None, keyframes=12, b_frames=0,
):  # fmt: skip
    """Write a film.

    Args:
        path: the file.
        frames: uint8 [N, H, W, 3].
        times: time of each frame in units of `base`. Default: 25 frames a second.
        colours: matrix, range, primaries and transfer.
        audio: seconds of sound; 0 for none.
        subtitles: path of an .srt file, or None.
        last: duration of the last frame in units of `base`.
    """
    times = [round(k / 25 / base) for k in range(len(frames))] if times is None else times
    options = {"crf": "10"} if options is None and codec == "libx264" else options or {}
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(
            av.open(str(path), "w", format=container, container_options=container_options or {})
        )
        height, width = frames[0].shape[:2]
        stream = output.add_stream(codec, rate=25, options=options, width=width, height=height, time_base=base)
        stream.pix_fmt, stream.gop_size = pixel_format, keyframes
        context = stream.codec_context
        context.max_b_frames = b_frames
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = colours
        if aspect:
            context.sample_aspect_ratio = aspect
        stream.set_display_matrix(turn)
        output.metadata.update(metadata or {})
        output.set_chapters([
            {"id": k, "start": start, "end": end, "time_base": MILLISECOND, "metadata": {"title": title}}
            for k, (start, end, title) in enumerate(chapters, 1)
        ])  # fmt: skip
        sound = output.add_stream("aac", rate=16000, layout="mono") if audio else None
        texts = stack.enter_context(av.open(str(subtitles))) if subtitles else None
        lines = output.add_stream_from_template(texts.streams[0]) if texts else None
        for frame in sound_frames(audio):
            output.mux(sound.encode(frame))
        if sound:
            output.mux(sound.encode(None))
        for packet in texts.demux() if texts else ():
            if packet.size:
                packet.stream = lines
                output.mux(packet)
        for k, pixels in enumerate(frames):
            picture = coded(pixels, pixel_format, colours)
            picture.time_base, picture.pts = base, times[k]
            picture.duration = (times[k + 1] if k + 1 < len(times) else times[k] + last) - times[k]
            for packet in stream.encode(picture):
                packet.duration = packet.duration or last
                output.mux(packet)
        for packet in stream.encode(None):
            packet.duration = packet.duration or last
            output.mux(packet)
    return path


def coded(pixels, pixel_format, colours):
    """A frame of RGB pixels in another pixel format."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
    matrix = {1: 1, 5: 5, 6: 5, 9: 9}.get(colours[0], 5)
    made = frame.reformat(
        format=pixel_format,
        src_color_range=2,
        dst_colorspace=matrix,
        dst_color_range=colours[1] or 1,
        interpolation=0x2000 | 0x40000 | 4,
    )
    made.colorspace, made.color_range = colours[0], colours[1]
    return made


def sound_frames(seconds):
    """A tone as PyAV frames."""
    samples = np.sin(np.arange(round(seconds * 16000)) / 9).astype(np.float32)
    for start in range(0, len(samples) - 1023, 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
        yield frame


def packets(path, kind):
    """The bytes and the times in seconds of all packets of the first stream of a kind."""
    with av.open(str(path)) as film:
        stream = next(stream for stream in film.streams if stream.type == kind)
        return [(bytes(each), each.pts * each.time_base) for each in film.demux(stream) if each.size]


def times(path):
    """The times of the frames in seconds."""
    with av.open(str(path)) as film:
        return [frame.pts * frame.time_base for frame in film.decode(video=0)]
