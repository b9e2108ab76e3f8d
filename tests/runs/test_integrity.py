"""`kgan verify`: files of a model folder against SHA256SUMS and against signatures of model-signing."""

import datetime
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import model_signing
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kgan import cli
from kgan.errors import UserError
from kgan.runs import integrity
from kgan.runs.models import FOLDER

PEM = serialization.Encoding.PEM


@pytest.fixture
def folder(tmp_path):
    """A copy of the small parts of a shipped model."""
    kept = shutil.ignore_patterns("*.tflite", "*.jpg", "*.png")
    return pathlib.Path(shutil.copytree(FOLDER / "vangogh-mobile", tmp_path / "model", ignore=kept))


def said(capsys, *words):
    status = cli.main(["verify", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err


def add_sums(folder):
    """SHA256SUMS by the command that users have."""
    command = "find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum > SHA256SUMS"
    subprocess.run(["sh", "-c", command], cwd=folder, check=True)


# --- SHA256SUMS -------------------------------------------------------------------------------------------------------


def test_what_sha256sum_wrote_is_all_good(folder, capsys):
    add_sums(folder)
    files = sum(path.is_file() for path in folder.rglob("*")) - 1
    assert said(capsys, folder) == (0, [f"{files} files compared with SHA256SUMS, all good"], "")


def test_each_file_that_differs_is_named(folder, capsys):
    add_sums(folder)
    config, hidden = folder / "config.json", folder / "saved_model" / ".hidden"
    config.write_bytes(config.read_bytes().replace(b"0", b"1", 1))
    (folder / "README.md").unlink()
    hidden.touch()
    (folder / "linked").symlink_to(folder / "saved_model")  # a link to a folder
    variables = folder / "saved_model" / "variables" / "variables.index"
    variables.unlink()
    os.mkfifo(variables)  # is never opened
    status, lines, _ = said(capsys, folder)
    assert status == 2
    assert lines[:-1] == [
        f"{folder / 'README.md'}: missing",
        f"{config}: altered",
        f"{folder / 'linked'}: not covered",
        f"{hidden}: not covered",
        f"{variables}: altered",
    ]
    assert lines[-1].endswith("compared with SHA256SUMS, 5 problems; do not use it")


@pytest.mark.parametrize("name", ["a b.txt", "back\\slash", "line\nend", "café", "\u2028", "caf\udce9.png"])
def test_names_as_sha256sum_writes_them(tmp_path, name):
    (tmp_path / name).write_bytes(b"numbers")
    add_sums(tmp_path)
    sums = integrity.sums_in(tmp_path / "SHA256SUMS")
    assert sums == {name: hashlib.sha256(b"numbers").hexdigest()}
    assert list(integrity.compare(tmp_path, sums, {tmp_path / "SHA256SUMS"})) == []


@pytest.mark.parametrize(("start", "end"), [("", "\r\n"), ("\ufeff", "\r\n"), ("\ufeff", "\n")], ids=repr)
def test_sums_that_an_editor_of_windows_saved(tmp_path, start, end):
    sums = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("a.txt", "café.png")}
    text = start + "".join(f"{digits} *{name}{end}" for name, digits in sums.items())
    (tmp_path / "SHA256SUMS").write_bytes(text.encode())
    assert integrity.sums_in(tmp_path / "SHA256SUMS") == sums


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 is not as sha256sum writes it"),
        (f"{'a' * 64}  ok\n{'a' * 63}  short\n", "line 2 is not as"),
        (f"{'a' * 64}  ../outside\n", "names ../outside, which is outside"),
        (f"{'a' * 64}  /etc/passwd\n", "names /etc/passwd, which is outside"),
        (f"{'a' * 64}  a/../../b\n", "which is outside"),
    ],
)
def test_sums_that_are_none(tmp_path, text, message):
    (tmp_path / "SHA256SUMS").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        integrity.main(tmp_path)


def test_nothing_to_compare_with_is_an_error(folder, capsys):
    for words in ((folder,), (folder / "nowhere",)):
        status, lines, error = said(capsys, *words)
        assert (status, lines, error.count("\n")) == (2, [], 1)


# --- signatures -------------------------------------------------------------------------------------------------------


def private_pem(key):
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """PEM files: two pairs of keys, a root certificate, another, and one that the first has signed."""
    made = tmp_path_factory.mktemp("keys")
    pairs = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("signer", "stranger", "root", "other")}
    for name, key in pairs.items():
        (made / f"{name}.key").write_bytes(private_pem(key))
        public = key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (made / f"{name}.pub").write_bytes(public)
    for name, issuer in (("root", "root"), ("other", "other"), ("signer", "root")):
        signed = certificate(name, pairs[name].public_key(), issuer, pairs[issuer], is_root=name == issuer)
        (made / f"{name}.pem").write_bytes(signed.public_bytes(PEM))
    return made


