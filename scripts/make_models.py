"""Make a folder of saved_models/ from a training run: small files, test vectors, a sheet of pictures, a model card.

    python scripts/make_models.py RUN NAME PICTURES --seconds 104 --device "one NVIDIA H100 (80 GB)"

RUN is a run folder with its evaluation.json; NAME one of CARDS below, from which the card has its words, while its
numbers are the run's. PICTURES is a folder with the pictures of the sheet, or for pairs a root with testA and testB.
"""

import argparse
import dataclasses
import json
import pathlib
import shlex
import string
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kgan.evaluation import report
from kgan.export import Model, export_litert, export_saved_model, load, load_generator
from kgan.images.decoding import decode_picture
from kgan.images.pictures import save_picture
from kgan.parsing import parse
from kgan.runs import recipes
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig

SAVED_MODELS = pathlib.Path(__file__).parents[1] / "saved_models"
MACHINE = {"cache", "run", "resume", "stop_after", "devices", "jit", "deterministic", "keep_checkpoints",
           "sample_every", "checkpoint_every", "log_every", "recipe", "content", "style", "data", "seed"}  # fmt: skip
"""Settings that a command need not repeat to make the same model."""

GAP, LABEL = 6, 22
"""Pixels between the pictures of a sheet, and of a line of text on it."""

PHOTOS = """\
Content: 64 photos of the Debian package gcompris-qt-data 3.1-2 ([GCompris](https://gcompris.net)), those whose authors
put them in the public domain or under CC0; none that asks for credit. Their authors are named in
[docs/models.md](../../docs/models.md#the-photos)."""

FLATTERED = """\
FID and KID are distances between features of a MobileNet: of the very network through which {who}.
A model that was trained against a network's features scores better in them than it looks: compare these two numbers
with models trained likewise only, and believe the pictures."""

WHO = {
    "projected": "the discriminator of this\ntraining looks",
    "painting": "the discriminator of this\ntraining looks (`--discriminator projected`), and its Gram term as well",
    "distill": "the discriminator of its\nteacher's training looked, and its own feature loss",
}
"""By recipe, what looked through the network in whose features FID and KID are measured."""


@dataclasses.dataclass(frozen=True)
class Card:
    """What the run itself does not know; texts are Markdown."""

    headline: str
    folders: dict[str, str]
    """What a user calls the folders of the training, by setting."""
    data: str
    limits: str
    licence: str
    names: tuple[str, ...]
    """Stems of the sheet's pictures."""
    caption: str
    before: str = ""
    """The training whose weights this one began with (`--init-from first`)."""


SHOWN = ("farm_owl", "monument_machuPicchu", "sea6", "world_hedgehog", "monument_wormsCathedral", "world_moose")

VANGOGH = Card(
    headline="Photos in the palette and brushwork of Vincent van Gogh.",
    folders={"content": "photos", "style": "vangogh"},
    data=PHOTOS
    + """

Style: nine paintings by Vincent van Gogh (died 1890), in the public domain by age, 362 to 654 pixels wide. The
files come from the same package; it declares eight of them (activity `details`) as "Copyright 2000, 2008 Bruno
Coudoin and others, License: Public domain, based on an original painting by Van Gogh", and Village Street in Auvers
(activity `paintings`) as "Copyright 1994-2006 Nicolas Pioch, Copyright 2008 Bruno Coudoin, License: GPLv3 or later.
All the paintings are from the WebMuseum." Changes: puzzle pieces joined, cropped, re-encoded.""",
    limits="""\
- Grass and leaves turn yellow in patches, skin and fur orange, shadows red brown; `--keep-colour` keeps the photo's
  colours.
- On even grounds a fine weave shows at full size (meter `Checkerboard`: {checkerboard}), in bright clouds dark cracks;
  where a photo is strongly compressed, the blocks of its JPEG or WebP.
- Small faces lose their features.
- Strokes are as wide as in the training's crops, some five to ten pixels: fine-grained on a photo of 1000 pixels and
  more. `kgan stylize --strokes 2` draws them twice as broad (docs/models.md shows both).
- Learned from nine pictures: it knows the habits of those, not the painter.""",
    licence="public domain or CC0 photos; the paintings' files as above",
    names=SHOWN,
    caption="public-domain photos that it has not seen",
)

