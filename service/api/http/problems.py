"""Every error as `application/problem+json` (RFC 9457); the only file that knows HTTP statuses.

An invalid request raises ApiError with a code of `ErrorCode`. Errors of Redis and of the store
reach the handlers here as the exceptions they are.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from fastapi import FastAPI, Request
from pydantic import JsonValue
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from service.infra.artifact_store import StoreError
from service.jobs.redis_errors import outage_reason
from service.schemas.documents import ErrorCode, Failure, Problem

PROBLEM = "application/problem+json"
DEFAULT_RETRY_S = 2  # seconds of Retry-After where no better estimate exists
MAX_ECHO = 200  # characters of a received value that a problem repeats
HTTP_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

STATUSES: Mapping[ErrorCode, tuple[int, str]] = {
    ErrorCode.BAD_REQUEST: (400, "Malformed request"),
    ErrorCode.UNAUTHORIZED: (401, "No valid key"),
    ErrorCode.FORBIDDEN: (403, "The key may not do this"),
    ErrorCode.CROSS_SITE: (403, "Sent by a page of another origin"),
    ErrorCode.NOT_FOUND: (404, "Not found"),
    ErrorCode.METHOD_NOT_ALLOWED: (405, "Method not allowed"),
    ErrorCode.NOT_ACCEPTABLE: (406, "No such representation"),
    ErrorCode.REQUEST_TIMEOUT: (408, "Request too slow"),
    ErrorCode.NOT_FINISHED: (409, "Not finished"),
    ErrorCode.STILL_RUNNING: (409, "Still running"),
    ErrorCode.CANCELED: (409, "Canceled"),
    ErrorCode.MODEL_CHANGED: (409, "Another model is served under this name"),
    ErrorCode.GONE: (410, "Expired"),
    ErrorCode.TOO_LARGE: (413, "Too large"),
    ErrorCode.URI_TOO_LONG: (414, "Address too long"),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: (415, "Unsupported media type"),
    ErrorCode.MISDIRECTED_REQUEST: (421, "Not a name of this server"),
    ErrorCode.INVALID_IMAGE: (422, "Invalid picture"),
    ErrorCode.INVALID_LABEL_MAP: (422, "Invalid label map"),
    ErrorCode.INVALID_SETTINGS: (422, "Invalid settings"),
    ErrorCode.INVALID_PARAMETER: (422, "Invalid parameter"),
    ErrorCode.IDEMPOTENCY_MISMATCH: (422, "Idempotency-Key used for another request"),
    ErrorCode.UNKNOWN_MODEL: (422, "Unknown model"),
    ErrorCode.UNKNOWN_OUTPUT: (422, "Unknown output"),
    ErrorCode.HEADERS_TOO_LARGE: (431, "Headers too large"),
    ErrorCode.NO_RESULT: (404, "No result"),
    ErrorCode.RATE_LIMITED: (429, "Too many requests"),
    ErrorCode.SHARE_FULL: (429, "Too many of yours are waiting"),
    ErrorCode.MODEL_FAILED: (500, "The model failed"),
    ErrorCode.WORKER_LOST: (500, "Worker lost"),
    ErrorCode.INTERNAL: (500, "Internal error"),
    ErrorCode.MODEL_UNAVAILABLE: (503, "Model unavailable"),
    ErrorCode.QUEUE_FULL: (503, "Queue full"),
    ErrorCode.BUSY: (503, "Too much at once"),
    ErrorCode.NO_WORKER: (503, "No worker"),
    ErrorCode.REDIS_UNAVAILABLE: (503, "Redis unavailable"),
    ErrorCode.STORE_UNAVAILABLE: (503, "Store unavailable"),
    ErrorCode.DATA_LOST: (503, "Data lost"),
    ErrorCode.DEADLINE_EXCEEDED: (504, "Deadline exceeded"),
}

# Statuses that Starlette raises by itself, and their codes here.
_OF_STATUS = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.TOO_LARGE,
    415: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
}

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class ApiError(Exception):
    """An error that is answered with a problem."""

    code: ErrorCode
    detail: str
    field: str | None = None
    received: Any = None  # JSON, as `accepted` is
    accepted: Any = None
    headers: Mapping[str, str] | None = None


def retry_after(seconds: int = DEFAULT_RETRY_S) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def invalid_setting(name: str, said: str, received: Any, accepted: Any) -> ApiError:
    """The error for a setting, named by its path, with a value that is not accepted."""
    field = f"settings.{name}"
    return ApiError(ErrorCode.INVALID_SETTINGS, f"{field}: {said}", field, received, accepted)


def problem_of(error: ApiError) -> Problem:
    status, title = STATUSES[error.code]
    return Problem(
        type=f"urn:shapshot:problem:{error.code.value}",
        title=title,
        status=status,
        code=error.code.value,
        detail=error.detail,
        field=error.field,
        received=shorten(error.received),
        accepted=error.accepted,
    )


def failure_problem(failure: Failure) -> Problem:
    """The problem that a document shows for a worker's failure."""
    told = failure.field, failure.received, failure.accepted
    return problem_of(ApiError(failure.code, failure.detail, *told))


