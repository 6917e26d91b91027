"""A server of one file on this machine; the path of a request says how it behaves."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATE = "Tue, 24 Nov 2026 12:00:00 GMT"


ENDLESS = [bytes(100_000)] * 1_000
RAW: dict[str, Callable[[bytes], list[bytes]]] = {  # the bytes that are sent
    "flood": lambda content: [b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000] * 100,
    "endless-redirect": lambda content: [b"HTTP/1.1 302 x\r\nLocation: /whole/pets.zip\r\n\r\n", *ENDLESS],
    "long-length": lambda content: [b"HTTP/1.1 200 x\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", content],
    "odd-length": lambda content: [b"HTTP/1.1 200 x\r\nContent-Length: \xb2\r\n\r\n", content],
    "folded-tag": lambda content: [
        b'HTTP/1.1 200 x\r\nETag: "a\r\n b"\r\nContent-Length: %d\r\n\r\n' % len(content),
        content[: len(content) // 2],
    ],
}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.requests: list[tuple[str, str | None]] = []  # path, Range
        self.headers: list[Message] = []

    def url(self, behaviour: str, name: str = "pets.zip") -> str:
        return f"http://127.0.0.1:{self.server_port}/{behaviour}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        behaviour = self.path.split("/")[1]
        byte_range = self.headers["Range"]
        self.server.requests.append((behaviour, byte_range))
        self.server.headers.append(self.headers)
        if behaviour.isdigit():
            return self.end(int(behaviour))
        if behaviour == "redirect":
            return self.end(302, Location="/whole/pets.zip")
        if behaviour == "loop":
            return self.end(302, Location="/loop/pets.zip")
        if behaviour == "to-file":
            return self.end(302, Location="file:///etc/passwd")
        if behaviour == "to-secret":
            return self.end(302, Location="ftp://ann:S3CRET@127.0.0.1/a.zip?token=S3CRET")
        if behaviour in RAW:
            with suppress(ConnectionError):
                for part in RAW[behaviour](self.server.content):
                    self.wfile.write(part)
            return None
        if behaviour == "odd-status":
            self.wfile.write(b"HTTP/1.1 S3CRET S3CRET\r\n\r\n")
            return None
        if behaviour == "to-ftp":
            return self.end(302, Location="ftp://127.0.0.1/pets.zip")
        return self.send_content(behaviour, int(re.findall(r"\d+", byte_range)[0]) if byte_range else 0)

    def send_content(self, behaviour: str, start: int) -> None:
        content = self.server.content
        validator = {"changed": f'"{len(self.server.requests)}"', "anonymous": "", "dated": DATE}.get(behaviour, '"v1"')
        if behaviour == "no-range" or self.headers["If-Range"] != validator:
            start = 0
        lie = {"longer": 9, "shorter": -9}.get(behaviour, 0)
        if start >= len(content):
            return self.end(416, **{"Content-Range": f"bytes */{len(content) + lie}"})
        length = len(content) - start + lie
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if validator:
            self.send_header("Last-Modified" if behaviour == "dated" else "ETag", validator)
        if behaviour != "no-length":
            self.send_header("Content-Length", str(length))
        self.end_headers()
        complete = behaviour in ("whole", "no-length", "longer", "shorter") or start + 1 > len(content) * 3 // 4
        first = len([path for path, _ in self.server.requests if path == behaviour]) == 1
        complete |= behaviour in ("no-range", "changed", "anonymous") and not first
        with suppress(ConnectionError):  # the client hangs up after a shorter length
            self.wfile.write(content[start:] if complete else content[start : start + len(content) // 2])
        return None

    def end(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