UKIYOE = dataclasses.replace(
    VANGOGH,
    headline="Photos as Japanese colour woodblock prints: flat inks, dark contours, faded paper.",
    folders={"content": "photos", "style": "ukiyoe"},
    data=PHOTOS
    + """

Style: nine prints, seven by Katsushika Hokusai (died 1849) and two by Utagawa Hiroshige (died 1858), in the public
domain by age, 278 to 713 pixels wide. The files come from the same package (activity `paintings`), which declares
them as "Copyright 1994-2006 Nicolas Pioch, Copyright 2008 Bruno Coudoin, License: GPLv3 or later. All the paintings
are from the WebMuseum." Changes: puzzle pieces joined, cropped, re-encoded.""",
    limits="""\
- Bright areas become paper, grounds of middle brightness islands of dark blue, with edges that the photo does not have;
  on blurred or dark grounds the blocks of a photo's JPEG or WebP compression come out as right-angled blotches.
- The brightest spots, and some edges, get patches of pale yellow.
- Colours are the prints' few: greens and reds fade. `--keep-colour` keeps the photo's.
- Specks appear on flat ground: {droplets} outlying pixels in 1000 (meter `Droplets`), where the photos have
  {droplets_before}, and the prints themselves {droplets_real}.
- Contours follow the photo's edges, so fur and foliage become dense hatching; small faces lose their features. On
  photos of 1000 pixels and more `kgan stylize --strokes 2` gives broader contours and calmer grounds.
- Learned from nine pictures: it knows the habits of those, not of a century of prints.""",
)

