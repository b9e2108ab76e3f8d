"""The settings of training crops."""

import dataclasses
from typing import Any

from kgan.errors import UserError


@dataclasses.dataclass(frozen=True)
class Crops:
    """The settings of square training crops. The fields are those of `TrainConfig`.

    Attributes:
        size: side of a crop in pixels.
        batch_size: number of crops in a batch.
        seed: seed of the order, the crops and the mirroring.
        channels: channels of a picture: 1, 3 or 4.
        min_crop: smallest side of a crop as a fraction of the picture's short side, in (0, 1].
        max_crop: largest side of a crop as a fraction of the picture's short side, in (0, 1].
        flip: whether half of the pictures are mirrored.
        style_min_crop: `min_crop` of the style pictures. None stands for that of the content.
        style_max_crop: `max_crop` of the style pictures. None stands for that of the content.
    """

    size: int = 256
    batch_size: int = 8
    seed: int = 0
    channels: int = 3
    min_crop: float = 0.5
    max_crop: float = 1.0
    flip: bool = True
    style_min_crop: float | None = None
    style_max_crop: float | None = None

    @classmethod
    def of(cls, settings: Any) -> "Crops":
        """Read the fields of another object, such as the complete settings of a run."""
        return cls(**{field.name: getattr(settings, field.name) for field in dataclasses.fields(cls)})

    def __post_init__(self) -> None:
        for name in ("size", "batch_size"):
            _check(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        _check(self.channels in (1, 3, 4), "channels", "1, 3 or 4", self.channels)
        _check(self.seed >= 0, "seed", "at least 0", self.seed)
        _check_range("", self.min_crop, self.max_crop)
        _check_range("style_", *self._style_range)

    @property
    def of_style(self) -> "Crops":
        """The settings for the style pictures: those crops are `min_crop` and `max_crop`."""
        smallest, largest = self._style_range
        return dataclasses.replace(self, min_crop=smallest, max_crop=largest, style_min_crop=None, style_max_crop=None)

    @property
    def _style_range(self) -> tuple[float, float]:
        smallest, largest = self.style_min_crop, self.style_max_crop
        return self.min_crop if smallest is None else smallest, self.max_crop if largest is None else largest


def _check_range(prefix: str, smallest: float, largest: float) -> None:
    name = f"{prefix}min_crop"
    _check(0 < smallest <= 1, name, "above 0 and at most 1", smallest)
    bounds = f"at least --{name.replace('_', '-')} ({smallest}) and at most 1"
    _check(smallest <= largest <= 1, f"{prefix}max_crop", bounds, largest)


def _check(holds: bool, name: str, wanted: str, given: float) -> None:
    if not holds:
        raise UserError(f"--{name.replace('_', '-')} should be {wanted}. Received: {given}")
