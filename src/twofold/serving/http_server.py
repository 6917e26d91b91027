"""The HTTP server: a socket, uvicorn, and a graceful end."""

import asyncio
import signal
import socket
from collections.abc import Callable
from threading import Timer
from typing import TYPE_CHECKING, Final

from twofold.core.errors import TwofoldError
from twofold.core.files import reason
from twofold.serving.connection_limits import limited_protocol
from twofold.serving.service import Service

if TYPE_CHECKING:
    from types import FrameType

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DRAIN_SECONDS: Final = 2.0
"""After SIGTERM requests are still accepted for this time, while /health/ready says 503 and answers end their connections. So a
load balancer learns of it, and no client sends into a connection that is just being closed."""

_KEEP_ALIVE_SECONDS: Final = 75
"""An idle connection stays longer than the 60 seconds for which nginx keeps one, so that no request meets its end."""


class HttpServer:
    """A server that is bound to its port and has its `address`; `run` serves until Ctrl-C or SIGTERM.

    Raises TwofoldError where it cannot listen there.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        host = service.options.host
        self._socket = _bind(host, service.options.port)
        self.port = int(self._socket.getsockname()[1])
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def run(self, app: "ASGIApp", on_ready: Callable[[], None]) -> None:
        """Serves, compiles the networks meanwhile, and calls `on_ready` then. Raises BundleError where one cannot be run."""
        import uvicorn

        service = self._service
        failures: list[Exception] = []

        class DrainingServer(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                asyncio.get_running_loop().run_in_executor(None, warm)

            def handle_exit(self, sig: int, frame: "FrameType | None") -> None:
                # Not uvicorn's own, which raises the signal again at the end.
                if service.draining:
                    self.force_exit = True
                elif sig == signal.SIGINT:
                    self.end()
                else:
                    Timer(_DRAIN_SECONDS, self.end).start()
                service.draining = True

            def end(self) -> None:
                self.should_exit = True

        def warm() -> None:
            try:
                service.repository.warm()
                on_ready()
            except Exception as error:
                failures.append(error)
                server.end()

        config = uvicorn.Config(
            _with_last_answers(app, service),
            http=limited_protocol(service.options.deadline),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(service.options.deadline) + 1,
        )
        server = DrainingServer(config)
        server.run(sockets=[self._socket])
        if failures:
            raise failures[0]


def _with_last_answers(app: "ASGIApp", service: Service) -> "ASGIApp":
    """The application; while the service is ending, its answers are the last of their connections."""

    async def answer(scope: "Scope", receive: "Receive", send: "Send") -> None:
        async def send_last(message: "Message") -> None:
            if service.draining and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
            await send(message)

        await app(scope, receive, send_last if scope["type"] == "http" else send)

    return answer


def _bind(host: str, port: int) -> socket.socket:
    server: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        server = socket.socket(family, kind, protocol)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for old connections
        server.bind(address)
        server.listen(1024)
    except OSError as error:
        if server is not None:
            server.close()
        raise TwofoldError(
            f"The service cannot listen on {host} port {port} ({reason(error)}): give another `port` or `host`."
        ) from error
    return server
