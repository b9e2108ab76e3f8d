"""File names that are no UTF-8."""

import os

import pytest
from PIL import Image


def odd_name(folder, name=b"caf\xe9.png"):
    """A picture whose name is not valid UTF-8."""
    try:
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path, "PNG")
        return path
    except OSError as error:
        pytest.skip(f"this file system refuses such names: {error}")
