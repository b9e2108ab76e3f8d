"""Make kgan/data/sample.zip from a folder with Fluent emoji as 256x256 pictures on white (the data set's maker only).

    python scripts/make_sample.py FLUENT kgan/data/sample.zip

FLUENT contains pairedA (flat) and pairedB (3D) with equal file names, and trainA and trainB, whose glyphs are the first
and the second half. No glyph or variant of a glyph is in both. testA and testB contain pairs of other glyphs. The
folders in the zip are half1/flat, half1/3d, half2/flat, half2/3d, test/flat and test/3d.
"""

import argparse
import io
import pathlib
import re
import sys
import zipfile

from PIL import Image
from words import in_one_line

SIZE, QUALITY = 128, 91
VARIANT = re.compile("1f3f[b-f]|200d-264[02]|^1f46[89]-")  # a skin tone, a gender sign, a man's or woman's profession
# Chosen by eye from the test glyphs: varied, in line with each other, and of the same colours in both styles.
TEST = """1f920 1f43c 1f41e 1f5f3 1f34f 1f6c5 1f3ac 1f9ca 1f479 1f6fc 1f64a 1f9dd 1f92c 1f959 1f69f 1f30c 1f967 1f454
1f372 1f4a6 1f3ed 1f46e 1f98e 1f38f 1f413 2649 1f3b1 1f928 1f6cf 1f695 1fa87 1f19a 1f412 1f6a6 1f35b 1f9a3 1f453 1f30b
1f379 1faf4 1f9d4 1f401 1f9c9 2602 2763 1f40e 1f6c1 1f99f 1fab4 1f6f4 1f4c1 1f5b2""".split()  # noqa: SIM905


def chosen(folder: pathlib.Path) -> list[str]:
    """The stems of the base glyphs in a folder. Variants of a glyph are left out, because they add little variety."""
    return sorted(path.stem for path in folder.glob("*.webp") if not VARIANT.search(path.stem))


def small(path: pathlib.Path) -> bytes:
    """The picture at `SIZE` x `SIZE`, as a WebP file."""
    buffer = io.BytesIO()
    image = Image.open(path).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)
    image.save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


@in_one_line
def main() -> None:
    """Write the archive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fluent", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    options = parser.parse_args()
    fluent, output = options.fluent, options.output
    parts = {"half1": chosen(fluent / "trainA"), "half2": chosen(fluent / "trainB"), "test": sorted(TEST)}
    with zipfile.ZipFile(output, "w", zipfile.ZIP_STORED) as archive:  # WebP does not shrink further
        for part, stems in parts.items():
            for style, letter in (("flat", "A"), ("3d", "B")):
                source = fluent / (("test" if part == "test" else "paired") + letter)
                for stem in stems:  # ZipInfo's fixed date makes equal input give equal bytes
                    archive.writestr(zipfile.ZipInfo(f"{part}/{style}/{stem}.webp"), small(source / f"{stem}.webp"))
    counts = ", ".join(f"{part} {len(stems)}" for part, stems in parts.items())
    print(f"{output}: pairs: {counts}; {output.stat().st_size} bytes")


if __name__ == "__main__":
    sys.exit(main())
