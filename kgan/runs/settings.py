"""The settings of a training run. They define the flags of the command line and are stored in `run/config.json`.

A field that is ``None`` gets its value from the recipe when the run starts (`kgan.runs.recipes.resolve`). The resolved
settings are written to the run folder before step 0.
"""

import dataclasses
import json
import pathlib
import reprlib
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Fixed, Suppress, arg

from kgan.files import write_text
from kgan.foreign_json import read_json
from kgan.kinds import ADVERSARIAL, DISCRIMINATORS, FEATURES, GENERATORS, REGULARIZERS, TERMS
from kgan.paths import expanded
from kgan.recipes import RECIPES
from kgan.registry import Choice

# Types of optional settings, as the help of the command line shows them.
OptionalText = Annotated[str | None, arg(metavar="TEXT")]
OptionalInt = Annotated[int | None, arg(metavar="N")]
OptionalFloat = Annotated[float | None, arg(metavar="X")]
OptionalPath = Annotated[str | None, arg(metavar="PATH")]

# Types of settings that are None until the run begins. Type checkers see those of a resolved run.
LATER: Any = None
if TYPE_CHECKING:
    LaterText = str
    LaterPath = str
    LaterInt = int
    LaterFloat = float
    Stride = Literal[2, 4, 8]
else:
    LaterText, LaterInt, LaterFloat, LaterPath = OptionalText, OptionalInt, OptionalFloat, OptionalPath
    Stride = Annotated[Literal[2, 4, 8] | None, arg(metavar="{2,4,8}")]

PLACES = ("content", "style", "data", "distill_from", "distill_also", "feature_weights", "init_from", "run")
"""Settings that can be paths, in which "~" at the start is replaced by the home folder. --cache is expanded when it is
used, so that it names the home folder of the user who resumes the run."""

EARLIER = {"flip": True, "max_crop": 1.0, "padding": "zeros", "discriminator_colour": 1.0}
"""Settings that the config.json of older runs lacks, and the values with which these runs were trained."""


NETWORK = ("recipe", "generator", "filters", "blocks", "stride", "kernel", "norm", "downsample", "upsample", "padding",
           "antialias", "residual", "channels", "noise_channels", "noise", "truncation")  # fmt: skip
"""Settings that decide what a trained generator computes, besides its weights."""

NEVER_READ = ("callback", "trust")
"""Settings that run code of the user's choice. They are never read from a config.json, which may be somebody else's."""

