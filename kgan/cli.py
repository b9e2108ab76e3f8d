"""The command line: `kgan COMMAND ...`. TensorFlow is imported only once a command really runs."""

import dataclasses
import importlib
import math
import os
import pathlib
import sys
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from kgan import __version__, console, memory
from kgan.errors import UserError, nearest
from kgan.images.decoding import at_most
from kgan.images.pictures import Format
from kgan.parsing import parse, wants_quiet
from kgan.runs import recipes, run_folder
from kgan.runs import xla_cache as compiled
from kgan.runs.settings import TrainConfig

Model = Annotated[str, arg(metavar="MODEL")]
"""A path, or the name of a model that came with kgan."""


@dataclasses.dataclass(frozen=True)
class Stylize:
    """Restyle pictures: any size in, exactly the same size out."""

    pictures: Positional[tuple[pathlib.Path, ...]]
    """Picture files and folders; "-" is standard input."""
    model: Model
    """A run folder, a SavedModel folder, a .tflite file, or one that came with kgan, as vangogh (docs/models.md)."""
    output: pathlib.Path
    """Folder for the stylized pictures; of one picture also a file, as result.png, or "-" for standard output."""
    seed: int = 0
    """Seed of the noise, for models that take noise."""
    variants: int = 1
    """Pictures per input, with seeds SEED, SEED + 1, ..."""
    overwrite: bool = False
    """Replace pictures that are in the output folder already."""
    skip_existing: bool = False
    """Leave those that are there already, and make the others: after an interruption."""
    strokes: float = 1.0
    """How many times as broad strokes come out: with 2 a picture is restyled at half its size, enlarged, and restyled
    again. For painters' models on large pictures."""
    memory: float | None = None
    """GB that one picture may take; a larger one is restyled smaller and enlarged again. Default: a share of what is
    free, 75%."""
    mask: pathlib.Path | None = None
    """Restyle only where this picture is white; or a folder with a mask of the same name for every picture."""
    feather: float | None = None
    """Width of the mask's soft edge in percent of the shorter side (default 1); 0: as the mask is."""
    strength: float = 1.0
    """From 0, the picture as it is, to 1, all stylized."""
    keep_colour: bool = False
    """Take the brushwork alone and keep the picture's colours."""
    format: Format | None = None
    """Write all results in this format; default: each in that of its picture, lossless where that is."""
    quality: int | None = None
    """From 1 to 100, of JPEG and of lossy WebP (default 95)."""
    strip_metadata: bool = False
    """Write pixels and colour profiles alone, for publishing: no date, place, name or text of the picture."""
    max_megapixels: float | None = None
    """The largest picture that is read; default: 400, and 100 where a short file claims more than it can hold."""


@dataclasses.dataclass(frozen=True)
class Generate:
    """Make pictures from noise alone, with a model of the recipe synthesis."""

    model: Model
    """A run folder or a SavedModel folder."""
    output: pathlib.Path
    """Folder for the pictures and their grid; with --count 1 also a file, as result.png, or "-", standard output."""
    count: int = 16
    """How many."""
    seed: int = 0
    """The first picture's seed; the next has SEED + 1."""
    size: str | None = None
    """HxW in pixels, as in 128x256; default: the size of training."""
    truncation: float | None = None
    """Cut the noise off at this many standard deviations: less variety, fewer failures."""
    between: tuple[int, int] | None = None
    """Instead: a row of COUNT pictures from one seed to another."""
    format: Format | None = None
    """Of the pictures and the grid; default: png, or as --output FILE is called."""
    quality: int | None = None
    """From 1 to 100, of JPEG and of lossy WebP (default 95)."""
    overwrite: bool = False
    """Replace pictures that are in the output folder already."""
    skip_existing: bool = False
    """Leave those that are there already, and make the others: after an interruption."""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a model: SSIM, PSNR, MSE, FID and KID, with intervals. Without folders: on the run's test pictures."""

    model: Positional[Model]
    """A run folder, a SavedModel folder, a .tflite file, or one that came with kgan, as vangogh (docs/models.md)."""
    content: pathlib.Path | None = None
    """Pictures to restyle."""
    truth: pathlib.Path | None = None
    """What they should become; the same file name is the same scene."""
    style: pathlib.Path | None = None
    """Pictures in the wanted style, for FID and KID; beside --truth, for what real pictures get there."""
    size: int | None = None
    """Score at this size; default: the size of training for a run, else the pictures' own."""
    crops: int | None = None
    """Score this many random square crops of every picture: for KID where pictures are few."""
    baseline: Annotated[str | None, arg(metavar="MODEL")] = None
    """Another model to compare with on the same pictures: an earlier run, or a student's teacher."""
    output: pathlib.Path | None = None
    """Write the numbers to this JSON file, and beside it an HTML page with the pictures, worst first."""
    fail_under: tuple[str, ...] = ()
    """Exit with status 1 when a metric is below a number, as in: --fail-under content_ssim=0.6."""
    fail_over: tuple[str, ...] = ()
    """The same for metrics of which less is better, as in: --fail-over kid_mobilenet=0.1."""
    max_megapixels: float | None = None
    """The largest picture that is read; default: 400, and 100 where a short file claims more than it can hold."""


