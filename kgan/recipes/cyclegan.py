"""CycleGAN (Zhu et al., https://arxiv.org/abs/1703.10593): two generators, cycle consistency, image pool, linear
decay. Differs: resize + convolution instead of transposed convolution (no checkerboard); EMA generator.

    kgan train --recipe cyclegan --content photos --style vangogh

One H100, bfloat16: 157 images/s at 256x256, batch 8; four of them 523 (docs/benchmarks.md). One core of a CPU, 128x128,
16 filters, 4 blocks, from 64 photos and nine paintings: 4000 steps of batch 1 in 28 minutes; KID x 1000 1272, the
photos themselves 1047 (it draws patterns along edges), and more than half of the way to the style.

--residual True starts both generators from the identity. Where the pictures to make are near to the content, that keeps
them so: flat to 3D emoji, unpaired, 128x128, 4500 steps of batch 8 in 2 minutes on that GPU (--min-crop 1): SSIM 0.799,
PSNR 21.1 dB to the truth; the content itself 0.793 and 19.8. Paintings are far, and there photos stayed photos, with
red and yellow dots (docs/benchmarks.md).
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
