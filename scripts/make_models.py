"""Makes a folder of saved_models/ from a training run: small files, test vectors, a sheet of pictures and a model card.

    python scripts/make_models.py RUN NAME PICTURES --seconds 104 --device "one NVIDIA H100 (80 GB)"

RUN is a run folder with its evaluation.json. NAME is one of CARDS below, which have the texts of the cards; the numbers
come from the run. PICTURES is a folder with the pictures of the sheet, or for pairs a root with testA and testB.
"""

import argparse
import dataclasses
import json
import pathlib
import shlex
import string
import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image
from words import in_one_line, positive

from kgan.evaluation import report
from kgan.export import Model, export_litert, export_saved_model, export_weights, load, load_generator
from kgan.images.decoding import decode_picture
from kgan.images.pictures import save_picture
from kgan.parsing import parse
from kgan.runs import recipes
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig

SAVED_MODELS = pathlib.Path(__file__).parents[1] / "saved_models"
MACHINE = {"cache", "run", "resume", "stop_after", "devices", "jit", "deterministic", "keep_checkpoints",
           "sample_every", "checkpoint_every", "log_every", "recipe", "content", "style", "data"}  # fmt: skip
"""Settings that are left out of the command in the card."""

GAP = 6
"""Pixels between the pictures of a sheet."""

PHOTOS = """\
Content: 64 photos of the Debian package gcompris-qt-data 3.1-2 ([GCompris](https://gcompris.net)) that are in
the public domain or under CC0, and require no credit. Their authors are listed in
[docs/models.md](../../docs/models.md#the-photos)."""

FLATTERED = """\
FID and KID are distances between features of a MobileNet. The same network is used by {who}.
A model that was trained with a network's features has better scores in them than its pictures deserve. Compare these
two numbers only with models that were trained in the same way, and look at the pictures."""

BOTH = """\
A model that was trained with a network's features has better scores in them than its pictures deserve. This one met
both: MobileNet in its discriminator, VGG16 in its discriminator and its loss terms. So look at the pictures, too, and
vote with `kgan compare`."""

FORMER = "The teachers are former models of kgan, whose cards name their trainings."

MEAN = """
```python
from safetensors.numpy import load_file, save_file

one, other = (load_file(run + "/model.safetensors") for run in ("{one}", "{other}"))
mean = dict((name, {share:g} * one[name].astype("float32") + {rest:g} * other[name].astype("float32")) for name in one)
save_file(mean, "{other}/model.safetensors")
```
"""
"""The way from the weights of two networks of the same line to one (https://arxiv.org/abs/2109.01903)."""

MOVING_AVERAGE = "The exported weights are the moving average at the last step; none were chosen by their scores."

WHO = {
    "projected": "the discriminator of this\ntraining",
    "distill": "the discriminator of its\nteacher's training and by its own feature loss",
}
"""By recipe, the parts of the training that use the feature network of FID and KID."""


@dataclasses.dataclass(frozen=True)
class Card:
    """The texts of a model card that are not in the run, as Markdown.

    Attributes:
        headline: description in one line.
        folders: names of the training folders in the command, by setting.
        data: description of the training data.
        limits: limits of the model.
        licence: licence of the training data.
        names: stems of the sheet's photos. Empty for models that learned emoji.
        caption: caption of the sheet.
        before: the trainings that this one needs: its start (`--init-from first`) or its teacher.
        after: which weights were exported.
        flattered: why some scores are too good, if `FLATTERED` does not say it.
        formats: the files that are shipped, keys of `FILES`.
    """

    headline: str
    folders: dict[str, str]
    data: str
    limits: str
    licence: str
    names: tuple[str, ...]
    caption: str
    before: str = ""
    after: str = MOVING_AVERAGE
    flattered: str = ""
    formats: tuple[str, ...] = ("safetensors",)


SHOWN = ("farm_owl", "monument_machuPicchu", "sea6", "world_hedgehog", "monument_wormsCathedral", "world_moose")

