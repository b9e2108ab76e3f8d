"""A server of SavedModels over real sockets, for tests of clients without TensorFlow Serving.

gRPC by the official servicers of tensorflow-serving-api; beside it REST as
https://www.tensorflow.org/tfx/serving/api_rest describes it. Answers, error texts and their codes follow TensorFlow
Serving, so far as kgan's models need them: Predict, GetModelMetadata, GetModelStatus; versions and labels; the newest
version in a model's folder replaces the others while requests run.
"""

import base64
import concurrent.futures
import contextlib
import functools
import http.server
import json
import pathlib
import re
import threading
import time
import urllib.parse

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

Code = grpc.StatusCode
State = get_model_status_pb2.ModelVersionStatus

HTTP_STATUS = {
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.NOT_FOUND: 404,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}
"""HTTP status by error, as in TensorFlow Serving's http_server.cc. All others are 500."""

PREDICT = re.compile(
    r"/v1/models/([^/:]+)(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?:(classify|regress|predict)", re.IGNORECASE
)
ABOUT = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?(?:/(metadata))?", re.IGNORECASE
)


class Failure(Exception):
    """The error of a request."""

    def __init__(self, code: grpc.StatusCode, text: str):
        super().__init__(text)
        self.code, self.text = code, text


class Servable:
    """A loaded version of a model."""

    def __init__(self, folder: pathlib.Path):
        self.loaded = tf.saved_model.load(str(folder))
        proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.signatures = proto.meta_graphs[0].signature_def

    def run(self, name: str, inputs: dict[str, tf.Tensor], wanted: list[str]) -> dict[str, np.ndarray]:
        if name not in self.signatures:
            raise Failure(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        expected = self.signatures[name].inputs
        if len(inputs) != len(expected):
            extra, missing = sorted(inputs.keys() - expected.keys()), sorted(expected.keys() - inputs.keys())
            text = f"input size does not match signature: {len(inputs)}!={len(expected)} Sent extra: {extra}."
            raise Failure(Code.INVALID_ARGUMENT, f"{text} Missing but required: {missing}.")
        try:
            made = self.loaded.signatures[name](**inputs)
        except (TypeError, ValueError) as error:  # what TensorFlow's Python says of a wrong kind or shape
            raise Failure(Code.INVALID_ARGUMENT, str(error).splitlines()[0]) from None
        except tf.errors.OpError as error:
            code = next(code for code in Code if code.value[0] == error.error_code)
            raise Failure(code, error.message) from None
        return {key: value.numpy() for key, value in made.items() if not wanted or key in wanted}


class Models:
    """Models by name, each with its folder of versions, watched.

    `versions`: "latest" keeps the newest alone as TensorFlow Serving does by default, "all" keeps all.
    `labels`: name -> label -> version. `before(name)` is called before every prediction; a test may wait or raise
    in it.
    """

    def __init__(self, folders: dict[str, pathlib.Path], versions: str = "latest", labels: dict | None = None):
        self.folders, self.versions, self.labels = folders, versions, labels or {}
        self.before = lambda name: None
        self.states: dict[str, dict[int, int]] = {name: {} for name in folders}
        self._servables: dict[tuple[str, int], Servable] = {}
        self._stop = threading.Event()
        self.look()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def close(self) -> None:
        self._stop.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.look()

    def look(self) -> None:
        """Load new versions. Old versions are removed after the new ones are ready."""
        for name, folder in self.folders.items():
            present = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
            wanted = present if self.versions == "all" else present[-1:]
            for version in wanted:
                if (name, version) not in self._servables:
                    self.states[name][version] = State.LOADING
                    self._servables[name, version] = Servable(folder / str(version))
                    self.states[name][version] = State.AVAILABLE
            for version in [version for version, state in self.states[name].items() if state == State.AVAILABLE]:
                if version not in wanted:
                    self.states[name][version] = State.END
                    del self._servables[name, version]

    def find(self, spec: model_pb2.ModelSpec) -> tuple[int, Servable]:
        """The version for a request. A running request keeps its version."""
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            version = self.labels.get(spec.name, {}).get(spec.version_label)
            if version is None:
                raise Failure(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {spec.version_label}")
        elif choice == "version":
            version = spec.version.value
        else:
            available = [number for name, number in list(self._servables) if name == spec.name]
            version = max(available, default=None)
        servable = self._servables.get((spec.name, version))
        if servable is None:
            asked = f"Specific({spec.name}, {version})" if choice else f"Latest({spec.name})"
            raise Failure(Code.NOT_FOUND, f"Servable not found for request: {asked}")
        return version, servable

    def predict(
        self, spec: model_pb2.ModelSpec, inputs: dict[str, tf.Tensor], wanted: list[str]
    ) -> tuple[int, dict[str, np.ndarray]]:
        self.before(spec.name)
        version, servable = self.find(spec)
        return version, servable.run(spec.signature_name or "serving_default", inputs, wanted)

    def status(self, spec: model_pb2.ModelSpec) -> get_model_status_pb2.GetModelStatusResponse:
        states = self.states.get(spec.name, {})
        if spec.HasField("version"):
            version = spec.version.value
            if version not in states:
                raise Failure(Code.NOT_FOUND, f"Could not find version {version} of model {spec.name}")
            states = {version: states[version]}
        if not states:
            raise Failure(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, state in states.items():
            response.model_version_status.add(version=version, state=state).status.error_code = 0
        return response

    def metadata(self, spec: model_pb2.ModelSpec) -> get_model_metadata_pb2.GetModelMetadataResponse:
        version, servable = self.find(spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name, response.model_spec.version.value = spec.name, version
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in servable.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
        response.metadata["signature_def"].Pack(signatures)
        return response


# --- gRPC -------------------------------------------------------------------------------------------------------------


def answering(method):
    """A method of a servicer that may raise Failure."""

    @functools.wraps(method)
    def wrapped(self, request, context):
        try:
            return method(self, request)
        except Failure as failure:
            context.abort(failure.code, failure.text)

    return wrapped


class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models: Models):
        self.models = models

    @answering
    def Predict(self, request):
        try:
            inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        except (TypeError, ValueError) as error:
            raise Failure(Code.INVALID_ARGUMENT, str(error)) from None
        version, made = self.models.predict(request.model_spec, inputs, list(request.output_filter))
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.version.value = request.model_spec.name, version
        for name, array in made.items():
            fill(response.outputs[name], array)
        return response

    @answering
    def GetModelMetadata(self, request):
        if list(request.metadata_field) != ["signature_def"]:
            raise Failure(Code.INVALID_ARGUMENT, f"Metadata field {request.metadata_field} is not supported")
        return self.models.metadata(request.model_spec)


class ModelStates(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, models: Models):
        self.models = models

    @answering
    def GetModelStatus(self, request):
        return self.models.status(request.model_spec)


def fill(proto, array: np.ndarray) -> None:
    """A tensor of a reply. TensorFlow Serving lists single values (Tensor::AsProtoField)."""
    dtype = tf.dtypes.as_dtype(array.dtype) if array.dtype != object else tf.string
    proto.dtype = dtype.as_datatype_enum
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    field = {tf.float32: "float_val", tf.string: "string_val", tf.int64: "int64_val"}.get(dtype, "int_val")
    getattr(proto, field).extend(array.ravel().tolist())


# --- REST -------------------------------------------------------------------------------------------------------------


def bad(text: str) -> Failure:
    return Failure(Code.INVALID_ARGUMENT, text)


def is_base64(value) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def leaf(value, dtype: tf.DType):
    if dtype == tf.string and is_base64(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except ValueError:
            raise bad("Unable to base64 decode") from None
    if dtype == tf.string and isinstance(value, str):
        return value.encode()
    number = isinstance(value, int | float if dtype.is_floating else int) and not isinstance(value, bool)
    if dtype != tf.string and number:
        return value
    kinds = {dict: "Object", str: "String", type(None): "Null", bool: "Bool"}
    shown = json.dumps(value)[:256]
    text = f"JSON Value: {shown} Type: {kinds.get(type(value), 'Number')} is not of expected type: {dtype.name}"
    raise bad(text)


def leaves(value, shape: list[int], level: int, dtype: tf.DType):
    if not isinstance(value, list):
        if level != len(shape):
            raise bad(f"JSON Value: {json.dumps(value)[:256]} found at incorrect level: {level + 1} in the JSON DOM.")
        yield leaf(value, dtype)
        return
    if level >= len(shape):
        raise bad(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise bad(f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}")
    for one in value:
        yield from leaves(one, shape, level + 1, dtype)


def tensor_of(value, dtype: tf.DType) -> tf.Tensor:
    """Convert a nested list, a scalar or {"b64": ...} to a dense tensor. The first elements give its shape."""
    shape, probe = [], value
    while isinstance(probe, list):
        shape.append(len(probe))
        probe = probe[0] if probe else None
    flat = list(leaves(value, shape, 0, dtype))
    return tf.reshape(tf.constant(flat, dtype), shape)


def rows_to_inputs(rows, dtypes: dict[str, tf.DType]) -> dict[str, tf.Tensor]:
    if not isinstance(rows, list):
        raise bad("Expecting 'instances' to be an list/array")
    if not rows:
        raise bad("No values in 'instances' array")
    named = isinstance(rows[0], dict) and not is_base64(rows[0])
    if not named and len(dtypes) > 1:
        raise bad(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    if not named:
        rows = [{next(iter(dtypes)): row} for row in rows]
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or row.keys() != dtypes.keys():
            raise bad(f"Failed to process element: {number} of 'instances' list. keys must be equal to: {set(dtypes)}")
    return {name: tensor_of([row[name] for row in rows], dtype) for name, dtype in dtypes.items()}


def columns_to_inputs(columns, dtypes: dict[str, tf.DType]) -> dict[str, tf.Tensor]:
    if not isinstance(columns, dict) or is_base64(columns):
        if len(dtypes) > 1:
            raise bad(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        columns = {next(iter(dtypes)): columns}
    if missing := dtypes.keys() - columns.keys():
        raise bad(f"Missing named input: {sorted(missing)[0]} in 'inputs' object.")
    return {name: tensor_of(columns[name], dtype) for name, dtype in dtypes.items()}


def json_of(name: str, array):
    """Convert a tensor to JSON. Names that end with _bytes give {"b64": ...}. Floats are as short as float32 allows."""
    if isinstance(array, np.ndarray) and array.ndim:
        return [json_of(name, one) for one in array]
    value = array.item() if isinstance(array, np.ndarray | np.generic) else array
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode()
    return float(str(np.float32(value))) if isinstance(value, float) else value


def reply_of(made: dict[str, np.ndarray], by_rows: bool) -> dict:
    columns = {name: json_of(name, np.asarray(array)) for name, array in made.items()}
    if not by_rows:
        return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}
    if len({len(column) for column in columns.values()}) > 1:
        raise bad("outputs have inconsistent batch sizes")
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def spec_of(found: re.Match) -> model_pb2.ModelSpec:
    name, version, label = found[1] or "", found[2], found[3]
    spec = model_pb2.ModelSpec(name=urllib.parse.unquote(name))
    if version:
        spec.version.value = int(version)
    if label:
        spec.version_label = urllib.parse.unquote(label)
    return spec


def rest_predict(models: Models, spec: model_pb2.ModelSpec, text: bytes) -> dict:
    if not text:
        raise bad("JSON Parse error: The document is empty")
    try:
        body = json.loads(text)
    except ValueError as error:
        raise bad(f"JSON Parse error: {error}") from None
    if not isinstance(body, dict):
        raise bad(f"JSON Value: {json.dumps(body)[:256]} Is not object")
    if not isinstance(body.get("signature_name", ""), str):
        raise bad("not formatted correctly. 'signature_name' key must be a string value.")
    spec.signature_name = body.get("signature_name", "") or "serving_default"
    signature = models.find(spec)[1].signatures.get(spec.signature_name)
    if signature is None:
        raise bad(f'Serving signature name: "{spec.signature_name}" not found in signature def')
    dtypes = {name: tf.dtypes.as_dtype(info.dtype) for name, info in signature.inputs.items()}
    if ("instances" in body) == ("inputs" in body):
        both = "expecting only one of 'inputs' or 'instances' keys to exist"
        raise bad(both if "inputs" in body else "Missing 'inputs' or 'instances' key")
    by_rows = "instances" in body
    inputs = rows_to_inputs(body["instances"], dtypes) if by_rows else columns_to_inputs(body["inputs"], dtypes)
    return reply_of(models.predict(spec, inputs, [])[1], by_rows)


def rest_about(models: Models, found: re.Match) -> dict:
    spec = spec_of(found)
    if not spec.name:
        raise bad("Missing model name in request.")
    if not found[4]:
        return json_format.MessageToDict(models.status(spec), always_print_fields_with_no_presence=True)
    response = models.metadata(spec)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    options = {"always_print_fields_with_no_presence": True, "preserving_proto_field_name": True}
    told = json_format.MessageToDict(signatures, **options)
    return {
        "model_spec": json_format.MessageToDict(response.model_spec, **options),
        "metadata": {"signature_def": told},
    }


class RestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_GET(self):
        self._answer(lambda: rest_about(self.server.models, self._matched(ABOUT)))

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        if length > self.server.limit:  # TensorFlow Serving has no limit of its own; a proxy before it answers so
            self.close_connection = True
            while length > 0:
                length -= len(self.rfile.read(min(length, 1 << 16)))
            self._reply(413, b"<html>Request Entity Too Large</html>", "text/html")
            return
        text = self.rfile.read(length)
        self._answer(lambda: self._posted(text))

    def _posted(self, text: bytes) -> dict:
        found = self._matched(PREDICT)
        if found[4] != "predict":
            raise Failure(Code.UNIMPLEMENTED, f"{found[4]} is not part of this server")
        return rest_predict(self.server.models, spec_of(found), text)

    def _matched(self, pattern: re.Pattern) -> re.Match:
        found = pattern.fullmatch(self.path)
        if not found:
            raise bad(f"Malformed request: {self.command} {self.path}")
        return found

    def _answer(self, work) -> None:
        if not self.path.startswith("/v1/models"):
            return self._reply(404, b"<html>Not Found</html>", "text/html")
        try:
            status, told = 200, work()
        except Failure as failure:
            status, told = HTTP_STATUS.get(failure.code, 500), {"error": failure.text}
        self._reply(status, json.dumps(told, indent=1).encode(), "application/json")

    def _reply(self, status: int, body: bytes, kind: str) -> None:
        with contextlib.suppress(ConnectionError):  # a client that would not wait
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


class RestServer(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True
    models: Models
    limit: int


# --- both -------------------------------------------------------------------------------------------------------------


class Server:
    """Serves models on two free ports of this machine, or on given ports after a restart, until it is closed."""

    def __init__(self, models: Models, limit: int = 2**31 - 1, rest_port: int = 0, grpc_port: int = 0):
        self.models = models
        self._rest = RestServer(("127.0.0.1", rest_port), RestHandler)
        self._rest.models, self._rest.limit = models, limit
        threading.Thread(target=self._rest.serve_forever, args=(0.02,), daemon=True).start()
        sizes = [("grpc.max_receive_message_length", limit), ("grpc.max_send_message_length", -1)]
        self._grpc = grpc.server(concurrent.futures.ThreadPoolExecutor(16), options=sizes)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(models), self._grpc)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelStates(models), self._grpc)
        self.rest_port = self._rest.server_address[1]
        self.grpc_port = self._grpc.add_insecure_port(f"127.0.0.1:{grpc_port}")
        self._grpc.start()

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.rest_port}"

    @property
    def grpc(self) -> str:
        return f"grpc://127.0.0.1:{self.grpc_port}"

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *exception) -> None:
        self._rest.shutdown()
        self._rest.server_close()
        self._grpc.stop(None).wait()
        self.models.close()


def wait_until(question, seconds: float = 20.0) -> None:
    """Wait until `question()` is true."""
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
