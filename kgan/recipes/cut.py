"""CUT, contrastive unpaired translation (Park et al., https://arxiv.org/abs/2007.15651), with one generator.

In the generator's features, each position of a stylized picture must be more similar to the same position of the
content than to other positions. The same holds for a restyled style picture and itself.

    kgan train --recipe cut --content photos --style vangogh

Differences to the paper: features are taken after norm and activation, and after the stride. The 256 positions of a
layer are spread over the picture, one in each 256th of it. Resize + convolution (no checkerboard), and an EMA
generator. The losses of the layers are averaged, as in the authors' program, which also halves both terms
(--weight nce=0.5 --weight nce_identity=0.5).

One H100, bfloat16, 256x256, 32 filters and 6 blocks: 2800 steps of batch 8 took 67 s beside two other trainings on the
same GPU. --residual True starts from the identity, where each position already matches best, and stays near it: KID
x 1000 is 901 with nine paintings (measured as for `projected`, after 3200 steps), and 1047 for the photos themselves.
Without it, the style appears in minutes: on one core of a CPU, at 128x128 with 16 filters and 4 blocks, 4000 steps of
batch 1 took 16 minutes and gave 943, and 992 with --residual True (docs/benchmarks.md).
"""

from kgan.recipes import LossTerm, Recipe

RECIPE = Recipe(
    name="cut",
    help="contrastive unpaired translation",
    topology="one_way",
    pictures="unpaired",
    terms=(LossTerm("nce", 1.0), LossTerm("nce_identity", 1.0)),
)
