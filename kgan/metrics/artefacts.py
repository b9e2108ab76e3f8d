"""Measures of artefacts that generators are known for. Each gives one number per picture; 0 is best, larger is worse.

The measures use NumPy only. Pictures are uint8 or float in [0, 1], [H, W, 1|3|4]. All but `checkerboard` compare a
picture with its content picture, so that artefacts of the content do not count. Compare a number with the numbers of
the content itself and of real pictures.
"""

import numpy as np

from kgan.images.pictures import to_float, with_channels
from kgan.kinds import METRICS

TILE = 64
"""Side in pixels of the tiles whose spectra `checkerboard` averages, a multiple of 8."""

FAINT = 0.25 / 255.0
"""An invisible amplitude, a quarter of a gray level. It is added to the denominator of ratios."""


def _luma(picture: np.ndarray) -> np.ndarray:
    return with_channels(to_float(picture), 1)[..., 0].astype(np.float64)


# --- checkerboard -----------------------------------------------------------------------------------------------------


@METRICS.add(label="Checkerboard", inputs=("picture",), better="less", place=200)
def checkerboard(picture: np.ndarray) -> float:
    """Peaks of the spectrum at periods of 2 and 4 pixels, which transposed convolutions leave. Clean pictures: 0 to 1.

    The measure is log2 of the largest ratio between an amplitude at the frequencies k/4 in both directions and its
    neighbours, and at least 0. The neighbours' value is the larger of their medians in the same row and in the same
    column of the spectrum, because straight edges fill whole rows. Amplitudes are square roots of the mean power of
    tiles that overlap by half, with a Hann window.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].

    Returns:
        A number of at least 0. Pictures with a side below 16 pixels give 0.

    Reference: [Odena et al., Deconvolution and Checkerboard Artifacts](https://doi.org/10.23915/distill.00003);
    spectral peaks: [Durall et al.](https://arxiv.org/abs/2003.01826).
    """
    luma = _luma(picture)
    side = min(TILE, min(luma.shape) // 8 * 8)
    if side < 16:
        return 0.0
    amplitude = _spectrum(luma, side)
    quarter = side // 4
    ratios = [
        amplitude[row, column] / (max(_around(amplitude, row, column), _around(amplitude.T, column, row)) + FAINT)
        for row in range(0, side, quarter)
        for column in range(0, side // 2 + 1, quarter)
        if row or column
    ]
    return float(np.log2(max(*ratios, 1.0)))


def _spectrum(luma: np.ndarray, side: int) -> np.ndarray:
    """The amplitude of each frequency, [side, side]. A cosine of amplitude 1 gives 1/2 at each of its two peaks."""
    window = np.hanning(side + 1)[:-1]
    window = np.outer(window, window)
    tiles = np.lib.stride_tricks.sliding_window_view(luma, (side, side))[:: side // 2, :: side // 2].reshape(
        -1, side**2
    )
    tiles = (tiles - tiles.mean(axis=1, keepdims=True)).reshape(-1, side, side) * window
    return np.sqrt(np.mean(np.abs(np.fft.fft2(tiles)) ** 2, axis=0)) / window.sum()


def _around(amplitude: np.ndarray, row: int, column: int) -> float:
    """The median of the neighbours in the same row. Adjacent bins are left out, because the window widens a peak."""
    side = len(amplitude)
    reach = max(side // 16, 2)
    steps = [step for step in range(-reach - 1, reach + 2) if abs(step) >= 2]
    return float(np.median(amplitude[row, [(column + step) % side for step in steps]]))


# --- droplets ---------------------------------------------------------------------------------------------------------

FLAT, STANDS_OUT = 0.02, 0.06
"""Standard deviation below which a ring is flat, and least difference of a spot to its ring, for luma in [0, 1]."""


@METRICS.add(label="Droplets", inputs=("picture",), optional=("content",), better="less", place=210)
def droplets(picture: np.ndarray, content: np.ndarray | None = None) -> float:
    """Spots on a flat background, such as dots on a white sky, per 1000 flat pixels. Clean pictures: 0.

    The mean of 3x3 pixels is compared with the ring around it (9x9 without 5x5) at three scales (1, 1/2 and 1/4). The
    background is flat where the standard deviation of the ring is below FLAT. A spot differs from the ring by at least
    STANDS_OUT and by more than 4 standard deviations. With a content picture, only areas count that are flat there too.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].
        content: the content picture of the same size, or None.

    Returns:
        The number of the worst scale. It is 0 at scales at which less than 1% of the picture is flat.

    Reference: the droplets of [Karras et al.](https://arxiv.org/abs/1912.04958), the dots of
    [Zhang et al.](https://arxiv.org/abs/1902.05978).
    """
    maps = [_luma(picture)] + ([] if content is None else [_luma(content)])
    worst = 0.0
    for _ in range(3):
        if min(maps[0].shape) < 16:
            break
        worst = max(worst, _spots(*maps))
        maps = [_halved(luma) for luma in maps]
    return worst


def _spots(luma: np.ndarray, content: np.ndarray | None = None) -> float:
    flat, difference, deviation = _ground(luma)
    if content is not None:
        content_flat, content_difference, _ = _ground(content)
        flat = flat & content_flat & (np.abs(content_difference) < STANDS_OUT / 2)
    if flat.mean() < 0.01:
        return 0.0
    spots = flat & (np.abs(difference) > np.maximum(STANDS_OUT, 4.0 * deviation))
    return 1000.0 * float(spots.sum() / flat.sum())


def _ground(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether the ring of each pixel is flat, the difference of centre and ring, and the ring's standard deviation."""
    outer, inner = (_box(luma, side) for side in (9, 5))
    outer2, inner2 = (_box(luma**2, side) for side in (9, 5))
    count = 81 - 25
    mean = (outer - inner[2:-2, 2:-2]) / count
    deviation = np.sqrt(np.maximum((outer2 - inner2[2:-2, 2:-2]) / count - mean**2, 0.0))
    return deviation < FLAT, _box(luma, 3)[3:-3, 3:-3] / 9.0 - mean, deviation


def _box(maps: np.ndarray, side: int) -> np.ndarray:
    """Sums over all windows of side x side pixels in a map [H, W]: [H - side + 1, W - side + 1]."""
    sums = np.pad(maps, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    return sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]


def _halved(luma: np.ndarray) -> np.ndarray:
    height, width = (length // 2 * 2 for length in luma.shape)
    return luma[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


# --- haloes -----------------------------------------------------------------------------------------------------------

EDGE = 0.15
"""Least difference of luma between the two sides of an edge."""


@METRICS.add(label="Haloes", inputs=("picture", "content"), better="less", place=220)
def haloes(picture: np.ndarray, content: np.ndarray) -> float:
    """Glow along strong edges: the overshoot relative to the step of the edge. Clean pictures: below 0.03.

    An edge point is a step of at least EDGE between two plateaus of the content: on each side, the values at distances
    of 3 and 8 pixels differ by less than a tenth of the step. The overshoot on the bright side is how much brighter the
    picture is at 3 than at 8 pixels, minus the same difference of the content. On the dark side, it is how much darker.
    Each is averaged over all edge points of rows and columns, so that noise cancels, and counts if it is positive. A
    side that becomes darker towards a bright edge is shading and does not count.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].
        content: the content picture of the same size.

    Returns:
        The sum of both sides, at least 0. A picture without strong edges gives 0.

    Reference: overshoot as in [Marziliano et al.](https://doi.org/10.1016/j.image.2003.08.003), their ringing.
    """
    before, after = _luma(content), _luma(picture)
    found = [_overshoots(*pair) for pair in ((before, after), (before.T, after.T))]
    sides = np.concatenate(found, axis=1)
    return float(np.maximum(sides.mean(axis=1), 0.0).sum()) if sides.size else 0.0


def _overshoots(content: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """The overshoots at the bright and the dark side of the edges along rows, relative to the step: [2, points]."""
    if content.shape[1] < 17:
        return np.zeros((2, 0))
    far_left, left, right, far_right = _sides(content)
    step = right - left
    flat = np.maximum(np.abs(far_left - left), np.abs(far_right - right)) < 0.1 * np.abs(step)
    edge = (np.abs(step) > EDGE) & flat
    changed = np.stack([(after - before)[edge] for after, before in zip(_sides(picture), _sides(content), strict=True)])
    rises = step[edge] > 0
    at_right, at_left = changed[2] - changed[3], changed[1] - changed[0]
    bright, dark = np.where(rises, at_right, at_left), -np.where(rises, at_left, at_right)
    return np.stack([bright, dark]) / np.abs(step[edge])


def _sides(luma: np.ndarray) -> tuple[np.ndarray, ...]:
    """The values at 8 and 3 pixels to the left of each pixel, and at 3 and 8 pixels to the right."""
    width = luma.shape[1]
    return tuple(luma[:, 8 + shift : width - 8 + shift] for shift in (-8, -3, 3, 8))


# --- inversion --------------------------------------------------------------------------------------------------------


@METRICS.add(label="Inversion", inputs=("picture", "content"), better="less", place=230)
def inversion(picture: np.ndarray, content: np.ndarray) -> float:
    """Whether dark areas became bright: (1 - correlation of the luma with the content's) / 2.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].
        content: the content picture of the same size.

    Returns:
        A number in [0, 1]: 0 for an unchanged luma, 0.5 for an unrelated one, 1 for an inverted one. A flat content
        gives 0. A flat picture of a content that is not flat gives 0.5.
    """
    after, before = (luma - luma.mean() for luma in (_luma(picture), _luma(content)))
    if before.std() < FAINT:
        return 0.0
    if after.std() < FAINT:
        return 0.5
    correlation = np.mean(before * after) / (before.std() * after.std())
    return float(np.clip((1.0 - correlation) / 2.0, 0.0, 1.0))


# --- frame ------------------------------------------------------------------------------------------------------------

RIM = 16
"""Width in pixels of the border in which a frame is sought, and of the area further in with which it is compared. It is
a sixteenth of the shorter side of smaller pictures."""

EVEN = 0.01
"""Standard deviation of the content below which a part of the border is an even ground, for values in [0, 1]."""

FEWEST = 3
"""The fewest parts of a side that are measured. In fewer, strokes do not cancel."""


@METRICS.add(label="Frame (levels)", inputs=("picture", "content"), better="less", scale=255.0, digits=1, place=240)
def frame(picture: np.ndarray, content: np.ndarray) -> float:
    """A frame around the picture, which padding by zeros leaves on even grounds. Clean pictures: below 0.02.

    Each side is cut into squares of RIM pixels, each with the next one further in. Pairs whose content is even count,
    if there are FEWEST of them. The colours of each line of pixels parallel to the side are averaged over these pairs,
    so that strokes cancel. The frame is how much a line of the outer squares differs from the mean of the inner ones,
    less the largest such difference of a line of the inner ones, and less the same number of the content.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].
        content: the content picture of the same size.

    Returns:
        A number in [0, 1], of the worst side and colour; in levels, it is 255 times as large. A picture without even
        grounds at its border, or with a side below 64 pixels, gives 0.
    """
    after, before = (with_channels(to_float(each), 3).astype(np.float64) for each in (picture, content))
    rim = min(RIM, min(after.shape[:2]) // 16)
    if rim < RIM // 4:
        return 0.0
    return max(_upper(*(_pairs(np.rot90(each, turns), rim) for each in (after, before))) for turns in range(4))


def _upper(after: np.ndarray, before: np.ndarray) -> float:
    """The frame at the upper side, from the pairs of the picture and of the content."""
    even = before.std(axis=(1, 2)).max(axis=-1) < EVEN
    if even.sum() < FEWEST:
        return 0.0
    return max(0.0, _step(after[even]) - _step(before[even]))


def _step(pairs: np.ndarray) -> float:
    """How much the lines of the outer squares stand out, at least 0."""
    lines = pairs.mean(axis=(0, 2))
    rim = len(lines) // 2
    differences = np.abs(lines - lines[rim:].mean(axis=0)).max(axis=-1)
    return max(0.0, float(differences[:rim].max() - differences[rim:].max()))


def _pairs(picture: np.ndarray, rim: int) -> np.ndarray:
    """The outer and inner squares along the upper side, [pairs, 2 rim, rim, C]."""
    count = picture.shape[1] // rim
    return picture[: 2 * rim, : count * rim].reshape(2 * rim, count, rim, -1).swapaxes(0, 1)
