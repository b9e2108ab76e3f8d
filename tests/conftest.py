import os
import tempfile

# kgan notes what it wrote, and keeps exported files, and not in the home folder of who runs the tests.
os.environ.setdefault("XDG_STATE_HOME", os.path.join(tempfile.gettempdir(), f"kgan-tests-{os.getuid()}"))
os.environ.setdefault("XDG_CACHE_HOME", os.environ["XDG_STATE_HOME"])
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# Tests compile large programs and run them for a moment.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false")

import gc
import signal

import pytest


@pytest.fixture
def hangup():
    """SIGHUP ends processes, also where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def pytest_configure(config):
    """Set up the processes that run tests. The process that distributes them does not need TensorFlow."""
    if hasattr(config, "workerinput") or config.option.dist == "no":
        _set_up_hypothesis()
        _set_up_tensorflow()
        gc.freeze()  # LiteRT's converter collects garbage at every call: what is imported is left out of it
        gc.set_threshold(100_000, 20, 100)


def _set_up_hypothesis():
    from hypothesis import HealthCheck, settings

    # How long an example takes says something of the machine alone.
    settings.register_profile("kgan", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("kgan")


def _set_up_tensorflow():
    import quick_tracing
    import tensorflow as tf

    # Two logical devices, so that every test can use one or two replicas.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    quick_tracing.set_up()


def pytest_xdist_auto_num_workers():
    """One more process than cores, because some tests wait for other processes."""
    return (os.cpu_count() or 1) + 1


LONGEST = ("gan_compiled", "multi_worker_ends", "demo", "pages", "ray", "export_serving", "export", "evaluation",
           "resume", "networks", "web_page", "keras_model", "gan", "training", "tiles", "stylize", "multi_worker",
           "interruptions", "api", "export_litert_gates", "own_callbacks", "benchmark", "saved_models", "distill",
           "compiled", "export_litert_variants", "bad_input", "export_litert_fixed", "stylize_masks", "checkpoints",
           "serving_client_models", "composition", "web", "export_serving_versions",
           "networks_replicas")  # fmt: skip
"""Test files that take 15 seconds or more, the longest first."""


WITHOUT_HALF = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI")
"""Values of ONEDNN_MAX_CPU_ISA that take bfloat16 and float16 away from oneDNN. If the processor has them, TensorFlow
2.21 asks oneDNN for them all the same: matrix products of bfloat16 end with a segmentation fault, and convolutions of
both with "could not create a primitive descriptor"."""

IN_HALF = ("bfloat16", "mixed_float16", "[float16]", "-float16]")
"""Parts of the names of tests that compute in 16 bits. Those that store weights in float16 compute in float32."""


def pytest_collection_modifyitems(items):
    """Run long files first, then those with slow tests, so that all processes end at about the same time."""
    if os.environ.get("ONEDNN_MAX_CPU_ISA") in WITHOUT_HALF:
        for item in items:
            if any(part in item.name for part in IN_HALF):
                item.add_marker(pytest.mark.skip(reason="TensorFlow fails in 16 bits with this ONEDNN_MAX_CPU_ISA"))
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    rank = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (rank.get(item.path.stem, len(rank)), item.path not in slow))


@pytest.fixture(autouse=True)
def _seeded():
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def _forgotten():
    """Free graphs. TensorFlow keeps each traced gradient of a `tf.custom_gradient`, and so the whole graph."""
    from tensorflow.python.framework.ops import gradient_registry

    yield
    kept = [name for name in gradient_registry.list() if name.startswith("CustomGradient-")]
    for name in kept:
        del gradient_registry._registry[name]
    if kept:
        gc.collect()
