"""Copies sound, subtitles, chapters and metadata of a film to another one, packet by packet.

Sound that the other container cannot hold, such as AAC in WebM, is encoded anew.
"""

import dataclasses
import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from kgan.film.pyav import pyav

CONTAINERS_OWN = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "ENCODER", "DURATION", "rotate"}
)
"""Metadata that describe the file and not the film."""

COPIED = ("audio", "subtitle", "attachment")
"""Kinds of streams that are copied."""

ENCODERS = {"webm": "libopus", "matroska": "libopus", "mp4": "aac", "mov": "aac"}
"""By FFmpeg's name of a container, the encoder for sound that it cannot hold."""

RATE = 48_000
"""Samples a second of sound that is encoded anew: the one rate of Opus."""

LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""The channels that Opus has, by their number. FFmpeg mixes others, such as "5.1(side)" of AC-3, into these."""

LEAD = Fraction(1, 10)
"""Seconds before the beginning of a film from which sound is kept that is not heard: decoders start with it."""

ATTACHED_PICTURE = 1 << 10
"""FFmpeg's mark of a stream that is a cover picture."""


@dataclasses.dataclass(frozen=True)
class Copied:
    """Streams of a film that are copied.

    Attributes:
        streams: stream of the copy by the index of the stream of the film.
        encoded: indices of the streams whose sound is encoded anew.
        left_out: names of the streams that the container of the copy cannot hold.
    """

    streams: dict[int, Any]
    encoded: list[int]
    left_out: list[str]


def add_copies(source: Any, output: Any) -> Copied:
    """Add a stream for each one that is copied.

    Args:
        source: PyAV container of the film.
        output: PyAV container of the copy, whose header is not written yet.

    Returns:
        The streams.
    """
    copied = Copied({}, [], [])
    for stream in source.streams:
        if stream.type not in COPIED:
            continue
        if _holds(output.format.name, stream):
            copy = output.add_stream_from_template(stream, opaque=True)
        elif stream.type == "audio" and stream.codec_context is not None:
            copy = _add_encoder(stream, output)
            copied.encoded.append(stream.index)
        else:
            copied.left_out.append(named(stream))
            continue
        copy.disposition = int(stream.disposition)
        copy.metadata.update(_told(stream.metadata))
        copied.streams[stream.index] = copy
    return copied


def _holds(container: str, stream: Any) -> bool:
    """Whether a container holds a stream as it is. Some refuse a codec only when their header is written."""
    if stream.type == "attachment" and container != "matroska":
        return False  # WebM would leave it out silently
    trial = pyav().open(io.BytesIO(), "w", format=container)
    try:
        with trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (ValueError, pyav().FFmpegError):
        return False
    return True


def _add_encoder(stream: Any, output: Any) -> Any:
    """A stream of the copy whose sound is encoded anew, with the channels of the film's."""
    channels = min(max(1, stream.codec_context.layout.nb_channels), max(LAYOUTS))
    settings = {"rate": RATE, "layout": LAYOUTS[channels], "bit_rate": 64_000 * channels}
    return output.add_stream(ENCODERS[output.format.name], **settings)


def named(stream: Any) -> str:
    """A stream in words, such as "sound in de (aac)"."""
    return f"{_described(stream)} ({_codec(stream)})"


def not_copied(source: Any, film: Any) -> list[str]:
    """Names of the streams of a film that no copy gets: cover pictures, further videos and data.

    Args:
        source: PyAV container of the film.
        film: its video stream that is restyled.
    """
    others = (stream for stream in source.streams if stream.type not in COPIED and stream.index != film.index)
    return [_name_of_other(stream) for stream in others if not _holds_chapters(stream, source)]


def _name_of_other(stream: Any) -> str:
    """A stream in words that is neither sound nor text, such as "a cover picture" or "data (SoundHandler)"."""
    if stream.type == "video":
        return "a cover picture" if int(stream.disposition) & ATTACHED_PICTURE else "another video"
    name = stream.metadata.get("handler_name") or stream.name
    return f"{stream.type} ({name})" if name else str(stream.type)


def _holds_chapters(stream: Any, source: Any) -> bool:
    """Whether a data stream holds the names of chapters, which are copied as chapters."""
    chapters = source.chapters()
    return bool(chapters) and stream.type == "data" and stream.frames == len(chapters)


