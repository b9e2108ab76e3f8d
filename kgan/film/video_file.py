"""Reads films that FFmpeg decodes, such as MP4, MOV, MKV and WebM."""

import contextlib
import os
import pathlib
import struct
from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import Any

from kgan import console
from kgan.errors import UserError, counted
from kgan.film.colours import HDR, ToRGB
from kgan.film.frames import Colours, Facts, Frame, swaps_sides, upright
from kgan.film.pyav import ffmpeg_errors, in_words, pyav
from kgan.film.sound import ATTACHED_PICTURE
from kgan.images.decoding import MAX_PIXELS, asked_pixels

ANY_CLOCK = 0x200
"""FFmpeg's flag of formats whose clock starts at any time and may jump, such as MPEG-TS."""

USUAL_RATE = Fraction(25)
"""Frames a second of a film that tells neither its rate nor the times of its frames."""

DECODERS = 4
"""Threads of the decoder at most, as each holds a frame. More would not help: the network is slower."""

ENOUGH = Fraction(1, 2)
"""A film that begins this many seconds after its file says so, or ends before, was cut off. Less is normal, as sound
may be longer, and recordings begin between two key frames."""


def open_film(path: pathlib.Path) -> Any:
    """Open a film for reading, as a PyAV container. It reads no other files and no addresses."""
    with ffmpeg_errors(path, "cannot be read as a film; copy it again, or convert it to MP4"):
        return pyav().open(str(path.absolute()), options={"protocol_whitelist": "file"})


def main_stream(container: Any) -> Any:
    """The first video stream of a PyAV container that is no cover picture, or None."""
    films = (each for each in container.streams.video if not int(each.disposition) & ATTACHED_PICTURE)
    return next(films, None)


