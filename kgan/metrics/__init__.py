"""What pictures are worth in numbers: of pairs, of sets, and of artefacts."""

from kgan.metrics.pairs import SSIM_WINDOW, mse, psnr, ssim, structure

__all__ = ["SSIM_WINDOW", "mse", "psnr", "ssim", "structure"]