def _described(stream: Any) -> str:
    language = stream.metadata.get("language", "und")
    kind = {"audio": "sound", "subtitle": "subtitles"}.get(stream.type, stream.type)
    return kind if language == "und" else f"{kind} in {language}"


def _codec(stream: Any) -> str:
    return stream.codec_context.name if stream.codec_context is not None else "unknown codec"


def copied_packets(
    source: Any, copied: Copied, origin: Fraction, end: Fraction | None
) -> Iterator[tuple[Fraction, Any]]:
    """The packets of the copied streams, in the order of the file.

    Args:
        source: PyAV container of the film.
        copied: its copied streams.
        origin: the time in seconds that becomes 0.
        end: packets from this time on are left out. None for no end.

    Returns:
        An iterator over (time in seconds, packet for the output).
    """
    av = pyav()
    encoders = {index: _Encoder(copied.streams[index]) for index in copied.encoded}
    chosen = [stream for stream in source.streams if stream.index in copied.streams and stream.type != "attachment"]
    packets = iter(source.demux(*chosen)) if chosen else iter(())
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the file is cut off, of which reading the frames has warned
            return
        if packet is None:
            for encoder in encoders.values():
                yield from encoder.rest()
            return
        if packet.pts is None and packet.dts is None:
            continue
        place = packet.pts if packet.pts is not None else packet.dts
        time = place * Fraction(packet.time_base)
        if (origin and time < origin) or (end is not None and time >= end) or (packet.is_discard and time < -LEAD):
            continue
        if packet.stream.index in encoders:
            yield from encoders[packet.stream.index].encoded(packet, origin)
            continue
        shift = round(origin / Fraction(packet.time_base))
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = (place if packet.dts is None else packet.dts) - shift
        order = packet.dts * Fraction(packet.time_base)
        packet.stream = copied.streams[packet.stream.index]
        yield order, packet


class _Encoder:
    """Encodes the sound of a stream anew."""

    def __init__(self, stream: Any):
        """Args: stream: the stream of the copy."""
        context = stream.codec_context
        context.open()
        self._stream = stream
        self._resampler = pyav().AudioResampler(context.format, context.layout, context.rate, context.frame_size)

    def encoded(self, packet: Any, origin: Fraction) -> Iterator[tuple[Fraction, Any]]:
        """The packets that are ready after another packet of the film, as those of `copied_packets`."""
        try:
            frames = packet.decode()
        except pyav().FFmpegError:  # a damaged packet, which a player skips too
            frames = []
        for frame in frames:
            if frame.pts is not None:
                frame.pts -= round(origin / Fraction(frame.time_base))
            yield from self._packets(frame)

    def rest(self) -> Iterator[tuple[Fraction, Any]]:
        """The last packets."""
        yield from self._packets(None)
        yield from self._timed(self._stream.encode(None))

    def _packets(self, frame: Any) -> Iterator[tuple[Fraction, Any]]:
        for ready in self._resampler.resample(frame):
            yield from self._timed(self._stream.encode(ready))

    def _timed(self, packets: list[Any]) -> Iterator[tuple[Fraction, Any]]:
        return ((packet.dts * Fraction(packet.time_base), packet) for packet in packets)


def copy_texts(source: Any, output: Any, origin: Fraction, end: Fraction | None, strip_metadata: bool) -> None:
    """Copy chapters and metadata. Chapters outside of the part of the film are left out.

    Args:
        source: PyAV container of the film.
        output: PyAV container of the copy, whose header is not written yet.
        origin: the time in seconds that becomes 0.
        end: the time in seconds where the part ends, or None.
        strip_metadata: leave metadata out.
    """
    if not strip_metadata:
        output.metadata.update(_told(source.metadata))
    chapters = [_chapter(each, origin, end) for each in source.chapters()]
    output.set_chapters([each for each in chapters if each["end"] > each["start"]])


def _told(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key not in CONTAINERS_OWN}


def _chapter(chapter: dict[str, Any], origin: Fraction, end: Fraction | None) -> dict[str, Any]:
    base = Fraction(chapter["time_base"])
    first, last = round(origin / base), chapter["end"] if end is None else min(chapter["end"], round(end / base))
    return {**chapter, "start": max(chapter["start"] - first, 0), "end": last - first}
