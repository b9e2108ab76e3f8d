"""Where results go: the one place that decides it, for stylize, request and generate. No TensorFlow here.

A result keeps its picture's name and folders below `--output`. `--output result.png` is that file and `--output -`
standard output, both for one picture; the picture `-` comes from standard input.
"""

import atexit
import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from kgan import console
from kgan.errors import UserError, is_or_are
from kgan.images.decoding import PictureError, decode_image, is_readable
from kgan.images.listing import identity, is_named_as_picture, named_file, pictures_of
from kgan.images.pictures import FORMATS

STANDARD = "-"
"""Standard input among the pictures, standard output as --output."""

_STARTS = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}
"""How files begin -> suffix."""

Found = tuple[pathlib.Path, pathlib.Path]
"""A picture, and its path inside the folder that was named."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A picture, its path inside the folder that was named, and the files of its results, one for each variant.

    `there`: those of the files that are left as they are.
    """

    source: pathlib.Path
    relative: pathlib.Path
    targets: tuple[pathlib.Path, ...]
    there: frozenset[pathlib.Path] = frozenset()

    @property
    def target(self) -> pathlib.Path:
        """The first file."""
        return self.targets[0]


def plan(
    pictures: Sequence[str | os.PathLike],
    output: str | os.PathLike,
    suffix: Callable[[str], str],
    variants: int = 1,
) -> list[Place]:
    """Every picture in `pictures` (files, folders at any depth, "-") and its place in `output`, folders kept.

    `suffix` says what a suffix in lower case becomes; where that is the same, the name is kept to the letter. Every
    picture gets a name of its own: where two want the same, one that keeps its name has it, and never one that cannot
    be read; see `_names`. With `variants` above 1 the files are called name-1, name-2, ...

    Raises UserError for missing paths, folders without pictures, a target that is one of the pictures, and several
    results for one file.
    """
    found = list(_sources(pictures, output))
    if not found:
        raise UserError("pictures are missing: name files or folders to restyle")
    if is_one_file(output):
        targets = [_one_file(output, suffix(found[0][1].suffix.lower()), len(found), variants)]
    else:
        targets = [pathlib.Path(output, name) for name in _names(found, pathlib.Path(output), suffix)]
    places = [Place(*one, tuple(_variants(target, variants))) for one, target in zip(found, targets, strict=True)]
    _refuse_inputs(places, output)
    return places


def _sources(pictures: Sequence[str | os.PathLike], output: str | os.PathLike) -> Iterator[Found]:
    paths = [_standard_input() if str(path) == STANDARD else named_file(path) for path in dict.fromkeys(pictures)]
    return pictures_of(paths, [output])


def _variants(target: pathlib.Path, variants: int) -> list[pathlib.Path]:
    if variants == 1:
        return [target]
    return [target.with_stem(f"{target.stem}-{k}") for k in range(1, variants + 1)]


def _refuse_inputs(places: list[Place], output: str | os.PathLike) -> None:
    sources = {identity(place.source): place.source for place in places}
    for target in (target for place in places for target in place.targets if os.path.exists(target)):
        if source := sources.get(identity(target)):
            raise UserError(f"--output {output}: {target} is the picture itself ({source}); name another folder")


# --- names ------------------------------------------------------------------------------------------------------------


def _names(found: Sequence[Found], output: pathlib.Path, suffix: Callable[[str], str]) -> list[pathlib.Path]:
    """A path below `output` for every picture, all different.

    First each wants its name with the suffix that is needed. Of several that want the same, one that keeps its name to
    the letter has it, else the first, and one that cannot be read only after all others. Who goes without is called by
    its whole name and the suffix (alpha.webp.png), and where that is taken too, with -2, -3, ... behind.
    """
    same = _folded if _folds_names(output) else str
    wishes = [_with(relative, suffix) for _, relative in found]
    claims: dict[str, list[int]] = {}
    for place, wish in enumerate(wishes):
        claims.setdefault(same(wish), []).append(place)
    rivals = (place for each in claims.values() if len(each) > 1 for place in each)
    unreadable = {place for place in rivals if not is_readable(found[place][0])}

    def rank(place: int) -> tuple[bool, bool, int]:
        return place in unreadable, wishes[place] != found[place][1], place

    winners = {min(each, key=rank) for each in claims.values()}
    taken = set(claims)
    for place in sorted(set(range(len(found))) - winners, key=rank):
        wishes[place] = next(name for name in _others(found[place][1], wishes[place]) if same(name) not in taken)
        taken.add(same(wishes[place]))
    return wishes


def _with(relative: pathlib.Path, suffix: Callable[[str], str]) -> pathlib.Path:
    own = relative.suffix.lower()
    wanted = suffix(own)
    return relative if wanted == own else relative.with_suffix(wanted)


def _others(relative: pathlib.Path, wish: pathlib.Path) -> Iterator[pathlib.Path]:
    """Names to fall back on: alpha.webp.png, then alpha.webp-2.png, ...; beta-2.png, ... where the suffix stays."""
    if wish != relative:
        wish = wish.with_name(relative.name + wish.suffix)
        yield wish
    yield from (wish.with_stem(f"{wish.stem}-{number}") for number in itertools.count(2))


