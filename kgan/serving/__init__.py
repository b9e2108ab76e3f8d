"""The client of models on TensorFlow Serving."""

from kgan.serving.client import Client

__all__ = ["Client"]
