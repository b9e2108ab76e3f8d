"""`kgan.stylize`: restyles pictures and films with one call, as the command `kgan stylize` does."""

import os
import pathlib
from collections.abc import Mapping, Sequence

from kgan.errors import UserError
from kgan.film.film import Film
from kgan.film.joining import Output
from kgan.film.kinds import ANIMATIONS, CONTAINERS, OTHER, SUFFIXES, is_film, names_film
from kgan.film.smoothing import SMOOTH
from kgan.film.stylize import Look, Order, stylize_film
from kgan.images.decoding import limits_pictures
from kgan.images.listing import existing_path, is_named_as_picture, same
from kgan.images.pictures import Format, Writing
from kgan.images.targets import STANDARD
from kgan.inference import stylize as pictures_of
from kgan.inference.model import shares_of_size
from kgan.inference.stylize import FEATHER, Finish, check_blending, check_numbers, finish_of
from kgan.paths import expands_paths, several
from kgan.runs.trust import takes_trust


@expands_paths
@takes_trust
@limits_pictures
def stylize(
    pictures: str | os.PathLike | Sequence[str | os.PathLike],
    model: str | os.PathLike,
    output: str | os.PathLike,
    seed: int = 0,
    variants: int = 1,
    overwrite: bool = False,
    strokes: float = 1.0,
    memory: float | None = None,
    mask: str | os.PathLike | None = None,
    feather: float | None = None,
    strength: float = 1.0,
    keep_colour: bool = False,
    format: Format | None = None,
    quality: int | None = None,
    strip_metadata: bool = False,
    skip_existing: bool = False,
    max_megapixels: float | None = None,
    exact: bool = False,
    film: bool = False,
    start: float | None = None,
    duration: float | None = None,
    fps: float | None = None,
    codec: str | None = None,
    crf: float | None = None,
    resume: bool = False,
    steady: int = 1,
    precision: str = "float32",
    jit: bool = False,
    trust: bool = False,
    smooth: float | None = None,
) -> list[pathlib.Path]:
    """Restyle pictures and films. Names, formats, folder structure, sizes, alpha and colour profiles are kept.

    Pictures are first turned upright according to their EXIF orientation. Small pictures are processed first. Lossless
    files stay lossless.

    A film keeps its size, the times of its frames, its rotation, sound, subtitles, chapters and metadata. What is a
    film is told by the content of a file. Animated GIF, WebP and PNG files and folders of frames are restyled as films
    if `film` is given or `output` names a film.

    Args:
        pictures: pictures, films, folders of pictures, which are searched at any depth, or "-" for standard input.
        model: a run folder, a SavedModel folder, a .tflite or .onnx file or the name of a shipped model.
        output: a folder, or for one picture or film a file such as "result.png" or "result.mp4", or "-" for standard
            output.
        seed: seed of the noise, from 0 to 2**31 - 1.
        variants: number of files for each picture, at least 1. Variants name-1, name-2, ... have the seeds `seed`,
            `seed` + 1, ...
        overwrite: replace existing files.
        strokes: the factor by which brush strokes become broader, at least 1 (`kgan.inference.model.Model`).
        memory: the memory in GB that one picture, or a film with its decoder and encoder, may use. A picture or a frame
            that needs more is restyled in tiles (`kgan.inference.tiles`), or with such a file at a smaller size, with a
            notice. Default: a fraction of the free memory (`kgan.memory`).
        mask: a picture for all, or a folder with a picture of the same name for each. Only white areas are restyled.
            For a film, a folder has a picture for each frame, and the mask may be a film too.
        feather: width of the soft edge of the mask in percent of the picture's shorter side, 0 to 100. Default: 1.
        strength: weight of the stylized picture in [0, 1]; the rest is the original.
        keep_colour: use only the luma of the stylized picture (`kgan.images.blending`).
        format: write all files in this format. Default: the format of the original. A film becomes a folder of
            numbered pictures.
        quality: quality of JPEG and lossy WebP, 1 to 100. Default: 95.
        strip_metadata: write no metadata.
        skip_existing: keep existing files and write the others.
        max_megapixels: the largest picture that is read. Default: 400, and 100 where a short file claims more than it
            can contain.
        exact: restyle pictures in tiles with the exact statistics of the whole picture, in several times the time.
        film: restyle all frames of animated pictures, and a folder of pictures as the frames of one film.
        start: seconds that are left out at the beginning of a film.
        duration: seconds of a film that are restyled. Default: the rest.
        fps: frames a second of a folder of frames. Default: 25.
        codec: codec of a written film, such as "h264", "h265", "vp9", "av1", "prores" or "ffv1", or FFmpeg's name of
            an encoder. Default: "h264", and "vp9" in WebM.
        crf: quality of a written film: less is better and larger. Default: 17 with "h264", 24 with "vp9".
        resume: go on with a film after an interruption.
        steady: average the results of so many shifted copies of each picture or frame (`kgan.inference.steady`), so
            that films flicker less, in so many times the time.
        precision: the arithmetic of the network, "float32", "bfloat16" or "float16" (`kgan.load`).
        jit: compile the network with XLA for the size of a film's frames. It takes up to half a minute, and makes long
            films faster on a GPU.
        trust: open a model that is a program of somebody else (`kgan.load`).
        smooth: the part of the frame before, moved along the optical flow, that a frame of a film takes up, so that
            films flicker less (`kgan.film.smoothing`), at least 0 and below 1. Needs OpenCV if it is not 0. Default:
            0.5.

    Returns:
        The paths of the written files, and for a film as pictures that of their folder.

    Raises:
        UserError: before any work if files would be overwritten or an option is wrong, and at the end if some pictures
            cannot be read. Each of these has a line on stderr, and the others are done.
        Interrupted: for a film, after Ctrl-C. The output holds what is done so far, and `resume` goes on from it.
    """
    films, others = _divided(several(pictures), output, film)
    if not films:
        _refuse({"start": start, "duration": duration, "fps": fps, "codec": codec, "crf": crf})
        _refuse({"smooth": smooth, "resume": resume or None, "jit": jit or None})
    writing = Writing(format, quality, strip_metadata)
    done: list[pathlib.Path] = []
    if others or not films:
        finish = finish_of(mask, feather, strength, keep_colour)
        done += pictures_of.stylize(others, output, pictures_of.Order(
            model, seed, variants, overwrite, skip_existing, strokes, memory, finish, writing, exact, steady, precision
        ))  # fmt: skip
    if not films:
        return done
    _check(seed, variants, memory, mask, feather, strength, strokes)
    finish = Finish(None, FEATHER if feather is None else feather, strength, keep_colour)
    look = Look(seed, strokes, finish, mask, steady, SMOOTH if smooth is None else smooth, precision, jit)
    for path in films:
        made = Film(path, start or 0.0, duration, fps)
        target = _output(path, pathlib.Path(output), len(films) + len(others), writing)
        order = Order(made, model, target, look, codec, crf, memory)
        done += [target.path] if stylize_film(order, overwrite, skip_existing, resume) else []
    return done


