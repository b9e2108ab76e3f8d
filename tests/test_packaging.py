"""The wheel: its files, its metadata, and an installation in another folder."""

import configparser
import email
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

import kgan

ROOT = pathlib.Path(kgan.__file__).parents[1]
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel that is built from a copy of the tree without files of previous builds."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "kgan", folder / "kgan", ignore=shutil.ignore_patterns("__pycache__"))  # links as files
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = (folder / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_it_holds_all_of_the_package_and_nothing_else(unpacked):
    held = {str(path.relative_to(unpacked)) for path in (unpacked / "kgan").rglob("*") if path.is_file()}
    kept = {".py", ".typed", ".zip", ".npz", ".NOTICE"}
    shipped = [path for folder in (ROOT / "saved_models").iterdir() for path in shipped_files(folder)]
    page = {path for path in (ROOT / "kgan" / "web" / "static").rglob("*") if path.is_file()}
    templates = set((ROOT / "kgan").rglob("templates/*"))
    files = {path for path in (ROOT / "kgan").rglob("*") if path.suffix in kept} | page | templates
    ours = {str(path.relative_to(ROOT)) for path in files} | {f"kgan/{path.relative_to(ROOT)}" for path in shipped}
    assert held == ours
    assert {"kgan/py.typed", "kgan/data/sample.zip", "kgan/networks/mobilenet.npz", "kgan/networks/vgg16.npz"} <= held
    assert {path.name.split("-")[0] for path in unpacked.iterdir()} == {"kgan"}


def shipped_files(folder):
    """The files of a saved_models/ folder in a wheel: the weights and the card, without other formats and pictures."""
    return [folder / name for name in ("README.md", "config.json", "model.safetensors")]


def test_its_metadata(unpacked):
    (folder,) = unpacked.glob("*.dist-info")
    metadata = email.message_from_string((folder / "METADATA").read_text(encoding="utf-8"))
    assert metadata["Version"] == kgan.__version__
    assert "Apache-2.0" in (metadata["License-Expression"], metadata["License"])
    assert len(metadata.get_all("License-File")) == 4
    assert all(next(folder.rglob(pathlib.Path(name).name), None) for name in metadata.get_all("License-File"))
    assert {"cuda", "dev"} <= set(metadata.get_all("Provides-Extra"))
    assert metadata.get_payload().strip()  # the README
    entries = configparser.ConfigParser()
    entries.read(folder / "entry_points.txt")
    assert entries["console_scripts"]["kgan"] == "kgan.cli:main"


def test_its_version_has_a_changelog_entry():
    assert f"## [{kgan.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_import_is_a_requirement(unpacked):
    """What the package imports is named in setup.cfg, not only brought along by something else; what it can do without,
    among the extras."""
    (folder,) = unpacked.glob("*.dist-info")
    metadata = email.message_from_string((folder / "METADATA").read_text(encoding="utf-8"))
    lines = metadata.get_all("Requires-Dist")
    required, extras = (
        {re.split(r"[^A-Za-z0-9_-]", line)[0].lower().replace("_", "-") for line in lines if ("extra" in line) == extra}
        for extra in (False, True)
    )
    text = "\n".join(path.read_text(encoding="utf-8") for path in (unpacked / "kgan").rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:import|from) ([a-z_A-Z0-9]+)(?:[. ].*)?$", text, re.M))
    packages = importlib.metadata.packages_distributions()
    foreign = {name for name in imported if name in packages and name not in sys.stdlib_module_names | {"kgan"}}
    assert {"tensorflow", "PIL", "numpy"} <= foreign
    for name in foreign:
        optional = re.search(rf"    try:\n        import {name}\b", text) or f'module="{name}"' in text
        named = extras if optional else required
        assert {package.lower().replace("_", "-") for package in packages[name]} & named, name


@pytest.mark.long
def test_it_works_from_a_folder_of_its_own(unpacked, tmp_path):
    """The packaged sample and features are found without the source tree."""
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    code = (
        "import kgan, sys; from kgan import cli; assert kgan.__file__.startswith(sys.argv[1]);"
        "status = cli.main(['sample', 'sample']);"
        "from kgan.networks.features import build; import numpy as np;"
        "print(build('mobilenet').pooled(np.zeros((1, 64, 64, 3), 'float32')).shape);"
        "print(kgan.load('vangogh')(np.zeros((20, 30, 3), 'uint8')).shape); sys.exit(status)"
    )
    command = [sys.executable, "-c", code, str(unpacked)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "(1, 1024)" in done.stdout
    assert "(20, 30, 3)" in done.stdout
    assert len(list((tmp_path / "sample" / "testA").iterdir())) == 52
