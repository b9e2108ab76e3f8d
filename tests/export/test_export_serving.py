"""The three signatures of a SavedModel for TensorFlow Serving, and decoding of pictures inside the graph."""

import concurrent.futures
import functools
import io
import json
import pathlib
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_models import make_generator
from tensorflow.core.protobuf import saved_model_pb2

from kgan.export import chunks as chunks_
from kgan.export import export_saved_model, load, picture_ops
from kgan.export.signatures import affordable_size
from kgan.images.decoding import decode_picture
from kgan.inference.stylist import Stylist
from kgan.networks.generators import floats_of_resnet

LIMIT = 1_000_000


def pixels(height, width, channels=3, seed=0):
    """A smooth picture, which lossy formats change little. With 4 channels, parts are transparent."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 127 * np.sin((seed + k + 1) * (x / width + (k + 2) * y / height)) for k in range(channels)]
    return np.stack(waves, -1).astype(np.uint8)


def file(picture, kind="PNG", mode=None, **options):
    """The bytes of a picture file."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.squeeze(picture))
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(orientation, order="little", kind="JPEG", **options):
    """A picture file with an EXIF orientation, as a camera writes it."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "maker"
    exif.endian = "<" if order == "little" else ">"
    return file(pixels(24, 40), kind, exif=exif.tobytes(), **options)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def chunks(png):
    """The chunks of a PNG file."""
    rest, found = png[8:], []
    while rest:
        size = 12 + struct.unpack(">I", rest[:4])[0]
        found.append(rest[:size])
        rest = rest[size:]
    return found


def claiming(jpeg, width, height):
    """A JPEG whose header claims another size: the marker of its frame, a length, 8 bits, the height and the width."""
    (at,) = (found.start() for found in re.finditer(rb"\xff[\xc0\xc2]\0\x11\x08", jpeg))
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


def bomb(side):
    """A complete black PNG with 1 bit per pixel. The file has a thousandth of the bytes of its pixels."""
    rows = zlib.compress(bytes(side * (1 + (side + 7) // 8)), 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def megabytes(what):
    """Memory of this process: VmRSS is the current value, VmHWM the largest."""
    return int(pathlib.Path("/proc/self/status").read_text(encoding="utf-8").split(f"{what}:")[1].split()[0]) / 1000


@functools.cache
def decoder(channels):
    one = tf.TensorSpec((), tf.string)
    return tf.function(lambda data: picture_ops.decode(data, channels, LIMIT), input_signature=[one])


def decode(data, channels=3):
    picture, error = decoder(channels)(tf.constant(data))
    return picture.numpy(), error.numpy().decode()


GOOD = {
    "jpeg": (file(pixels(24, 40), "JPEG", quality=95), 2),
    "jpeg_progressive": (file(pixels(24, 40), "JPEG", quality=95, progressive=True), 2),
    "jpeg_gray": (file(pixels(24, 40, 1), "JPEG", quality=95), 1),
    "jpeg_cmyk": (file(pixels(24, 40), "JPEG", mode="CMYK", quality=95), 2),
    "png": (file(pixels(24, 40)), 0),
    "png_gray": (file(pixels(24, 40, 1)), 0),
    "png_bits": (file(pixels(24, 40, 1), mode="1"), 0),
    "png_palette": (file(pixels(24, 40), mode="P"), 0),
    "png_palette_of_2_bits": (file(pixels(24, 40), mode="P", bits=2), 0),
    "png_palette_of_4_bits_transparent": (file(pixels(24, 40), mode="P", bits=4, transparency=3), 1),
    "png_palette_transparent": (file(pixels(24, 40), mode="P", transparency=3), 1),
    "png_one_colour_transparent": (file(pixels(24, 40, 1), transparency=127), 0),
    "png_16_bits": (file((pixels(24, 40, 1)[..., 0].astype(np.uint16) * 256) + 77), 1),
    "png_alpha": (file(pixels(24, 40, 4)), 1),
    "png_gray_alpha": (file(pixels(24, 40, 4), mode="LA"), 1),
    "webp": (file(pixels(24, 40), "WEBP", quality=95), 1),
    "webp_lossless": (file(pixels(24, 40), "WEBP", lossless=True), 0),
    "webp_alpha": (file(pixels(24, 40, 4), "WEBP", lossless=True, exact=True), 1),
    "webp_lossy_alpha": (file(pixels(24, 40, 4), "WEBP", quality=95, exact=True), 1),
    "webp_container": (file(pixels(24, 40), "WEBP", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"), 0),
    "one_pixel": (file(pixels(1, 1)), 0),
    **{
        f"exif_{k}_{order}": (oriented(k, order, quality=95, subsampling=0), 2)
        for k in range(1, 9)
        for order in ("little", "big")
    },
    **{f"png_exif_{k}": (oriented(k, kind="PNG"), 0) for k in range(1, 9)},
    **{f"webp_exif_{k}": (oriented(k, kind="WEBP", lossless=True), 0) for k in range(1, 9)},
}


@pytest.mark.parametrize("name", sorted(GOOD))
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_decode_as_kgan_reads_them(name, channels):
    data, tolerance = GOOD[name]
    picture, error = decode(data, channels)
    expected = decode_picture(io.BytesIO(data), channels)
    assert error == ""
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).max() <= tolerance + (channels == 1)


def animation(kind="WEBP", **options):
    frames = [Image.fromarray(pixels(24, 40, 3, seed)) for seed in range(3)]
    return file(frames[0], kind, save_all=True, append_images=frames[1:], **options)


BAD = {
    "empty": (b"", "empty"),
    "text": (b"this is no picture", "not a JPEG, PNG or WebP"),
    "short": (b"\x89P", "not a JPEG, PNG or WebP"),
    "gif": (file(pixels(24, 40), "GIF"), "GIF is not read; convert it"),
    "bmp": (file(pixels(24, 40), "BMP"), "BMP is not read; convert it"),
    "tiff": (file(pixels(24, 40), "TIFF"), "TIFF is not read; convert it"),
    "animated": (animation(), "animation"),
    "animated_lossless": (animation(lossless=True), "animation"),
    "animated_png": (animation("PNG"), "animation"),
    "bomb": (bomb(13_000), "claims 13000x13000 pixels; the limit is 1 megapixels"),
    "webp_claims": (b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x1f\0", "claims 16384x8192 pixels"),
    "jpeg_claims": (claiming(GOOD["jpeg"][0], 16384, 8192), "claims 16384x8192 pixels"),
    "gif_claims": (b"GIF89a" + b"\xff\xff" * 2 + b"\xf0\0\0" + bytes(99), "GIF is not read"),
    "long": (GOOD["jpeg"][0] + bytes(picture_ops.MAX_BYTES), "longer than 32 MB"),
    "jpeg_cut": (GOOD["jpeg"][0][:400], "damaged"),
    "jpeg_head": (GOOD["jpeg"][0][:30], "damaged"),
    "png_cut": (GOOD["png"][0][:-60], "damaged"),
    "png_wrong": (GOOD["png"][0][:60] + b"\xff\xff" + GOOD["png"][0][62:], "damaged"),
    "webp_cut": (GOOD["webp"][0][:-30], "damaged or truncated, or TensorFlow is older than 2.20"),
}


@pytest.mark.parametrize("place", [-1, -2])
def test_exif_of_a_png_counts_wherever_it_is_and_few_chunks_are_searched(place):
    """Chunks: IHDR, eXIf, IDAT, IEND. The sides of a turned picture are swapped."""
    head, exif, pixels_, end = chunks(oriented(6, kind="PNG"))
    empty = chunk(b"teXt", b"")
    for count, shape in ((10, (40, 24, 3)), (2 * chunks_.MOST_CHUNKS, (24, 40, 3))):
        rest = [pixels_, empty * count, exif, end] if place == -1 else [empty * count, exif, pixels_, end]
        assert decode(b"\x89PNG\r\n\x1a\n" + b"".join([head, *rest]))[0].shape == shape


@pytest.mark.parametrize("name", sorted(BAD))
def test_what_is_no_picture_is_told_why(name):
    data, reason = BAD[name]
    picture, error = decode(data)
    assert reason in error
    assert picture.shape == (1, 1, 3)


@pytest.mark.parametrize("name", ["jpeg", "exif_6_big", "png_exif_6", "webp_exif_6", "webp_alpha"])
def test_no_cut_and_no_changed_byte_fails_the_operation(name):
    """A damaged file is either read completely or refused."""
    data, _ = GOOD[name]
    draw = np.random.default_rng(0)
    whole = decode(data)[0]
    for length in draw.integers(0, len(data), 60):
        picture, error = decode(data[:length])
        assert error or (picture == whole).all()
    for _ in range(60):
        changed = bytearray(data)
        for place in draw.integers(0, len(data), 3):
            changed[place] = draw.integers(256)
        picture, error = decode(bytes(changed))
        assert picture.ndim == 3
        assert error == "" or picture.shape == (1, 1, 3)


def test_a_bomb_costs_no_memory_and_the_next_request_works():
    data = bomb(13_000)
    assert 15_000 < len(data) < 25_000
    decode(GOOD["png"][0])
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts anew
    before = megabytes("VmHWM")
    assert "claims 13000x13000" in decode(data)[1]
    assert megabytes("VmHWM") - before < 100
    assert decode(GOOD["png"][0])[1] == ""


# --- signatures -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(stylist, folder of its SavedModel, signatures) by kind. Each is made once."""

    @functools.cache
    def make(kind, memory=2e9):
        generator = make_generator(kind)
        folder = export_saved_model(generator, tmp_path_factory.mktemp("served") / kind, memory=memory)
        loaded = tf.saved_model.load(str(folder))
        make.kept = (*getattr(make, "kept", ()), loaded)
        return Stylist(generator), folder, loaded.signatures

    return make


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data))).reshape(*Image.open(io.BytesIO(data)).size[::-1], -1)