_WEIGHT = "Weight of a loss term, as in: --weight cycle=10 --weight total_variation=0.1."
_USUAL_RECIPE = (
    "Default: distill with --distill-from, or guided if --style is given too; else paired on the packaged sample, else "
    "projected."
)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Train a GAN on two folders of pictures; measure and export it."""

    # --- pictures -------------------------------------------------------------------------------------------------
    content: OptionalPath = None
    """Pictures to restyle: a folder (any nesting, any sizes), one picture, or tfds:NAME[/CONFIG]."""
    style: OptionalPath = None
    """Pictures in the wanted style: a folder, one picture, or tfds:NAME[/CONFIG]."""
    data: OptionalPath = None
    """Instead of the two: a folder with trainA, trainB (and testA, testB), tfds:NAME[/CONFIG], or "sample"."""
    cache: Annotated[str, arg(metavar="PATH")] = "~/.cache/kgan"
    """Folder in which prepared pictures are stored between runs."""
    max_megapixels: OptionalFloat = None
    """Largest picture that is read. Default: 400, or 100 if the file is too short for the pixels that it claims."""
    size: LaterInt = LATER
    """Side of the square training crop in pixels (Nx)."""
    channels: Literal[1, 3, 4] = 3
    """Channels of a picture (C): 1 gray, 3 RGB, 4 RGBA."""
    min_crop: LaterFloat = LATER
    """Smallest side of a training crop, as a fraction of the picture's short side. The largest is --max-crop."""
    max_crop: LaterFloat = LATER
    """Largest side of a training crop, as such a fraction. Smaller crops give broader strokes."""
    style_min_crop: OptionalFloat = None
    """--min-crop for the style pictures alone. A small one shows the discriminator enlarged, broad strokes."""
    style_max_crop: OptionalFloat = None
    """--max-crop for the style pictures alone."""
    flip: Annotated[bool | None, arg(metavar="{True,False}")] = None
    """Mirror half of the training pictures. Give False if the style has a direction, such as light from one side or
    writing."""

    # --- method ---------------------------------------------------------------------------------------------------
    recipe: Annotated[LaterText, Choice(RECIPES, f"{{names}}, or your own as module:RECIPE. {_USUAL_RECIPE}")] = LATER
    distill_from: OptionalPath = None
    """Train a small network to imitate this model: a run folder or a SavedModel folder."""
    distill_also: OptionalPath = None
    """A second teacher. The student learns the mean of the two teachers' pictures."""
    distill_strokes: float = 1.0
    """The teacher paints strokes broader by this factor, in several passes. The student needs one pass for them."""
    distill_flatten: float = 0.0
    """The teacher sees planes of colour instead of fine texture: 0.005 takes little, 0.02 grass and fur."""
    adversarial: Annotated[OptionalText, Choice(ADVERSARIAL, "Adversarial loss: {choices}.")] = None
    weight: Annotated[tuple[str, ...], Choice(TERMS, f"{_WEIGHT} Terms: {{choices}}.")] = ()
    generator_weight: LaterFloat = LATER
    """The article's G_weight: multiplies the perceptual terms (SSIM and features)."""
    discriminator_weight: LaterFloat = LATER
    """The article's D_weight: cross entropy on real pictures."""
    wasserstein_weight: LaterFloat = LATER
    """The article's LAMBDA: Wasserstein term of the discriminator (with --adversarial wasserstein: the weight of
    the gradient penalty)."""
    mmd_weight: LaterFloat = LATER
    """The article's alpha: maximum mean discrepancy between stylized and real pictures."""

    # --- networks -------------------------------------------------------------------------------------------------
    generator: Annotated[LaterText, Choice(GENERATORS, "Generator network: {choices}.")] = LATER
    discriminator: Annotated[OptionalText, Choice(DISCRIMINATORS, "Discriminator network: {choices}.")] = None
    filters: LaterInt = LATER
    """Filters of the generator's first layer."""
    blocks: LaterInt = LATER
    """Residual blocks (resnet, mobile) or convolutions at the coarsest resolution (article)."""
    stride: Stride = LATER
    """Downsampling factor of the generator. A larger one invents more and keeps less detail."""
    kernel: Annotated[Literal[3, 5] | None, arg(metavar="{3,5}")] = None
    """Kernel size of the generator's inner convolutions."""
    downsample: Annotated[Literal["conv", "pool"] | None, arg(metavar="{conv,pool}")] = None
    """How the generator downsamples: strided convolution or pooling."""
    upsample: Annotated[Literal["resize", "transpose"] | None, arg(metavar="{resize,transpose}")] = None
    """How the generator upsamples: resize + convolution (no checkerboard) or transposed convolution (the article's)."""
    padding: Literal["reflect", "zeros"] = "reflect"
    """Padding in the generator. With zeros, which earlier runs have, it draws a frame around even grounds."""
    antialias: bool = False
    """Blur the generator's maps where their resolution changes, for steadier films. Replaces --downsample."""
    augment: LaterText = LATER
    """Augment the discriminator's pictures by colour, translation or cutout, or by several separated by commas; "" for
    none. Augmentation helps when there are few pictures."""
    norm: Annotated[Literal["instance", "batch", "none"] | None, arg(metavar="{instance,batch,none}")] = None
    """Normalization in the generator."""
    residual: Annotated[bool | None, arg(metavar="{True,False}")] = None
    """Start from the identity: output = content + correction. The last layer of the correction is zero at first."""
    discriminator_colour: LaterFloat = LATER
    """Share of the colour that the discriminator sees, from 0 (luminance alone) to 1. With little, strokes and texture
    decide rather than colours. --weight palette=5 can then hold the colours."""
    discriminator_features: OptionalText = None
    """Pretrained networks of the projected discriminator, one or several separated by commas. Default: --features."""
    discriminator_filters: LaterInt = LATER
    """Filters of the discriminator's first layer."""
    noise_channels: LaterInt = LATER
    """Channels of the noise map (Nz); 0 for none."""
    noise: Literal["normal", "uniform", "truncated"] = "normal"
    """Distribution of the noise."""
    truncation: float = 2.0
    """Bound of truncated noise, in standard deviations."""
    regularizer: Literal["frozen", "adversarial"] = "frozen"
    """The regularization network R: frozen at random weights, or trained to maximise the MMD."""
    regularizer_network: Annotated[str, Choice(REGULARIZERS, "R's layers: {choices}.", only=True)] = "conv"
    features: Annotated[str, Choice(FEATURES, "Pretrained network of the perceptual terms: {choices}.", only=True)] = (
        "mobilenet"
    )
    feature_weights: OptionalPath = None
    """A .weights.h5 file for --features instead of the packaged or downloaded one. --discriminator-features does not
    use it."""

    # --- optimization ---------------------------------------------------------------------------------------------
    steps: LaterInt = LATER
    """Length of the schedule in updates (Iteration). With --resume: train the run longer, to this many in all."""
    minutes: OptionalFloat = None
    """Train for about this time. The first steps are timed, and a schedule that would take longer is shortened, but not
    below a quarter of --steps, even if that takes longer."""
    stop_after: OptionalInt = None
    """End after this many updates in all, with a full checkpoint. The schedule is still that of --steps."""
    batch_size: LaterInt = LATER
    """Pictures per update over all devices together (BatchSize)."""
    learning_rate: LaterFloat = LATER
    """Learning rate of the generator (LearningRate)."""
    discriminator_learning_rate: LaterFloat = LATER
    """Learning rate of the discriminator; default: the generator's."""
    decay: Annotated[Literal["linear", "constant"] | None, arg(metavar="{linear,constant}")] = None
    """linear: constant for the first half of the steps, then linearly to zero."""
    extended_at: Suppress[Fixed[int]] = 0
    """The step at which --resume --steps replaced a schedule whose decay had begun by a longer one."""
    generator_optimizer: LaterText = LATER
    """adam, adamw, rmsprop or sgd."""
    discriminator_optimizer: LaterText = LATER
    """adam, adamw, rmsprop or sgd."""
    ema: LaterFloat = LATER
    """Decay of the generator's exponential moving average, which is exported; 0 for none."""
    image_pool: LaterInt = LATER
    """Number of past stylized pictures that the discriminator can see again; 0 for none."""
    seed: int = 0
    """Seed of all random numbers."""
    init_from: OptionalPath = None
    """Start from the generator of this run folder or shipped model (vangogh, ukiyoe ...) instead of a random one. Only
    the generator is used. To train a run longer with its whole state, give --run RUN --resume --steps MORE."""

    # --- machine --------------------------------------------------------------------------------------------------
    strategy: Literal["none", "mirrored", "multi_worker"] = "none"
    """tf.distribute strategy: one device, synchronous replicas on several, or on several machines (by TF_CONFIG)."""
    devices: OptionalInt = None
    """Use the first N GPUs of each machine, or N logical CPU devices if it has no GPU. Default: 1, or all GPUs with
    mirrored and multi_worker."""
    precision: Literal["float64", "float32", "bfloat16", "float16"] = "float32"
    """Compute precision of the networks. Losses, norms and weights are float32, or float64 with float64, which is slow
    and serves to compare two ways of computing a result."""
    jit: Annotated[bool | None, arg(metavar="{True,False}")] = None
    """Compile the training step with XLA. Default: on a GPU."""
    deterministic: Annotated[bool | None, arg(metavar="{True,False}")] = None
    """Equal runs give equal bytes. Default: on a CPU without --jit."""

    # --- run folder -----------------------------------------------------------------------------------------------
    run: LaterPath = LATER
    """Run folder. Default: runs/<recipe>-<number>."""
    resume: bool = False
    """Resume from the last checkpoint of --run, whose config.json holds all other settings. --steps MORE trains it
    longer. --content, --style, --data and --cache can give a new location of the same pictures."""
    log_every: int = 50
    """Steps between logged metrics."""
    sample_every: LaterInt = LATER
    """Steps between sample grids. Default: a twentieth of --steps."""
    checkpoint_every: LaterInt = LATER
    """Steps between checkpoints. Default: as --sample-every."""
    keep_checkpoints: int = 3
    """Number of checkpoints that are kept."""
    callback: Annotated[tuple[str, ...], arg(metavar="MODULE:CLASS")] = ()
    """A Keras callback, such as that of a tracker, with arguments as JSON: --callback 'mine:Tracker={"name": "first"}'.
    An interval of --log-every steps is an epoch for it. It is not stored: name it again with --resume."""
    trust: bool = False
    """Run programs of other people: a model of --init-from or --distill-from, or the run of --resume, that is one
    (docs/safe.md)."""

    def __post_init__(self):
        for name in PLACES:
            value = getattr(self, name)
            object.__setattr__(self, name, value and str(expanded(value)))  # the class is frozen

    def save(self, path: pathlib.Path) -> None:
        """Write the settings as JSON. The file is replaced atomically.

        Args:
            path: the file, such as `run/config.json`.
        """
        stored = {name: value for name, value in dataclasses.asdict(self).items() if name != "trust"}
        write_text(path, json.dumps(stored, indent=2) + "\n")

    @classmethod
    def load(cls, path: pathlib.Path) -> "TrainConfig":
        """Read settings that `save` wrote.

        Args:
            path: the file.

        Returns:
            The settings.

        Raises:
            ValueError: if the file is not JSON, or a setting is unknown or has a value of a wrong type.
        """
        read = read_json(path)
        if not isinstance(read, dict):
            raise ValueError("should be a JSON object with settings by name")
        values: dict[str, Any] = {name: value for name, value in (EARLIER | read).items() if name not in NEVER_READ}
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"unknown settings {', '.join(unknown)}")
        kinds = typing.get_type_hints(cls)
        odd = [f"{name} {reprlib.repr(value)}" for name, value in values.items() if not _fits(value, kinds[name])]
        if odd:
            raise ValueError(f"not a value of the right kind: {', '.join(odd)}")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**values)


def _fits(value: object, kind: object) -> bool:
    """Whether a value that was read from JSON has that type."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return any(_fits(value, one) for one in typing.get_args(kind))
    if typing.get_origin(kind) is Literal:
        return value in typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind
