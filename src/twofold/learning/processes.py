"""Processes that learn together: twofold starts them itself, or torchrun or SLURM did."""

import os

import torch

from twofold.core.errors import UsageError
from twofold.core.options import LearningOptions


def launched() -> int:
    """How many torchrun or SLURM started; 1 where neither did, also in a shell that SLURM gave."""
    by_hand = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")  # as Lightning tells
    return int(os.environ.get("WORLD_SIZE", 1 if by_hand else os.environ.get("SLURM_NTASKS", 1)))


def leave_to_the_first() -> None:
    """Ends the other processes that torchrun or SLURM started: the first one writes the bundle."""
    if launched() > 1 and int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", 0))) != 0:
        raise SystemExit(0)


def count_devices(learning: LearningOptions) -> int:
    """Devices of each computer: as many as the options say, or all GPUs, or one."""
    return learning.devices or max(1, torch.cuda.device_count())


def check_launched(learning: LearningOptions) -> None:
    """UsageError where the processes that were started are not those that the options ask for."""
    started, devices, nodes = launched(), count_devices(learning), learning.num_nodes
    if started == 1 and nodes > 1:
        raise UsageError(
            "--num-nodes is for processes that torchrun or SLURM starts on every computer; start it by them."
        )
    if started > 1 and started != devices * nodes:
        raise UsageError(
            f"torchrun or SLURM started {started} processes, where {devices} a computer on {nodes} computers are to learn; "
            "pass --devices and --num-nodes as they were started."
        )
    for name in ("tune", "cv"):
        if started > 1 and getattr(learning, name):
            raise UsageError(
                f"--{name} learns several networks, and starts its own processes: pass --devices, without torchrun or SLURM."
            )
