"""LiteRT files: converted, checked against Keras, and described."""
