"""The limit of the queue, as an ASGI application in front of the routes: what refusals cost, answers would lose."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twofold.serving.request_errors import send_error
from twofold.serving.service import Service

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class QueuedRoute:
    """A route whose images wait in the queue; `path` names it in metrics, as the routes of the application do."""

    path: str
    pattern: re.Pattern[str]


_ROUTES: Final = (
    QueuedRoute("/predict", re.compile("/predict")),
    QueuedRoute("/models/{name}/predict", re.compile("/models/[^/]+/predict")),
    QueuedRoute("/v2/models/{name}/infer", re.compile("/v2/models/[^/]+(/versions/[^/]+)?/infer")),
)


class QueueGuard:
    """Lets requests pass while an image can wait; others are refused before their body is read."""

    def __init__(self, app: "ASGIApp", service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        error = self._service.refusal() if scope["type"] == "http" and scope["method"] == "POST" else None
        route = next((each for each in _ROUTES if error and each.pattern.fullmatch(scope["path"])), None)
        if error is None or route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        await send_error(scope, send, error)
