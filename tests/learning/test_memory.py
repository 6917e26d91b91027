import platform
import subprocess
import sys

import pytest

HELD = """
import os
import numpy as np
from pathlib import Path
from twofold.learning.memory import give_back_freed, keep_freed

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000

def after_a_step():
    np.ones(50_000_000)
    return megabytes()

print(after_a_step())
keep_freed()
print(after_a_step())
give_back_freed()
print(megabytes(), after_a_step())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the C library glibc")
def test_freed_memory_is_kept_while_a_network_learns_and_not_after() -> None:
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    before, kept, given_back, after = map(int, done.stdout.split())
    assert kept > before + 350
    assert given_back < before + 50
    assert after < before + 50


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from twofold.learning import memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda *_: pytest.fail("the C library was called"))
    memory.keep_freed()
    memory.give_back_freed()
