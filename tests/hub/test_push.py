"""`kgan push` to the stand-in of the hub: files, card, branches, interruptions and refusals."""

import json
import pathlib
import shutil
import subprocess

import model_signing
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hub_server import TOKEN
from huggingface_hub import ModelCard
from huggingface_hub.utils import _http
from PIL import Image
from small_models import make_run

import kgan
from kgan import cli
from kgan.assembly import build_generator
from kgan.export import check_litert, export_litert, export_weights
from kgan.hub import contents
from kgan.networks import Generator
from kgan.runs import hub as hub_addresses
from kgan.runs import places, recipes
from kgan.runs.models import resolve_run
from kgan.runs.settings import TrainConfig

LARGE = 100_000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has ended at step 3, with its exports, a grid and an evaluation."""
    root = tmp_path_factory.mktemp("runs")
    small = {"size": 32, "filters": 16, "blocks": 1, "stride": 2, "steps": 3, "batch_size": 2}
    config = recipes.resolve(TrainConfig(recipe="fastcut", data=str(root / "my-photos"), **small))
    generator = build_generator(config)
    run = make_run(root / "first", generator, config)
    export_weights(generator, run / "model.safetensors")
    export_litert(generator, run / "model_float16.tflite", half=True)
    (run / "model_float16.json").write_text("{}", encoding="utf-8")
    (run / "model_float16.vectors.bin").write_bytes(b"\0\1\2")
    export_litert(generator, run / "model.tflite")  # without a sidecar, it stays here
    (run / "samples").mkdir()
    for step, level in ((1, 0), (3, 200)):
        Image.new("RGB", (48, 32), (level, level, level)).save(run / "samples" / f"step-{step:07d}.png")
    number = {"value": 0.81234, "low": 0.8, "high": 0.8262}
    kid = {"value": 0.0416, "low": 0.03, "high": 0.05}
    rows = {"model": {"content_ssim": number, "kid_mobilenet": kid}, "identity": {}}
    report = {"model": "x", "size": 32, "crops": None, "pictures": 7, "rows": rows, "gain": {}, "warnings": [],
              "weights": {"step": 3, "steps": 3, "ema": 0.99}}  # fmt: skip
    (run / "evaluation.json").write_text(json.dumps(report), encoding="utf-8")
    return run


def pushed(capsys, *words, status=0):
    """Output and messages of `kgan push`, which hold no token."""
    assert cli.main(["push", *map(str, words)]) == status, capsys.readouterr().err
    said = capsys.readouterr()
    assert TOKEN not in said.out + said.err
    if status:
        assert said.err.count("\n") == 1
    return said.out + said.err


def test_a_pushed_run_is_the_same_model_elsewhere(hub, run, capsys, tmp_path):
    said = pushed(capsys, run, "hf://someone/first", "--licence", "mit", "--source", "my camera")
    assert f"pushed    {hub.address}/someone/first\n" in said
    files = hub.files("someone/first")
    assert set(files) == {
        "README.md", "config.json", "model.safetensors", "samples.jpg",
        "model_float16.tflite", "model_float16.json", "model_float16.vectors.bin",
    }  # fmt: skip
    assert f"model.safetensors  {len(files['model.safetensors']) / 1e6:.3f} MB" in said
    assert len(files["model.safetensors"]) > LARGE  # it went as a large file
    assert str(run.parent) not in files["config.json"].decode()
    photo = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    assert np.array_equal(kgan.load("hf://someone/first")(photo), kgan.load(run)(photo))
    assert files["model_float16.tflite"] == (run / "model_float16.tflite").read_bytes()
    (tmp_path / "samples.jpg").write_bytes(files["samples.jpg"])
    with Image.open(tmp_path / "samples.jpg") as newest:
        assert newest.getpixel((5, 5)) == (200, 200, 200)


def test_the_card_has_the_metadata_of_the_hub(hub, run, capsys):
    pushed(capsys, run, "hf://someone/first", "--licence", "mit", "--source", "my camera")
    card = ModelCard(hub.files("someone/first")["README.md"].decode())
    data = card.data.to_dict()
    assert (data["library_name"], data["license"], data["pipeline_tag"]) == ("kgan", "mit", "image-to-image")
    assert {"keras", "safetensors", "tflite", "recipe:fastcut"} <= set(data["tags"])
    ssim, kid = card.data.eval_results
    assert (ssim.metric_type, ssim.metric_value) == ("content_ssim", 0.812)
    assert ssim.metric_args == {"low": 0.8, "high": 0.826, "interval": "95% bootstrap"}
    assert (kid.metric_value, kid.metric_args["high"]) == (41.6, 50.0)  # as in tables: x 1000
    assert ssim.dataset_name == "7 pictures at 32x32"
    assert "| KID (MobileNet) x 1000 | 41.6 [30.0, 50.0] |" in card.text
    assert "my-photos" in card.text
    assert "Source: my camera" in card.text
    assert "kgan stylize photo.jpg --model hf://someone/first" in card.text


def test_the_users_own_card_and_no_old_scores(hub, run, capsys, tmp_path):
    own = shutil.copytree(run, tmp_path / "own")
    (own / "README.md").write_text(
        "---\nlicense: cc-by-4.0\nlanguage: en\n---\n# Mine\n\n## Files\n\n| a |\n|---|\n\nEnd", encoding="utf-8"
    )
    report = json.loads((own / "evaluation.json").read_text(encoding="utf-8"))
    report["weights"]["step"] = 2
    (own / "evaluation.json").write_text(json.dumps(report), encoding="utf-8")
    said = pushed(capsys, own, "hf://someone/own", "--without-samples")
    assert "is of step 2, and the model of step 3" in said
    card = ModelCard(hub.files("someone/own")["README.md"].decode())
    assert card.text.strip().startswith("# Mine\n\n## Files\n\n| file | what it is |\n|---|---|\n| `config.json` |")
    assert card.text.strip().endswith("\n\nEnd")
    assert (card.data.license, card.data.language, card.data.library_name) == ("cc-by-4.0", "en", "kgan")
    assert card.data.eval_results is None
    assert "samples.jpg" not in hub.files("someone/own")


def test_a_second_push_replaces_and_removes_old_files(hub, run, capsys, tmp_path):
    old = {"model_int8.tflite": b"old", "model_int8.json": b"{}", "notes.txt": b"mine", "model.pkl": b"theirs"}
    hub.put("someone/first", old)
    pushed(capsys, run, "hf://someone/first")
    assert {"notes.txt", "model.pkl"} == set(old) & set(hub.files("someone/first"))
    puts = sum(method == "PUT" for method, _ in hub.requests)
    pushed(capsys, run, "hf://someone/first")
    assert sum(method == "PUT" for method, _ in hub.requests) == puts  # nothing was uploaded again


def shared(run, folder):
    """What `kgan export --format safetensors` writes for others, as docs/safe.md says."""
    folder.mkdir()
    places.without_folders(resolve_run(run).run_config).save(folder / "config.json")
    shutil.copy(run / "model.safetensors", folder)
    return folder


def seal(folder, names=("config.json", "model.safetensors")):
    command = ["sha256sum", *names]
    sums = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")


def sign(folder, key):
    curve = ec.generate_private_key(ec.SECP256R1())
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (key / "signer.key").write_bytes(curve.private_bytes(*plain))
    public = curve.public_key().public_bytes(plain[0], serialization.PublicFormat.SubjectPublicKeyInfo)
    (key / "signer.pub").write_bytes(public)
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=key / "signer.key")
    config.set_hashing_config(model_signing.hashing.Config().set_ignored_paths(paths=["model.sig"]))
    config.sign(folder, folder / "model.sig")


def downloaded(hub, repo, folder):
    folder.mkdir()
    for name, content in hub.files(repo).items():
        (folder / name).write_bytes(content)
    return str(folder)


def test_a_copy_of_a_pushed_folder_with_sums_can_be_verified(hub, run, capsys, tmp_path):
    own = shared(run, tmp_path / "shared")
    seal(own)
    pushed(capsys, own, "hf://someone/sealed")
    assert set(hub.files("someone/sealed")) == {"SHA256SUMS", "config.json", "model.safetensors"}
    copy = downloaded(hub, "someone/sealed", tmp_path / "copy")
    assert cli.main(["verify", copy]) == 0
    cached = hub_addresses.fetch("hf://someone/sealed").path
    assert cli.main(["verify", str(cached)]) == 0
    pushed(capsys, run, "hf://someone/sealed")  # without sums, which would be those of other files
    assert "SHA256SUMS" not in hub.files("someone/sealed")


def test_a_copy_of_a_pushed_signed_folder_can_be_verified(hub, run, capsys, tmp_path):
    own = shared(run, tmp_path / "shared")
    (own / "README.md").write_text("# Mine", encoding="utf-8")
    seal(own, ("README.md", "config.json", "model.safetensors"))
    sign(own, tmp_path)
    pushed(capsys, own, "hf://someone/signed")
    copy = downloaded(hub, "someone/signed", tmp_path / "copy")
    assert set(hub.files("someone/signed")) == {path.name for path in own.iterdir()}
    assert cli.main(["verify", copy, "--public-key", str(tmp_path / "signer.pub")]) == 0


def test_sums_that_do_not_describe_the_files_are_refused(hub, run, capsys, tmp_path):
    own = shared(run, tmp_path / "shared")
    seal(own)
    words = [own, "hf://someone/sealed"]
    assert "belong into the README.md" in pushed(capsys, *words, "--licence", "mit", status=2)
    with (own / "config.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert "SHA256SUMS: config.json is altered; make SHA256SUMS anew, or remove it" in pushed(capsys, *words, status=2)
    seal(own, ("config.json",))
    assert "model.safetensors is not covered" in pushed(capsys, *words, status=2)
    (own / "notes.txt").touch()
    seal(own, ("config.json", "model.safetensors", "notes.txt"))
    assert "notes.txt is covered by SHA256SUMS, and is not pushed" in pushed(capsys, *words, status=2)
    (own / "model.sig").write_text("{}", encoding="utf-8")
    assert "model.sig: is no signature of model-signing" in pushed(capsys, *words, status=2)
    assert not hub.repos


def test_settings_with_folders_are_not_pushed_as_they_are(hub, run, capsys, tmp_path):
    own = pathlib.Path(shutil.copytree(run, tmp_path / "own"))
    seal(own)
    assert "config.json: names your folders" in pushed(capsys, own, "hf://someone/sealed", status=2)


def test_a_repository_with_other_files_takes_no_sums(hub, run, capsys, tmp_path):
    own = shared(run, tmp_path / "shared")
    seal(own)
    hub.put("someone/sealed", {"notes.txt": b"mine", "model.tflite": b"old", ".gitattributes": b""})
    before = hub.files("someone/sealed")
    assert cli.main(["push", str(own), "hf://someone/sealed"]) == 2
    assert "has notes.txt, which SHA256SUMS does not cover" in capsys.readouterr().err.splitlines()[-1]
    assert hub.files("someone/sealed") == before


@pytest.mark.long
def test_a_preset_is_pushed_with_new_exports(hub, run, tmp_path, monkeypatch):
    bare = tmp_path / "bare"
    shutil.copytree(run, bare, ignore=shutil.ignore_patterns("*.tflite", "*.safetensors", "samples"))
    monkeypatch.setattr(contents, "SIZES", (32,))
    Generator.from_preset(bare).save_to_preset("hf://someone/bare")
    files = hub.files("someone/bare")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert "agrees with its test vectors" in check_litert(tmp_path / "model_float16_fixed.tflite")
    told = json.loads(files["model_float16.json"])
    assert told["labels"]["content"] == "my-photos"
    assert "model.safetensors" in files
    assert "samples.jpg" not in files


def test_a_branch(hub, run, capsys):
    said = pushed(capsys, run, "hf://someone/first", "--revision", "v2")
    assert "/someone/first/tree/v2" in said
    assert hub.files("someone/first") == {}
    assert "model.safetensors" in hub.files("someone/first", revision="v2")
    assert kgan.load("hf://someone/first@v2").facts == kgan.load(run).facts


def test_an_interrupted_upload_goes_on(hub, run, capsys, monkeypatch):
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)  # between tries
    hub.breaks_after = 2
    assert cli.main(["push", str(run), "hf://someone/first"]) == 2
    err = capsys.readouterr().err
    assert "kgan: error: hf://someone/first: the connection to the hub broke" in err
    assert hub.files("someone/first") == {}  # one commit, or none
    there = {path.name for path in hub.folder.iterdir()}
    assert there
    hub.breaks_after, hub.requests[:] = None, []
    pushed(capsys, run, "hf://someone/first")
    again = {path.rpartition("/")[2] for method, path in hub.requests if method == "PUT"}
    assert again
    assert not again & there


def test_refusals(hub, run, capsys, tmp_path, monkeypatch):
    unfinished = shutil.copytree(run, tmp_path / "unfinished")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    (unfinished / "config.json").write_text(json.dumps(config | {"steps": 6}), encoding="utf-8")
    assert "has reached step 3 of 6; end it first" in pushed(capsys, unfinished, "hf://someone/first", status=2)
    hub.put("someone/public", {})
    assert "exists and is public" in pushed(capsys, run, "hf://someone/public", "--private", status=2)
    assert "should be hf://OWNER/NAME" in pushed(capsys, run, "someone/first", status=2)
    assert "names a revision already" in pushed(capsys, run, "hf://a/b@c", "--revision", "d", status=2)
    hub.status = 500
    assert "answers with status 500" in pushed(capsys, run, "hf://someone/first", status=2)
    hub.status = None
    monkeypatch.delenv("HF_TOKEN")
    assert "needs an account" in pushed(capsys, run, "hf://someone/first", status=2)
    assert ("model", "someone/first") not in hub.repos


def test_private_and_without_rights(hub, run, capsys):
    pushed(capsys, run, "hf://someone/first", "--private")
    assert hub.repos["model", "someone/first"]["private"]
    cli.main(["push", str(run), "hf://other/first"])
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("kgan: error: hf://other/first: the hub does not allow it (status 403)")
    assert TOKEN not in last


def test_a_dry_run_asks_no_hub(hub, run, capsys):
    assert "config.json" in pushed(capsys, run, "hf://someone/first", "--dry-run")
    assert hub.requests == []
