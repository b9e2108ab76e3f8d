"""The models that the page can run: .tflite files that take square pictures of fixed sizes and no noise."""

import contextlib
import dataclasses
import glob
import hashlib
import os
import pathlib
import tempfile
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

import kgan
from kgan import console, files
from kgan.errors import UserError, call
from kgan.runs.models import ModelSource, resolve_model

WANTED = "the page runs models of content alone: input image [1, S, S, 3], output stylized of that shape, S fixed"


@dataclasses.dataclass(frozen=True)
class PageModel:
    """A model of the page.

    Attributes:
        name: unique name, which is part of file names.
        content: the bytes of the .tflite file.
        signatures: the names of its signatures by the side of the square in pixels, smallest first.
    """

    name: str
    content: bytes
    signatures: dict[int, str]

    @property
    def file(self) -> str:
        """The path of the .tflite file below the address of the page."""
        return f"models/{self.name}.tflite"


def titles(names: Sequence[str]) -> list[str]:
    """The displayed names of models.

    Args:
        names: their names.

    Returns:
        For each name its words. Words with which all names end are left out, because they distinguish none of them.

    Example:

    >>> titles(["van_gogh"]), titles(["vangogh-mobile", "ukiyoe-mobile"])
    (['Van gogh'], ['Vangogh', 'Ukiyoe'])
    """
    words = [name.replace("_", " ").replace("-", " ").split() for name in names]
    while len(words) > 1 and min(map(len, words)) > 1 and len({each[-1] for each in words}) == 1:
        words = [each[:-1] for each in words]
    return [text[:1].upper() + text[1:] for text in map(" ".join, words)]


def read_models(words: Sequence[str | os.PathLike]) -> list[PageModel]:
    """Read models for the page.

    Args:
        words: .tflite files, run folders or names of shipped models.

    Returns:
        The models, in the same order.

    Raises:
        UserError: if there is no such model, or the page cannot run it.
    """
    models: list[PageModel] = []
    for source in map(resolve_model, words):
        content, name = _content(source), _free_name(source, {model.name for model in models})
        models.append(PageModel(name, content, _signatures(source.path, content)))
    return models


def _content(source: ModelSource) -> bytes:
    if source.kind in ("saved_model", "onnx"):
        raise UserError(f"{source.path}: cannot be used here; expected a .tflite file of fixed sizes or a run folder")
    return _stored(source) if source.is_run else source.path.read_bytes()


def _stored(source: ModelSource) -> bytes:
    """A .tflite file of fixed sizes of a run, from the cache if it was exported before by the same code."""
    folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kgan", "web")
    name = f"{source.path.resolve().name[:64]}-"
    file = folder / f"{name}{hashlib.sha256(f'{source.fingerprint} {_code()}'.encode()).hexdigest()[:16]}.tflite"
    with contextlib.suppress(OSError):
        return file.read_bytes()
    content = _exported(source.path)
    if not folder.is_absolute():  # a user without a home folder
        return content
    with contextlib.suppress(OSError):  # such as a home folder that cannot be written
        folder.mkdir(parents=True, exist_ok=True)
        files.write_bytes(file, content)
        for former in folder.glob(f"{glob.escape(name)}{'?' * 16}.tflite"):
            if former != file:
                former.unlink(missing_ok=True)
    return content


def _code() -> str:
    """A text that changes with every change of kgan or TensorFlow, on which exported files depend."""
    digest = hashlib.sha256(version("tensorflow").encode())
    for path in sorted(pathlib.Path(kgan.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _exported(run: pathlib.Path) -> bytes:
    """A .tflite file of fixed sizes, exported from the newest checkpoint of a run."""
    with console.without_chatter():  # TensorFlow's messages; other models of the page do not need TensorFlow
        from kgan.export import export_fixed, load_generator

    generator, _ = load_generator(run)
    if generator.noise_channels or not generator.takes_content or generator.channels != 3:
        raise UserError(f"{run}: {WANTED}; this one takes noise, or pictures that are not RGB")
    console.say(f"exporting {run}")
    with tempfile.TemporaryDirectory() as folder:
        return export_fixed(generator, pathlib.Path(folder, "model.tflite")).read_bytes()


def _free_name(source: ModelSource, taken: set[str]) -> str:
    """A name that is not taken: that of the file, or of the folder of a file named model, with a number if needed."""
    path = source.path
    stem = path.resolve().stem if path.suffix.lower() == ".tflite" else path.resolve().name
    stem = path.resolve().parent.name if stem.startswith("model") else stem
    stem = source.name.rpartition("/")[2] if source.address else stem
    name = "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in stem)
    number = 2
    while name in taken:
        name = f"{stem}-{number}"
        number += 1
    return name


def _signatures(path: pathlib.Path, content: bytes) -> dict[int, str]:
    """The names of a file's signatures by side. Raises UserError if the page cannot run one of them."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=content)
        runners = {key: interpreter.get_signature_runner(key) for key in interpreter.get_signature_list()}
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as a LiteRT model ({str(error).splitlines()[0]})") from None
    sides = {side: key for key, runner in runners.items() if (side := _side(runner))}
    if not sides or len(sides) < len(runners):
        raise UserError(
            f"{path}: {WANTED}; give its run folder, or the *_fixed.tflite of {call('export', litert='float16')}"
        )
    return dict(sorted(sides.items()))


def _side(runner) -> int | None:
    """S if the signature takes image [1, S, S, 3] and returns stylized [1, S, S, 3], both float32; otherwise None."""
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    if inputs.keys() != {"image"} or outputs.keys() != {"stylized"}:
        return None
    details = [inputs["image"], outputs["stylized"]]
    shapes = {tuple(int(length) for length in each["shape_signature"]) for each in details}
    side = int(inputs["image"]["shape_signature"][1])
    fits = shapes == {(1, side, side, 3)} and side > 0 and all(each["dtype"] == np.float32 for each in details)
    return side if fits else None
