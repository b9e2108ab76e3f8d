"""`kgan request`: picture files restyled by a server, without TensorFlow on this machine."""

import os
import pathlib
from collections.abc import Sequence

from PIL import Image

from kgan.console import progress, warn
from kgan.errors import UserError
from kgan.exit_guard import interruptible
from kgan.images import colour
from kgan.images.decoding import Picture, PictureError, pillows_limit_off, read_picture
from kgan.images.metadata import orientation
from kgan.images.pictures import FORMATS, Format, TooLong, Writing, check_sides
from kgan.images.targets import Place, is_one_file, make_folder, output_folder, plan, to_do
from kgan.paths import expands_paths
from kgan.serving.client import Client, from_png, to_png
from kgan.serving.errors import PicturesRefused, RequestRefused, TooLarge


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
    format: Format | None = None,
    quality: int | None = None,
    strip_metadata: bool = False,
    skip_existing: bool = False,
) -> list[pathlib.Path]:
    """Have files and folders restyled into files in the folder `output`, keeping names, folder structure and sizes.

    Pictures are turned upright by their EXIF orientation. `format`, `quality` (1 to 100) and `strip_metadata` are those
    of `kgan.inference.stylize.stylize`. See `kgan.serving.Client` for what chooses the model. Returns
    the files written. Raises UserError before any work when files would be overwritten, ServingError when the server or
    the model is not to be had, and UserError at the end when some pictures were refused (each has had its line on
    stderr, the others are done).
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines of log; errors reach us as exceptions
    writing = Writing(format or (None if is_one_file(output) else "png"), quality, strip_metadata)
    places = plan(pictures, output, lambda suffix: writing.suffix(suffix if suffix in FORMATS else ".png"))
    writing.check_targets(place.target for place in places)
    places = to_do(places, overwrite, skip_existing)
    if not places:
        return []
    with Client(server, name, version, label=label, timeout=timeout) as client, output_folder(output):
        failed = _request_all(places, client, seed, writing)
    if failed:
        raise UserError(f"{failed} of {len(places)} pictures could not be restyled (named above); the others are done")
    return [place.target for place in places]


def _request_all(places: list[Place], client: Client, seed: int, writing: Writing) -> int:
    """How many pictures failed; raises at once where that was the only one."""
    failed = 0
    with progress(len(places), "request") as bar, interruptible(len(places)) as counter:
        for place in places:
            try:
                _request_one(place, client, seed, writing, bar.notice)
                counter.advance()
            except (PictureError, TooLong, PicturesRefused, RequestRefused, TooLarge) as error:
                said = _one_line(place.source, error)
                if len(places) == 1:
                    raise UserError(said) from None
                failed += 1
                warn(said)
            bar.advance()
    return failed


def _request_one(place: Place, client: Client, seed: int, writing: Writing, notice) -> None:
    picture = read_picture(place.source)
    for line in picture.notices:
        notice(f"{place.source}: {line}")
    check_sides(picture.image.height, picture.image.width, place.target)
    (png,) = client.stylize_bytes([_sent(place.source, picture)], seed)
    made = from_png(png)
    own = picture if made.shape[-1] == 1 or picture.image.mode != "L" else picture.in_srgb()
    make_folder(place.target.parent)
    pixels = colour.pixels_from_srgb(made, own.profile)
    writing.save(pixels, place.target, own.profile, picture.metadata, picture.lossless)


def _one_line(source: pathlib.Path, error: UserError) -> str:
    if isinstance(error, PictureError | TooLong):
        return str(error)
    return f"{source}: {error.reasons[0] if isinstance(error, PicturesRefused) else error}"


def upload(path: str | os.PathLike) -> bytes:
    """What to send of a picture file: the file, or where a server would see it otherwise than we do, a PNG of ours.

    Models that kgan exports turn JPEGs upright and lay transparency over white themselves. They know no colour
    profiles, no orientation of PNG and WebP, and not every kind of pixel. Raises PictureError.
    """
    return _sent(path, read_picture(path))


def _sent(path: str | os.PathLike, picture: Picture) -> bytes:
    is_plain = not picture.notices and _is_plain(path)
    return pathlib.Path(path).read_bytes() if is_plain else to_png(picture.seen())


def _is_plain(path: str | os.PathLike) -> bool:
    """Whether a server sees in a picture file, which is known to be one, what we see."""
    with pillows_limit_off():
        image = Image.open(path)
    with image:
        # Of a JPEG a server reads the orientation in EXIF, not the one in XMP.
        turned_by_exif = image.format in ("JPEG", "MPO") and b"tiff:Orientation" not in image.info.get("xmp", b"")
        upright = turned_by_exif or orientation(image) == 1
        common = image.format != "GIF" and image.mode in ("L", "RGB", "RGBA")
        return upright and common and colour.is_srgb(image.info.get("icc_profile"), image.mode)
