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
    """

    size: int = 256
    batch_size: int = 8
    seed: int = 0
    channels: int = 3
    min_crop: float = 0.5
    max_crop: float = 1.0
    flip: bool = True

    @classmethod
    def of(cls, settings: Any) -> "Crops":
        """Read the fields of another object, such as the complete settings of a run."""
        return cls(**{field.name: getattr(settings, field.name) for field in dataclasses.fields(cls)})

    def __post_init__(self) -> None:
        for name in ("size", "batch_size"):
            _check(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        _check(self.channels in (1, 3, 4), "channels", "1, 3 or 4", self.channels)
        _check(self.seed >= 0, "seed", "at least 0", self.seed)
        _check(0 < self.min_crop <= 1, "min_crop", "above 0 and at most 1", self.min_crop)
        _check(self.min_crop <= self.max_crop <= 1, "max_crop", "at least --min-crop and at most 1", self.max_crop)


def _check(holds: bool, name: str, wanted: str, given: float) -> None:
    if not holds:
        raise UserError(f"--{name.replace('_', '-')} should be {wanted}. Received: {given}")
