"""Converts pydantic's errors of a document to one problem: the field, and accepted values."""

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from service.api.http.problems import ApiError
from service.schemas.documents import ErrorCode

Schema = dict[str, Any]
Location = Sequence[int | str]

# Keys of a field's JSON Schema that tell a client what is accepted.
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

# Replacements for messages of pydantic that name Python types or repeat a long pattern.
_MESSAGES = {
    "string_pattern_mismatch": "must have one of the accepted forms",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "union_tag_not_found": "the field kind is missing",
    "union_tag_invalid": "unknown kind",
    "recursion_depth_exceeded": "is nested too deeply",
}


def validation_problem(
    error: ValidationError, model: type[BaseModel], *, code: ErrorCode, under: str = ""
) -> ApiError:
    """Returns the problem of the first finding about a `model` document; under: path prefix."""
    findings = error.errors(include_url=False)
    schema = model.model_json_schema()
    refused = _refusal(findings[0], schema, code, under)
    fields = {_path(_descend(schema, finding["loc"])[1], under) for finding in findings[1:]}
    others = sorted(fields - {refused.field})
    if others:
        refused.detail += f"; also invalid: {', '.join(others)}"
    return refused


def _refusal(finding: ErrorDetails, schema: Schema, code: ErrorCode, under: str) -> ApiError:
    parent, _ = _descend(schema, finding["loc"][:-1])
    node, location = _descend(schema, finding["loc"])
    if finding["type"] == "extra_forbidden":
        name = str(finding["loc"][-1])
        names = sorted(parent.get("properties", {}))
        near = difflib.get_close_matches(name[:100], names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        where = _path((*location, name), under)
        return ApiError(code, f"unknown field {where}{hint}", where, name, names)
    where = _path(location, under)
    message = _MESSAGES.get(finding["type"], finding["msg"].removeprefix("Value error, "))
    received = None if finding["type"] == "missing" else finding["input"]
    return ApiError(code, f"{where}: {message}", where, received, _accepted(node))


def _path(location: Location, under: str) -> str:
    return ".".join(str(step)[:100] for step in (under, *location) if step != "")


def _descend(schema: Schema, location: Location) -> tuple[Schema, Location]:
    """Returns the deepest schema along the location, and the document's path to it.

    Tags of unions, which pydantic adds to the location, are followed but left out of the path.
    """
    node, walked = _plain(schema, schema), list[int | str]()
    for step in location:
        kinds = node.get("discriminator", {}).get("mapping") or _by_name(node)
        inner = node.get("items") if isinstance(step, int) else node.get("properties", {}).get(step)
        if inner is None and step not in kinds:
            break
        node = _plain(inner or {"$ref": kinds[step]}, schema)
        walked += [] if step in kinds else [step]
    return node, walked


def _by_name(node: Schema) -> dict[int | str, str]:
    """Returns the models of a union that are tagged by their class names, by tag."""
    references = [branch["$ref"] for branch in node.get("oneOf", []) if "$ref" in branch]
    return {reference.rsplit("/", 1)[-1]: reference for reference in references}


def _plain(node: Schema, root: Schema) -> Schema:
    """Returns the node with its reference resolved, without the `null` of an optional field."""
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
    if "discriminator" in node:
        return {node["discriminator"]["propertyName"]: list(node["discriminator"]["mapping"])}
    if "oneOf" in node:
        return [
            _accepted(branch) if "$ref" not in branch else "an object" for branch in node["oneOf"]
        ]
    if "properties" in node:
        return sorted(node["properties"])
    return {key: node[key] for key in _TELLING if key in node}
