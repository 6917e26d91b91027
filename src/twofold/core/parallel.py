"""Bounded prefetching by threads, and the number of processors."""

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch(pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], depth: int) -> Iterator[R]:
    """The results of `map` by the pool's threads, in order, computed at most `depth` items ahead of the consumer."""
    pending: deque[Future[R]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > depth:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def available_processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The number of processors that this process may use: its affinity, or the container's quota if that is less; at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, container_quota(cgroup)))


def container_quota(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The container's quota in processors, rounded up (cgroup v2, then v1); a very large number without a quota."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / name).read_text(encoding="ascii") for name in names).split()
        except (OSError, ValueError):
            continue
        if quota not in ("max", "-1"):
            return math.ceil(int(quota) / int(period))
    return 1 << 30
