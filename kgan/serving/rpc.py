"""TensorFlow Serving's gRPC interface: PredictionService and ModelService."""

import grpc

from kgan import protocol
from kgan.protocol import message
from kgan.serving.address import Model, Server
from kgan.serving.errors import (
    ModelUnknown,
    RequestRefused,
    ServerAway,
    ServerFailed,
    ServingError,
    TimedOut,
    TooLarge,
    one_line,
)

CODES = grpc.StatusCode

ERRORS = {
    CODES.UNAVAILABLE: ServerAway,
    CODES.RESOURCE_EXHAUSTED: ServerAway,  # 429 in REST
    CODES.DEADLINE_EXCEEDED: TimedOut,
    CODES.NOT_FOUND: ModelUnknown,
    CODES.INVALID_ARGUMENT: RequestRefused,
    CODES.FAILED_PRECONDITION: RequestRefused,
    CODES.OUT_OF_RANGE: RequestRefused,
    CODES.UNIMPLEMENTED: ServerFailed,
}
"""Errors by the status code of gRPC. All others are ServerFailed."""


class Rpc:
    """Requests to a server over an HTTP/2 connection, which is renewed when it breaks. Threads may share the object.

    Args:
        server: address of the server.
        max_message_bytes: size of the largest request and reply.
    """

    def __init__(self, server: Server, max_message_bytes: int):
        options = [
            # The default of 4 MB allows a picture of 1.4 megapixels.
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.enable_retries", 0),  # `Client` retries requests
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2000),
            ("grpc.enable_http_proxy", 0),
        ]
        self._server = server
        if server.is_secure:
            self._channel = grpc.secure_channel(server.authority, grpc.ssl_channel_credentials(), options)
        else:
            self._channel = grpc.insecure_channel(server.authority, options)

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
        request = protocol.predict_request(_spec(model, signature), inputs, outputs)
        reply = self._call("PredictionService/Predict", request, "PredictResponse", seconds)
        if missing := set(outputs) - set(reply.outputs):
            raise ServerFailed(f"{self._server}: the reply lacks {', '.join(sorted(missing))}")
        try:
            return {name: protocol.from_tensor(reply.outputs[name]) for name in outputs}
        except ValueError as error:
            raise ServerFailed(str(error)) from None

    def status(self, model: Model, seconds: float) -> dict[int, tuple[str, str]]:
        """The state and the error message of each version of a model."""
        request = message("GetModelStatusRequest", model_spec=_spec(model))
        reply = self._call("ModelService/GetModelStatus", request, "GetModelStatusResponse", seconds)
        return {
            row.version: (protocol.STATES.get(row.state, str(row.state)), row.status.error_message)
            for row in reply.model_version_status
        }

    def metadata(self, model: Model, seconds: float) -> tuple[int, dict]:
        """The version of a model, and {"inputs": {name: (dtype, shape)}, "outputs": ...} by signature."""
        request = message("GetModelMetadataRequest", model_spec=_spec(model), metadata_field=["signature_def"])
        reply = self._call("PredictionService/GetModelMetadata", request, "GetModelMetadataResponse", seconds)
        signatures = protocol.parser("SignatureDefMap")(reply.metadata["signature_def"].value).signature_def
        described = {
            name: {
                "inputs": {key: _described(info) for key, info in one.inputs.items()},
                "outputs": {key: _described(info) for key, info in one.outputs.items()},
            }
            for name, one in signatures.items()
        }
        return reply.model_spec.version.value, described

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _call(self, method: str, request, reply: str, seconds: float):
        call = self._channel.unary_unary(
            f"/tensorflow.serving.{method}", type(request).SerializeToString, protocol.parser(reply)
        )
        try:
            return call(request, timeout=seconds)
        except grpc.RpcError as error:
            raise self._explained(error.code(), error.details() or "") from None

    def _explained(self, code: grpc.StatusCode, said: str) -> ServingError:
        said = one_line(said)
        kind = TooLarge if "larger than max" in said else ERRORS.get(code, ServerFailed)
        if kind in (ServerAway, ServerFailed):
            said = f"{code.name}: {said}"
        return kind(f"{self._server}: {said}")


def _spec(model: Model, signature: str = ""):
    spec = message("ModelSpec", name=model.name, signature_name=signature, version_label=model.label or "")
    if model.version is not None:
        spec.version.value = model.version
    return spec


def _described(info) -> tuple[str, list[int | None] | None]:
    kind = protocol.DTYPES.get(info.dtype, f"DataType {info.dtype}")
    if info.tensor_shape.unknown_rank:
        return kind, None
    return kind, [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
