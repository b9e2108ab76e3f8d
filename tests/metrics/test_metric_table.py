"""A row is sufficient to add a metric to reports, tables, pages, thresholds and suggestions."""

import importlib
import json
import sys

import numpy as np
import pytest
from PIL import Image

from kgan.errors import RunError, UserError
from kgan.evaluation import sets
from kgan.evaluation.evaluate import evaluate
from kgan.evaluation.measure import measured
from kgan.kinds import METRICS, metrics_in_order
from kgan.networks.generators import ResNetGenerator


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from kgan.export import export_saved_model

    generator = ResNetGenerator(filters=4, blocks=1, residual=True)
    generator(np.zeros((1, 32, 32, 3), np.float32))
    return export_saved_model(generator, tmp_path_factory.mktemp("models") / "identity")


@pytest.fixture
def content(tmp_path):
    (tmp_path / "content").mkdir()
    for level in (51, 102):
        Image.new("RGB", (32, 32), (level,) * 3).save(tmp_path / "content" / f"{level}.png")
    return tmp_path / "content"


@pytest.fixture
def brightness():
    @METRICS.add(label="Brightness", inputs=("picture",), digits=1, better="less", scale=10.0, place=25)
    def brightness(picture):
        return picture.mean()

    yield
    METRICS.remove("brightness")


def test_a_metric_of_ones_own_is_everywhere(model, content, brightness, tmp_path, capsys):
    with pytest.raises(RunError, match=r"brightness is 0\.3, 0\.1 over 0\.2"):
        evaluate(model, content, output=tmp_path / "numbers.json", fail_over=("brightness=0.2",))
    report = json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))
    assert report["rows"]["model"]["brightness"]["value"] == pytest.approx(0.3, abs=1e-4)  # of 0.2 and 0.4
    assert [one["brightness"] for one in report["each"]] == pytest.approx([0.4, 0.2], abs=1e-4)
    assert report["gain"]["brightness"]["value"] == pytest.approx(0, abs=1e-4)
    lines = capsys.readouterr().out.splitlines()
    (place,) = (k for k, line in enumerate(lines) if line.startswith("Brightness"))
    assert lines[place].split()[1] == "3.0"
    assert lines[place - 1].startswith("SSIM to the content")
    assert any("Less is better" in line and "Brightness" in line for line in lines)
    assert "<dt>Brightness</dt><dd>4.0</dd>" in (tmp_path / "numbers.html").read_text(encoding="utf-8")


def test_bounds_know_it(model, content, brightness):
    with pytest.raises(UserError, match="less is better; use fail_over"):
        evaluate(model, content, fail_under=("brightness=0.2",))
    with pytest.raises(UserError, match="did you mean brightness"):
        evaluate(model, content, fail_over=("brightnes=0.2",))


def test_a_distance_of_sets_has_intervals(model, content):
    @METRICS.add("means_apart", label="Means apart", inputs=("features", "reference_features"), least=0.0)
    def means_apart(made, reference, made_counts, reference_counts):
        one, other = (
            np.average(side, axis=0, weights=counts)
            for side, counts in ((made, made_counts), (reference, reference_counts))
        )
        return float(np.linalg.norm(one - other))

    try:
        report = evaluate(model, content, style=content, networks="mobilenet")
    finally:
        METRICS.remove("means_apart")
    number = report["rows"]["identity"]["means_apart"]
    assert (number["value"], number["low"]) == (0.0, 0.0)
    assert number["high"] > 0
    assert report["gain"]["means_apart"]["low"] <= report["gain"]["means_apart"]["high"]


def test_a_number_of_the_fid_and_of_the_distances_to_the_contents(model, content):
    @METRICS.add("product", label="Product", inputs=("content_distances", "frechet"), network="mobilenet")
    def product(distances, frechet, counts):
        return (1.0 + np.average(distances, weights=counts)) * frechet

    try:
        report = evaluate(model, content, style=content, networks="mobilenet")
    finally:
        METRICS.remove("product")
    for row in ("model", "identity"):
        found = report["rows"][row]
        assert found["product"]["value"] == pytest.approx(found["fid_mobilenet"]["value"], abs=1e-3)  # of copies
        assert found["product"]["low"] <= found["product"]["value"] <= found["product"]["high"]
    assert "product" not in report["rows"]["truth"]


def test_infinite_numbers_are_reported_as_the_most_that_is_asked():
    @METRICS.add("endless", label="Endless", inputs=("picture",), most=7.0)
    def endless(picture):
        return np.inf

    try:
        assert measured(np.zeros((16, 16, 3), np.uint8), None, None, "x.png")["endless"] == 7.0
    finally:
        METRICS.remove("endless")


def test_a_metric_of_another_package(tmp_path, monkeypatch):
    home = tmp_path / "their_metrics-1.dist-info"
    home.mkdir()
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: their-metrics\nVersion: 1\n", encoding="utf-8")
    (home / "entry_points.txt").write_text("[kgan.metrics]\nredness = their_metrics:redness\n", encoding="utf-8")
    (tmp_path / "their_metrics.py").write_text(
        "from kgan.kinds import METRICS\n"
        "@METRICS.add(label='Redness', inputs=('picture', 'truth'), place=65)\n"
        "def redness(picture, truth):\n"
        "    return float((picture[..., 0] - truth[..., 0]).mean())\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    METRICS.refresh()
    try:
        black, red = np.zeros((16, 16, 3), np.uint8), np.uint8([255, 0, 0]) * np.ones((16, 16, 1), np.uint8)
        assert measured(red, black, black, "x.png")["redness"] == 1.0
        assert "redness" not in measured(red, black, None, "x.png")
        names = [metric.name for metric in metrics_in_order()]
        place = names.index("redness")
        assert (names[place - 1], names[place + 1]) == ("truth_psnr", "truth_mse")
    finally:
        METRICS.remove("redness")
        sys.modules.pop("their_metrics", None)
        monkeypatch.undo()
        METRICS.refresh()
    assert "redness" not in METRICS


def test_every_row_loads_and_takes_what_it_names():
    """For kgan's metrics, the numbers of arguments and inputs are equal, and names are valid in thresholds."""
    kinds = {"picture", "content", "truth", "features", "reference_features", "styles", "content_styles",
             "reference_styles", "shifted", "film", "restyled", "flows", "tiles", "content_tiles", "reference_tiles",
             "grams", "reference_grams", "content_distances", "frechet"}  # fmt: skip
    for metric in metrics_in_order():
        assert set(metric.inputs + metric.optional) <= kinds, metric.name
        assert callable(metric.load()), metric.name
        assert metric.help, metric.name
        assert "=" not in metric.name
    kinds = ("fid", "kid", "gram", "nearest_gram")
    expected = {f"{kind}_{network}" for kind in kinds for network in ("mobilenet", "vgg16")}
    assert {metric.name for metric in sets.set_metrics()} == expected
