"""Converts FastAPI's errors of query parameters to one problem."""

import re
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from pydantic import JsonValue

from service.api.http.problems import ApiError
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


def parameter_problem(request: Request, findings: Sequence[Finding]) -> ApiError:
    """Returns the problem of the first invalid parameter, with all findings about it."""
    place, name = findings[0]["loc"][:2]
    code = ErrorCode.INVALID_PARAMETER
    if findings[0]["type"] == "extra_forbidden":
        path = request.app.openapi()["paths"][request.scope["route"].path]
        parameters = path[request.method.lower()]["parameters"]
        known = [each["name"] for each in parameters if each["in"] == "query"]
        detail = f"unknown {place} parameter {name[:100]}"
        return ApiError(code, detail, name[:100], name, known)
    ours = [finding for finding in findings if finding["loc"][1] == name]
    messages = dict.fromkeys(finding["msg"] for finding in ours)  # one for each branch of a union
    detail = f"{place} parameter {name}: {'; '.join(messages)}"
    return ApiError(code, detail, name, ours[0]["input"], _limits(ours))


def _limits(findings: Sequence[Finding]) -> JsonValue:
    """Returns the bounds and choices in pydantic's findings, by their names in JSON Schema."""
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
