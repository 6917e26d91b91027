"""What the OpenAPI schema says of requests and answers, with examples."""

from dataclasses import dataclass
from typing import Any, Final

_PREDICTION: Final[dict[str, Any]] = {
    "label": "dog",
    "probability": 0.9871,
    "familiarity": 0.412,
    "logit": 4.337,
    "reason": None,
}
_MODEL: Final[dict[str, Any]] = {
    "positive": "dog",
    "model": "pets",
    "version": "3f2a9c1b7d5e8f04",
    "queue_ms": 0.2,
    "compute_ms": 14.1,
}
_NUMBER: Final[dict[str, Any]] = {"type": ["number", "null"]}
_TEXT: Final[dict[str, Any]] = {"type": ["string", "null"]}
_PREDICTION_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": list(_PREDICTION),
    "properties": {
        "name": {"type": "string", "description": "The name of the file, where the request has one."},
        "label": _TEXT | {"description": "The class; null for an image without a decision."},
        "probability": _NUMBER | {"description": "Probability of the class `positive`."},
        "familiarity": _NUMBER | {"description": "How like the training images it is, from 0 to 1."},
        "logit": _NUMBER,
        "reason": _TEXT | {"description": "Why there is no label: unsure, unfamiliar, or the code of a read error."},
        "message": {"type": "string", "description": "What is wrong with an image that cannot be read."},
    },
}
_MODEL_PROPERTIES: Final = {
    "positive": {"type": "string"},
    "model": {"type": "string"},
    "version": {"type": "string"},
    "queue_ms": {"type": "number"},
    "compute_ms": {"type": "number"},
}
_ANSWER: Final = {
    "oneOf": [
        {
            "type": "object",
            "required": [*_PREDICTION, *_MODEL_PROPERTIES],
            "properties": _PREDICTION_SCHEMA["properties"] | _MODEL_PROPERTIES,
        },
        {
            "type": "object",
            "required": ["predictions", *_MODEL_PROPERTIES],
            "properties": {"predictions": {"type": "array", "items": _PREDICTION_SCHEMA}, **_MODEL_PROPERTIES},
        },
    ]
}
_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["reason", "message"],
            "properties": {"reason": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
_IMAGES: Final = {
    "type": "object",
    "required": ["images"],
    "properties": {"images": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "byte"}}},
}
_FORM: Final = {
    "type": "object",
    "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
}
_BODY: Final = {
    "required": True,
    "content": {
        "image/*": {"schema": {"type": "string", "format": "binary"}},
        "multipart/form-data": {"schema": _FORM},
        "application/json": {"schema": _IMAGES, "example": {"images": ["iVBORw0KGgo..."]}},
    },
}
_FAULTS: Final = {
    400: "The request is not what it says.",
    401: "The token is missing or wrong.",
    404: "There is no model of this name.",
    408: "The body did not arrive in time.",
    413: "The body has too many bytes or images.",
    415: "The content type is not read.",
    422: "The image cannot be read; the reason says why.",
    429: "The queue is full; try again after the seconds of Retry-After.",
    500: "The network failed.",
    503: "The networks are being compiled, or the service is ending.",
    504: "There was no result in time.",
}


def _json_answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: _json_answer(text, _ERROR) for status, text in _FAULTS.items()
}
"""The answers to requests that get no prediction."""


@dataclass(frozen=True, slots=True)
class RouteSchema:
    """The summary, the body of the request and the answers of a route."""

    summary: str
    request: dict[str, Any]
    responses: dict[int | str, dict[str, Any]]


_ONE: Final = {"summary": "one image", "value": _PREDICTION | _MODEL}
_MANY: Final = {"summary": "several images", "value": {"predictions": [{"name": "rex.jpg"} | _PREDICTION]} | _MODEL}
PREDICT: Final = RouteSchema(
    "Predict one image or several",
    {"requestBody": _BODY},
    {
        200: {
            "description": "One prediction for a raw image, a list for a form or JSON.",
            "content": {"application/json": {"schema": _ANSWER, "examples": {"one": _ONE, "many": _MANY}}},
        },
        **ERRORS,
    },
)
EXPLAIN: Final = RouteSchema(
    "The evidence map over an image",
    {"requestBody": _BODY},
    {
        200: {
            "description": "The image in grey, orange where the evidence is for `positive`, blue where it is against.",
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        },
        **ERRORS,
    },
)

_TENSOR: Final = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"type": "string"},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}
_TENSORS: Final = {"type": "array", "items": _TENSOR}
_INFERENCE: Final = {
    "type": "object",
    "required": ["model_name", "outputs"],
    "properties": {"model_name": {"type": "string"}, "model_version": {"type": "string"}, "outputs": _TENSORS},
}
_INFER_EXAMPLE: Final = {
    "inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["iVBORw0KGgo..."]}],
    "outputs": [{"name": "label"}, {"name": "probability"}],
}
_INFER_ERROR: Final = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
INFER: Final = RouteSchema(
    "Predict images as tensors: BYTES (encoded images) or UINT8",
    {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "object", "required": ["inputs"], "properties": {"inputs": _TENSORS}},
                    "example": _INFER_EXAMPLE,
                }
            },
        }
    },
    {
        200: _json_answer("The outputs.", _INFERENCE),
        **{status: _json_answer(text, _INFER_ERROR) for status, text in _FAULTS.items()},
    },
)
