"""The guard of a local page: only this machine's browser with the token in its address gets anything."""

from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from secrets import compare_digest
from typing import Any, Final
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_HEADER: Final = "x-twofold-token"

_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """An ASGI application in front of another one.

    A request must name this machine as its host, so that no other site can lead its name here (DNS rebinding). The token is in
    the address of the first page, from which it moves into a cookie; what changes something needs it in a header, which no other
    site can send.
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._cookie = f"twofold-{port}"  # cookies are the same for all ports of a host
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("host") not in self._hosts:
            await _refuse(send, "This page is for the browser of this machine only.")
        elif scope["method"] == "GET" and scope["path"] == "/" and self._matches(_token_of_query(scope)):
            cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            await _send(send, 303, b"", {"location": "/", "set-cookie": cookie})
        elif self._is_allowed(scope["method"], headers):
            await self._app(scope, receive, _with_headers(send))
        else:
            await _refuse(send, "Open the address that twofold printed: it holds the token of this page.")

    def _is_allowed(self, method: str, headers: dict[str, str]) -> bool:
        reads = method in ("GET", "HEAD") and self._matches(self._token_of_cookie(headers))
        return reads or self._matches(headers.get(TOKEN_HEADER, ""))

    def _matches(self, token: str) -> bool:
        return compare_digest(token.encode(), self._token.encode())

    def _token_of_cookie(self, headers: dict[str, str]) -> str:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return ""
        return str(cookies[self._cookie].value) if self._cookie in cookies else ""


def _token_of_query(scope: Scope) -> str:
    values: list[str] = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
    return values[0]


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            more = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return send_with_headers


async def _refuse(send: Send, sentence: str) -> None:
    await _send(send, 403, sentence.encode(), {"content-type": "text/plain; charset=utf-8"})


async def _send(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await _with_headers(send)({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
