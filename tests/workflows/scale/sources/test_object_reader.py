"""Objects that cannot be read for a moment are read; a store that cannot be reached ends the run."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from part_predictors import predict_paths, write_list

from twofold.core.errors import DataError
from twofold.data import ReadError
from twofold.workflows.scale.sources.object_reader import ObjectReader

pytest.importorskip("pyarrow.fs")
PAUSES = (0.01, 0.02)


class Store(BaseHTTPRequestHandler):
    """Answers as S3 does, with the status in the path; an object "busy-N" has the status 400 the first N times it is asked for.

    The client of S3 itself tries 500 again for six seconds, and 400 not at all.
    """

    asked: dict[str, int]

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.asked[name] = self.asked.get(name, 0) + 1
        kind, _, number = name.partition("-")
        status = {"busy": 400 if self.asked[name] <= int(number or 0) else 200, "down": 400, "denied": 403, "gone": 404}
        data = name.encode() if status.get(kind, 200) == 200 else b""
        self.send_response(status.get(kind, 200))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if self.command == "GET" else b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Is silent."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """How often each object of the store was asked for."""
    handler = type("Handler", (Store,), {"asked": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "key")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield handler.asked
        server.shutdown()
        thread.join()


def bucket(name: str) -> str:
    """An address of its own for each test: clients are kept for each bucket, and have the port of their store."""
    return f"s3://{name}"


def test_an_object_is_read_at_the_third_attempt_and_missing_ones_are_asked_for_once(asked: dict[str, int]) -> None:
    with ObjectReader(PAUSES) as reader:
        assert reader.read(f"{bucket('moments')}/busy-2") == b"busy-2"
        for name, code in {"gone": "missing", "denied": "unreadable", "busy-3": "unreadable"}.items():
            error = reader.read(f"{bucket('moments')}/{name}")
            assert isinstance(error, ReadError)
            assert error.code == code
    assert (asked["gone"], asked["denied"], asked["busy-3"]) == (1, 1, 3)


def test_a_store_that_fails_for_one_object_after_the_other_ends_the_run(asked: dict[str, int]) -> None:
    down = [f"{bucket('outage')}/down-{number}" for number in range(40)]
    sentence = "s3://outage cannot be read .*: check the connection, and set AWS_ACCESS_KEY_ID"
    with ObjectReader(PAUSES) as reader, ThreadPoolExecutor(8) as pool:
        for number in range(40):  # failures in between, but none after the other
            reader.read(f"{bucket('outage')}/{'down' if number % 2 else 'fine'}-{number}")
        with pytest.raises(DataError, match=sentence):
            list(pool.map(reader.read, down))
    with ObjectReader(PAUSES) as reader:  # the objects of a small part
        for path in (f"{bucket('outage')}/fine", *down[:3]):
            reader.read(path)
        reader.check(down[2], 4)
        with pytest.raises(DataError, match=sentence):
            reader.check(down[2], 3)


def test_objects_without_permission_do_not_end_the_run(asked: dict[str, int]) -> None:
    with ObjectReader(PAUSES) as reader:
        errors = [reader.read(f"{bucket('closed')}/denied-{number}") for number in range(40)]
    assert {error.code for error in errors if isinstance(error, ReadError)} == {"unreadable"}


@pytest.mark.slow
def test_a_part_of_which_nothing_can_be_reached_is_not_written(asked: dict[str, int], tmp_path: Path) -> None:
    down = [f"{bucket('part')}/down-{number}" for number in range(3)]
    listed = write_list(tmp_path / "images.txt", down)
    with pytest.raises(DataError, match="s3://part cannot be read"):
        predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    assert not list((tmp_path / "out" / "parts").iterdir())