VANGOGH = Card(
    headline="Photos in the palette and brushwork of Vincent van Gogh.",
    folders={
        "content": "photos",
        "style": "vangogh",
        "distill_from": "former",
        "distill_also": "bold",
        "init_from": "first",
    },
    data=PHOTOS
    + """

Style: nine paintings by Vincent van Gogh (died 1890), in the public domain by age, 362 to 654 pixels wide. The
files come from the same package; it declares eight of them (activity `details`) as "Copyright 2000, 2008 Bruno
Coudoin and others, License: Public domain, based on an original painting by Van Gogh", and Village Street in Auvers
(activity `paintings`) as "Copyright 1994-2006 Nicolas Pioch, Copyright 2008 Bruno Coudoin, License: GPLv3 or later.
All the paintings are from the WebMuseum." Changes: puzzle pieces joined, cropped, re-encoded.""",
    before=f"""\
{FORMER} `former` is `vangogh` of commit
e5edf3c, and `bold` is `vangogh-bold`:

```sh
kgan train --recipe guided --content photos --style vangogh --distill-from former --distill-also bold \\
    --distill-strokes 1.34 --style-min-crop 0.25 --style-max-crop 0.75 --generator resnet --filters 32 --blocks 6 \\
    --features vgg16 --weight adversarial=3 --weight pixel=5 --weight ssim=1 --weight features=20 --weight gram=0 \\
    --weight relative_gram=10 --weight earth_mover=40 --weight self_similarity=10 --weight equivariance=15 \\
    --learning-rate 2e-4 --antialias True --steps 2400 --precision bfloat16 --init-from former --run first
```

2400 steps of batch 8, 771 s on one NVIDIA H200, which it shared with five other trainings, with start and compilation.
Then a discriminator that sees both feature networks, and less grain:

""",
    after="""\
The exported weights are the mean of the moving average at the last step and of the weights of `former`, from which the
first training started ([Wortsman et al.](https://arxiv.org/abs/2109.01903)), because that has fewer nets in even areas.
It was chosen among four models by its scores on the test photos and by votes.
"""
    + MEAN.format(one="former", other="last", share=0.5, rest=0.5),
    limits="""\
- Grass and leaves turn yellow in patches, skin and fur orange and violet, shadows red brown; `--keep-colour` keeps the
  photo's colours.
- {no_effect} of its tiles have no effect, mostly blurred grounds and darks. Even darks get a fine weave.
- Small faces lose their features.
- Strokes are five to ten pixels wide, as in the training crops, which is fine on a photo of 1000 pixels and more.
  `kgan stylize --strokes 2` makes them twice as broad (docs/models.md shows both).
- It was trained on nine paintings, and imitates these rather than all works of the painter.""",
    licence="public domain or CC0 photos; the paintings' files as above",
    names=SHOWN,
    caption="public-domain photos that it has not seen",
    flattered=BOTH,
)

BOTH_NETWORKS = """\
A model that was trained with a network's features has better scores in them than its pictures deserve. This one met
both: earlier trainings of it and of its teachers had MobileNet and VGG16 in the discriminator. So look at the pictures,
too, and vote with `kgan compare`."""

