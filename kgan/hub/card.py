"""The cards of models and Spaces: Markdown with the metadata of the hub."""

import dataclasses
import importlib.resources
import json
import pathlib
import re
import string
from typing import Any

import kgan
from kgan import console
from kgan.evaluation import report as reports
from kgan.evaluation.report import Report
from kgan.gan.checkpoints import newest_step
from kgan.kinds import metrics_in_order
from kgan.runs import hub, places
from kgan.runs.models import ModelSource
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig

TEMPLATES = importlib.resources.files(__package__) / "templates"

TASK = "image-to-image"

HEADERS = {
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "cross-origin",
}
"""The headers that a Space may ask for. Browsers give threads to a page with them."""

KINDS = (
    (r"config\.json", "settings of the training, which rebuild the network"),
    (r"model\.safetensors", "the weights"),
    (r".*_fixed\.tflite", "LiteRT for squares of fixed sizes: browsers, GPUs and phones"),
    (r".*\.tflite", "LiteRT for pictures of any size"),
    (r".*\.vectors\.bin", "test vectors of the .tflite file of that name"),
    (r".*\.onnx", "ONNX"),
    (r"model.*\.json", "facts of the file of that name"),
    (r"samples\.jpg", "pictures"),
)
"""Names of files and what they are."""


@dataclasses.dataclass(frozen=True)
class Words:
    """What the user says about a model.

    Attributes:
        repo: owner and name on the hub.
        licence: the licence of the model, or None.
        source: where the training pictures come from, or None.
        samples: whether pictures are pushed.
    """

    repo: str
    licence: str | None = None
    source: str | None = None
    samples: bool = True


def card(model: ModelSource, folder: pathlib.Path, words: Words, config: TrainConfig, pictures: bool) -> str:
    """The card of a model. The README.md of the run folder is its text, if there is one.

    Args:
        model: the model.
        folder: the folder with all other files.
        words: what the user says about it.
        config: its settings, without folders.
        pictures: whether samples.jpg is one of the files.

    Returns:
        Markdown.
    """
    report = _report(model)
    own = model.path / "README.md"
    text, theirs = _parts(own.read_text(encoding="utf-8")) if own.is_file() else ("", {})
    data = _metadata(model, folder, words, config, report) | theirs
    own_text = _with_files(_portable(text), folder)
    own_text = own_text if pictures else re.sub(r"!\[[^\]]*\]\(samples\.jpg\)\n*", "", own_text)
    return _with_metadata(own_text or _text(folder, words, config, report, pictures), data)


def space_card(repo: str, licence: str | None) -> str:
    """The card of a Space, whose metadata says how the hub serves it."""
    name = repo.rpartition("/")[2]
    data = {"title": name, "emoji": "🎨", "colorFrom": "yellow", "colorTo": "red", "sdk": "static", "pinned": False}
    licensed = {"license": licence} if licence else {}
    tags = {"tags": ["kgan", "style-transfer"], "custom_headers": HEADERS}
    return _with_metadata(_filled("space.md", name=name), data | licensed | tags)


def _with_metadata(text: str, data: dict[str, Any]) -> str:
    """Markdown with metadata as YAML above it."""
    from huggingface_hub import CardData

    return f"---\n{CardData(**data).to_yaml()}\n---\n\n{text.strip()}\n"


def _parts(content: str) -> tuple[str, dict[str, Any]]:
    """The text and the metadata of a card that the user wrote."""
    from huggingface_hub import RepoCard

    if not content.startswith("---"):
        return content, {}
    found = RepoCard(content, ignore_metadata_errors=True)
    return found.text, found.data.to_dict()


def _portable(text: str) -> str:
    """Markdown whose links to files outside of its folder are their texts alone."""
    return re.sub(r"(?<!!)\[([^\]]*)\]\(\.\./[^)]*\)", r"\1", text)


def _with_files(text: str, folder: pathlib.Path) -> str:
    """The text with the files that are pushed in the table of its section Files, if it has one."""
    return re.sub(r"(?ms)^## Files\n\n\|.*?(?=\n\n|\Z)", lambda _: f"## Files\n\n{_table(folder)}", text)


# --- metadata ---------------------------------------------------------------------------------------------------------


def _metadata(
    model: ModelSource, folder: pathlib.Path, words: Words, config: TrainConfig, report: Report | None
) -> dict[str, Any]:
    from huggingface_hub import EvalResult, ModelCardData

    named = (word for word in (config.content, config.style, config.data) if word)
    bases = (word for word in (config.init_from, *places.teachers(config)) if word and hub.is_address(word))
    task = TASK if config.recipe and not _is_from_noise(config) else "unconditional-image-generation"
    data = ModelCardData(
        library_name="kgan",
        pipeline_tag=task,
        license=words.licence or ("apache-2.0" if model.is_shipped else "unknown"),
        tags=["kgan", "keras", "gan", "style-transfer", *_formats(folder), f"recipe:{config.recipe}"],
        datasets=[word.removeprefix("tfds:") for word in named if word.startswith("tfds:")] or None,
        base_model=[hub.parse(word).repo for word in bases] or None,
        model_name=words.repo.rpartition("/")[2] if report else None,
        eval_results=[EvalResult(**result) for result in _results(report, task)] if report else None,
    )
    return data.to_dict()


