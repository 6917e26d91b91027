"""/v2: the Open Inference Protocol (KServe v2, REST), which clients of Triton and KServe speak."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from twofold.serving.inference_tensors import INPUT, OUTPUTS, inference_answer, parse_inference
from twofold.serving.openapi import INFER
from twofold.serving.request_errors import RequestError
from twofold.serving.request_images import read_body
from twofold.serving.service import Service

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.requests import Request
    from starlette.responses import Response

_LENGTH: Final = "inference-header-content-length"


def inference_router(service: Service) -> "APIRouter":
    """The routes."""
    from fastapi import APIRouter, Request
    from starlette.responses import Response

    router = APIRouter(prefix="/v2")

    @router.get("", summary="The server")
    async def server() -> dict[str, Any]:
        return {"name": "twofold", "version": version("twofold"), "extensions": ["binary_tensor_data"]}

    @router.get("/health/live", response_class=Response, summary="Whether the process answers")
    async def live() -> Response:
        return Response()

    @router.get("/health/ready", response_class=Response, summary="Whether all models are ready")
    async def ready() -> Response:
        return Response(status_code=200 if service.ready else 503)

    @router.get("/models/{name}", responses={404: INFER.responses[404]}, summary="The inputs and outputs of a model")
    @router.get("/models/{name}/versions/{number}", include_in_schema=False)
    async def model(name: str, request: Request) -> dict[str, Any]:
        current = _version(service, name, request)
        outputs = [{"name": output, "datatype": kind, "shape": [-1]} for output, kind in OUTPUTS.items()]
        return {
            "name": name,
            "versions": [current],
            "platform": "twofold",
            "inputs": [INPUT],
            "outputs": outputs,
        }

    @router.get(
        "/models/{name}/ready",
        response_class=Response,
        responses={404: INFER.responses[404]},
        summary="Whether a model is ready",
    )
    @router.get("/models/{name}/versions/{number}/ready", include_in_schema=False)
    async def model_ready(name: str, request: Request) -> Response:
        _version(service, name, request)
        return Response(status_code=200 if service.ready else 503)

    @router.post("/models/{name}/infer", openapi_extra=INFER.request, responses=INFER.responses, summary=INFER.summary)
    @router.post("/models/{name}/versions/{number}/infer", include_in_schema=False)
    async def infer(name: str, request: Request) -> Response:
        _version(service, name, request)
        return await _infer(service, name, request)

    return router


def _version(service: Service, name: str, request: "Request") -> str:
    """The version of the model. Raises RequestError for an unknown model, and for another version than the one in use."""
    current = service.model(name).version
    if request.path_params.get("number", current) != current:
        raise RequestError(404, "unknown-version", f"The model {name} has the version {current}.")
    return current


async def _infer(service: Service, name: str, request: "Request") -> "Response":
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response

    model, limits = service.model(name), service.options
    with service.memory.request() as take:
        body = await service.receive(read_body(request, limits.max_bytes, take))
        length = _header_length(request, len(body))
        parsed = await run_in_threadpool(parse_inference, body, length, limits.max_images)
        results = await service.predict(request, model, parsed.images)
    content, length = inference_answer(parsed, name, model.version, [result.prediction for result in results])
    if length is None:
        return Response(content, media_type="application/json")
    return Response(content, media_type="application/octet-stream", headers={_LENGTH: str(length)})


def _header_length(request: "Request", size: int) -> int | None:
    text = request.headers.get(_LENGTH)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= size):
        raise RequestError(400, "bad-request", "Inference-Header-Content-Length does not fit the body.")
    return int(text)
