"""Downloads from misbehaving servers on this machine: outcomes, time and memory.

    cd tests; python -m fetching.fuzz_servers [--seed 8] [--files 500] [--trace]

Prints one line of JSON. The behaviour of a server follows from the seed and the number of the download; --trace prints the
numbers. No server stays silent: a download waits thirty seconds for a silent one.
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
from twofold.fetching.archive_cache import fetch_archive

LIMIT = 300_000  # bytes of a download, compressed or not
ENDLESS = bytes(50 * LIMIT)  # a body that exceeds every limit


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
        """Sets the random numbers and the file of the next download."""
        self.random, self.content = random, CONTENTS[random.integers(len(CONTENTS))]

    def handle_error(self, *_: object) -> None:
        pass  # the client may hang up


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        random = self.server.random
        kind = random.choice(["honest", "whole", "lying", "chunked", "redirect", "error", "raw", "endless"], p=_WEIGHTS)
        with suppress(OSError):
            getattr(self, "_" + kind.replace("-", "_"))(random)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass

    @property
    def start(self) -> int:
        byte_range = self.headers["Range"] or ""
        return int(byte_range[6:-1]) if byte_range[6:-1].isdigit() else 0

    def _honest(self, random: np.random.Generator) -> None:
        content, start = self.server.content, min(self.start, len(self.server.content))
        status = 416 if start and start == len(content) else 206 if start else 200
        byte_range = f"*/{len(content)}" if status == 416 else f"{start}-{len(content) - 1}/{len(content)}"
        body = b"" if status == 416 else content[start:]
        self._send(
            status,
            {"Content-Length": str(len(body)), "ETag": '"v"', "Content-Range": f"bytes {byte_range}"},
            self._cut(body, random),
        )

    def _whole(self, random: np.random.Generator) -> None:
        """IntensityRanges are not sent, or another range than requested."""
        status = int(random.choice([200, 206, 203, 201]))
        self._send(status, {"Content-Length": str(len(self.server.content)), "ETag": 'W/"weak"'}, self.server.content)

    def _lying(self, random: np.random.Generator) -> None:
        """Invalid headers, each with a probability."""
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

    def _redirect(self, random: np.random.Generator) -> None:
        locations = [
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
        self._send(status, {"Location": str(random.choice(locations))}, body)

    def _error(self, random: np.random.Generator) -> None:
        headers = {"WWW-Authenticate": str(random.choice(["Basic realm=x", "", "Digest"]))}
        self._send(int(random.choice([400, 401, 403, 404, 407, 410, 416, 429, 500, 503, 599, 999])), headers, b"x" * 9)

    def _raw(self, random: np.random.Generator) -> None:
        """Bytes that are no response, a part of one, or more than one."""
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


_WEIGHTS = [0.3, 0.1, 0.2, 0.1, 0.1, 0.05, 0.1, 0.05]


def run(seed: int, count: int, *, trace: bool = False) -> Outcome:
    """`count` downloads. Any error other than twofold's own, and any wrong file that is accepted, ends the run."""
    os.environ["NO_PROXY"] = "127.0.0.1"
    server = Server()
    with tempfile.TemporaryDirectory() as folder, serving(server):
        url, cache = f"http://127.0.0.1:{server.server_port}/pets.zip", Path(folder) / "sources"

        def trial(random: np.random.Generator) -> str:
            server.begin(random)
            if random.random() < 0.7:  # else the files of the download before are there
                shutil.rmtree(cache, ignore_errors=True)
            return _outcome(url, cache, random)

        return measure(trial, seed, count, trace=trace)


def _outcome(url: str, cache: Path, random: np.random.Generator) -> str:
    sha256, message = None if random.random() < 0.5 else RIGHT, ""
    try:
        archive = fetch_archive(url, cache, no_progress, sha256=sha256, limit=LIMIT)
    except TwofoldError as error:
        message = str(error)
    assert message.isprintable(), repr(message)
    assert not list(cache.rglob("unpacked.*"))
    assert sum(path.stat().st_size for path in cache.rglob("*")) < 3 * LIMIT
    if message:
        return "refused"
    assert is_archive(archive.path)
    assert sha256 in (None, archive.sha256)
    assert hashlib.sha256(archive.path.read_bytes()).hexdigest() == archive.sha256
    return "right" if archive.sha256 == RIGHT else "other"


if __name__ == "__main__":
    main(run, __doc__, 500)
