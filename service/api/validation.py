"""pydantic's findings -> one problem that names the field and what it would accept."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails
from starlette.responses import Response

from service.api.errors import ApiError, problem_response
from service.contract.schema import ErrorCode

Schema = dict[str, Any]

# What of a field's JSON Schema tells a person, or a program, what to send instead.
_TELLING = (
    "type",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
    "maxLength",
    "pattern",
    "examples",
    "default",
)

# Where pydantic's own words speak of Python, or repeat a long pattern.
_MESSAGES = {
    "string_pattern_mismatch": "it has none of the accepted forms",
    "model_type": "it must be a JSON object",
    "dict_type": "it must be a JSON object",
    "recursion_depth_exceeded": "it is nested too deeply",
}
_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "max_length": "maxLength",
}


def refusal(
    error: ValidationError, model: type[BaseModel], *, code: ErrorCode, under: str = ""
) -> ApiError:
    """The first finding about a document of `model`; `under` names the part it came in."""
    findings = error.errors(include_url=False)
    refused = _refusal(findings[0], model.model_json_schema(), code, under)
    others = sorted({_path(finding["loc"], under) for finding in findings[1:]} - {refused.field})
    if others:
        refused.detail += f"; also wrong: {', '.join(others)}"
    return refused


def _refusal(finding: ErrorDetails, schema: Schema, code: ErrorCode, under: str) -> ApiError:
    parent, known = _descend(schema, finding["loc"][:-1])
    node, depth = _descend(schema, finding["loc"])
    if finding["type"] == "extra_forbidden":
        return _unknown_name(finding, sorted(parent.get("properties", {})), code, under)
    where = _path(finding["loc"][: max(depth, known)], under)
    message = _MESSAGES.get(finding["type"], finding["msg"].removeprefix("Value error, "))
    received = None if finding["type"] == "missing" else finding["input"]
    return ApiError(code, f"{where}: {message}", where, received, _accepted(node))


def _unknown_name(finding: ErrorDetails, names: list[str], code: ErrorCode, under: str) -> ApiError:
    name = str(finding["loc"][-1])
    near = difflib.get_close_matches(name[:100], names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    where = _path(finding["loc"], under)
    return ApiError(code, f"{where} is not a known name{hint}", where, name, list(names))


def _path(location: Sequence[int | str], under: str) -> str:
    return ".".join(str(step)[:100] for step in (under, *location) if step != "")


def _descend(schema: Schema, location: Sequence[int | str]) -> tuple[Schema, int]:
    """The schema at the location, or where it ends, and how many steps led there."""
    node = _plain(schema, schema)
    for depth, step in enumerate(location):
        inner = node.get("properties", {}).get(step)
        if isinstance(step, int):
            inner = node.get("items")
        if inner is None:
            return node, depth
        node = _plain(inner, schema)
    return node, len(location)


def _plain(node: Schema, root: Schema) -> Schema:
    """The node with its reference followed, and without the `null` of an optional one."""
    for branch in node.get("anyOf", []):
        if branch.get("type") != "null":
            return _plain({**branch, **{k: v for k, v in node.items() if k != "anyOf"}}, root)
    if "$ref" in node:
        return dict(root["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    return node


def _accepted(node: Schema) -> JsonValue:
    if "const" in node:
        return [node["const"]]
    if "enum" in node:
        return list(node["enum"])
    if "properties" in node:
        return sorted(node["properties"])
    return {key: node[key] for key in _TELLING if key in node}


def install(app: FastAPI) -> None:
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)


async def _on_invalid_parameters(request: Request, error: Exception) -> Response:
    """Query parameters, which FastAPI itself checks."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the handlers' type is wide
    findings = error.errors()
    place, name = findings[0]["loc"][:2]
    if findings[0]["type"] == "extra_forbidden":
        names = _parameters(request)
        detail = f"there is no {place} parameter {name[:100]}"
        refused = ApiError(ErrorCode.INVALID_PARAMETER, detail, name[:100], name, names)
        return problem_response(refused)
    ours = [finding for finding in findings if finding["loc"][1] == name]
    messages = dict.fromkeys(finding["msg"] for finding in ours)  # a union has one a branch
    detail = f"{place} parameter {name}: {'; '.join(messages)}"
    return problem_response(
        ApiError(ErrorCode.INVALID_PARAMETER, detail, name, ours[0]["input"], _limits(ours))
    )


def _limits(findings: list[Any]) -> JsonValue:
    context = {
        name: limit for finding in findings for name, limit in finding.get("ctx", {}).items()
    }
    limits = {_BOUNDS[name]: limit for name, limit in context.items() if name in _BOUNDS}
    if "expected" in context:
        limits["oneOf"] = re.findall("'([^']*)'", context["expected"])
    return limits or None


def _parameters(request: Request) -> list[str]:
    """The names of the query parameters of the endpoint asked."""
    operation = request.app.openapi()["paths"][request.scope["route"].path][request.method.lower()]
    return [each["name"] for each in operation["parameters"] if each["in"] == "query"]
