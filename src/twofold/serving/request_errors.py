"""What a request can be refused for: a status, a reason code and a sentence, as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Scope, Send


@dataclass(eq=False)
class RequestError(Exception):
    """A request that gets no prediction. `retry_after` is in seconds."""

    status: int
    reason: str
    message: str
    retry_after: int | None = None
    closes: bool = False
    """Whether the rest of the body is not read, so that the connection ends."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        headers = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        return headers | ({"connection": "close"} if self.closes else {})

    def as_json(self, path: str) -> dict[str, Any]:
        """{"error": {"reason", "message"}}; the inference protocol wants a text in its place."""
        if path.startswith("/v2"):
            return {"error": f"{self.reason}: {self.message}"}
        return {"error": {"reason": self.reason, "message": self.message}}


async def send_error(
    scope: "Scope", send: "Send", error: RequestError, more: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Sends the error, with more headers, without a framework."""
    body = json.dumps(error.as_json(scope["path"])).encode()
    pairs = {"content-type": "application/json", "content-length": str(len(body)), **error.headers, **more}
    encoded = [(name.encode(), value.encode()) for name, value in pairs.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
