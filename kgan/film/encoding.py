"""Chooses the encoder of a film and encodes frames into segments."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kgan.errors import UserError, hinted, nearest
from kgan.film.colours import FromRGB, written_colours
from kgan.film.frames import Facts, Frame, as_stored
from kgan.film.pyav import pyav
from kgan.images.pictures import over_white, to_float, to_uint8

CODECS = {
    "h264": "libx264", "h265": "libx265", "hevc": "libx265", "vp8": "libvpx", "vp9": "libvpx-vp9", "av1": "libsvtav1",
    "prores": "prores_ks", "ffv1": "ffv1", "mpeg4": "mpeg4",
}  # fmt: skip
"""FFmpeg's encoders by the usual names of their codecs."""

USUAL = {"webm": "libvpx-vp9"}
"""The encoder by the container; libx264 for others."""

QUALITIES = {
    "libx264": (17, 51),
    "libx265": (20, 51),
    "libvpx": (10, 63),
    "libvpx-vp9": (24, 63),
    "libsvtav1": (28, 63),
}
"""The default of --crf and its largest value, by the encoder."""

OPTIONS = {
    # Within 0.1 dB of "medium" with crf 18, and 8 to 18% larger, in less than half the time: docs/benchmarks_log.md.
    # The AVX-512 code of mbtree does not always give the same bits.
    "libx264": {"preset": "veryfast", "x264-params": "mbtree=0"},
    "libx265": {"x265-params": "log-level=error"},
    "libvpx": {"deadline": "good", "cpu-used": "4", "b": "0"},
    "libvpx-vp9": {"deadline": "good", "cpu-used": "4", "row-mt": "1", "b": "0"},
    "libsvtav1": {"preset": "8"},
}
"""Options by the encoder."""

LOSSLESS = "png"
"""The encoder of frames that become pictures or an animation, which cannot be joined from parts."""

HELD = {
    "libx264": 48, "libx265": 340, "libvpx": 48, "libvpx-vp9": 180, "libsvtav1": 250, "prores_ks": 25, "ffv1": 80,
    "mpeg4": 48, "png": 15,
}  # fmt: skip
"""Bytes per pixel that an encoder holds, such as the frames to which later ones are compared. They are measured as the
growth of a process, with 16 threads, and rounded up. Those of an unknown encoder are the most of these."""

ANY_SIZE = frozenset({"libvpx", "libvpx-vp9", "libsvtav1", "ffv1", "png", "mpeg4", "prores_ks"})
"""Encoders that take odd sizes where colour has half the resolution."""

PIXEL_FORMATS = {"png": "rgb24", "ffv1": "yuv444p", "prores_ks": "yuv422p10le"}
"""The pixel format by the encoder, for those that have one for all films."""

TELLS_ASPECT = frozenset({"libx264", "libx265", "mpeg4"})
"""Encoders whose stream tells the aspect of pixels. PyAV cannot write it to the header of Matroska and WebM."""

FULL_CHROMA = frozenset({"libx264", "libx265", "libvpx-vp9"})
"""Encoders that can store colour at full resolution."""

SEGMENTS = ("nut", "mov")
"""Containers of segments, the first that holds the codec. Both keep times exactly and can be played."""


@dataclasses.dataclass(frozen=True)
class Coding:
    """How a film is encoded. It is stored with the segments, so that a resumed film is encoded in the same way.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        pixel_format: FFmpeg's name of the pixel format.
        crf: the quality, or None if the encoder has no such setting.
        threads: threads of the encoder, on which the result depends.
    """

    encoder: str
    pixel_format: str
    crf: float | None
    threads: int

    @property
    def bytes_per_pixel(self) -> int:
        """The memory in bytes that the encoder needs per pixel of a frame."""
        held = HELD.get(self.encoder, max(HELD.values()))
        return 2 * held if self.encoder in FULL_CHROMA and self.pixel_format == "yuv444p" else held


def choose(facts: Facts, container: str | None, codec: str | None, crf: float | None, threads: int) -> Coding:
    """Choose how a film is encoded.

    Args:
        facts: the film.
        container: FFmpeg's name of the container, or None for pictures and animations.
        codec: the codec or encoder that the user names, or None.
        crf: the quality that the user names, or None.
        threads: threads of the encoder.

    Returns:
        The choice.

    Raises:
        UserError: if there is no such encoder, or it has no such quality.
    """
    if container is None:
        for option, value in (("--codec", codec), ("--crf", crf)):
            if value is not None:
                raise UserError(f"{option} {value}: pictures and animations have none; name an .mp4 or .mkv file")
        return Coding(LOSSLESS, "rgba" if facts.channels == 4 else "rgb24", None, threads)
    encoder = USUAL.get(container, "libx264") if codec is None else _encoder(codec)
    return Coding(encoder, _pixel_format(encoder, facts), _crf(encoder, crf), threads)


