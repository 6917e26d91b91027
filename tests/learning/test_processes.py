"""Processes that torchrun or SLURM started, and those that the options ask for."""

import pytest

from twofold.core.errors import UsageError
from twofold.core.options import LearningOptions
from twofold.learning.processes import check_launched

TORCHRUN = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
SLURM = {"SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "learn"}


@pytest.mark.parametrize("started", [TORCHRUN, SLURM], ids=["torchrun", "slurm"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "started 2 processes, where 1 a computer on 1 computers are to learn"),
        ({"devices": 2, "num_nodes": 2}, "pass --devices and --num-nodes as they were started"),
        ({"devices": 2, "cv": 3}, "--cv learns several networks"),
        ({"devices": 2, "tune": 3}, "--tune learns several networks"),
    ],
)
def test_what_others_started_must_fit_the_options(
    monkeypatch: pytest.MonkeyPatch, started: dict[str, str], options: dict[str, int], said: str
) -> None:
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=said):
        check_launched(LearningOptions(mode="scratch", **options))  # type: ignore[arg-type]
    check_launched(LearningOptions(mode="scratch", devices=2))


@pytest.mark.parametrize(
    "job", [{"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "interactive"}]
)
def test_a_job_of_one_process_may_do_what_a_terminal_may(monkeypatch: pytest.MonkeyPatch, job: dict[str, str]) -> None:
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    check_launched(LearningOptions(mode="scratch", tune=3))
    check_launched(LearningOptions(mode="scratch", devices=2, cv=3))


def test_several_computers_are_for_those_who_start_there() -> None:
    with pytest.raises(UsageError, match="--num-nodes is for processes that torchrun or SLURM starts"):
        check_launched(LearningOptions(mode="scratch", num_nodes=2))