UKIYOE = dataclasses.replace(
    VANGOGH,
    headline="Photos as Japanese colour woodblock prints: flat inks, dark contours, faded paper.",
    folders={"content": "photos", "style": "ukiyoe", "distill_from": "third", "distill_also": "flat",
             "init_from": "third"},
    before=f"""\
{FORMER} `early` is `ukiyoe` of commit
3d8cc8c, and `former` is `ukiyoe-bold` of commit fbed041:

```sh
kgan train --recipe guided --content photos --style ukiyoe --distill-from early --distill-also former \\
    --distill-flatten 0.01 --generator resnet --filters 32 --blocks 6 --features vgg16 --discriminator-colour 0.3 \\
    --weight adversarial=3 --weight pixel=5 --weight ssim=1 --weight features=20 --weight gram=0 \\
    --weight earth_mover=30 --weight self_similarity=10 --weight equivariance=15 --learning-rate 2e-4 \\
    --antialias True --steps 2400 --precision bfloat16 --run first
```

2400 steps of batch 8, 598 s on one NVIDIA H200, which it shared with five other trainings, with start and compilation.
It rippled even areas. Then it learned calm ones from `bold` and `flat`, which are `ukiyoe-bold` and `ukiyoe-flat` of
commit e5edf3c:

```sh
kgan train --recipe guided --content photos --style ukiyoe --distill-from bold --distill-also flat \\
    --weight ssim=1 --weight equivariance=15 --weight features=20 --weight gram=0 --weight earth_mover=20 \\
    --weight self_similarity=10 --weight adversarial=2 --weight pixel=8 --weight fine_smoothness=6 \\
    --generator resnet --blocks 6 --antialias True --discriminator-colour 0.3 \\
    --discriminator-features mobilenet,vgg16 --features vgg16 --steps 1400 --learning-rate 0.0002 \\
    --discriminator-learning-rate 0.0002 --init-from first --precision bfloat16 --run second
```

1400 steps of batch 8, 495 s on one NVIDIA H200, which it shared with four other trainings, with start and compilation.
This training was chosen among five by its scores on the test photos and by votes. White skies lost their last tint: up
to 3.4% more of a photo was blown. A third training on a CPU gives it back:

```sh
kgan train --recipe guided --content photos --style ukiyoe --distill-from second --weight ssim=1 \\
    --weight equivariance=15 --weight features=20 --weight gram=0 --weight adversarial=0 --weight pixel=10 \\
    --weight blown=100 --generator resnet --blocks 6 --antialias True --features vgg16 --steps 160 \\
    --batch-size 4 --learning-rate 0.0002 --discriminator-learning-rate 0.0002 --ema 0.97 --init-from second \\
    --precision bfloat16 --run third
```

160 steps of batch 4, 1080 s on two cores of an Intel Xeon, beside other work. Four trainings before it, with other
weights of the terms or before `blown` darkened all channels alike, left the skies white or stained them. Even areas
still had a faint net. A fourth training ends it, with `flat` as a second teacher:

""",
    after="""\
The exported weights are a mean: 0.6 of the moving average at the last step, and 0.4 of the weights of `third`. Without
`third`, 2.5% more of one of 20 photos was blown. Three more trainings, with the small network as teacher, made skies
whiter still.
"""
    + MEAN.format(one="third", other="last", share=0.4, rest=0.6),
    flattered=BOTH_NETWORKS,
    data=PHOTOS
    + """

Style: nine prints, seven by Katsushika Hokusai (died 1849) and two by Utagawa Hiroshige (died 1858), in the public
domain by age, 278 to 713 pixels wide. The files come from the same package (activity `paintings`), which declares
them as "Copyright 1994-2006 Nicolas Pioch, Copyright 2008 Bruno Coudoin, License: GPLv3 or later. All the paintings
are from the WebMuseum." Changes: puzzle pieces joined, cropped, re-encoded.""",
    limits="""\
- {no_effect} of its tiles have no effect, mostly even and blurred grounds, which become planes, and night.
- Skies and bright areas become tinted paper, foliage becomes ochre. There are only the few colours of the prints.
  `--keep-colour` keeps the photo's colours. Dark spots on fur can turn deep blue, warm ones red.
- Contours follow the photo's edges, so fur and foliage become dense hatching; small faces lose their features. On
  photos of 1000 pixels and more, `kgan stylize --strokes 2` gives broader contours and smoother areas.
- It was trained on nine prints, and imitates these rather than all prints of the time.""",
)  # fmt: skip

