"""Permissions and limits that hold, whoever runs the tests."""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_VERSION = 0x20080522  # of the kernel's capability sets, 64 bits wide
_OVERRIDES = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what lets root read everything


@contextmanager
def ordinary_rights() -> Iterator[None]:
    """In this thread, and in those that it starts, even root is denied what a file's mode denies its owner."""
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root reads whatever its mode is, and only Linux takes that right away for a while")
    capabilities = _capabilities()
    _set_capabilities([capabilities[0] & ~_OVERRIDES, *capabilities[1:]])
    try:
        yield
    finally:
        _set_capabilities(capabilities)


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file of this process gets more bytes than this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def _capabilities() -> list[int]:
    """Effective, permitted and inheritable: first the lower 32 of each, then the higher."""
    sets = (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capget((ctypes.c_uint32 * 2)(_VERSION, 0), sets) == 0
    return list(sets)


def _set_capabilities(sets: list[int]) -> None:
    assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)(*sets)) == 0
