"""The OpenAPI document is frozen, and the examples beside it are the app's real responses."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.api.openapi import DOCUMENT, SCHEMAS, render_document, render_schema
from service.jobs.leases import Heartbeat
from service.jobs.records import ProgressCount
from service.schemas.documents import ErrorCode, Failure
from service.schemas.scores import CoalitionScores, ScoredOutput
from tests.api.conftest import some_arrays, some_curves, some_regions

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "openapi" / "examples"
SENT = (
    *("BatchRequest", "BatchSettings", "ExplanationRequest", "ExplanationSettings", "Outputs"),
    *("Pixels", "Grid", "Slic", "Labels", "JsonValue", "Coalition", "ScoresRequest", "LinkRequest"),
    *("ReviewRequest", "HoldRequest"),
    *("KServeRequest", "VertexRequest", "SampledShapley", "ExplanationParameters"),
    "ExplanationSpecOverride",
    *("WebhookRequest", "WebhookChange", "WebhookRotation"),
)
OTHER_ERRORS = {  # paths of other protocols, and the forms of their errors
    "/v1/models/{name}:explain": ["KServeError", "VertexError"],
    "/v1/projects/{project}/locations/{location}/endpoints/{endpoint}:explain": ["VertexError"],
    "/v1beta1/projects/{project}/locations/{location}/endpoints/{endpoint}:explain": [
        "VertexError"
    ],
}
SCORES = CoalitionScores(
    outputs=[
        ScoredOutput(index=0, label="ant", base_value=0.125, score=0.5),
        ScoredOutput(index=2, label="crane", base_value=0.25, score=0.5),
    ],
    scores=[[0.25, 0.375], [0.5, 0.0]],
)
SHOWN = ("allow", "content-type", "location", "preference-applied", "retry-after")


@pytest.fixture
def document() -> dict[str, Any]:
    return json.loads((ROOT / DOCUMENT).read_text())


@pytest.fixture
def photo() -> bytes:
    """The picture that `create` sends here, from a file, as encoders differ between versions."""
    return (EXAMPLES / "photo.png").read_bytes()


def operations(document):
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_document_is_the_one_committed():
    committed = (ROOT / DOCUMENT).read_text()
    assert render_document() == committed, "run `python -m service.api.openapi` and look at it"


@pytest.mark.parametrize("path", SCHEMAS, ids=str)
def test_a_committed_schema_is_that_of_the_code(path: Path) -> None:
    assert render_schema(path) == (ROOT / path).read_text()


def test_every_committed_schema_is_rendered() -> None:
    assert {ROOT / path for path in SCHEMAS} == {*(ROOT / "openapi").glob("*.schema.json")}


def test_every_operation_has_a_unique_name_and_a_description(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(operation["description"] for _, _, operation in operations(document))


def test_every_error_is_documented_as_a_problem(document):
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                [(media_type, content)] = response["content"].items()
                if path in OTHER_ERRORS:
                    assert media_type == "application/json"
                    forms = content["schema"].get("anyOf", [content["schema"]])
                    names = [form["$ref"].rpartition("/")[2] for form in forms]
                    assert names == OTHER_ERRORS[path]
                    continue
                assert media_type == "application/problem+json", (path, method, status)
                assert content["schema"]["$ref"].endswith("/Problem")
                for example in content["examples"].values():
                    assert example["value"]["status"] == int(status)


def test_every_operation_documents_its_key_except_the_open_ones(document):
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert (schemes["api_key"]["in"], schemes["api_key"]["name"]) == ("header", "X-API-Key")
    for path, _, operation in operations(document):
        guarded = path.startswith(("/v1/", "/v1beta1/")) or path == "/metrics"
        wanted = [{"bearer": []}, {"api_key": []}, {}] if guarded else None
        assert operation.get("security") == wanted, path
        assert guarded == ({"401", "403", "429"} <= set(operation["responses"])), path


def test_every_post_that_makes_something_takes_an_idempotency_key(document):
    without = {
        operation["operationId"]
        for _, method, operation in operations(document)
        if method == "post"
        and "Idempotency-Key" not in [each["name"] for each in operation.get("parameters", [])]
    }
    assert without == {
        "cancel_explanation",  # a second time changes nothing
        "cancel_batch",
        "score_coalitions",  # equal requests share a job
        "create_link",  # the server keeps none
        "create_batch_link",
    }


def test_every_response_requires_all_its_fields(document):
    for name, schema in document["components"]["schemas"].items():
        if name not in SENT:
            assert sorted(schema.get("required", [])) == sorted(schema.get("properties", {})), name


def test_every_reference_resolves(document):
    names = set(document["components"]["schemas"])
    found = json.dumps(document).split('"#/components/schemas/')[1:]
    assert {part.split('"')[0] for part in found} <= names


async def bring_to(state: str | None, create, fake_worker) -> str:
    """Brings an explanation into this status; returns its id."""
    if state is None:
        return ""
    explanation_id = await create(metrics=["insertion"] if state == "measured" else [])
    if state == "running":
        fake_worker.ledger.heartbeat(
            Heartbeat(
                explanation_id, fake_worker.begin(explanation_id), ProgressCount(25, 100, 3.5)
            )
        )
    elif state == "succeeded":
        fake_worker.succeed(explanation_id)
    elif state == "measured":
        fake_worker.succeed(explanation_id, curves=some_curves("insertion"))
    elif state == "divided":
        fake_worker.succeed(explanation_id, arrays=some_arrays() | some_regions())
    elif state == "failed":
        late = Failure(code=ErrorCode.DEADLINE_EXCEEDED, detail="it ran longer than 60 s")
        fake_worker.fail(explanation_id, late)
    elif state == "expired":
        fake_worker.succeed(explanation_id)
        fake_worker.ledger.leave_tombstone(explanation_id, tombstone_s=60)
    return explanation_id


def body_of(request: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of httpx for the body of an example."""
    if "json" in request:
        return {"json": request["json"]}
    parts = [
        (name, part_of(name, value))
        for name, values in request.get("multipart", {}).items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return {"files": parts} if parts else {}


def part_of(name: str, value: Any) -> tuple[str | None, Any, str]:
    if name == "settings":
        return None, json.dumps(value), "application/json"
    return value, (EXAMPLES / value).read_bytes(), "application/octet-stream"


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.json")))
async def test_an_example_is_the_apps_real_response(
    served, create, fake_worker, normalised, name, pytestconfig
):
    path = EXAMPLES / f"{name}.json"
    example = json.loads(path.read_text())
    request = example["request"]
    explanation_id = await bring_to(example["given"], create, fake_worker)
    sent = served.request(
        request["method"],
        request["path"].replace("{id}", explanation_id),
        headers=request.get("headers", {}),
        **body_of(request),
    )
    answer = await fake_worker.answering(sent, SCORES)
    response = {
        "status": answer.status_code,
        "headers": {name: answer.headers[name] for name in SHOWN if name in answer.headers},
        "body": answer.json() if answer.content else None,
    }
    if pytestconfig.getoption("rewrite_examples"):
        example["response"] = normalised(response)
        path.write_text(json.dumps(example, indent=2, ensure_ascii=False) + "\n")
    assert normalised(response) == example["response"]
