"""Writes animated GIF, WebP and PNG files with FFmpeg, one frame after the other."""

import pathlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from kgan.film.frames import Facts
from kgan.film.pyav import pyav
from kgan.images.pictures import QUALITY, Writing

UNITS = {"gif": Fraction(1, 100), "webp": Fraction(1, 1000), "apng": Fraction(1, 1000)}
"""The unit of times by the kind of animation, in seconds."""

LEAST = {"gif": 2, "webp": 11, "apng": 11}
"""The shortest duration of a frame in these units. Browsers show a frame of 10 ms or less for 100 ms."""

ENCODERS = {"gif": ("gif", "pal8"), "webp": ("libwebp_anim", "bgra"), "apng": ("apng", "rgba")}
"""FFmpeg's encoder and its pixel format by the kind of animation."""

TRANSPARENT = 255
"""The palette's index of transparent pixels in a GIF."""

Shown = tuple[np.ndarray, Fraction, Fraction]
"""A frame, uint8 [H, W, 3|4], and the times in seconds between which it is shown."""


def lasting(times: Sequence[Fraction], kind: str) -> list[int]:
    """Which frames are written: those that are shown for long enough, counted from the first frame on.

    Args:
        times: the times of all frames in seconds.
        kind: "gif", "webp" or "apng".

    Returns:
        Their indices.

    Example:

    >>> lasting([Fraction(k, 60) for k in range(7)], "gif"), lasting([Fraction(k, 50) for k in range(3)], "gif")
    ([0, 1, 3, 4, 6], [0, 1, 2])
    """
    kept: list[int] = []
    for index, time in enumerate(times):
        if not kept or round(time / UNITS[kind]) - round(times[kept[-1]] / UNITS[kind]) >= LEAST[kind]:
            kept.append(index)
    return kept


def write_animation(
    path: pathlib.Path, kind: str, frames: Iterable[Shown], last: Fraction, facts: Facts, writing: Writing
) -> None:
    """Write an animation.

    Args:
        path: the file.
        kind: "gif", "webp" or "apng".
        frames: its frames in their order, each `lasting`.
        last: the duration of the last frame in seconds, which some formats store before all frames.
        facts: the film.
        writing: the quality, and whether WebP is lossless.
    """
    encoder, layout = ENCODERS[kind]
    unit, (height, width) = UNITS[kind], facts.size
    output = pyav().open(str(path), "w", format=kind, container_options=_container_options(kind, last, facts))
    with output:
        stream = output.add_stream(
            encoder, rate=10, options=_options(kind, facts, writing), width=width, height=height, time_base=unit
        )
        stream.pix_fmt = layout
        for pixels, time, end in frames:
            frame = _as_palette(pixels) if layout == "pal8" else _as_layout(pixels, layout)
            frame.time_base, frame.pts = unit, round(time / unit)
            frame.duration = max(LEAST[kind], round(end / unit) - frame.pts)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    if kind == "webp":
        _set_last_duration(path, max(LEAST[kind], round(last / unit)))


def _container_options(kind: str, last: Fraction, facts: Facts) -> dict[str, str]:
    loop = 0 if facts.loop is None else facts.loop
    delay = max(LEAST[kind], round(last / UNITS[kind]))
    if kind == "gif":
        return {"loop": str(-1 if loop == 1 else loop), "final_delay": str(delay)}
    if kind == "apng":
        return {"plays": str(loop), "final_delay": f"{delay}/1000"}
    return {"loop": str(loop)}


def _options(kind: str, facts: Facts, writing: Writing) -> dict[str, str]:
    if kind != "webp":
        return {}
    lossless = writing.format == "webp-lossless" or (
        writing.format is None and writing.quality is None and facts.lossless
    )
    return {"lossless": "1"} if lossless else {"quality": str(writing.quality or QUALITY)}


def _as_layout(pixels: np.ndarray, layout: str) -> Any:
    given = "rgba" if pixels.shape[-1] == 4 else "rgb24"
    return pyav().VideoFrame.from_ndarray(np.ascontiguousarray(pixels), given).reformat(format=layout)


def _as_palette(pixels: np.ndarray) -> Any:
    """A frame with 255 colours of its own, and a transparent one."""
    small = Image.fromarray(np.ascontiguousarray(pixels[..., :3])).quantize(TRANSPARENT)
    palette = np.zeros((256, 4), np.uint8)  # alpha, R, G, B
    palette[:TRANSPARENT, 0] = 255
    colours = np.frombuffer(bytes(small.getpalette() or ()), np.uint8).reshape(-1, 3)
    palette[: len(colours), 1:] = colours
    indices = np.array(small)
    if pixels.shape[-1] == 4:
        indices[pixels[..., 3] < 128] = TRANSPARENT
    return pyav().VideoFrame.from_ndarray((indices, palette), format="pal8")


def _set_last_duration(path: pathlib.Path, milliseconds: int) -> None:
    """Write the duration of the last frame of a WebP file, which FFmpeg sets to the mean of the others."""
    with path.open("r+b") as file:
        file.seek(12)
        last = None
        while len(head := file.read(8)) == 8:
            if head[:4] == b"ANMF":
                last = file.tell() + 12
            length = int.from_bytes(head[4:], "little")
            file.seek(length + length % 2, 1)
        if last is not None:
            file.seek(last)
            file.write(milliseconds.to_bytes(3, "little"))