@pytest.mark.parametrize(
    "kind",
    ["rgba", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("content", "content_noise", "gray_pool"))],
)
def test_the_signatures_agree(served, kind):
    stylist, _, signatures = served(kind)
    noisy = stylist.facts.noise_channels > 0
    seed = {"seed": tf.constant([5, 9])} if noisy else {}
    batch = np.stack([pixels(37, 51, stylist.facts.channels, k) for k in range(2)])
    if kind == "rgba":
        batch[..., 3] |= 1  # colours under full transparency become white in files
    whole = signatures["serving_default"](image=tf.constant(batch), **seed)["stylized"].numpy()
    exact = signatures["serving_float"](image=tf.constant(batch / np.float32(255)), **seed)["stylized"].numpy()
    rows = signatures["serving_bytes"](image_bytes=tf.constant([file(one) for one in batch]), **seed)
    noise = np.concatenate([stylist.noise(s, 1, 37, 51) for s in (5, 9)]) if noisy else None
    assert np.abs(exact - stylist(batch / np.float32(255), noise)).max() < 1e-5
    assert whole.dtype == np.uint8
    assert np.abs(whole - exact * 255).max() < 0.51  # half a level of rounding, and 4e-5 of float32
    assert [error.decode() for error in rows["error"].numpy()] == ["", ""]
    for made, expected in zip(rows["stylized_bytes"].numpy(), whole, strict=True):
        assert made.startswith(b"\x89PNG")
        assert np.abs(opened(made).astype(int) - expected).max() <= 1


