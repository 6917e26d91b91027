"""The server as a process: its address, the next port, Ctrl-C, and what a kill leaves."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from twofold.data import read_decisions
from twofold.review.guard import TOKEN_HEADER


@contextmanager
def running(bundle: Path, file: Path, cache: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A review as a process, the address of its page without the token, and the token."""
    words = ["review", bundle, "--decisions", file, "--no-browser", "--quiet", "--port", str(port)]
    command = [sys.executable, "-c", PROGRAM, str(cache), *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    address = process.stdout.readline().strip()
    try:
        assert address, process.stderr.read()
        base, _, token = address.partition("/?token=")
        yield process, base, token
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


PROGRAM = """
import os, sys
os.environ["XDG_CACHE_HOME"] = sys.argv[1]
from twofold.cli import main
raise SystemExit(main(sys.argv[2:]))
"""


def post(base: str, token: str, path: str, body: object) -> dict[str, Any]:
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {TOKEN_HEADER: token})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
        return dict(json.loads(response.read()))


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
