"""`kgan request`: picture files restyled by a server, without TensorFlow on this machine."""

import os
import pathlib
from collections.abc import Sequence

from PIL import Image

from kgan.data.decoding import FORMATS, PictureError, decode_picture, is_srgb
from kgan.errors import UserError
from kgan.listing import no_file
from kgan.paths import expands_paths
from kgan.pictures import has_alpha, is_animated, save_picture
from kgan.progress import progress
from kgan.serving.client import Client, from_png, to_png
from kgan.serving.errors import PicturesRefused, RequestRefused, TooLarge
from kgan.targets import Place, make_folder, output_folder, plan, refuse_clashes

ORIENTATION = 0x0112
"""EXIF's tag; 1: upright."""


@expands_paths
def request(
    pictures: Sequence[str | os.PathLike],
    server: str,
    name: str,
    output: str | os.PathLike,
    version: int | None = None,
    label: str | None = None,
    seed: int = 0,
    timeout: float = 60.0,
    overwrite: bool = False,
) -> list[pathlib.Path]:
    """Have files and folders restyled into PNG files in the folder `output`, keeping names, folder structure and sizes.

    Pictures are turned upright by their EXIF orientation. See `kgan.serving.Client` for what chooses the model. Returns
    the files written. Raises UserError before any work when files would be overwritten, ServingError when the server or
    the model is not to be had, and UserError at the end when some pictures were refused (each has had its line on
    stderr, the others are done).
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines of log; errors reach us as exceptions
    places = plan(pictures, output, lambda _: ".png")
    refuse_clashes([place.target for place in places], overwrite)
    with Client(server, name, version, label=label, timeout=timeout) as client, output_folder(output):
        failed = _request_all(places, client, seed)
    if failed:
        raise UserError(f"{failed} of {len(places)} pictures could not be restyled (named above); the others are done")
    return [place.target for place in places]


def _request_all(places: list[Place], client: Client, seed: int) -> int:
    """How many pictures failed; raises at once where that was the only one."""
    failed = 0
    with progress(len(places), "request") as bar:
        for place in places:
            try:
                (png,) = client.stylize_bytes([upload(place.source)], seed)
                make_folder(place.target.parent)
                save_picture(from_png(png), place.target)
            except (PictureError, PicturesRefused, RequestRefused, TooLarge) as error:
                said = _one_line(place.source, error)
                if len(places) == 1:
                    raise UserError(said) from None
                failed += 1
                bar.notice(said)
            bar.advance()
    return failed


def _one_line(source: pathlib.Path, error: UserError) -> str:
    if isinstance(error, PictureError):
        return str(error)
    return f"{source}: {error.reasons[0] if isinstance(error, PicturesRefused) else error}"


def upload(path: str | os.PathLike) -> bytes:
    """What to send of a picture file: the file, or where a server would see it otherwise than we do, a PNG of ours.

    Models that kgan exports turn JPEGs upright and lay transparency over white themselves. They know no colour
    profiles, no orientation of PNG and WebP, and not every kind of pixel. Raises PictureError.
    """
    if _is_plain(path):
        return pathlib.Path(path).read_bytes()
    return to_png(decode_picture(path, 4 if has_alpha(path) else 3))


def _is_plain(path: str | os.PathLike) -> bool:
    if no_file(path):
        return False
    try:
        with Image.open(path, formats=FORMATS) as image:
            upright = image.format in ("JPEG", "MPO") or image.getexif().get(ORIENTATION, 1) == 1
            common = image.mode in ("L", "RGB", "RGBA") and is_srgb(image.info.get("icc_profile"))
    except Exception:  # Pillow's parsers raise nearly anything; decoding says what is wrong
        return False
    return upright and common and not is_animated(path)
