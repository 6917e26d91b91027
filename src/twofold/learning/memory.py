"""Keeps freed memory in the process between training steps.

A step allocates and frees tensors of up to hundreds of megabytes. glibc returns large blocks to the system at once, and the
system clears their pages before the next use. This takes half of the time of a step of the classic network at 200 px on a CPU
(`python bench/learning.py steps`), less with smaller tensors.
"""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # parameters of mallopt in glibc's <malloc.h>
_KEEP = {_TRIM_THRESHOLD: -1, _MMAP_MAX: 0}
# The values that glibc's own rules reach in a process that frees large blocks; it stops adapting them once they are set.
_DEFAULT = {_TRIM_THRESHOLD: 64 << 20, _MMAP_THRESHOLD: 32 << 20, _MMAP_MAX: 65_536}


def keep_freed() -> None:
    """Makes this process keep freed memory from now on. Does nothing with a C library other than glibc."""
    if _is_glibc():
        _set(_KEEP)


def return_freed() -> None:
    """Returns free memory to the system, now and whenever memory is freed from now on."""
    if _is_glibc():
        _set(_DEFAULT)
        ctypes.CDLL(None).malloc_trim(0)


def _is_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"


def _set(parameters: dict[int, int]) -> None:
    for parameter, value in parameters.items():
        ctypes.CDLL(None).mallopt(parameter, value)
