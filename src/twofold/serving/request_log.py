"""One line of JSON for every request, and its metrics. Lines hold no content of images."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from twofold.serving.service_metrics import ServiceMetrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

WriteLine = Callable[[str], None]


class RequestLog:
    """An ASGI application in front of another one. `write` gets a line for each request; None writes nothing."""

    def __init__(self, app: "ASGIApp", metrics: ServiceMetrics, write: WriteLine | None) -> None:
        self._app, self._metrics, self._write = app, metrics, write

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = perf_counter(), 500

        async def send_and_note(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            seconds = perf_counter() - start
            route = getattr(scope.get("route"), "path", "none")  # not the path, of which there are any number
            self._metrics.request(route, status, seconds)
            if self._write is not None:
                client = (scope.get("client") or ("",))[0]
                fields = {"client": client, "method": scope["method"], "path": scope["path"], "status": status}
                self._write(log_line("request", **fields, ms=round(1000 * seconds, 2)))


def log_line(event: str, **fields: Any) -> str:
    """A line of JSON with the time and the event first.

    >>> log_line("reload", model="pets")[-36:]
    ' "event": "reload", "model": "pets"}'
    """
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": time, "event": event, **fields})
