"""A small network learns to make a trained model's pictures: `paired`, with the teacher's pictures for the truth, made
within the step, and no judge. Knowledge distillation, Hinton et al., https://arxiv.org/abs/1503.02531.

    kgan train --distill-from runs/cyclegan-1 --content photos

Any pictures like those that the model will see do for content. A student of `paired` on the packaged sample (350 steps
of both, on a CPU) came to SSIM 0.993 and PSNR 39.4 dB to its teacher; the content itself 0.964 and 27.9. `paired`'s
judge beside it changed nothing there, and slowed the learning of a strong style (450 steps of batch 8 at 128x128: L1
0.162 instead of 0.145, KID x 1000 to the teacher's pictures 998 instead of 832).

For a painter's strokes, more weight on deep features and their Gram matrices: after 6000 steps of batch 8 at 256x256
(86 s on an H100 beside six other trainings) a student of `vangogh` had a KID x 1000 to the paintings of 569 with
--weight features=3 --weight gram=5, of 591 without, its teacher 522.
"""

import dataclasses

from kgan.recipes import LossTerm
from kgan.recipes.paired import RECIPE as PAIRED

RECIPE = dataclasses.replace(
    PAIRED,
    name="distill",
    help="a small network that learns a trained model's pictures",
    pictures="content",
    terms=(LossTerm("pixel", 10.0), LossTerm("ssim", 2.0), LossTerm("features", 1.0)),
    adversarial=None,
    discriminator=None,
    generator="mobile",
    filters=32,
    blocks=7,
    min_crop=0.5,
    learning_rate=1e-3,
)
