"""ONNX files of strangers: each is refused with one line, before onnxruntime sees it, and memory is bounded."""

import pathlib
import re

import numpy as np
import onnx
import pytest
from hostile import bounded, varint
from onnx import TensorProto, helper, numpy_helper

import kgan
from kgan.errors import UserError

PICTURES = ["batch", "height", "width", 3]


def model(change=lambda made: None, nodes=(), weights=(), opsets=(("", 13),)):
    """A model that halves a picture, with further nodes and weights, and changed."""
    halved = helper.make_node("Mul", ["image", "weight"], ["stylized"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, PICTURES) for name in ("image", "stylized")]
    numbers = [numpy_helper.from_array(np.full((1, 1, 1, 3), 0.5, np.float32), "weight"), *weights]
    graph = helper.make_graph([*nodes, halved], "graph", ends[:1], ends[1:], numbers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid(*each) for each in opsets], ir_version=7)
    change(made)
    return made.SerializeToString()


def weight(change):
    """A model whose weight is changed."""
    return model(lambda made: change(made.graph.initializer[0]))


def node(op, inputs, outputs=("other",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), **attributes)


def elsewhere(place):
    """The weight lies in another file."""

    def change(tensor):
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)

    return weight(change)


def claims(*sides):
    """The weight claims to be large."""

    def change(tensor):
        del tensor.dims[:]
        tensor.dims.extend(sides)

    return weight(change)


def valued(value, dtype=np.float32):
    numbers = np.array([0.5, value, 0.5], dtype).reshape(1, 1, 1, 3)
    return weight(lambda tensor: tensor.CopyFrom(numpy_helper.from_array(numbers, "weight")))


def doubled(times):
    """A constant of 1 MB that is doubled, while the file is loaded."""
    first = numpy_helper.from_array(np.zeros(2**18, np.float32), "c0")
    return model(nodes=[node("Concat", [f"c{k}"] * 2, [f"c{k + 1}"], axis=0) for k in range(times)], weights=[first])


def ranged():
    """Three numbers that become a terabyte."""
    numbers = [
        numpy_helper.from_array(np.array(each, np.int64), name) for name, each in zip("abc", (0, 2**37, 1), strict=True)
    ]
    return model(nodes=[node("Range", "abc")], weights=numbers)


def renamed(made):
    made.graph.output[0].name = made.graph.node[-1].output[0] = "result"


def nested(depth):
    """Graphs in graphs: a node with an attribute with a graph ..."""
    content = b""
    for number in (*(b"\x32", b"\x2a", b"\x0a") * depth, b"\x3a"):
        content = number + varint(len(content)) + content
    return content