FLUENT3D = Card(
    headline="Flat emoji as 3D renders, learned without pairs.",
    folders={"data": "fluent"},
    data="""\
[Fluent Emoji](https://github.com/microsoft/fluentui-emoji) by Microsoft Corporation, MIT licence: 851 flat drawings
(npm @iconify-json/fluent-emoji-flat 1.2.6) and 857 3D renders (npm @lobehub/fluent-emoji-3d 1.1.0, LobeHub, MIT) of
other glyphs. No glyph or variant of a glyph is in both. Changes: rasterised at 256x256, on white, re-encoded. The
MIT licence text is that of [kgan/data/sample.NOTICE](../../kgan/data/sample.NOTICE), whose pictures have the same
source.""",
    limits="""\
- It adds shading, round edges and light from the right, as in the renders. It moves nothing and adds no new parts, so
  glyphs whose 3D render has other shapes (such as the panda) keep their drawing.
- Yellow hair gets a green tinge at its edge, and brown fur a faint violet one.
- It is made for emoji on white at 128x128, and was trained without mirroring. At 256x256 the effect is weaker, without
  artefacts. On dark and coloured grounds with noise, which emoji do not have, the border differs by 10 to 20 levels.
- Without pairs, it improved by {gain_ssim} SSIM and {gain_psnr} dB. From pairs (`--recipe paired`, 3600
  steps, 64 filters, 9 blocks) a network reached SSIM 0.841 and 22.9 dB: how hues and outlines of a glyph differ in 3D
  can be learned only from pairs.
- One seed was trained. Three seeds without `--antialias` and `equivariance` reached SSIM 0.814 to 0.816 and 21.16 to
  21.22 dB.""",
    licence="MIT (Microsoft Corporation)",
    names=(),
    caption="glyphs that it has not seen: flat, by this model, and the real render",
)

PAGE = string.Template("""\
# $name

$headline

![samples](samples.jpg)

Above: $caption.

## Use

```sh
kgan stylize photo.jpg --model $name --output out
kgan train --init-from $name ...      # starts from these weights
```

`kgan.load("$name")` returns a function of pictures of any size, uint8 or float in [0, 1].

## Data and licences

$data

## Training

$before```sh
$command
```

$steps steps of batch $batch, $cost.
$after
Generator: `$generator`, $filters filters, $blocks residual blocks, $weights weights.

## Scores

$protocol
In brackets: 95% bootstrap intervals. "Content as it is" is the input itself, "stylized - content" the paired
difference, and "real" $real.
Less is better for FID, KID, MSE and the measures of artefacts (from Checkerboard on).

$scores

$flattered

$pictures pictures are too few for FID, which is biased upwards. KID is not biased. Rounding of the weights to float16
changes no pixel of the test picture by more than 2 of 255 levels.

## Limits

$limits

## Files

| file | what it is |
|---|---|
$files
| `config.json` | settings of the training |
| `test_content.png`, `test_stylized.png` | a picture and the result of the float32 model |

Made by `scripts/make_models.py`. Licence of the weights: as kgan's (Apache-2.0). Training data: $licence.
""")

FILES = {
    "safetensors": "| `model.safetensors` | the weights in float16, with which `config.json` makes the network; "
    "nothing in it can run. Other formats: `kgan export --run {name} --output {name}` |",
    "saved_model": "| `saved_model/` | SavedModel, weights in float16, arithmetic in float32; signatures "
    "`serving_default` (uint8), `serving_float`, `serving_bytes` |",
    "litert": "| `model_float16.tflite` | LiteRT, weights in float16; `image` in, `stylized` out, float32 [N, H, W, 3] "
    "in [0, 1] |",
}
"""The rows of the card's table of files, by format."""

LIKE = "Paints like `{model}`, by a network for phones and browsers that has a tenth of the size."

MOBILE_LIMITS = """\
- {{no_effect}} of its tiles have no effect, and {{no_effect_baseline}} of those of `{model}`. KID x 1000 (MobileNet) is
  {{kid_over}} above that of `{model}`.
- Otherwise the limits are those of [{model}](../{model}/README.md)."""

VANGOGH_MOBILE = dataclasses.replace(
    VANGOGH,
    headline=LIKE.format(model="vangogh"),
    formats=("safetensors", "saved_model", "litert"),
    folders={"content": "photos", "style": "vangogh", "distill_from": "first", "init_from": "bold"},
    data=PHOTOS + "\n\nStyle: the paintings of [vangogh](../vangogh/README.md).",
    before="""\
It learned from `first`, the first of the two trainings of [vangogh](../vangogh/README.md), and started from `bold`,
which is `vangogh-bold` of commit e5edf3c. The scores call `vangogh` "baseline".

""",
    after=MOVING_AVERAGE,
    limits=MOBILE_LIMITS.format(model="vangogh"),
    licence="public domain or CC0 photos; [vangogh](../vangogh/README.md), which lists the files of the paintings",
)

