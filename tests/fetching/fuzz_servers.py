"""Servers that misbehave, on this machine, and what a download makes of them: how often, how long, in how much memory.

    cd tests; python -m fetching.fuzz_servers [--seed 8] [--files 500] [--trace]

Prints one line of JSON. What a server does follows from the seed and the number of the download; --trace prints the numbers.
None stays silent: what waits for one that does is the patience of thirty seconds.
"""

import gzip
import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from data.fuzz import Outcome, main, measure
from fetching.server import serving

from twofold.core.errors import TwofoldError
from twofold.core.progress import no_progress
from twofold.data import is_archive
from twofold.fetching.download import download

LIMIT = 300_000  # bytes of a download; also of what it becomes
ENDLESS = bytes(50 * LIMIT)  # what a server sends that has no end


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(9):
            archive.writestr(f"cats/{number}.jpg", np.random.default_rng(number).bytes(4_000))
    return file.getvalue()


GOOD = _zip()
RIGHT = hashlib.sha256(GOOD).hexdigest()
CONTENTS = (
    GOOD,
    GOOD,
    GOOD,
    b"<!doctype html><title>Log in</title>",
    b"",
    gzip.compress(bytes(LIMIT * 20)),
    GOOD[:-30],
    GOOD[::-1],
)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.random = np.random.default_rng(0)
        self.content = GOOD

    def begin(self, random: np.random.Generator) -> None:
        """What follows is up to these random numbers."""
        self.random, self.content = random, CONTENTS[random.integers(len(CONTENTS))]

    def handle_error(self, *_: object) -> None:
        pass  # who hangs up does so by right


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        random = self.server.random
        kind = random.choice(["honest", "whole", "lying", "chunked", "sent-on", "refused", "raw", "endless"], p=_OFTEN)
        with suppress(OSError):
            getattr(self, "_" + kind.replace("-", "_"))(random)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass

    @property
    def start(self) -> int:
        asked = self.headers["Range"] or ""
        return int(asked[6:-1]) if asked[6:-1].isdigit() else 0

    def _honest(self, random: np.random.Generator) -> None:
        content, start = self.server.content, min(self.start, len(self.server.content))
        status = 416 if start and start == len(content) else 206 if start else 200
        place = f"*/{len(content)}" if status == 416 else f"{start}-{len(content) - 1}/{len(content)}"
        body = b"" if status == 416 else content[start:]
        self._send(
            status,
            {"Content-Length": str(len(body)), "ETag": '"v"', "Content-Range": f"bytes {place}"},
            self._cut(body, random),
        )

    def _whole(self, random: np.random.Generator) -> None:
        """Parts are not given, or another than was asked for."""
        status = int(random.choice([200, 206, 203, 201]))
        self._send(status, {"Content-Length": str(len(self.server.content)), "ETag": 'W/"weak"'}, self.server.content)

    def _lying(self, random: np.random.Generator) -> None:
        """Headers that are odd, each with its own chance."""
        body, size = self._cut(self.server.content[self.start :], random), len(self.server.content)
        odd = {
            "Content-Length": [
                str(size + int(random.integers(-50, 50))),
                "-1",
                "",
                "9" * 30,
                "9" * 5_000,
                "\xb2",
                "1, 1",
                "0x10",
            ],
            "Content-Range": [
                f"bytes {self.start}-",
                f"bytes {self.start}-5/3",
                "bytes */-1",
                f"bytes */{self.start}",
                "none",
            ],
            "ETag": ['"a"', '"' + "e" * 2_000 + '"', '"line\r\n and more"', '"\xff"', "", '"\0"'],
            "Last-Modified": ["never", "Tue, 24 Nov 2026 12:00:00 GMT", "\x01"],
            "Content-Encoding": ["gzip", "br", "identity"],
            "Transfer-Encoding": ["gzip", "identity", "chunked"],
            "Content-Disposition": ["attachment; filename=../../x"],
        }
        headers = {name: str(random.choice(values)) for name, values in odd.items() if random.random() < 0.3}
        self._send(int(random.choice([200, 206, 416, 204, 304])), headers, body)

    def _chunked(self, random: np.random.Generator) -> None:
        body = self.server.content[self.start :]
        sizes = [b"%x" % len(body), b"ffffffffffffffff", b"-5", b"zz", b"", b"5;ext=" + b"x" * 70_000]
        size = sizes[0] if random.random() < 0.5 else sizes[random.integers(len(sizes))]
        end = b"0\r\n\r\n" if random.random() < 0.7 else b""
        self._send(200, {"Transfer-Encoding": "chunked", "ETag": '"v"'}, size + b"\r\n" + body + b"\r\n" + end)

    def _sent_on(self, random: np.random.Generator) -> None:
        places = [
            "/",
            "/again",
            "file:///etc/passwd",
            "ftp://127.0.0.1/x",
            "http://[::1",
            "//",
            "",
            "\x01",
            "data:,x",
            f"http://127.0.0.1:{self.server.server_port}/x",
        ]
        status = int(random.choice([301, 302, 303, 307, 308, 300]))
        body = ENDLESS if random.random() < 0.1 else b"x"
        self._send(status, {"Location": str(random.choice(places))}, body)

    def _refused(self, random: np.random.Generator) -> None:
        headers = {"WWW-Authenticate": str(random.choice(["Basic realm=x", "", "Digest"]))}
        self._send(int(random.choice([400, 401, 403, 404, 407, 410, 416, 429, 500, 503, 599, 999])), headers, b"x" * 9)

    def _raw(self, random: np.random.Generator) -> None:
        """What is no answer of a web server, or a part of one, or more than one."""
        lines = [
            b"",
            b"\x00" * 99,
            b"SSH-2.0-x\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 abc def\r\n\r\n",
            b"HTTP/9.9 200 OK\r\n\r\n" + GOOD,
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\xff\xfe: \xff\r\n\r\n" + GOOD,
            b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
            random.bytes(500),
        ]
        self.wfile.write(lines[random.integers(len(lines))])

    def _endless(self, random: np.random.Generator) -> None:
        headers = {} if random.random() < 0.5 else {"Content-Length": str(len(ENDLESS))}
        self._send(200, headers, ENDLESS)

    def _cut(self, body: bytes, random: np.random.Generator) -> bytes:
        return body if random.random() < 0.5 else body[: random.integers(len(body) + 1)]

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        head = f"HTTP/1.1 {status} x\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        self.wfile.write(head.encode("latin-1"))
        self.wfile.write(body)


