"""ICC profiles: detection of sRGB, and conversion to sRGB and back."""

import numpy as np
import pytest
from icc_profiles import ADOBE, GRAY, LINEAR, P3
from PIL import Image, ImageCms

from kgan.images import colour

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_srgb_is_known_by_what_it_does_not_by_its_name():
    other_name = SRGB.replace("sRGB".encode("utf-16-be"), "kgan".encode("utf-16-be"))
    assert all(colour.is_srgb(profile) for profile in (None, b"", b"broken", SRGB, other_name))
    assert not any(colour.is_srgb(profile) for profile in (P3, ADOBE, LINEAR))  # the last is called "sRGB linear"


def test_red_by_hand():
    """sRGB's red in Adobe RGB (1998) is (219, 0, 0): the red primaries are equal, the green and blue ones are not."""
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert np.abs(colour.pixels_from_srgb(red, ADOBE)[0, 0].astype(int) - [219, 0, 0]).max() <= 1
    assert np.asarray(colour.to_srgb(Image.new("RGB", (1, 1), (219, 0, 0)), ADOBE))[0, 0] == pytest.approx(
        [255, 0, 0], abs=1
    )


@pytest.mark.parametrize("profile", [P3, ADOBE])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_there_and_back(profile, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, channels), np.uint8)
    there = colour.pixels_from_srgb(pixels, profile)
    assert there.shape[-1] == max(3, channels)
    back = np.asarray(colour.to_srgb(Image.fromarray(there), profile)).astype(int)
    spread = np.abs(back[..., :3] - pixels[..., :3])
    assert spread.max() <= 8  # near black a level of a plain power is several of sRGB's
    assert spread.mean() < 0.5
    if channels == 4:
        assert (back[..., 3] == pixels[..., 3]).all()


def test_gray_by_hand():
    """Level 128 of gamma 1.8 is light of (128 / 255) ** 1.8 = 0.289, which sRGB writes as 146."""
    assert np.asarray(colour.to_srgb(Image.new("L", (1, 1), 128), GRAY))[0, 0].tolist() == [146, 146, 146]
    assert colour.pixels_from_srgb(np.full((1, 1, 1), 146, np.uint8), GRAY).tolist() == [[[128]]]


def test_profiles_fit_modes_of_their_space():
    assert [colour.fitting(P3, mode) for mode in ("RGB", "RGBA", "L", "CMYK", "P")] == [P3, P3, None, None, None]
    assert [colour.fitting(GRAY, mode) for mode in ("RGB", "L")] == [None, GRAY]
    assert colour.fitting(b"broken", "RGB") is None
