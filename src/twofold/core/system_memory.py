"""Memory: what this process may use, and what it uses."""

import math
from dataclasses import dataclass
from pathlib import Path

_LIMIT_FILES = (
    ("memory.max", "memory.current", "memory.stat"),  # cgroup v2
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),  # v1
)
_NO_LIMIT = 1 << 60  # cgroup v1 states "no limit" as a number of this order


@dataclass(frozen=True, slots=True)
class SystemMemory:
    """Bytes of memory: of the machine, those that are free for use, and the container's limit; infinite where unknown."""

    total: float = math.inf
    available: float = math.inf
    limit: float = math.inf


def system_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> SystemMemory:
    """The memory of the machine or, where that is less, of the container; infinite on systems without these files."""
    sizes = _sizes(meminfo)
    limit, free = _limit(cgroup)
    total, available = sizes.get("MemTotal", math.inf), sizes.get("MemAvailable", math.inf)
    return SystemMemory(total, min(available, free), limit if limit < total else math.inf)


def resident_memory(status: Path = Path("/proc/self/status")) -> int:
    """Bytes of this process that are in memory; 0 where the system does not tell."""
    return int(_sizes(status).get("VmRSS", 0))


def _sizes(file: Path) -> dict[str, float]:
    """The bytes of each line such as "MemTotal:  1024 kB"."""
    try:
        words = [line.split() for line in file.read_text(encoding="ascii", errors="replace").splitlines()]
    except OSError:
        return {}
    return {line[0].rstrip(":"): int(line[1]) * 1024.0 for line in words if line[2:] == ["kB"]}


def _limit(cgroup: Path) -> tuple[float, float]:
    """The container's limit, and what is left of it; file pages that the kernel can drop count as free."""
    for limit_file, usage_file, stat_file in _LIMIT_FILES:
        try:
            limit = int((cgroup / limit_file).read_text(encoding="ascii"))  # "max" is no number
            used = int((cgroup / usage_file).read_text(encoding="ascii"))
            pairs = [line.split() for line in (cgroup / stat_file).read_text(encoding="ascii").splitlines()]
        except (OSError, ValueError):
            continue
        droppable = sum(int(pair[1]) for pair in pairs if pair[0] in ("inactive_file", "active_file"))
        if limit < _NO_LIMIT:
            return float(limit), max(0.0, limit - used + droppable)
    return math.inf, math.inf
