"""The source article, item by item: noise beside the content, Adam for G, RMSProp for D, SSIM and pretrained
features against the content, cross entropy on real and Wasserstein on stylized pictures, MMD.

    kgan train --recipe article --content photos --style vangogh

One H100, bfloat16: 4000 steps of batch 8 at 128x128 in 81 s beside two other trainings on the same GPU. With
--generator-weight 1 the scene was lost in broad strokes (64 photos, nine paintings; 120 crops of ten other photos,
256x256: SSIM to the content 0.13, KID x 1000 against 108 crops of the paintings 1422, the photos themselves 1047).
Hence 10: a small network (16 filters) kept it, garishly, after 400 steps of batch 4 on a CPU, and not with 1.
"""

from kgan.recipes import LossTerm, Recipe

RECIPE = Recipe(
    name="article",
    help="the source article: cross entropy, Wasserstein, SSIM, features and MMD",
    topology="one_way",
    pictures="unpaired",
    terms=(LossTerm("ssim", 1.0), LossTerm("features", 1.0), LossTerm("mmd", 1.0)),
    adversarial="article",
    fresh_noise=True,
    generator_weight=10.0,
    generator="article",
    discriminator="article",
    filters=32,
    blocks=2,
    norm="batch",
    upsample="transpose",
    noise_channels=8,
    size=128,
    batch_size=8,
    discriminator_optimizer="rmsprop",
)
