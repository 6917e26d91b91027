import ctypes
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.pytorch.callbacks import Callback
from small import SMALL, batches, learner

from twofold.learning import memory
from twofold.learning.trainer import Devices, train_network


def resident() -> int:
    """Resident memory of this process, in megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000


class StoppedError(Exception):
    pass


class FreeMemory(Callback):
    """Allocates and frees 400 MB within a step; then training fails."""

    def on_train_batch_end(self, *_: Any) -> None:
        ctypes.CDLL(None).malloc_trim(0)  # else the array lies in part in memory that was free before
        self.before = resident()
        np.ones(50_000_000)
        self.after = resident()
        raise StoppedError


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the C library glibc")
def test_freed_memory_is_kept_during_training_and_not_after(tmp_path: Path) -> None:
    callback, devices = FreeMemory(), Devices("32-true", quiet=True)
    with pytest.raises(StoppedError):
        train_network(learner(SMALL), batches(SMALL), tmp_path, devices, callbacks=(callback,))
    assert callback.after > callback.before + 350
    assert resident() < callback.after - 350
    before = resident()
    np.ones(50_000_000)
    assert resident() < before + 50


def test_another_c_library_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda *_: pytest.fail("the C library was called"))
    memory.keep_freed()
    memory.return_freed()