def test_names_and_types(served):
    pictures = {"image": (None, None, None, 3)}
    for kind, more in (("content", set()), ("content_noise", {"seed"})):
        _, _, signatures = served(kind)
        inputs = {name: function.structured_input_signature[1] for name, function in signatures.items()}
        assert inputs.keys() == {
            "serving_default", "serving_float", "serving_bytes", "statistics", "with_statistics", "tile",
            *(["from_noise"] if more else []),
        }  # fmt: skip
        assert inputs["serving_default"].keys() == {"image"} | more
        assert inputs["serving_default"]["image"].dtype == tf.uint8
        assert inputs["serving_float"]["image"].dtype == tf.float32
        assert inputs["serving_bytes"].keys() == {"image_bytes"} | more
        assert tuple(inputs["serving_float"]["image"].shape) == pictures["image"]
        # Batching and REST's row form want one entry a row in every input.
        assert all(spec.shape[0] is None for specs in inputs.values() for spec in specs.values())


def test_bad_rows_leave_their_neighbours_alone(served):
    _, folder, signatures = served("content")
    model = load(folder)
    good = [GOOD[name][0] for name in ("jpeg", "png_alpha", "webp", "exif_6_little", "one_pixel")]
    mixed = [
        data
        for pair in zip(good, [BAD[k][0] for k in ("bomb", "jpeg_cut", "gif", "animated", "empty")], strict=True)
        for data in pair
    ]
    made = signatures["serving_bytes"](image_bytes=tf.constant(mixed))
    errors, files = made["error"].numpy(), made["stylized_bytes"].numpy()
    assert [bool(error) for error in errors] == [False, True] * 5
    assert [bool(data) for data in files] == [True, False] * 5
    for source, data in zip(good, files[::2], strict=True):
        expected = model(decode(source)[0])
        assert np.abs(opened(data).astype(int) - expected).max() <= 1


