"""The OpenAPI document: FastAPI's, with the parts that FastAPI cannot derive."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.auth.dependencies import SCHEMES
from service.api.http.openapi_responses import problem_example
from service.api.http.problems import PROBLEM
from service.api.state import openapi_example
from service.schemas.documents import ErrorCode, Problem
from service.schemas.requests import BatchRequest, ExplanationRequest, ExplanationSettings

TEXT = """\
Explains image classifiers: send a picture and settings, look until it is done, and get
Shapley or Owen attributions as arrays and as heatmaps.

Errors are `application/problem+json` (RFC 9457); `code` is stable, and `field`, `received` and
`accepted` say what to change. Where waiting helps, `Retry-After` says how long.
"""
TAGS = [
    {"name": "explanations", "description": "Ask for explanations and follow them"},
    {"name": "batches", "description": "Ask for several pictures at once and follow them"},
    {"name": "results", "description": "Arrays and heatmaps of what is done"},
    {"name": "models and methods", "description": "What can be asked for"},
    {"name": "health", "description": "For load balancers and people"},
]
_REFERRED = (BatchRequest, ExplanationRequest, ExplanationSettings, Problem)


def install(app: FastAPI) -> None:
    """Serves our document at /openapi.json."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        tags=app.openapi_tags,
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    schemas.update(_definitions(_REFERRED))
    document["components"]["securitySchemes"] = {
        scheme.scheme_name: scheme.model.model_dump(mode="json", by_alias=True, exclude_none=True)
        for scheme in SCHEMES
    }
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operation in _operations(document):
        _drop_fastapi_problem(operation)
        if "401" in operation["responses"]:  # {}: a server without keys takes none
            operation["security"] = [*({scheme.scheme_name: []} for scheme in SCHEMES), {}]
        for status, response in operation["responses"].items():
            _give_examples(response.get("content", {}), status)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def _definitions(models: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    """Schemas referred to by requests and problems only."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    return dict(definitions["$defs"])


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def _drop_fastapi_problem(operation: dict[str, Any]) -> None:
    """Removes FastAPI's own 422 response, which this API never sends."""
    content = operation["responses"].get("422", {}).get("content", {})
    if "HTTPValidationError" in json.dumps(content):
        del operation["responses"]["422"]


def _give_examples(content: dict[str, Any], status: str) -> None:
    """Sets complete examples: FastAPI drops every null."""
    for code, problem in content.get(PROBLEM, {}).get("examples", {}).items():
        problem["value"] = problem_example(ErrorCode(code))
    answer = content.get("application/json", {})
    if answer.get("schema", {}).get("$ref", "").endswith("/Explanation"):
        answer["example"] = (
            openapi_example.queued() if status == "202" else openapi_example.succeeded()
        )
