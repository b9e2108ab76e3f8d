"""Writes deployment files beside served models: for TensorFlow Serving, Envoy, Compose, Kubernetes and KServe.

All files expect their folder at /models. models.config is updated with the versions of the models. The other files are
written once, so that changes by the user stay. kserve.yaml gets a document for each new model.
"""

import functools
import importlib.resources
import pathlib
import re
import string
from collections.abc import Callable

from kgan import files, locks
from kgan.export.signatures import MEMORY
from kgan.export.tf_serving.versions import models

SERVING = "2.20.0"
"""Version of the container image, the first with a TensorFlow that decodes WebP."""

PROXY = "v1.40.0"
"""Version of the container image of Envoy, with which the tests run envoy.yaml."""

GRPC, REST = 8500, 8501
PROXY_GRPC, PROXY_REST = 8600, 8601
"""Ports of Envoy, which differ from those of the server, because a pod has both."""

MAX_BODY = 16 * 2**20
"""The longest request in bytes that Envoy passes on."""

ROOT = "/models"

THREADS = 2
"""Number of rows that a server restyles at the same time. Each may need `MEMORY` bytes."""

GIGABYTES = round(THREADS * MEMORY / 1e9) + 2
"""Memory limit of the container: the memory for all rows, plus 2 GB for the server and a few models of 50 MB."""

ARGUMENTS = (
    f"--port={GRPC}",
    f"--rest_api_port={REST}",
    "--rest_api_timeout_in_ms=120000",
    f"--model_config_file={ROOT}/models.config",
    "--model_config_file_poll_wait_seconds=10",
    "--allow_version_labels_for_unavailable_models=true",
    "--enable_batching=true",
    f"--batching_parameters_file={ROOT}/batching.config",
    f"--monitoring_config_file={ROOT}/monitoring.config",
)

TEMPLATES = importlib.resources.files(__package__) / "templates"
"""A file for each file that is written, and model.config for a block of models.config. $name is replaced."""


def write_deployment(root: pathlib.Path, name: str) -> list[pathlib.Path]:
    """Write the deployment files of all models in a folder.

    Args:
        root: the folder of the models.
        name: name of the new model.

    Returns:
        The paths of the files that are new or changed.
    """
    renderers: dict[str, Callable[[str], str]] = {"models.config": lambda before: models_config(models(root), before)}
    for file in ("batching.config", "monitoring.config", "envoy.yaml", "compose.yaml", "deployment.yaml"):
        renderers[file] = functools.partial(_kept_or_filled, file, name)
    renderers["kserve.yaml"] = lambda before: _with_model(before, name)
    with locks.locked(root / ".lock"):  # of several exports at the same time, the last one sees all versions
        return [root / file for file, render in renderers.items() if _rewritten(root / file, render)]


def models_config(found: dict[str, list[int]], before: str = "") -> str:
    """The text of models.config. The newest version of a model has the label canary.

    The label stable stays at its version if it still exists. All versions are served, because the server moves a label
    only to a version that is loaded already.

    Args:
        found: the versions of each model.
        before: the previous text of models.config.

    Returns:
        The new text.
    """
    blocks = [
        _filled("model.config", name=name, stable=_stable(name, numbers, before), canary=numbers[-1])
        for name, numbers in found.items()
    ]
    return "model_config_list {\n" + "".join(blocks) + "}\n"


def _stable(name: str, numbers: list[int], before: str) -> int:
    """The version with the label stable in a previous models.config, or else the oldest version."""
    for block in re.split(r"\bconfig\s*{", before):
        if re.search(rf'\bname:\s*"{name}"', block):
            label = re.search(r'key:\s*"stable"\s*value:\s*(\d+)', block)
            if label and int(label[1]) in numbers:
                return int(label[1])
    return numbers[0]


def _kept_or_filled(file: str, name: str, before: str) -> str:
    """A file that exists stays as it is, because a person may have changed it."""
    return before or _filled(file, name=name)


def _filled(template: str, **values) -> str:
    """A file of `TEMPLATES` with its names replaced. The server's arguments become a list, indented as their name."""
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    indent = re.search(r"^( *)\$arguments", text, re.MULTILINE)
    arguments = f"\n{indent[1]}".join(f"- {argument}" for argument in ARGUMENTS) if indent else ""
    known = {"image": SERVING, "grpc": GRPC, "rest": REST, "root": ROOT, "threads": THREADS, "gigabytes": GIGABYTES}
    known |= {"proxy": PROXY, "proxy_grpc": PROXY_GRPC, "proxy_rest": PROXY_REST, "body": MAX_BODY}
    return string.Template(text).substitute(known, arguments=arguments, **values)


def _with_model(before: str, name: str) -> str:
    known = re.search(rf"^  name: {name}$", before, re.MULTILINE)
    return before if known else before + _filled("kserve.yaml", name=name)


def _rewritten(path: pathlib.Path, render) -> bool:
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    after = render(before)
    if after == before:
        return False
    files.write_text(path, after)  # a server may read the file at any time
    return True
