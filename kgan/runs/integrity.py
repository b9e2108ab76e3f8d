"""`kgan verify FOLDER`: whether the files of a model folder are those that its signature or its SHA256SUMS names.

SHA256SUMS tells damage from a whole folder. Only a signature tells who made it. This module does not import TensorFlow.
"""

import base64
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kgan import console
from kgan.errors import RunError, UserError, counted, shown
from kgan.paths import expands_paths

SUMS = "SHA256SUMS"
SIGNATURE = "model.sig"
OF_GIT = (".git", ".gitattributes", ".github", ".gitignore")
"""Files of Git at the top of a folder, which model-signing leaves out, too."""
_LONGEST = 2**24
"""Largest file of sums or signature in bytes."""
_LINE = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)")


class Signer(NamedTuple):
    """Whose signature a folder should have: a public key, root certificates or an identity of Sigstore.

    Attributes:
        public_key: PEM file of an elliptic curve's public key.
        certificate: PEM file of root certificates.
        identity: who signed.
        issuer: who vouches for the identity.
    """

    public_key: pathlib.Path | None = None
    certificate: pathlib.Path | None = None
    identity: str = ""
    issuer: str = ""


@expands_paths
def main(
    folder: str | os.PathLike,
    public_key: str | os.PathLike | None = None,
    certificate: str | os.PathLike | None = None,
    identity: str = "",
    issuer: str = "",
    signature: str | os.PathLike | None = None,
) -> int:
    """Check a folder, and print a line for each file that is altered, missing or not covered, and a line of verdict.

    Args:
        folder: the folder.
        public_key: PEM file of the signer's public key.
        certificate: PEM file of root certificates.
        identity: who signed with Sigstore.
        issuer: who vouches for the identity.
        signature: file of the signature. Default: model.sig in the folder.

    Returns:
        The exit status: 0 if all files are as they should be, otherwise 2.

    Raises:
        UserError: if there is nothing to compare with, or the signature is not the signer's.
    """
    root = pathlib.Path(folder)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; name the folder of a model")
    key, roots = (pathlib.Path(path) if path else None for path in (public_key, certificate))
    signer = Signer(key, roots, identity, issuer)
    signed = pathlib.Path(signature or root / SIGNATURE)
    how, sums = _expected(root, signer, signed)
    problems = list(compare(root, sums, {root / SUMS, signed} if how == SUMS else {signed}))
    for name, reason in problems:
        console.result(shown(f"{root / name}: {reason}"))
    verdict = f"{counted(len(problems), 'problem')}; do not use it" if problems else "all good"
    console.result(f"{counted(len(sums), 'file')} compared with {shown(how)}, {verdict}")
    return 2 if problems else 0


def _expected(root: pathlib.Path, signer: Signer, signed: pathlib.Path) -> tuple[str, dict[str, str]]:
    """What is compared with, and the SHA-256 of each file."""
    kinds = [bool(signer.public_key), bool(signer.certificate), bool(signer.identity or signer.issuer)]
    if sum(kinds) > 1:
        raise UserError("--public-key, --certificate and --identity exclude each other: give one")
    if bool(signer.identity) != bool(signer.issuer):
        raise UserError("--identity and --issuer belong together: give both")
    if any(kinds):
        return f"the signature {signed.name}", signed_sums(root, signer, signed)
    if signed.exists():
        raise UserError(f"{signed}: say whose signature it is, by --public-key, --certificate or --identity")
    if not (root / SUMS).is_file():
        raise UserError(f"{root}: has neither {SIGNATURE} nor {SUMS}, so there is nothing to compare it with")
    return SUMS, sums_in(root / SUMS)


def seals(root: pathlib.Path) -> dict[str, dict[str, str]]:
    """What the signature and SHA256SUMS of a folder say about its files. Who signed is not checked.

    Args:
        root: the folder.

    Returns:
        For `SIGNATURE` and `SUMS`, if the folder has them, the SHA-256 of each file by its name.

    Raises:
        UserError: if one of them cannot be read.
    """
    found = {}
    if (root / SIGNATURE).is_file():
        try:
            found[SIGNATURE] = _named_in(_text(root / SIGNATURE), root / SIGNATURE)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{root / SIGNATURE}: is no signature of model-signing") from None
    if (root / SUMS).is_file():
        found[SUMS] = sums_in(root / SUMS)
    return found


def first_problem(root: pathlib.Path, found: Mapping[str, Mapping[str, str]]) -> str | None:
    """The first file of a folder that is not as its `seals` say, and why, or None if `kgan verify` finds none."""
    for seal, sums in found.items():
        beside = {root / SUMS, root / SIGNATURE} if seal == SUMS else {root / SIGNATURE}
        for name, reason in compare(root, sums, beside):
            return f"{seal}: {name} is {reason}"
    return None


# --- SHA256SUMS -------------------------------------------------------------------------------------------------------


