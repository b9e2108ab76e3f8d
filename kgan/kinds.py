"""What runs choose by name, a table for each kind. The rows stand beside the functions and classes themselves."""

import dataclasses
from typing import Literal

from kgan.registry import Registry, Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric(Row):
    """A number that says how good pictures are.

    The `inputs` decide what the function is given and what it returns:

    - "picture", "content", "truth": float32 [H, W, C] in [0, 1], all of one size. The function returns a number.
    - "features", "reference_features": float32 [N, D] and [M, D], features of two sets by the packaged network. The
      function takes two more arguments, how often each row counts (None: once), and returns a number.
    - "styles", "content_styles", "reference_styles": float32 [N, S], [N, S] and [M, S], the style of each picture of
      three sets. The function returns a number for each row of the first.

    A name that begins with "content_" says how like the content a picture is: the content itself is perfect then.

    Args:
        label: What tables call it.
        inputs: What the function takes, in the order of its arguments.
        optional: Further inputs, None where a picture has no such thing.
        digits: Digits after the point in tables.
        better: Whether more or less of it is better.
        scale: Tables show the number times this.
        least: The smallest value there is.
        most: What a larger value, as infinity, is reported as.
        place: Rows of tables are sorted by it.
    """

    label: str
    inputs: tuple[str, ...]
    optional: tuple[str, ...] = ()
    digits: int = 3
    better: Literal["more", "less"] = "more"
    scale: float = 1.0
    least: float = float("-inf")
    most: float = float("inf")
    place: int = 1000


FEATURES = Registry("FEATURES", "feature network", Row, folder="networks/features", group="kgan.features")
METRICS = Registry("METRICS", "metric", Metric, folder="metrics", group="kgan.metrics")


def metrics_in_order() -> list[Metric]:
    """All metrics, in the order of tables."""
    return sorted(METRICS.values(), key=lambda metric: metric.place)
