import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.pytorch.callbacks import Callback
from small import SMALL, batches, learner

from twofold.learning import memory
from twofold.learning.trainer import Devices, learn_network


def resident() -> int:
    """Megabytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000


class StoppedError(Exception):
    pass


class Freeing(Callback):
    """Takes 400 MB within a step and frees them; then learning fails."""

    def on_train_batch_end(self, *_: Any) -> None:
        self.before = resident()
        np.ones(50_000_000)
        self.after = resident()
        raise StoppedError


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the C library glibc")
def test_freed_memory_is_kept_while_a_network_learns_and_not_after(tmp_path: Path) -> None:
    freeing = Freeing()
    with pytest.raises(StoppedError):
        learn_network(learner(SMALL), batches(SMALL), tmp_path, Devices("32-true", quiet=True), extra=(freeing,))
    assert freeing.after > freeing.before + 350
    assert resident() < freeing.after - 350
    before = resident()
    np.ones(50_000_000)
    assert resident() < before + 50


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda *_: pytest.fail("the C library was called"))
    memory.keep_freed()
    memory.give_back_freed()
