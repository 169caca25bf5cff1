"""Every error as `application/problem+json` (RFC 9457).

Code that refuses a request raises ApiError with a code of `ErrorCode`; exception_handlers.py turns
it into a response, and statuses.py gives each code its HTTP status.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.http.statuses import STATUSES
from service.schemas.documents import ErrorCode, Failure, Problem

PROBLEM = "application/problem+json"
DEFAULT_RETRY_S = 2  # seconds of Retry-After where no better estimate exists
MAX_ECHO = 200  # characters of a received value that a problem repeats


@dataclass(eq=False)
class ApiError(Exception):
    """An error that the client receives as a problem."""

    code: ErrorCode
    detail: str
    field: str | None = None
    received: Any = None  # JSON, as `accepted` is
    accepted: Any = None
    headers: Mapping[str, str] | None = None


def retry_after(seconds: int = DEFAULT_RETRY_S) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def invalid_setting(name: str, reason: str, received: Any, accepted: Any) -> ApiError:
    """Returns the error for a setting with an unacceptable value; name: its path in settings."""
    field = f"settings.{name}"
    return ApiError(ErrorCode.INVALID_SETTINGS, f"{field}: {reason}", field, received, accepted)


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
    """Returns the problem that a document shows for a worker's failure."""
    return problem_of(
        ApiError(failure.code, failure.detail, failure.field, failure.received, failure.accepted)
    )


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