def _folds_names(folder: pathlib.Path) -> bool:
    """Whether a.png and A.PNG are one file there, as on the disks of most Macs and on memory cards."""
    above = (folder.absolute(), *folder.absolute().parents)
    near = next((each for each in above if each.is_dir() and each.name != each.name.swapcase()), None)
    return near is not None and identity(near) == identity(near.with_name(near.name.swapcase()))


def _folded(path: pathlib.Path) -> str:
    return unicodedata.normalize("NFC", str(path).casefold())


# --- one file, standard input and output ------------------------------------------------------------------------------


def is_one_file(output: str | os.PathLike) -> bool:
    """Whether --output means one file: "-", or a name that ends like a picture and is no folder yet."""
    return str(output) == STANDARD or (is_named_as_picture(output) and not os.path.isdir(output))


def _one_file(output: str | os.PathLike, suffix: str, pictures: int, variants: int = 1) -> pathlib.Path:
    """The file that `output` means; for standard output one that is sent there later."""
    if pictures * variants > 1:
        raise UserError(f"--output {output}: names one picture, and {pictures * variants} are asked for; name a folder")
    if str(output) != STANDARD:
        if pathlib.Path(output).suffix.lower() not in FORMATS:
            raise UserError(f"--output {output}: such files are not written; name one of {', '.join(FORMATS)}")
        return pathlib.Path(output)
    if sys.stdout.isatty():
        raise UserError("--output -: standard output is a terminal; send it to a file, as in: > result.png")
    return _passing() / f"result{suffix}"


def one_file(output: str | os.PathLike, suffix: str, pictures: int) -> pathlib.Path | None:
    """The file that `output` means where it means one (`is_one_file`), else None; UserError for several pictures."""
    return _one_file(output, suffix, pictures) if is_one_file(output) else None


@functools.cache
def _passing() -> pathlib.Path:
    """A folder for what comes from standard input or goes to standard output; gone with the process."""
    folder = tempfile.mkdtemp(prefix="kgan-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return pathlib.Path(folder)


def _standard_input() -> pathlib.Path:
    """A file with what came from standard input, with the suffix of its format."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError("-: standard input is a terminal; send a picture there, as in: < photo.jpg")
    file = _passing() / "stdin"
    with file.open("wb") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
    with file.open("rb") as copy:
        head = copy.read(4)
    suffix = next((suffix for start, suffix in _STARTS.items() if head.startswith(start)), "")
    try:
        decode_image(file, enough=1)
    except PictureError as error:
        raise UserError(f"standard input: {error.reason}") from None
    return file.rename(file.with_suffix(suffix))


@contextlib.contextmanager
def _to_standard_output() -> Iterator[None]:
    """Inside, what is printed goes to stderr; at the end the result follows, alone."""
    standard = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        yield
    for result in _passing().glob("result.*"):
        standard.buffer.write(result.read_bytes())
        standard.buffer.flush()
        result.unlink()


# --- what is there already --------------------------------------------------------------------------------------------


def to_do(places: Sequence[Place], overwrite: bool, skip_existing: bool) -> list[Place]:
    """The places with work left: all of them, or with `skip_existing` those with a file that is not there yet.

    Raises UserError when neither is given and a file is there already.
    """
    there = existing([target for place in places for target in place.targets], overwrite, skip_existing)
    left = (dataclasses.replace(place, there=there & frozenset(place.targets)) for place in places)
    return [place for place in left if len(place.there) < len(place.targets)]


def existing(targets: Sequence[pathlib.Path], overwrite: bool, skip_existing: bool) -> frozenset[pathlib.Path]:
    """The files that are there already and are to be left so: none but with `skip_existing`, which counts them.

    Raises UserError for both wishes at once, and for neither when a file is there already.
    """
    if overwrite and skip_existing:
        raise UserError("--overwrite and --skip-existing: give one of them")
    there = frozenset() if overwrite else frozenset(filter(os.path.lexists, targets))
    if there and not skip_existing:
        first = next(target for target in targets if target in there)
        raise UserError(
            f"{first}: exists already; give --skip-existing to make the others, --overwrite to make all anew, or name "
            "another --output"
        )
    if there:
        verb = is_or_are(len(there))
        console.say(f"kgan: {len(there)} of {len(targets)} {verb} there already and left so")
    return there


# --- folders ----------------------------------------------------------------------------------------------------------


def make_folder(path: str | os.PathLike) -> bool:
    """Create the folder; whether it was not there before. UserError when it cannot be."""
    is_new = not pathlib.Path(path).exists()
    try:
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        return is_new
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written ({error.strerror})") from None


@contextlib.contextmanager
def output_folder(output: str | os.PathLike) -> Iterator[None]:
    """The folder for the results, made if need be and removed again if it was made in vain.

    With "-" nothing but the result goes to standard output.
    """
    if str(output) == STANDARD:
        with _to_standard_output():
            yield
        return
    folder = pathlib.Path(output).parent if is_one_file(output) else pathlib.Path(output)
    created = make_folder(folder)
    try:
        yield
    finally:
        if created:
            with contextlib.suppress(OSError):
                folder.rmdir()
