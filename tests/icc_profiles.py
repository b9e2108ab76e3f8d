"""Makes ICC profiles (version 2) for pictures in other colour spaces than sRGB."""

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
D65 = (0.3127, 0.3290)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def _xyz(x, y):
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _columns(primaries, white):
    """XYZ of red, green and blue under the illuminant D50."""
    white = _xyz(*white)
    columns = np.stack([_xyz(*primary) for primary in primaries], 1)
    columns = columns * np.linalg.solve(columns, white)
    adapted = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ white)) @ BRADFORD
    return (adapted @ columns).T


def _fixed(numbers):
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def _profile(space, name, tags):
    text = name.encode() + b"\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {
        "desc": description,
        "cprt": b"text" + bytes(4) + b"none\0",
        "wtpt": b"XYZ " + bytes(4) + _fixed(D50),
    } | tags
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for key, content in tags.items():
        table += key.encode() + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02100000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(D50) + bytes(48)
    return head + table + body


def _curve(gamma):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def rgb_profile(name, primaries, gamma=2.2, white=D65):
    """A matrix profile with three primaries (x, y), a gamma and a white point."""
    columns = [b"XYZ " + bytes(4) + _fixed(column) for column in _columns(primaries, white)]
    tags = dict(zip(("rXYZ", "gXYZ", "bXYZ"), columns, strict=True))
    return _profile(b"RGB ", name, tags | {key: _curve(gamma) for key in ("rTRC", "gTRC", "bTRC")})


def gray_profile(name, gamma):
    return _profile(b"GRAY", name, {"kTRC": _curve(gamma)})


P3 = rgb_profile("Wide P3", [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)])
ADOBE = rgb_profile("Like Adobe RGB", [(0.640, 0.330), (0.210, 0.710), (0.150, 0.060)])
LINEAR = rgb_profile("sRGB linear", [(0.640, 0.330), (0.300, 0.600), (0.150, 0.060)], 1.0)
SRGB = rgb_profile("another maker's", [(0.640, 0.330), (0.300, 0.600), (0.150, 0.060)])
GRAY = gray_profile("Gray", 1.8)
