"""The messages of TensorFlow Serving's gRPC protocol, for requests of clients and for warm-up requests.

This module does not import TensorFlow. The classes are built at import from the table below, because generated code
works only with some versions of protobuf. Field numbers and types are those of tensorflow_serving/apis
(PredictionService, ModelService) and of TensorFlow's tensor.proto. The package has another name, so that both can be
loaded into one process. Enums are int32, which is encoded in the same way. Fields that the client does not read are
left out, and protobuf skips them.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "kgan.serving"

MESSAGES = {
    "Int64": "int64 value = 1",
    "ModelSpec": "string name = 1; Int64 version = 2; string signature_name = 3; string version_label = 4",
    "Dim": "int64 size = 1",
    "Shape": "repeated Dim dim = 2; bool unknown_rank = 3",
    "Tensor": (
        "int32 dtype = 1; Shape tensor_shape = 2; bytes tensor_content = 4; repeated float float_val = 5; "
        "repeated int32 int_val = 7; repeated bytes string_val = 8"
    ),
    "PredictRequest": "ModelSpec model_spec = 1; map Tensor inputs = 2; repeated string output_filter = 3",
    "PredictLog": "PredictRequest request = 1",
    "PredictionLog": "PredictLog predict_log = 6",
    "PredictResponse": "map Tensor outputs = 1; ModelSpec model_spec = 2",
    "GetModelStatusRequest": "ModelSpec model_spec = 1",
    "Status": "int32 error_code = 1; string error_message = 2",
    "ModelVersionStatus": "int64 version = 1; int32 state = 2; Status status = 3",
    "GetModelStatusResponse": "repeated ModelVersionStatus model_version_status = 1",
    "GetModelMetadataRequest": "ModelSpec model_spec = 1; repeated string metadata_field = 2",
    "Any": "string type_url = 1; bytes value = 2",
    "GetModelMetadataResponse": "ModelSpec model_spec = 1; map Any metadata = 2",
    "TensorInfo": "string name = 1; int32 dtype = 2; Shape tensor_shape = 3",
    "SignatureDef": "map TensorInfo inputs = 1; map TensorInfo outputs = 2; string method_name = 3",
    "SignatureDefMap": "map SignatureDef signature_def = 1",
}
"""The fields of each message, in the syntax of a .proto file. `map T` stands for `map<string, T>`."""

STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
"""Names of ModelVersionStatus.State by number."""

DTYPES = {1: "float32", 3: "int32", 4: "uint8", 7: "string"}
"""The values of TensorFlow's DataType that kgan's signatures use, by number."""

_NUMBERS = {name: number for number, name in DTYPES.items()}
_FIELD = re.compile(r"(repeated |map |)(\w+) (\w+) = (\d+)")
_Field = descriptor_pb2.FieldDescriptorProto


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="kgan/serving.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for kind, type_name, field, number in _FIELD.findall(fields):
            repeated = kind != ""
            if kind == "map ":
                type_name = _map_entry(message, field, type_name)
            _add_field(message, type_name, field, int(number), repeated)
    return file


def _map_entry(message: descriptor_pb2.DescriptorProto, field: str, type_name: str) -> str:
    """Add the message of a map's entries. A map is encoded as repeated entries, whose name protobuf prescribes."""
    name = field.title().replace("_", "") + "Entry"
    entry = message.nested_type.add(name=name)
    entry.options.map_entry = True
    _add_field(entry, "string", "key", 1, False)
    _add_field(entry, type_name, "value", 2, False)
    return f"{message.name}.{name}"


def _add_field(
    message: descriptor_pb2.DescriptorProto, type_name: str, field: str, number: int, repeated: bool
) -> None:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    added = message.field.add(name=field, number=number, label=label)
    scalar = getattr(_Field, f"TYPE_{type_name.upper()}", None) if type_name.islower() else None
    if scalar is None:
        added.type, added.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{type_name}"
    else:
        added.type = scalar


def _classes() -> dict[str, type]:
    pool = descriptor_pool.DescriptorPool()  # a separate pool has no conflicts with other packages
    pool.Add(_file())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}


_CLASSES = _classes()


def message(kind: str, /, **fields):
    """Make a message.

    Args:
        kind: name of a message in `MESSAGES`.
        **fields: values of its fields.

    Returns:
        The message.
    """
    return _CLASSES[kind](**fields)


def parser(name: str) -> Callable[[bytes], Any]:
    """The function that parses the bytes of a message of that name."""
    message: Any = _CLASSES[name]
    return message.FromString


def predict_request(spec, inputs: dict[str, np.ndarray | list[bytes]], outputs: list[str] | None = None):
    """Make a PredictRequest message.

    Args:
        spec: the model and its signature, a ModelSpec message.
        inputs: arrays or lists of bytes by name.
        outputs: names of the outputs that are asked for. None stands for all.

    Returns:
        The message.
    """
    tensors = {name: to_tensor(value) for name, value in inputs.items()}
    return message("PredictRequest", model_spec=spec, inputs=tensors, output_filter=outputs)


def to_tensor(value: np.ndarray | list[bytes]):
    """Convert an array to a Tensor message.

    Args:
        value: a uint8, float32 or int32 array, or a list of bytes.

    Returns:
        The message.
    """
    if isinstance(value, list):
        shape = message("Shape", dim=[message("Dim", size=len(value))])
        return message("Tensor", dtype=_NUMBERS["string"], tensor_shape=shape, string_val=value)
    shape = message("Shape", dim=[message("Dim", size=size) for size in value.shape])
    # TensorFlow's tensor_content is little-endian, and so are all machines on which TensorFlow runs.
    return message("Tensor", dtype=_NUMBERS[value.dtype.name], tensor_shape=shape, tensor_content=value.tobytes())


def from_tensor(tensor) -> np.ndarray | list[bytes]:
    """Convert a Tensor message to an array.

    Args:
        tensor: the message.

    Returns:
        An array, or a list of bytes for strings.

    Raises:
        ValueError: if the type is not supported or the message is broken.
    """
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    kind = DTYPES.get(tensor.dtype)
    if kind == "string":
        return list(tensor.string_val)
    if kind is None:
        raise ValueError(f"the reply holds a tensor of an unknown type: DataType {tensor.dtype}")
    if tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, kind)
    else:
        values = np.array(tensor.float_val if kind == "float32" else tensor.int_val, kind)
    missing = math.prod(shape) - values.size
    if missing < 0 or (missing and not values.size):
        raise ValueError(f"the reply holds a broken tensor: {values.size} values for the shape {shape}")
    return np.pad(values, (0, missing), "edge").reshape(shape)  # the format omits repetitions of the last value
