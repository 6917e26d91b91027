"""twofold doctor: what is printed, and the exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from twofold.cli import main


def test_the_command_line_has_a_line_for_each_check_and_the_count_at_the_end(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty.twofold").mkdir()
    words = [sys.executable, "-m", "twofold", "doctor", str(tmp_path / "empty.twofold")]
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "0",
    }  # no number of threads
    # In a process of its own: other tests may have loaded into this one what is a fault, such as OpenVINO's reporting.
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    (fault,) = [line for line in lines if line.startswith("fault ")]
    assert fault.split()[1] == "bundle"
    assert "holds no bundle.json" in fault
    assert lines[-1].startswith("1 fault")


def test_json_has_flags_in_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bundle = tmp_path / "a.twofold"
    bundle.mkdir()
    record = {"format": 1, "command": ["twofold", "train", "photos", "--out", "a.twofold"]}
    (bundle / "bundle.json").write_text(json.dumps(record), encoding="utf-8")
    assert main(["doctor", str(bundle), "--json"]) == 1
    diagnosis = json.loads(capsys.readouterr().out)
    assert not diagnosis["healthy"]
    (check,) = [check for check in diagnosis["checks"] if check["name"] == "bundle"]
    assert check["mend"] == "twofold train photos --out a.twofold --force"
