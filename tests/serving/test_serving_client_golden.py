"""REST in TensorFlow Serving's documented form: golden requests and replies that the client and the tests' own server
keep to; and the messages of gRPC against the official ones."""

import http.client
import http.server
import json
import pathlib
import threading

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import unknown_fields
from serving_models import Echo, HalfPlusThree, Named, Sky, publish
from serving_server import Models, Server
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
)

from kgan import protocol
from kgan.protocol import message
from kgan.serving import Client, errors

EXCHANGES = json.loads(
    (pathlib.Path(__file__).parents[1] / "golden" / "rest_exchanges.json").read_text(encoding="utf-8")
)


def told(exchange):
    return exchange["says"].replace(" ", "-")


def without_names(told):
    """Names of tensors in a graph and TensorFlow's own signatures are not compared."""
    if isinstance(told, list):
        return [without_names(one) for one in told]
    if not isinstance(told, dict):
        return told
    inner = {"dtype", "tensor_shape"} <= told.keys()
    kept = {key: value for key, value in told.items() if not (key.startswith("__") or (inner and key == "name"))}
    return {key: without_names(value) for key, value in kept.items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("golden")
    modules = {"half_plus_three": (HalfPlusThree(), 123), "named": (Named(), 1), "echo": (Echo(), 1), "sky": (Sky(), 3)}
    for name, (module, version) in modules.items():
        publish(module, root / name, version)
    labels = {"half_plus_three": {"stable": 123}, "sky": {"stable": 3}}
    with Server(Models({name: root / name for name in modules}, labels=labels)) as running:
        yield running


@pytest.mark.parametrize("exchange", EXCHANGES, ids=told)
def test_the_tests_own_server_answers_as_documented(server, exchange):
    asked, expected = exchange["request"], exchange["reply"]
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    body = None if asked["body"] is None else json.dumps(asked["body"])
    connection.request(asked["method"], asked["path"], body)
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "application/json"
    made = json.loads(response.read())
    connection.close()
    assert (response.status, without_names(made)) == (expected["status"], without_names(expected["body"]))


class Replay(http.server.BaseHTTPRequestHandler):
    """A server that answers only the golden requests."""

    def do_GET(self):
        length = int(self.headers["Content-Length"] or 0)
        request = {"method": self.command, "path": self.path, "body": json.loads(self.rfile.read(length) or "null")}
        known = [exchange["reply"] for exchange in EXCHANGES if exchange["request"] == request]
        self.server.asked.append(request)
        reply = known[0] if known else {"status": 400, "body": {"error": f"not among the golden requests: {request}"}}
        body = json.dumps(reply["body"]).encode()
        self.send_response(reply["status"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def replay():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Replay) as running:
        running.asked = []
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


def ask(client, wish):
    """What the golden file says of a call -> (its result or None, its error or None) in the file's form."""
    pictures = wish.get("pictures")
    try:
        if wish["call"] == "stylize_bytes":
            made = client.stylize_bytes([text.encode() for text in pictures], wish.get("seed", 0))
            return [text.decode() for text in made], None
        if wish["call"] == "stylize":
            made = client.stylize(np.array(pictures, wish["dtype"]))
            assert made.dtype == wish["dtype"]
            return made.tolist(), None
        made = getattr(client, wish["call"])()
        return json.loads(json.dumps(made)), None
    except errors.ServingError as error:
        return None, f"{type(error).__name__}: {str(error).removeprefix(str(client.server) + ': ')}"


@pytest.mark.parametrize("exchange", [one for one in EXCHANGES if "client" in one], ids=told)
def test_the_client_asks_and_understands_as_documented(replay, exchange):
    wish = exchange["client"]
    replay.asked.clear()
    address = f"http://127.0.0.1:{replay.server_address[1]}"
    with Client(address, wish["name"], wish.get("version"), label=wish.get("label"), retries=0) as client:
        assert ask(client, wish) == (wish.get("result"), wish.get("error"))
    assert exchange["request"] in replay.asked


# --- gRPC -------------------------------------------------------------------------------------------------------------


def test_requests_are_those_of_the_official_protocol():
    spec = message("ModelSpec", name="sky", signature_name="serving_bytes")
    spec.version.value = 3
    request = message("PredictRequest", model_spec=spec, output_filter=["stylized"])
    picture = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    values = {"image": picture, "float": picture / np.float32(7), "image_bytes": [b"a\xff", b""]}
    values["seed"] = np.array([2**31 - 1, 0], np.int32)
    for name, value in values.items():
        request.inputs[name].CopyFrom(protocol.to_tensor(value))
    official = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert len(unknown_fields.UnknownFieldSet(official)) == 0
    assert (official.model_spec.name, official.model_spec.version.value) == ("sky", 3)
    assert official.model_spec.WhichOneof("version_choice") == "version"
    assert (official.model_spec.signature_name, list(official.output_filter)) == ("serving_bytes", ["stylized"])
    for name, value in values.items():
        array = tf.make_ndarray(official.inputs[name])
        assert array.dtype == {"float": "float32", "image": "uint8", "seed": "int32"}.get(name, object)
        assert array.tolist() == np.asarray(value).tolist() if name != "image_bytes" else array.tolist() == value
    labelled = message("ModelSpec", name="sky", version_label="canary").SerializeToString()
    assert model_pb2.ModelSpec.FromString(labelled).WhichOneof("version_choice") == "version_label"


@pytest.mark.parametrize("packed", [True, False], ids=["content", "values"])
def test_replies_are_those_of_the_official_protocol(packed):
    arrays = {
        "bytes": np.arange(256, dtype=np.uint8).reshape(2, 128),
        "floats": np.array([[0.1, 0.25], [1.0, -0.0]], np.float32),
        "ints": np.array([-1, 2**31 - 1], np.int32),
        "scalar": np.array(7, np.int32),
    }
    official = predict_pb2.PredictResponse()
    for name, array in arrays.items():
        official.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        if not packed:
            official.outputs[name].ClearField("tensor_content")
            field = "float_val" if array.dtype == np.float32 else "int_val"
            official.outputs[name].ClearField(field)
            getattr(official.outputs[name], field).extend(array.ravel().tolist())
    official.outputs["texts"].CopyFrom(tf.make_tensor_proto([b"\x00\xff", b""]))
    ours = protocol.parser("PredictResponse")(official.SerializeToString())
    for name, array in arrays.items():
        made = protocol.from_tensor(ours.outputs[name])
        assert (made.dtype, made.shape, made.tolist()) == (array.dtype, array.shape, array.tolist())
    assert protocol.from_tensor(ours.outputs["texts"]) == [b"\x00\xff", b""]


def test_a_reply_may_leave_out_what_repeats_the_last_value():
    proto = tf.make_tensor_proto(np.zeros((1, 2), np.uint8))
    proto.ClearField("tensor_content")
    proto.ClearField("int_val")
    proto.int_val.append(9)
    assert protocol.from_tensor(protocol.parser("Tensor")(proto.SerializeToString())).tolist() == [[9, 9]]
    proto.int_val.extend([1, 2])
    with pytest.raises(ValueError, match="3 values for the shape"):
        protocol.from_tensor(protocol.parser("Tensor")(proto.SerializeToString()))


def test_every_field_has_the_official_number_and_kind():
    """Fields with the same name have the same encoding as in the official messages."""
    official = {
        "PredictRequest": predict_pb2.PredictRequest,
        "PredictionLog": prediction_log_pb2.PredictionLog,
        "PredictResponse": predict_pb2.PredictResponse,
        "GetModelStatusRequest": get_model_status_pb2.GetModelStatusRequest,
        "GetModelStatusResponse": get_model_status_pb2.GetModelStatusResponse,
        "GetModelMetadataRequest": get_model_metadata_pb2.GetModelMetadataRequest,
        "GetModelMetadataResponse": get_model_metadata_pb2.GetModelMetadataResponse,
        "SignatureDefMap": get_model_metadata_pb2.SignatureDefMap,
    }
    seen = set()
    for name, theirs in official.items():
        compare(message(name).DESCRIPTOR, theirs.DESCRIPTOR, seen)
    assert seen >= protocol.MESSAGES.keys()
    states = get_model_status_pb2.ModelVersionStatus.State
    assert {number: name for name, number in states.items()} == protocol.STATES
    assert all(tf.dtypes.as_dtype(name).as_datatype_enum == number for number, name in protocol.DTYPES.items())


def compare(ours, theirs, seen):
    seen.add(ours.name)
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        enum = {other.TYPE_ENUM: field.TYPE_INT32}
        assert (field.number, field.type) == (other.number, enum.get(other.type, other.type)), field.full_name
        assert field.is_repeated == other.is_repeated
        if field.message_type:
            compare(field.message_type, other.message_type, seen)
