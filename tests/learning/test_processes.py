"""Processes that torchrun or SLURM started, against the options."""

import pytest

from twofold.core.errors import NotRankZeroError, UsageError
from twofold.core.options import LearningOptions
from twofold.learning.processes import check_processes, check_rank_zero

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
SLURM = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "train"}


def set_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("variables", [TORCHRUN, SLURM], ids=["torchrun", "slurm"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"started 2 processes, expected 1 \(1 per node on 1 nodes\)"),
        ({"devices": 2, "num_nodes": 2}, "set `devices` and `num_nodes` to match"),
        ({"devices": 2, "cv": 3}, "`cv` trains several networks"),
        ({"devices": 2, "tune": 3}, "`tune` trains several networks"),
    ],
)
def test_the_processes_must_match_the_options(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: dict[str, int], message: str
) -> None:
    set_environment(monkeypatch, variables)
    with pytest.raises(UsageError, match=message):
        check_processes(LearningOptions(mode="scratch", **options))  # type: ignore[arg-type]
    check_processes(LearningOptions(mode="scratch", devices=2))


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"},
        {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "interactive"},
        {"WORLD_SIZE": "4", "RANK": "3"},  # of another program
    ],
    ids=["one task", "interactive", "not torchrun"],
)
def test_a_single_process_may_start_others(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    set_environment(monkeypatch, variables)
    check_processes(LearningOptions(mode="scratch", tune=3))
    check_processes(LearningOptions(mode="scratch", devices=2, cv=3))
    check_rank_zero()


def test_several_nodes_need_torchrun_or_slurm() -> None:
    with pytest.raises(UsageError, match="`num_nodes` above 1 needs torchrun or SLURM"):
        check_processes(LearningOptions(mode="scratch", num_nodes=2))


def test_slurm_must_start_the_processes_per_node(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, {"SLURM_NTASKS": "2", "SLURM_PROCID": "0"})
    with pytest.raises(UsageError, match="with ntasks-per-node instead of ntasks"):
        check_processes(LearningOptions(mode="scratch", devices=2))


@pytest.mark.parametrize(
    ("variables", "rank"), [(TORCHRUN, "RANK"), (SLURM, "SLURM_PROCID")], ids=["torchrun", "slurm"]
)
def test_only_rank_zero_continues(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], rank: str) -> None:
    set_environment(monkeypatch, variables)
    check_rank_zero()
    monkeypatch.setenv(rank, "1")
    with pytest.raises(NotRankZeroError) as error:
        check_rank_zero()
    assert (str(error.value), error.value.exit_code) == ("", 0)
