"""Slurm's variables name the workers."""

import json

import pytest

from kgan.errors import UserError
from kgan.training.slurm import tf_config

STEP = {
    "SLURM_JOB_ID": "123456",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NODELIST": "gpu-[9-10],login",
    "SLURM_STEP_TASKS_PER_NODE": "1(x2),2",
}
WORKERS = ["gpu-9:23456", "gpu-10:23456", "login:23456", "login:23457"]


@pytest.mark.parametrize("index", range(4))
def test_tasks_are_workers_in_the_order_of_the_nodes(index):
    """srun numbers them node by node; node 9 comes before node 10."""
    config = json.loads(tf_config(STEP | {"SLURM_PROCID": str(index)}))
    assert config == {"cluster": {"worker": WORKERS}, "task": {"type": "worker", "index": index}}


@pytest.mark.parametrize(
    "variables",
    [{}, {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, STEP | {"SLURM_PROCID": "0", "TF_CONFIG": "{}"}],
)
def test_other_processes_are_left_alone(variables):
    assert tf_config(variables) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"SLURM_STEP_NODELIST": None}, "'SLURM_STEP_NODELIST' is missing"),
        ({"SLURM_PROCID": None}, "'SLURM_PROCID' is missing"),
        ({"SLURM_PROCID": "4"}, "4 tasks on its nodes, 4 in the step and this as number 4"),
        ({"SLURM_STEP_NUM_TASKS": "5"}, "4 tasks on its nodes, 5 in the step"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2"}, "set TF_CONFIG instead"),
        ({"SLURM_STEP_NODELIST": "gpu-[9-"}, "set TF_CONFIG instead"),
    ],
)
def test_variables_that_contradict_each_other_are_refused(changes, reason):
    variables = {"SLURM_PROCID": "0", **STEP, **changes}
    with pytest.raises(UserError, match=reason):
        tf_config({name: value for name, value in variables.items() if value is not None})
