"""`projected` with a loss on the style's Gram matrices (Gatys et al., https://arxiv.org/abs/1508.06576).

The Gram matrices of whole batches are compared, and restyled style pictures may differ from the originals. The results
have the palette of a painter or printmaker, more than the brushwork.

    kgan train --recipe painting --content photos --style prints

One H100, bfloat16, 256x256: 3200 steps of batch 8 took 2 minutes beside another training on the same GPU (250
images/s). From 64 photos and nine paintings, on 120 crops of ten other photos, KID x 1000 against 108 crops of the
paintings (in MobileNet's features, which the discriminator uses too) was 432 for Hokusai and Hiroshige, where the
photos themselves have 915, and 522 for Van Gogh, where the photos have 1047.

Even areas get patches with hard edges. --weight smoothness=20 softens them, with a KID of 570 (2714 steps,
--max-crop 0.6, nce=0.5).
"""

import dataclasses

from kgan.recipes import LossTerm
from kgan.recipes.projected import RECIPE as PROJECTED

RECIPE = dataclasses.replace(
    PROJECTED,
    name="painting",
    help="projected, held to the palette of a painter by Gram matrices",
    terms=(LossTerm("nce", 1.0), LossTerm("gram", 20.0)),
    min_crop=0.3,
)
