"""Damaged files, in a process of their own: a crash, a message on the terminal or memory that grows would show."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

from twofold.data.read_errors import Code

TESTS = Path(__file__).parents[1]


def outcome(program: str, files: int) -> dict[str, Any]:
    """What a program prints; it ends well, and says nothing else."""
    path = os.pathsep.join(sys.path)
    words = [sys.executable, "-m", program, "--files", str(files)]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=600, cwd=TESTS, env={**os.environ, "PYTHONPATH": path}
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    assert sum(found["codes"].values()) == files
    return found


def test_ten_thousand_damaged_files_are_seen_or_refused_in_little_memory_and_silence() -> None:
    found = outcome("data.fuzz", 10_000)
    codes = found["codes"]
    assert set(codes) <= {"seen", *get_args(Code)}
    assert all(codes[code] > 100 for code in ("seen", "truncated", "damaged", "too-large", "not-an-image"))
    # The limit of a megapixel is 4 MB as RGB, in the few copies that decoding takes.
    assert found["grown"] < 32_000_000


def test_hostile_archives_are_unpacked_inside_their_folder_or_refused_in_little_memory_and_silence() -> None:
    found = outcome("data.fuzz_archives", 300)
    assert set(found["codes"]) == {"unpacked", "no-archive", "refused"}
    assert found["codes"]["unpacked"] > 50 < found["codes"]["refused"]
    assert found["grown"] < 250_000_000  # what writing Parquet takes, which these tests do themselves


def test_what_a_hostile_server_sends_is_right_or_refused_in_little_memory_and_silence() -> None:
    found = outcome("fetching.fuzz_servers", 200)
    assert set(found["codes"]) == {"right", "refused"}
    assert found["codes"]["right"] > 20 < found["codes"]["refused"]
    assert found["grown"] < 32_000_000  # the server sends up to 15 MB at once
