"""Processors and dtypes that this machine offers."""

import os
from pathlib import Path

import pytest

from twofold.core.parallel import available_processors
from twofold.networks import fast_dtypes
from twofold.networks.dtypes import processor_features

AFFINITY = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.mark.parametrize(
    ("files", "processors"),
    [
        ({}, AFFINITY),
        ({"cpu.max": "max 100000\n"}, AFFINITY),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "99900000 100000\n"}, AFFINITY),
        ({"cpu.max": "nonsense"}, AFFINITY),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, AFFINITY),
        ({"cpu/cpu.cfs_quota_us": "30000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "30000\n"}, AFFINITY),
    ],
)
def test_processors_are_the_lesser_of_affinity_and_quota(
    files: dict[str, str], processors: int, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_processors(tmp_path) == processors


@pytest.mark.parametrize(("quota", "processors"), [(100, 1), (101, 2), (200, 2), (250, 3)])
def test_a_fraction_of_a_processor_counts_as_one(
    quota: int, processors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    (tmp_path / "cpu.max").write_text(f"{quota}000 100000")
    assert available_processors(tmp_path) == processors


@pytest.mark.parametrize(
    ("flags", "dtypes"),
    [
        ("", ("f32",)),
        ("avx2 fma", ("f32",)),
        ("avx2 avx512f avx512_vnni", ("int8", "f32")),
        ("avx2 avx_vnni", ("int8", "f32")),
        ("avx512_vnni avx512_bf16", ("int8", "bf16", "f32")),
        ("avx512_vnni amx_int8 amx_bf16 amx_tile", ("int8", "bf16", "f32")),
    ],
)
def test_a_dtype_is_fast_where_the_processor_has_instructions_for_it(
    flags: str, dtypes: tuple[str, ...], tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: A processor\nflags\t\t: fpu {flags}\n\nprocessor\t: 1\n")
    assert fast_dtypes(processor_features(cpuinfo)) == dtypes


def test_without_a_list_of_processor_flags_only_float32_is_fast(tmp_path: Path) -> None:
    assert processor_features(tmp_path / "nowhere") == frozenset()
    assert fast_dtypes(frozenset()) == ("f32",)
