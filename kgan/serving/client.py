"""A client of a model on TensorFlow Serving. It does not need TensorFlow."""

import io
import random
import time
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from kgan.errors import UserError, counted
from kgan.images.decoding import pillows_limit_off
from kgan.images.pictures import to_float
from kgan.images.resizing import to_image
from kgan.serving.address import Model, parse_server
from kgan.serving.errors import ModelUnknown, PicturesRefused, RequestRefused, ServerAway, ServerFailed, TimedOut
from kgan.serving.rest import Rest

PAUSE = 0.2
"""Seconds before the first retry. The time doubles before each further one. It is shortened by a random factor, so that
clients that lose their server at the same time do not all retry at the same time."""

LEAST, MOST = 1e-3, 1e6
"""Seconds of a time limit. Sockets and gRPC take neither 0 nor infinity."""


class Client:
    """A client of one model on one server. Threads may share it.

    All methods raise the errors of `kgan.serving.errors`, each with a message of one line.

    Args:
        server: address with `http://` or `https://` for REST, `grpc://` or `grpcs://` for gRPC, host and port.
        name: name of the model.
        version: number of the version. By default, each request uses the newest version.
        label: label of the version, instead of `version`.
        timeout: seconds for one request, including retries, above 0.
        retries: number of retries after `ServerAway`, at least 0. Other errors are not retried.
        max_message_bytes: size of the largest request and reply. The limit of the server may be lower.

    Raises:
        UserError: if an argument is not valid.

    Example:

    >>> with Client("http://localhost:8501", "vangogh") as client:      # doctest: +SKIP
    ...     stylized = client.stylize(photo)                            # uint8 [H, W, 3] -> uint8 [H, W, 3]
    """

    def __init__(
        self,
        server: str,
        name: str,
        version: int | None = None,
        *,
        label: str | None = None,
        timeout: float = 60.0,
        retries: int = 3,
        max_message_bytes: int = 256 * 2**20,
    ):
        self.server, self.model = parse_server(server), Model(name, version, label)
        if not timeout > 0:
            raise UserError(f"--timeout should be above 0 seconds. Received: {timeout:g}")
        if retries < 0 or not 0 < max_message_bytes < 2**31:
            raise UserError(
                "retries should be at least 0 and max_message_bytes from 1 to 2147483647. "
                f"Received: {retries} and {max_message_bytes}"
            )
        self._timeout, self._retries = min(timeout, MOST), retries
        self._transport = self._connected(max_message_bytes)
        self._inputs: dict[str, set[str]] = {}

    def _connected(self, max_message_bytes: int):
        if self.server.is_rest:
            return Rest(self.server, max_message_bytes)
        try:
            from kgan.serving.rpc import Rpc
        except ModuleNotFoundError as error:
            raise UserError(f"{self.server}: gRPC needs {error.name}; pip install grpcio protobuf") from None
        return Rpc(self.server, max_message_bytes)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._transport.close()

    def stylize(self, pictures: np.ndarray, seed: int | Sequence[int] = 0) -> np.ndarray:
        """Stylize one picture or a batch of pictures.

        Over REST, uint8 pictures with three channels are sent as PNG, which is lossless. All others are sent as decimal
        numbers of about ten bytes each.

        Args:
            pictures: [H, W, C] or [N, H, W, C], uint8 or float in [0, 1], with 1, 3 or 4 channels.
            seed: seed of the noise, for models that take noise: one for all pictures, or one for each.

        Returns:
            Stylized pictures of the same shape, uint8 for uint8 pictures and float32 for others.

        Raises:
            UserError: if the pictures or the seed are not valid.
            ServingError: if the request fails.
        """
        array = np.asarray(pictures)
        if array.ndim not in (3, 4) or not array.size or array.shape[-1] not in (1, 3, 4):
            raise UserError(f"pictures should be [H, W, C] or [N, H, W, C] with 1, 3 or 4 channels. Got {array.shape}")
        if array.ndim == 3:
            return self.stylize(array[None], seed)[0]
        if array.dtype != np.uint8:
            made = self._predict("serving_float", {"image": to_float(array)}, ["stylized"], seed)
            return np.asarray(made["stylized"], np.float32)
        if self.server.is_rest and array.shape[-1] == 3:
            return np.stack([from_png(row) for row in self.stylize_bytes([to_png(row) for row in array], seed)])
        made = self._predict("serving_default", {"image": array}, ["stylized"], seed)
        return np.asarray(made["stylized"], np.uint8)

    def stylize_bytes(self, pictures: Sequence[bytes], seed: int | Sequence[int] = 0) -> list[bytes]:
        """Stylize picture files. The server decodes them and ignores colour profiles.

        `kgan.serving.request.upload` converts a file to one without a profile where necessary.

        Args:
            pictures: bytes of JPEG, PNG or WebP files, each of any size.
            seed: seed of the noise, for models that take noise: one for all pictures, or one for each.

        Returns:
            Bytes of PNG files of the same sizes, in the same order.

        Raises:
            PicturesRefused: if the server refuses some of the pictures. It holds the reasons and the other results.
            ServingError: if the request fails.
        """
        if not pictures:
            return []
        rows = [bytes(picture) for picture in pictures]
        made = self._predict("serving_bytes", {"image_bytes": rows}, ["stylized_bytes", "error"], seed)
        results, errors = made["stylized_bytes"], made["error"]
        if not len(rows) == len(results) == len(errors):
            raise ServerFailed(f"{self.server}: {counted(len(rows), 'picture')} sent, {len(results)} came back")
        reasons = {k: error.decode(errors="replace") for k, error in enumerate(errors) if error}
        if reasons:
            raise PicturesRefused(reasons, [None if k in reasons else result for k, result in enumerate(results)])
        return results

    def status(self) -> dict[int, str]:
        """The states of the model's versions, or of the client's version.

        Returns:
            States by the number of the version: START, LOADING, AVAILABLE, UNLOADING or END. If loading failed, the
            state is followed by a colon and the reason.

        Raises:
            ServingError: if the request fails.
        """
        rows = self._ask(self._transport.status, self.model)
        return {version: f"{state}: {error}" if error else state for version, (state, error) in sorted(rows.items())}

    def metadata(self) -> dict:
        """The version and the signatures that a request uses now.

        Returns:
            {"version": 3, "signatures": {name: {"inputs": {name: {"dtype": "uint8", "shape": [None, ...]}}, ...}}}. A
            shape of unknown rank is None.

        Raises:
            ServingError: if the request fails.
        """
        version, signatures = self._ask(self._transport.metadata, self.model)
        described = {
            name: {
                side: {key: {"dtype": dtype, "shape": shape} for key, (dtype, shape) in tensors.items()}
                for side, tensors in one.items()
            }
            for name, one in signatures.items()
        }
        return {"version": version, "signatures": described}

    def _predict(self, signature: str, inputs: dict, outputs: list[str], seed: int | Sequence[int]) -> dict:
        (rows,) = inputs.values()
        inputs = inputs | {"seed": _seeds(seed, len(rows))}
        known = self._inputs_of(signature)
        try:
            return self._predict_once(signature, inputs, outputs)
        except RequestRefused:
            # A new version of the model may take a seed although the previous one did not, or the reverse.
            self._inputs.pop(signature, None)
            if self._inputs_of(signature) == known:
                raise
            return self._predict_once(signature, inputs, outputs)

    def _predict_once(self, signature: str, inputs: dict, outputs: list[str]) -> dict:
        known = self._inputs_of(signature)
        if not inputs.keys() - {"seed"} <= known:
            raise RequestRefused(f"{self.server}: {self.model} takes no pictures, but {', '.join(sorted(known))}")
        taken = {name: value for name, value in inputs.items() if name in known}
        return self._ask(self._transport.predict, self.model, signature, taken, outputs)

    def _inputs_of(self, signature: str) -> set[str]:
        """The names of a signature's inputs, which are requested once. Raises ModelUnknown if there is no signature."""
        if (known := self._inputs.get(signature)) is not None:
            return known
        signatures = self.metadata()["signatures"]
        if signature not in signatures:
            has = ", ".join(sorted(name for name in signatures if not name.startswith("__")))
            raise ModelUnknown(f"{self.server}: {self.model} has no signature {signature}, only {has}")
        return self._inputs.setdefault(signature, set(signatures[signature]["inputs"]))

    def _ask(self, question: Callable, *words):
        """Send a request, with retries while the server is unavailable. Errors name the model."""
        end = time.monotonic() + self._timeout
        for attempt in range(self._retries + 1):
            pause = PAUSE * 2**attempt * random.uniform(0.5, 1.0)
            try:
                return question(*words, max(LEAST, end - time.monotonic()))
            except ServerAway as error:
                # Requests do not change the server, so a second one is safe.
                if attempt == self._retries or time.monotonic() + pause >= end:
                    raise ServerAway(f"{error}; asked {counted(attempt + 1, 'time')}, try again later") from None
            except TimedOut:
                raise TimedOut(f"{self.server}: no answer within {self._timeout:g} s") from None
            except (ModelUnknown, RequestRefused) as error:
                raise self._explained(error) from None
            time.sleep(pause)

    def _explained(self, error: ModelUnknown | RequestRefused) -> Exception:
        """The error itself, or one that says whether the name, the version or the label is unknown to the server."""
        if self.model.label is not None and "version label" in str(error):
            return ModelUnknown(f"{self.server}: model {self.model.name} has no label {self.model.label}")
        if not isinstance(error, ModelUnknown):
            return error
        try:
            versions = self._transport.status(Model(self.model.name), self._timeout)
        except ModelUnknown:
            return ModelUnknown(f"{self.server}: no model {self.model.name} there")
        has = ", ".join(str(version) for version, (state, _) in sorted(versions.items()) if state == "AVAILABLE")
        return ModelUnknown(f"{self.server}: no {self.model} there; available: {has or 'none yet'}")


