"""The bearer token, as an ASGI application in front of the service."""

from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from twofold.serving.request_errors import RequestError, send_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_OPEN: Final = ("/", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/openapi.json")
"""Routes without a token: they show no image and no prediction, and probes have no token."""


class AccessGuard:
    """Lets requests with the token pass, and all requests where there is none."""

    def __init__(self, app: "ASGIApp", token: str | None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http" or self._passes(scope):
            await self._app(scope, receive, send)
            return
        message = "Send the token of the service in the header Authorization: Bearer TOKEN."
        error = RequestError(401, "unauthorized", message, closes=True)
        await send_error(scope, send, error, {"www-authenticate": "Bearer"})

    def _passes(self, scope: "Scope") -> bool:
        path = scope["path"]
        if self._token is None or path in _OPEN or path.startswith("/static/"):
            return True
        values = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = b"".join(values).partition(b" ")
        return len(values) == 1 and scheme.lower() == b"bearer" and compare_digest(token.strip(), self._token)
