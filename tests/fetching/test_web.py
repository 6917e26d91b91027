"""What a server may answer, and what is told of an address."""

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
from twofold.fetching.download import download

SECRET = "S3CRET"


def kept(folder: Path) -> str:
    """The names and contents of all files but the archive."""
    return "".join(
        f"{path}{path.read_text(errors='replace')}"
        for path in folder.rglob("*")
        if path.suffix in ("", ".json") and path.is_file()
    )


def test_user_and_password_are_sent_to_their_server_and_kept_nowhere(
    server: Server, zip_bytes: bytes, tmp_path: Path
) -> None:
    url = server.url("whole").replace("http://", f"http://ann:{SECRET}%21@") + f"?token={SECRET}"
    found = download(url, tmp_path / "sources", no_progress)
    assert found.path.read_bytes() == zip_bytes
    assert server.headers[-1]["Authorization"] == f"Basic {base64.b64encode(f'ann:{SECRET}!'.encode()).decode()}"
    assert found.url == server.url("whole").replace("http://", "http://***@") + "?…"
    assert SECRET not in kept(tmp_path)
    assert stat.S_IMODE((tmp_path / "sources").stat().st_mode) == 0o700
    assert hashlib.sha256(url.encode()).hexdigest()[:16] not in kept(tmp_path)  # by which a password could be guessed


def test_a_password_is_not_sent_on_to_another_server(server: Server, tmp_path: Path) -> None:
    download(server.url("redirect").replace("http://", f"http://ann:{SECRET}@"), tmp_path, no_progress)
    assert [headers["Authorization"] is None for headers in server.headers] == [False, True]


@pytest.mark.parametrize(
    "behaviour",
    ["404", "401", "500", "loop", "to-file", "to-secret", "longer", "shorter", "untold", "whole", "odd-status"],
)
def test_no_message_tells_what_opens_an_address(
    behaviour: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    server.content = b"<!doctype html>"
    url = server.url(behaviour).replace("http://", f"http://ann:{SECRET}@") + f"?X-Amz-Signature={SECRET}"
    assert main(["fetch", url, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("twofold: ")
    assert "127.0.0.1" in said.err
    assert SECRET not in said.out + said.err + kept(tmp_path)


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
def test_an_address_that_is_none_is_told_without_its_secret(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["fetch", url, "--out", str(tmp_path / "out")]) in (1, 2)
    said = capsys.readouterr()
    assert said.err.startswith("twofold: ")
    assert SECRET not in said.out + said.err


def test_a_new_password_finds_what_came_before_and_another_user_does_not(server: Server, tmp_path: Path) -> None:
    for user in ("ann:one", "ann:two", "bob:one"):
        download(server.url("whole").replace("http://", f"http://{user}@"), tmp_path, no_progress)
    assert len(server.asked) == 2


@pytest.mark.parametrize("place", ["file", "/dev/null/twofold"])
def test_where_nothing_can_be_kept_that_is_told(place: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TwofoldError, match=r"cannot be written \((Not a directory|File exists)\)"):
        download(server.url("whole"), tmp_path / place, no_progress)


def test_a_head_without_an_end_is_not_waited_for(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="what answers there is no web server"):
        download(server.url("flood"), tmp_path, no_progress)


def test_what_comes_with_an_answer_that_sends_on_is_not_read(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    """The server would have a hundred megabytes; urllib would read them all into memory."""
    tracemalloc.start()
    try:
        assert download(server.url("sent-on-for-ever"), tmp_path, no_progress).path.read_bytes() == zip_bytes
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("behaviour", ["long-length", "odd-length"])
def test_a_length_that_is_none_is_no_length(behaviour: str, server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    assert download(server.url(behaviour), tmp_path, no_progress).path.read_bytes() == zip_bytes


def test_a_mark_that_cannot_be_sent_back_is_none(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"broke off 5 times \("):
        download(server.url("folded-tag"), tmp_path, no_progress)
    assert [asked for _, asked in server.asked] == [None] * 5
