"""The average over shifted copies, on functions that sample a picture on a grid as strided layers do."""

import math

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.film.frames import Frame
from kgan.film.painting import Painter, Pass
from kgan.images.pictures import Writing
from kgan.inference.model import Model
from kgan.inference.steady import averaged, offsets
from kgan.inference.stylist import Facts
from kgan.inference.stylize import Finish, Job, Restyler

RANDOM = np.random.default_rng(0)


def coarse(pictures, stride=4):
    """Each pixel gets the value of its cell's first one: aliasing by a stride."""
    rows, columns = (np.arange(side) // stride * stride for side in pictures.shape[1:3])
    return pictures[:, rows][:, :, columns]


def shift_error(count, down, right):
    """How much the result changes when the content moves by some pixels."""
    content = RANDOM.random((1, 44, 44, 1))
    first, second = (
        averaged(coarse, content[:, d : d + 40, r : r + 40], offsets(count, 4)) for d, r in ((0, 0), (down, right))
    )
    return np.mean((first[:, 8 + down : 32 + down, 8 + right : 32 + right] - second[:, 8:32, 8:32]) ** 2)


@pytest.mark.parametrize("move", [(1, 1), (2, 2), (0, 1), (1, 0), (0, 2), (2, 0), (3, 1)], ids=str)
def test_all_shifts_of_a_grid_cancel_its_aliasing(move):
    errors = [shift_error(count, *move) for count in (1, 4, 16)]
    assert errors[1] < errors[0] / 2.5
    assert errors[2] < 1e-20


def test_an_average_by_hand():
    row = np.array([8, 1, 2, 5, 7, 6], np.uint8).reshape(1, 1, 6, 1)
    # coarse: 8 8 2 2 7 7. Moved by one, 1 8 1 2 5 7 becomes 1 1 1 1 5 5, and back 1 1 1 5 5.
    made = averaged(lambda pictures: coarse(pictures, 2), row, [(0, 0), (0, 1)])
    assert made.ravel().tolist() == [4, 4, 2, 4, 6, 7]  # 4.5, 4.5, 1.5 and 3.5 round to even
    assert made.dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.float16])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (40, 41)])
def test_the_identity_stays_one_for_any_size_and_dtype(size, dtype):
    pictures = (RANDOM.random((2, *size, 3)) * (255 if dtype == np.uint8 else 1)).astype(dtype)
    made = averaged(lambda copies: copies, pictures, offsets(16, 4))
    assert made.dtype == dtype
    np.testing.assert_allclose(made, pictures, rtol=1e-6)


def test_white_stays_white_in_the_most_copies_there_are():
    white = np.full((1, 3, 5, 1), 255, np.uint8)
    assert (averaged(lambda copies: copies, white, offsets(256, 16)) == 255).all()


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_offsets_differ_and_four_use_each_row_and_column_of_a_stride_of_four(stride):
    for count in range(1, stride**2 + 1):
        points = offsets(count, stride)
        assert points[0] == (0, 0)
        assert len({*points}) == count
        assert all(0 <= place < stride for point in points for place in point)
    assert [sorted(places) for places in zip(*offsets(4, 4), strict=True)] == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize("count", [0, -1, 17, 2.5])
def test_counts_that_no_grid_has(count):
    with pytest.raises(UserError, match="from 1 to 16"):
        offsets(count, 4)


@pytest.fixture
def model():
    """A model that aliases, and counts its calls."""

    def run(inputs):
        made.calls += 1
        return coarse(inputs["image"])

    made = Model("coarse", run, Facts(3, 0, True))
    made.calls = 0
    return made


def test_a_model_averages_as_asked(model):
    picture = RANDOM.integers(0, 256, (21, 30, 3), np.uint8)
    np.testing.assert_array_equal(model(picture), coarse(picture[None])[0])
    np.testing.assert_array_equal(model(picture, steady=1), coarse(picture[None])[0])
    assert model.calls == 2
    made = model(picture, steady=4)
    assert model.calls == 6
    np.testing.assert_array_equal(made, averaged(coarse, picture[None], offsets(4, 4))[0])


def test_frames_too(model):
    pixels = RANDOM.integers(0, 256, (24, 32, 3), np.uint8)
    (made,) = Painter(model, Pass(1), steady=2).paint([Frame(pixels, 0, 0)])
    np.testing.assert_array_equal(made, model(pixels, steady=2))


def test_estimates_count_the_copies(model, tmp_path):
    job = Job(tmp_path / "a.png", (tmp_path / "b.png",))
    job.__dict__["size"] = (20, 30)
    once, four = (
        Restyler(model, 0, 1.0, math.inf, False, Finish(), Writing(), 600, steady).effort(job) for steady in (1, 4)
    )
    assert (once, four) == (600, 2400)


@pytest.mark.parametrize("memory", [0, -1, math.nan])
def test_memory_of_nothing_is_refused(memory):
    model = Model("identity", lambda inputs: inputs["image"], Facts(3, 0, True))
    with pytest.raises(UserError, match="memory should be above 0"):
        model(np.zeros((4, 4, 3), np.uint8), memory=memory)


def test_pictures_of_several_sizes_in_a_list_are_refused():
    model = Model("identity", lambda inputs: inputs["image"], Facts(3, 0, True))
    with pytest.raises(UserError, match="one size"):
        model([np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)])