@dataclasses.dataclass(frozen=True)
class Export:
    """Write a run's SavedModel and LiteRT files, or with --name a version for TensorFlow Serving."""

    run: Model
    """A run folder, whose newest checkpoint is taken; or a model that came with kgan, as vangogh."""
    output: pathlib.Path | None = None
    """Where to; default: into the run folder. With --name: the folder of models that the server reads."""
    name: str | None = None
    """Write OUTPUT/NAME/1, or the next free number, and beside it the server's configuration."""
    litert: tuple[Literal["float32", "float16", "int8_weights", "int8"], ...] = ()
    """Instead: .tflite files with weights stored like this, of fixed sizes (for GPUs, browsers) and of any size (CPUs),
    each judged against Keras, with a JSON of its facts and test vectors; may be given several times. The int8 ones need
    kgan[int8]."""
    sizes: tuple[int, ...] = ()
    """With --litert: a side of the square pictures that files of fixed sizes take; may be given several times (default:
    256, 384 and 512)."""
    licence: str = "not stated"
    """With --litert: what the JSON says of the model's licence."""
    source: str = "not stated"
    """With --litert: what the JSON says of where the model comes from."""


@dataclasses.dataclass(frozen=True)
class Web:
    """Serve a page on which a phone or a browser restyles photos by itself: nothing leaves it."""

    models: Positional[tuple[pathlib.Path, ...]] = ()
    """Run folders, .tflite files of fixed sizes, and models that came with kgan (default: vangogh-mobile and
    fluent3d-mobile)."""
    port: int = 8000
    """0: any free one."""
    host: str = "127.0.0.1"
    """Address to listen on. Browsers give the camera and work offline only on 127.0.0.1 or over HTTPS."""
    output: pathlib.Path | None = None
    """Instead: write the page to this new folder, for any host with HTTPS."""


@dataclasses.dataclass(frozen=True)
class Request:
    """Restyle pictures by a model that TensorFlow Serving serves, on this machine or another."""

    pictures: Positional[tuple[pathlib.Path, ...]]
    """Picture files and folders; "-" is standard input."""
    server: str
    """http://HOST:8501 (REST) or grpc://HOST:8500; https:// and grpcs:// for TLS."""
    name: str
    """The model's name on the server."""
    output: pathlib.Path
    """Folder for the stylized pictures; of one picture also a file, as result.png, or "-" for standard output."""
    version: int | None = None
    """A version of the model; default: the newest."""
    label: str | None = None
    """Or the version that has this label, as in: --label canary."""
    seed: int = 0
    """Seed of the noise, for models that take noise."""
    timeout: float = 60.0
    """Seconds that one picture may take."""
    overwrite: bool = False
    """Replace pictures that are in the output folder already."""
    format: Format | None = None
    """Of all results; default: png, or as --output FILE is called."""
    quality: int | None = None
    """From 1 to 100, of JPEG and of lossy WebP (default 95)."""
    strip_metadata: bool = False
    """Write pixels and colour profiles alone, for publishing: no date, place, name or text of the picture."""
    max_megapixels: float | None = None
    """The largest picture that is read; default: 400, and 100 where a short file claims more than it can hold."""
    skip_existing: bool = False
    """Leave those that are there already, and make the others: after an interruption."""


@dataclasses.dataclass(frozen=True)
class Check:
    """List every file in folders of pictures that cannot be used, with the reason."""

    paths: Positional[tuple[pathlib.Path, ...]]
    """Folders, searched at any depth, and files."""
    max_megapixels: float | None = None
    """The largest picture that is read; default: 400, and 100 where a short file claims more than it can hold."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Write the packaged sample as folders trainA, trainB, testA and testB, to look at or to try --data with."""

    folder: Positional[pathlib.Path]
    """Where to."""


