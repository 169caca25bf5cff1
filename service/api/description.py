"""The OpenAPI document: FastAPI's, with the parts that FastAPI cannot derive."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from service.api.auth.dependencies import SCHEMES
from service.api.http.openapi_responses import problem_example
from service.api.http.problems import PROBLEM
from service.api.state import openapi_example
from service.schemas.documents import ErrorCode, Problem
from service.schemas.explain_protocols import KServeRequest, VertexRequest
from service.schemas.keeping import HoldRequest
from service.schemas.links import LinkRequest
from service.schemas.requests import (
    BatchSettings,
    ExplanationSettings,
)
from service.schemas.reviews import ReviewRequest
from service.schemas.scores import ScoresRequest
from service.schemas.submissions import BatchRequest, ExplanationRequest
from service.schemas.webhooks import (
    EventMessage,
    WebhookChange,
    WebhookRequest,
    WebhookRotation,
)

TEXT = """\
Explains image classifiers: send a picture and settings, poll until the explanation is done, and
download Shapley or Owen attributions as arrays and heatmaps.

Errors are `application/problem+json` (RFC 9457); `code` is stable, and `field`, `received` and
`accepted` say what to change. Where trying again may help, `Retry-After` gives the seconds to wait.
"""
TAGS = [
    {"name": "explanations", "description": "Submit explanations and track their progress"},
    {"name": "batches", "description": "Submit several pictures at once and track their progress"},
    {"name": "results", "description": "Arrays and heatmaps of finished explanations"},
    {"name": "evidence", "description": "Signed records, and the keys that verify them"},
    {"name": "webhooks", "description": "Addresses that are told of events"},
    {"name": "models and methods", "description": "The models and methods available"},
    {"name": "other protocols", "description": "For clients of KServe and of Vertex AI"},
    {"name": "health", "description": "Probes and metrics, and the service's entry point"},
]
_REFERRED = (
    BatchRequest,
    BatchSettings,
    EventMessage,
    ExplanationRequest,
    ExplanationSettings,
    KServeRequest,
    HoldRequest,
    LinkRequest,
    Problem,
    ReviewRequest,
    ScoresRequest,
    VertexRequest,
    WebhookChange,
    WebhookRequest,
    WebhookRotation,
)  # by $ref


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
    _, definitions = models_json_schema(
        [(model, "validation") for model in _REFERRED], ref_template="#/components/schemas/{model}"
    )
    schemas.update(definitions["$defs"])
    document["components"]["securitySchemes"] = {
        scheme.scheme_name: scheme.model.model_dump(mode="json", by_alias=True, exclude_none=True)
        for scheme in SCHEMES
    }
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operation in [each for path in document["paths"].values() for each in path.values()]:
        responses = operation["responses"]
        if "HTTPValidationError" in json.dumps(responses.get("422", {})):
            del responses["422"]  # FastAPI's own, which this API never sends
        if "401" in responses:  # {}: a server without keys requires none
            operation["security"] = [*({scheme.scheme_name: []} for scheme in SCHEMES), {}]
        for status, response in responses.items():
            _set_examples(response.get("content", {}), status)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def _set_examples(content: dict[str, Any], status: str) -> None:
    """Replaces the examples, from which FastAPI drops every null."""
    for code, problem in content.get(PROBLEM, {}).get("examples", {}).items():
        problem["value"] = problem_example(ErrorCode(code))
    answer = content.get("application/json", {})
    if answer.get("schema", {}).get("$ref", "").endswith("/Explanation"):
        answer["example"] = (
            openapi_example.queued() if status == "202" else openapi_example.succeeded()
        )
