"""FastAPI's findings about query parameters -> one problem."""

import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import JsonValue
from starlette.responses import Response

from service.api.http.problems import ApiError, problem_response
from service.schemas.documents import ErrorCode

Finding = dict[str, Any]  # an error as pydantic reports it

_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "min_length": "minLength",
    "max_length": "maxLength",
}
_BOUNDS_OF_LISTS = _BOUNDS | {"min_length": "minItems", "max_length": "maxItems"}


def install(app: FastAPI) -> None:
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)


async def _on_invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the handler type is that wide
    findings = error.errors()
    if findings[0]["type"] == "extra_forbidden":
        return problem_response(_unknown(findings[0], _parameters(request)))
    return problem_response(_invalid(findings))


def _unknown(finding: Finding, known: list[str]) -> ApiError:
    place, name = finding["loc"][:2]
    detail = f"there is no {place} parameter {name[:100]}"
    return ApiError(ErrorCode.INVALID_PARAMETER, detail, name[:100], name, known)


def _invalid(findings: Sequence[Finding]) -> ApiError:
    """The problem of the first invalid parameter, with all findings about it."""
    place, name = findings[0]["loc"][:2]
    ours = [finding for finding in findings if finding["loc"][1] == name]
    messages = dict.fromkeys(finding["msg"] for finding in ours)  # one for each branch of a union
    detail = f"{place} parameter {name}: {'; '.join(messages)}"
    return ApiError(ErrorCode.INVALID_PARAMETER, detail, name, ours[0]["input"], _limits(ours))


def _limits(findings: Sequence[Finding]) -> JsonValue:
    context = {
        name: limit for finding in findings for name, limit in finding.get("ctx", {}).items()
    }
    bounds = _BOUNDS_OF_LISTS if context.get("field_type") == "List" else _BOUNDS
    limits = {bounds[name]: limit for name, limit in context.items() if name in bounds}
    if "pattern" in context:
        limits["pattern"] = context["pattern"]
    if findings[0]["type"].startswith(("datetime", "timezone")):
        limits |= {"format": "date-time", "examples": ["2026-01-31T12:00:00Z"]}
    if "expected" in context:
        limits["oneOf"] = re.findall("'([^']*)'", context["expected"])
    return limits or None


def _parameters(request: Request) -> list[str]:
    """Names of the query parameters of the requested endpoint."""
    operation = request.app.openapi()["paths"][request.scope["route"].path][request.method.lower()]
    return [each["name"] for each in operation["parameters"] if each["in"] == "query"]