UKIYOE_MOBILE = dataclasses.replace(
    VANGOGH_MOBILE,
    headline=LIKE.format(model="ukiyoe"),
    formats=("safetensors", "litert"),
    folders={"content": "photos", "distill_from": "third", "init_from": "first"},
    data=PHOTOS + "\n\nStyle: the prints of [ukiyoe](../ukiyoe/README.md).",
    before="""\
Its first teachers, `bold` and `flat`, are those of the second training of [ukiyoe](../ukiyoe/README.md), `ukiyoe-bold`
and `ukiyoe-flat` of commit e5edf3c. It started from `bold`:

```sh
kgan train --recipe guided --content photos --style ukiyoe --distill-from bold --distill-also flat \\
    --weight ssim=1 --weight equivariance=15 --weight features=20 --weight gram=0 --weight earth_mover=20 \\
    --weight self_similarity=10 --weight adversarial=2 --weight pixel=8 --weight fine_smoothness=6 \\
    --antialias True --discriminator-colour 0.3 --discriminator-features mobilenet,vgg16 --features vgg16 \\
    --init-from bold --precision bfloat16 --run first
```

2400 steps of batch 8, 572 s on one NVIDIA H200, which it shared with four other trainings, with start and compilation.
Then it learned from `third`, the third training of [ukiyoe](../ukiyoe/README.md):

""",
    after="""\
The exported weights are the mean of the moving average at the last step and of the weights of `flat`, which has
smoother skies and grounds. The scores call [ukiyoe](../ukiyoe/README.md) "baseline".
"""
    + MEAN.format(one="flat", other="last", share=0.5, rest=0.5),
    flattered=BOTH_NETWORKS,
    limits=MOBILE_LIMITS.format(model="ukiyoe"),
    licence="public domain or CC0 photos; [ukiyoe](../ukiyoe/README.md), which lists the files of the prints",
)  # fmt: skip

FLUENT3D_MOBILE = dataclasses.replace(
    FLUENT3D,
    headline="""\
Imitates `fluent3d` with a network for phones and browsers that has a tenth of the size.
It was trained on the results of `fluent3d` only (`--distill-from`). In the table, "baseline" is that model.""",
    formats=("safetensors", "litert"),
    folders={"content": "flat", "distill_from": "fluent3d", "init_from": "first"},
    before="""\
```sh
kgan train --recipe distill --content flat --distill-from fluent3d --size 128 --antialias True --steps 5000 \\
    --precision bfloat16 --run first
```

5000 steps of batch 8, about 190 s on one of two NVIDIA H200, which it shared with up to two other trainings, with start
and compilation. It wove a grid over pictures that are dark all over. Another training ended that, with the same
drawings and 120 plain pictures of one colour, many of them dark:

""",
    limits="""\
- It is milder than its teacher: {no_effect} of its tiles have no effect, and {no_effect_baseline} of the teacher's.
  KID x 1000 is {kid_over} above that of the teacher.
- It is made for emoji on white at 128x128. Other pictures were not tried.""",
)

CARDS = {
    "vangogh": VANGOGH,
    "ukiyoe": UKIYOE,
    "fluent3d": FLUENT3D,
    "vangogh-mobile": VANGOGH_MOBILE,
    "ukiyoe-mobile": UKIYOE_MOBILE,
    "fluent3d-mobile": FLUENT3D_MOBILE,
}


@in_one_line
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("name", choices=CARDS)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("--seconds", type=positive, required=True, help="training time")
    parser.add_argument("--device", required=True)
    words = parser.parse_args()
    folder, card = RunFolder(SAVED_MODELS / words.name), CARDS[words.name]
    config, weights = write_files(words.run, folder, card)
    model = load(words.run)
    pictures = words.pictures
    samples, example = sheet_of_photos(model, pictures, card) if card.names else sheet_of_pairs(model, pictures)
    samples.save(folder.path / "samples.jpg", quality=75, optimize=True, progressive=True)
    write_vectors(model, example, folder.path)
    found = json.loads((words.run / "evaluation.json").read_text(encoding="utf-8"))
    cost = f"{words.seconds} s on {words.device}"
    (folder.path / "README.md").write_text(page(words.name, card, config, weights, found, cost), encoding="utf-8")


