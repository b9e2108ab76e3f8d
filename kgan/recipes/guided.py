"""`distill` with a discriminator: the teacher gives scene and colours, style pictures give strokes and lines.

A student that only imitates its teacher is softer than it, because it cannot predict where each stroke falls. Here a
discriminator on pretrained features (https://arxiv.org/abs/2111.01007) compares its pictures with those of the style,
and so does the Gram term. The other terms compare with the teacher.

    kgan train --distill-from runs/first --distill-also runs/bold --distill-strokes 1.34 \\
        --content photos --style paintings --style-max-crop 0.75

64 photos and nine paintings by Van Gogh, 2400 steps of batch 8, on 60 crops of ten other photos: 19% of their tiles had
no effect, and KID x 1000 to the paintings was 586 in MobileNet's features. A student of the same teacher by `distill`,
with a larger network, had 45% and 670. On two H200, which two trainings shared each, 2400 steps took 81 s, and
compilation by XLA up to 5 minutes; without it (--jit False) the steps take five times as long or more.

For prints, --discriminator-colour 0 and --weight gram=0 leave the colours to the teacher, so that animals get fewer
stains of red and blue.

`vangogh` and `ukiyoe` were trained with terms on VGG16's features, which single positions must meet: --features vgg16
--weight features=20 --weight gram=0 --weight earth_mover=40 --weight self_similarity=10 --weight fine_smoothness=3. Two
voters preferred both to models without a teacher, 15 to 20 times of 20 (docs/models.md).
"""

import dataclasses

from kgan.recipes import LossTerm
from kgan.recipes.projected import RECIPE as PROJECTED

RECIPE = dataclasses.replace(
    PROJECTED,
    name="guided",
    help="distill with a discriminator that sees style pictures",
    teacher=True,
    terms=(
        LossTerm("adversarial", 2.0), LossTerm("pixel", 10.0), LossTerm("ssim", 2.0), LossTerm("features", 3.0),
        LossTerm("gram", 5.0), LossTerm("equivariance", 15.0),
    ),
    generator="mobile",
    blocks=7,
    min_crop=0.3,
    learning_rate=5e-4,
    steps=2400,
)  # fmt: skip
