"""OpenAPI descriptions of the endpoints that accept pictures: request and responses."""

from typing import Any

from pydantic import BaseModel

from service.api.http.openapi_responses import (
    ETAG,
    IDEMPOTENCY_KEY,
    PREFER,
    PREFERENCE_APPLIED,
    RETRY_AFTER,
    Responses,
    problems,
)
from service.api.uploads.upload import JSON, MULTIPART
from service.schemas.documents import ErrorCode
from service.schemas.requests import MAX_IMAGES_IN_BATCH
from service.schemas.submissions import IMAGE_URL

Described = dict[str, Any]  # a part of the OpenAPI document

_FILE = {"type": "string", "format": "binary"}
PICTURE = _FILE | {"description": "The picture, as a file"}
PICTURES = {
    "type": "array",
    "items": _FILE,
    "minItems": 1,
    "maxItems": MAX_IMAGES_IN_BATCH,
    "description": "The pictures, one file each, in parts of this name",
}
_URL = {"type": "string", "description": IMAGE_URL}
_URLS = {"type": "array", "items": {"type": "string"}, "description": f"{IMAGE_URL}; of each"}
_LABEL_MAP = _FILE | {
    "description": "Your own regions, for superpixels of kind labels: PNG (8- or 16-bit grey, or "
    "palette indices) or .npy of integers, of the size of the upright picture or of the model's "
    "input",
}
CACHE_CONTROL = {
    "name": "Cache-Control",
    "in": "header",
    "description": "`no-cache`: compute it anew; `no-store`: also never reuse the new result",
    "schema": {"type": "string"},
}
LOCATION = {
    "Location": {"description": "Path of the explanation or batch", "schema": {"type": "string"}}
}
CACHE_STATUS = {
    "Cache-Status": {
        "description": "RFC 9211: `hit` if an earlier result is reused, for a batch in all its "
        "explanations; `fwd=partial` if in some of them; `fwd=miss` if in none; `fwd=request` if "
        "Cache-Control forbids it",
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
    ErrorCode.INVALID_IMAGE_URL,
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


def submission_request(
    document: type[BaseModel], *, image: Described, example: Described
) -> Described:
    """Describes the request, as a form or a JSON document, and its header parameters."""
    kind = document.model_fields["settings"].annotation
    settings = {"$ref": f"#/components/schemas/{getattr(kind, '__name__', '')}"}
    parts = {
        "type": "object",
        "oneOf": [{"required": ["image"]}, {"required": ["image_url"]}],
        "properties": {
            "image": image,
            "image_url": _URLS if image["type"] == "array" else _URL,
            "settings": settings,
            "label_map": _LABEL_MAP,
        },
        "additionalProperties": False,
    }
    form = {"schema": parts, "encoding": {"settings": {"contentType": JSON}}}
    schema = {"$ref": f"#/components/schemas/{document.__name__}"}
    content = {MULTIPART: form, JSON: {"schema": schema, "example": example}}
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": [PREFER, IDEMPOTENCY_KEY, CACHE_CONTROL],
    }


def submission_responses(model: type[BaseModel]) -> Responses:
    """Describes the responses: 200 if it is done already, 202 if not, or a problem."""
    version = ETAG | PREFERENCE_APPLIED | CACHE_STATUS
    done = {
        "model": model,
        "description": "Done: within the preferred wait, or with an earlier result",
        "headers": LOCATION | version,
    }
    accepted = {"headers": LOCATION | RETRY_AFTER | version}
    return {200: done, 202: accepted, **problems(*_PROBLEMS)}
