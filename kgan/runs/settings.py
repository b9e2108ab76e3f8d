"""Every setting of a training run: the command line's flags, `run/config.json`, and what the code reads.

A field that is ``None`` is filled by the recipe when the run starts (`kgan.runs.recipes.resolve`); the resolved
settings are written to the run folder before step 0.
"""

import dataclasses
import json
import pathlib
import types
import typing
from typing import Annotated, Literal

from tyro.conf import Fixed, Suppress, arg

from kgan.paths import expanded
from kgan.recipes import RECIPES
from kgan.registry import Choice

# Optional settings as the command line's help shows them.
Text = Annotated[str | None, arg(metavar="TEXT")]
Whole = Annotated[int | None, arg(metavar="N")]
Real = Annotated[float | None, arg(metavar="X")]
Place = Annotated[str | None, arg(metavar="PATH")]

PLACES = ("content", "style", "data", "distill_from", "feature_weights", "init_from", "run")
"""Settings that are paths, or may be; "~" at their start is the home folder. --cache keeps its own for other users."""

EARLIER = {"flip": True, "max_crop": 1.0}
"""Settings that older runs do not name, and what these were trained with."""


_USUAL_RECIPE = "Default: distill with --distill-from, else paired on the packaged sample, else projected."


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Train a GAN on two folders of pictures; measure and export it."""

    # --- pictures -------------------------------------------------------------------------------------------------
    content: Place = None
    """Pictures to restyle: a folder (any nesting, any sizes), one picture, or tfds:NAME[/CONFIG]."""
    style: Place = None
    """Pictures in the wanted style: a folder, one picture, or tfds:NAME[/CONFIG]."""
    data: Place = None
    """Instead of the two: a folder with trainA, trainB (and testA, testB), tfds:NAME[/CONFIG], or "sample"."""
    cache: Annotated[str, arg(metavar="PATH")] = "~/.cache/kgan"
    """Where prepared pictures are kept between runs."""
    max_megapixels: Real = None
    """The largest picture that is read; default: 400, and 100 where a short file claims more than it can hold."""
    size: Whole = None
    """Side of the square training crop in pixels (Nx)."""
    channels: Literal[1, 3, 4] = 3
    """Channels of a picture (C): 1 gray, 3 RGB, 4 RGBA."""
    min_crop: Real = None
    """A crop's side is drawn between this share of the picture's short side and --max-crop."""
    max_crop: Real = None
    """The largest crop. Strokes come out as wide as the crops show them: small crops make them broad."""
    flip: Annotated[bool | None, arg(metavar="{True,False}")] = None
    """Mirror half of the training pictures. Not where the style has a direction: light from one side, writing."""

    # --- method ---------------------------------------------------------------------------------------------------
    recipe: Annotated[Text, Choice(RECIPES, f"{{names}}, or your own as module:RECIPE. {_USUAL_RECIPE}")] = None
    distill_from: Place = None
    """Train a small network to make the pictures that this model makes: a run folder or a SavedModel folder."""
    adversarial: Text = None
    """Adversarial loss: cross_entropy, least_squares, hinge, wasserstein or article."""
    weight: tuple[str, ...] = ()
    """Weight of a loss term, as in: --weight cycle=10 --weight total_variation=0.1."""
    generator_weight: Real = None
    """The article's G_weight: multiplies the perceptual terms (SSIM and features)."""
    discriminator_weight: Real = None
    """The article's D_weight: cross entropy on real pictures."""
    wasserstein_weight: Real = None
    """The article's LAMBDA: Wasserstein term of the discriminator (with --adversarial wasserstein: the weight of
    the gradient penalty)."""
    mmd_weight: Real = None
    """The article's alpha: maximum mean discrepancy between stylized and real pictures."""

    # --- networks -------------------------------------------------------------------------------------------------
    generator: Text = None
    """Generator network: resnet, article, or mobile (small and fast on phones)."""
    discriminator: Text = None
    """Discriminator network: patch, multiscale, projected (on pretrained features) or article."""
    filters: Whole = None
    """Filters of the generator's first layer."""
    blocks: Whole = None
    """Residual blocks (resnet, mobile) or convolutions at the coarsest resolution (article)."""
    stride: Annotated[Literal[2, 4, 8] | None, arg(metavar="{2,4,8}")] = None
    """How coarse the generator works: larger invents more and keeps less detail."""
    kernel: Annotated[Literal[3, 5] | None, arg(metavar="{3,5}")] = None
    """Kernel size of the generator's inner convolutions."""
    downsample: Annotated[Literal["conv", "pool"] | None, arg(metavar="{conv,pool}")] = None
    """Strided convolution or pooling on the way down."""
    upsample: Annotated[Literal["resize", "transpose"] | None, arg(metavar="{resize,transpose}")] = None
    """Resize + convolution (no checkerboard) or transposed convolution (the article's) on the way up."""
    augment: Text = None
    """What the discriminator sees is changed by any of colour, translation and cutout, with commas between; "" for
    nothing. Helps where pictures are few."""
    norm: Annotated[Literal["instance", "batch", "none"] | None, arg(metavar="{instance,batch,none}")] = None
    """Normalization in the generator."""
    residual: Annotated[bool | None, arg(metavar="{True,False}")] = None
    """Start from the identity: output = content + correction, the correction's last layer zero at first."""
    discriminator_filters: Whole = None
    """Filters of the discriminator's first layer."""
    noise_channels: Whole = None
    """Channels of the noise map (Nz); 0 for none."""
    noise: Literal["normal", "uniform", "truncated"] = "normal"
    """Distribution of the noise."""
    truncation: float = 2.0
    """Bound of truncated noise, in standard deviations."""
    regularizer: Literal["frozen", "adversarial"] = "frozen"
    """The regularization network R: frozen at random weights, or trained to maximise the MMD."""
    regularizer_network: Literal["conv", "dense"] = "conv"
    """R's layers: convolutions + ReLU, or fully connected + batch norm + ReLU."""
    features: Literal["mobilenet", "vgg19"] = "mobilenet"
    """Pretrained network of the perceptual terms: packaged MobileNet, or VGG19 (downloaded)."""
    feature_weights: Place = None
    """A .weights.h5 file for --features instead of the packaged or downloaded one."""

    # --- optimization ---------------------------------------------------------------------------------------------
    steps: Whole = None
    """Length of the schedule in updates (Iteration). With --resume: train the run longer, to this many in all."""
    minutes: Real = None
    """Train for about so long: the first steps are measured, and a schedule that would take longer is shortened, to a
    quarter of --steps at most."""
    stop_after: Whole = None
    """End early, after this many updates in all, with a full checkpoint; the schedule stays that of --steps."""
    batch_size: Whole = None
    """Pictures per update over all devices together (BatchSize)."""
    learning_rate: Real = None
    """Learning rate of the generator (LearningRate)."""
    discriminator_learning_rate: Real = None
    """Learning rate of the discriminator; default: the generator's."""
    decay: Annotated[Literal["linear", "constant"] | None, arg(metavar="{linear,constant}")] = None
    """linear: constant for the first half of the steps, then linearly to zero."""
    extended_at: Suppress[Fixed[int]] = 0
    """The step at which a longer schedule took the place of one whose decay had begun; written by --resume --steps."""
    generator_optimizer: Text = None
    """adam, adamw, rmsprop or sgd."""
    discriminator_optimizer: Text = None
    """adam, adamw, rmsprop or sgd."""
    ema: Real = None
    """Decay of the generator's exponential moving average, which is what gets exported; 0 for none."""
    image_pool: Whole = None
    """Past stylized pictures shown to the discriminator again; 0 for none."""
    seed: int = 0
    """Seed of everything random."""
    init_from: Place = None
    """Start from the generator of this run folder, or of a shipped model (vangogh, ukiyoe ...), not from a random one.
    The generator alone: to train a run longer with all it holds, give --run RUN --resume --steps MORE."""

    # --- machine --------------------------------------------------------------------------------------------------
    strategy: Literal["none", "mirrored", "multi_worker"] = "none"
    """tf.distribute strategy: one device, synchronous copies on several, or on several machines (by TF_CONFIG)."""
    devices: Whole = None
    """The first N GPUs (of every machine), or N logical CPU devices where there is no GPU. Default: 1, or all GPUs with
    mirrored and multi_worker."""
    precision: Literal["float64", "float32", "bfloat16", "float16"] = "float32"
    """Compute precision of the networks; losses, norms and weights stay in float32. With float64 they are in float64
    too: slow, to compare two ways of computing one thing."""
    jit: Annotated[bool | None, arg(metavar="{True,False}")] = None
    """Compile the training step with XLA. Default: on a GPU."""
    deterministic: Annotated[bool | None, arg(metavar="{True,False}")] = None
    """Equal runs give equal bytes. Default: on a CPU, without --jit."""

    # --- run folder -----------------------------------------------------------------------------------------------
    run: Place = None
    """Run folder. Default: runs/<recipe>-<number>."""
    resume: bool = False
    """Go on from the last checkpoint of --run; its config.json holds all other settings. --steps MORE trains it longer.
    --content, --style, --data and --cache may say where the same pictures lie now."""
    log_every: int = 50
    """Steps between lines of metrics."""
    sample_every: Whole = None
    """Steps between picture grids; default: a twentieth of --steps."""
    checkpoint_every: Whole = None
    """Steps between checkpoints; default: as --sample-every."""
    keep_checkpoints: int = 3
    """Checkpoints kept."""

    def __post_init__(self):
        for name in PLACES:
            value = getattr(self, name)
            object.__setattr__(self, name, value and str(expanded(value)))  # frozen, but not yet made

    def save(self, path: pathlib.Path) -> None:
        """Write the settings as JSON, in one atomic step."""
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")
        partial.replace(path)

    @classmethod
    def load(cls, path: pathlib.Path) -> "TrainConfig":
        """Read settings written by `save`; raises ValueError for unknown settings and for values of another kind."""
        read = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(read, dict):
            raise ValueError("should be a JSON object with settings by name")
        values = EARLIER | read
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"unknown settings {', '.join(unknown)}")
        kinds = typing.get_type_hints(cls)
        odd = [f"{name} {value!r}" for name, value in values.items() if not _fits(value, kinds[name])]
        if odd:
            raise ValueError(f"not a value of the right kind: {', '.join(odd)}")
        values["weight"] = tuple(values.get("weight", ()))
        return cls(**values)


def _fits(value: object, kind: object) -> bool:
    """Whether a value read from JSON is one of that type."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return any(_fits(value, one) for one in typing.get_args(kind))
    if typing.get_origin(kind) is Literal:
        return value in typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind
