"""The shift error of functions whose error is known."""

import numpy as np
import pytest

from kgan.evaluation.measure import measured
from kgan.metrics.shifts import MULTIPLE, SHIFTS, shift_error, shifted_crops

CONTENT = np.random.default_rng(0).random((83, 70, 3)).astype("float32")


def error(restyle, content=CONTENT):
    return shift_error([restyle(crop) for crop in shifted_crops(content)])


@pytest.mark.parametrize("shape", [(83, 70, 3), (11, 11, 1), (64, 300, 4)], ids=str)
def test_crops_have_one_size_and_begin_at_the_shifts(shape):
    content = np.random.default_rng(1).random(shape)
    crops = shifted_crops(content)
    assert {crop.shape for crop in crops} == {crops[0].shape}
    assert all(side % MULTIPLE == 0 and side > 0 for side in crops[0].shape[:2])
    for crop, start in zip(crops, (0, *SHIFTS), strict=True):
        np.testing.assert_array_equal(crop, content[start:, start:][: len(crop), : crop.shape[1]])


@pytest.mark.parametrize("restyle", [lambda x: x, lambda x: 1 - x, lambda x: x[..., ::-1] ** 2])
def test_functions_of_each_pixel_have_none(restyle):
    assert error(restyle) == 0.0
    assert error(lambda x: (restyle(x) * 255).astype("uint8")) == 0.0


def test_a_light_that_differs_by_picture_counts_with_its_square():
    level = iter([0.0, 0.1, 0.2, 0.2])
    assert error(lambda x: np.full_like(x, next(level))) == pytest.approx((0.01 + 0.04 + 0.04) / 3, rel=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("period", "expected"), [(2, 2 / 3 * 0.25), (4, 0.125)])
def test_a_grid_that_stays_with_the_frame_has_a_known_error(axis, period, expected):
    """Of every `period` lines, one is white: two grids differ in 2 of them, and agree if the shift is a period."""

    def grid(x):
        lines = (np.arange(x.shape[axis]) % period == 0).astype("float32") * 0.5
        return np.zeros_like(x) + (lines[:, None, None] if axis == 0 else lines[None, :, None])

    # Of period 2, shifts by 1 and 3 differ everywhere: 0.25. Of period 4, all differ in half of the lines: 0.125.
    content = np.zeros((91, 91, 3), np.float32)
    assert error(grid, content) == pytest.approx(expected, rel=0.04)


def test_the_frame_at_the_border_does_not_count():
    def framed(x):
        made = np.ones_like(x)
        made[5:-5, 5:-5] = 0
        return made

    assert error(framed, np.zeros((91, 91, 3))) == 0.0


def test_a_picture_is_measured_with_its_model_alone():
    content = (CONTENT * 255).astype("uint8")
    with_model = measured(content, content, None, "", lambda x: x)
    assert with_model["shift_error"] == 0.0
    assert "shift_error" not in measured(content, content, None, "")
    assert "shift_error" not in measured(content, None, None, "", lambda x: x)


def test_differences_to_the_content_are_left_out():
    from kgan.evaluation.score import Gathered, Shot

    gathered = Gathered()
    for number in (0.002, 0.004):
        numbers = {"model": {"shift_error": number, "haloes": 1.0}, "identity": {"shift_error": 0.0, "haloes": 0.5}}
        gathered.add(Shot("", {}, {**numbers, "baseline": {"shift_error": 0.001, "haloes": 0.5}}))
    assert set(gathered.gains("identity", 0)) == {"haloes"}
    assert gathered.gains("baseline", 0)["shift_error"]["value"] == pytest.approx(0.002)
