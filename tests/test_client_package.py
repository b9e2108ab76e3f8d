"""kgan-client (scripts/client): its requirements are sufficient for requests, and other commands print an error."""

import configparser
import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

import kgan

ROOT = pathlib.Path(kgan.__file__).parents[1]

GUARDED = """
import sys

ALLOWED = set(sys.argv[1].split(","))

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Guard())
import kgan
from kgan import cli
from kgan.serving import Client

CALLS = {
    "train": lambda: kgan.train(content=".", style="."),
    "stylize": lambda: kgan.stylize(".", model="vangogh", output="out"),
    "evaluate": lambda: kgan.evaluate("run"),
    "load": lambda: kgan.load("vangogh"),
    "OneWay": lambda: kgan.OneWay,
    "networks": lambda: kgan.networks,
}

def check_calls():
    for name, call in CALLS.items():
        try:
            call()
        except kgan.UserError as error:
            print(isinstance(error, ImportError), error)

for server in ("http://127.0.0.1:9", "grpc://127.0.0.1:9"):
    Client(server, "vangogh").close()
check_calls()
statuses = [cli.main(sys.argv[k].split()) for k in range(2, len(sys.argv))]
sys.exit(repr(statuses))
"""
"""Runs commands in a process that can import only the modules in the first argument."""


def requirements(setup: pathlib.Path) -> dict[str, str]:
    """Package -> the whole line, of install_requires."""
    parser = configparser.ConfigParser()
    parser.read(setup, encoding="utf-8")
    lines = parser["options"]["install_requires"].split()
    return {re.split(r"[<>=]", line)[0]: line for line in lines}


def modules_of(packages) -> set[str]:
    """The modules of installed packages and of all that they require, extras left out."""
    homes, left, seen = importlib.metadata.packages_distributions(), set(packages), set()
    while left:
        name = left.pop()
        seen.add(name)
        for line in importlib.metadata.requires(name) or ():
            package = re.split(r"[^\w.-]", line)[0].lower()
            if "extra ==" not in line and package not in seen and is_installed(package):
                left.add(package)
    owners = {owner.lower().replace("_", "-") for owner in seen}
    return {module for module, found in homes.items() if owners & {each.lower().replace("_", "-") for each in found}}


def is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def test_it_requires_a_part_of_what_kgan_requires():
    client, whole = requirements(ROOT / "scripts" / "client" / "setup.cfg"), requirements(ROOT / "setup.cfg")
    assert client.items() < whole.items()
    assert not {"tensorflow", "keras", "tensorflow-datasets"} & client.keys()


def test_its_requirements_are_enough(tmp_path):
    """The client, `kgan request` and `kgan check` work without other modules. Other commands print an error message."""
    allowed = modules_of(requirements(ROOT / "scripts" / "client" / "setup.cfg")) | set(sys.stdlib_module_names)
    assert {"numpy", "PIL", "grpc", "google"} <= allowed
    assert not {"tensorflow", "keras"} & allowed
    commands = [
        "check .",
        "request . --server http://127.0.0.1 --name a/b --output out",
        "stylize . --model vangogh --output out",
    ]
    words = [sys.executable, "-c", GUARDED, ",".join([*allowed, "kgan"]), *commands]
    shutil.copy(ROOT / "saved_models" / "vangogh" / "test_content.png", tmp_path / "photo.png")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert lines[-1] == "[0, 2, 2]", done.stderr
    for name in ("train", "stylize", "evaluate", "load", "OneWay", "networks"):
        assert re.search(rf"^True kgan\.{name} needs \w+, which is not installed: pip install kgan$", done.stdout, re.M)
    assert "1 picture checked" in done.stdout
    assert "not installed: pip install kgan" in lines[-2]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_its_wheel(tmp_path):
    """Built from a copy of the tree: all modules, the licence, and neither models nor sample pictures."""
    shutil.copytree(ROOT / "kgan", tmp_path / "kgan", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", tmp_path)
    shutil.copytree(
        ROOT / "scripts" / "client", tmp_path / "scripts" / "client", ignore=shutil.ignore_patterns("build")
    )
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    done = subprocess.run(build, cwd=tmp_path / "scripts" / "client", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "scripts" / "client" / "dist").glob("kgan_client-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        (metadata,) = (archive.read(name).decode() for name in held if name.endswith("/METADATA"))
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "kgan").rglob("*.py")} <= held
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert f"Version: {kgan.__version__}" in metadata
    assert wheel.stat().st_size < 2**20
