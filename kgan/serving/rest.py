"""TensorFlow Serving's REST interface (https://www.tensorflow.org/tfx/serving/api_rest).

Requests are in column format ("inputs"), in which the names of inputs are not repeated. Strings are sent and received
as {"b64": ...}. The server uses this form for outputs whose names end with _bytes.
"""

import base64
import binascii
import http.client
import json
import socket
import time
import urllib.parse

import numpy as np

from kgan.errors import counted
from kgan.serving.address import Model, Server
from kgan.serving.errors import ModelUnknown, RequestRefused, ServerAway, ServerFailed, TimedOut, TooLarge, one_line

CHUNK = 1 << 16

ERRORS = {404: ModelUnknown, 408: TimedOut, 413: TooLarge, 429: ServerAway, 503: ServerAway, 504: TimedOut}
"""Errors by HTTP status. Other 4xx are RequestRefused, other 5xx are ServerFailed."""


class Rest:
    """Requests to a server over HTTP/1.1. Each request uses its own connection, so that threads may share the object.

    Args:
        server: address of the server.
        max_message_bytes: size of the largest request and reply.
    """

    def __init__(self, server: Server, max_message_bytes: int):
        self._server, self._limit = server, max_message_bytes

    def predict(self, model: Model, signature: str, inputs: dict, outputs: list[str], seconds: float) -> dict:
        """Run a signature of a model.

        Args:
            model: the model.
            signature: name of the signature.
            inputs: arrays or lists of bytes by name.
            outputs: names of the outputs.
            seconds: time limit.

        Returns:
            Arrays or lists of bytes by name.

        Raises:
            ServingError: if the request fails.
        """
        columns = {name: _to_json(value) for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        reply = self._ask("POST", f"{_path(model)}:predict", body, seconds)
        try:
            made = reply["outputs"]
            made = made if len(outputs) > 1 else {outputs[0]: made}  # the name of an only output is left out
            return {name: _from_json(made[name]) for name in outputs}
        except (KeyError, TypeError, ValueError) as error:
            raise ServerFailed(
                f"{self._server}: a reply in another form than TensorFlow Serving's ({error!r})"
            ) from None

    def status(self, model: Model, seconds: float) -> dict[int, tuple[str, str]]:
        """The state and the error message of each version of a model."""
        reply = self._ask("GET", _path(model), None, seconds)
        rows = reply.get("model_version_status", [])
        return {int(row["version"]): (row["state"], row.get("status", {}).get("error_message", "")) for row in rows}

    def metadata(self, model: Model, seconds: float) -> tuple[int, dict]:
        """The version of a model, and {"inputs": {name: (dtype, shape)}, "outputs": ...} by signature."""
        reply = self._ask("GET", f"{_path(model)}/metadata", None, seconds)
        try:
            signatures = reply["metadata"]["signature_def"]["signature_def"]
            described = {
                name: {
                    side: {key: _described(info) for key, info in one[side].items()} for side in ("inputs", "outputs")
                }
                for name, one in signatures.items()
            }
            return int(reply["model_spec"]["version"]), described
        except (KeyError, TypeError, ValueError) as error:
            raise ServerFailed(
                f"{self._server}: metadata in another form than TensorFlow Serving's ({error!r})"
            ) from None

    def close(self) -> None:
        """Do nothing, because no connection is open between requests."""

    def _ask(self, method: str, path: str, body: bytes | None, seconds: float) -> dict:
        if body is not None and len(body) > self._limit:
            raise TooLarge(f"{self._server}: the request has {len(body)} bytes; the client's limit is {self._limit}")
        end = time.monotonic() + seconds
        kind = http.client.HTTPSConnection if self._server.is_secure else http.client.HTTPConnection
        connection = kind(self._server.host, self._server.port, timeout=seconds)
        try:
            connection.request(method, self._server.path + path, body, {"Content-Type": "application/json"})
            wire = connection.sock  # the connection drops its socket when the server wants to close
            with connection.getresponse() as response:
                return self._answer(response.status, self._read(response, wire, end))
        except TimeoutError:
            raise TimedOut(f"{self._server}: no answer in time") from None
        except (ConnectionError, socket.gaierror) as error:
            raise ServerAway(f"{self._server}: nobody answers ({error})") from None
        except (http.client.HTTPException, OSError) as error:
            raise ServerFailed(f"{self._server}: does not speak HTTP as a REST port does ({error!r})") from None
        finally:
            connection.close()

    def _read(self, response: http.client.HTTPResponse, wire: socket.socket, end: float) -> bytes:
        """The complete reply, within the limits of time and size."""
        parts, count = [], 0
        while not response.isclosed():  # Python 3.12 closes it and its socket after the last expected byte
            wire.settimeout(max(1e-3, end - time.monotonic()))
            chunk = response.read1(CHUNK)
            if not chunk:
                break
            parts.append(chunk)
            count += len(chunk)
            if count > self._limit:
                raise TooLarge(f"{self._server}: the reply is larger than the client's limit of {self._limit} bytes")
        if response.length:
            raise ConnectionError(f"the reply was cut off after {counted(count, 'byte')}")
        return b"".join(parts)

    def _answer(self, status: int, text: bytes) -> dict:
        try:
            reply = json.loads(text)
        except ValueError:
            reply = None
        if isinstance(reply, dict) and status == http.client.OK:
            return reply
        kind = ERRORS.get(status, RequestRefused if 400 <= status < 500 else ServerFailed)
        if isinstance(reply, dict) and "error" in reply:
            raise kind(f"{self._server}: {one_line(reply['error'])}")
        if kind in (ServerAway, TimedOut, TooLarge):  # from a proxy, which does not answer with JSON
            raise kind(f"{self._server}: answers {status} {http.HTTPStatus(status).phrase}")
        said = one_line(text[:200].decode(errors="replace"))
        raise ServerFailed(f"{self._server}: answers {status} without JSON; is it TensorFlow Serving? It says: {said}")


def _path(model: Model) -> str:
    chosen = "" if model.version is None else f"/versions/{model.version}"
    chosen = f"/labels/{urllib.parse.quote(model.label, safe='')}" if model.label is not None else chosen
    return f"/v1/models/{urllib.parse.quote(model.name, safe='')}{chosen}"


def _to_json(value: np.ndarray | list[bytes]) -> list:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [{"b64": base64.b64encode(row).decode()} for row in value]


def _from_json(value: list) -> np.ndarray | list[bytes]:
    """Convert numbers to an array (int64 or float64), and strings and {"b64": ...} to a list of bytes."""
    if not value or isinstance(value[0], str | dict):
        return [row.encode() if isinstance(row, str) else _decoded(row["b64"]) for row in value]
    return np.array(value)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None


def _described(info: dict) -> tuple[str, list[int | None] | None]:
    """Data type and shape of a tensor, such as ("uint8", [None, 4]). In JSON, protobuf writes sizes as strings."""
    kind = {"DT_FLOAT": "float32"}.get(info["dtype"], info["dtype"].removeprefix("DT_").lower())
    shape = info["tensor_shape"]
    if shape.get("unknown_rank"):
        return kind, None
    return kind, [None if int(dim["size"]) < 0 else int(dim["size"]) for dim in shape.get("dim", [])]
