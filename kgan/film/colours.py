"""Converts frames between FFmpeg's YCbCr and RGB with the right matrix and range, and HDR to SDR.

Where a file does not tell its matrix, it is guessed as players do. Frames are written with the matrix and range that
their film has, so that they come back with the colours that went in.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from kgan.film.frames import BT601, BT709, BT2020, FULL, LIMITED, UNKNOWN, Colours
from kgan.film.pyav import pyav

HIGH_DEFINITION = 720
"""Films with at least this height are taken as BT.709 if they do not tell their matrix, others as BT.601."""

_SWSCALE = {BT709: 1, 4: 4, 5: 5, BT601: 5, 7: 7, BT2020: 9, 10: 9}
"""FFmpeg's numbers of the matrices in its scaler by their numbers in H.273."""

PQ, HLG = 16, 18
HDR = {PQ: "PQ", HLG: "HLG"}
"""Names of transfer functions of films with a high dynamic range, by their numbers."""


def _flags() -> int:
    """Of FFmpeg's scaler: exact arithmetic that is the same on all processors, and colour at full resolution."""
    way = pyav().video.reformatter.Interpolation
    return int(way.BICUBIC | way.ACCURATE_RND | way.FULL_CHR_H_INT | way.FULL_CHR_H_INP | way.BITEXACT)


def known_matrix(colours: Colours, height: int) -> int:
    """The matrix of a film, guessed from its height in pixels if it does not tell it."""
    if colours.matrix in _SWSCALE:
        return colours.matrix
    return BT709 if height >= HIGH_DEFINITION else BT601


def written_colours(colours: Colours) -> Colours:
    """The colours with which a film is written: those that it has, and BT.709 for RGB and HDR."""
    if colours.matrix == 0 or colours.transfer in HDR:
        return Colours(BT709, LIMITED, BT709, BT709)
    return dataclasses.replace(colours, matrix=UNKNOWN if colours.matrix not in _SWSCALE else colours.matrix)


class ToRGB:
    """Converts decoded frames to RGB.

    Args:
        colours: the colours of the film.
        size: stored height and width in pixels. A frame of another size is scaled.
    """

    def __init__(self, colours: Colours, size: tuple[int, int]):
        self._colours, self._size = colours, size
        self._reformatter = pyav().video.reformatter.VideoReformatter()

    def __call__(self, frame: Any) -> np.ndarray:
        """uint8 [H, W, 3] of a PyAV frame."""
        hdr = self._colours.transfer in HDR
        made = self._reformatter.reformat(
            frame, self._size[1], self._size[0], "rgb48le" if hdr else "rgb24", **self._conversion(frame),
            interpolation=_flags(), threads=1,
        )  # fmt: skip
        pixels = made.to_ndarray()
        return to_sdr(pixels, self._colours.transfer) if hdr else pixels

    def _conversion(self, frame: Any) -> dict[str, int]:
        if frame.format.is_rgb:
            return {}
        matrix = _SWSCALE[known_matrix(self._colours, self._size[0])]
        given = self._colours.range or (FULL if frame.format.name.startswith("yuvj") else LIMITED)
        return {"src_colorspace": matrix, "src_color_range": given, "dst_color_range": FULL}


class FromRGB:
    """Converts RGB pixels to frames for an encoder.

    Args:
        colours: the colours of the written film.
        pixel_format: FFmpeg's name of the encoder's pixel format.
    """

    def __init__(self, colours: Colours, pixel_format: str):
        self._colours, self._format = colours, pixel_format
        self._reformatter = pyav().video.reformatter.VideoReformatter()

    def __call__(self, pixels: np.ndarray) -> Any:
        """A PyAV frame of uint8 [H, W, 3|4]."""
        av = pyav()
        given = "rgba" if pixels.shape[-1] == 4 else "rgb24"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), given)
        if given == self._format:
            return frame
        if av.VideoFormat(self._format).is_rgb:
            return self._reformatter.reformat(frame, format=self._format, threads=1)
        made = self._reformatter.reformat(
            frame, format=self._format, src_color_range=FULL,
            dst_colorspace=_SWSCALE[known_matrix(self._colours, pixels.shape[0])],
            dst_color_range=self._colours.range or LIMITED, interpolation=_flags(), threads=1,
        )  # fmt: skip
        made.colorspace, made.color_range = self._colours.matrix, self._colours.range or LIMITED
        return made


# --- high dynamic range -----------------------------------------------------------------------------------------------

WHITE = 203.0
"""Luminance of white paper in HDR films in cd/m2 (ITU-R BT.2408)."""

_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
"""Linear BT.2020 to linear BT.709 (ITU-R BT.2087)."""


def to_sdr(pixels: np.ndarray, transfer: int) -> np.ndarray:
    """Convert an HDR picture to SDR: white paper stays white paper, and highlights are compressed above it.

    Args:
        pixels: uint16 RGB [H, W, 3] with the primaries of BT.2020.
        transfer: 16 for PQ or 18 for HLG.

    Returns:
        uint8 RGB [H, W, 3] with the primaries of BT.709.

    Reference: [ITU-R BT.2408](https://www.itu.int/pub/R-REP-BT.2408).
    """
    light = _light_of(transfer)[pixels]  # 1 is white paper
    if transfer == HLG:  # the display makes bright areas brighter, by their luminance
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= (np.maximum(luminance, 1e-6) ** 0.2)[..., None]
    light = np.maximum(light @ _TO_BT709.T, 0.0)
    peak = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    light *= _compressed(peak) / peak  # all three channels alike, which keeps the hue
    return np.rint(_bt709_curve()[np.rint(light * 4095).astype(np.int32)]).astype(np.uint8)


def _compressed(light: np.ndarray, knee: float = 0.75) -> np.ndarray:
    """Equal up to the knee; above it, it nears 1 asymptotically."""
    above = np.maximum(light - knee, 0.0) / (1 - knee)
    return np.where(light <= knee, light, knee + (1 - knee) * above / (1 + above)).astype(np.float32)


@functools.cache
def _light_of(transfer: int) -> np.ndarray:
    """Linear light, where 1 is white paper, by the uint16 values of the transfer function."""
    values = np.linspace(0.0, 1.0, 65536)
    if transfer == PQ:  # ITU-R BT.2100, table 4
        power = values ** (1 / 78.84375)
        return (
            10000 / WHITE * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
        ).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073  # ITU-R BT.2100, table 5
    scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
    paper = (np.exp((0.75 - c) / a) + b) / 12  # HLG's white paper is at 75%
    return (scene / paper).astype(np.float32)


@functools.cache
def _bt709_curve() -> np.ndarray:
    """The values from 0 to 255 of linear light in 4096 steps, by the gamma of displays (ITU-R BT.1886)."""
    return (255 * np.linspace(0.0, 1.0, 4096) ** (1 / 2.4)).astype(np.float32)
