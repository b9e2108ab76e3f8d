"""CycleGAN (Zhu et al., https://arxiv.org/abs/1703.10593): two generators, cycle consistency, image pool, linear decay.

Differences to the paper: resize + convolution instead of transposed convolution (no checkerboard), EMA generator.

    kgan train --recipe cyclegan --content photos --style vangogh

One H100, bfloat16: 157 images/s at 256x256, batch 8; four H100: 523 (docs/benchmarks.md). On one core of a CPU, at
128x128 with 16 filters and 4 blocks, from 64 photos and nine paintings, 4000 steps of batch 1 took 28 minutes. KID
x 1000 is 1272, because it draws patterns along edges, and 1047 for the photos themselves. It reached more than half of
the way to the style.

--residual True starts both generators from the identity. This helps if the style is similar to the content: flat to 3D
emoji, unpaired, 128x128, 4500 steps of batch 8 in 2 minutes on that GPU (--min-crop 1) gave SSIM 0.799 and PSNR 21.1 dB
to the truth, where the content itself has 0.793 and 19.8. Paintings are too different: photos stayed photos, with red
and yellow dots (docs/benchmarks.md).
"""

from kgan.recipes import LossTerm, Recipe

RECIPE = Recipe(
    name="cyclegan",
    help="CycleGAN: two generators, cycle consistency",
    topology="two_way",
    pictures="unpaired",
    terms=(LossTerm("cycle", 10.0), LossTerm("identity", 5.0)),
    image_pool=50,
)