FLUENT3D = Card(
    headline="Flat emoji as 3D renders, learned without pairs.",
    folders={"data": "fluent"},
    data="""\
[Fluent Emoji](https://github.com/microsoft/fluentui-emoji) by Microsoft Corporation, MIT licence: 851 flat drawings
(npm @iconify-json/fluent-emoji-flat 1.2.6) and 857 3D renders (npm @lobehub/fluent-emoji-3d 1.1.0, LobeHub, MIT) of
other glyphs: no glyph, nor a variant of one, is in both. Changes: rasterised at 256x256, on white, re-encoded. The
MIT licence text is that of [kgan/data/sample.NOTICE](../../kgan/data/sample.NOTICE), whose pictures have the same
source.""",
    limits="""\
- It shades, rounds and lights what is there, from the right as the renders are; it moves nothing and adds no new parts,
  so glyphs whose 3D render is drawn otherwise (the panda's outlines) keep their drawing.
- White parts get a faint violet tinge, some black ones dim coloured spots, some edges a faint fringe on the white
  around them.
- Made for emoji on white at 128x128, trained unmirrored; at 256x256 it was looked at: milder, and clean.
- Without pairs it gained {gain_ssim} SSIM and {gain_psnr} dB. From pairs (`--recipe paired`, 3600
  steps, 64 filters, 9 blocks) a network came to SSIM 0.841 and 22.9 dB: how hues and outlines of a glyph differ in 3D
  can be learned from pairs alone.
- Seeds 1 and 2 of the same command: SSIM 0.814 and 0.816, 21.16 and 21.18 dB, KID x 1000 -33 and -32.""",
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
kgan train --init-from $name ...      # goes on from these weights
```

`kgan.load("$name")` gives a function of pictures: uint8 or float in [0, 1], any size, same size out.

## Data and licences

$data

## Training

$before```sh
$command
```

$steps steps of batch $batch, $cost; compile time apart.
Exported is the moving average of the generator's last weights, not a best one chosen by score. Generator:
`$generator`, $filters filters, $blocks residual blocks, $weights weights.

## Scores

$protocol
In brackets: 95% bootstrap intervals. "Content as it is" is the input itself, "stylized - content" the paired
difference, "real" $real.
FID, KID, MSE and the artefact meters (from Checkerboard on): less is better.

$scores

$flattered

$pictures pictures are too few for FID: it is biased upwards, KID is not. The weights are rounded to float16, which
changes no pixel of the test picture by more than 2 of 255 levels.

## Limits

$limits

## Files

| file | what it is |
|---|---|
| `saved_model/` | SavedModel, weights in float16, arithmetic in float32; signatures `serving_default` (uint8), \
`serving_float`, `serving_bytes` |
| `model_float16.tflite` | LiteRT, weights in float16; `image` in, `stylized` out, float32 [N, H, W, 3] in [0, 1] |
| `config.json` | settings of the training |
| `test_content.png`, `test_stylized.png` | a picture and what the model made of it in float32 |

Made by `scripts/make_models.py`. Licence of the weights: as kgan's (Apache-2.0). Learned from: $licence.
""")

SMALL = """
It learned from the pictures of `{teacher}` alone (`--distill-from`); in the table, "baseline" is that model."""

VANGOGH_MOBILE = dataclasses.replace(
    VANGOGH,
    headline="What `vangogh` makes, from a network for phones and browsers of a tenth the size."
    + SMALL.format(teacher="vangogh"),
    folders={"content": "photos", "distill_from": "vangogh", "init_from": "earlier"},
    before="""\
```sh
kgan train --distill-from first --content photos --min-crop 0.3 --weight features=3 --weight gram=5 --steps 6000 \\
    --precision bfloat16 --run earlier
```

6000 steps of batch 8, 86 s on one NVIDIA H100 (80 GB), which it shared with six other trainings; compile time apart.
`first` was an earlier `vangogh` (`--recipe painting --steps 3200`), after whose second training 300 steps followed on a
CPU. Then, with the teacher that comes with kgan:

""",
    data=PHOTOS + "\n\nIts teacher's paintings: see [vangogh](../vangogh/README.md).",
    limits="""\
- Milder than its teacher: of the way to the style it goes {style}, the teacher {style_baseline} ("Style reached"); KID
  x 1000 is {kid_over} above the teacher's.
- Otherwise the limits are those of [vangogh](../vangogh/README.md).""",
    licence="public domain or CC0 photos; [vangogh](../vangogh/README.md), whose paintings' files are named there",
)

FLUENT3D_MOBILE = dataclasses.replace(
    FLUENT3D,
    headline="What `fluent3d` makes, from a network for phones and browsers of a tenth the size."
    + SMALL.format(teacher="fluent3d"),
    folders={"content": "flat"},
    limits="""\
- Milder than its teacher: of the way to the style it goes {style}, the teacher {style_baseline} ("Style reached"); KID
  x 1000 is {kid_over} above the teacher's. It leaves out what the teacher scatters, and is nearer to
  the truth for it (SSIM, PSNR).
- Made for emoji on white at 128x128; nothing else was tried.""",
)

CARDS = {
    "vangogh": VANGOGH,
    "ukiyoe": UKIYOE,
    "fluent3d": FLUENT3D,
    "vangogh-mobile": VANGOGH_MOBILE,
    "fluent3d-mobile": FLUENT3D_MOBILE,
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("name", choices=CARDS)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, required=True, help="what the training took, compile time apart")
    parser.add_argument("--device", required=True)
    words = parser.parse_args()
    folder, card = RunFolder(SAVED_MODELS / words.name), CARDS[words.name]
    config, weights = write_files(words.run, folder, card)
    model = load(words.run)
    shown = sheet_of_pairs if card.names == () else sheet_of_photos
    sheet, example = shown(model, words.pictures, card)
    sheet.save(folder.path / "samples.jpg", quality=75, optimize=True, progressive=True)
    write_vectors(model, example, folder.path)
    found = json.loads((words.run / "evaluation.json").read_text(encoding="utf-8"))
    cost = f"{words.seconds} s on {words.device}"
    (folder.path / "README.md").write_text(page(words.name, card, config, weights, found, cost), encoding="utf-8")


def write_files(run: pathlib.Path, folder: RunFolder, card: Card) -> tuple[TrainConfig, int]:
    """The model as SavedModel and .tflite with weights in float16; returns its settings and how many weights it has."""
    folder.path.mkdir(parents=True, exist_ok=True)
    generator, trained = load_generator(run)
    export_saved_model(generator, folder.saved_model, half=True)
    export_litert(generator, folder.litert(half=True), half=True)
    models = {name: path and pathlib.Path(path).name for name, path in
              {"init_from": trained.init_from, "distill_from": trained.distill_from}.items()}  # fmt: skip
    config = dataclasses.replace(trained, **card.folders, **models, cache=TrainConfig().cache)
    config.save(folder.config_file)
    return config, generator.count_params()


def write_vectors(model: Model, example: np.ndarray, folder: pathlib.Path) -> None:
    """A picture and what the float32 model makes of it: what the shipped files are held against."""
    save_picture(example, folder / "test_content.png")
    save_picture(model(example), folder / "test_stylized.png")


# --- sheets -----------------------------------------------------------------------------------------------------------


def sheet_of_photos(model: Model, folder: pathlib.Path, card: Card) -> tuple[Image.Image, np.ndarray]:
    """Photos beside what the model makes of them, two pairs a row; and a small picture for the test vectors."""
    photos = [fitted(picture(folder, name), 320, 240) for name in card.names]
    cells = [image for photo in photos for image in (photo, model(photo))]
    return sheet([cells[start : start + 4] for start in range(0, len(cells), 4)]), fitted(photos[0], 96, 72)


def sheet_of_pairs(model: Model, root: pathlib.Path, card: Card) -> tuple[Image.Image, np.ndarray]:
    """Rows of flat glyphs, of what the model makes of them, and of their 3D renders."""
    names = card.names or spread(sorted(path.stem for path in (root / "testA").iterdir()), 16)
    flat, real = ([fitted(picture(root / part, name), 128, 128) for name in names] for part in ("testA", "testB"))
    made = list(model(np.stack(flat)))
    rows = [each[start : start + 8] for start in (0, 8) for each in (flat, made, real)]
    return sheet(rows), flat[0]


def spread(names: Sequence[str], count: int) -> list[str]:
    """So many of the names, evenly."""
    return [names[index * len(names) // count] for index in range(count)]


def picture(folder: pathlib.Path, stem: str) -> np.ndarray:
    """uint8 [H, W, 3] of the file with that stem."""
    (path,) = folder.glob(f"{stem}.*")
    return decode_picture(path, 3)


def fitted(photo: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 [height, width, 3]: the middle of the picture, as much as the shape allows."""
    image, scale = Image.fromarray(photo), max(width / photo.shape[1], height / photo.shape[0])
    cut_width, cut_height = width / scale, height / scale
    left, top = (image.width - cut_width) / 2, (image.height - cut_height) / 2
    box = (left, top, left + cut_width, top + cut_height)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box))


def sheet(rows: list[list[np.ndarray]], labels: Sequence[str] = ()) -> Image.Image:
    """Pictures of one size in rows, on white; with labels, one above each column."""
    height, width = rows[0][0].shape[:2]
    top = LABEL if labels else 0
    whole = Image.new("RGB", (len(rows[0]) * (width + GAP) - GAP, top + len(rows) * (height + GAP) - GAP), "white")
    draw = ImageDraw.Draw(whole)
    for column, label in enumerate(labels):
        draw.text((column * (width + GAP) + 2, 2), label, fill=(60, 60, 60), font=ImageFont.load_default(14))
    for row, pictures in enumerate(rows):
        for column, each in enumerate(pictures):
            whole.paste(Image.fromarray(each), (column * (width + GAP), top + row * (height + GAP)))
    return whole


# --- the card ---------------------------------------------------------------------------------------------------------


def command(config: TrainConfig) -> str:
    """The `kgan train` that makes the model: what differs from the recipe's defaults."""
    sources = ("content", "style", "data", "distill_from")
    given = {"recipe": config.recipe} | {name: getattr(config, name) for name in sources if getattr(config, name)}
    usual = recipes.resolve(TrainConfig(**given))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in MACHINE and value != getattr(usual, field.name):
            given[field.name] = value
    pairs = [words for name, value in given.items() for words in flags(name.replace("_", "-"), value)]
    parse(TrainConfig, [word for pair in pairs for word in pair], "kgan train")  # the card names no flag that is none
    return wrapped(["kgan train", *map(shlex.join, pairs)])


def flags(name: str, value) -> list[tuple[str, ...]]:
    """How a setting is given: --size 128, and --weight once for each term."""
    return [(f"--{name}", str(each)) for each in (value if isinstance(value, tuple) else (value,))]


def wrapped(parts: list[str]) -> str:
    """A command on lines of at most 110 characters."""
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
    """The card's words with the run's numbers."""
    model, before, gain = found["rows"]["model"], found["rows"]["identity"], found["gain"]
    numbers = {name: f"{model[name]['value']:.2f}" for name in ("checkerboard", "droplets")}
    numbers |= {"droplets_real": f"{found['rows']['truth']['droplets']['value']:.2f}"}
    numbers |= {f"{name}_before": f"{before[name]['value']:.2f}" for name in ("checkerboard", "droplets")}
    if "baseline" in found["rows"]:
        numbers["style"] = f"{model['style_reached']['value']:.2f}"
        numbers["style_baseline"] = f"{found['rows']['baseline']['style_reached']['value']:.2f}"
        numbers["kid_over"] = report.shown(
            report.METRICS["kid_mobilenet"], found["gain_over_baseline"]["kid_mobilenet"]
        )
    for name in ("ssim", "psnr"):
        if f"truth_{name}" in gain:
            numbers[f"gain_{name}"] = report.shown(report.METRICS[f"truth_{name}"], gain[f"truth_{name}"], True)
    return card.limits.format(**numbers)


def protocol(found: dict) -> str:
    """What was measured, in a sentence or two."""
    side = f"{found['size']}x{found['size']}"
    if found["crops"]:
        photos, styles = found["pictures"] // found["crops"], found["reference"]["pictures"]
        return (
            f"{found['pictures']} random crops, {side}, of {photos} test photos (none of them in the training; three\n"
            f"under CC BY-SA, used to measure only), against {styles} crops of the training's style pictures. Crops\n"
            "of one picture are alike: as many pictures would have wider intervals."
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
        flattered=FLATTERED.format(who=WHO[config.recipe]),
        pictures=found["reference"]["pictures"],
        limits=limits(card, found),
    )


def real(found: dict) -> str:
    """What the third column is."""
    if found["reference"]["pairs"]:
        return "the true renders (FID and KID: the training's, of other glyphs)"
    return "one half of the style's crops against the other"


if __name__ == "__main__":
    main()
