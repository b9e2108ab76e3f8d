"""Make kgan/networks/mobilenet.npz: the ImageNet trunk of MobileNet 1.0, batch norms folded, most of it in float16.

    python scripts/make_features.py WEIGHTS.h5 [OUTPUT.npz]

WEIGHTS.h5 fits keras.applications.MobileNet(include_top=False, alpha=1.0).
"""

import sys

import keras
import numpy as np

from kgan.networks.features.mobilenet import PACKAGED, fold_mobilenet


def main(weights: str, output: str = str(PACKAGED)) -> None:
    """Fold, round, write, report."""
    model = keras.applications.MobileNet(weights=None, include_top=False, alpha=1.0, input_shape=(None, None, 3))
    model.load_weights(weights)
    arrays = {name: rounded(name, array) for name, array in fold_mobilenet(model).items()}
    np.savez(output, **arrays)
    print(f"{output}: {sum(array.nbytes for array in arrays.values()) / 1e6:.2f} MB in {len(arrays)} arrays")


def rounded(name: str, array: np.ndarray) -> np.ndarray:
    """Pointwise kernels, 98% of the numbers, as float16; the rest float32.

    All in float16, pooled features moved by 0.5 to 1.5% (norm of the difference over the norm, five pictures): the
    errors of the small depthwise kernels add up. With these in float32 it is 0.2 to 0.4%, for 0.09 MB.
    """
    return array.astype("float16" if name.startswith("conv_pw_") and name.endswith("/kernel") else "float32")


if __name__ == "__main__":
    main(*sys.argv[1:])