COMMANDS = {
    "train": (TrainConfig, "kgan.training.train:train"),
    "stylize": (Stylize, "kgan.inference.stylize:stylize"),
    "generate": (Generate, "kgan.inference.generate:generate"),
    "evaluate": (Evaluate, "kgan.evaluation.evaluate:evaluate"),
    "export": (Export, "kgan.export.command:export_run"),
    "web": (Web, "kgan.web.command:web"),
    "request": (Request, "kgan.serving.request:request"),
    "sample": (Sample, "kgan.data.sample:write_sample"),
    "check": (Check, "kgan.data.check:main"),
}
"""Command -> (its options, what runs it). `train` is called with its settings, the others with keywords."""


def main(args: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 could not go on, 2 something given is wrong."""
    args = sys.argv[1:] if args is None else args
    console.accept_any_text()
    try:
        try:
            return _run(args)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # who read our words is gone, as in: kgan train --help | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains while it ends
        return 1
    except UserError as error:
        console.warn(f"error: {error}")
        return error.status
    except OSError as error:  # of a path that nobody looked at before it was used
        console.warn(f"error: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        console.warn("interrupted")
        return 130
    finally:
        console.be_quiet(False)


def _run(args: list[str]) -> int:
    if args[:1] == ["help"]:
        args = [*args[1:], "--help"]
    if not args or args[0] in ("-h", "--help"):
        console.result(_overview())
        return 0
    if args[0] in ("-V", "--version"):
        console.result(f"kgan {__version__}")
        return 0
    name, rest = args[0], args[1:]
    if name not in COMMANDS:
        hint = "options stand behind the command. " if name.startswith("-") else nearest(name, COMMANDS, 0.4)
        raise UserError(f"{name}: no such command; {hint}See kgan --help")
    options, target = COMMANDS[name]
    console.be_quiet(wants_quiet(rest))
    parsed = _parse_training(rest) if options is TrainConfig else parse(options, rest, f"kgan {name}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own chatter hides ours
    if options is TrainConfig:
        compiled.keep(parsed.cache)
    module, function = target.split(":")
    with at_most(getattr(parsed, "max_megapixels", None)), memory.guard(_takes_less(name, parsed)):
        with console.without_chatter():  # of TensorFlow, before it reads any setting of its log
            run = getattr(importlib.import_module(module), function)
        result = run(parsed) if options is TrainConfig else run(**_fields(parsed))
    return result if isinstance(result, int) else 0


def _takes_less(command: str, options) -> str:
    """What to do where a command runs out of memory."""
    if command == "stylize":
        half = min(options.memory or math.inf, memory.budget() / 1e9) / 2
        return f"give --memory {half:.2g}, and --skip-existing for what is done"
    if command == "train":
        less = memory.smaller_batch(options.batch_size, options.size)
        return "this run needs a machine with more" if options.resume else less
    hints = {"evaluate": "give a smaller --size", "generate": "give a smaller --size"}
    return hints.get(command, "close other programs, or use a machine with more")


def _overview() -> str:
    lines = [f"  {name:10}{options.__doc__.splitlines()[0]}" for name, (options, _) in COMMANDS.items()]
    return "\n".join(["usage: kgan COMMAND ...", "", *lines, "", *_HABITS])


_HABITS = (
    "kgan COMMAND --help lists a command's options; kgan --version says which kgan this is.",
    "Options and files may be mixed; -- ends the options. Of an option that is given twice the last one counts.",
    "Results go to stdout, all else to stderr; with --quiet only warnings and errors do.",
)


def _fields(options) -> dict:
    """What the command's function takes; how large a picture may be is told to what reads them, by `at_most`."""
    names = {field.name for field in dataclasses.fields(options)} - {"max_megapixels"}
    return {name: getattr(options, name) for name in names}


def _parse_training(args: list[str]) -> TrainConfig:
    """Settings of `kgan train`. With --resume the run's own are the defaults, and few of them may be changed."""
    config = parse(TrainConfig, args, "kgan train")
    if not config.resume:
        return recipes.resolve(config)
    saved = run_folder.saved_config(config.run)
    return run_folder.going_on(saved, parse(TrainConfig, args, "kgan train", default=saved))
