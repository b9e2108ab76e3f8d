"""`kgan push` puts a trained model on the hub, or a page that runs it in the browser."""

import os
import pathlib
import re
import tempfile
from collections.abc import Iterable
from types import ModuleType

from kgan import console
from kgan.errors import UserError, call, counted, some
from kgan.gan.checkpoints import newest_step
from kgan.hub.card import Words
from kgan.hub.contents import write_model, write_sealed, write_space
from kgan.paths import expands_paths
from kgan.runs import hub
from kgan.runs.hub import Address
from kgan.runs.integrity import OF_GIT, seals
from kgan.runs.models import ModelSource, resolve_run
from kgan.runs.run_folder import RunFolder
from kgan.runs.trust import takes_trust

_OURS = re.compile(
    r"model[\w.-]*\.(tflite|json|vectors\.bin|onnx|safetensors|sig)|SHA256SUMS|samples\.jpg|models/[\w.-]+\.tflite",
    re.ASCII,
)
"""Files of an earlier push that describe other weights, unless they are written anew. Nothing else is deleted."""


@expands_paths
@takes_trust
def push(
    run: str | os.PathLike,
    to: str,
    private: bool = False,
    revision: str | None = None,
    space: bool = False,
    licence: str | None = None,
    source: str | None = None,
    without_samples: bool = False,
    dry_run: bool = False,
    trust: bool = False,
) -> str:
    """Put a trained model on the Hugging Face hub, in one commit, or with `space` a page that runs it in the browser.

    A model is config.json without folders, model.safetensors, LiteRT and ONNX files, and a card with metadata and
    pictures. What was uploaded before an interruption is not uploaded again. If the folder has a signature or
    SHA256SUMS, exactly the files that they cover are pushed, unchanged, so that `kgan verify` succeeds on a copy.

    Args:
        run: a run folder whose training has ended, or the name of a shipped model.
        to: the address, hf://owner/name. The repository is made if it does not exist.
        private: make a private repository.
        revision: the branch, which is made if it does not exist. Default: main.
        space: write a static Space with the page of `kgan web` instead.
        licence: the licence of the model, as the hub spells it, such as "apache-2.0".
        source: where the training pictures come from.
        without_samples: upload no pictures.
        dry_run: list the files and upload nothing.
        trust: push a run of somebody else that is a program (`kgan.load`).

    Returns:
        The URL of the repository.

    Raises:
        UserError: if the run has not ended, a signature or SHA256SUMS does not describe its files, there is no account,
            or the hub refuses.
    """
    address = _target(to, revision)
    library = hub.required(f"{address}: the hub needs")
    model = resolve_run(run)
    _check_ended(model)
    kind = "space" if space else "model"
    if not dry_run:
        _check_hub(library, address, kind, private)
    with tempfile.TemporaryDirectory(prefix="kgan-push-") as staged:
        folder, words = pathlib.Path(staged), Words(address.repo, licence, source, not without_samples)
        if sealed := {} if space else seals(model.path):
            write_sealed(model, folder, words, sealed)
        else:
            (write_space if space else write_model)(model, folder, words)
        _list(folder, address, kind)
        if dry_run:
            return str(address)
        with hub.quiet(library), hub.failing(library, address):
            url = _upload(library, folder, address, kind, private, list(sealed))
    console.result(f"pushed    {url}")
    return url


def _target(to: str, revision: str | None) -> Address:
    address = hub.parse(to)
    if revision and address.revision:
        raise UserError(f"--revision {revision}: {to} names a revision already; leave one out")
    return hub.parse(f"{address}@{revision}") if revision else address


def _check_ended(model: ModelSource) -> None:
    """Raise UserError for a run whose training has not ended. A folder without checkpoints is an export."""
    step, steps = newest_step(RunFolder(model.path).checkpoints), model.run_config.steps
    if 0 < step < steps:
        on = call("train", run=model.path, resume=True)
        raise UserError(f"{model.path}: its training has reached step {step} of {steps}; end it first: {on}")
    if model.path.joinpath("checkpoints").is_dir() and not step:
        raise UserError(f"{model.path}: its training has no checkpoint yet; end it first")


def _check_hub(library: ModuleType, address: Address, kind: str, private: bool) -> None:
    """Raise UserError if nothing can be pushed, before the model is exported."""
    if library.constants.is_offline_mode():
        raise UserError(f"{address}: HF_HUB_OFFLINE is set, so that nothing can be pushed")
    if not library.get_token():
        raise UserError(f"{address}: needs an account of the hub; {hub.LOG_IN}")
    with hub.quiet(library), hub.failing(library, address):
        try:
            there = hub.client(library).repo_info(address.repo, repo_type=kind)
        except library.errors.RepositoryNotFoundError:
            return
        if private and not there.private:
            raise UserError(f"--private: {address} exists and is public; make it private on its page, or name another")


def _list(folder: pathlib.Path, address: Address, kind: str) -> None:
    """Say what will be uploaded."""
    files = _files(folder)
    whole = sum(file.stat().st_size for file in files)
    console.say(f"{kind:9} {address}: {counted(len(files), 'file')}, {whole / 1e6:.1f} MB")
    for file in files:
        console.say(f"          {file.relative_to(folder)}  {file.stat().st_size / 1e6:.3f} MB")


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _upload(
    library: ModuleType, folder: pathlib.Path, address: Address, kind: str, private: bool, sealed: list[str]
) -> str:
    """Make the repository and its branch, and upload all files in one commit. Returns the URL."""
    client, where = hub.client(library), {"repo_id": address.repo, "repo_type": kind}
    sdk = {"space_sdk": "static"} if kind == "space" else {}
    url = client.create_repo(**where, private=private or None, exist_ok=True, **sdk)
    if address.revision:
        client.create_branch(**where, branch=address.revision, exist_ok=True)
    added = {file.relative_to(folder).as_posix(): file for file in _files(folder)}
    there = client.repo_info(**where, revision=address.revision).siblings or ()
    gone = _outdated((file.rfilename for file in there), added)
    left = sorted({file.rfilename for file in there} - {*added, *gone, *OF_GIT})
    if sealed and left:  # kgan verify would find them on every copy
        raise UserError(f"{address}: has {some(left)}, which {sealed[0]} does not cover; remove, or push elsewhere")
    operations = [library.CommitOperationAdd(name, str(file)) for name, file in added.items()]
    operations += [library.CommitOperationDelete(name) for name in gone]
    client.create_commit(**where, operations=operations, commit_message="kgan push", revision=address.revision)
    return str(url) + (f"/tree/{address.revision}" if address.revision else "")


def _outdated(there: Iterable[str], added: Iterable[str]) -> list[str]:
    """Files of an earlier push that this one does not have."""
    return sorted(name for name in set(there) - set(added) if _OURS.fullmatch(name))