def sums_in(path: pathlib.Path) -> dict[str, str]:
    """Read a file of the command `sha256sum`.

    Args:
        path: the file.

    Returns:
        The SHA-256 in hexadecimal digits by name, relative to the folder, with "/" between folders.

    Raises:
        UserError: if it is no such file, or names a file outside its folder.
    """
    sums: dict[str, str] = {}
    for number, line in enumerate(_text(path).rstrip("\n").split("\n"), 1):
        found = _LINE.fullmatch(line)
        if not found:
            raise UserError(f"{path}: line {number} is not as sha256sum writes it")
        name = _unescaped(found[3]) if found[1] else found[3]
        sums[_inside(name, path)] = found[2].lower()
    return sums


def _unescaped(name: str) -> str:
    """A name in whose line sha256sum escaped line ends and backslashes."""
    return re.sub(r"\\([nr\\])", lambda mark: {"n": "\n", "r": "\r", "\\": "\\"}[mark[1]], name)


def _inside(name: str, path: pathlib.Path) -> str:
    """A name without "./". Raises UserError if it leaves the folder."""
    pure = pathlib.PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise UserError(f"{path}: names {name}, which is outside of its folder")
    return str(pure)


def _text(path: pathlib.Path) -> str:
    if path.stat().st_size > _LONGEST:
        raise UserError(f"{path}: is longer than {_LONGEST >> 20} MB")
    return path.read_text(encoding="utf-8-sig", errors="surrogateescape")  # editors of Windows write a byte order mark


# --- signatures -------------------------------------------------------------------------------------------------------


def signed_sums(root: pathlib.Path, signer: Signer, signed: pathlib.Path) -> dict[str, str]:
    """Verify a signature of model-signing.

    Args:
        root: the folder.
        signer: who should have signed it.
        signed: the file of the signature.

    Returns:
        The SHA-256 of each signed file. The files themselves may differ from it.

    Raises:
        UserError: if there is no signature, or it is not the signer's, or model-signing is not installed.
    """
    for path in (signed, signer.public_key, signer.certificate):
        if path and not path.is_file():
            raise UserError(f"{path}: no such file")
    config = _verifier(signer)
    text = _text(signed)
    try:
        config.verify(root, signed)
    except Exception as error:  # of several libraries
        if not str(error).startswith("Signature mismatch: "):  # of files, which are listed one by one
            raise UserError(f"{signed}: {_reason(error)}; do not use {root}") from None
        sums = _named_in(text, signed)
        if not any(compare(root, sums, {signed})):
            raise UserError(f"{signed}: {_reason(error)}") from None
        return sums
    return _named_in(text, signed)


def _reason(error: Exception) -> str:
    """What is wrong with a signature, in the words of the library."""
    told = str(error) or type(error).__name__
    return f"the signature does not hold ({told})"


def _verifier(signer: Signer) -> Any:
    """A `model_signing.verifying.Config` for the signer."""
    try:
        import model_signing
    except ImportError:
        raise UserError(
            "signatures need model-signing, which is not installed: pip install 'kgan[signing]'"
            " (or: pip install model-signing pyopenssl)"
        ) from None
    config = model_signing.verifying.Config()
    try:
        if signer.public_key:
            return config.use_elliptic_key_verifier(public_key=signer.public_key)
        if signer.certificate:
            return config.use_certificate_verifier(certificate_chain=[signer.certificate])
    except ValueError as error:
        raise UserError(f"{signer.public_key or signer.certificate}: not a PEM file of its kind ({error})") from None
    try:
        return config.use_sigstore_verifier(identity=signer.identity, oidc_issuer=signer.issuer)
    except Exception as error:  # of the network, among others
        raise RunError(f"the keys of Sigstore cannot be had ({error})") from None


def _named_in(text: str, signed: pathlib.Path) -> dict[str, str]:
    """The SHA-256 of each file in a signature that was verified."""
    payload = json.loads(base64.b64decode(json.loads(text)["dsseEnvelope"]["payload"]))
    named = payload.get("predicate", {}).get("resources", [])
    if not named or any(each["algorithm"] != "sha256" for each in named):
        raise UserError(f"{signed}: has no SHA-256 of whole files; check it by the command model_signing verify")
    return {each["name"]: each["digest"] for each in named}


# --- files ------------------------------------------------------------------------------------------------------------


def compare(root: pathlib.Path, sums: Mapping[str, str], beside: set[pathlib.Path]) -> Iterator[tuple[str, str]]:
    """Compare the files of a folder with their sums.

    Args:
        root: the folder.
        sums: the SHA-256 by name.
        beside: files that need no sum.

    Yields:
        (name, reason) of each file that is altered, missing or not covered, in the order of names.
    """
    present = {str(path.relative_to(root)): path for path in _files(root)}
    for name in sorted(sums.keys() | present.keys()):
        if name not in present:
            yield name, "missing"
        elif name not in sums:
            if present[name] not in beside:
                yield name, "not covered"
        elif not present[name].is_file() or _sha256(present[name]) != sums[name]:
            yield name, "altered"


def _files(root: pathlib.Path) -> Iterator[pathlib.Path]:
    """All that is not a folder, links to folders included, but for the files of Git."""
    for path in root.rglob("*"):
        if path.relative_to(root).parts[0] not in OF_GIT and (path.is_symlink() or not path.is_dir()):
            yield path


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
