"""Joins the segments of a film to the output: a film with its sound, an animation, or numbered pictures."""

import dataclasses
import heapq
import io
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from kgan import console, files
from kgan.errors import counted, is_or_are
from kgan.film.animations import lasting, write_animation
from kgan.film.encoding import TELLS_ASPECT, Coding, SegmentWriter, add_encoder, describe
from kgan.film.film import Film
from kgan.film.frames import Facts, Frame
from kgan.film.kinds import ANIMATIONS, CONTAINERS
from kgan.film.pyav import ffmpeg_errors, pyav
from kgan.film.sound import ENCODERS, add_copies, copied_packets, copy_texts, named, not_copied
from kgan.film.stills import FrameFolder
from kgan.film.video_file import VideoFile, main_stream, open_film
from kgan.film.work import Segment
from kgan.images import targets
from kgan.images.pictures import FORMATS, Writing

REPRODUCIBLE = 0x400
"""FFmpeg's flag for files without random numbers and dates."""


@dataclasses.dataclass(frozen=True)
class Output:
    """What is made of a film.

    Attributes:
        path: the file, or the folder of pictures.
        writing: how pictures and animations are written.
        is_folder: whether it is a folder of pictures.
    """

    path: pathlib.Path
    writing: Writing
    is_folder: bool = False

    @property
    def container(self) -> str | None:
        """FFmpeg's name of the container of a film, or None for pictures and animations."""
        return None if self.is_folder else CONTAINERS.get(self.path.suffix.lower())


def check(film: Film, output: Output, coding: Coding) -> None:
    """Try whether the output can hold the film, and say what it cannot hold. Nothing is written.

    Raises:
        UserError: if it cannot be encoded like that.
    """
    if output.container is None:
        if isinstance(film.source, VideoFile) and _has_sound(film):
            console.say(f"kgan: {output.path}: pictures and animations have no sound; it is left out")
        return
    reason = f"a film of {film.size[1]}x{film.size[0]} cannot be encoded with {coding.encoder}"
    trial = pyav().open(io.BytesIO(), "w", format=output.container)
    with ffmpeg_errors(output.path, reason), trial:
        add_encoder(trial, coding, film.facts)
        left_out, encoded = _copies(film, trial)
        trial.start_encoding()
    with ffmpeg_errors(output.path, f"{reason} in a {output.path.suffix.lower()} file"):
        _try_one_frame(film, output, coding)
    kind = output.path.suffix.lower()
    if left_out:
        better = "" if output.container == "matroska" else ". An .mkv file holds most kinds"
        console.warn(f"{output.path}: {kind} cannot hold {', '.join(left_out)}; left out{better}")
    if film.facts.aspect != 1 and output.container in ("matroska", "webm") and coding.encoder not in TELLS_ASPECT:
        console.warn(
            f"{output.path}: {kind} with {coding.encoder} does not tell the aspect of pixels ({film.facts.aspect}), so "
            "that it is shown with square ones; an .mp4 file tells it"
        )
    if encoded:
        codec = "AAC" if ENCODERS[output.container] == "aac" else "Opus"
        console.warn(f"{output.path}: {kind} cannot hold {', '.join(encoded)}; encoded anew as {codec}")


def _try_one_frame(film: Film, output: Output, coding: Coding) -> None:
    """Encode and join a black frame. Some codecs, such as rawvideo in Matroska, fail only where parts are joined."""
    facts = film.facts
    frame = Frame(np.zeros((*film.size, 3), np.uint8), facts.begin, 1 / facts.rate)
    with tempfile.TemporaryDirectory(prefix="kgan-film-") as folder:
        path = pathlib.Path(folder, "frame")
        writer = SegmentWriter(path, coding, facts)
        writer.write(frame.pixels, frame)
        writer.close()
        times = np.asarray([round(frame.time / facts.time_base)], np.int64)
        segments = [Segment(path, times, max(1, round(frame.duration / facts.time_base)))]
        with pyav().open(io.BytesIO(), "w", format=output.container) as made:
            made.mux(packet for _, packet in _film_packets(segments, film, _add_film(made, segments, film)))


def _has_sound(film: Film) -> bool:
    with open_film(film.path) as source:
        return bool(source.streams.audio)


def _copies(film: Film, output: Any) -> tuple[list[str], list[str]]:
    """Names of the streams that are left out and that are encoded anew. Warns of those that are never copied."""
    if not isinstance(film.source, VideoFile):
        return [], []
    with open_film(film.path) as source:
        if never := not_copied(source, main_stream(source)):
            console.warn(f"{film.path}: holds {', '.join(never)}, which cannot be copied; left out")
        copied = add_copies(source, output)
        return copied.left_out, [named(source.streams[index]) for index in copied.encoded]


def _opened(file: Any, output: Output, metadata: Sequence[str] = ()) -> Any:
    options = {}
    if output.container in ("mp4", "mov"):
        phones = any(key.startswith("com.") for key in metadata)  # which the container has no places of its own for
        options["movflags"] = "+faststart+use_metadata_tags" if phones else "+faststart"
    opened = pyav().open(file, "w", format=output.container, container_options=options)
    opened.flags |= REPRODUCIBLE
    return opened


def join(segments: Sequence[Segment], film: Film, output: Output, complete: bool) -> None:
    """Write the output. It replaces an existing file in one step.

    Args:
        segments: the segments, at least one.
        film: the film of which they are made.
        output: what is written.
        complete: whether the segments are the whole film. Sound is left out after their end otherwise.
    """
    if output.is_folder:
        return _write_pictures(segments, film, output)
    with files.whole(output.path) as partial, ffmpeg_errors(output.path, "cannot be written"):
        if output.container is None:
            _write_animation(segments, film, output, partial)
        else:
            _write_film(segments, film, output, partial, complete)