def _seeds(seed: int | Sequence[int], count: int) -> np.ndarray:
    """The seed of each picture, int32 [count]."""
    seeds = np.asarray(seed)
    if seeds.shape not in ((), (count,)) or seeds.dtype.kind not in "iu":
        raise UserError(f"seed should be one number, or {count}, one for each picture. Received: {seed}")
    if seeds.size and not 0 <= seeds.min() <= seeds.max() < 2**31:
        raise UserError(f"--seed should be at least 0 and below 2147483648. Received: {seed}")
    return np.broadcast_to(seeds, (count,)).astype(np.int32)


def to_png(picture: np.ndarray) -> bytes:
    """Encode a picture as PNG, with fast compression.

    Args:
        picture: uint8 [H, W, 1|3|4].

    Returns:
        The bytes of the file.
    """
    file = io.BytesIO()
    to_image(picture).save(file, "PNG", compress_level=1)
    return file.getvalue()


def from_png(png: bytes) -> np.ndarray:
    """Decode a PNG file of the server.

    Args:
        png: bytes of the file.

    Returns:
        uint8 [H, W, C].

    Raises:
        ServerFailed: if the bytes are not a PNG file.
    """
    try:
        with pillows_limit_off():
            image = Image.open(io.BytesIO(png), formats=["PNG"])
        array = np.asarray(image)
    except Exception as error:  # Pillow can raise nearly anything
        raise ServerFailed(f"the server's reply is not a PNG picture ({error})") from None
    return array[..., None] if array.ndim == 2 else array
