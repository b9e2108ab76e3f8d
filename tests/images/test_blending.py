"""Blending of pictures: values worked by hand, and properties of all pictures."""

import numpy as np
import pytest

from kgan.images.blending import blend, feather, luma, mix, strips, with_colours_of


def picture(seed, channels=3, height=13, width=17):
    """Values in [0, 1] including 0 and 1."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels))
    return (values / 255).astype(np.float32)


def pixel(*values):
    return np.array([[values]], np.float32)


def to_cb_cr(rgb):
    """Luma and chroma of ITU-R BT.601, with chroma around 0."""
    red, green, blue = np.moveaxis(np.asarray(rgb, np.float64), -1, 0)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([(blue - y) / 1.772, (red - y) / 1.402], axis=-1)


# --- strength ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("as_mask", [False, True])
def test_the_ends_are_exact(channels, as_mask):
    content, stylized = picture(0, channels), picture(1, channels)
    none, all_of_it = (np.full((13, 17, 1), v, np.float32) if as_mask else v for v in (0.0, 1.0))
    assert (blend(content, stylized, none) == content).all()
    assert (blend(content, stylized, all_of_it) == stylized).all()


def test_a_quarter_by_hand():
    made = blend(pixel(0.2, 0.4, 1.0), pixel(0.6, 0.0, 1.0), 0.25)
    assert made[0, 0] == pytest.approx([0.3, 0.3, 1.0])


@pytest.mark.parametrize("keep_colour", [False, True])
def test_strength_is_monotone(keep_colour):
    content, stylized = picture(0), picture(1)
    steps = np.stack([blend(content, stylized, w, keep_colour) for w in np.linspace(0, 1, 9)])
    direction = np.sign(steps[-1] - steps[0])
    assert (np.diff(steps, axis=0) * direction >= -1e-6).all()
    assert np.abs(steps[-1] - steps[0]).max() > 0.5


def test_every_pixel_has_its_own_weight():
    content, stylized = picture(0), picture(1)
    weight = picture(2, 1)
    made = blend(content, stylized, weight)
    for row, column in [(0, 0), (5, 11), (12, 16)]:
        w = weight[row, column, 0]
        assert made[row, column] == pytest.approx((1 - w) * content[row, column] + w * stylized[row, column], abs=1e-6)


def test_mix_of_a_thing_with_itself():
    assert mix(picture(0), picture(0), 0.3) == pytest.approx(picture(0), abs=1e-6)


# --- channels and alpha -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "stylized", "expected"), [(1, 1, 1), (1, 3, 3), (3, 1, 3), (3, 4, 4), (4, 1, 4), (4, 3, 4), (4, 4, 4)]
)
@pytest.mark.parametrize("keep_colour", [False, True])
def test_channels(content, stylized, expected, keep_colour):
    made = blend(picture(0, content), picture(1, stylized), 0.5, keep_colour)
    assert made.shape == (13, 17, expected if not keep_colour or (content, stylized) != (1, 3) else 1)
    assert made.dtype == np.float32
    assert made.min() >= 0
    assert made.max() <= 1 + 1e-6


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_alpha_of_the_content_is_kept(weight):
    content = picture(0, 4)
    made = blend(content, picture(1), weight)
    assert made[..., 3] == pytest.approx(content[..., 3], abs=1e-6)
    visible = content[..., 3] > 0
    assert made[visible, :3] == pytest.approx(blend(content[..., :3], picture(1), weight)[visible], abs=1e-5)


def test_hidden_colours_do_not_bleed_in():
    """Half opaque blue and half transparent white give half transparent blue."""
    made = blend(pixel(0, 0, 1, 1), pixel(1, 1, 1, 0), 0.5)
    assert made[0, 0] == pytest.approx([0, 0, 1, 0.5])


def test_unequal_alphas_by_hand():
    """Half of red at 1 and half of green at 0.5: alpha 0.75, of which green gives 0.25, a third."""
    made = blend(pixel(1, 0, 0, 1), pixel(0, 1, 0, 0.5), 0.5)
    assert made[0, 0] == pytest.approx([2 / 3, 1 / 3, 0, 0.75])


# --- colours ----------------------------------------------------------------------------------------------------------


def test_kept_colours_by_hand():
    """The luma of (0.6, 0.4, 0.2) is 0.437 and of the gray 0.537, so each channel increases by 0.1."""
    made = with_colours_of(pixel(0.6, 0.4, 0.2), pixel(0.537, 0.537, 0.537))
    assert made[0, 0] == pytest.approx([0.7, 0.5, 0.3], abs=1e-6)


def test_colours_that_do_not_fit_are_paler_by_hand():
    """Red has luma 0.299 and chroma (0.701, -0.299, -0.299); at luma 0.6495 red has room for half of it."""
    made = with_colours_of(pixel(1, 0, 0), pixel(0.6495, 0.6495, 0.6495))
    assert made[0, 0] == pytest.approx([1, 0.5, 0.5], abs=1e-6)


def test_luma_of_one_and_chroma_of_the_other():
    content, stylized = 0.3 + 0.4 * picture(0), 0.4 + 0.2 * picture(1)
    made = with_colours_of(content, stylized)
    fits = ((made > 1e-4) & (made < 1 - 1e-4)).all(axis=-1)
    assert fits.mean() > 0.9
    assert to_cb_cr(made)[fits] == pytest.approx(to_cb_cr(content)[fits], abs=1e-6)
    assert luma(made) == pytest.approx(luma(stylized), abs=1e-6)


def test_luma_and_hue_hold_for_all_colours():
    content, stylized = picture(0, height=60), picture(1, height=60)
    made = with_colours_of(content, stylized)
    assert made.min() >= 0
    assert made.max() <= 1
    assert luma(made) == pytest.approx(luma(stylized), abs=1e-6)
    before, after = to_cb_cr(content), to_cb_cr(made)
    cross = before[..., 0] * after[..., 1] - before[..., 1] * after[..., 0]
    assert np.abs(cross).max() < 1e-6
    assert ((before * after).sum(-1) >= -1e-6).all()
    assert (np.linalg.norm(after, axis=-1) <= np.linalg.norm(before, axis=-1) + 1e-6).all()


def test_its_own_luma_changes_nothing():
    assert with_colours_of(picture(0), picture(0)) == pytest.approx(picture(0), abs=1e-6)


def test_black_white_and_gray():
    assert (with_colours_of(picture(0), np.zeros((13, 17, 3), np.float32)) == 0).all()
    assert with_colours_of(picture(0), np.ones((13, 17, 3), np.float32)) == pytest.approx(np.ones((13, 17, 3)))
    gray = picture(0, 1)
    assert with_colours_of(np.repeat(gray, 3, -1), picture(1)) == pytest.approx(
        luma(picture(1)).repeat(3, -1), abs=1e-6
    )
    assert luma(with_colours_of(picture(1), gray)) == pytest.approx(gray, abs=1e-6)


@pytest.mark.parametrize("weight", [0.25, 0.5, 0.75])
def test_colours_are_kept_at_every_strength(weight):
    content, stylized = 0.3 + 0.4 * picture(0), 0.45 + 0.1 * picture(1)
    made = blend(content, stylized, weight, keep_colour=True)
    assert to_cb_cr(made) == pytest.approx(to_cb_cr(content), abs=1e-6)
    assert luma(made) == pytest.approx((1 - weight) * luma(content) + weight * luma(stylized), abs=1e-6)


# --- masks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90])
def test_a_soft_edge_rises_inwards_alike_at_every_slant(degrees):
    rows, columns = np.mgrid[:120, :120] - 59.5
    inside = np.cos(np.radians(degrees)) * columns + np.sin(np.radians(degrees)) * rows  # pixels from the edge
    mask = (inside > 0).astype(np.float32)
    soft = feather(mask, 12)
    middle = np.hypot(rows, columns) < 40
    for distance, expected in [(2, 0.37), (4, 0.68), (6, 0.87), (12, 1.0)]:  # 2 * Phi(distance / 4) - 1
        near = middle & (np.abs(inside - distance) < 0.51)
        assert soft[near].mean() == pytest.approx(expected, abs=0.03)
        assert np.ptp(soft[near]) < 0.25  # a pixel's width of the rise, no comb


def test_between_two_grays_the_edge_is_continuous():
    mask = np.float32([[0.2] * 40 + [0.8] * 40]) * np.ones((40, 1), np.float32)
    soft = feather(mask, 10)[20]
    assert (soft[:40] == np.float32(0.2)).all()
    assert np.abs(np.diff(soft)).max() < 0.15
    assert soft[60] == pytest.approx(0.8)


@pytest.mark.parametrize("radius", [0, 0.5, 1, 3, 40, 1e6])
@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_an_even_mask_stays(radius, value):
    mask = np.full((30, 3000), round(value * 255) / 255, np.float32)
    assert feather(mask, radius) == pytest.approx(mask, abs=1e-6)


@pytest.mark.parametrize("radius", [1, 2.5, 8])
def test_black_stays_black_and_the_inside_white(radius):
    mask = np.zeros((50, 4000), np.float32)
    mask[10:40, 1000:3000] = 1
    soft = feather(mask, radius)
    assert (soft[mask == 0] == 0).all()
    assert (soft[19:31, 1009:2991] == 1).all()
    assert (soft <= mask).all()


def test_no_radius_is_the_mask():
    mask = (picture(3, 1)[..., 0] > 0.5).astype(np.float32)
    assert (feather(mask, 0) == mask).all()


def test_strips_cover_all():
    for count, length in [(1, 1), (7, 3), (100, 2**21), (5000, 4000)]:
        covered = np.concatenate([np.arange(count)[part] for part in strips(count, length)])
        assert covered.tolist() == list(range(count))
    assert max(part.stop - part.start for part in strips(5000, 4000)) * 4000 <= 2**20
