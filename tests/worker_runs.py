"""Processes that train together on localhost, for the tests of --strategy multi_worker."""

import functools
import json
import os
import socket

import small_runs

SGD = {"generator_optimizer": "sgd", "discriminator_optimizer": "sgd"}
QUICK = {"recipe": "mmd", "weight": ("features=0",), "strategy": "multi_worker"}


def addresses(count):
    """Free ports of this machine."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    found = tuple(f"localhost:{each.getsockname()[1]}" for each in sockets)
    for each in sockets:
        each.close()
    return found


def tf_config(workers, index):
    return json.dumps({"cluster": {"worker": list(workers)}, "task": {"type": "worker", "index": index}})


def set_environment(text):
    os.environ["TF_CONFIG"] = text


def started(config, count):
    """(addresses, processes) of `kgan train` with these settings."""
    return _started(small_runs.arguments(config), count)


def three_steps(run, **changes):
    """Six pictures per step, which can be divided by one, two and three workers."""
    fixed = {"batch_size": 6, "steps": 10, "stop_after": 3, "log_every": 1, **SGD}
    return small_runs.settings(run, **(fixed | changes))


def trained_by(count, run, **changes):
    workers, processes = started(three_steps(run, **(changes | {"strategy": "multi_worker"})), count)
    assert [process.wait(120) for process in processes] == [0] * count, "\n".join(each.output for each in processes)
    return workers, [process.output for process in processes]


def resumed(tmp_path, count):
    return _started(["train", "--run", str(tmp_path / "run"), "--resume"], count)


def _started(words, count):
    workers = addresses(count)
    befores = [functools.partial(set_environment, tf_config(workers, index)) for index in range(count)]
    return workers, [small_runs.Process(words, before) for before in befores]
