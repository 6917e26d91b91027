"""Predictions as the service writes them."""

from collections.abc import Sequence
from typing import Any

from twofold.bundle.model import Prediction
from twofold.core.files import printable
from twofold.serving.batch_queue import JobResult
from twofold.serving.model_repository import ServedModel
from twofold.serving.request_errors import RequestError
from twofold.serving.request_images import RequestImages


def predictions_json(model: ServedModel, request: RequestImages, results: Sequence[JobResult]) -> dict[str, Any]:
    """The answer to a request: the prediction of a single image, or a list of predictions.

    Raises RequestError with the status 422 for a single image that cannot be read.
    """
    predictions = [_prediction_json(result.prediction) for result in results]
    if not request.is_single:
        named = [
            {"name": printable(image.name)} | each if image.name else each
            for image, each in zip(request.images, predictions, strict=True)
        ]
        return {"predictions": named} | _model_json(model) | _times_json(results)
    error = results[0].prediction.read_error
    if error is not None:
        raise RequestError(422, error.code, error.sentence.replace("`", ""))
    return predictions[0] | _model_json(model) | _times_json(results)


def _prediction_json(prediction: Prediction) -> dict[str, Any]:
    error = prediction.read_error
    plain = {
        "label": prediction.label,
        "probability": prediction.probability,
        "familiarity": prediction.familiarity,
        "logit": prediction.logit,
        "reason": prediction.reason,
    }
    return plain if error is None else plain | {"message": error.sentence.replace("`", "")}


def _model_json(model: ServedModel) -> dict[str, str]:
    return {"positive": model.bundle.model.classes[1], "model": model.name, "version": model.version}


def _times_json(results: Sequence[JobResult]) -> dict[str, float]:
    """The longest time that an image of the request waited, and that its batch took."""
    return {
        "queue_ms": round(1000 * max(result.queue_seconds for result in results), 3),
        "compute_ms": round(1000 * max(result.compute_seconds for result in results), 3),
    }
