"""twofold doctor: what is printed, and the exit codes."""

import json
from pathlib import Path

import pytest

from twofold.cli import main


def test_the_command_line_has_a_line_for_each_check_and_the_count_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "0")  # no number of threads
    (tmp_path / "empty.twofold").mkdir()
    assert main(["doctor", str(tmp_path / "empty.twofold")]) == 1
    lines = capsys.readouterr().out.splitlines()
    # Other tests in this process may have loaded what is a fault, such as OpenVINO's reporting.
    faults = [line for line in lines if line.startswith("fault ")]
    (fault,) = [line for line in faults if line.split()[1] == "bundle"]
    assert "holds no bundle.json" in fault
    assert lines[-1].startswith(f"{len(faults)} fault")


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