HOSTILE = {
    "empty": (b"", "cannot be read as an ONNX model"),
    "words": (b"words", "cannot be read as an ONNX model"),
    "zeros": (bytes(1000), "cannot be read as an ONNX model"),
    "cut": (model()[:-20], "cannot be read as an ONNX model"),
    "deep": (nested(2000), "cannot be read as an ONNX model"),
    "millions of messages": (b"\x3a" + varint(20_000_000) + b"\x0a\x00" * 10_000_000, "that are not weights"),
    "a long word": (model(lambda made: setattr(made, "doc_string", "x" * 5 * 2**20)), "that are not weights"),
    "millions of weights": (b"\x3a" + varint(20_000_000) + b"\x2a\x00" * 10_000_000, "that are not weights"),
    "weights in /etc": (elsewhere("/etc/passwd"), "are in another file"),
    "weights above": (elsewhere("../../canary"), "are in another file"),
    "weights beside": (elsewhere("weights.bin"), "are in another file"),
    "a huge weight": (claims(2**40, 2**20), "cannot be read"),
    "a negative weight": (claims(-1, 3), "weight claim a negative size"),
    "NaN": (valued(np.nan), "weight are NaN or infinite"),
    "infinite": (valued(np.inf), "weight are NaN or infinite"),
    "half infinite": (valued(np.inf, np.float16), "weight are NaN or infinite"),
    "a loop": (model(nodes=[node("Loop", ["", ""])]), "operators that no export of kgan does: Loop"),
    "a custom operator": (
        model(nodes=[node("Run", ["image"], domain="evil")], opsets=(("", 13), ("evil", 1))),
        "operators of other sets",
    ),
    "an operator of Microsoft": (
        model(nodes=[node("Gelu", ["image"], domain="com.microsoft")]),
        r"operators that no export of kgan does: com\.microsoft\.Gelu",
    ),
    "operators of the future": (model(opsets=(("", 999),)), "operators of other sets"),
    "a function": (
        model(lambda made: made.functions.add(name="f", domain="d")),
        "contains functions",
    ),
    "a constant with a tensor": (
        model(nodes=[node("Cast", ["image"], to=1, value=numpy_helper.from_array(np.zeros(1)))]),
        "attribute value that is no number",
    ),
    "padding of 2^40": (
        model(nodes=[node("AveragePool", ["image"], kernel_shape=[1, 1], pads=[0, 0, 2**40, 2**40])]),
        "attribute pads beyond",
    ),
    "a doubled constant": (doubled(40), "Concat computes with constants alone"),
    "a range": (ranged(), "Range computes with constants alone"),
    "another output": (model(renamed), "kgan did not write it"),
    "text": (
        model(lambda made: setattr(made.graph.input[0].type.tensor_type, "elem_type", TensorProto.STRING)),
        "image should be float32",
    ),
    "a loop of nodes": (
        model(nodes=[node("Abs", ["b"], ["a"]), node("Abs", ["a"], ["b"])]),
        "cannot be read as an ONNX model",
    ),
    "forged facts": (
        model(lambda made: made.metadata_props.add(key="kgan", value='{"channels": 10000000000}')),
        "facts cannot be",
    ),
}  # fmt: skip
"""Name -> bytes of a hostile file, and the reason for which it is refused."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "canary").write_bytes(np.zeros(3, np.float32).tobytes())
    (tmp_path / "here" / "weights.bin").write_bytes(np.zeros(3, np.float32).tobytes())
    return tmp_path / "here"


def test_a_good_file_opens(place):
    pathlib.Path("model.onnx").write_bytes(model())
    made = kgan.load("model.onnx")
    assert (made.facts.channels, made.facts.noise_channels, made.facts.takes_content) == (3, 0, True)
    assert made(np.full((4, 5, 3), 200, np.uint8)).tolist() == np.full((4, 5, 3), 100).tolist()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_one_line(place, name):
    content, reason = HOSTILE[name]
    pathlib.Path("model.onnx").write_bytes(content)
    with bounded(), pytest.raises(UserError) as caught:
        kgan.load("model.onnx", trust=True)
    message = str(caught.value)
    assert re.match(rf"model\.onnx: .*({reason})", message), message
    assert "\n" not in message
    assert len(message) < 500


def test_a_file_that_is_too_long_is_not_read(place):
    with pathlib.Path("model.onnx").open("wb") as file:
        file.truncate(2**40)
    with bounded(), pytest.raises(UserError, match=r"model\.onnx: is longer than 541065216 bytes"):
        kgan.load("model.onnx")


def test_what_fails_while_it_runs_is_one_line(place):
    """A product of pictures with themselves as matrices."""
    pathlib.Path("model.onnx").write_bytes(model(lambda made: setattr(made.graph.node[-1], "op_type", "MatMul")))
    with pytest.raises(UserError, match=r"^model\.onnx: cannot be (run|read as an ONNX model) \([^\n]*\)$"):
        kgan.load("model.onnx")(np.zeros((4, 5, 3), np.uint8))


def test_onnx_alone_would_read_weights_from_another_file(place):
    """The control: what is refused above is possible."""
    pathlib.Path("model.onnx").write_bytes(elsewhere("weights.bin"))
    assert not numpy_helper.to_array(onnx.load("model.onnx").graph.initializer[0]).any()
