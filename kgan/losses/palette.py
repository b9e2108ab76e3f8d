"""Losses that hold colours: to the content's, moved into the style's palette. Pictures are in [-1, 1]."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from keras import ops

from kgan.images.pictures import LUMA
from kgan.kinds import TERMS
from kgan.precision import precise

LEVEL = 1 / 127.5
"""One level of 255 in [-1, 1]. Smaller deviations of colours count as this, for sets of gray pictures."""


class Palette(NamedTuple):
    """The colours of a set of pictures.

    Attributes:
        mean: float64 [C].
        covariance: float64 [C, C].
        low: 1st percentile of each channel, float64 [C].
        high: 99th percentile of each channel, float64 [C].
    """

    mean: np.ndarray
    covariance: np.ndarray
    low: np.ndarray
    high: np.ndarray


def palette_of(pictures: Sequence[np.ndarray]) -> Palette:
    """The palette of a set of pictures, of which each has the same weight in mean and covariance.

    Args:
        pictures: the colours of each picture, [N, C] in [-1, 1], such as the means of cells.

    Returns:
        The palette.
    """
    mean = np.mean([colours.mean(axis=0) for colours in pictures], axis=0)
    covariance = np.mean([(colours - mean).T @ (colours - mean) / len(colours) for colours in pictures], axis=0)
    return Palette(mean, covariance, *np.percentile(np.concatenate(pictures), (1, 99), axis=0))


def transport_map(content: Palette, style: Palette) -> np.ndarray:
    """The linear optimal transport map of colours (Monge-Kantorovich), which gives one set the palette of another.

    Of all linear maps that move the first mean and covariance to the second, it moves colours the least. So hues stay
    near their own, and light stays light. A linear map can leave the style's range, above all in bright skies.
    Therefore the range belongs to the result.

    Args:
        content: palette of the content.
        style: palette of the style.

    Returns:
        float64 [C + 3, C]: the rows of a matrix, an offset, and the least and largest values. `moved` applies it.

    Example:

    >>> colours = np.array([[-1.0], [1.0]])
    >>> transport_map(palette_of([0.5 * colours]), palette_of([colours])).round(2).ravel().tolist()
    [2.0, 0.0, -0.98, 0.98]

    Reference: [Pitie and Kokaram](https://doi.org/10.1049/cp:20070055), the linear Monge-Kantorovitch map.
    """
    floor = LEVEL**2 * np.eye(len(content.mean))
    root, inverse = _roots(content.covariance + floor)
    middle, _ = _roots(root @ (style.covariance + floor) @ root)
    matrix = inverse @ middle @ inverse  # symmetric
    return np.concatenate([matrix, [style.mean - content.mean @ matrix, style.low, style.high]])


def _roots(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The square root of a symmetric positive matrix, and the inverse of the root."""
    values, vectors = np.linalg.eigh(matrix)
    roots = np.sqrt(values)
    return (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T


def moved(pictures, transport):
    """Move the colours of pictures into another palette.

    Args:
        pictures: [N, H, W, 1|3|4] in [-1, 1].
        transport: the result of `transport_map` for 1 or 3 channels.

    Returns:
        Pictures of the same shape. A fourth channel, which is alpha, is left as it is.
    """
    pictures = precise(pictures)
    transport = ops.cast(transport, pictures.dtype)
    count = transport.shape[1]
    # Sums of products, because a GPU rounds the numbers of a matrix product to 11 bits.
    colours = transport[count] + sum(pictures[..., c, None] * transport[c] for c in range(count))
    colours = ops.clip(colours, transport[count + 1], transport[count + 2])
    return ops.concatenate([colours, pictures[..., count:]], axis=-1)


@TERMS.add(
    "palette",
    help="distance of mean colours to the content's, moved into the style's palette",
    inputs=("content_in_palette", "fake"),
)
def palette_loss(expected, got, cell: int = 16):
    """Mean squared difference of the mean colours of cells.

    The palette of the style is that of the whole training set, so that each hue of the content has its own place in it.
    This term prevents patches without colour and inverted light. Strokes within a cell have no cost.

    Args:
        expected: content pictures whose colours were `moved`, [N, H, W, C].
        got: stylized pictures [N, H, W, C].
        cell: side of a cell in pixels. It is at most the side of the picture.

    Returns:
        A float32 scalar.
    """
    cell = min(cell, *expected.shape[1:3])
    expected, got = (ops.average_pool(precise(each), cell) for each in (expected, got))
    return ops.mean(ops.square(expected - got))


@TERMS.add(
    "blown",
    help="white where the content, moved into the style's palette, is not",
    inputs=("content_in_palette", "fake"),
)
def blown_loss(expected, got, white: float = 243 / 127.5 - 1.0):
    """E[how far a pixel's darkest channel is above white and above that of the expected pixel].

    The gradient is the same for all channels, so that a white pixel becomes darker and keeps its hue. If the darkest
    channel alone gave way, white skies would become yellow or magenta.

    Args:
        expected: content pictures whose colours were `moved`, [N, H, W, C].
        got: stylized pictures [N, H, W, C].
        white: the bound above which a pixel is blown, if all its channels are. Default: level 243 of 255.

    Returns:
        A float32 scalar; 0 without blown pixels.
    """
    expected, got = (precise(each)[..., :3] for each in (expected, got))
    darkest, mean = ops.min(got, axis=-1), ops.mean(got, axis=-1)
    darkest = mean + ops.stop_gradient(darkest - mean)  # the value of the darkest channel, the gradient of the mean
    return ops.mean(ops.relu(darkest - ops.maximum(ops.min(expected, axis=-1), white)))


@TERMS.add(
    "highlights",
    help="light pixels of another colour than the content's, moved into the style's palette",
    inputs=("content_in_palette", "fake"),
)
def highlights_loss(expected, got, light: float = 204 / 127.5 - 1.0):
    """E[how far a pixel is above `light`, times the mean squared difference of its colour to the expected one].

    So light spots stay where the content is light, and have its hue there. Darker pixels have no cost. `blown` counts
    white alone, and leaves bright yellow or green spots.

    Args:
        expected: content pictures whose colours were `moved`, [N, H, W, 1|3|4].
        got: stylized pictures of the same shape.
        light: the luma above which a pixel is light. Default: level 204 of 255.

    Returns:
        A float32 scalar; 0 without light pixels.
    """
    expected, got = (precise(each)[..., :3] for each in (expected, got))
    weights = LUMA if got.shape[-1] == 3 else (1.0,)
    luma = sum(got[..., c, None] * float(weight) for c, weight in enumerate(weights))
    return ops.mean(ops.relu(luma - light) * ops.square(got - expected))
