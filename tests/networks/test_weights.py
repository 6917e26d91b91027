"""Weights are found or downloaded, complete and with the right SHA-256, or not at all."""

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

CONTENT = bytes(range(256)) * 10_000  # three chunks of a download
WAYS_OUT = "go online once, or fetch that file elsewhere and pass it with `weights`"


class Server(ThreadingHTTPServer):
    """A server of weights on this machine; the path of a request says how it behaves."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []

    def source(self, path: str) -> WeightsSource:
        url = f"http://127.0.0.1:{self.server_address[1]}/{path}"
        return WeightsSource(file="weights.pth", sha256=hashlib.sha256(CONTENT).hexdigest(), url=url)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        behaviour = self.path.strip("/")
        self.server.requests.append(behaviour)
        if behaviour == "redirect":
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
            return
        self.send_response(404 if behaviour == "missing" else 200)
        length = {"longer": len(CONTENT) + 9, "shorter": len(CONTENT) - 9}.get(behaviour, len(CONTENT))
        if behaviour != "no-length":
            self.send_header("Content-Length", str(length))
        self.end_headers()
        body = CONTENT[::-1] if behaviour == "other" else CONTENT
        with suppress(ConnectionError):  # the client hangs up after a shorter length
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


@pytest.mark.parametrize("behaviour", ["whole", "no-length", "redirect"])
def test_weights_are_downloaded_once(behaviour: str, server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "a" / "new" / "folder"
    path = find_weights(server.source(behaviour), cache=cache)
    assert path == cache / "weights.pth"
    assert path.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [path]
    count = len(server.requests)
    assert find_weights(server.source(behaviour), cache=cache) == path
    assert len(server.requests) == count


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("broken", "the connection was lost 5 times .*"),
        ("longer", "the connection was lost 5 times .*"),
        ("shorter", "it has SHA-256 .*, expected .*"),
        ("other", "it has SHA-256 .*, expected .*"),
        ("missing", r"the server has no such file \(status 404\)"),
    ],
)
def test_a_failed_download_leaves_nothing_and_the_error_names_both_ways_out(
    behaviour: str, reason: str, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(BackboneError, match=rf"could not be downloaded from http://.* \({reason}\); {WAYS_OUT}"):
        find_weights(server.source(behaviour), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_offline_the_error_names_both_ways_out(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"  # bound, but nobody listens
        with pytest.raises(BackboneError, match=rf"\(Connection refused\); {WAYS_OUT}"):
            find_weights(WeightsSource(file="weights.pth", sha256="0" * 64, url=url), cache=tmp_path)


def test_cached_weights_work_offline(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(CONTENT)
    source = WeightsSource(file="weights.pth", sha256=hashlib.sha256(CONTENT).hexdigest(), url="http://127.0.0.1:9/")
    assert find_weights(source, cache=tmp_path) == path


def test_a_damaged_file_in_the_cache_is_downloaded_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(CONTENT[:-1])
    assert find_weights(server.source("whole"), cache=tmp_path).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_an_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackboneError, match=WAYS_OUT):
        find_weights(server.source("whole"), cache=tmp_path / "file")


def test_the_progress_of_a_download_is_reported(server: Server, tmp_path: Path) -> None:
    reports: list[tuple[int, str, int]] = []

    def progress(stream: Iterator[bytes], length: int, what: str) -> Iterator[bytes]:
        for chunk in stream:
            reports.append((length, what, len(chunk)))
            yield chunk

    find_weights(server.source("whole"), cache=tmp_path, progress=progress)
    assert [(length, what) for length, what, _ in reports] == [(3, "whole, MB")] * 3
    assert sum(size for *_, size in reports) == len(CONTENT)


def test_nothing_is_printed(server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    find_weights(server.source("whole"), cache=tmp_path)
    assert capfd.readouterr() == ("", "")


def test_a_local_file_is_used_without_a_request(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "local.pth"
    path.write_bytes(CONTENT)
    count = len(server.requests)
    assert find_weights(server.source("whole"), file=path, cache=tmp_path / "cache") == path
    assert len(server.requests) == count
    assert not (tmp_path / "cache").exists()


def test_a_local_file_with_another_sha256_is_an_error(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "local.pth"
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(BackboneError, match="have SHA-256 .*, expected .* .weights.pth.; get that file again"):
        find_weights(server.source("whole"), file=path, cache=tmp_path)


def test_a_missing_local_file_is_an_error(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"nowhere.pth cannot be read .No such file or directory.; check `weights`"):
        find_weights(server.source("whole"), file=tmp_path / "nowhere.pth", cache=tmp_path)


def test_for_a_missing_package_the_error_names_the_extra(tmp_path: Path) -> None:
    source = WeightsSource(file="models/x.pth", sha256="0" * 64, package="no_such_package_of_weights", extra="lite2")
    with pytest.raises(BackboneError, match=r"pip install '\.\[lite2\]', in your clone"):
        find_weights(source, cache=tmp_path)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"])
def test_the_packages_have_the_pinned_files(name: str, tmp_path: Path) -> None:
    assert find_weights(ARCHITECTURES[name].source, cache=tmp_path).name.endswith(".pth")
