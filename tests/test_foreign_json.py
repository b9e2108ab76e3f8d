"""JSON that somebody else may have written."""

import pytest

from kgan.foreign_json import MOST_JSON, parsed_json, read_json


def test_values_are_those_of_the_text(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes('{"name": "Zoë", "numbers": [1, -2.5e3, null, true]}'.encode())
    assert read_json(path) == {"name": "Zoë", "numbers": [1, -2500.0, None, True]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b"{'a': 1}", "property name"),
        (b"\xff", "decode"),
        (b'{"a": 1, "b": {"a": 1, "a": 2}}', "contains 'a' twice"),
        (b"[NaN]", "contains NaN, which is not finite"),
        (b"[-Infinity]", "contains -Infinity, which is not finite"),
        (b"[1e999]", "contains 1e999, which is not finite"),
        (b"[" * 100_000, "is nested too deeply"),
        (b" " * MOST_JSON + b"1", f"is longer than {MOST_JSON} bytes"),
    ],
    ids=["nothing", "quotes", "bytes", "names", "nan", "infinity", "number", "depth", "length"],
)
def test_what_is_refused(tmp_path, content, reason):
    with pytest.raises(ValueError, match=reason):
        parsed_json(content)
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_json(path)


def test_the_longest_text_is_read():
    assert parsed_json(b" " * (MOST_JSON - 1) + b"1") == 1