def write_files(run: pathlib.Path, folder: RunFolder, card: Card) -> tuple[TrainConfig, int]:
    """Write the model in the card's formats, with float16 weights. Returns its settings and number of weights."""
    folder.path.mkdir(parents=True, exist_ok=True)
    generator, trained = load_generator(run)
    if "safetensors" in card.formats:
        export_weights(generator, folder.weights, half=True)
    if "saved_model" in card.formats:
        export_saved_model(generator, folder.saved_model, half=True)
    if "litert" in card.formats:
        export_litert(generator, folder.litert(half=True), half=True)
    models = {name: path and pathlib.Path(path).name for name, path in
              {"init_from": trained.init_from, "distill_from": trained.distill_from,
               "distill_also": trained.distill_also}.items()}  # fmt: skip
    # A schedule that --minutes shortened is said by its steps.
    config = dataclasses.replace(trained, **models | card.folders, minutes=None, cache=TrainConfig().cache)
    config.save(folder.config_file)
    return config, generator.count_params()


def write_vectors(model: Model, example: np.ndarray, folder: pathlib.Path) -> None:
    """Write a picture and the result of the float32 model, with which the shipped files are compared."""
    save_picture(example, folder / "test_content.png")
    save_picture(model(example), folder / "test_stylized.png")


# --- sheets -----------------------------------------------------------------------------------------------------------


def sheet_of_photos(model: Model, folder: pathlib.Path, card: Card) -> tuple[Image.Image, np.ndarray]:
    """A sheet of photos and results, two pairs per row, and a small picture for the test vectors."""
    photos = [fitted(picture(folder, name), 320, 240) for name in card.names]
    cells = [image for photo in photos for image in (photo, model(photo))]
    return sheet([cells[start : start + 4] for start in range(0, len(cells), 4)]), fitted(photos[0], 96, 72)


def sheet_of_pairs(model: Model, root: pathlib.Path) -> tuple[Image.Image, np.ndarray]:
    """A sheet with rows of flat glyphs, results and 3D renders, and a picture for the test vectors."""
    names = spread(sorted(path.stem for path in (root / "testA").iterdir()), 16)
    flat, real = ([fitted(picture(root / part, name), 128, 128) for name in names] for part in ("testA", "testB"))
    made = list(model(np.stack(flat)))
    rows = [each[start : start + 8] for start in (0, 8) for each in (flat, made, real)]
    return sheet(rows), flat[0]


def spread(names: Sequence[str], count: int) -> list[str]:
    """`count` of the names, spread evenly."""
    return [names[index * len(names) // count] for index in range(count)]


def picture(folder: pathlib.Path, stem: str) -> np.ndarray:
    """uint8 [H, W, 3] of the file with that stem."""
    (path,) = folder.glob(f"{stem}.*")
    return decode_picture(path, 3)


def fitted(photo: np.ndarray, width: int, height: int) -> np.ndarray:
    """The largest centred part of a picture with this aspect ratio, resized to uint8 [height, width, 3]."""
    image, scale = Image.fromarray(photo), max(width / photo.shape[1], height / photo.shape[0])
    cut_width, cut_height = width / scale, height / scale
    left, top = (image.width - cut_width) / 2, (image.height - cut_height) / 2
    box = (left, top, left + cut_width, top + cut_height)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box))


def sheet(rows: list[list[np.ndarray]]) -> Image.Image:
    """Arrange pictures of the same size in rows on white."""
    height, width = rows[0][0].shape[:2]
    whole = Image.new("RGB", (len(rows[0]) * (width + GAP) - GAP, len(rows) * (height + GAP) - GAP), "white")
    for row, pictures in enumerate(rows):
        for column, each in enumerate(pictures):
            whole.paste(Image.fromarray(each), (column * (width + GAP), row * (height + GAP)))
    return whole


# --- the card ---------------------------------------------------------------------------------------------------------