class VideoFile:
    """A film that FFmpeg decodes.

    Args:
        path: the file.

    Raises:
        UserError: if it is no film, has no video, is encrypted, or its decoder is missing.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        with open_film(path) as container:
            stream = _decodable(path, container)
            with ffmpeg_errors(path, "cannot be decoded; copy it again"):
                first = next(_decoded(path, container, stream, []), None)
            if first is None:
                raise UserError(f"{path}: not one frame could be decoded; the file is damaged or encrypted")
            self.facts = _facts(container, stream, first)
        _refuse_bomb(path, self.facts.size)
        self.notices = tuple(_notices(self.facts, first))

    def frames(self, since: Fraction | None = None) -> Iterator[Frame]:
        """Read the frames in their order.

        Args:
            since: the first time in seconds, or None for all frames. Earlier ones are left out.

        Returns:
            An iterator. What is damaged is left out, with a warning at the end.
        """
        if since is not None:
            with contextlib.closing(self._read(since)) as frames:
                first = next(frames, None)
                if first is not None and first.time <= since:
                    yield from _from(since, first, frames)
                    return
        # All of them, or the place could not be found in the file's index
        yield from (frame for frame in self._read(None) if since is None or frame.time >= since)

    def _read(self, place: Fraction | None) -> Generator[Frame, None, None]:
        """All frames, or those from the last key frame before a time in seconds."""
        convert = ToRGB(self.facts.colours, self.facts.stored_size)
        damaged: list[str] = []
        with open_film(self.path) as container:
            stream = main_stream(container)
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = min(os.cpu_count() or 1, DECODERS)
            if place is not None:
                try:
                    container.seek(int(place / stream.time_base), stream=stream)
                except pyav().FFmpegError:
                    return
            start = end = None
            for frame in _timed(_decoded(self.path, container, stream, damaged), stream, self.facts.rate):
                pixels = upright(convert(frame.picture), self.facts.turn)
                start, end = frame.time if start is None else start, frame.time + frame.duration
                yield Frame(pixels, frame.time, frame.duration)
            self._tell_damage(damaged, start if place is None else None, end)

    def _tell_damage(self, damaged: list[str], start: Fraction | None, end: Fraction | None) -> None:
        """Warn of frames that could not be decoded, of a late beginning and of an end that comes too early."""
        begin, duration = self.facts.begin, self.facts.duration
        if damaged:
            places = counted(len(damaged), "place")
            console.warn(f"{self.path}: damaged in {places} ({damaged[0]}); what could be read is used")
        if start is not None and start > begin + ENOUGH:
            missing = float(start - begin)
            console.warn(f"{self.path}: its first {missing:.2f} seconds cannot be decoded; the rest is used")
        if end is not None and duration is not None and end < begin + duration - ENOUGH:
            there = f"{float(end - begin):.2f} of {float(duration):.2f} seconds"
            console.warn(f"{self.path}: is cut off after {there}; what could be read is used")


class _Timed:
    """A decoded frame with its time in seconds."""

    def __init__(self, picture: Any, time: Fraction, duration: Fraction):
        self.picture, self.time, self.duration = picture, time, duration


def _from(since: Fraction, first: Frame, frames: Iterator[Frame]) -> Iterator[Frame]:
    if first.time >= since:
        yield first
    yield from (frame for frame in frames if frame.time >= since)


def _timed(pictures: Iterator[Any], stream: Any, rate: Fraction) -> Iterator[_Timed]:
    """Give each frame its time. A frame without one, or with one in the past, follows its predecessor.

    A frame lasts until the next one. What the file says of durations counts for the last frame only.
    """
    base, held = Fraction(stream.time_base), None
    for picture in pictures:
        time = held.time + held.duration if held else Fraction(0)
        if picture.pts is not None and (held is None or picture.pts * base > held.time):
            time = picture.pts * base
        if held:
            held.duration = time - held.time
            yield held
        held = _Timed(picture, time, picture.duration * base if picture.duration else base * round(1 / (rate * base)))
    if held:
        yield held


def _decoded(path: pathlib.Path, container: Any, stream: Any, damaged: list[str]) -> Iterator[Any]:
    """The frames that can be decoded. The reasons why others cannot are added to `damaged`."""
    av = pyav()
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            if packet.has_sidedata("encryption_info"):
                raise UserError(f"{path}: is encrypted; kgan restyles films without copy protection alone")
            yield from packet.decode()
        except av.FFmpegError as error:
            damaged.append(in_words(error))
            if packet is None or len(damaged) > 10_000:
                return


def _decodable(path: pathlib.Path, container: Any) -> Any:
    """The video stream. Raises UserError if there is none that can be decoded."""
    stream = main_stream(container)
    if stream is None:
        kinds = ", ".join(sorted({each.type for each in container.streams})) or "nothing"
        raise UserError(f"{path}: has no video, only {kinds}; name a film")
    if stream.codec_context is None:
        raise UserError(f"{path}: its video codec is not among those of PyAV; convert it to H.264 first")
    return stream


def _facts(container: Any, stream: Any, first: Any) -> Facts:
    base = Fraction(stream.time_base)
    rate = Fraction(stream.average_rate or stream.guessed_rate or USUAL_RATE)
    turn = _display_matrix(first)
    size = (first.height, first.width)
    duration = stream.duration and stream.duration * base
    if duration is None and container.duration:
        duration = Fraction(container.duration, 1_000_000)
    return Facts(
        size=size[::-1] if swaps_sides(turn) else size,
        rate=rate,
        time_base=base,
        begin=(stream.start_time or 0) * base,
        origin=_origin(container),
        duration=duration,
        count=stream.frames or (duration and round(duration * rate)) or None,
        turn=turn,
        aspect=Fraction(stream.sample_aspect_ratio or 1),
        colours=_colours(first),
        full_chroma=first.format.is_rgb or _has_full_chroma(first.format),
        lossless=stream.codec_context.name in ("ffv1", "png", "utvideo", "huffyuv", "qtrle", "rawvideo"),
    )


def _origin(container: Any) -> Fraction:
    """When the clock of a film begins. In other formats, a late begin is meant, and kept."""
    starts = [each.start_time * each.time_base for each in container.streams if each.start_time is not None]
    return min(starts) if starts and int(container.format.flags) & ANY_CLOCK else Fraction(0)


def _colours(frame: Any) -> Colours:
    full = 2 if frame.format.name.startswith("yuvj") else 0
    return Colours(
        0 if frame.format.is_rgb else int(frame.colorspace),
        int(frame.color_range) or full,
        int(frame.color_primaries),
        int(frame.color_trc),
    )


def _has_full_chroma(layout: Any) -> bool:
    """Whether a pixel format stores colour for each pixel."""
    return len(layout.components) >= 3 and layout.chroma_width(64) == 64 and layout.chroma_height(64) == 64


def _display_matrix(frame: Any) -> tuple[int, ...] | None:
    data = frame.side_data.get("DISPLAYMATRIX")  # an iteration gives keys in PyAV 19 and values before
    matrix = data and struct.unpack("9i", bytes(data))
    return None if matrix == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30) else matrix


def _notices(facts: Facts, first: Any) -> Iterator[str]:
    """Remarks for the user."""
    if facts.colours.transfer in HDR:
        yield f"is HDR ({HDR[facts.colours.transfer]}); it is turned to SDR"
    if first.interlaced_frame:
        yield "is interlaced: each frame holds two half pictures, which are restyled together"
    if any(component.is_alpha for component in first.format.components):
        yield "has transparency, which is left out"


def _refuse_bomb(path: str | os.PathLike, size: tuple[int, int]) -> None:
    pixels, limit = size[0] * size[1], asked_pixels() or MAX_PIXELS
    if pixels > limit:
        raise UserError(
            f"{path}: its frames have {size[1]}x{size[0]} pixels; the limit is {limit / 1e6:.10g} megapixels; give a "
            "higher --max-megapixels"
        )
