"""twofold serve: what stops it before it starts, a request to it, and its end."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from drawings import draw
from page_process import PROGRAM

from twofold.cli import main

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")


@pytest.fixture
def process(bundle: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    words = [sys.executable, "-c", PROGRAM, str(tmp_path), "serve", str(bundle), "--port", "0"]
    started = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stderr is not None
    try:
        line = started.stdout.readline()
        assert line.startswith("Serving drawn on http://127.0.0.1:"), started.stderr.read()
        yield started, int(line.rsplit(":", 1)[1])
    finally:
        started.kill()
        started.communicate()


def test_requests_on_an_open_connection_are_answered_until_the_service_ends(
    process: tuple[subprocess.Popen[str], int],
) -> None:
    service, port = process
    file = io.BytesIO()
    draw("rings", 70).save(file, "PNG")
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    answers = []
    for number in range(3):
        connection.request("POST", "/predict", file.getvalue(), {"content-type": "image/png"})
        response = connection.getresponse()
        answers.append((json.loads(response.read())["label"], response.getheader("connection")))
        if number == 0:
            service.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            with socket.create_connection(("127.0.0.1", port)) as probe:  # still accepted, and told
                probe.sendall(b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
                assert probe.recv(12) == b"HTTP/1.1 503"
        if answers[-1][1] == "close":
            break
    assert answers == [("rings", None), ("rings", "close")]
    _, log = service.communicate(timeout=60)
    assert service.returncode == 0
    assert [json.loads(line)["status"] for line in log.splitlines()] == [200, 503, 200]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--port", "70000"], "--port must be in [0, 65535], got 70000."),
        (["--queue", "0"], "--queue must be at least 1, got 0."),
        (["--deadline", "0"], "--deadline must be above 0, got 0."),
        (
            ["--host", "0.0.0.0"],
            "Other machines reach 0.0.0.0: give --token-file, set TWOFOLD_TOKEN, or allow all with",
        ),
        (["--token-file", "missing"], "The token in missing cannot be read (No such file or directory)."),
        (["--token-file", "short"], "The file short must hold a token of at least 16 letters and digits"),
        (["--token-file", "open"], "Others can read the token in open: run chmod 600 open."),
        (["--watch-state", "short"], "short is a file, not a folder"),
        (["--watch-interval", "-1"], "--watch-interval must be at least 0, got -1"),
        (["another"], "another"),
        (["{bundle}"], "Two bundles have the name drawn"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_served(
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, text, mode in (("short", "secret", 0o600), ("open", "a-secret-that-is-long", 0o644)):
        Path(name).write_text(text, encoding="utf-8")
        Path(name).chmod(mode)
    assert main(["serve", str(bundle), *(word.format(bundle=bundle) for word in words)]) in (1, 2)
    assert sentence in capsys.readouterr().err


def test_a_port_in_use_is_named(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["serve", str(bundle), "--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1 port {port} (Address already in use)" in capsys.readouterr().err


def test_a_short_token_of_the_environment_is_refused(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(os.environ, "TWOFOLD_TOKEN", "secret")
    assert main(["serve", str(bundle)]) == 2
    assert "The variable TWOFOLD_TOKEN must hold a token of at least 16" in capsys.readouterr().err
