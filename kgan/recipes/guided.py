"""`distill` with style pictures: the teacher holds scene and colours, a discriminator asks for the style's own texture.

A student that only imitates its teacher is softer than it, since it cannot predict where each stroke falls. Here a
discriminator on pretrained features (https://arxiv.org/abs/2111.01007) sees the style pictures.

    kgan train --distill-from vangogh --distill-also vangogh-bold --content photos --style paintings
"""

import dataclasses

from kgan.recipes import LossTerm
from kgan.recipes.projected import RECIPE as PROJECTED

RECIPE = dataclasses.replace(
    PROJECTED,
    name="guided",
    help="distill with style pictures that a discriminator sees",
    teacher=True,
    terms=(LossTerm("pixel", 10.0), LossTerm("ssim", 2.0), LossTerm("features", 3.0), LossTerm("gram", 5.0)),
    min_crop=0.3,
)
