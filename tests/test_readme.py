"""The README's commands, run as they stand there, in their order, on a few pictures; KGAN_SMOKE=1 shortens the runs.

One of them trains; of the others the settings are resolved and the networks built, or the model exported if it is used.
"""

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
from kgan.commands import train
from kgan.data.sample import write_sample
from kgan.export import export_saved_model
from kgan.gan import build_gan
from kgan.runs import run_folder

ROOT = pathlib.Path(kgan.__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ELSEWHERE = ("make", "pip", "docker", "curl", "tensorboard", "git")
"""First words of commands that need the network, a server or an installation of their own."""
TRAINED = "--run runs/first"
"""The command with these words really trains; tests/test_resume.py trains all recipes, and on two devices."""
SHOWN = ("kotlin", "swift", "yaml")
"""Languages that are shown and not run."""

pytestmark = pytest.mark.slow


def blocks():
    """(language, text) of every fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(text):
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


def run_command(line):
    """One command of a bash block: kgan and its scripts in this process, which has TensorFlow loaded already."""
    words = shlex.split(line)
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
    """The folder that such a training leaves, with the model as it starts; of --resume only the words are checked."""
    config = train.read(words)
    if not config.resume:
        run, gan = run_folder.create(config), build_gan(config)
        if f"--model {config.run}" in README:
            export_saved_model(gan.stylist, run.saved_model, config.noise, config.truncation)


def run_python(text, namespace):
    name = re.match(r"# (\w+\.py)\n", text)
    if name:
        pathlib.Path(name[1]).write_text(text, encoding="utf-8")
    exec(compile(text, "README.md", "exec"), namespace)


def make_pictures(folder):
    """photos/ and paintings/: pictures of the packaged sample, of several sizes."""
    write_sample(folder / "sample")
    for part, name in (("trainA", "photos"), ("trainB", "paintings")):
        (folder / name).mkdir()
        for k, path in enumerate(sorted((folder / "sample" / part).iterdir())[:6]):
            Image.open(path).resize((40 + 8 * k, 48)).save(folder / name / f"{k}.png")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(folder in which every command was run, those commands, what the Python blocks made)."""
    folder = tmp_path_factory.mktemp("readme")
    make_pictures(folder)
    ran, namespace = [], {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("KGAN_SMOKE", "1")
        patch.setenv("HOME", str(folder))
        patch.setattr(sys, "path", [*sys.path, str(folder)])
        for language, text in blocks():
            if language == "python":
                run_python(text, namespace)
            for line in commands(text) if language == "bash" else ():
                if line.split()[0] not in ELSEWHERE:
                    run_command(line)
                    ran.append(line)
    sys.modules.pop("mine", None)
    return folder, ran, namespace


def test_every_block_has_a_known_language():
    assert {language for language, _ in blocks()} <= {"bash", "python", *SHOWN}


def test_every_kind_of_command_was_run(done):
    _, ran, _ = done
    kinds = {line.split()[1] for line in ran if line.startswith("kgan ")}
    assert kinds >= {"check", "train", "evaluate", "export", "stylize", "generate"}
    assert any(line.startswith("python scripts/train.py") for line in ran)


def test_runs_hold_what_the_table_says(done):
    folder, _, _ = done
    text = README[README.index("| in `runs/first` |") : README.index("### Which recipe")]
    names = [
        name
        for row in text.splitlines()
        for name in re.findall(r"`([a-z_0-9./]+)`", row.split("|")[1] if "|" in row else "")
    ]
    names = [name for name in names if name != "runs/first"]
    assert len(names) >= 8
    assert all((folder / "runs" / "first" / name).exists() for name in names), names


def test_pictures_come_back_in_their_size(done):
    folder, _, namespace = done
    for kind in ("stylized", "stylized-phone"):
        for path in (folder / "photos").iterdir():
            assert Image.open(folder / kind / path.name).size == Image.open(path).size
    assert namespace["photo"].shape == np.asarray(Image.open(folder / "one.png")).shape
    assert len(list((folder / "variants").iterdir())) == 3
    assert len(list((folder / "dreams").iterdir())) == 17


def test_the_served_model_and_the_phones_agree(done):
    folder, _, namespace = done
    served = tf.saved_model.load(str(folder / "models" / "stylist" / "1")).signatures["serving_float"]
    made = served(image=tf.constant(namespace["batch"], tf.float32))["stylized"]
    assert np.abs(made.numpy() - namespace["stylized"]).max() < 1 / 255


def test_every_flag_exists():
    """Those in running text too, where nothing runs them."""
    known = {
        f"--{name.replace('_', '-')}"
        for command in cli.COMMANDS.values()
        for name in command.options.__dataclass_fields__
    }
    known |= {"--logdir", "--help", "--quiet", "--version"}
    told = set(re.findall(r"--[a-z][a-z-]+", re.sub(r"docker.*", "", README)))
    assert told <= known, told - known


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert all((ROOT / link).exists() for link in links if not link.startswith("https://"))
