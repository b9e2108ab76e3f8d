"""Recognises films by their content and their names. This module imports neither TensorFlow nor PyAV."""

import os
import pathlib

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's names of the containers that are written, by the suffix of the file."""

ANIMATIONS = {".gif": "gif", ".webp": "webp", ".png": "apng", ".apng": "apng"}
"""FFmpeg's names of the animations that are written, by the suffix of the file."""

OTHER = ".mkv"
"""Suffix of the result of a film in a container that is not written: Matroska holds nearly every kind of sound."""

SUFFIXES = frozenset(CONTAINERS) | frozenset({
    ".3g2", ".3gp", ".asf", ".avi", ".f4v", ".flv", ".m2t", ".m2ts", ".mjpeg", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf",
    ".nut", ".ogm", ".ogv", ".rm", ".ts", ".vob", ".wmv", ".y4m", ".264", ".265", ".h264", ".h265", ".hevc", ".ivf",
    ".dv", ".m1v", ".m2v", ".obu", ".avc", ".divx",
})  # fmt: skip
"""Suffixes of files that are read as films."""

_STILL_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_STARTS = (
    b"\x1a\x45\xdf\xa3",
    b"FLV\x01",
    b"OggS",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    b"\x00\x00\x01\xba",
    b"nut/multimedia",
)
"""First bytes of Matroska and WebM, Flash, Ogg, Windows Media, MPEG and NUT."""


def is_film(path: str | os.PathLike) -> bool:
    """Whether a file is a film, by its first bytes, or if they tell nothing, by its suffix."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        head = file.read(16)
    if head[4:8] == b"ftyp":
        return head[8:12] not in _STILL_BRANDS
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8")) or head[8:12] == b"WEBP":
        return False
    if head.startswith(_STARTS) or (head.startswith(b"RIFF") and head[8:12] == b"AVI "):
        return True
    return pathlib.PurePath(path).suffix.lower() in SUFFIXES


def names_film(path: str | os.PathLike) -> bool:
    """Whether an output of this name is a film: a container, or an animation that is never a still picture."""
    return pathlib.PurePath(path).suffix.lower() in {*CONTAINERS, ".gif", ".apng"}
