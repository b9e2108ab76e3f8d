"""Models that run elsewhere: the client of TensorFlow Serving, and the files that such a deployment needs."""

from kgan.serving.client import Client

__all__ = ["Client"]