_OFTEN = [0.3, 0.1, 0.2, 0.1, 0.1, 0.05, 0.1, 0.05]


def run(seed: int, count: int, *, trace: bool = False) -> Outcome:
    """`count` downloads; whatever is raised, but for twofold's own errors, ends the run, and so does a lie that is believed."""
    os.environ["NO_PROXY"] = "127.0.0.1"
    server = Server()
    with tempfile.TemporaryDirectory() as folder, serving(server):
        url, place = f"http://127.0.0.1:{server.server_port}/pets.zip", Path(folder) / "sources"

        def trial(random: np.random.Generator) -> str:
            server.begin(random)
            if random.random() < 0.7:  # else what the one before left is there
                shutil.rmtree(place, ignore_errors=True)
            return _met(url, place, random)

        return measure(trial, seed, count, trace=trace)


def _met(url: str, place: Path, random: np.random.Generator) -> str:
    expected, told = None if random.random() < 0.5 else RIGHT, ""
    try:
        found = download(url, place, no_progress, expected=expected, limit=LIMIT)
    except TwofoldError as error:
        told = str(error)
    assert told.isprintable(), repr(told)
    assert not list(place.rglob("unpacked.*"))
    assert sum(path.stat().st_size for path in place.rglob("*")) < 3 * LIMIT
    if told:
        return "refused"
    assert is_archive(found.path)
    assert expected in (None, found.sha256)
    assert hashlib.sha256(found.path.read_bytes()).hexdigest() == found.sha256
    return "right" if found.sha256 == RIGHT else "other"


if __name__ == "__main__":
    main(run, __doc__, 500)
