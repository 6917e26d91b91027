"""The application: its routes, and what becomes of errors."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from twofold.core.errors import TwofoldError
from twofold.serving.access_guard import AccessGuard
from twofold.serving.health_routes import health_router
from twofold.serving.inference_protocol import inference_router
from twofold.serving.model_repository import Reload, ServedModel
from twofold.serving.predict_routes import predict_router
from twofold.serving.queue_guard import QueueGuard
from twofold.serving.request_errors import RequestError
from twofold.serving.request_log import RequestLog, WriteLine, log_line
from twofold.serving.served_lives import Tell
from twofold.serving.service import Service

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

_DESCRIPTION: Final = (
    "Predictions of twofold bundles. Decisions, probabilities and logits are those of `twofold predict`."
)
_FORM_LOGGER: Final = "python_multipart"  # it warns of every form that cannot be read; the answer says so
_REASONS: Final = {404: "not-found", 405: "method-not-allowed"}


def build_service(service: Service, token: str | None, write: WriteLine | None) -> "ASGIApp":
    """The application, with the token that requests need, and what gets the lines of its log."""
    from fastapi import FastAPI

    logging.getLogger(_FORM_LOGGER).setLevel(logging.ERROR)

    def tell(event: str, **fields: Any) -> None:
        if write is not None:
            write(log_line(event, **fields))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start(lambda reload: _tell_reload(service, reload, tell), tell)
        for model in filter(None, map(service.repository.get, service.repository.names)):
            _tell_not_watched(model, tell)
        yield
        service.stop()

    app = FastAPI(
        title="twofold",
        version=version("twofold"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts from other sites
        redoc_url=None,
    )
    for router in (predict_router, health_router, inference_router):
        app.include_router(router(service))
    _add_error_handlers(app)
    return RequestLog(AccessGuard(QueueGuard(app, service), token), service.metrics, write)


def _tell_reload(service: Service, reload: Reload, tell: Tell) -> None:
    service.metrics.reload(reload)
    outcome = {"error": reload.error} if reload.model is None else {"version": reload.model.version}
    tell("reload", model=reload.name, **outcome)
    if reload.model is not None:
        _tell_not_watched(reload.model, tell)


def _tell_not_watched(model: ServedModel, tell: Tell) -> None:
    if model.not_watched:
        tell("not-watched", model=model.name, reason=model.not_watched.replace("`", ""))


def _add_error_handlers(app: "FastAPI") -> None:
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
    from starlette.responses import JSONResponse

    def answer(request: "Request", error: RequestError) -> "Response":
        return JSONResponse(error.as_json(request.url.path), error.status, headers=error.headers)

    @app.exception_handler(RequestError)
    async def refuse(request: "Request", error: RequestError) -> "Response":
        return answer(request, error)

    @app.exception_handler(ClientDisconnect)
    async def give_up(request: "Request", error: ClientDisconnect) -> "Response":
        return answer(request, RequestError(499, "disconnected", "The client is gone."))

    @app.exception_handler(HTTPException)
    async def explain(request: "Request", error: HTTPException) -> "Response":
        reason = _REASONS.get(error.status_code, "bad-request")
        response = answer(request, RequestError(error.status_code, reason, f"{error.detail}."))
        response.headers.update(error.headers or {})  # such as the methods that are allowed
        return response

    @app.exception_handler(TwofoldError)
    async def fail(request: "Request", error: TwofoldError) -> "Response":
        return answer(request, RequestError(500, "model-failed", str(error).replace("`", "")))
