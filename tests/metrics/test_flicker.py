"""The meter of flicker: known moves have none of their own, and planted flicker has the value that it should."""

import itertools

import numpy as np
import pytest

from kgan.metrics.flicker import View, flicker, pan, sampled, warping_error, warping_errors, zoom

RANDOM = np.random.default_rng(0)
SIZE = (40, 48)


def smooth(height=90, width=110):
    """A picture without detail finer than ten pixels, which interpolation does not change."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / 9 + k) + np.cos(columns / 11 - k) + np.sin((rows + columns) / 13) for k in range(3)]
    return np.float32(0.5 + np.stack(waves, -1) / 6)


def filmed(photo, views, size=SIZE):
    frames = [view.frame(photo, size) for view in views]
    return frames, [(before.flow_to(after, size),) for before, after in itertools.pairwise(views)]


def test_a_pan_by_whole_pixels_has_no_error_even_over_noise():
    frames, flows = filmed(RANDOM.random((60, 90, 3)), pan(4, right=5, down=2))
    assert warping_errors(frames, flows).tolist() == [0, 0, 0]
    still = [(np.zeros_like(flow),) for (flow,) in flows]
    assert (warping_errors(frames, still) > 0.1).all()  # two independent uniform numbers differ by 1/6 squared


def test_the_flow_of_a_pan_by_hand():
    flow = View(top=1, left=3).flow_to(View(top=1.5, left=1), SIZE)
    assert (flow == (2, -0.5)).all()  # the camera goes left and down, so things go right and up


def test_a_zoom_keeps_its_centre_and_things_grow_away_from_it():
    first, second = zoom(2, 1.25, (41, 41))
    flow = first.flow_to(second, (41, 41))
    np.testing.assert_allclose(flow[20, 20], 0, atol=1e-12)
    np.testing.assert_allclose(flow[20, 36], (4, 0), atol=1e-12)
    np.testing.assert_allclose(flow[8, 20], (0, -3), atol=1e-12)


def test_moves_between_pixels_leave_an_error_of_interpolation_only():
    for views in (pan(3, right=0.5, down=1.25), zoom(3, 1.02, SIZE)):
        assert warping_errors(*filmed(smooth(), views)).max() < 1e-6


def test_planted_flicker_has_its_value():
    frames, flows = filmed(smooth(), pan(6, right=2))
    blinking = [0.5 * frame + 0.25 + 0.05 * (-1) ** k for k, frame in enumerate(frames)]
    np.testing.assert_allclose(flicker(frames, blinking, flows), 0.1**2, rtol=1e-4)
    # Noise of variance v in both frames adds 2 v to their squared difference.
    noisy = [frame + RANDOM.normal(0, 0.03, frame.shape).astype(np.float32) for frame in frames]
    np.testing.assert_allclose(flicker(frames, noisy, flows), 2 * 0.03**2, rtol=0.1)
    assert flicker(noisy, noisy, flows).tolist() == [0] * 5


def test_bytes_and_floats_have_the_same_error():
    first, second = RANDOM.integers(0, 256, (2, 9, 9, 3), np.uint8)
    flow = np.zeros((9, 9, 2))
    assert warping_error(first, second, flow) == pytest.approx(warping_error(first / 255, second / 255, flow), rel=1e-5)


def test_hidden_points_and_those_that_leave_do_not_count():
    first, second = np.zeros((4, 4, 1)), np.zeros((4, 4, 1))
    second[1, 1] = 1
    flow, seen = np.zeros((4, 4, 2)), np.ones((4, 4), bool)
    assert warping_error(first, second, flow) == 1 / 16
    seen[1, 1] = False
    assert warping_error(first, second, flow, seen) == 0
    assert warping_error(first, second, flow + np.array([1, 0])) == 1 / 12  # the last column leaves
    assert seen.sum() == 15  # arguments stay as they are
    assert np.isnan(warping_error(first, second, flow + 9))


def test_sampling_by_hand():
    picture = np.array([[0.0, 1.0], [2.0, 4.0]])[..., None]
    places = np.array([[0, 0], [1, 1], [0.5, 0], [0, 0.5], [0.5, 0.5], [-3, 9]])
    assert sampled(picture, places).ravel().tolist() == [0, 4, 0.5, 1, 1.75, 2]


def test_a_view_beyond_the_photo_is_refused():
    with pytest.raises(ValueError, match="ends within the frame"):
        View(left=1).frame(np.zeros((40, 48, 3)), SIZE)
