"""The server as a process: its address, the next port, Ctrl-C, and what a kill leaves."""

import re
import signal
import socket
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from page_process import post, running_command

from twofold.data import read_decisions


def running(
    bundle: Path, file: Path, cache: Path, port: int = 0
) -> AbstractContextManager[tuple[subprocess.Popen[str], str, str]]:
    """A review as a process."""
    return running_command(["review", bundle, "--decisions", file, "--no-browser", "--quiet", "--port", port], cache)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_a_killed_review_goes_on_where_it_was(mislabelled_bundle: Path, tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "decisions.csv"
    with running(mislabelled_bundle, file, cache) as (process, base, token):
        for row in range(5):
            state = post(base, token, "/api/decide", {"answers": [{"row": row, "kind": "keep"}]})
        process.kill()
    with file.open("ab") as text:
        text.write(b'2026-01-01T00:00:00,"half a li')
    with running(mislabelled_bundle, file, cache) as (process, base, token):
        again = post(base, token, "/api/undo", {})
        assert again["undone"]["row"] == 4
        assert again["progress"]["checked"] == state["progress"]["checked"] - 1 == 4
        assert any("1 damaged line" in note for note in again["notes"])
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "4 of 62 images checked" in errors
    assert "Traceback" not in errors
    assert len(read_decisions(file)) == 4


def test_a_port_in_use_is_passed_over_and_only_this_machine_is_listened_to(
    mislabelled_bundle: Path, tmp_path: Path, cache: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running(mislabelled_bundle, tmp_path / "d.csv", cache, port) as (_, base, token):
            number = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)", base)[1])  # type: ignore[index]
            assert port < number <= port + 50
            assert len(token) >= 30
            state = post(base, token, "/api/undo", {})
    assert state["undone"] is None


def test_a_port_that_is_none_is_wrong_usage(mislabelled_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from twofold.cli import main

    assert main(["review", str(mislabelled_bundle), "--port", "70000"]) == 2
    assert "--port must be in [0, 65535]" in capsys.readouterr().err
