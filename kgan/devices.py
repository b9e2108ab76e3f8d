"""Which devices train, and how: GPUs, or logical CPU devices to try things out, under a tf.distribute strategy."""

import os
import pathlib
import shutil

import tensorflow as tf

from kgan.config import TrainConfig
from kgan.errors import UserError


def choose_devices(config: TrainConfig) -> list[str]:
    """Names of the devices to train on, such as ["GPU:0"]. Call before TensorFlow has used any.

    Raises UserError when there are fewer GPUs than asked for.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return _logical_cpus(config.devices or 1)
    count = config.devices or (len(gpus) if config.strategy == "mirrored" else 1)
    if count > len(gpus):
        raise UserError(f"--devices {count}: this machine has {len(gpus)} GPU{'s' if len(gpus) > 1 else ''}")
    tf.config.set_visible_devices(gpus[:count], "GPU")
    for gpu in gpus[:count]:
        tf.config.experimental.set_memory_growth(gpu, True)
    return [f"GPU:{index}" for index in range(count)]


def _logical_cpus(count: int) -> list[str]:
    if count > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
        except RuntimeError:  # TensorFlow is in use already; fine if it has enough of them
            if len(tf.config.list_logical_devices("CPU")) < count:
                raise UserError(f"--devices {count}: TensorFlow already runs here with fewer devices") from None
    return [f"CPU:{index}" for index in range(count)]


def build_strategy(config: TrainConfig, devices: list[str]) -> tf.distribute.Strategy:
    """The strategy that --strategy names, over `devices`; the batch must divide evenly among them."""
    if config.batch_size % len(devices):
        raise UserError(f"--batch-size {config.batch_size} should be a multiple of the {len(devices)} devices")
    if config.strategy == "none":
        if len(devices) > 1:
            raise UserError(f"--devices {len(devices)} needs --strategy mirrored")
        return tf.distribute.get_strategy()
    on_gpus = devices[0].startswith("GPU")
    # NCCL is the default on GPUs; between CPU devices the sums are made on the first of them.
    reduction = None if on_gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=reduction)


def describe(devices: list[str]) -> list[str]:
    """Lines for the user: what trains, and whether a GPU lies idle that TensorFlow cannot see."""
    if devices[0].startswith("GPU"):
        details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
        return [f"{len(devices)} x {details.get('device_name', 'GPU')}"]
    cores = f"CPU, {os.cpu_count()} cores"
    lines = [cores if len(devices) == 1 else f"{cores}, as {len(devices)} logical devices"]
    if _has_nvidia_gpu():
        lines.append("note: this machine has an NVIDIA GPU that TensorFlow cannot see; pip install 'kgan[cuda]'")
    return lines


def _has_nvidia_gpu() -> bool:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and (pathlib.Path("/proc/driver/nvidia/gpus").is_dir() or bool(shutil.which("nvidia-smi")))
