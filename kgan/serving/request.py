"""`kgan request` restyles picture files on a server. This machine does not need TensorFlow."""

import os
import pathlib
from collections.abc import Sequence

from PIL import Image

from kgan.console import progress, say, warn
from kgan.errors import UserError
from kgan.exit_guard import interruptible
from kgan.images import colour
from kgan.images.decoding import Picture, PictureError, pillows_limit_off, read_picture
from kgan.images.metadata import orientation
from kgan.images.pictures import FORMATS, Format, TooLong, Writing, check_sides
from kgan.images.targets import Destination, is_one_file, make_folder, output_folder, plan, unfinished
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
    """Restyle files and folders on a server. Names, folder structure and sizes are kept.

    Pictures are turned upright according to their EXIF orientation.

    Args:
        pictures: files, folders, which are searched at any depth, or "-" for standard input.
        server: address of the server, as for `kgan.serving.Client`.
        name: name of the model on the server.
        output: a folder, or for one picture a file such as "result.png", or "-" for standard output.
        version: number of the model's version. Default: the newest.
        label: label of the model's version, instead of `version`.
        seed: seed of the noise, from 0 to 2**31 - 1.
        timeout: seconds for one picture, including retries.
        overwrite: replace existing files.
        format: file format, as for `kgan.stylize`. Default: PNG, or that of the suffix of a single file.
        quality: quality of JPEG and WebP, 1 to 100, as for `kgan.stylize`.
        strip_metadata: write no metadata.
        skip_existing: keep existing files and write the others.

    Returns:
        The paths of the written files.

    Raises:
        UserError: before any work if files would be overwritten or an option is wrong, and at the end if some pictures
            were refused. Each of these has a line on stderr, and the others are done.
        ServingError: if the server or the model is not available.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # no log messages of gRPC; its errors are exceptions
    writing = Writing(format or (None if is_one_file(output) else "png"), quality, strip_metadata)
    destinations = plan(pictures, output, lambda suffix: writing.suffix(suffix if suffix in FORMATS else ".png"))
    writing.check_targets(destination.target for destination in destinations)
    destinations = unfinished(destinations, overwrite, skip_existing)
    if not destinations:
        return []
    with Client(server, name, version, label=label, timeout=timeout) as client, output_folder(output):
        failed = _request_all(destinations, client, seed, writing)
    if failed:
        raise UserError(
            f"{failed} of {len(destinations)} pictures could not be restyled (named above); the others are done"
        )
    return [destination.target for destination in destinations]


def _request_all(destinations: list[Destination], client: Client, seed: int, writing: Writing) -> int:
    """The number of pictures that failed. If there is only one picture, its error is raised."""
    failed = 0
    with progress(len(destinations), "request") as bar, interruptible(len(destinations)) as counter:
        for destination in destinations:
            try:
                _request_one(destination, client, seed, writing)
                counter.advance()
            except (PictureError, TooLong, PicturesRefused, RequestRefused, TooLarge) as error:
                said = _one_line(destination.source, error)
                if len(destinations) == 1:
                    raise UserError(said) from None
                failed += 1
                warn(said)
            bar.advance()
    return failed


def _request_one(destination: Destination, client: Client, seed: int, writing: Writing) -> None:
    picture = read_picture(destination.source)
    for line in picture.notices:
        say(f"{destination.source}: {line}")
    check_sides(picture.image.height, picture.image.width, destination.target)
    (png,) = client.stylize_bytes([_sent(destination.source, picture)], seed)
    made = from_png(png)
    own = picture if made.shape[-1] == 1 or picture.image.mode != "L" else picture.in_srgb()
    make_folder(destination.target.parent)
    pixels = colour.pixels_from_srgb(made, own.profile)
    writing.save(pixels, destination.target, own.profile, picture.metadata, picture.lossless)


def _one_line(source: pathlib.Path, error: UserError) -> str:
    if isinstance(error, PictureError | TooLong):
        return str(error)
    return f"{source}: {error.reasons[0] if isinstance(error, PicturesRefused) else error}"


def upload(path: str | os.PathLike) -> bytes:
    """The bytes to send for a picture file: the file itself, or a PNG if a server would decode the file differently.

    Models that kgan exports turn JPEGs upright and composite transparency over white. They ignore colour profiles and
    the orientation of PNG and WebP, and do not support all pixel formats.

    Args:
        path: path of the picture.

    Returns:
        The bytes of a picture file.

    Raises:
        PictureError: if the picture cannot be read.
    """
    return _sent(path, read_picture(path))


def _sent(path: str | os.PathLike, picture: Picture) -> bytes:
    is_plain = not picture.notices and _is_plain(path)
    return pathlib.Path(path).read_bytes() if is_plain else to_png(picture.seen())


def _is_plain(path: str | os.PathLike) -> bool:
    """Whether a server decodes the picture file to the same pixels. The file must be a valid picture."""
    with pillows_limit_off():
        image = Image.open(path)
    with image:
        # A server reads the orientation of a JPEG from EXIF, but not from XMP.
        turned_by_exif = image.format in ("JPEG", "MPO") and b"tiff:Orientation" not in image.info.get("xmp", b"")
        upright = turned_by_exif or orientation(image) == 1
        common = image.format != "GIF" and image.mode in ("L", "RGB", "RGBA")
        return upright and common and colour.is_srgb(image.info.get("icc_profile"), image.mode)
