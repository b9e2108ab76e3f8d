"""Preparation of pictures: the cache, refused pictures, folders, pairs, the sample and TFDS sets."""

import dataclasses
import io
import json
import multiprocessing
import pathlib
import tempfile
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from icc_profiles import P3
from odd_names import odd_name
from PIL import ExifTags, Image, ImageCms

import kgan.data
from kgan.data import builder, normalising, open_pictures, prepared, sources, stores, training_dataset
from kgan.errors import RunError, UserError
from kgan.images.decoding import at_most, decode_picture
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig


def pixels(index, height=24, width=32, channels=3):
    return np.random.default_rng(index).integers(0, 256, (height, width, channels), np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def decoded(store, index, channels=3):
    return decode_picture(io.BytesIO(store.encoded([index])[0]), channels)


@pytest.fixture
def spec(tmp_path):
    return prepared.CacheSpec(cap=512, channels=3, cache=tmp_path / "cache")


@pytest.fixture
def folder(tmp_path):
    for index in range(4):
        save(tmp_path / f"pictures/{'deep/' * (index % 2)}{index}.png", pixels(index))
    return tmp_path / "pictures"


@pytest.fixture
def decodings(monkeypatch):
    """Names of the files whose bytes were read to be decoded."""
    seen = []

    def normalise(job):
        seen.append(pathlib.Path(job.picture).name)
        return normalising.normalise(job)

    monkeypatch.setattr(prepared, "normalise", normalise)
    return seen


def prepare(folder, spec):
    return prepared.prepare(sources.folder_source(folder), spec)


# --- one picture ------------------------------------------------------------------------------------------------------


def normalised(path, cap=512, channels=3):
    return normalising.normalise(normalising.Job(path, cap, channels))


def test_plain_jpeg_keeps_its_bytes(tmp_path):
    path = save(tmp_path / "a.jpg", pixels(0))
    assert normalised(path).encoded == path.read_bytes()
    assert normalised(path, channels=1).encoded == path.read_bytes()


def orientation(value):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    return exif


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"exif": orientation(1)}, True),
        ({"exif": orientation(6)}, False),
        ({"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}, True),
        ({"icc_profile": P3}, False),
    ],
)
def test_jpeg_with_orientation_or_profile_is_encoded_anew(tmp_path, options, kept):
    path = save(tmp_path / "a.jpg", pixels(0), **options)
    encoded = normalised(path).encoded
    assert (encoded == path.read_bytes()) is kept
    assert decode_picture(io.BytesIO(encoded)).shape == decode_picture(path).shape
    assert Image.open(io.BytesIO(encoded)).getexif().get(ExifTags.Base.Orientation, 1) == 1


@pytest.mark.parametrize(
    ("name", "options", "file_format"),
    [
        ("a.png", {}, "PNG"),
        ("a.webp", {"lossless": True}, "PNG"),
        ("a.webp", {"lossless": True, "exif": orientation(1)}, "PNG"),
        ("a.webp", {"quality": 80}, "JPEG"),
    ],
)
def test_lossless_stays_lossless(tmp_path, name, options, file_format):
    path = save(tmp_path / name, pixels(0), **options)
    image = Image.open(io.BytesIO(normalised(path).encoded))
    assert image.format == file_format
    if file_format == "PNG":
        assert np.array_equal(np.asarray(image), pixels(0))


def test_lossless_after_a_long_profile(tmp_path):
    path = save(tmp_path / "a.webp", pixels(0), lossless=True, icc_profile=P3 + bytes(9999))
    assert Image.open(io.BytesIO(normalised(path).encoded)).format == "PNG"


