"""Weights in float32 and in float16."""

from kgan.export.litert.source import Source
from kgan.kinds import WEIGHTS


@WEIGHTS.add(help="float32 throughout", least_ssim=0.999, bytes_per_weight=4)
def float32(source: Source) -> bytes:
    """The model as it is."""
    return source.content


@WEIGHTS.add(
    help="weights float16; computes in float32 on CPUs, in float16 on GPUs", least_ssim=0.99, bytes_per_weight=2
)
def float16(source: Source) -> bytes:
    """The model as TensorFlow's converter writes it with float16 weights."""
    return source.half()
