"""Frames in a network, several at a time, with statistics along the film."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
import small_films
import small_models

from kgan.errors import UserError
from kgan.film.frames import Frame
from kgan.film.painting import DECODED, OPENED, Painter, Pass, fitting
from kgan.inference.loading import of_generator

SIZE = (40, 48)


def frames_of(pictures):
    return [Frame(pixels, Fraction(k, 25), Fraction(1, 25)) for k, pixels in enumerate(pictures)]


def model_of(kind):
    return of_generator(small_models.make_generator(kind), "normal", 2.0)


@pytest.fixture(scope="module")
def model():
    return model_of("content")


def test_what_enters_at_a_side_does_not_change_the_other_side(model):
    pictures = np.repeat(small_films.moving(1, (40, 160)), 2, axis=0)
    pictures[1, 10:20, :8] = 255
    shared = Painter(model, Pass(2)).paint(frames_of(pictures)).astype(int)
    own = model(pictures).astype(int)
    assert np.abs(shared[0] - own[0]).max() <= 1
    assert np.abs(own[1] - own[0])[:, -40:].max() > 1
    assert np.array_equal(shared[0, :, -40:], shared[1, :, -40:])
    assert not np.array_equal(shared[0, :, :20], shared[1, :, :20])


def test_a_painter_goes_on_from_a_state(model):
    frames = frames_of(small_films.moving(24, SIZE))
    one = Painter(model, Pass(4))
    whole = [one.paint(frames[k : k + 4]) for k in range(0, 24, 4)]
    before, after = Painter(model, Pass(4)), Painter(model, Pass(4))
    for k in range(0, 12, 4):
        before.paint(frames[k : k + 4])
    after.state = before.state
    assert all(np.array_equal(after.paint(frames[k : k + 4]), whole[k // 4]) for k in range(12, 24, 4))


def test_noise_does_not_flicker():
    model = model_of("content_noise")
    each = fitting(model, SIZE, 1e9)
    painter, frame = Painter(model, each, seed=3), small_films.moving(1, SIZE)
    made = [painter.paint(frames_of(frame)) for _ in range(3)]
    assert each.frames == 1
    assert np.array_equal(made[0], made[1])
    assert np.array_equal(made[0], made[2])


@pytest.mark.parametrize("kind", ["content", "without tiles"])
def test_frames_that_do_not_fit(model, kind):
    model = model if kind == "content" else small_films.identity()
    need, beside = math.prod(SIZE) * (model.bytes_per_pixel + OPENED), math.prod(SIZE) * (DECODED + 50)
    assert fitting(model, SIZE, 3.5 * need + beside, encoded=50) == Pass(3)
    each = fitting(model, SIZE, 0.9 * need + beside, encoded=50)
    assert (each.tiles is not None, each.scale < 1) == ((True, False) if kind == "content" else (False, True))
    made = Painter(model, each).paint(frames_of(small_films.moving(1, SIZE)))
    assert made.shape == (1, *SIZE, 3)


def test_xla_gets_full_batches_and_restyles_as_without_it(model):
    frames = frames_of(small_films.moving(5, SIZE))
    plain, compiled = Painter(model, Pass(4)), Painter(model, Pass(4), jit=True)
    for k in (0, 4):
        made, expected = (painter.paint(frames[k : k + 4]).astype(int) for painter in (compiled, plain))
        assert made.shape == expected.shape
        assert np.abs(made - expected).max() <= 1  # a value near the middle of two levels may round to the other one


@pytest.mark.parametrize("kind", ["content", "without tiles"])
def test_the_memory_that_is_asked_for_is_enough(model, kind):
    model, large = model if kind == "content" else small_films.identity(), (4320, 7680)
    with pytest.raises(UserError, match=r"frames of 7680x4320 need at least [0-9.]+ GB of memory") as refused:
        fitting(model, large, 1e9, encoded=48)
    need = float(re.search(r"at least ([0-9.]+) GB", str(refused.value)).group(1))
    assert fitting(model, large, need * 1e9, encoded=48).frames == 1
    with pytest.raises(UserError, match="need at least"):
        fitting(model, large, (need - 0.1) * 1e9, encoded=48)
