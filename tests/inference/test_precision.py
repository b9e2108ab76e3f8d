"""Trained networks in 16 bits."""

import numpy as np
import pytest
import small_models

import kgan
from kgan.errors import UserError
from kgan.inference.loading import of_generator

DIGITS = {"bfloat16": 8, "float16": 11}
"""Binary digits of the significand."""


@pytest.mark.parametrize("precision", DIGITS)
def test_the_result_differs_by_roundings(precision):
    generator = small_models.make_generator("content")
    picture = np.random.default_rng(0).random((1, 48, 64, 3), np.float32)
    exact, made = (of_generator(generator, "normal", 2.0, precision=each)(picture) for each in ("float32", precision))
    rounding = 2.0 ** -DIGITS[precision]
    # Some roundings in a row, of values that norms keep near 1, add up like the root of their number
    assert 0.01 * rounding < np.sqrt(np.mean((made - exact) ** 2)) < 10 * rounding
    assert made.dtype == np.float32


def test_bfloat16_keeps_the_types_of_pictures_and_little_else_changes():
    picture = np.random.default_rng(0).integers(0, 256, (40, 52, 3), np.uint8)
    made = kgan.load("vangogh-mobile", precision="bfloat16")(picture).astype(int)
    exact = kgan.load("vangogh-mobile")(picture).astype(int)
    assert 0 < np.abs(made - exact).mean() < 2


@pytest.mark.parametrize(("model", "precision", "said"), [
    ("saved_models/vangogh-mobile/model_float16.tflite", "bfloat16", "a file with an arithmetic of its own"),
    ("saved_models/vangogh-mobile/saved_model", "float16", "a file with an arithmetic of its own"),
    ("vangogh-mobile", "bf16", "one of float32, bfloat16, float16"),
])  # fmt: skip
def test_what_cannot_be_is_refused(model, precision, said):
    with pytest.raises(UserError, match=said):
        kgan.load(model, precision=precision)
