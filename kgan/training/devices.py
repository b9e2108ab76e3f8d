"""Which devices train, and how: GPUs, or logical CPU devices to try things out, under a tf.distribute strategy."""

import os
import pathlib
import shutil
from collections.abc import Callable

import tensorflow as tf

from kgan.data import Shard
from kgan.errors import UserError, counted
from kgan.runs.settings import TrainConfig
from kgan.training.cluster import Cluster


def choose_devices(config: TrainConfig) -> list[str]:
    """Names of the devices to train on, such as ["GPU:0"]. Call before TensorFlow has used any.

    Raises UserError when there are fewer GPUs than asked for.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return _logical_cpus(config.devices or 1)
    count = config.devices or (1 if config.strategy == "none" else len(gpus))
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


def build_strategy(config: TrainConfig, devices: list[str], cluster: Cluster | None = None) -> tf.distribute.Strategy:
    """The strategy that --strategy names, over `devices` (of every worker); the batch must divide evenly among them."""
    cluster = cluster or Cluster()
    replicas = len(devices) * cluster.size
    if config.batch_size % replicas:
        workers = f" of {cluster.size} workers" if cluster.size > 1 else ""
        raise UserError(f"--batch-size {config.batch_size} should be a multiple of the {replicas} devices{workers}")
    on_gpus = devices[0].startswith("GPU")
    if cluster.size > 1:
        return _over_workers(cluster, len(devices), on_gpus)
    if config.strategy == "none":
        if len(devices) > 1:
            raise UserError(f"--devices {len(devices)} needs --strategy mirrored")
        return tf.distribute.get_strategy()
    # NCCL is the default on GPUs; between CPU devices the sums are made on the first of them.
    reduction = None if on_gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=reduction)


def _over_workers(cluster: Cluster, count: int, on_gpus: bool) -> tf.distribute.Strategy:
    """Synchronous copies on `count` devices of every worker; waits until TensorFlow has reached them all."""
    if count > 1 and not on_gpus:
        raise UserError(
            f"--devices {count}: on CPUs a worker of --strategy multi_worker is one device; start more workers"
        )
    cluster.agree_equal("devices", count)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.members.addresses)}),
        task_type="worker",
        task_id=cluster.index,
        num_accelerators={"GPU": count} if on_gpus else {},
        rpc_layer="grpc",
    )
    kinds = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(implementation=kinds.NCCL if on_gpus else kinds.RING)
    return tf.distribute.MultiWorkerMirroredStrategy(resolver, options)


def fed(strategy: tf.distribute.Strategy, cluster: Cluster, make: Callable[[Shard], tf.data.Dataset]):
    """What `fit` and `evaluate` read: `make(shard)`, where every worker reads its own shard only, again and again."""
    if cluster.size == 1:
        return make(Shard())
    shard = Shard(cluster.index, cluster.size, strategy.num_replicas_in_sync // cluster.size)
    # Without an end, or TensorFlow would ask all workers before every step whether one has come to it.
    return strategy.distribute_datasets_from_function(lambda _: make(shard).repeat())


def describe(devices: list[str], workers: int = 1) -> list[str]:
    """Lines for the user: what trains, and whether a GPU lies idle that TensorFlow cannot see."""
    first, *notes = _described(devices)
    return [f"{workers} workers, each {first}" if workers > 1 else first, *notes]


def _described(devices: list[str]) -> list[str]:
    if devices[0].startswith("GPU"):
        details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
        return [f"{len(devices)} x {details.get('device_name', 'GPU')}"]
    cores = f"CPU, {counted(os.cpu_count() or 1, 'core')}"
    lines = [cores if len(devices) == 1 else f"{cores}, as {len(devices)} logical devices"]
    if _has_nvidia_gpu():
        lines.append("note: this machine has an NVIDIA GPU that TensorFlow cannot see; pip install 'kgan[cuda]'")
    return lines


def _has_nvidia_gpu() -> bool:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and (pathlib.Path("/proc/driver/nvidia/gpus").is_dir() or bool(shutil.which("nvidia-smi")))
