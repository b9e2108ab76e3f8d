"""What is pushed: the files of a model or of a page, in a folder."""

import pathlib
import shutil

import keras
from PIL import Image

from kgan import console, files
from kgan.errors import UserError, call
from kgan.export.command import export_all_variants
from kgan.export.litert.fixed import SIZES
from kgan.export.sidecar import Origin, names_beside
from kgan.export.weights import export_weights
from kgan.hub.card import Words, card, space_card
from kgan.inference.loading import load_generator
from kgan.runs import hub, places
from kgan.runs.integrity import first_problem
from kgan.runs.models import ModelSource
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig
from kgan.web.models import read_models
from kgan.web.site import build_site, check_runtime

SAMPLES = "samples.jpg"


def write_model(model: ModelSource, folder: pathlib.Path, words: Words) -> None:
    """Write the files of a model: settings, weights, LiteRT and ONNX files, pictures and card.

    Args:
        model: a run folder or a shipped model.
        folder: an empty folder.
        words: what the user says about it.

    Raises:
        UserError: if the run has no weights or cannot be exported.
    """
    generator, config = load_generator(model.path)
    shared = places.without_folders(config)
    RunFolder(folder).keep(shared)
    _add_weights(generator, model, folder)
    _add_litert(generator, model, folder, words, shared)
    _add_onnx(model, folder)
    pictures = words.samples and _add_samples(model, folder)
    (folder / "README.md").write_text(card(model, folder, words, shared, bool(pictures)), encoding="utf-8")


def write_sealed(model: ModelSource, folder: pathlib.Path, words: Words, seals: dict[str, dict[str, str]]) -> None:
    """Copy the files that a signature or SHA256SUMS covers, and these themselves. Nothing else is written.

    Args:
        model: a folder with a signature or SHA256SUMS.
        folder: an empty folder.
        words: what the user says about it.
        seals: as of `kgan.runs.integrity.seals`.

    Raises:
        UserError: if they do not describe the files, cover others than those of a model, or the user says what only a
            new card could hold.
    """
    names = {*seals, *(name for sums in seals.values() for name in sums)}
    anew = f"make {' and '.join(seals)} anew, or remove {'them' if len(seals) > 1 else 'it'}"
    if words.licence or words.source:
        raise UserError(f"--licence and --source: belong into the README.md that {' and '.join(seals)} covers")
    if others := sorted(name for name in names if not hub.is_fetched(name)):
        raise UserError(f"{model.path}: {others[0]} is covered by {', '.join(seals)}, and is not pushed; {anew}")
    if lacking := {hub.CONFIG, hub.WEIGHTS} - names:
        raise UserError(f"{model.path}: {sorted(lacking)[0]} is not covered by {', '.join(seals)}; {anew}")
    if places.without_folders(model.run_config) != model.run_config:
        shared = call("export", run=model.path, format="safetensors", output="shared")
        raise UserError(f"{model.path / hub.CONFIG}: names your folders; push the folder that this writes: {shared}")
    for name in names:
        if (model.path / name).is_file():
            shutil.copy(model.path / name, folder)
    if problem := first_problem(folder, seals):
        raise UserError(f"{model.path}: {problem}; {anew}")


def _current(model: ModelSource, pattern: str) -> list[pathlib.Path]:
    """Exports in the run folder that are not older than its newest checkpoint."""
    run = RunFolder(model.path)
    return sorted(path for path in model.path.glob(pattern) if run.is_current(path))


def _add_weights(generator: keras.Model, model: ModelSource, folder: pathlib.Path) -> None:
    """Copy the weights of the run, whose bytes were perhaps uploaded before, or else export them."""
    run = RunFolder(model.path)
    if run.has_weights():
        shutil.copy(run.weights, folder)
    else:
        export_weights(generator, RunFolder(folder).weights)


def _add_litert(
    generator: keras.Model, model: ModelSource, folder: pathlib.Path, words: Words, shared: TrainConfig
) -> None:
    """Copy the .tflite files that have a sidecar, or else export float16."""
    own = [path for path in _current(model, "*.tflite") if all(beside.is_file() for beside in names_beside(path))]
    for path in own:
        for file in (path, *names_beside(path)):
            shutil.copy(file, folder)
    if not own:
        console.say(f"exporting {model.name}")
        labels = {side: name for side in ("content", "style") if (name := getattr(shared, side) or shared.data)}
        origin = Origin(words.licence or "not stated", words.source or "not stated", labels, str(shared.recipe))
        export_all_variants(generator, model, folder, ("float16",), SIZES, origin)


def _add_onnx(model: ModelSource, folder: pathlib.Path) -> None:
    """Copy the .onnx files of the run, with what lies beside them."""
    for path in _current(model, "*.onnx"):
        for file in (path, *names_beside(path)):
            if file.is_file():
                shutil.copy(file, folder)


def _add_samples(model: ModelSource, folder: pathlib.Path) -> bool:
    """Add the pictures of a shipped model, or the newest grid of the training. Returns whether there are some."""
    if (model.path / SAMPLES).is_file():
        shutil.copy(model.path / SAMPLES, folder)
        return True
    grids = sorted(RunFolder(model.path).samples.glob("*.png"))
    if not grids:
        return False
    with Image.open(grids[-1]) as grid:
        grid.convert("RGB").save(folder / SAMPLES, quality=90, optimize=True)
    return True


def write_space(model: ModelSource, folder: pathlib.Path, words: Words) -> None:
    """Write the page of `kgan web` with a model, and the card of a static Space.

    Args:
        model: a run folder or a shipped model.
        folder: an empty folder.
        words: what the user says about it.

    Raises:
        UserError: if the page cannot run the model, or LiteRT.js is not there.
    """
    check_runtime()  # before the model is exported
    site = build_site(read_models([model.address or model.path]))
    for name, content in site.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(folder / name, content)
    (folder / "README.md").write_text(space_card(words.repo, words.licence), encoding="utf-8")
