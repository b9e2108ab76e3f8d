"""The operations that are allowed in a SavedModel are those that kgan's exporters write, and no others."""

import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from kgan.assembly import build_generator
from kgan.export import export_saved_model
from kgan.inference.operations import GRAPH, MATHEMATICS, SAVING, WRITTEN, check_graph
from kgan.inference.stylist import Stylist, from_noise, has_statistics, traced
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig
from kgan.runs.shipped import FOLDER, shipped

NETWORKS = [
    {},
    {"norm": "batch", "downsample": "pool", "upsample": "transpose", "padding": "zeros", "noise_channels": 1},
    {"norm": "none", "antialias": True, "residual": True, "channels": 4},
    {"generator": "article", "upsample": "transpose", "noise_channels": 1, "channels": 1},
    {"generator": "article", "norm": "batch", "downsample": "pool", "antialias": True},
    {"generator": "mobile"},
    {"generator": "mobile", "norm": "batch", "antialias": True},
    {"recipe": "synthesis", "noise_channels": 2},
]
"""Settings that together have every layer of kgan's generators."""


def built(**changes):
    given = {"recipe": "paired", "filters": 4, "blocks": 1, "size": 32, **changes}
    return build_generator(recipes.completed(TrainConfig(**given)))


def operations(graph):
    return {node.op for nodes in (graph.node, *(one.node_def for one in graph.library.function)) for node in nodes}


def exported(folder):
    (meta,) = SavedModel.FromString((folder / GRAPH).read_bytes()).meta_graphs
    return operations(meta.graph_def)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model of content and noise, whose SavedModel has every signature, and one of noise alone."""
    folder = tmp_path_factory.mktemp("exported")
    content = built(noise_channels=1, norm="batch")
    return [
        export_saved_model(content, folder / "content", "truncated", half=True),
        export_saved_model(built(recipe="synthesis", generator="article", noise_channels=1), folder / "noise"),
    ]


def test_exports_and_shipped_models_pass(folders):
    for folder in (*folders, *(FOLDER / name / "saved_model" for name in shipped())):
        if folder.exists():
            check_graph(folder)


def test_the_list_is_what_exporters_write(folders):
    found = set().union(*map(exported, folders))
    for changes in NETWORKS:
        stylist = Stylist(built(**changes))
        found |= operations(from_noise(stylist).graph.as_graph_def())
        assert has_statistics(stylist.facts) or changes.get("recipe") or stylist.facts.reach == 0
    for distribution in ("normal", "uniform", "truncated"):
        stylist = Stylist(built(noise_channels=1), distribution)
        sample = traced(lambda seed, stylist=stylist: stylist.noise(seed, 1, 4, 4), tf.TensorSpec((), tf.int32))
        found |= operations(sample.graph.as_graph_def())
    assert found <= WRITTEN | set(SAVING)
    assert WRITTEN - found <= FORMERLY


FORMERLY = {"Select"}
"""Operations of models that older versions wrote."""


def test_the_lists_are_of_operations_that_compute():
    """None has a state but for variables, and none is known to TensorFlow as reading or writing anything else."""
    assert not WRITTEN & MATHEMATICS
    words = ("File", "Dataset", "Print", "Py", "Save", "Restore", "Reader", "Write", "Table", "Queue", "Summary", "Rpc")
    named = {name for name in WRITTEN | MATHEMATICS if any(word in name for word in words)}
    assert named == {
        "ConcatenateDataset", "DatasetToSingleElement", "IgnoreErrorsDataset", "MapDataset", "TakeDataset",
        "TensorDataset",
    }  # fmt: skip  # of serving_bytes, which decodes pictures that are in memory
    for name in sorted(WRITTEN | MATHEMATICS):
        assert hasattr(tf.raw_ops, name), name
