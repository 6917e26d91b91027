"""Damaged files, in a process of their own: a crash, a message on the terminal or memory that grows would show."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

from twofold.data.refusals import Code

FUZZ = Path(__file__).with_name("fuzz.py")


def test_ten_thousand_damaged_files_are_seen_or_refused_in_little_memory_and_silence() -> None:
    done = subprocess.run([sys.executable, FUZZ, "--files", "10000"], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    outcome = json.loads(done.stdout)
    codes = outcome["codes"]
    assert sum(codes.values()) == 10_000
    assert set(codes) <= {"seen", *get_args(Code)}
    assert all(codes[code] > 100 for code in ("seen", "truncated", "damaged", "too-large", "not-a-picture"))
    assert (
        outcome["grown"] < 32_000_000
    )  # the limit of a megapixel is 4 MB as RGB, in the few copies that decoding takes
