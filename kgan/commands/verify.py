"""The command `kgan verify`."""

import dataclasses
import pathlib

from tyro.conf import Positional

from kgan.commands import Command


@dataclasses.dataclass(frozen=True)
class Verify:
    """Check the files of a model folder against its signature or its SHA256SUMS.

    Files that are altered, missing or not covered are listed, and the exit status is 2. Signatures are those of
    model-signing (kgan[signing]), made with a key, a certificate or an identity of Sigstore.
    """

    folder: Positional[pathlib.Path]
    """Folder of the model."""
    public_key: pathlib.Path | None = None
    """PEM file with the public key of the signer."""
    certificate: pathlib.Path | None = None
    """PEM file with the root certificates that you trust, for a signature with a certificate."""
    identity: str = ""
    """Who signed with Sigstore, such as an email address. Needs --issuer."""
    issuer: str = ""
    """Who vouches for --identity, such as https://accounts.google.com."""
    signature: pathlib.Path | None = None
    """File of the signature. Default: model.sig in the folder."""


COMMAND = Command("verify", Verify, "kgan.runs.integrity:main", place=95)