def _divided(
    paths: list[str | os.PathLike], output: str | os.PathLike, as_film: bool
) -> tuple[list[pathlib.Path], list[str | os.PathLike]]:
    """Divide paths into films and others. A folder of films stands for its films."""
    films: list[pathlib.Path] = []
    others: list[str | os.PathLike] = []
    for path in paths:
        inside = _films_in(path)
        if inside:
            films += inside
        elif str(path) != STANDARD and (as_film or names_film(output) or is_film(path)):
            films.append(existing_path(path))
        else:
            others.append(path)
    return films, others


def _films_in(path: str | os.PathLike) -> list[pathlib.Path]:
    """The films directly in a folder, if it holds films and no pictures."""
    if not os.path.isdir(path):
        return []
    files = sorted(file for file in pathlib.Path(path).iterdir() if not file.name.startswith("."))
    if any(is_named_as_picture(file) or file.is_dir() for file in files):
        return []
    return [file for file in files if file.suffix.lower() in SUFFIXES and is_film(file)]


def _refuse(options: Mapping[str, object]) -> None:
    """Refuse options of films for pictures."""
    for name, value in options.items():
        if value is not None:
            raise UserError(
                f"--{name}: is for films, and there is none; name a film, or give --film for animations and frames"
            )


def _check(seed, variants, memory, mask, feather, strength, strokes) -> None:
    check_numbers(seed, variants, memory)
    if variants != 1:
        raise UserError(f"--variants {variants}: a film has one result; leave it out")
    check_blending(mask, feather, strength)
    shares_of_size(strokes)


def _output(film: pathlib.Path, output: pathlib.Path, results: int, writing: Writing) -> Output:
    """What is made of a film.

    Args:
        film: the film.
        output: the file or folder that the user names.
        results: how many results there are.
        writing: the format that the user names.

    Raises:
        UserError: if it cannot be written, or is the film itself.
    """
    suffix = output.suffix.lower()
    is_file = suffix in {*CONTAINERS, *ANIMATIONS} and not output.is_dir()
    if str(output) == STANDARD:
        raise UserError("--output -: films are not written to standard output; name a file")
    if not is_file and (suffix in SUFFIXES or is_named_as_picture(output)) and not output.is_dir():
        raise UserError(
            f"--output {output}: such films are not written; name one of {', '.join((*CONTAINERS, *ANIMATIONS))}"
        )
    if is_file and results > 1:
        raise UserError(f"--output {output}: names one film, and {results} are asked for; name a folder")
    target = Output(output, writing) if is_file else _in_folder(film, output, results, writing)
    if is_file and writing.format is not None and writing.format.removesuffix("-lossless") != suffix[1:]:
        raise UserError(f"--format {writing.format}: --output names a {suffix} file; leave one of them out")
    if same(film, target.path):
        raise UserError(f"--output {output}: is the film itself; name another one")
    return target


def _in_folder(film: pathlib.Path, folder: pathlib.Path, results: int, writing: Writing) -> Output:
    """A film keeps its name in the folder. Its pictures, and those of a folder of frames, lie there themselves."""
    if film.is_dir():
        return Output(folder, writing, is_folder=True)
    if writing.format is None:
        suffix = film.suffix.lower()
        kept = film.name if suffix in {*CONTAINERS, *ANIMATIONS} else film.with_suffix(OTHER).name
        return Output(folder / kept, writing)
    return Output(folder if results == 1 else folder / film.stem, writing, is_folder=True)
