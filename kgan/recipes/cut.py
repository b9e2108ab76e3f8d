"""Contrastive unpaired translation (CUT, Park et al., https://arxiv.org/abs/2007.15651): one generator; by its own
features each place of a stylized picture must be told from the other places of the content, and a style picture,
restyled, from its own other places.

    kgan train --recipe cut --content photos --style vangogh

Differs: features are taken after norm and activation, and after the stride; the 256 places of a layer are spread over
the picture, one in each 256th of it; resize + convolution (no checkerboard); EMA generator. The layers' losses are
averaged, as in the authors' program, which halves both terms as well (--weight nce=0.5 --weight nce_identity=0.5).

One H100, bfloat16, 256x256, 32 filters and 6 blocks: 2800 steps of batch 8 in 67 s beside two other trainings on the
same GPU. --residual True starts from the identity, where each place already matches best, and stays near it: from nine
paintings (scored as `projected` is, after 3200 steps) KID x 1000 901, the photos themselves 1047. Without it the hand
shows in minutes: one core of a CPU, 128x128, 16 filters, 4 blocks, 4000 steps of batch 1 in 16 minutes: 943, with
--residual True 992 (docs/benchmarks.md).
"""

from kgan.recipes import LossTerm, Recipe

RECIPE = Recipe(
    name="cut",
    help="contrastive unpaired translation",
    topology="one_way",
    pictures="unpaired",
    terms=(LossTerm("nce", 1.0), LossTerm("nce_identity", 1.0)),
)
