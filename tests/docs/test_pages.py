"""README and docs/: commands and Python blocks are run or checked.

The pages of STORY run in order in one folder, on a few pictures; KGAN_SMOKE=1 shortens the runs. One command trains; of
the other trainings the settings are resolved and the networks built.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kgan
from kgan import cli
from kgan.assembly import build_gan
from kgan.commands import COMMANDS
from kgan.data.sample import write_sample
from kgan.errors import UserError
from kgan.export import export_saved_model
from kgan.kinds import TERMS
from kgan.parsing import parse
from kgan.runs import run_folder

ROOT = pathlib.Path(kgan.__file__).parents[1]
STORY = ("README", "training", "machines", "stylize", "masks", "article", "own_parts")
DOCS = ROOT / "docs"
FILES = {path.stem: path for path in ROOT.glob("*.md")} | {
    str(path.relative_to(DOCS).with_suffix("")): path for path in sorted(DOCS.rglob("*.md"))
}
PAGES = {name: path.read_text(encoding="utf-8") for name, path in FILES.items()}
"""Name -> text. docs/serving.md and docs/client.md are run by tests/test_export_serving* and test_serving_client*."""
ELSEWHERE = ("make", "pip", "docker", "curl", "tensorboard", "git")
"""First arguments of commands that need the network, a server or another installation."""
TRAINED = "--run runs/first"
"""Only the command with these arguments trains. tests/training/test_resume.py trains all recipes, also on two
devices."""
SMALLER = {
    "size=256, batch_size=8": "size=32, batch_size=2",
    "steps_per_epoch=1000, epochs=3": "steps_per_epoch=1, epochs=1",
    "filters=32, blocks=6": "filters=8, blocks=1",
}
"""What Python blocks say -> what runs, as KGAN_SMOKE does for commands."""
LANGUAGES = {"", "bash", "python", "text", "yaml", "kotlin", "swift", "groovy"}


def blocks(text):
    """(language, text) of all fenced blocks, without directives of the site."""
    found = re.findall(r"^```([\w{}-]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(language, block) for language, block in found if not language.startswith("{")]


def commands(text):
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


# --- the story, run ---------------------------------------------------------------------------------------------------


def run_command(line):
    """Run a command of a bash block. kgan and its scripts run in this process, which has imported TensorFlow."""
    words = shlex.split(line, comments=True)
    if words[0] == "python" and words[1].startswith("scripts/"):
        assert (ROOT / words[1]).is_file()
        words[:2] = ["kgan", pathlib.Path(words[1]).stem]
    if words[:2] == ["kgan", "train"] and TRAINED not in line:
        make_run(words[2:])
    elif words[0] == "kgan":
        assert cli.main(words[1:]) == 0, line
    else:
        subprocess.run(["bash", "-euc", line], check=True)


def make_run(words):
    """Make the run folder of a command with an untrained model. With --resume, only the arguments are checked."""
    config = COMMANDS["train"].options_from(words)
    if not config.resume:
        run, gan = run_folder.create(config), build_gan(config)
        if f"--model {config.run}" in "".join(PAGES[page] for page in STORY):
            export_saved_model(gan.stylist, run.saved_model, config.noise, config.truncation)


def run_python(text, namespace):
    name = re.match(r"# (\w+\.py)\n", text)
    if name:  # a module for the commands that follow
        pathlib.Path(name[1]).write_text(text, encoding="utf-8")
        return
    for told, small in SMALLER.items():
        text = text.replace(told, small)
    exec(compile(text, "page", "exec"), namespace)


def make_pictures(folder):
    """photos/ and paintings/: pictures of the packaged sample, of several sizes."""
    write_sample(folder / "sample")
    for part, name in (("trainA", "photos"), ("trainB", "paintings")):
        (folder / name).mkdir()
        for k, path in enumerate(sorted((folder / "sample" / part).iterdir())[:6]):
            Image.open(path).resize((40 + 8 * k, 48)).save(folder / name / f"{k}.png")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(folder in which all commands ran, these commands, variables of the Python blocks)."""
    folder = tmp_path_factory.mktemp("pages")
    make_pictures(folder)
    ran, namespace = [], {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("KGAN_SMOKE", "1")
        patch.setenv("HOME", str(folder))
        patch.setattr(sys, "path", [*sys.path, str(folder)])
        for language, text in [block for page in STORY for block in blocks(PAGES[page])]:
            if language == "python":
                run_python(text, namespace)
            for line in commands(text) if language == "bash" else ():
                if line.split()[0] not in ELSEWHERE:
                    run_command(line)
                    ran.append(line)
    sys.modules.pop("mine", None)
    TERMS.remove("dark")  # which it added
    return folder, ran, namespace


@pytest.mark.long
class TestStory:
    def test_every_kind_of_command_was_run(self, done):
        _, ran, _ = done
        kinds = {line.split()[1] for line in ran if line.startswith("kgan ")}
        assert kinds >= {"check", "train", "evaluate", "export", "stylize", "generate"}
        assert any(line.startswith("python scripts/train.py") for line in ran)

    def test_runs_hold_what_the_table_says(self, done):
        folder, _, _ = done
        page = PAGES["training"]
        rows = page[page.index("| in `runs/first` |") : page.index("## How long")].splitlines()
        names = [name for row in rows if "|" in row for name in re.findall(r"`([a-z_0-9./]+)`", row.split("|")[1])]
        names.remove("runs/first")
        assert len(names) >= 8
        assert all((folder / "runs" / "first" / name).exists() for name in names), names

    def test_pictures_come_back_in_their_size(self, done):
        folder, _, namespace = done
        for kind in ("stylized", "stylized-phone"):
            for path in (folder / "photos").iterdir():
                with Image.open(folder / kind / path.name) as made, Image.open(path) as photo:
                    assert made.size == photo.size
        assert namespace["photo"].shape == np.asarray(Image.open(folder / "one.png")).shape
        assert len(list((folder / "variants").iterdir())) == 3
        assert len(list((folder / "dreams").iterdir())) == 17

    def test_the_served_model_and_the_phones_agree(self, done):
        folder, _, namespace = done
        served = tf.saved_model.load(str(folder / "models" / "stylist" / "1")).signatures["serving_float"]
        made = served(image=tf.constant(namespace["batch"], tf.float32))["stylized"]
        assert np.abs(made.numpy() - namespace["stylized"]).max() < 1 / 255


# --- all pages, read --------------------------------------------------------------------------------------------------


def shown_commands():
    """All kgan commands in fenced or indented blocks: (page, arguments)."""
    for page, text in PAGES.items():
        told = "\n".join(block for language, block in blocks(text) if language in ("bash", ""))
        indented = "\n".join(line[4:] for line in text.replace("\\\n", "").splitlines() if line.startswith("    kgan "))
        for line in commands(told) + commands(indented):
            if line.startswith("kgan ") and "COMMAND" not in line:
                yield page, line


@pytest.mark.parametrize(("page", "line"), sorted(set(shown_commands())))
def test_every_command_has_known_options(page, line):
    """The commands of all pages are checked, also of pages that no test runs."""
    name, *words = shlex.split(line, comments=True)[1:]
    if "|" in words or "..." in words:
        pytest.skip("a form, not a command")
    try:
        parse(COMMANDS[name].options, words, f"kgan {name}")
    except UserError as error:
        pytest.fail(f"{page}: {line}: {error}")


@pytest.mark.parametrize("page", sorted(PAGES.keys() - {"benchmarks_log", "CHANGELOG"}))
def test_every_option_exists(page):
    """Options in running text are checked too, except in pages about previous versions."""
    known = {
        f"--{name.replace('_', '-')}" for command in COMMANDS.values() for name in command.options.__dataclass_fields__
    }
    known |= {"--logdir", "--help", "--quiet", "--version"}
    others = r"docker|model_signing|pytest|python scripts/benchmark|^pip"
    lines = [line for line in PAGES[page].splitlines() if not re.search(others, line)]
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join(lines)))
    assert told <= known, told - known


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_block_has_a_known_language(page):
    assert {language for language, _ in blocks(PAGES[page])} <= LANGUAGES


