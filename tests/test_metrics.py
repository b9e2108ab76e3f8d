"""Distances: values worked by hand, agreement with scikit-image, KID's unbiasedness."""

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
        assert float(metrics.ssim(pictures, reference)[k]) == pytest.approx(theirs, abs=2e-5)
        their_psnr = skimage_metrics.peak_signal_noise_ratio(reference[k], pictures[k], data_range=1.0)
        assert float(metrics.psnr(pictures, reference)[k]) == pytest.approx(their_psnr, abs=1e-3)


def test_ssim_refuses_pictures_below_its_window():
    with pytest.raises(ValueError, match="at least 11x11"):
        metrics.ssim(tf.zeros((1, 10, 40, 3)), tf.zeros((1, 10, 40, 3)))


def test_polynomial_mmd_by_hand():
    # D = 2. k(x, x') = (3/2 + 1)^3, k(y, y') = (0 + 1)^3, k(x, y): (0+1)^3, (0+1)^3, (2/2+1)^3, (2/2+1)^3.
    x, y = np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([[0.0, 0.0], [2.0, 0.0]])
    # x rows against y[1] = (2, 0): both 2/2 + 1 = 2 -> 8; against y[0]: 1.
    assert metrics.polynomial_mmd(x, y) == pytest.approx(2.5**3 + 1.0 - 2 * (1 + 8 + 1 + 8) / 4)


def test_kid_is_unbiased_and_grows_with_the_shift():
    random = np.random.default_rng(0)
    real, same = random.normal(size=(2, 600, 8))
    mean, std = metrics.kernel_inception_distance(real, same, subset_size=100, subsets=50, seed=1)
    assert abs(mean) < 3 * std / np.sqrt(6)  # about 6 independent subsets
    near, far = (metrics.kernel_inception_distance(real, same + shift, 100)[0] for shift in (0.3, 0.6))
    assert 0 < near < far


def test_kid_is_a_function_of_its_seed():
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(2, 60, 4))
    first, again, other = (metrics.kernel_inception_distance(real, fake, 20, 5, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_kid_with_few_pictures_uses_what_there_is():
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(12, 4)), random.normal(size=(7, 4))
    assert metrics.kid_subset(12, 7, 100) == 7
    mean, std = metrics.kernel_inception_distance(real, fake, subset_size=100)
    assert np.isfinite(mean)
    assert std > 0
    whole, no_spread = metrics.kernel_inception_distance(real[:7], fake, subset_size=100)
    assert whole == pytest.approx(metrics.polynomial_mmd(real[:7], fake))
    assert np.isnan(no_spread)
    with pytest.raises(ValueError, match="at least 2 pictures"):
        metrics.kernel_inception_distance(real, fake[:1])