class ProblemResponse(Response):
    """Stores the problem's code in the scope, for the access log and the metrics."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None) -> None:
        super().__init__(problem.model_dump_json(), problem.status, headers, PROBLEM)
        self._code = problem.code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["problem"] = self._code
        await super().__call__(scope, receive, send)


def problem_response(error: ApiError) -> Response:
    return ProblemResponse(problem_of(error), error.headers)


def shorten(value: JsonValue) -> JsonValue:
    """Returns the value; a long one is cut to the beginning of its text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return value if len(text) <= MAX_ECHO else f"{text[:MAX_ECHO]}…"


def install(app: FastAPI) -> None:
    """Registers handlers for expected exceptions; `http/access_log.py` handles all others."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(redis.RedisError, _on_redis_error)
    app.add_exception_handler(StoreError, _on_store_error)


async def _on_api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - Starlette's handler type is that wide
    return problem_response(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 405:
        return _other_method(request)
    code = _OF_STATUS.get(error.status_code, ErrorCode.BAD_REQUEST)
    detail = f"there is nothing at {shorten(request.url.path)}"
    if code is not ErrorCode.NOT_FOUND:
        detail = error.detail
    return problem_response(ApiError(code, detail, headers=dict(error.headers or {})))


def _other_method(request: Request) -> Response:
    """405, or the response to OPTIONS; both name the allowed methods."""
    allowed = ["OPTIONS"]
    for method in HTTP_METHODS:
        scope = dict(request.scope) | {"method": method}
        if any(route.matches(dict(scope))[0] is Match.FULL for route in request.app.routes):
            allowed += ["GET", "HEAD"] if method == "GET" else [method]
    headers = {"Allow": ", ".join(sorted(allowed))}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    detail = f"{request.method} is not allowed here; allowed are {headers['Allow']}"
    return problem_response(
        ApiError(
            ErrorCode.METHOD_NOT_ALLOWED,
            detail,
            received=request.method,
            accepted=sorted(allowed),
            headers=headers,
        )
    )


async def _on_redis_error(_request: Request, error: Exception) -> Response:
    log.error("Redis failed", reason=f"{type(error).__name__}: {error}")
    assert isinstance(error, redis.RedisError)  # noqa: S101
    detail = "Redis does not do what was asked of it"
    if reason := outage_reason(error):
        detail = f"{reason}; nothing can be accepted until that is over"
    return problem_response(ApiError(ErrorCode.REDIS_UNAVAILABLE, detail, headers=retry_after()))


async def _on_store_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)  # noqa: S101
    log.error("the store failed", reason=str(error), cause=error.cause)
    detail = "the store of pictures and arrays does not do what was asked of it"
    return problem_response(ApiError(ErrorCode.STORE_UNAVAILABLE, detail, headers=retry_after()))