# --- films ------------------------------------------------------------------------------------------------------------


def _write_film(segments: Sequence[Segment], film: Film, output: Output, path: pathlib.Path, complete: bool) -> None:
    end = None if complete and film.until is None else segments[-1].end * film.facts.time_base
    if not isinstance(film.source, VideoFile):
        with _opened(str(path), output) as made:
            made.mux(packet for _, packet in _film_packets(segments, film, _add_film(made, segments, film)))
        return
    with open_film(film.path) as source, _opened(str(path), output, list(source.metadata)) as made:
        stream = _add_film(made, segments, film)
        source_stream = main_stream(source)
        stream.metadata.update({k: v for k, v in source_stream.metadata.items() if k in ("language", "title")})
        copied = add_copies(source, made)
        copy_texts(source, made, film.origin, end, output.writing.strip_metadata)
        both = heapq.merge(
            _film_packets(segments, film, stream),
            copied_packets(source, copied, film.origin, end),
            key=lambda pair: pair[0],
        )
        for _, packet in both:
            made.mux(packet)


def _add_film(output: Any, segments: Sequence[Segment], film: Film) -> Any:
    """The video stream of the output, with the settings of the first segment and the turn of the film."""
    with pyav().open(str(segments[0].path)) as first:
        stream = output.add_stream_from_template(first.streams.video[0], opaque=True)
    stream.time_base = film.facts.time_base
    describe(stream.codec_context, film.facts)
    stream.codec_context.framerate = film.facts.rate.limit_denominator(100_000)
    if stream.codec_context.name == "hevc" and output.format.name in ("mp4", "mov"):
        stream.codec_context.codec_tag = "hvc1"  # which Apple's players ask for
    stream.set_display_matrix(film.facts.turn)
    return stream


def _film_packets(segments: Sequence[Segment], film: Film, stream: Any) -> Iterator[tuple[Fraction, Any]]:
    """The packets of all segments with their exact times."""
    base = film.facts.time_base
    shift = round(film.origin / base)
    times = [int(time) for segment in segments for time in segment.times]
    ends = [*times[1:], segments[-1].end]
    for packet, time, end in zip(_packets(segments), times, ends, strict=True):
        packet.time_base, packet.pts, packet.dts, packet.duration = base, time - shift, time - shift, end - time
        packet.stream = stream
        yield packet.dts * base, packet


def _packets(segments: Sequence[Segment]) -> Iterator[Any]:
    for segment in segments:
        with pyav().open(str(segment.path)) as opened:
            yield from (packet for packet in opened.demux(video=0) if packet.size)


# --- animations and pictures ------------------------------------------------------------------------------------------


def _pictures(segments: Sequence[Segment], facts: Facts) -> Iterator[tuple[np.ndarray, int]]:
    """The pixels of all frames with their times in units of the film's time base."""
    times = (int(time) for segment in segments for time in segment.times)
    frames = (frame for segment in segments for frame in _decoded(segment.path))
    layout = "rgba" if facts.channels == 4 else "rgb24"
    for frame, time in zip(frames, times, strict=True):
        yield frame.to_ndarray(format=layout), time


def _decoded(path: pathlib.Path) -> Iterator[Any]:
    with pyav().open(str(path)) as opened:
        yield from opened.decode(video=0)


def _write_animation(segments: Sequence[Segment], film: Film, output: Output, path: pathlib.Path) -> None:
    base, kind = film.facts.time_base, ANIMATIONS[output.path.suffix.lower()]
    times = [int(time) * base - film.origin for segment in segments for time in segment.times]
    end = segments[-1].end * base - film.origin
    kept = lasting(times, kind)
    if left := len(times) - len(kept):
        console.say(
            f"kgan: {output.path}: {left} of {counted(len(times), 'frame')} {is_or_are(left)} left out, because "
            "browsers show frames of 10 ms or less for 100 ms"
        )
    ends = dict(zip(kept, [*(times[index] for index in kept[1:]), end], strict=True))
    frames = (
        (pixels, times[index], ends[index])
        for index, (pixels, _) in enumerate(_pictures(segments, film.facts))
        if index in ends
    )
    write_animation(path, kind, frames, end - times[kept[-1]], film.facts, output.writing)


def _write_pictures(segments: Sequence[Segment], film: Film, output: Output) -> None:
    """Write numbered pictures, first to a hidden folder. Each replaces an existing one in one step."""
    targets.make_folder(output.path)
    with files.beside(output.path / "frames") as folder:
        for number, (pixels, time) in enumerate(_pictures(segments, film.facts)):
            name = picture_name(film, number, time, output.writing)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            output.writing.save(pixels, folder / name, lossless=film.facts.lossless)
            (output.path / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(folder / name, output.path / name)


def picture_name(film: Film, number: int, time: int, writing: Writing) -> pathlib.Path:
    """The name of a picture, which is that of its frame in a folder of frames, or else its number from 1 on.

    Args:
        film: the film.
        number: how many pictures are before it.
        time: its time in units of the film's time base.
        writing: the format of the pictures.
    """
    if isinstance(film.source, FrameFolder):
        own = film.source.files[time].relative_to(film.path)
        return own.with_suffix(writing.suffix(own.suffix if own.suffix.lower() in FORMATS else ".png"))
    return pathlib.Path(f"{number + 1:06d}{writing.suffix('.png')}")
