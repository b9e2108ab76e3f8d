"""Make tests/golden/instance_norm.npz: outputs of tensorflow-addons' InstanceNormalization. Tests compare ours.

tensorflow-addons 0.23.0 cannot be imported with TensorFlow 2.16 or newer. It needs its own environment:

    python3.11 -m venv /tmp/addons
    /tmp/addons/bin/pip install tensorflow-cpu==2.15.1 tensorflow-addons==0.23.0
    /tmp/addons/bin/python scripts/make_instance_norm_golden.py
"""

import pathlib

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

OUTPUT = pathlib.Path(__file__).parents[1] / "tests" / "golden" / "instance_norm.npz"


def main() -> None:
    """Outputs and gradients for two feature maps. The mean of the second is far larger than its deviation."""
    random = np.random.default_rng(0)
    scale, offset = random.uniform(0.5, 2.0, 3), random.normal(size=3)
    upstream = random.normal(size=(2, 5, 7, 3))
    values = {"scale": scale, "offset": offset, "upstream": upstream}
    for name, mean in (("ordinary", 0.0), ("bright", 1000.0)):
        inputs = random.normal(mean, 1.0, (2, 5, 7, 3))
        values |= {f"{name}_{key}": value for key, value in golden(inputs, scale, offset, upstream).items()}
    OUTPUT.parent.mkdir(exist_ok=True)
    np.savez_compressed(OUTPUT, **{name: np.asarray(value, "float32") for name, value in values.items()})
    print(f"{OUTPUT}: tensorflow-addons {tfa.__version__}, TensorFlow {tf.__version__}")


def golden(inputs, scale, offset, upstream) -> dict:
    """Outputs, and the gradients of sum(outputs * upstream), with an epsilon of 1e-5."""
    layer = tfa.layers.InstanceNormalization(epsilon=1e-5)
    x = tf.constant(inputs, tf.float32)
    layer.build(x.shape)
    layer.set_weights([scale, offset])
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x)
        total = tf.reduce_sum(outputs * tf.constant(upstream, tf.float32))
    gradients = tape.gradient(total, [x, layer.gamma, layer.beta])
    return dict(zip(("inputs", "outputs", "d_inputs", "d_scale", "d_offset"), (x, outputs, *gradients), strict=True))


if __name__ == "__main__":
    main()
