"""kgan: train a GAN on two folders of pictures, get a model that turns one kind into the other."""

__version__ = "0.1.0"


def load(model):
    """A trained model, ready to use: `kgan.load("runs/cyclegan-1")(array)`. See `kgan.inference.stylize.load`."""
    from kgan.inference.stylize import load as load_model

    return load_model(model)