def command(config: TrainConfig) -> str:
    """The `kgan train` command of the model, with the settings that differ from the recipe's defaults."""
    sources = ("content", "style", "data", "distill_from", "distill_also")
    given = {"recipe": config.recipe} | {name: getattr(config, name) for name in sources if getattr(config, name)}
    usual = recipes.resolve(TrainConfig(**given))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in MACHINE and value != getattr(usual, field.name):
            given[field.name] = value
    pairs = [words for name, value in given.items() for words in flags(name.replace("_", "-"), value)]
    parse(TrainConfig, [word for pair in pairs for word in pair], "kgan train")  # raises an error for an unknown option
    return wrapped(["kgan train", *map(shlex.join, pairs)])


def flags(name: str, value) -> list[tuple[str, ...]]:
    """The options of a setting: --size 128, or --weight once for each term."""
    return [(f"--{name}", str(each)) for each in (value if isinstance(value, tuple) else (value,))]


def wrapped(parts: list[str]) -> str:
    """Wrap a command to lines of at most 110 characters."""
    lines = [""]
    for part in parts:
        if len(lines[-1]) + len(part) > 108:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {part}" if lines[-1] else part
    return "\n".join(lines)


def scores(found: dict) -> str:
    """The report's rows as a Markdown table."""
    labels = report.labels(found)
    lines = ["| | " + " | ".join(labels) + " |", "|---" * (len(labels) + 1) + "|"]
    lines += [
        f"| {report.METRICS[name].label} | " + " | ".join(line) + " |" for name, line in report.cells(found).items()
    ]
    return "\n".join(lines)


def limits(card: Card, found: dict) -> str:
    """The text about limits with the numbers of the run."""
    gain, numbers = found["gain"], {}
    if "no_effect" in found["rows"]["model"]:
        numbers["no_effect"] = f"{found['rows']['model']['no_effect']['value']:.0%}"
    if "baseline" in found["rows"]:
        numbers["no_effect_baseline"] = f"{found['rows']['baseline']['no_effect']['value']:.0%}"
        numbers["kid_over"] = report.shown(
            report.METRICS["kid_mobilenet"], found["gain_over_baseline"]["kid_mobilenet"]
        )
    for name in ("ssim", "psnr"):
        if f"truth_{name}" in gain:
            numbers[f"gain_{name}"] = report.shown(report.METRICS[f"truth_{name}"], gain[f"truth_{name}"], True)
    return card.limits.format(**numbers)


def protocol(found: dict) -> str:
    """A description of the measured pictures."""
    side = f"{found['size']}x{found['size']}"
    if found["crops"]:
        photos, styles = found["pictures"] // found["crops"], found["reference"]["pictures"]
        return (
            f"{found['pictures']} random crops, {side}, of {photos} test photos (none of them in the training; three\n"
            f"under CC BY-SA, used to measure only), against {styles} crops of the training's style pictures. Crops\n"
            "of the same picture are similar. The same number of different pictures would have wider intervals."
        )
    return f"{found['pictures']} pairs of the test set (testA, testB), {side}, none of whose glyphs is in the training."


def page(name: str, card: Card, config: TrainConfig, weights: int, found: dict, cost: str) -> str:
    """The model card."""
    return PAGE.substitute(
        name=name,
        cost=cost,
        headline=card.headline,
        caption=card.caption,
        data=card.data,
        licence=card.licence,
        before=card.before,
        after=card.after,
        command=command(config),
        steps=config.steps,
        batch=config.batch_size,
        generator=config.generator,
        filters=config.filters,
        weights=f"{weights:,}",
        blocks=config.blocks,
        protocol=protocol(found),
        real=real(found),
        scores=scores(found),
        flattered=card.flattered or FLATTERED.format(who=WHO[config.recipe]),
        files="\n".join(FILES[each].format(name=name) for each in card.formats),
        pictures=found["reference"]["pictures"],
        limits=limits(card, found),
    )


def real(found: dict) -> str:
    """A description of the column "real"."""
    if found["reference"]["pairs"]:
        return "the true renders (FID and KID: the training's, of other glyphs)"
    return "one half of the style's crops against the other"


if __name__ == "__main__":
    sys.exit(main())
