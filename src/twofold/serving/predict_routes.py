"""/predict and /explain: images in, predictions or an evidence map out."""

import io
from typing import TYPE_CHECKING, Any

from twofold.serving.openapi import EXPLAIN, PREDICT
from twofold.serving.prediction_json import predictions_json
from twofold.serving.request_errors import RequestError
from twofold.serving.request_images import RequestImages, read_images
from twofold.serving.service import Service

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.requests import Request
    from starlette.responses import Response

    from twofold.serving.model_repository import ServedModel


def predict_router(service: Service) -> "APIRouter":
    """The routes, for the only model and for models by name."""
    from fastapi import APIRouter, Request
    from starlette.responses import JSONResponse, Response

    router = APIRouter()

    async def predict(request: "Request", name: str | None = None) -> "Response":
        model = service.model(name)
        with service.memory.request() as take:
            images = await _receive(service, request, take)
            results = await service.predict(request, model, [image.data for image in images.images])
        return JSONResponse(predictions_json(model, images, results))

    async def explain(request: "Request", name: str | None = None) -> "Response":
        model = service.model(name)
        with service.memory.request() as take:
            images = await _receive(service, request, take)
            if len(images.images) > 1:
                raise RequestError(413, "too-many-images", "One image is explained at a time.")
            data = images.images[0].data
            png, headers = await service.explain(request, lambda: _explain(model, data))
        return Response(png, media_type="image/png", headers=headers)

    @router.post("/predict", openapi_extra=PREDICT.request, responses=PREDICT.responses, summary=PREDICT.summary)
    async def predict_alone(request: Request) -> Response:
        return await predict(request)

    @router.post(
        "/models/{name}/predict", openapi_extra=PREDICT.request, responses=PREDICT.responses, summary=PREDICT.summary
    )
    async def predict_by_name(name: str, request: Request) -> Response:
        return await predict(request, name)

    @router.post("/explain", openapi_extra=EXPLAIN.request, responses=EXPLAIN.responses, summary=EXPLAIN.summary)
    async def explain_alone(request: Request) -> Response:
        return await explain(request)

    @router.post(
        "/models/{name}/explain", openapi_extra=EXPLAIN.request, responses=EXPLAIN.responses, summary=EXPLAIN.summary
    )
    async def explain_by_name(name: str, request: Request) -> Response:
        return await explain(request, name)

    return router


async def _receive(service: Service, request: "Request", take: Any) -> RequestImages:
    limits = service.options
    reading = read_images(request, max_bytes=limits.max_bytes, max_images=limits.max_images, take=take)
    return await service.receive(reading)


def _explain(model: "ServedModel", data: bytes) -> tuple[bytes, dict[str, str]]:
    """The evidence map over the image as PNG, and the prediction as headers. Raises RequestError where it cannot be read."""
    from twofold.data import ReadError
    from twofold.report.evidence_overlay import small_overlay

    explanation, pixels = model.explainer.explain(data), model.explainer.open(data)
    if explanation.map is None or isinstance(pixels, ReadError):
        error = pixels if isinstance(pixels, ReadError) else explanation.prediction.read_error
        assert error is not None
        raise RequestError(422, error.code, error.sentence.replace("`", ""))
    file = io.BytesIO()
    small_overlay(pixels, explanation.map).save(file, "PNG")
    prediction = explanation.prediction
    headers = {
        "x-twofold-logit": f"{prediction.logit:.6f}",
        "x-twofold-probability": f"{prediction.probability:.6f}",
        "x-twofold-version": model.version,
        "x-twofold-method": explanation.method or "",
    }
    return file.getvalue(), headers
