"""Distances: values worked by hand, agreement with scikit-image."""

import numpy as np
import pytest
import tensorflow as tf
from skimage import metrics as skimage_metrics

from kgan import metrics


@pytest.fixture
def pair():
    random = np.random.default_rng(3)
    reference = random.random((2, 40, 33, 3)).astype(np.float32)
    return np.clip(reference + random.normal(0, 0.1, reference.shape), 0, 1).astype(np.float32), reference


def test_values_by_hand():
    black, gray = tf.zeros((2, 16, 16, 3)), tf.fill((2, 16, 16, 3), 0.1)
    assert metrics.mse(gray, black).numpy() == pytest.approx([0.01, 0.01], rel=1e-5)
    assert metrics.psnr(gray, black).numpy() == pytest.approx([20.0, 20.0], abs=1e-3)  # 10 log10(1 / 0.01)
    # No structure in either: only the luminance term is left, C1 / (0.1^2 + C1) with C1 = 0.01^2.
    assert metrics.ssim(gray, black).numpy() == pytest.approx([1e-4 / (0.01 + 1e-4)] * 2, rel=1e-3)


def test_equal_pictures(pair):
    assert metrics.mse(pair[0], pair[0]).numpy().tolist() == [0, 0]
    assert metrics.ssim(pair[0], pair[0]).numpy() == pytest.approx([1, 1], abs=1e-6)
    assert np.isinf(metrics.psnr(pair[0], pair[0])).all()


def test_agree_with_scikit_image(pair):
    pictures, reference = pair
    for k in range(2):
        theirs = skimage_metrics.structural_similarity(
            reference[k],
            pictures[k],
            data_range=1.0,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        # Sums of 121 products of up to 1, each rounded by 6e-8, over variances of 0.16: 5e-5 in the worst case
        assert float(metrics.ssim(pictures, reference)[k]) == pytest.approx(theirs, abs=5e-5)
        their_psnr = skimage_metrics.peak_signal_noise_ratio(reference[k], pictures[k], data_range=1.0)
        assert float(metrics.psnr(pictures, reference)[k]) == pytest.approx(their_psnr, abs=1e-3)


def test_ssim_refuses_pictures_below_its_window():
    with pytest.raises(ValueError, match="at least 11x11"):
        metrics.ssim(tf.zeros((1, 10, 40, 3)), tf.zeros((1, 10, 40, 3)))


def gray(*pictures):
    return tf.constant(np.stack(pictures)[..., None].astype(np.float32))


def test_structure_is_that_of_windows_not_of_light():
    random = np.random.default_rng(0)
    one, other = random.random((2, 40, 33)) * 0.5
    values = metrics.structure(gray(one, 0.4 + one, 0.5 * one, 1.0 - one, other), gray(*[one] * 5)).numpy()
    kept, lighter, half, inverted, unrelated = values
    # Windows sum 22 products of up to 0.25, each rounded by 6e-8, and are divided by variances of 0.02 and more.
    assert [kept, lighter] == pytest.approx([1, 1], abs=1e-4)
    assert half == pytest.approx(2 * 0.5 / (1 + 0.25), abs=0.02)  # of the variance v: 2 v / 2 over v + v / 4
    assert inverted == pytest.approx(-1, abs=0.1)
    assert abs(unrelated) < 0.1


def test_structure_of_flat_pictures():
    flat, noise = np.full((16, 16), 0.4), np.random.default_rng(0).random((16, 16))
    same, wiped_out = metrics.structure(gray(flat + 0.3, flat), gray(flat, noise)).numpy()
    assert same == pytest.approx(1, abs=1e-3)  # 22 roundings by 6e-8 of products of 0.04, over C2 = 0.0009
    assert 0 < wiped_out < 0.05  # C2 over the noise's variance, 1/12, and C2


def test_structure_wants_gray_of_some_size():
    for shape in ((1, 16, 16, 3), (1, 10, 40, 1)):
        with pytest.raises(ValueError, match="gray, 11 pixels"):
            metrics.structure(tf.zeros(shape), tf.zeros(shape))
