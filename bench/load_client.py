"""Clients of the service that cost little: one thread, an event loop and prepared bytes leave the processors to the server."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvloop

_MOST_CONNECTIONS = 1000


@dataclass
class Load:
    """What clients saw: statuses, or the names of errors, and the seconds of the answers of each."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    late: list[float] = field(
        default_factory=list
    )  # seconds by which requests were sent too late: the client's own fault

    def note(self, status: str, seconds: float) -> None:
        self.statuses[status] += 1
        self.seconds.setdefault(status, []).append(seconds)


def request_bytes(image: bytes, path: str = "/predict", content_type: str = "image/jpeg") -> bytes:
    """A whole request with a raw body."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(image)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + image


class Connection(asyncio.Protocol):
    """A connection that is kept; `ask` returns the status and the body of one answer at a time."""

    def __init__(self) -> None:
        self.closed = False
        self._data = bytearray()
        self._answer: asyncio.Future[tuple[str, bytes]] | None = None

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return (await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port))[1]

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self, request: bytes) -> "asyncio.Future[tuple[str, bytes]]":
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0 or self._answer is None:
            return
        head = bytes(self._data[:end]).lower()
        start = head.find(b"content-length:") + len(b"content-length:")
        size = end + 4 + int(head[start:].partition(b"\r\n")[0])
        if len(self._data) < size:
            return
        answer, body = (head[9:12].decode(), bytes(self._data[end + 4 : size])), self._answer
        del self._data[:size]
        if b"connection: close" in head:
            self.close()
        self._answer = None
        if not body.done():
            body.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed"))

    def close(self) -> None:
        self.closed = True
        self._transport.close()


Check = Callable[[int, bytes], str]
"""What becomes of an answer with the status 200, by the number of its request: its status in the `Load`."""


def _plain(number: int, body: bytes) -> str:
    return "200"


async def closed_load(
    port: int, requests: Sequence[bytes], clients: int, stop: Callable[[int], bool], check: Check = _plain
) -> Load:
    """So many clients, each of which sends its next request when it has its answer, until `stop` (number of the request)."""
    load, numbers = Load(), iter(range(10**9))

    async def run() -> None:
        connection: Connection | None = None
        while not stop(number := next(numbers)):
            start = time.perf_counter()
            try:
                connection = connection if connection and not connection.closed else await Connection.open(port)
                status, body = await connection.ask(requests[number % len(requests)])
                load.note(check(number, body) if status == "200" else status, time.perf_counter() - start)
            except OSError as error:
                load.note(type(error).__name__, time.perf_counter() - start)
                await asyncio.sleep(0.01)
        if connection:
            connection.close()

    await asyncio.gather(*(run() for _ in range(clients)))
    return load


async def open_load(port: int, requests: Sequence[bytes], rate: float, seconds: float, *, evenly: bool = False) -> Load:
    """`rate` requests a second, at random times or `evenly`, whether earlier ones are answered or not.

    The seconds of an answer count from these times, also where the client was late.
    """
    load, idle, tasks = Load(), list[Connection](), set[asyncio.Task[None]]()
    count = int(rate * seconds)
    gaps = np.full(count, 1 / rate) if evenly else np.random.default_rng(0).exponential(1 / rate, count)
    times = np.cumsum(gaps)
    begin = time.perf_counter()

    async def run(number: int, due: float) -> None:
        try:
            while (connection := idle.pop() if idle else None) and connection.closed:
                pass
            connection = connection or await Connection.open(port)
            status, _ = await connection.ask(requests[number % len(requests)])
            load.note(status, time.perf_counter() - due)
            if not connection.closed:
                idle.append(connection)
        except OSError as error:
            load.note(type(error).__name__, time.perf_counter() - due)

    for number, moment in enumerate(times):
        due = begin + float(moment)
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        load.late.append(max(0.0, time.perf_counter() - due))
        if len(tasks) >= _MOST_CONNECTIONS:
            load.statuses["not sent"] += 1
            continue
        task = asyncio.create_task(run(number, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.close()
    return load


def drive(load: Coroutine[Any, Any, Load]) -> Load:
    """The load, in an event loop of its own."""
    return uvloop.run(load)
