"""OpenAPI descriptions of responses: problems by status, headers, pictures."""

from itertools import groupby
from typing import Any

from service.api.http.problems import PROBLEM, ApiError, problem_of
from service.api.http.statuses import STATUSES
from service.schemas.documents import ErrorCode

Responses = dict[int | str, dict[str, Any]]

_EVERYWHERE = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.URI_TOO_LONG,
    ErrorCode.MISDIRECTED_REQUEST,
    ErrorCode.HEADERS_TOO_LARGE,
    ErrorCode.INTERNAL,
    ErrorCode.REDIS_UNAVAILABLE,
)
_GUARDED = (ErrorCode.UNAUTHORIZED, ErrorCode.FORBIDDEN, ErrorCode.RATE_LIMITED)
_OF_RESULTS = (
    ErrorCode.INVALID_LINK,
    ErrorCode.LINK_EXPIRED,
    ErrorCode.NOT_FOUND,
    ErrorCode.GONE,
    ErrorCode.NO_RESULT,
    ErrorCode.NOT_FINISHED,
    ErrorCode.BUSY,
    ErrorCode.STORE_UNAVAILABLE,
)
_WAITING = "Seconds to wait before the next request"

RETRY_AFTER = {"Retry-After": {"description": _WAITING, "schema": {"type": "integer"}}}
_RATE_LIMIT = {
    f"RateLimit-{name}": {"description": description, "schema": {"type": "integer"}}
    for name, description in {
        "Limit": "Requests allowed in a window for the name of the key",
        "Remaining": "Requests left in the window",
        "Reset": "Seconds until the window ends",
    }.items()
}
_CHALLENGE = {"WWW-Authenticate": {"description": "`Bearer`", "schema": {"type": "string"}}}
_HEADERS = {401: _CHALLENGE, 409: RETRY_AFTER, 429: RETRY_AFTER | _RATE_LIMIT, 503: RETRY_AFTER}
ETAG = {"ETag": {"description": "Changes with the content", "schema": {"type": "string"}}}
PREFERENCE_APPLIED = {
    "Preference-Applied": {
        "description": "`wait=N`, if the request sent `Prefer: wait=N`",
        "schema": {"type": "string"},
    }
}
_NOT_MODIFIED: Responses = {
    304: {"description": "Not modified: the ETag in If-None-Match still matches", "headers": ETAG}
}
PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N`: respond once it is done, or after N seconds (at most 60)",
    "schema": {"type": "string", "pattern": r"wait=\d+"},
    "example": "wait=30",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A repeated request with the same key returns what the first one created",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of an earlier response; 304 if it still matches",
    "schema": {"type": "string"},
}


def problems(*codes: ErrorCode, guarded: bool = True) -> Responses:
    """Returns an endpoint's problem responses: codes, the common ones, those of guarded routes."""

    def status(code: ErrorCode) -> int:
        return STATUSES[code][0]

    all_codes = {*codes, *_EVERYWHERE, *(_GUARDED if guarded else ())}
    responses: Responses = {}
    for number, group in groupby(sorted(all_codes, key=lambda code: (status(code), code)), status):
        same_status = list(group)
        content = {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "examples": {code.value: {"value": problem_example(code)} for code in same_status},
        }
        responses[number] = {
            "description": "Problem " + " or ".join(f"`{code.value}`" for code in same_status),
            "content": {PROBLEM: content},
            **({"headers": _HEADERS[number]} if number in _HEADERS else {}),
        }
    return responses


def problem_example(code: ErrorCode) -> dict[str, Any]:
    return problem_of(ApiError(code, "What was wrong, in words")).model_dump()


def binary(*media_types: str) -> dict[str, Any]:
    """`content` of a response that is a file."""
    schema = {"type": "string", "format": "binary"}
    return {media_type: {"schema": schema} for media_type in media_types}


def shows_result(*codes: ErrorCode, **shown: Any) -> Responses:
    """Responses of an endpoint that shows a result; shown: the description of status 200."""
    return {
        200: {"headers": ETAG, **shown},
        **_NOT_MODIFIED,
        **problems(*_OF_RESULTS, *codes),
    }


LOOK: Responses = {  # of a GET of a document that may not be done
    200: {"headers": ETAG | RETRY_AFTER | PREFERENCE_APPLIED},
    **_NOT_MODIFIED,
    **problems(ErrorCode.NOT_FOUND, ErrorCode.GONE),
}
