"""Memory that is kept from one step of learning to the next.

A step takes and frees tensors of up to hundreds of megabytes. glibc gives the large ones back to the system at once, which
clears their pages before it hands them out again: of the classic network at 200 px that is half of the time of a step on a CPU
(`python bench/learning.py steps`), of smaller tensors less.
"""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # what mallopt calls them, in <malloc.h> of glibc
_KEEPING = {_TRIM_THRESHOLD: -1, _MMAP_MAX: 0}
# Where glibc's own rules end up in a process that frees large blocks: it stops adapting them once they were set.
_ORDINARY = {_TRIM_THRESHOLD: 64 << 20, _MMAP_THRESHOLD: 32 << 20, _MMAP_MAX: 65_536}


def keep_freed() -> None:
    """From now on this process keeps what it frees; nothing happens with another C library than glibc."""
    if _is_glibc():
        _set(_KEEPING)


def give_back_freed() -> None:
    """The system gets what is free, and will get at once what is freed."""
    if _is_glibc():
        _set(_ORDINARY)
        ctypes.CDLL(None).malloc_trim(0)


def _is_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"


def _set(values: dict[int, int]) -> None:
    for name, value in values.items():
        ctypes.CDLL(None).mallopt(name, value)
