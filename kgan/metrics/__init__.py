"""Metrics of pairs of pictures, of sets of pictures and of artefacts."""

from kgan.metrics.pairs import SSIM_WINDOW, mse, psnr, ssim, structure

__all__ = ["SSIM_WINDOW", "mse", "psnr", "ssim", "structure"]
