"""The Dockerfile, as far as it can be checked without Docker. scripts/container_steps.py runs it in a bare Debian."""

import configparser
import importlib.util
import pathlib
import re
import subprocess

import pytest
from packaging.requirements import Requirement

import kgan

ROOT = pathlib.Path(kgan.__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
TARGETS = {"cpu": ("film", "int8"), "cuda": ("film", "int8", "cuda")}


@pytest.fixture(scope="module")
def container():
    specification = importlib.util.spec_from_file_location("container_steps", ROOT / "scripts" / "container_steps.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("target", TARGETS)
def test_the_script_has_every_step_of_the_target(container, target):
    script = container.script(TEXT, target)
    joined = re.sub(r"^#.*\n", "", TEXT, flags=re.M)
    runs = [" ".join(run.split()) for run in re.findall(r"^RUN ((?:.*\\\n)*.*)", re.sub(r"\\\n\s*", " ", joined), re.M)]
    other = next(name for name in TARGETS if name != target)
    wanted = {run for run in runs if f"locks/{other}.txt" not in run}
    assert sorted(line for line in script.splitlines() if line in wanted) == sorted(wanted)  # each once
    assert len(wanted) == 6
    assert f"locks/{other}.txt" not in script
    assert script.index("useradd") < script.index("python3 -m venv") < script.index(f"-r /src/locks/{target}.txt")
    assert script.index(f"-r /src/locks/{target}.txt") < script.index("--no-deps")
    assert script.splitlines()[-1] == "setpriv --reuid=kgan --regid=kgan --clear-groups kgan --help"
    assert subprocess.run(["sh", "-n"], input=script, text=True).returncode == 0


@pytest.mark.parametrize("target", TARGETS)
def test_the_container_runs_kgan_as_a_user_without_rights(container, target):
    words = {step.word: step.text for step in container.stages(TEXT)[target]}
    assert (words["USER"], words["ENTRYPOINT"], words["WORKDIR"]) == ("kgan", '["kgan"]', "/work")


def test_what_is_copied_exists_and_is_not_ignored(container):
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[0] == "!"}
    steps = [step.text.split() for step in container.steps(TEXT) if step.word == "COPY"]
    sources = {word for words in steps if not words[0].startswith("--") for word in words[:-1]}
    assert all((ROOT / source).exists() for source in sources)
    assert {source.split("/")[0] for source in sources} == allowed


@pytest.mark.parametrize("target", TARGETS)
def test_locks_pin_what_setup_cfg_asks_for(target):
    """Every package has a version and hashes, and the versions satisfy the requirements."""
    lock = (ROOT / "locks" / f"{target}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    pins = {}
    for line in lock.splitlines():
        name, version, hashes = re.fullmatch(
            r"([a-z0-9-]+)==(\S+)\s+((?:--hash=sha256:[0-9a-f]{64}\s*)+)", line
        ).groups()
        assert hashes
        pins[name] = version
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg")
    lines = options["options"]["install_requires"].split("\n")
    lines += [line for extra in TARGETS[target] for line in options["options.extras_require"][extra].split("\n")]
    requirements = [Requirement(line) for line in lines if line]
    assert len(requirements) > 15
    for requirement in requirements:
        name = requirement.name.lower().replace("_", "-")
        assert requirement.specifier.contains(pins[name]), requirement


def test_actions_are_pinned_by_commit():
    uses = [
        line
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert len(uses) > 5
    assert all(re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v\d", line) for line in uses)


def test_the_citation_has_the_version():
    assert f"\nversion: {kgan.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_base_image_is_pinned_by_its_digest():
    (base,) = re.findall(r"^ARG BASE=(.*)$", TEXT, re.M)
    assert re.fullmatch(r"debian:bookworm-slim@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"^FROM (\S+)", TEXT, re.M)) == {"${BASE}", "base", "build"}  # no other image comes in