def certificate(name, key, issuer, issuer_key, is_root):
    start = datetime.datetime(2026, 1, 1)
    names = {word: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, word)]) for word in (name, issuer)}
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only",
         "decipher_only"), False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder(
            names[issuer], names[name], key, 1 if is_root else 2, start, datetime.datetime(2126, 1, 1)
        )
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not is_root, key_cert_sign=is_root, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def sign(folder, keys, by_certificate=False):
    signature, key = folder / "model.sig", keys / "signer.key"
    config = model_signing.signing.Config()
    if by_certificate:
        chain = {"signing_certificate": keys / "signer.pem", "certificate_chain": [keys / "root.pem"]}
        config.use_certificate_signer(private_key=key, **chain)
    else:
        config.use_elliptic_key_signer(private_key=key)
    config.set_hashing_config(model_signing.hashing.Config().set_ignored_paths(paths=[signature.name]))
    config.sign(folder, signature)


def test_a_signature_by_a_key(folder, keys, capsys):
    add_sums(folder)
    sign(folder, keys)
    status, lines, error = said(capsys, folder)
    assert (status, lines) == (2, [])
    assert "say whose signature it is" in error
    status, lines, _ = said(capsys, folder, "--public-key", keys / "signer.pub")
    assert status == 0
    count = sum(path.is_file() for path in folder.rglob("*")) - 1  # but for the signature
    assert lines == [f"{count} files compared with the signature model.sig, all good"]


def test_a_signature_by_a_certificate(folder, keys, capsys):
    sign(folder, keys, by_certificate=True)
    assert said(capsys, folder, "--certificate", keys / "root.pem")[0] == 0
    status, lines, error = said(capsys, folder, "--certificate", keys / "other.pem")
    assert (status, lines, error.count("\n")) == (2, [], 1)
    assert "the signature does not hold" in error


def test_files_that_differ_from_what_was_signed(folder, keys, capsys):
    sign(folder, keys)
    config = folder / "config.json"
    config.write_bytes(config.read_bytes() + b" ")
    (folder / "README.md").rename(folder / "README.txt")
    add_sums(folder)  # whoever changes a model can write new sums, too
    status, lines, _ = said(capsys, folder, "--public-key", keys / "signer.pub")
    assert status == 2
    names = ["README.md: missing", "README.txt: not covered", "SHA256SUMS: not covered", "config.json: altered"]
    assert lines[:-1] == [f"{folder}/{name}" for name in names]


def test_a_signature_whose_list_was_changed(folder, keys, capsys):
    sign(folder, keys)
    bundle = json.loads((folder / "model.sig").read_text(encoding="utf-8"))
    payload = bundle["dsseEnvelope"]["payload"]
    bundle["dsseEnvelope"]["payload"] = payload[:200] + ("A" if payload[200] != "A" else "B") + payload[201:]
    (folder / "model.sig").write_text(json.dumps(bundle), encoding="utf-8")
    status, lines, error = said(capsys, folder, "--public-key", keys / "signer.pub")
    assert (status, lines, error.count("\n")) == (2, [], 1)
    assert "the signature does not hold" in error


def test_a_signature_without_the_package(folder, keys, capsys, monkeypatch):
    sign(folder, keys)
    monkeypatch.setitem(sys.modules, "model_signing", None)
    status, lines, error = said(capsys, folder, "--public-key", keys / "signer.pub")
    assert (status, lines, error.count("\n")) == (2, [], 1)
    assert "pip install 'kgan[signing]'" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--public-key {keys}/stranger.pub", "does not match the provided public key"),
        ("--public-key {keys}/signer.pem", "not a PEM file of its kind"),
        ("--public-key {keys}/none.pub", "none.pub: no such file"),
        ("--certificate {keys}/root.pem", "the signature does not hold"),
        ("--certificate {keys}/signer.key", "not a PEM file of its kind"),
        ("--public-key {keys}/signer.pub --certificate {keys}/root.pem", "exclude each other"),
        ("--identity me@example.org", "belong together"),
        ("--public-key {keys}/signer.pub --signature {keys}/none.sig", "none.sig: no such file"),
        ("--public-key {keys}/signer.pub --signature {keys}/signer.pub", "the signature does not hold"),
    ],
)
def test_a_wrong_signer_gets_one_line(folder, keys, capsys, words, message):
    sign(folder, keys)
    status, lines, error = said(capsys, folder, *words.format(keys=keys).split())
    assert (status, lines, error.count("\n")) == (2, [], 1)
    assert message in error