def _encoder(codec: str) -> str:
    av, name = pyav(), CODECS.get(str(codec).lower(), str(codec))
    try:
        found = av.Codec(name, "w")
    except (av.codec.codec.UnknownCodecError, ValueError):
        advice = hinted(nearest(codec, CODECS), f"give one of {', '.join(CODECS)}, or FFmpeg's name of one")
        raise UserError(f"--codec {codec}: PyAV has no such encoder; {advice}") from None
    if found.type != "video":
        raise UserError(f"--codec {codec}: encodes {found.type}; give one of {', '.join(CODECS)}")
    return name


def _crf(encoder: str, crf: float | None) -> float | None:
    default, largest = QUALITIES.get(encoder, (None, 0))
    if crf is None:
        return default
    if default is None:
        raise UserError(f"--crf {crf:g}: {encoder} has no such setting; leave it out, or give --codec h264")
    if not 0 <= crf <= largest:
        raise UserError(f"--crf should be from 0 to {largest} for {encoder}. Received: {crf:g}")
    return crf


def _pixel_format(encoder: str, facts: Facts) -> str:
    if encoder in PIXEL_FORMATS:
        return PIXEL_FORMATS[encoder]
    is_odd = any(side % 2 for side in facts.size) and encoder not in ANY_SIZE
    return "yuv444p" if is_odd or (facts.full_chroma and facts.channels == 3 and encoder in FULL_CHROMA) else "yuv420p"


def add_encoder(output: Any, coding: Coding, facts: Facts) -> Any:
    """Add the video stream of an encoder to an opened PyAV container.

    Args:
        output: the container.
        coding: how the film is encoded.
        facts: the film.

    Returns:
        The stream.
    """
    height, width = facts.stored_size
    options = dict(OPTIONS.get(coding.encoder, {}))
    if coding.crf is not None:
        options["crf"] = f"{coding.crf:g}"
    rate = facts.rate.limit_denominator(100_000)
    stream = output.add_stream(
        coding.encoder, rate=rate, options=options, width=width, height=height, time_base=facts.time_base
    )
    context = stream.codec_context
    context.pix_fmt, context.thread_count = coding.pixel_format, coding.threads
    context.max_b_frames = 0  # frames are then stored in their order, so that segments can be joined
    describe(context, facts)
    return stream


def describe(context: Any, facts: Facts) -> None:
    """Set the aspect and the colours of a film in a codec context, before its file is begun."""
    context.sample_aspect_ratio = facts.aspect
    if context.pix_fmt.startswith("yuv"):
        colours = written_colours(facts.colours)
        context.colorspace, context.color_range = colours.matrix, colours.range
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer


class SegmentWriter:
    """Encodes frames to a file of its own, which can be played.

    Args:
        path: the file.
        coding: how it is encoded.
        facts: the film.
        containers: FFmpeg's names of its container, the first that holds the codec.
    """

    def __init__(self, path: pathlib.Path, coding: Coding, facts: Facts, containers: Sequence[str] = SEGMENTS):
        self._facts = facts
        self._convert = FromRGB(written_colours(facts.colours), coding.pixel_format)
        self._keeps_alpha = coding.pixel_format == "rgba"
        self._output, self._stream = _opened(path, coding, facts, containers)

    def write(self, pixels: np.ndarray, frame: Frame) -> None:
        """Encode a picture, uint8 [H, W, 1|3|4], with the time of a frame."""
        stored = as_stored(_in_channels(pixels, self._keeps_alpha), self._facts.turn)
        made = self._convert(stored)
        made.time_base = self._facts.time_base
        made.pts = round(frame.time / self._facts.time_base)
        made.duration = round(frame.duration / self._facts.time_base)
        self._output.mux(self._stream.encode(made))

    def close(self) -> None:
        """Finish the file."""
        self._output.mux(self._stream.encode(None))
        self._output.close()


def _opened(path: pathlib.Path, coding: Coding, facts: Facts, containers: Sequence[str]) -> tuple[Any, Any]:
    """A file in the first container that holds the codec, and its stream."""
    for container in containers:
        output = pyav().open(str(path), "w", format=container)
        try:
            return output, add_encoder(output, coding, facts)
        except ValueError:  # the container does not hold the codec
            output.close()
    raise UserError(
        f"--codec {coding.encoder}: films of this codec cannot be made in parts; give one of {', '.join(CODECS)}"
    )


def _in_channels(pixels: np.ndarray, keeps_alpha: bool) -> np.ndarray:
    """uint8 [H, W, 4] if alpha is kept, else [H, W, 3]."""
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    if keeps_alpha and pixels.shape[-1] == 3:
        return np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=-1)
    if not keeps_alpha and pixels.shape[-1] == 4:
        return to_uint8(over_white(to_float(pixels)))
    return pixels