@pytest.mark.parametrize("name", ["tutorial", "colab"])
def test_notebooks_hold_no_outputs(name):
    """The notebooks are stored without outputs, because the build of the site executes them."""
    notebook = json.loads((ROOT / "docs" / f"{name}.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 3
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)


# --- links ------------------------------------------------------------------------------------------------------------

LINKED = [path for pattern in ("*.md", "docs/**/*.md", "saved_models/*/*.md") for path in sorted(ROOT.glob(pattern))]


def anchors(path):
    """The anchors of a page's headings, which are the same on GitHub and in MyST."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    made = [
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+?) *$", text, re.M)
    ]
    return {f"{name}-{made[:k].count(name)}" if name in made[:k] else name for k, name in enumerate(made)}


@pytest.mark.parametrize("path", LINKED, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(((?:[^()\s]|\([^()]*\))+)\)", text):
        if link.startswith(("https://", "http://")):
            continue
        place, _, anchor = link.partition("#")
        target = path.parent / place if place else path
        assert target.exists(), link
        if anchor and "generated:" not in target.read_text(encoding="utf-8"):
            assert anchor in anchors(target), link


def test_links_and_anchors_are_seen():
    """The two tests above do find links."""
    assert "ten-photos" in anchors(ROOT / "docs" / "models.md")
    assert sum(len(re.findall(r"\]\([^h)]", text)) for text in PAGES.values()) > 100
