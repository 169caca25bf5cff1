"""How OpenAPI describes answers: problems by status, headers, pictures."""

from itertools import groupby
from typing import Any

from service.api.errors import PROBLEM, STATUSES, ApiError, problem_of
from service.contract.schema import ErrorCode

Responses = dict[int | str, dict[str, Any]]

_EVERYWHERE = (ErrorCode.INTERNAL, ErrorCode.REDIS_UNAVAILABLE)
_WAITING = "Seconds after which it is worth asking again"

RETRY_AFTER = {"Retry-After": {"description": _WAITING, "schema": {"type": "integer"}}}
ETAG = {"ETag": {"description": "Changes with the content", "schema": {"type": "string"}}}
LOCATION = {"Location": {"description": "Path of what was made", "schema": {"type": "string"}}}
APPLIED = {
    "Preference-Applied": {
        "description": "`wait=N`, where the request preferred to wait",
        "schema": {"type": "string"},
    }
}
NOT_MODIFIED: Responses = {
    304: {"description": "Not modified since If-None-Match", "headers": ETAG}
}
PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N`: answer when it is done, or after N seconds (at most 60)",
    "schema": {"type": "string", "pattern": r"wait=\d+"},
    "example": "wait=30",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same request gives the same again",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "An ETag: answer 304 while it still stands",
    "schema": {"type": "string"},
}


def problems(*codes: ErrorCode) -> Responses:
    """The problems an endpoint may answer with, beside those that every one may."""

    def status(code: ErrorCode) -> int:
        return STATUSES[code][0]

    groups = groupby(sorted({*codes, *_EVERYWHERE}, key=lambda code: (status(code), code)), status)
    return {number: _problem(list(group)) for number, group in groups}


def _problem(codes: list[ErrorCode]) -> dict[str, Any]:
    names = " or ".join(f"`{code.value}`" for code in codes)
    waits = STATUSES[codes[0]][0] in (409, 503)
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {code.value: {"value": problem_example(code)} for code in codes},
    }
    return {
        "description": f"Problem {names}",
        "content": {PROBLEM: content},
        **({"headers": RETRY_AFTER} if waits else {}),
    }


def problem_example(code: ErrorCode) -> dict[str, Any]:
    return problem_of(ApiError(code, "What was wrong, in words")).model_dump()


def binary(*media_types: str) -> dict[str, Any]:
    """`content` of an answer that is a file."""
    schema = {"type": "string", "format": "binary"}
    return {media_type: {"schema": schema} for media_type in media_types}
