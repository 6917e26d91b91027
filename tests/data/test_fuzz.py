"""Damaged files, in a separate process: no crash, no message on the terminal, little memory."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from twofold.data.read_errors import Code

TESTS = Path(__file__).parents[1]


def outcome(program: str, files: int) -> dict[str, Any]:
    """The JSON that the program prints; it exits with 0, and writes nothing to stderr."""
    path = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", program, "--files", str(files)]
    process = subprocess.run(
        command, capture_output=True, text=True, timeout=600, cwd=TESTS, env={**os.environ, "PYTHONPATH": path}
    )
    assert (process.returncode, process.stderr) == (0, "")
    result: dict[str, Any] = json.loads(process.stdout)
    assert sum(result["codes"].values()) == files
    return result


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_preprocessed_or_refused_silently_in_little_memory() -> None:
    result = outcome("data.fuzz", 10_000)
    codes = result["codes"]
    assert set(codes) <= {"preprocessed", *get_args(Code)}
    assert all(codes[code] > 100 for code in ("preprocessed", "truncated", "damaged", "too-large", "not-an-image"))
    # The limit of a megapixel is 4 MB as RGB, in the few copies that decoding takes.
    assert result["growth"] < 32_000_000


@pytest.mark.slow
def test_hostile_archives_are_unpacked_inside_their_folder_or_refused_silently_in_little_memory() -> None:
    result = outcome("data.fuzz_archives", 300)
    assert set(result["codes"]) == {"unpacked", "no-archive", "refused"}
    assert result["codes"]["unpacked"] > 50 < result["codes"]["refused"]
    assert result["growth"] < 250_000_000  # most of it for writing Parquet, which the program does itself


@pytest.mark.slow
def test_downloads_from_a_hostile_server_are_right_or_refused_silently_in_little_memory() -> None:
    result = outcome("fetching.fuzz_servers", 200)
    assert set(result["codes"]) == {"right", "refused"}
    assert result["codes"]["right"] > 20 < result["codes"]["refused"]
    assert result["growth"] < 32_000_000  # the server sends up to 15 MB at once
