"""How much of the machine this process may use, and what its processor is good at."""

import math
import os
import platform
from itertools import takewhile
from pathlib import Path


def available_processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Processors this process may use: its affinity, or the container's quota where that is less; at least 1."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(mine, _quota(cgroup)))


def _quota(cgroup: Path) -> int:
    """Whole processors that the container's quota amounts to (cgroup v2, then v1); very many where there is none."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / name).read_text(encoding="ascii") for name in names).split()
        except (OSError, ValueError):
            continue
        if quota not in ("max", "-1"):
            return math.ceil(int(quota) / int(period))
    return 1 << 30


def processor_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The instruction sets that Linux lists for the first processor; empty on other systems."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.split(":", 1)[1] for line in lines if line.startswith("flags")), "").split())


def fast_precisions(features: frozenset[str] | None = None) -> tuple[str, ...]:
    """Precisions that the processor runs well, fastest first; f32 always, last."""
    has = processor_features() if features is None else features
    int8 = has & {"avx512_vnni", "avx_vnni", "amx_int8"}
    bf16 = has & {"avx512_bf16", "amx_bf16"}
    return (*(("int8",) if int8 else ()), *(("bf16",) if bf16 else ()), "f32")


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What the processor is called, with its instruction sets, as far as the system tells."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return "; ".join(line for line in takewhile(bool, lines) if line.startswith(("model name", "flags", "Features")))