def _is_from_noise(config: TrainConfig) -> bool:
    from kgan.runs import recipes

    return recipes.find(config.recipe).pictures == "style"


def _formats(folder: pathlib.Path) -> list[str]:
    tags = {".safetensors": "safetensors", ".tflite": "tflite", ".onnx": "onnx"}
    return [tag for suffix, tag in tags.items() if any(folder.glob(f"*{suffix}"))]


def _results(report: Report, task: str) -> list[dict[str, Any]]:
    """The numbers of the model with their intervals, as the hub lists them."""
    size = f" at {report['size']}x{report['size']}" if report["size"] else ""
    pictures = {"dataset_type": "imagefolder", "dataset_name": f"{report['pictures']} pictures{size}"}
    rows = []
    measured = report["rows"]["model"]
    for metric in (metric for metric in metrics_in_order() if measured.get(metric.name)):
        number = measured[metric.name]
        value, low, high = (round(number[key] * metric.scale, metric.digits) for key in ("value", "low", "high"))
        interval = {"low": low, "high": high, "interval": "95% bootstrap"}
        told = {"metric_type": metric.name, "metric_name": metric.label, "metric_value": value, "metric_args": interval}
        rows.append({"task_type": task, **pictures, **told})
    return rows


def _report(model: ModelSource) -> Report | None:
    """What `kgan evaluate` measured of these weights, or None."""
    file = model.path / "evaluation.json"
    if not file.is_file():
        return None
    report, step = json.loads(file.read_text(encoding="utf-8")), newest_step(RunFolder(model.path).checkpoints)
    measured = report.get("weights", {}).get("step")
    if step and measured != step:
        console.say(f"no scores: {file} is of step {measured}, and the model of step {step}; evaluate it again")
        return None
    return report


# --- text -------------------------------------------------------------------------------------------------------------


def _text(folder: pathlib.Path, words: Words, config: TrainConfig, report: Report | None, pictures: bool) -> str:
    return _filled(
        "card.md",
        name=words.repo.rpartition("/")[2],
        address=f"{hub.SCHEME}{words.repo}",
        headline="A generator that restyles pictures." if not _is_from_noise(config) else "A generator of pictures.",
        pictures="\n![samples](samples.jpg)\n" if pictures else "",
        data=_data(words, config),
        training=_training(config),
        scores=_scores(report) if report else "Not measured (`kgan evaluate`).",
        files=_table(folder),
    )


def _filled(template: str, **values: str) -> str:
    return string.Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(values)


def _data(words: Words, config: TrainConfig) -> str:
    names = {side: name for side in ("content", "style", "data") if (name := getattr(config, side))}
    trained = "; ".join(f"{side} `{name}`" for side, name in names.items()) or "not stated"
    return f"Training pictures: {trained}. Source: {words.source or 'not stated'}.\n\nLicence of the model: " + (
        words.licence or "not stated"
    )


def _training(config: TrainConfig) -> str:
    before = "".join(
        f" {what} `{word}`." for what, word in (("Started from", config.init_from), ("Teacher:", config.distill_from),
                                                ("Second teacher:", config.distill_also)) if word
    )  # fmt: skip
    return (
        f"kgan {kgan.__version__}, recipe `{config.recipe}`: {config.steps} steps of batch {config.batch_size} at "
        f"{config.size}x{config.size}. Generator `{config.generator}`, {config.filters} filters, {config.blocks} "
        f"blocks.{before} All settings are in `config.json`."
    )


def _scores(report: Report) -> str:
    titles = reports.titles(report)
    head = ["", *reports.labels(report)]
    rows = [[titles[name], *line] for name, line in reports.cells(report).items()]
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    size = f" at {report['size']}x{report['size']}" if report["size"] else ""
    told = [*reports.remarks(report), *(f"Warning: {text}." for text in report["warnings"])]
    return "\n".join([f"{report['pictures']} pictures{size}.", "", *lines, "", *told])


def _table(folder: pathlib.Path) -> str:
    """The files of a folder and what they are, as a table."""
    names = sorted(path.name for path in folder.iterdir() if path.name != "README.md")
    told = ((name, next((what for pattern, what in KINDS if re.fullmatch(pattern, name)), "")) for name in names)
    return "\n".join(["| file | what it is |", "|---|---|", *(f"| `{name}` | {what} |" for name, what in told)])
