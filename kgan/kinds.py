"""Tables of the things that are chosen by name, one for each kind. Rows are decorators of the functions and classes."""

import dataclasses
from typing import Literal

from kgan.registry import Registry, Row

REQUIREMENTS = {
    "fake": (),
    "style": (),
    "reference": ("content",),
    "content": ("content", "two_way"),
    "content_in_palette": ("content", "palette"),
    "cycled": ("content", "two_way"),
    "identity": ("content",),
    "fake_logits": ("discriminator",),
    "adversarial": ("discriminator",),
    "fake_features": ("features",),
    "reference_features": ("features", "content"),
    "fake_grams": ("features",),
    "style_grams": ("features",),
    "fake_columns": ("features",),
    "style_columns": ("features",),
    "fake_embeddings": ("regularizer",),
    "style_embeddings": ("regularizer",),
    "fake_crop": (),
    "reference_crop": ("content",),
    "queries": ("content", "one_way"),
    "keys": ("content", "one_way"),
    "identity_queries": ("content", "one_way"),
    "identity_keys": ("content", "one_way"),
    "shift_of_fake": ("content",),
    "fake_of_shift": ("content",),
    "warp_of_fake": ("content",),
    "fake_of_warp": ("content",),
}
"""The inputs of loss terms (`kgan.gan.loss_inputs.LossInputs`), and the requirements of each on the GAN."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Term(Row):
    """A term of the generator's loss: a function from the `inputs` to a float32 scalar.

    Args:
        inputs: Names in `REQUIREMENTS`, in the order of the function's arguments.
        mixes_pictures: Whether the term of a batch is not a mean over its pictures. Then replicas must exchange them.
    """

    inputs: tuple[str, ...]
    mixes_pictures: bool = False

    @property
    def requires(self) -> frozenset[str]:
        """The requirements on the GAN, such as content pictures, features or a discriminator."""
        return frozenset(need for each in self.inputs for need in REQUIREMENTS[each])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversarial(Row):
    """A pair of adversarial losses.

    Args:
        floor: Whether the discriminator's loss has a minimum. Without one, its network needs spectral norm.
        gradient_penalty: Whether the discriminator's loss needs the gradient penalty of WGAN-GP.
        weights: Names of settings that the discriminator's loss takes as arguments.
    """

    floor: bool = True
    gradient_penalty: bool = False
    weights: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric(Row):
    """A metric of pictures.

    The `inputs` decide the arguments and the result of the function:

    - "picture", "content", "truth": float32 [H, W, C] in [0, 1], all of one size. The function returns a number.
    - "shifted": the results for `kgan.metrics.shifts.shifted_crops` of the content, a list of float32 [H, W, C] in
      [0, 1]. The function returns a number.
    - "film", "restyled", "flows": the frames of a film, their restyled frames, and the flow from each to the next
      (`kgan.metrics.flicker`). The function returns a number for each pair of neighbouring frames.
    - "tiles", "content_tiles", "reference_tiles": float32 [rows, columns, S] and [M, S], features of the tiles of the
      picture, of its content and of style pictures (`kgan.metrics.tile_styles`). The function returns a number.
    - "features", "reference_features": float32 [N, D] and [M, D], features of two sets by the `network`. The function
      takes two more arguments, how often each row counts (None: once), and returns a number.
    - "grams", "reference_grams": as "features", but a list with the coordinates of Gram matrices for each layer, and
      the function returns a number for each layer (`kgan.metrics.grams`).
    - "content_distances", "frechet": float64 [N], the distances of the pictures to their contents, and the FID of the
      set on the `network`. The function takes one more argument, how often each picture counts, and returns a number.
    - "styles", "content_styles", "reference_styles": float32 [N, S], [N, S] and [M, S], style features of the pictures
      of three sets. The function returns a number for each row of the first.

    A name that begins with "content_" means a similarity to the content, for which the content itself is perfect.

    Args:
        label: Name of the metric in tables.
        inputs: Names of the function's arguments, in their order.
        optional: Names of further arguments, which are None for a picture without such an input.
        digits: Number of decimals in tables.
        network: Name of the feature network whose features are its inputs, if they are features of sets.
        better: "more" if a larger number is better, otherwise "less".
        scale: Factor of the number in tables.
        least: The smallest possible value.
        most: The value that is reported for larger values, such as infinity.
        place: Sort key of the rows of tables.
        admitted: Whether reports on pictures contain it. `scripts/admission.py` shows which metrics deserve trust.
    """

    label: str
    inputs: tuple[str, ...]
    optional: tuple[str, ...] = ()
    digits: int = 3
    network: str = "mobilenet"
    better: Literal["more", "less"] = "more"
    scale: float = 1.0
    least: float = float("-inf")
    most: float = float("inf")
    place: int = 1000
    admitted: bool = True

    @property
    def of_sets(self) -> bool:
        """Whether it compares two sets by their features on the `network`."""
        return bool({"features", "grams", "frechet"} & set(self.inputs))

    @property
    def content_is_perfect(self) -> bool:
        """Whether the content itself has the best number, so that differences to it say nothing."""
        return self.name.startswith("content_") or "shifted" in self.inputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportFormat(Row):
    """A way to write a trained generator for use elsewhere.

    The function takes a built generator, the path to write, and the noise of the training as `distribution` and
    `truncation`, and returns the path.

    Args:
        file: Name of what is written, in the folder of the exports.
        usual: Whether each training writes it at its end.
        needs_config: Whether it is read with the config.json of the run, which is then written beside it.
        place: The order of writing.
    """

    file: str
    usual: bool = False
    needs_config: bool = False
    place: int = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightFormat(Row):
    """A way to store the weights of a .tflite or .onnx file.

    For a .tflite file, the function takes a `kgan.export.litert.source.Source` and returns the bytes of the file. For
    an .onnx file, it takes an `onnx.ModelProto` with float32 weights and returns another.

    Args:
        help: How weights are stored and how the file computes; its JSON file says so too.
        least_ssim: The least SSIM to Keras that a file must reach.
        bytes_per_weight: Bytes per weight.
        levels: The largest difference between another CPU runtime and a test vector, in levels of 255, by rounding.
        module: A module that is needed.
        extra: The extra of kgan that installs it.
    """

    least_ssim: float
    bytes_per_weight: int
    levels: int = 2
    module: str = ""
    extra: str = ""


TERMS = Registry("TERMS", "loss term", Term, folder="losses", group="kgan.losses")
ADVERSARIAL = Registry("ADVERSARIAL", "adversarial loss", Adversarial, folder="losses", group="kgan.adversarial")
GENERATORS = Registry("GENERATORS", "generator", Row, folder="networks", group="kgan.generators")
DISCRIMINATORS = Registry("DISCRIMINATORS", "discriminator", Row, folder="networks", group="kgan.discriminators")
REGULARIZERS = Registry("REGULARIZERS", "regularizer", Row, folder="networks", group="kgan.regularizers")
FEATURES = Registry("FEATURES", "feature network", Row, folder="networks/features", group="kgan.features")
FORMATS = Registry("FORMATS", "export format", ExportFormat, folder="export", group="kgan.formats")
WEIGHTS = Registry("WEIGHTS", "format of weights", WeightFormat, folder="export/litert", group="kgan.weights")
ONNX = Registry("ONNX", "format of weights", WeightFormat, folder="export/onnx")
METRICS = Registry("METRICS", "metric", Metric, folder="metrics", group="kgan.metrics")


def metrics_in_order() -> list[Metric]:
    """All metrics, in the order of tables."""
    return sorted(METRICS.values(), key=lambda metric: metric.place)
