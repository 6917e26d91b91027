"""Processes that train together, started by twofold, torchrun or SLURM."""

import warnings

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from twofold.core.errors import NotRankZeroError, UsageError
from twofold.core.options import LearningOptions


def cluster_environment() -> ClusterEnvironment | None:
    """The environment of torchrun or SLURM where it started several processes; otherwise None, as in SLURM's interactive shell.

    Raises UsageError where SLURM started them in a way that Lightning does not support.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, where srun is installed but not used
        try:
            if TorchElasticEnvironment.detect():
                environment: ClusterEnvironment = TorchElasticEnvironment()
            elif SLURMEnvironment.detect():
                environment = SLURMEnvironment()
            else:
                return None
        except RuntimeError as error:
            raise UsageError("SLURM must start the processes with ntasks-per-node instead of ntasks.") from error
    return environment if environment.world_size() > 1 else None


def check_rank_zero() -> None:
    """Raises NotRankZeroError in all processes of torchrun or SLURM but the first, which writes the bundle."""
    environment = cluster_environment()
    if environment is not None and environment.global_rank() != 0:
        raise NotRankZeroError


def count_devices(learning: LearningOptions) -> int:
    """The number of devices per node: that of the options, else all GPUs, else one."""
    return learning.devices or max(1, torch.cuda.device_count())


def check_processes(learning: LearningOptions) -> None:
    """Raises UsageError where the number of processes that torchrun or SLURM started does not match the options."""
    environment = cluster_environment()
    devices, nodes = count_devices(learning), learning.num_nodes
    if environment is None:
        if nodes > 1:
            raise UsageError("`num_nodes` above 1 needs torchrun or SLURM, which start the processes on every node.")
        return
    if environment.world_size() != devices * nodes:
        raise UsageError(
            f"torchrun or SLURM started {environment.world_size()} processes, expected {devices * nodes} ({devices} per node on "
            f"{nodes} nodes); set `devices` and `num_nodes` to match."
        )
    for name in ("tune", "cv"):
        if getattr(learning, name):
            raise UsageError(
                f"`{name}` trains several networks and starts its own processes: use `devices`, without torchrun or SLURM."
            )