def test_many_requests_at_once(served):
    """Each row has the same result as alone, and memory does not grow, although every third row is refused."""
    _, _, signatures = served("content")
    files = [GOOD[name][0] for name in ("jpeg", "png_alpha", "webp_alpha", "exif_6_big", "png_palette", "webp")]
    files += [BAD[name][0] for name in ("jpeg_cut", "webp_cut", "png_wrong")]

    def answers(rows):
        made = signatures["serving_bytes"](image_bytes=tf.constant([files[k] for k in rows]))
        return list(zip(made["stylized_bytes"].numpy(), made["error"].numpy(), strict=True))

    alone = [answers([k])[0] for k in range(len(files))]
    requests = [[(k + 4 * j) % len(files) for j in range(3)] for k in range(100)]
    expected = [[alone[k] for k in rows] for rows in requests]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(answers, requests)) == expected
        before = megabytes("VmRSS")
        assert list(pool.map(answers, requests)) == expected
    assert megabytes("VmRSS") - before < 100


def test_no_rows_are_no_error(served):
    _, _, signatures = served("content")
    made = signatures["serving_bytes"](image_bytes=tf.constant([], tf.string))
    assert made["error"].shape == made["stylized_bytes"].shape == (0,)


def test_a_row_depends_on_its_own_seed_alone(served):
    _, _, signatures = served("content_noise")
    data = GOOD["png"][0]

    def made(*seeds):
        rows = signatures["serving_bytes"](image_bytes=tf.constant([data] * len(seeds)), seed=tf.constant(seeds))
        return list(rows["stylized_bytes"].numpy())

    assert made(3, 4, 3) == [*made(3), *made(4), *made(3)]
    assert made(3) != made(4)


