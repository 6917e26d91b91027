"""/health, /metrics, /models, and the page to drop images on."""

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from twofold.serving.openapi import ERRORS
from twofold.serving.request_errors import RequestError
from twofold.serving.service import Service

if TYPE_CHECKING:
    from fastapi import APIRouter

    from twofold.serving.model_repository import ServedModel

_ASSETS: Final = {"serve.css": "text/css", "serve.js": "text/javascript", "theme.css": "text/css"}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""The content security policy of the page."""


def health_router(service: Service) -> "APIRouter":
    """The routes."""
    from fastapi import APIRouter, Request
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

    router = APIRouter()

    @router.get("/health/live", summary="Whether the process answers")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/health/ready", summary="Whether requests are answered: 503 until the networks are compiled")
    async def ready() -> Response:
        status = "ready" if service.ready else "draining" if service.draining else "starting"
        return JSONResponse({"status": status}, 200 if service.ready else 503)

    @router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/models", summary="The models")
    async def models() -> dict[str, Any]:
        served = (service.repository.get(name) for name in service.repository.names)
        return {"models": [model_json(model) for model in served if model is not None]}

    not_modified: dict[int | str, dict[str, Any]] = {304: {"description": "The model has this ETag still."}}

    @router.get(
        "/models/{name}", summary="A model; its ETag changes with it", responses={404: ERRORS[404], **not_modified}
    )
    async def describe(name: str, request: Request) -> Response:
        model = service.model(name)
        tag = f'"{model.version}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        return JSONResponse(model_json(model), headers={"etag": tag})

    @router.get("/", include_in_schema=False)
    async def page() -> Response:
        text = (files("twofold.serving.page") / "serve.html").read_text(encoding="utf-8")
        return HTMLResponse(text, headers={"content-security-policy": POLICY, "x-content-type-options": "nosniff"})

    @router.get("/static/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name not in _ASSETS:
            raise RequestError(404, "not-found", "There is no such file.")
        package = "twofold.report.page" if name == "theme.css" else "twofold.serving.page"
        content = (files(package) / name).read_bytes()
        return Response(content, media_type=_ASSETS[name], headers={"cache-control": "no-cache"})

    return router


def model_json(model: "ServedModel") -> dict[str, Any]:
    """What a client needs to know of a model."""
    bundle = model.bundle.model
    return {
        "name": model.name,
        "version": model.version,
        "classes": sorted(bundle.classes),
        "positive": bundle.classes[1],
        "rule": bundle.rule.as_json(),
    }
