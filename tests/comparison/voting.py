"""Small photos with two results, and files of votes. Results of A are red, results of B are blue."""

import base64
import json
import re

from PIL import Image

RED, BLUE = (200, 30, 30), (30, 30, 200)
SIZE = (60, 40)


def make_pictures(folder, names=("1.png", "2.png", "3.png", "4.png"), colour=(90, 90, 90), size=SIZE):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path, comment="camera of anna")
    return folder


def make_folders(here, **more):
    """photos/, red/ and blue/."""
    make_pictures(here / "photos", **more)
    return make_pictures(here / "red", colour=RED, **more), make_pictures(here / "blue", colour=BLUE, **more)


def opened(page):
    """The key to the sides in a page, as its script decodes it."""
    (sealed,) = re.findall(r'<script id="sealed"[^>]*>([^<]*)<', page.read_text(encoding="utf-8"))
    return json.loads(base64.b64decode(sealed))


def ballot(path, choices, **changes):
    """A file of votes as the page writes it. `choices`: such as "aab-", where "-" is no preference."""
    words = {"a": "a", "b": "b", "-": "none"}
    votes = [
        {"photo": f"{k}.png", "choice": words[choice], "first": "ab"[k % 2]} for k, choice in enumerate(choices, 1)
    ]
    held = {"format": "kgan votes 1", "comparison": "c", "ballot": path.stem, "voter": path.stem.title(),
            "question": "?", "a": "red", "b": "blue", "votes": votes}  # fmt: skip
    path.write_text(json.dumps(held | changes), encoding="utf-8")
    return path
