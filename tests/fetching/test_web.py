"""Limits on what a server may send, and the privacy of addresses."""

import base64
import hashlib
import stat
import tracemalloc
from pathlib import Path

import pytest
from fetching.server import Server

from twofold.cli import main
from twofold.core.errors import DataError, TwofoldError
from twofold.core.progress import no_progress
from twofold.fetching.archive_cache import fetch_archive

SECRET = "S3CRET"


def contents(folder: Path) -> str:
    """The names and contents of all files except the archive."""
    return "".join(
        f"{path}{path.read_text(errors='replace')}"
        for path in folder.rglob("*")
        if path.suffix in ("", ".json") and path.is_file()
    )


def test_user_and_password_are_sent_to_their_server_and_not_stored(
    server: Server, zip_bytes: bytes, tmp_path: Path
) -> None:
    url = server.url("whole").replace("http://", f"http://ann:{SECRET}%21@") + f"?token={SECRET}"
    archive = fetch_archive(url, tmp_path / "sources", no_progress)
    assert archive.path.read_bytes() == zip_bytes
    assert server.headers[-1]["Authorization"] == f"Basic {base64.b64encode(f'ann:{SECRET}!'.encode()).decode()}"
    assert archive.url == server.url("whole").replace("http://", "http://***@") + "?…"
    assert SECRET not in contents(tmp_path)
    assert stat.S_IMODE((tmp_path / "sources").stat().st_mode) == 0o700
    assert hashlib.sha256(url.encode()).hexdigest()[:16] not in contents(
        tmp_path
    )  # by which a password could be guessed


def test_a_password_is_not_sent_after_a_redirect(server: Server, tmp_path: Path) -> None:
    fetch_archive(server.url("redirect").replace("http://", f"http://ann:{SECRET}@"), tmp_path, no_progress)
    assert [headers["Authorization"] is None for headers in server.headers] == [False, True]


@pytest.mark.parametrize(
    "behaviour",
    ["404", "401", "500", "loop", "to-file", "to-secret", "longer", "shorter", "no-length", "whole", "odd-status"],
)
def test_no_message_contains_credentials(
    behaviour: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    server.content = b"<!doctype html>"
    url = server.url(behaviour).replace("http://", f"http://ann:{SECRET}@") + f"?X-Amz-Signature={SECRET}"
    assert main(["fetch", url, "--out", str(tmp_path / "out")]) == 1
    output = capsys.readouterr()
    assert output.err.startswith("twofold: ")
    assert "127.0.0.1" in output.err
    assert SECRET not in output.out + output.err + contents(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        f"http://ann:{SECRET}/x@127.0.0.1/a.zip",
        f"http://ann:{SECRET}@[::1/a.zip",
        f"http://127.0.0.1:{SECRET}/a.zip",
        f"http://127.0.0.1:9/a b.zip?token={SECRET}",
        f"http://127.0.0.1:9/\x07.zip?token={SECRET}",
        f"http://127.0.0.1:9/猫.zip?token={SECRET}",
        f"http://ann:{SECRET}@/a.zip",
        f"ftp://ann:{SECRET}@127.0.0.1/a.zip?{SECRET}",
        f"s3://ann:{SECRET}@bucket/a.zip",
    ],
)
def test_an_invalid_address_is_an_error_without_credentials(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["fetch", url, "--out", str(tmp_path / "out")]) in (1, 2)
    output = capsys.readouterr()
    assert output.err.startswith("twofold: ")
    assert SECRET not in output.out + output.err


def test_the_cache_is_per_user_and_independent_of_the_password(server: Server, tmp_path: Path) -> None:
    for user in ("ann:one", "ann:two", "bob:one"):
        fetch_archive(server.url("whole").replace("http://", f"http://{user}@"), tmp_path, no_progress)
    assert len(server.requests) == 2


@pytest.mark.parametrize("folder", ["file", "/dev/null/twofold"])
def test_a_cache_that_cannot_be_written_is_an_error(folder: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TwofoldError, match=r"cannot be written \((Not a directory|File exists)\)"):
        fetch_archive(server.url("whole"), tmp_path / folder, no_progress)


def test_headers_without_an_end_are_an_error(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is not a web server"):
        fetch_archive(server.url("flood"), tmp_path, no_progress)


def test_the_body_of_a_redirect_is_not_read(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    """It has a hundred megabytes, and urllib would read them into memory."""
    tracemalloc.start()
    try:
        assert fetch_archive(server.url("endless-redirect"), tmp_path, no_progress).path.read_bytes() == zip_bytes
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("behaviour", ["long-length", "odd-length"])
def test_an_invalid_length_is_ignored(behaviour: str, server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    assert fetch_archive(server.url(behaviour), tmp_path, no_progress).path.read_bytes() == zip_bytes


def test_a_validator_that_cannot_be_sent_is_ignored(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"was lost 5 times \("):
        fetch_archive(server.url("folded-tag"), tmp_path, no_progress)
    assert [byte_range for _, byte_range in server.requests] == [None] * 5
