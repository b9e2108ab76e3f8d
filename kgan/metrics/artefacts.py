"""Meters of the faults that generators are known for: each one number a picture, 0 or near it for none, more is worse.

NumPy alone. Pictures are uint8 or float in [0, 1], [H, W, 1|3|4]; all but `checkerboard` compare with the content
picture of the same size, so that what was there before is not accused. What a number means is best read beside that of
the content itself and of real pictures.
"""

import numpy as np

from kgan.images.pictures import to_float, with_channels

TILE = 64
"""Side in pixels of the squares whose spectra `checkerboard` averages: a multiple of 8."""

FAINT = 0.25 / 255.0
"""Amplitude that nobody sees, a quarter of a gray level: no ratio is taken to less."""


def _luma(picture: np.ndarray) -> np.ndarray:
    return with_channels(to_float(picture), 1)[..., 0].astype(np.float64)


# --- checkerboard -----------------------------------------------------------------------------------------------------


def checkerboard(picture: np.ndarray) -> float:
    """How far the spectrum stands out at periods of 2 and 4 pixels, what transposed convolutions leave; clean: 0 to 1.

    log2 of the largest ratio, over the frequencies k/4 in both directions, of the amplitude to the median of its
    neighbours in the same row and the same column of the spectrum (whichever is larger, for straight edges fill whole
    rows), and never below 0. Amplitudes are the roots of mean powers of half overlapping tiles under a Hann window.
    Pictures below 16 pixels a side give 0.

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
    """[side, side]: amplitude of each frequency, as of a cosine's halves."""
    window = np.hanning(side + 1)[:-1]
    window = np.outer(window, window)
    tiles = np.lib.stride_tricks.sliding_window_view(luma, (side, side))[:: side // 2, :: side // 2].reshape(
        -1, side**2
    )
    tiles = (tiles - tiles.mean(axis=1, keepdims=True)).reshape(-1, side, side) * window
    return np.sqrt(np.mean(np.abs(np.fft.fft2(tiles)) ** 2, axis=0)) / window.sum()


def _around(amplitude: np.ndarray, row: int, column: int) -> float:
    """Median of the neighbours in the same row, beyond the window's own width of one bin."""
    side = len(amplitude)
    reach = max(side // 16, 2)
    steps = [step for step in range(-reach - 1, reach + 2) if abs(step) >= 2]
    return float(np.median(amplitude[row, [(column + step) % side for step in steps]]))


# --- droplets ---------------------------------------------------------------------------------------------------------

FLAT, STANDS_OUT = 0.02, 0.06
"""Deviation below which a ring is flat; how far a spot's centre must be from it. Of the range, at least."""


def droplets(picture: np.ndarray, content: np.ndarray | None = None) -> float:
    """Spots on flat ground, such as dots on a white sky: outlying pixels per 1000 flat ones; clean: 0.

    At three scales (pixels of 1, 2 and 4): the mean of 3x3 pixels against a ring round it (9x9 less 5x5). The ground
    is flat where the ring's deviation is below FLAT; the spot stands out by STANDS_OUT and by 4 deviations. With the
    content, only ground that is flat there too, spot included, is looked at. The worst scale counts; where less than
    1% of the picture is flat, 0.

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
    """Of every pixel with a whole 9x9 window: whether its ring is flat, centre less ring, the ring's deviation."""
    outer, inner = (_box(luma, side) for side in (9, 5))
    outer2, inner2 = (_box(luma**2, side) for side in (9, 5))
    count = 81 - 25
    mean = (outer - inner[2:-2, 2:-2]) / count
    deviation = np.sqrt(np.maximum((outer2 - inner2[2:-2, 2:-2]) / count - mean**2, 0.0))
    return deviation < FLAT, _box(luma, 3)[3:-3, 3:-3] / 9.0 - mean, deviation


def _box(maps: np.ndarray, side: int) -> np.ndarray:
    """Sums over side x side windows that lie inside: [H, W] -> [H - side + 1, W - side + 1]."""
    sums = np.pad(maps, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    return sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]


def _halved(luma: np.ndarray) -> np.ndarray:
    height, width = (length // 2 * 2 for length in luma.shape)
    return luma[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


# --- haloes -----------------------------------------------------------------------------------------------------------

EDGE = 0.15
"""Step of luminance between the two sides of an edge, at least."""


def haloes(picture: np.ndarray, content: np.ndarray) -> float:
    """Glow along strong edges: overshoot as a share of the edge's own step; clean: below 0.03.

    An edge point is where the content steps by EDGE between plateaus: 3 and 8 pixels away on either side it is the
    same within a tenth of the step. The overshoot is how much brighter the picture is there at 3 than at 8 pixels on
    the bright side, less the same of the content; and how much darker on the dark side. Each is averaged over all
    edge points of rows and columns, so that noise cancels, and counts when above 0. A picture without such edges gives
    0. What gets dim towards a bright edge is shading, and no halo.

    Reference: overshoot as in [Marziliano et al.](https://doi.org/10.1016/j.image.2003.08.003), their ringing.
    """
    before, after = _luma(content), _luma(picture)
    found = [_overshoots(*pair) for pair in ((before, after), (before.T, after.T))]
    sides = np.concatenate(found, axis=1)
    return float(np.maximum(sides.mean(axis=1), 0.0).sum()) if sides.size else 0.0


def _overshoots(content: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """[2, points]: of the bright and the dark side of every edge point along rows, as a share of the content's step."""
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
    """8 and 3 pixels to the left of every pixel, 3 and 8 to the right."""
    width = luma.shape[1]
    return tuple(luma[:, 8 + shift : width - 8 + shift] for shift in (-8, -3, 3, 8))


# --- inversion --------------------------------------------------------------------------------------------------------


def inversion(picture: np.ndarray, content: np.ndarray) -> float:
    """Whether dark became bright: (1 - correlation of the luminances) / 2; 0: as it was, 0.5: unrelated, 1: inverted.

    A flat content has nothing to invert and gives 0; a flat picture of another content gives 0.5.
    """
    after, before = (luma - luma.mean() for luma in (_luma(picture), _luma(content)))
    if before.std() < FAINT:
        return 0.0
    if after.std() < FAINT:
        return 0.5
    correlation = np.mean(before * after) / (before.std() * after.std())
    return float(np.clip((1.0 - correlation) / 2.0, 0.0, 1.0))


def measured(picture: np.ndarray, content: np.ndarray | None) -> dict[str, float]:
    """All meters by name; without a content those that can do without."""
    numbers = {"checkerboard": checkerboard(picture), "droplets": droplets(picture, content)}
    return (
        numbers
        if content is None
        else numbers | {"haloes": haloes(picture, content), "inversion": inversion(picture, content)}
    )
