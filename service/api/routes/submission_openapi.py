"""OpenAPI descriptions of endpoints that accept pictures: request and responses."""

from typing import Any

from pydantic import BaseModel

from service.api.http.openapi_responses import (
    ETAG,
    PREFER,
    PREFERENCE_APPLIED,
    RETRY_AFTER,
    Responses,
    problems,
)
from service.api.uploads.upload import JSON, MULTIPART
from service.schemas.documents import ErrorCode
from service.schemas.requests import MAX_IMAGES_IN_BATCH

Described = dict[str, Any]  # a part of the OpenAPI document

_FILE = {"type": "string", "format": "binary"}
PICTURE = _FILE | {"description": "The picture, as a file"}
PICTURES = {
    "type": "array",
    "items": _FILE,
    "minItems": 1,
    "maxItems": MAX_IMAGES_IN_BATCH,
    "description": "The pictures, a file each, in parts of the same name",
}
_LABEL_MAP = _FILE | {
    "description": "Regions of your own, where superpixels are labels: PNG (8- or 16-bit "
    "grey, or palette indices) or .npy of whole numbers, of the upright picture's size or "
    "of the model's input",
}
_CACHE_CONTROL = {
    "name": "Cache-Control",
    "in": "header",
    "description": "`no-cache`: compute anew; `no-store`: that, and answer no other request by it",
    "schema": {"type": "string"},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same request gives the same again",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_LOCATION = {"Location": {"description": "Path of what was made", "schema": {"type": "string"}}}
_CACHE_STATUS = {
    "Cache-Status": {
        "description": "RFC 9211: `hit` where an earlier result answers, for all of a batch, else "
        "`fwd=miss`, `fwd=partial` where one does for some of it, or `fwd=request` where "
        "Cache-Control asked for that",
        "schema": {"type": "string"},
    }
}
_PROBLEMS = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.CROSS_SITE,
    ErrorCode.REQUEST_TIMEOUT,
    ErrorCode.GONE,
    ErrorCode.TOO_LARGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.INVALID_IMAGE,
    ErrorCode.INVALID_LABEL_MAP,
    ErrorCode.INVALID_SETTINGS,
    ErrorCode.IDEMPOTENCY_MISMATCH,
    ErrorCode.UNKNOWN_MODEL,
    ErrorCode.UNKNOWN_OUTPUT,
    ErrorCode.MODEL_CHANGED,
    ErrorCode.MODEL_UNAVAILABLE,
    ErrorCode.NO_WORKER,
    ErrorCode.SHARE_FULL,
    ErrorCode.QUEUE_FULL,
    ErrorCode.BUSY,
    ErrorCode.STORE_UNAVAILABLE,
)


def asks(document: type[BaseModel], *, image: Described, example: Described) -> Described:
    """The request as a form or a JSON document, and its header parameters."""
    form = {"schema": _form(image), "encoding": {"settings": {"contentType": JSON}}}
    schema = {"$ref": f"#/components/schemas/{document.__name__}"}
    content = {MULTIPART: form, JSON: {"schema": schema, "example": example}}
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": [PREFER, _IDEMPOTENCY_KEY, _CACHE_CONTROL],
    }


def _form(image: Described) -> Described:
    settings = {"$ref": "#/components/schemas/ExplanationSettings"}
    return {
        "type": "object",
        "required": ["image"],
        "properties": {"image": image, "settings": settings, "label_map": _LABEL_MAP},
        "additionalProperties": False,
    }


def answers(model: type[BaseModel]) -> Responses:
    """Responses: 200 if already done, 202 if not, or a problem."""
    version = ETAG | PREFERENCE_APPLIED | _CACHE_STATUS
    done = {
        "model": model,
        "description": "Done, within the wait preferred or by an earlier request",
        "headers": _LOCATION | version,
    }
    accepted = {"headers": _LOCATION | RETRY_AFTER | version}
    return {200: done, 202: accepted, **problems(*_PROBLEMS)}