@pytest.mark.long
def test_pictures_beyond_the_cap_come_back_in_their_size(served):
    memory = 4 * floats_of_resnet(8)["tensorflow"] * 60 * 60  # 60 x 60 pixels
    _, folder, signatures = served("content", memory)
    picture = pixels(90, 160)
    too_many = file(np.zeros((200, 200, 3), np.uint8))
    made = signatures["serving_bytes"](image_bytes=tf.constant([file(picture), too_many]))
    result = opened(made["stylized_bytes"].numpy()[0])
    assert result.shape == picture.shape
    model = load(folder)
    statistics = model.statistics(np.array(Image.fromarray(picture).resize((80, 45), Image.Resampling.LANCZOS))[None])
    expected = model.with_statistics(picture[None], statistics)[0]
    assert np.abs(result.astype(int) - expected).mean() < 1  # Pillow rounds between rows and columns
    assert b"claims 200x200 pixels; the limit is 0.0252 megapixels" in made["error"].numpy()[1]


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(30, 40, (30, 40)), (90, 160, (45, 80)), (1, 3600, (1, 225)), (1, 100, (1, 100)), (5000, 2, (225, 1))],
)
def test_affordable_sizes(height, width, expected):
    """3600 pixels with sides of at least 16: 225 x 16 = 3600."""
    assert tuple(map(int, affordable_size(tf.constant(height), tf.constant(width), 3600, 16))) == expected


def test_pictures_from_numbers(served):
    stylist, _, signatures = served("noise")
    numbers = {"seed": tf.constant([3, 8]), "height": tf.constant([21, 21]), "width": tf.constant([34, 34])}
    made = signatures["serving_float"](**numbers)["stylized"]
    expected = stylist(noise=np.concatenate([stylist.noise(seed, 1, 21, 34) for seed in (3, 8)]))
    assert np.abs(made - expected).max() < 1e-5
    assert signatures["serving_default"](**numbers)["stylized"].dtype == tf.uint8
    rows = signatures["serving_bytes"](
        seed=tf.constant([3, 3, 3]), height=tf.constant([21, 0, 10**5]), width=tf.constant([34, 9, 10**5])
    )
    assert [bool(error) for error in rows["error"].numpy()] == [False, True, True]
    assert np.abs(opened(rows["stylized_bytes"].numpy()[0]) - expected[0] * 255).max() <= 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="alike in all rows"):
        signatures["serving_float"](**{**numbers, "width": tf.constant([34, 35])})


@pytest.mark.long
def test_the_servers_loader_runs_it(served, tmp_path):
    """TensorFlow's C++ loader, in a process without TensorFlow's Python."""
    _, folder, _ = served("content")
    graphs = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    signature = graphs[0].signature_def["serving_bytes"]
    tensors = [signature.inputs["image_bytes"].name, *(signature.outputs[k].name for k in ("error", "stylized_bytes"))]
    names = (
        "jpeg",
        "exif_6_big",
        "png_alpha",
        "webp_alpha",
        "jpeg_cut",
        "webp_cut",
        "animated",
        "bomb",
        "gif",
        "empty",
    )
    for name in names:
        (tmp_path / name).write_bytes((GOOD.get(name) or BAD[name])[0])
    library = pathlib.Path(tf.__file__).with_name("libtensorflow_cc.so.2")
    script = pathlib.Path(__file__).parents[1] / "cpp_loader.py"
    command = [sys.executable, script, library, folder, *tensors, *(tmp_path / name for name in names)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    version, *errors = json.loads(ran.stdout)
    assert version == tf.__version__
    for name, error in zip(names, errors, strict=True):
        assert (error == "") if name in GOOD else BAD[name][1].replace("1 megapixels", "62.5 megapixels") in error


@pytest.mark.long
def test_saved_model_cli_runs_it(served):
    """TensorFlow's own tool uses a TensorFlow 1 session, as the server does, in a process without kgan."""
    _, folder, _ = served("content")
    tool = pathlib.Path(sys.executable).with_name("saved_model_cli")
    given = f"image_bytes=[{GOOD['jpeg'][0]!r}, {BAD['jpeg_cut'][0]!r}]"
    command = [tool, "run", "--dir", folder, "--tag_set", "serve", "--signature_def", "serving_bytes"]
    ran = subprocess.run([*command, "--input_exprs", given], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "damaged or truncated" in ran.stdout
    assert "PNG" in ran.stdout
