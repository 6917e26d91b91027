"""The server of a local page: loopback only, on the first free port."""

import socket
from collections.abc import Callable
from contextlib import suppress
from secrets import token_urlsafe
from typing import Final

from twofold.core.errors import TwofoldError
from twofold.review.guard import Guard

_HOST: Final = "127.0.0.1"
_TRIES: Final = 50


class PageServer:
    """A server that is bound to its port and has its `address`, with the token; `run` serves until Ctrl-C.

    `build` makes the application from its token and its port. Raises TwofoldError where no port from `port` on is free.
    """

    def __init__(self, build: Callable[[str, int], Guard], port: int) -> None:
        self._socket = _bind(port)
        self.port = int(self._socket.getsockname()[1])
        token = token_urlsafe(24)
        self.address = f"http://{_HOST}:{self.port}/?token={token}"
        self._app = build(token, self.port)

    def run(self) -> None:
        """Serves pages until Ctrl-C."""
        import uvicorn

        config = uvicorn.Config(self._app, log_level="error", access_log=False, lifespan="off", server_header=False)
        with suppress(KeyboardInterrupt):  # the usual end
            uvicorn.Server(config).run(sockets=[self._socket])


def _bind(port: int) -> socket.socket:
    """A socket on the first free port from `port` on; 0 is any."""
    last = port if port == 0 else min(port + _TRIES, 65_535)
    for number in range(port, last + 1):
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            server.bind((_HOST, number))
            server.listen(64)  # a browser that is quicker than the server waits
        except OSError:  # in use, or reserved
            server.close()
            continue
        return server
    raise TwofoldError(f"None of the ports {port} to {last} is free: give another one with `port`.")
