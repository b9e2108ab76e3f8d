"""Regularization networks R: from pictures [N, H, W, C] in [-1, 1] to float32 embeddings [N, D] for the MMD.

He's initializer keeps the scale of the signal, so that even a frozen random R distinguishes distributions.
"""

import keras
from keras import ops

from kgan.kinds import REGULARIZERS
from kgan.networks import layers
from kgan.networks.norms import normalization
from kgan.precision import precise


@REGULARIZERS.add("conv", help="convolutions + ReLU")
@keras.saving.register_keras_serializable(package="kgan")
class ConvRegularizer(keras.Model):
    """Strided convolutions + ReLU, averaged over H and W. The D = 8 * filters statistics describe colours and textures.

    Args:
        filters: filters of the first layer.
    """

    def __init__(self, filters: int = 32, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.sequence = [
            layers.ConvBlock(filters * 2**level, 3, 2, "none", dtype=self.dtype_policy, name=f"block_{level}")
            for level in range(4)
        ]

    def build(self, input_shape):
        layers.build_in_order(self.sequence, input_shape)

    def call(self, pictures, training=False):
        maps = layers.run(self.sequence, pictures, training)
        return ops.mean(precise(maps), axis=(1, 2))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@REGULARIZERS.add("dense", help="fully connected + batch norm + ReLU")
@keras.saving.register_keras_serializable(package="kgan")
class DenseRegularizer(keras.Model):
    """Fully connected + batch norm + ReLU on the picture averaged to 16x16, with D = 8 * filters.

    With `training=False`, for a frozen R, batch norm has its initial statistics and has no effect.

    Args:
        filters: an eighth of the length of embeddings.
    """

    grid = 16

    def __init__(self, filters: int = 32, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.sequence = []
        for n in (1, 2):
            self.sequence += [
                keras.layers.Dense(
                    8 * filters, kernel_initializer="he_normal", dtype=self.dtype_policy, name=f"dense_{n}"
                ),
                normalization("batch", self.dtype_policy),
                keras.layers.ReLU(dtype=self.dtype_policy),
            ]

    def build(self, input_shape):
        layers.build_in_order(self.sequence, (input_shape[0], self.grid**2 * input_shape[-1]))

    def call(self, pictures, training=False):
        pixels = layers.pool_to_grid(pictures, self.grid)
        flat = ops.reshape(pixels, (-1, self.grid**2 * pictures.shape[-1]))
        return precise(layers.run(self.sequence, flat, training))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}
