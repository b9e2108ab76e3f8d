"""Writes the page for blind votes: one HTML file and a folder of pictures, for file:// and for any host.

Nothing on the page tells which side is which: the pictures have neutral names, the same format and size, no metadata
and equal times. The key to the sides is encoded in the page, which decodes it after the last vote.
"""

import base64
import dataclasses
import hashlib
import html
import importlib.resources
import json
import os
import pathlib
import random
import string

import numpy as np

from kgan.errors import counted
from kgan.images.pictures import save_picture

TEMPLATES = importlib.resources.files(__package__) / "templates"


@dataclasses.dataclass(frozen=True)
class Study:
    """What is compared.

    Attributes:
        a: name of A.
        b: name of B.
        photos: names of the photos, in the order of the page.
        question: what the page asks.
        seed: seed of the sides.
    """

    a: str
    b: str
    photos: tuple[str, ...]
    question: str
    seed: int

    def firsts(self) -> list[str]:
        """Which of "a" and "b" is shown first, by photo. Each is first for half of the photos.

        It depends on the names too, so that it differs between studies with the same seed.
        """
        draw = random.Random(hashlib.sha256(json.dumps(dataclasses.astuple(self)).encode()).digest())
        order = draw.sample("ab", 2) * (len(self.photos) // 2 + 1)
        return draw.sample(order[: len(self.photos)], len(self.photos))


def save_pictures(folder: pathlib.Path, place: int, pictures: dict[str, np.ndarray], first: str) -> None:
    """Write the three pictures of a photo.

    Args:
        folder: the folder of the page.
        place: index of the photo.
        pictures: the pictures "photo", "a" and "b", uint8 [H, W, 3] of the same shape.
        first: "a" or "b", which is shown first.
    """
    shown = {"photo": "photo", "1": first, "2": "b" if first == "a" else "a"}
    for part, name in shown.items():
        save_picture(pictures[name], folder / picture_name(place, part))


def picture_name(place: int, part: str) -> str:
    """The path of a picture below the page. `part`: "photo", "1" or "2"."""
    return f"pictures/{place + 1:04}-{part}.jpg"


def write_page(folder: pathlib.Path, study: Study) -> None:
    """Write the page of pictures that are in its folder.

    Args:
        folder: the folder.
        study: what is compared.
    """
    names = [picture_name(place, part) for place in range(len(study.photos)) for part in ("photo", "1", "2")]
    key = {"a": study.a, "b": study.b, "question": study.question}
    photos = [{"photo": photo, "first": first} for photo, first in zip(study.photos, study.firsts(), strict=True)]
    sealed = json.dumps(key | {"photos": photos}).encode()
    identity = hashlib.sha256(sealed)
    for name in names:
        identity.update((folder / name).read_bytes())
    contents = {
        "question": html.escape(study.question),
        "count": str(len(study.photos)),
        "photos": counted(len(study.photos), "photo"),
        "identity": identity.hexdigest()[:16],
        "sealed": base64.b64encode(sealed).decode(),
        "style": (TEMPLATES / "page.css").read_text(encoding="utf-8"),
        "script": (TEMPLATES / "page.js").read_text(encoding="utf-8"),
    }
    template = string.Template((TEMPLATES / "page.html").read_text(encoding="utf-8"))
    (folder / "index.html").write_text(template.substitute(contents), encoding="utf-8")
    now = (folder / "index.html").stat().st_mtime
    for name in names:  # the order in which they were made could tell the sides
        os.utime(folder / name, (now, now))
