"""Hostile models: how each is made from a good one, in memory, and a bound on the memory that a refusal may use."""

import contextlib
import io
import json
import os
import pathlib
import resource
import struct
import zipfile

import h5py
import numpy as np
import tensorflow as tf
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

FILE_OPERATIONS = [
    "AssertNextDataset", "AssignVariableXlaConcatND", "AudioSummary", "Barrier", "BigQueryReader", "CSVDatasetV2",
    "CacheDatasetV2", "CollectiveReduceV2", "Copy", "CreateSummaryDbWriter", "CreateSummaryFileWriter",
    "CustomOfMine", "DataServiceDatasetV4", "DebugIdentity", "DebugIdentityV2", "DecodeWav", "EagerPyFunc",
    "FileSystemSetConfiguration", "FixedLengthRecordDatasetV2", "FixedLengthRecordReaderV2",
    "GenerateVocabRemapping", "GeneratorDataset", "HashTableV2", "IO>FileRead", "IdentityReaderV2",
    "ImmutableConst", "InitializeTableFromTextFileV2", "LMDBDataset", "LMDBReader", "LoadAndRemapMatrix",
    "LoadDataset", "LookupTableExportV2", "LookupTableFindV2", "MatchingFiles", "MatchingFilesDataset",
    "OutfeedEnqueue", "Print", "PrintV2", "PyFunc", "PyFuncStateless", "QueueDequeueV2", "ReadFile", "ReaderReadV2",
    "RegisterDataset", "RemoteCall", "Restore", "RestoreSlice", "RpcCall", "RpcServer", "RunGraph", "Save",
    "SaveDatasetV2", "SaveSlices", "SnapshotDatasetV2", "SqlDataset", "SymbolicGradient", "TFRecordDatasetV2",
    "TFRecordReaderV2", "TPUExecute", "TensorArrayV3", "TextLineDataset", "TextLineReaderV2", "WholeFileReaderV2",
    "WriteAudioSummary", "WriteFile", "WriteGraphSummary", "WriteRawProtoSummary", "XlaLaunch", "_Recv", "_Send",
]  # fmt: skip
"""Operations that read or write files or the network, run Python or Java, print, or wait for somebody."""

ROOM = 2**30
"""How much more memory a refusal may use, in bytes."""