def test_animations_are_told_of_in_one_line(folder, spec, capsys):
    """Animations are reported each time. A still GIF is not reported."""
    Image.fromarray(pixels(7)).save(folder / "still.gif")
    frames = [Image.new("RGB", (32, 24), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "b.webp", "c.png"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    line = "a.gif and 2 more: animated: only the first frame is used"
    for _ in range(2):
        store = prepare(folder, spec)
        assert capsys.readouterr().err.splitlines()[-1] == f"kgan: {folder}: {line}"
    assert np.abs(decoded(store, store.names.index("b.webp"))[0, 0].astype(int) - [255, 0, 0]).max() <= 2
    save(folder / "new.png", pixels(8))
    assert "still.gif" in prepare(folder, spec).names  # partly from the former set
    assert capsys.readouterr().err.splitlines()[-1] == f"kgan: {folder}: {line}"


def test_a_picture_too_large_is_tried_again_under_another_limit(folder, spec, capsys):
    with at_most(0.0001):
        assert len(prepare(save(folder / "small" / "s.png", pixels(0, 8, 8)).parents[1], spec)) == 1
        assert "4 of 5 pictures cannot be used" in capsys.readouterr().err
    assert len(prepare(folder, spec)) == 5


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_large_pictures_are_made_smaller(tmp_path, name):
    path = save(tmp_path / name, np.full((300, 700, 3), 120, np.uint8))
    image = Image.open(io.BytesIO(normalised(path, cap=100).encoded))
    assert image.size == (233, 100)
    assert abs(int(np.asarray(image).mean()) - 120) <= 1


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_channels_of_the_prepared_picture(tmp_path, channels, mode):
    path = save(tmp_path / "a.png", pixels(0, channels=4))
    assert Image.open(io.BytesIO(normalised(path, channels=channels).encoded)).mode == mode


def test_unusable_picture_gives_its_reason(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"words")
    assert normalised(path)[:2] == (None, "not a JPEG, PNG, WebP or GIF picture; replace or remove it")
    assert "No such file" in normalised(tmp_path / "none.jpg").reason


# --- a folder ---------------------------------------------------------------------------------------------------------


def test_store_holds_every_picture_in_order(folder, spec):
    store = prepare(folder, spec)
    assert store.names == ["0.png", "2.png", "deep/1.png", "deep/3.png"]
    for index, source in enumerate([0, 2, 1, 3]):
        assert np.array_equal(decoded(store, index), pixels(source))
    both = store.subset([3, 0])
    assert (len(both), both.names) == (2, ["deep/3.png", "0.png"])
    assert both.encoded([1, 0, 1]) == store.encoded([0, 3, 0])


def test_it_is_an_ordinary_tfds_set(folder, spec):
    source = sources.folder_source(folder)
    prepared.prepare(source, spec)
    (home,) = (path.parent for path in spec.cache.rglob("dataset_info.json"))
    examples = list(tfds.builder_from_directory(home).as_data_source("train"))
    assert [example["name"] for example in examples] == [b"0.png", b"2.png", b"deep/1.png", b"deep/3.png"]
    assert np.array_equal(examples[2]["picture"], pixels(1))


def test_nothing_stays_in_the_folder_for_temporary_files(folder, spec, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert len(prepare(folder, spec)) == 4
    assert list((tmp_path / "temporary").iterdir()) == []


def test_unchanged_files_are_not_decoded_again(folder, spec, decodings):
    prepare(folder, spec)
    assert sorted(decodings) == ["0.png", "1.png", "2.png", "3.png"]
    decodings.clear()
    prepare(folder, spec)
    assert decodings == []
    save(folder / "2.png", pixels(20, 40, 40))  # changed
    save(folder / "deep/0.png", pixels(30))  # new
    (folder / "deep/3.png").unlink()  # gone
    (folder / "bad.png").write_bytes(b"words")
    store = prepare(folder, spec)
    assert sorted(decodings) == ["0.png", "2.png", "bad.png"]
    assert store.names == ["0.png", "2.png", "deep/0.png", "deep/1.png"]
    for index, source in enumerate([pixels(0), pixels(20, 40, 40), pixels(30), pixels(1)]):
        assert np.array_equal(decoded(store, index), source)
    assert len(list(spec.cache.rglob("dataset_info.json"))) == 1
    decodings.clear()
    save(folder / "deep/4.png", pixels(4))
    prepare(folder, spec)
    assert decodings == ["4.png"]  # nor are bad ones


def test_open_store_outlives_its_replacement(folder, spec):
    old = prepare(folder, spec)
    save(folder / "2.png", pixels(20, 40, 40))
    prepare(folder, spec)
    assert np.array_equal(decoded(old, 1), pixels(2))


def test_size_and_channels_are_part_of_the_cache(folder, spec):
    assert decoded(prepare(folder, spec), 0).shape == (24, 32, 3)
    small = prepared.CacheSpec(cap=12, channels=1, cache=spec.cache)
    assert decoded(prepare(folder, small), 0, 1).shape == (12, 16, 1)


def test_bad_pictures_are_left_out_with_one_line(folder, spec, capsys):
    (folder / "1.jpg").write_bytes(b"words")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    for _ in range(2):  # said again when nothing is decoded
        assert len(prepare(folder, spec)) == 4
        lines = [line for line in capsys.readouterr().err.splitlines() if "cannot be used" in line]
        assert len(lines) == 1
        assert "2 of 6 pictures" in lines[0]
        assert "1.jpg: not a JPEG" in lines[0]
        assert f"kgan.check('{folder}')" in lines[0]


def test_no_good_picture(tmp_path, spec):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/1.jpg").write_bytes(b"words")
    with pytest.raises(UserError, match=r"its only picture cannot be used: .*1\.jpg: not a JPEG"):
        prepare(tmp_path / "bad", spec)
    assert not list(spec.cache.rglob("*.json"))


def test_cache_that_cannot_be_written(folder, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(RunError, match=r"cache .*file: Not a directory"):
        prepare(folder, prepared.CacheSpec(512, 3, tmp_path / "file"))


def test_interrupted_preparation_leaves_nothing_to_be_used(folder, spec, monkeypatch):
    def interrupted(job):
        if job.picture.name == "3.png":
            raise KeyboardInterrupt
        return normalising.normalise(job)

    with monkeypatch.context() as patch:
        patch.setattr(prepared, "normalise", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(folder, spec)
    assert not list(spec.cache.rglob("*.json"))
    assert len(prepare(folder, spec)) == 4


@pytest.mark.parametrize("error", [RunError("a worker died"), OSError(28, "No space left on device")])
def test_failure_while_writing_is_one_clear_line(folder, spec, monkeypatch, error):
    def failing(job):
        if job.picture.name == "3.png":
            raise error
        return normalising.normalise(job)

    monkeypatch.setattr(prepared, "normalise", failing)
    with pytest.raises(RunError, match=r"a worker died|cache .*No space left") as caught:
        prepare(folder, spec)
    assert "\n" not in str(caught.value)
    assert not list(spec.cache.rglob("*.json"))


def test_remains_of_a_killed_process_are_ignored(folder, spec):
    store = prepare(folder, spec)
    (home,) = (path.parent for path in spec.cache.rglob("dataset_info.json"))
    remains = home.with_name("0123456789abcdef.partial")
    home.rename(remains)
    (remains / stores.INDEX).unlink()
    again = prepare(folder, spec)
    assert again.encoded(range(4)) == store.encoded(range(4))
    assert not remains.exists()


def _prepare_and_count(folder, cache, queue):
    queue.put(len(prepare(folder, prepared.CacheSpec(512, 3, cache))))


@pytest.mark.long
def test_two_processes_at_once(folder, spec):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=_prepare_and_count, args=(folder, spec.cache, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert [queue.get(timeout=120) for _ in workers] == [4, 4]
    for worker in workers:
        worker.join()
    assert len(list(spec.cache.rglob("dataset_info.json"))) == 1


def test_several_shards_read_as_one(tmp_path):
    def write(first, count):
        pictures = ((f"{index}.png", b"%d" % index) for index in range(first, first + count))
        home = builder.write(pictures, count, 3, tmp_path / f"part{first}")
        return next(home.glob("*.array_record*"))

    shards = [write(0, 3), write(3, 1), write(4, 6)]
    files = [stores.File(f"{index}.png", 0, 0) for index in range(10)]
    store = stores.Store(stores._Records(shards), files, np.arange(10))
    assert store.encoded([9, 0, 3, 2, 4]) == [b"9", b"0", b"3", b"2", b"4"]


def test_order_survives_tfds_buckets(tmp_path, monkeypatch):
    """TFDS uses many files above a gigabyte. In this test, it does so above 100 bytes."""
    monkeypatch.setattr(tfds.core.shuffle, "MAX_MEM_BUFFER_SIZE", 100)
    names = [f"{index}.png" for index in range(300)]
    home = builder.write(((name, name.encode() * 10) for name in names), len(names), 3, tmp_path / "set")
    (home / stores.INDEX).write_text(
        json.dumps({"files": [(name, 0, 0) for name in names], "bad": []}), encoding="utf-8"
    )
    store = stores.Store.open(home)
    assert store.encoded(range(300)) == [name.encode() * 10 for name in names]


# --- what a recipe gets -----------------------------------------------------------------------------------------------


def config(tmp_path, recipe="cyclegan", **settings):
    return TrainConfig(cache=str(tmp_path / "cache"), recipe=recipe, size=32, **settings)


def test_a_single_picture_is_a_set_of_one(tmp_path):
    one, other = save(tmp_path / "a" / "photo.png", pixels(1)), save(tmp_path / "painting.png", pixels(2))
    save(tmp_path / "a" / "neighbour.png", pixels(3))
    pictures = open_pictures(config(tmp_path, content=str(one), style=str(other)))
    assert (pictures.content.names, pictures.style.names) == (["picture.png"], ["picture.png"])
    assert not pictures.paired
    # Of two single pictures it is plain what belongs together.
    assert open_pictures(config(tmp_path, "paired", content=str(one), style=str(other))).paired
    np.testing.assert_array_equal(decoded(pictures.content, 0), pixels(1))
    np.testing.assert_array_equal(decoded(pictures.style, 0), pixels(2))


@pytest.fixture
def root(tmp_path):
    """trainA and trainB share 1 and 2 (of other suffixes); testA and testB share both."""
    for name in ("trainA/0.png", "trainA/1.png", "trainA/d/2.png", "testA/8.png", "testA/9.png"):
        save(tmp_path / "root" / name, pixels(len(name)))
    for name in ("trainB/d/2.webp", "trainB/1.jpg", "trainB/7.png", "testB/9.png", "testB/8.webp", "testB/7.png"):
        save(tmp_path / "root" / name, pixels(len(name)))
    return tmp_path / "root"


def test_a_folder_has_one_home_from_wherever_it_is_named(root, tmp_path, monkeypatch):
    spec = prepared.CacheSpec(512, 3, tmp_path)
    home = spec.folder(sources.folder_source(root / "trainA"))
    monkeypatch.chdir(root / "trainA" / "d")
    assert spec.folder(sources.folder_source("..")).name.split("-")[-1] == home.name.split("-")[-1]
    monkeypatch.chdir(root)
    assert spec.folder(sources.folder_source("trainA")) == home
    assert home.name.startswith("trainA-")


def test_root_unpaired(root, tmp_path):
    pictures = open_pictures(config(tmp_path, data=str(root)))
    assert pictures.content.names == ["0.png", "1.png", "d/2.png"]
    assert pictures.style.names == ["1.jpg", "7.png", "d/2.webp"]
    assert pictures.test_content.names == ["8.png", "9.png"]
    assert pictures.test_truth.names == ["8.webp", "9.png"]
    assert pictures.paired is False


def test_root_paired(root, tmp_path, capsys):
    pictures = open_pictures(config(tmp_path, "paired", data=str(root)))
    assert pictures.content.names == ["1.png", "d/2.png"]
    assert pictures.style.names == ["1.jpg", "d/2.webp"]
    assert pictures.paired is True
    assert "2 pairs; 2 pictures without a counterpart are left out" in capsys.readouterr().err


def test_truth_needs_every_test_picture(root, tmp_path):
    (root / "testB/9.png").unlink()
    assert open_pictures(config(tmp_path, data=str(root))).test_truth is None


def test_style_recipe_opens_the_style_alone(root, tmp_path):
    pictures = open_pictures(config(tmp_path, "synthesis", data=str(root)))
    assert pictures.content is pictures.test_content is pictures.test_truth is None
    assert len(pictures.style) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "style is missing"),
        ({"content": "a"}, "style is missing"),
        ({"style": "a"}, "content is missing"),
        ({"content": "a", "data": "b"}, "data names both kinds of pictures"),
        ({"data": "none"}, "data none: no such folder"),
        ({"content": "none", "style": "none"}, "none: no such folder"),
        ({"data": "tfds:no_such_set_at_all"}, "tfds:no_such_set_at_all: no such set"),
    ],
)
def test_flags(tmp_path, monkeypatch, settings, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        open_pictures(config(tmp_path, **settings))
    assert "\n" not in str(caught.value)


def test_root_without_train_folders(tmp_path):
    save(tmp_path / "root/trainB/0.png", pixels(0))
    with pytest.raises(UserError, match=r"should hold trainA .* Received: no trainA"):
        open_pictures(config(tmp_path, data=str(tmp_path / "root")))


def test_paired_recipe_without_pairs(tmp_path):
    save(tmp_path / "a/x.png", pixels(0))
    save(tmp_path / "b/y.png", pixels(0))
    with pytest.raises(UserError, match=r"equal file names.*x\.png and y\.png"):
        open_pictures(config(tmp_path, "paired", content=str(tmp_path / "a"), style=str(tmp_path / "b")))


def shaped(path, height, width, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)).save(path, **options)


def paired(tmp_path):
    pictures = open_pictures(config(tmp_path, "paired", content=str(tmp_path / "a"), style=str(tmp_path / "b")))
    return list(zip(pictures.content.names, pictures.style.names, strict=True))


def test_pairs_of_another_shape_are_named_and_left_out(tmp_path, capsys):
    turned = Image.Exif()
    turned[0x0112] = 6  # shown, it is 40 high
    for name, one, other in (
        ("cut.png", (64, 96), (64, 64)),
        ("turned.png", (40, 60), (60, 40)),
        ("half.png", (40, 60), (20, 30)),
        ("near.png", (100, 100), (102, 100)),
    ):
        shaped(tmp_path / "a" / name, *one)
        shaped(tmp_path / "b" / name, *other)
    shaped(tmp_path / "a/exif.jpg", 60, 40, exif=turned)
    shaped(tmp_path / "b/exif.jpg", 40, 60)
    assert [name for name, _ in paired(tmp_path)] == ["exif.jpg", "half.png", "near.png"]
    said = "2 pairs of unequal shape are left out: cut.png (96x64 and 64x64), turned.png (60x40 and 40x60)"
    assert said in capsys.readouterr().err
    for name in ("exif.jpg", "half.png", "near.png"):
        (tmp_path / "a" / name).unlink()
    with pytest.raises(
        UserError, match=r"should have the same shape, up to 2%\. Received: cut\.png \(96x64 and 64x64\)"
    ):
        paired(tmp_path)


def test_names_to_the_letter_come_first_and_unsure_ones_are_named(tmp_path, capsys):
    for name in ("a/a.jpg", "a/a.png", "b/a.png", "a/c.jpg", "b/c.png", "b/c.webp", "a/d.png", "b/d.jpg"):
        shaped(tmp_path / name, 20, 20)
    assert paired(tmp_path) == [("a.png", "a.png"), ("d.png", "d.jpg")]
    said = capsys.readouterr().err
    assert "several files could be the counterpart: c" in said
    assert "2 pairs; 4 pictures without a counterpart are left out" in said


def test_pairs_at_other_resolutions_show_the_same_place(tmp_path):
    """Crops of a ramp and of the same ramp at half its size are equal up to rounding."""
    ramp = np.stack(np.meshgrid(np.linspace(0, 255, 240), np.linspace(0, 255, 180)), -1)
    whole = Image.fromarray(np.dstack([ramp, ramp[..., :1]]).astype(np.uint8))
    for folder, size in (("a", (240, 180)), ("b", (120, 90))):
        (tmp_path / folder).mkdir()
        whole.resize(size, Image.Resampling.BOX).save(tmp_path / folder / "x.png")
    given = recipes.resolve(
        config(tmp_path, "paired", content=str(tmp_path / "a"), style=str(tmp_path / "b"), min_crop=0.3, batch_size=8)
    )
    batch = next(iter(training_dataset(open_pictures(given), given)))
    difference = np.abs(batch["content"].numpy() - batch["style"].numpy())
    assert difference.mean() < 0.02  # of a range of 2: a shift by one pixel of the small one is 0.02
    assert batch["content"].numpy().std() > 0.1


def test_a_pair_of_tests_without_equal_shapes(tmp_path, capsys):
    for part in ("trainA", "trainB", "testA", "testB"):
        for name in ("1.png", "2.png"):
            shaped(tmp_path / "root" / part / name, 20, 30 if (part, name) != ("testB", "2.png") else 20)
    found = open_pictures(config(tmp_path, "paired", data=str(tmp_path / "root")))
    assert found.test_content.names == found.test_truth.names == ["1.png"]
    found = open_pictures(config(tmp_path, data=str(tmp_path / "root")))
    assert (found.test_content.names, found.test_truth) == (["1.png", "2.png"], None)
    assert capsys.readouterr().err.count("2.png (30x20 and 20x20)") == 2


def test_what_kgan_wrote_below_the_pictures_is_not_trained_on(tmp_path):
    """The cache is inside the folder of the pictures, as a run may be."""
    shaped(tmp_path / "a/x.png", 20, 20)
    shaped(tmp_path / "a/run/samples/0.png", 20, 20)
    config(tmp_path, content="a").save(tmp_path / "a/run/config.json")
    shaped(tmp_path / "a/cache/y.png", 20, 20)
    given = TrainConfig(
        content=str(tmp_path / "a"), style=str(tmp_path / "a"), cache=str(tmp_path / "a/cache"), size=32, recipe="cut"
    )
    assert open_pictures(given).content.names == ["x.png"]
    shaped(tmp_path / "a/other/z.png", 20, 20)
    made = dataclasses.replace(given, cache=str(tmp_path / "a/new"))
    assert open_pictures(made).content.names == ["cache/y.png", "other/z.png", "x.png"]
    assert (tmp_path / "a/new/CACHEDIR.TAG").read_text(encoding="utf-8").startswith("Signature: 8a477f597d28d172789")


def test_names_that_are_no_utf8_come_through(tmp_path, spec, capsys):
    """Such names are stored in the cache and its index, and are printed escaped."""
    shaped(tmp_path / "set/a.png", 20, 20)
    odd = odd_name(tmp_path / "set")
    odd_name(tmp_path / "set", b"b\xff\n.png").write_bytes(b"x")
    for _ in range(2):
        store = prepared.prepare(sources.folder_source(tmp_path / "set"), spec)
        assert store.names == ["a.png", odd.name]
        assert r"the first: b\xff\n.png: not a" in capsys.readouterr().err
    assert len(store.encoded([0, 1])) == 2
    (home,) = spec.cache.glob("*/*/**/dataset_info.json")
    assert [row["name"] for row in tfds.builder_from_directory(home.parent).as_data_source("train")] == [
        b"a.png",
        rb"caf\xe9.png",
    ]


# --- TFDS sets --------------------------------------------------------------------------------------------------------


def test_prepared_tfds_folder(folder, spec, tmp_path):
    """A set that kgan prepared is a TFDS set. Reading it gives the same pictures and names."""
    original = prepare(folder, spec)
    (home,) = (path.parent for path in spec.cache.rglob("dataset_info.json"))
    pictures = open_pictures(config(tmp_path / "other", "paired", content=f"tfds:{home}", style=f"tfds:{home}"))
    assert sorted(pictures.content.names) == sorted(original.names)
    order = [pictures.content.names.index(name) for name in original.names]
    assert pictures.content.encoded(order) == original.encoded(range(4))


class Shapes(tfds.core.GeneratorBasedBuilder):
    """A set as in the catalog: TFRecord, four splits, no names."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {"label": tfds.features.ClassLabel(num_classes=2), "image": tfds.features.Image(shape=(24, 32, 3))}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {name: self._generate_examples(seed) for seed, name in enumerate(("trainA", "trainB", "testA"))}

    def _generate_examples(self, seed):
        for index in range(4):
            yield index, {"image": pixels(10 * seed + index), "label": 0}


def test_tfds_set_by_name(tmp_path, monkeypatch):
    data = tmp_path / "tfds"
    Shapes(data_dir=data).download_and_prepare()
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(data))
    pictures = open_pictures(config(tmp_path, data="tfds:shapes"))
    found = {decoded(pictures.style, index).tobytes() for index in range(4)}
    assert found == {pixels(10 + index).tobytes() for index in range(4)}
    assert (len(pictures.content), len(pictures.test_content), pictures.test_truth) == (4, 4, None)
    with pytest.raises(UserError, match=r"should have a split train\. Received: trainA, trainB, testA"):
        open_pictures(config(tmp_path, content="tfds:shapes", style="tfds:shapes"))
    with pytest.raises(UserError, match="equal file names"):
        open_pictures(config(tmp_path, "paired", data="tfds:shapes"))


# --- the sample -------------------------------------------------------------------------------------------------------


def glyphs(store):
    return {pathlib.PurePath(name).stem for name in store.names}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    cache = tmp_path_factory.mktemp("sample")
    return {name: open_pictures(config(cache, name, data="sample")) for name in recipes.RECIPES}


def test_unpaired_recipes_never_see_a_pair(sample):
    for name, pictures in sample.items():
        if recipes.RECIPES[name].pictures == "unpaired":
            assert len(pictures.content) > 300
            assert len(pictures.style) > 300
            assert not glyphs(pictures.content) & glyphs(pictures.style)


def test_paired_recipe_gets_all_pairs(sample):
    pictures = sample["paired"]
    assert pictures.content.names == pictures.style.names
    assert len(pictures.content) == len(sample["cyclegan"].content) + len(sample["cyclegan"].style)


def test_test_pairs_are_other_glyphs_and_match(sample):
    for pictures in (sample["paired"], sample["cyclegan"]):
        assert pictures.test_content.names == pictures.test_truth.names
        assert 45 <= len(pictures.test_content) <= 60
        assert not glyphs(pictures.test_content) & (glyphs(pictures.content) | glyphs(pictures.style))
    flat, truth = (decoded(store, 0).astype(float) for store in (pictures.test_content, pictures.test_truth))
    assert 0 < np.abs(flat - truth).mean() < 60


def test_sample_is_small_licensed_and_whole():
    folder = pathlib.Path(kgan.data.__file__).parent
    assert (folder / "sample.zip").stat().st_size <= 4_000_000
    assert "MIT License" in (folder / "sample.NOTICE").read_text(encoding="utf-8")
    with zipfile.ZipFile(folder / "sample.zip") as archive:
        assert archive.testzip() is None
        assert {decode_picture(archive.open(name)).shape for name in archive.namelist()[::50]} == {(128, 128, 3)}
