"""OpenAPI descriptions of the explain calls."""

from typing import Any

from pydantic import BaseModel

from service.api.facades.error_forms import RPC_CODES
from service.api.http.openapi_responses import (
    IDEMPOTENCY_KEY,
    PREFER,
    RETRY_AFTER,
    Responses,
    problems,
)
from service.api.routes.submission_openapi import CACHE_CONTROL, CACHE_STATUS, LOCATION
from service.api.uploads.upload import JSON
from service.schemas.documents import Batch, ErrorCode, Explanation
from service.schemas.explain_protocols import KServeError, VertexError

_PROBLEMS = (
    ErrorCode.CROSS_SITE,
    ErrorCode.NOT_FOUND,
    ErrorCode.NOT_ACCEPTABLE,
    ErrorCode.REQUEST_TIMEOUT,
    ErrorCode.CANCELED,
    ErrorCode.GONE,
    ErrorCode.TOO_LARGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.INVALID_IMAGE,
    ErrorCode.INVALID_SETTINGS,
    ErrorCode.UNKNOWN_OUTPUT,
    ErrorCode.IDEMPOTENCY_MISMATCH,
    ErrorCode.MODEL_CHANGED,
    ErrorCode.MODEL_FAILED,
    ErrorCode.MODEL_UNAVAILABLE,
    ErrorCode.NO_RESULT,
    ErrorCode.NO_WORKER,
    ErrorCode.SHARE_FULL,
    ErrorCode.QUEUE_FULL,
    ErrorCode.BUSY,
    ErrorCode.STORE_UNAVAILABLE,
    ErrorCode.WORKER_LOST,
    ErrorCode.DEADLINE_EXCEEDED,
)


def explain_request(*forms: type[BaseModel]) -> dict[str, Any]:
    """Describes a request in one of these forms, and its header parameters."""
    schemas = [{"$ref": f"#/components/schemas/{form.__name__}"} for form in forms]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {
        "requestBody": {"required": True, "content": {JSON: {"schema": schema}}},
        "parameters": [PREFER, IDEMPOTENCY_KEY, CACHE_CONTROL],
    }


def explain_responses(*, any_form: bool) -> Responses:
    """Describes the responses; any_form: of the path that answers in both forms, and by 202."""
    found: Responses = {200: {"headers": LOCATION | CACHE_STATUS}}
    if any_form:
        found[202] = {
            "model": Explanation | Batch,
            "description": "Not done within the wait",
            "headers": LOCATION | RETRY_AFTER,
        }
    for status, described in problems(*_PROBLEMS).items():
        number = int(status)
        if not any_form:
            _, number = RPC_CODES.get(number, ("INVALID_ARGUMENT", 400))
        words = described["description"].removeprefix("Problem ")
        if number in found:
            words = f"{found[number]['description']} or {words}"
        found[number] = {
            "model": KServeError | VertexError if any_form else VertexError,
            "description": words,
            **({"headers": described["headers"]} if "headers" in described else {}),
        }
    return found
