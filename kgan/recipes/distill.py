"""Knowledge distillation (Hinton et al., https://arxiv.org/abs/1503.02531): a small network imitates a trained model.

This is `paired` with the teacher's results as the truth, which are computed within the step, and no discriminator.

    kgan train --distill-from runs/cyclegan-1 --content photos

The content should be similar to the pictures that the model will restyle. A student of `paired` on the packaged sample
(350 steps for both, on a CPU) reached SSIM 0.993 and PSNR 39.4 dB to its teacher, where the content itself has 0.964
and 27.9. The discriminator of `paired` changed nothing there, and slowed the training for a strong style (450 steps of
batch 8 at 128x128: L1 0.162 instead of 0.145, KID x 1000 to the teacher's pictures 998 instead of 832).

For a painter's strokes, give more weight to deep features and their Gram matrices. After 6000 steps of batch 8 at
256x256 (86 s on an H100 beside six other trainings), a student of a former `vangogh` had a KID x 1000 to the paintings
of 569 with --weight features=3 --weight gram=5 and of 591 without; its teacher had 522.

The teacher can be more than one pass of one model. The student learns the result, and needs one pass for it:

    kgan train --distill-from ukiyoe --distill-also runs/bold --distill-flatten 0.01 --content photos
    kgan train --distill-from vangogh --distill-strokes 1.34 --content photos

--distill-also names a second teacher, and the student learns the mean of the two pictures: stains that only one of them
makes become fainter. With --distill-flatten the teachers see planes of colour instead of fine texture (Xu et al.,
https://doi.org/10.1145/2070781.2024208), which suits prints. With --distill-strokes they paint from coarse to fine, as
`kgan stylize --strokes` does.
"""

import dataclasses

from kgan.recipes import LossTerm
from kgan.recipes.paired import RECIPE as PAIRED

RECIPE = dataclasses.replace(
    PAIRED,
    name="distill",
    help="a small network that learns a trained model's pictures",
    pictures="content",
    teacher=True,
    terms=(LossTerm("pixel", 10.0), LossTerm("ssim", 2.0), LossTerm("features", 1.0)),
    adversarial=None,
    discriminator=None,
    generator="mobile",
    filters=32,
    blocks=7,
    min_crop=0.5,
    learning_rate=1e-3,
)
