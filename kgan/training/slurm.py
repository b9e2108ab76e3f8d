"""Names the workers of a Slurm job step, so that `srun kgan train --strategy multi_worker` needs no TF_CONFIG."""

import json
import os
from collections.abc import Mapping

# `tf.distribute.cluster_resolver.SlurmClusterResolver` reads the variables by these functions. It is not used itself:
# it sorts host names as texts, and then a task has the address of another host where node10 comes before node9. It also
# fails without GPUs.
from tensorflow.python.distribute.cluster_resolver.slurm_cluster_resolver import expand_hostlist, expand_tasks_per_node

from kgan.errors import UserError

FIRST_PORT, PORTS = 20000, 10000
"""Ports of a node. The number of the job chooses among them, so that two jobs on a node do not meet."""


def tf_config(variables: Mapping[str, str] = os.environ) -> str | None:
    """The value of TF_CONFIG for this task of a Slurm job step.

    Slurm must number the tasks node by node (`srun --distribution=block`, the default).

    Args:
        variables: the environment.

    Returns:
        The text, or None outside a job step of several tasks, or where TF_CONFIG is set already.

    Raises:
        UserError: if the variables contradict each other.

    >>> step = {"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "3", "SLURM_STEP_NODELIST": "node[9-10]"}
    >>> tf_config(step | {"SLURM_STEP_TASKS_PER_NODE": "2,1", "SLURM_JOB_ID": "7"})
    '{"cluster": {"worker": ["node9:20007", "node9:20008", "node10:20007"]}, "task": {"type": "worker", "index": 2}}'
    """
    if variables.get("TF_CONFIG") or int(variables.get("SLURM_STEP_NUM_TASKS", 1)) < 2:
        return None
    try:
        hosts = expand_hostlist(variables["SLURM_STEP_NODELIST"])
        tasks = expand_tasks_per_node(variables["SLURM_STEP_TASKS_PER_NODE"])
        index, count = int(variables["SLURM_PROCID"]), int(variables["SLURM_STEP_NUM_TASKS"])
        port = FIRST_PORT + int(variables.get("SLURM_JOB_ID", 0)) % PORTS
        workers = [f"{host}:{port + k}" for host, number in zip(hosts, tasks, strict=True) for k in range(number)]
    except (KeyError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise UserError(f"--strategy multi_worker: Slurm's variables: {reason}; set TF_CONFIG instead") from None
    if len(workers) != count or not 0 <= index < count:
        raise UserError(
            f"--strategy multi_worker: Slurm names {len(workers)} tasks on its nodes, {count} in the step and this as "
            f"number {index}; set TF_CONFIG instead"
        )
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