@contextlib.contextmanager
def bounded():
    """A context in which little more memory can be had."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[0])  # of virtual memory in use
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


class Tiny(tf.Module):
    """A program with one weight and an output that `kgan.load` looks for."""

    def __init__(self, write_to=None):
        super().__init__()
        self.weights = [tf.Variable([0.5, 0.5, 0.5])]
        self.write_to = write_to

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, "image")])
    def stylized(self, image):
        if self.write_to:
            tf.io.write_file(self.write_to, "here")
        return {"stylized": image * self.weights[0]}


def write_tiny(folder, write_to=None):
    tiny = Tiny(write_to)
    tf.saved_model.save(tiny, str(folder), signatures={"serving_float": tiny.stylized})


# --- programs: changes of saved_model.pb ------------------------------------------------------------------------------


def node(op, name="hostile", inputs=()):
    return NodeDef(op=op, name=name, input=list(inputs))


def in_graph(op):
    def change(graph):
        graph.graph_def.node.append(node(op))

    return change


def in_function(op):
    def change(graph):
        graph.graph_def.library.function[0].node_def.append(node(op))

    return change


def saving(graph, part):
    """The function that saves or restores."""
    return next(each for each in graph.graph_def.library.function if f"traced_{part}" in each.signature.name)


def other(graph):
    """A function that neither saves nor restores."""
    return next(each for each in graph.graph_def.library.function if "traced" not in each.signature.name)


def call(graph, part, op="StatefulPartitionedCall"):
    made = node(op)
    made.attr["f"].func.name = saving(graph, part).signature.name
    return made


def called_by_a_function(part):
    return lambda graph: other(graph).node_def.append(call(graph, part))


def called_by_a_loop(part):
    def change(graph):
        loop = node("While")
        loop.attr["body"].func.name = saving(graph, part).signature.name
        other(graph).node_def.append(loop)

    return change


def called_in_a_list(part):
    def change(graph):
        case = node("If")
        case.attr["branches"].list.func.add(name=saving(graph, part).signature.name)
        other(graph).node_def.append(case)

    return change


def called_by_the_graph(part):
    return lambda graph: graph.graph_def.node.append(call(graph, part))


def is_an_entry(part):
    def change(graph):
        graph.object_graph_def.concrete_functions[saving(graph, part).signature.name].SetInParent()

    return change


def with_file(part, op, text):
    """The name of the file becomes a constant."""

    def change(graph):
        function = saving(graph, part)
        name = function.node_def.add(op="Const", name="hostile")
        name.attr["value"].tensor.string_val.append(text)
        target = next(each for each in function.node_def if each.op == op)
        target.input[0] = "hostile:output:0"

    return change


def suffixed(graph):
    """The name of the file is extended by a path."""
    function = saving(graph, "save")
    constant = next(each for each in function.node_def if list(each.attr["value"].tensor.string_val) == [b"_temp/part"])
    constant.attr["value"].tensor.string_val[0] = b"/../../canary"


def constant_entry(graph):
    """The name that the graph gives for saving is a constant."""
    next(each for each in graph.graph_def.node if each.name == "saver_filename").op = "Const"


def huge_constant(*sides):
    def change(graph):
        constant = other(graph).node_def.add(op="Const", name="hostile")
        constant.attr["value"].tensor.dtype = 1
        constant.attr["value"].tensor.float_val.append(0.0)
        for side in sides:
            constant.attr["value"].tensor.tensor_shape.dim.add(size=side)

    return change


def with_object(**fields):
    def change(graph):
        made = graph.object_graph_def.nodes.add()
        for name, value in fields.items():
            if isinstance(value, dict):
                part = getattr(made, name)
                part.SetInParent()
                for key, content in value.items():
                    setattr(part, key, content)
            else:
                setattr(made, name, value)

    return change


GRAPHS = {
    **{f"{op} in the graph": in_graph(op) for op in FILE_OPERATIONS},
    **{f"{op} in a function": in_function(op) for op in FILE_OPERATIONS[::2]},
    **{f"{op} outside of saving": in_graph(op) for op in ("SaveV2", "RestoreV2", "MergeV2Checkpoints")},
    **{f"{op} in a function of its own": in_function(op) for op in ("SaveV2", "RestoreV2", "ShardedFilename")},
    **{
        f"{how.__name__} {part}": how(part)
        for how in (called_by_a_function, called_by_a_loop, called_in_a_list, called_by_the_graph, is_an_entry)
        for part in ("save", "restore")
    },
    "restores a constant": with_file("restore", "RestoreV2", b"/etc/passwd"),
    "saves to a constant": with_file("save", "SaveV2", b"/tmp/canary"),
    "a shard of a constant": with_file("save", "ShardedFilename", b"/tmp/canary"),
    "merges a constant": with_file("save", "MergeV2Checkpoints", b"../canary"),
    "saves above": suffixed,
    "saves to the graph's constant": constant_entry,
    "a huge constant": huge_constant(2**20, 2**20),
    "a constant of 2^63 numbers": huge_constant(2**62, 2),
    "a negative constant": huge_constant(-5),
    "an asset": with_object(asset={"asset_file_def_index": 3}),
    "a resource": with_object(resource={"device": "CPU"}),
    "a Keras layer": with_object(user_object={"identifier": "_tf_keras_layer"}),
    "a Keras model": with_object(user_object={"identifier": "_tf_keras_model"}),
    "a table": with_object(user_object={"identifier": "trackable_hash_table"}),
    "a registered class": with_object(registered_name="Custom.Class"),
    "a registered saver": with_object(registered_saver="Custom.Saver"),
    "no objects": lambda graph: graph.ClearField("object_graph_def"),
}
"""Name -> what changes the graph of a good SavedModel into a hostile one."""


def changed(content, change):
    model = SavedModel.FromString(content)
    change(model.meta_graphs[0])
    return model.SerializeToString()


def nested(depth):
    """A protobuf message with messages in messages: attr -> list -> func -> attr ..."""
    content = b""
    for _ in range(depth):
        content = b"\x12" + varint(len(content)) + content
    return content


def varint(number):
    """A number as protobuf writes it: seven bits a byte, the lowest first."""
    made = b""
    while number > 127:
        made, number = made + bytes([number & 127 | 128]), number >> 7
    return made + bytes([number])


def programs(content):
    """Name -> bytes of a hostile saved_model.pb, from those of a good one."""
    made = {name: changed(content, change) for name, change in GRAPHS.items()}
    made |= {f"cut after {part}/8": content[: len(content) * part // 8] for part in range(8)}
    twice = SavedModel.FromString(content)
    twice.meta_graphs.add().CopyFrom(twice.meta_graphs[0])
    return made | {
        "two graphs": twice.SerializeToString(),
        "no graph": SavedModel().SerializeToString(),
        "words": b"words",
        "zeros": bytes(1000),
        "too long": content + bytes(9 * 2**20),
        "millions of messages": b"\x12\x00" * 5_000_000,
        "deep": nested(5000),
    }


# --- numbers: model.safetensors ---------------------------------------------------------------------------------------


def tensors_file(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _headers(header, data):
    """Those that are no header of tensors."""
    first = next(name for name in header if name != "__metadata__")
    twice = json.dumps(header)[:-1] + f', "{first}": {json.dumps(header[first])}}}'
    return {
        "empty": b"",
        "words": b"words",
        "zeros": bytes(4096),
        "header longer than the file": tensors_file(header, data, 2 * (len(str(header)) + len(data))),
        "header of 2^63": tensors_file(header, data, 2**63),
        "header of 99 MB": tensors_file(header, data, 99 * 2**20),
        "header of 2 MB": tensors_file(b" " * 2**21 + json.dumps(header).encode(), data),
        "no header": tensors_file(b"", data),
        "header is a list": tensors_file(b"[]", data),
        "header is deep": tensors_file(b'{"a":' * 100_000, data),
        "header is not UTF-8": tensors_file(b"\xff\xfe{}", data),
        "header with NaN": tensors_file(b'{"a": NaN}', data),
        "a name twice": tensors_file(twice.encode(), data),
        "no tensors": tensors_file({}),
    }


def weights(content):
    """Name -> bytes of a hostile model.safetensors, from those of a good one."""
    length = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    names = [name for name in header if name != "__metadata__"]
    first, second = names[:2]

    def edited(name=first, **fields):
        return tensors_file({**header, name: {**header[name], **fields}}, data)

    def valued(value):
        return tensors_file(header, np.full(len(data) // 4, value, "<f4").tobytes())

    begin, end = header[first]["data_offsets"]
    shape = header[first]["shape"]
    renamed = {("hostile" if name == first else name): value for name, value in header.items()}
    extra = {**header, "hostile": {"dtype": "F32", "shape": [1], "data_offsets": [len(data), len(data) + 4]}}
    path = {("../../canary" if name == first else name): value for name, value in header.items()}
    small = np.zeros(len(data) // 4, "<f4")
    return {
        **_headers(header, data),
        "half of the data": content[: len(content) // 2],
        "a byte less": content[:-1],
        "a byte more": content + b"\0",
        "a terabyte more": content,  # made sparse by the test
        "missing": tensors_file({name: value for name, value in header.items() if name != first}, data),
        "renamed": tensors_file(renamed, data),
        "named as a path": tensors_file(path, data),
        "one more": tensors_file(extra, data + bytes(4)),
        "huge shape": edited(shape=[2**40, 2**40]),
        "shape of 2^63": edited(shape=[2**63, 0]),
        "other shape": edited(shape=[int(np.prod(shape))]),
        "turned shape": edited(shape=shape[::-1]),
        "negative shape": edited(shape=[-1, *shape[1:]]),
        "shape of text": edited(shape="text"),
        "offsets beyond the end": edited(data_offsets=[begin + len(data), end + len(data)]),
        "offsets overlap": edited(second, data_offsets=[begin, end]),
        "offsets backwards": edited(data_offsets=[end, begin]),
        "offsets negative": edited(data_offsets=[-8, end]),
        "offsets of 2^64": edited(data_offsets=[0, 2**64]),
        "offset missing": edited(data_offsets=[begin]),
        "integers": edited(dtype="I32"),
        "text as type": edited(dtype="<script>"),
        "half the type": edited(dtype="F16"),
        "double the type": edited(dtype="F64"),
        "bfloat16": tensors_file(
            {first: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 2 * int(np.prod(shape))]}},
            bytes(2 * int(np.prod(shape))),
        ),
        "NaN": valued(np.nan),
        "infinite": valued(np.inf),
        "one NaN": tensors_file(header, np.concatenate([small[:-1], [np.nan]]).astype("<f4").tobytes()),
    }


# --- settings: config.json --------------------------------------------------------------------------------------------


def settings(good):
    """Name -> text of a hostile config.json, from the settings of a good run."""

    def edited(**fields):
        return json.dumps({**good, **fields})

    numbers = {
        "filters": (10**9, 10**400, -1, 0, 4097),
        "blocks": (10**9, -1, 101),
        "size": (10**9, -16, 0, 8200, 17),
        "noise_channels": (10**9, -1),
        "stride": (3, 10**9, 0, -2, "4"),
        "channels": (0, 2, 10**9, 3.5),
        "kernel": (4, 10**9),
        "truncation": (0, -1, "2", 10**400),
    }
    names = ("recipe", "generator", "norm", "downsample", "upsample", "padding", "noise", "precision")
    text = json.dumps(good)
    return {
        **{f"{name} {str(value)[:9]}": edited(**{name: value}) for name, values in numbers.items() for value in values},
        **{f"{name} unknown": edited(**{name: "hostile"}) for name in names},
        **{f"{name} a path": edited(**{name: "../../hostile"}) for name in names[:2]},
        **{f"{name} a list": edited(**{name: [["a"]]}) for name in names[:3]},
        "many weights": edited(filters=4096, blocks=10),
        "recipe of a module": edited(recipe="hostile_module:RECIPE"),
        "recipe of os": edited(recipe="os:system"),
        "generator of a module": edited(generator="hostile_module:Network"),
        "weight of a module": edited(weight=["hostile_module:term=1"]),
        "NaN": text[:-1] + ', "truncation": NaN}',
        "infinity": text.replace('"truncation": 2.0', '"truncation": -Infinity'),
        "1e999": text.replace('"truncation": 2.0', '"truncation": 1e999'),
        "a name twice": text[:-1] + ', "filters": 2}',
        "deep": '{"a":' * 100_000,
        "deep list": "[" * 100_000,
        "a value that is deep": edited(content=0).replace('"content": 0', '"content": ' + "[" * 5000 + "]" * 5000),
        "a number of a million digits": text.replace('"filters": 2', '"filters": ' + "9" * 1_000_000),
        "too long": text + " " * 2**20,
        "empty": "",
        "null": "null",
        "a list": "[]",
        "text": '"recipe"',
        "unknown setting": edited(__class__="os.system"),
        "trust": edited(trust=True, recipe="hostile_module:RECIPE"),
        "half": text[: len(text) // 2],
        "not UTF-8": "\udcff",
        "a null byte": text.replace("paired", "pai\\u0000red"),
    }


# --- files that kgan opens none of ------------------------------------------------------------------------------------


def archive(files, compression=zipfile.ZIP_DEFLATED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as written:
        for name, content in files.items():
            written.writestr(name, content)
    return made.getvalue()


def keras_file(layer):
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "model", "layers": [layer]},
              "registered_name": None, "build_config": {"input_shape": [None, 3]}}  # fmt: skip
    return archive({"metadata.json": '{"keras_version": "3.15.1"}', "config.json": json.dumps(config),
                    "model.weights.h5": b""})  # fmt: skip


def hdf5(**layout):
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        file.create_dataset("weights", dtype="f4", **layout)
    return made.getvalue()


def foreign(canary):
    """Name -> bytes of a file that is no model of kgan."""
    code = f"open({str(canary)!r}, 'w').close()"
    function = {"class_name": "__lambda__", "config": {"code": code}}
    lambda_layer = {"module": "keras.layers", "class_name": "Lambda", "registered_name": None,
                    "config": {"name": "hostile", "function": function}}  # fmt: skip
    import_layer = {"module": "builtins", "class_name": "exec", "registered_name": None, "config": {"object": code}}
    pickled = b"cposix\nsystem\n(S'touch " + os.fsencode(canary) + b"'\ntR."
    return {
        "lambda.keras": keras_file(lambda_layer),
        "import.keras": keras_file(import_layer),
        "path.keras": archive({"../../canary": "x", "/tmp/canary": "x", "config.json": "{}"}),
        "bomb.keras": archive({"config.json": bytes(2**24)}),
        "empty.keras": b"",
        "bomb.h5": hdf5(shape=(2**20, 2**20), chunks=(2**10, 2**10), compression="gzip"),
        "lambda.h5": hdf5(shape=(1,)),
        "model.pkl": pickled,
        "model.pt": archive({"archive/data.pkl": pickled}),
        "model.safetensors": tensors_file({}),
    }


SIDECARS = {
    "words": b"words",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "a bomb": b" " * 2**26 + b"{}",
    "nothing": b"{}",
    "no vectors": b'{"test_vectors": 5}',
    "a vector of 2^60": b'{"sha256": "", "test_vectors": {"signature": "a", "tolerance_levels": 1, "tensors": '
    b'{"stylized": {"offset": 0, "bytes": 1152921504606846976, "dtype": "uint8", "shape": [1152921504606846976]}}}}',
    "a vector before the file": b'{"sha256": "", "test_vectors": {"signature": "a", "tolerance_levels": 1, "tensors": '
    b'{"stylized": {"offset": -9, "bytes": 4, "dtype": "float32", "shape": [7]}}}}',
    "infinite tolerance": b'{"sha256": "", "test_vectors": {"tensors": {}, "tolerance_levels": 1e999}}',
    "an object as type": b'{"sha256": "", "test_vectors": {"tensors": {"stylized": {"offset": 0, "bytes": 4, '
    b'"dtype": "object", "shape": [1]}}}}',
    "another hash": b'{"sha256": "00", "test_vectors": {"signature": "a", "tolerance_levels": 1, "tensors": '
    b'{"stylized": {"offset": 0, "bytes": 4, "dtype": "uint8", "shape": [4]}}}}',
}
"""Name -> JSON file of a hostile .tflite file."""

FACTS = {
    "a bomb": b" " * 2**26 + b"{}",
    "deep": b"[" * 100_000,
    "words": b"words",
    "a list": b"[]",
    "unknown": b'{"channels": 3, "noise_channels": 0, "takes_content": true, "run": "rm"}',
    "missing": b"{}",
    "huge noise": b'{"channels": 3, "noise_channels": 1000000000, "takes_content": true}',
    "huge channels": b'{"channels": 1000000000, "noise_channels": 0, "takes_content": true}',
    "text": b'{"channels": "3", "noise_channels": 0, "takes_content": true}',
    "no stride": b'{"channels": 3, "noise_channels": 0, "takes_content": true, "stride": 0}',
    "negative reach": b'{"channels": 3, "noise_channels": 0, "takes_content": true, "reach": -1}',
    "infinite": b'{"channels": 3, "noise_channels": 0, "takes_content": true, "truncation": 1e999}',
    "unknown noise": b'{"channels": 3, "noise_channels": 1, "takes_content": true, "distribution": "x"}',
    "peaks": b'{"channels": 3, "noise_channels": 0, "takes_content": true, "floats_at_peak": {"tensorflow": -1}}',
    "twice": b'{"channels": 3, "channels": 3, "noise_channels": 0, "takes_content": true}',
}
"""Name -> facts of a hostile SavedModel or .tflite file."""
