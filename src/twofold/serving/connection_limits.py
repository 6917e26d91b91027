"""Limits of a connection until the headers of a request are complete: bodies and answers have limits of their own."""

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEADER_BYTES: Final = 65_536


def limited_protocol(seconds: float) -> "type[HttpToolsProtocol]":
    """uvicorn's protocol; it closes a connection whose headers are not complete after this time, or have more than 64 KB."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class LimitedProtocol(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _received = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._await_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end_wait()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._timer is not None:
                self._received += len(data)
                if self._received > _HEADER_BYTES:
                    self.transport.close()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._await_headers()

        def on_headers_complete(self) -> None:
            self._end_wait()
            super().on_headers_complete()

        def _await_headers(self) -> None:
            self._end_wait()
            self._timer = self.loop.call_later(seconds, self.transport.close)

        def _end_wait(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._received = None, 0

    return LimitedProtocol
