"""Pretrained features (placeholder until the packaged trunk lands in the next commit)."""


class FeatureExtractor:
    pass


def build(name, weights):
    raise NotImplementedError
