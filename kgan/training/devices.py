"""Chooses the devices of a training run, GPUs or logical CPU devices, and its tf.distribute strategy."""

import functools
import os
import pathlib
import shutil
from collections.abc import Callable

import tensorflow as tf
from tensorflow.python.eager import context

from kgan.data import Shard
from kgan.errors import UserError, counted
from kgan.runs.settings import TrainConfig
from kgan.training.cluster import Cluster

HEARTBEAT_TIMEOUT = 100
"""Seconds for which a worker may stand still. One whose process ends is noticed by `Cluster` at once."""


def choose_devices(config: TrainConfig) -> list[str]:
    """Choose the devices to train on. Call it before TensorFlow uses any device.

    Args:
        config: the settings of the run.

    Returns:
        Names such as ["GPU:0"].

    Raises:
        UserError: if the machine has fewer GPUs than the settings ask for.
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
        except RuntimeError:  # TensorFlow is in use already, perhaps with enough devices
            if len(tf.config.list_logical_devices("CPU")) < count:
                raise UserError(f"--devices {count}: TensorFlow already runs here with fewer devices") from None
    return [f"CPU:{index}" for index in range(count)]


def build_strategy(config: TrainConfig, devices: list[str], cluster: Cluster | None = None) -> tf.distribute.Strategy:
    """Make the strategy that --strategy names.

    Args:
        config: the settings of the run.
        devices: names of the devices of each worker, from `choose_devices`.
        cluster: the workers. Default: one worker.

    Returns:
        The strategy.

    Raises:
        UserError: if the batch size is not a multiple of the number of devices, or the strategy does not allow this
            number of devices.
    """
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
    # NCCL is the default on GPUs. The first CPU device sums the values of all CPU devices.
    reduction = None if on_gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=reduction)


def _over_workers(cluster: Cluster, count: int, on_gpus: bool) -> tf.distribute.Strategy:
    """Synchronous replicas on `count` devices of each worker. It waits until TensorFlow has reached all workers."""
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
    # TensorFlow's own limit, 10 seconds, has no public option. The strategy keeps what is configured before it.
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        heartbeat_timeout_in_ms=HEARTBEAT_TIMEOUT * 1000,
        coordinated_jobs=[context.coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=cluster.size)],
    )
    kinds = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(implementation=kinds.NCCL if on_gpus else kinds.RING)
    strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver, options)
    cluster.abort = functools.partial(context.context().abort_collective_ops, tf.errors.UNAVAILABLE)
    if cluster.loss:  # before there was anything to abort
        raise cluster.loss
    return strategy


def distributed_dataset(strategy: tf.distribute.Strategy, cluster: Cluster, make: Callable[[Shard], tf.data.Dataset]):
    """A data set for `fit` and `evaluate`, of which each worker reads its own shard.

    Args:
        strategy: the strategy.
        cluster: the workers.
        make: a function from a shard to its data set.

    Returns:
        The data set. With several workers it repeats forever.
    """
    if cluster.size == 1:
        return make(Shard())
    shard = Shard(cluster.index, cluster.size, strategy.num_replicas_in_sync // cluster.size)
    # With a finite data set, TensorFlow would ask all workers before each step whether one has reached the end.
    return strategy.distribute_datasets_from_function(lambda _: make(shard).repeat())


def describe(devices: list[str], workers: int = 1) -> list[str]:
    """Describe the devices for the user.

    Args:
        devices: names of the devices, from `choose_devices`.
        workers: number of workers.

    Returns:
        Lines of text: the devices, and a note if TensorFlow cannot use a GPU of the machine.
    """
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
