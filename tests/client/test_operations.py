"""The client covers the API: each operation has a method, and each parameter an argument."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pytest

from service.client import Client, ShapshotError
from service.client.calls import (
    AuditOptions,
    FigureOptions,
    HeatmapOptions,
    ListOptions,
    PageOptions,
)
from service.schemas.documents import ErrorCode
from service.schemas.scores import Coalition

DESCRIPTION = json.loads((Path(__file__).parents[2] / "openapi" / "openapi.json").read_text())
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in DESCRIPTION["paths"].items()
    for method, operation in operations.items()
}
NOT_COVERED = {
    "get_metrics",  # for Prometheus
    "check_live",  # for a supervisor or load balancer
    "check_ready",
    "get_welcome",  # the addresses of what the client knows by name
    "explain_instances",  # for clients of KServe and of Vertex
    "explain_endpoint",
    "explain_endpoint_beta",
}
ID = "exp_" + "0" * 32
BATCH = "batch_" + "0" * 32
WEBHOOK = "wh_" + "0" * 32
REFUSED = (
    ErrorCode.NOT_FOUND,
    ErrorCode.NO_WORKER,
    ErrorCode.UNKNOWN_MODEL,
    ErrorCode.INVALID_PARAMETER,  # the address of a webhook
)


def covering(photo: bytes) -> dict[str, Any]:
    """How the client is asked for each operation."""
    drawings = {
        "get_heatmap": ("heatmap", ID),
        "get_figure": ("figure", [ID, "exp_" + "1" * 32]),
        "get_batch_heatmap": ("batch_heatmap", BATCH),
        "get_faithfulness_chart": ("faithfulness_chart", ID),
    }
    asked = {
        "create_explanation": ("submit", photo),
        "list_explanations": ("list",),
        "get_explanation": ("get", ID),
        "delete_explanation": ("delete", ID),
        "cancel_explanation": ("cancel", ID),
        "follow_explanation": ("events", ID),
        "create_batch": ("submit_batch", [photo]),
        "list_batches": ("list_batches",),
        "get_batch": ("get_batch", BATCH),
        "delete_batch": ("delete_batch", BATCH),
        "cancel_batch": ("cancel_batch", BATCH),
        "get_batch_attributions": ("batch_attributions", BATCH),
        "get_attributions": ("attributions", ID),
        "get_preview": ("preview", ID),
        "get_regions": ("regions", ID),
        "get_faithfulness": ("faithfulness", ID),
        "score_coalitions": ("scores", ID, [Coalition(hidden=[1])]),
        "get_scores": ("get_scores", ID, "scr_" + "0" * 32),
        "get_masked_picture": ("masked_picture", ID, Coalition(hidden=[1])),
        "get_picture": ("picture", ID),
        "get_label_map": ("label_map", ID),
        "get_thumbnail": ("thumbnail", ID),
        "get_record": ("record", ID),
        "get_bundle": ("bundle", ID),
        "get_report": ("report", ID),
        "reproduce_explanation": ("reproduce", ID),
        "get_reproduction": ("reproduction", ID),
        "review_explanation": ("review", ID, "accept"),
        "list_reviews": ("reviews", ID),
        "get_caller": ("caller",),
        "list_audit": ("audit",),
        "list_records": ("records",),
        "get_audit_segments": ("audit_segments",),
        "hold_explanation": ("hold", ID, "because"),
        "get_hold": ("get_hold", ID),
        "release_hold": ("release_hold", ID),
        "get_signing_keys": ("signing_keys",),
        "get_batch_report": ("batch_report", BATCH),
        "get_batch_report_pdf": ("batch_report_pdf", BATCH),
        "get_report_pdf": ("report_pdf", ID),
        "create_batch_link": ("batch_link", BATCH, "report.html"),
        "create_link": ("link", ID, "heatmap.png"),
        "create_webhook": ("add_webhook", "http://0x7f.1/", ["batch.finished"]),
        "list_webhooks": ("webhooks",),
        "get_webhook": ("webhook", WEBHOOK),
        "change_webhook": ("change_webhook", WEBHOOK),
        "delete_webhook": ("delete_webhook", WEBHOOK),
        "rotate_webhook": ("rotate_webhook", WEBHOOK),
        "test_webhook": ("test_webhook", WEBHOOK),
        "list_deliveries": ("deliveries", WEBHOOK),
        "replay_delivery": ("replay_delivery", WEBHOOK, "msg_" + "0" * 32),
        "list_models": ("models",),
        "get_model": ("model", "absent"),
        "list_methods": ("methods",),
        **drawings,
    }
    calls = {name: partial(_call, *words) for name, words in asked.items()}
    for name, words in drawings.items():
        for format in ("svg", "pdf"):
            calls[f"{name}_{format}"] = partial(_call, *words, format=format)
    return calls


def _call(name: str, *args: Any, client: Client, **options: Any) -> Any:
    called = getattr(client, name)(*args, **options)
    return list(called) if isinstance(called, Iterator) else called


def test_each_operation_has_a_method_that_asks_for_it(url: str, photo: bytes) -> None:
    asked = covering(photo)
    assert set(OPERATIONS) == {*asked, *NOT_COVERED}
    sent: list[httpx.Request] = []
    with Client(url, retry_s=0, event_hooks={"request": [sent.append]}) as client:
        for name, call in asked.items():
            sent.clear()
            refusal = ErrorCode.NOT_FOUND  # of what is absent
            try:
                call(client=client)
            except ShapshotError as refused:
                refusal = refused.problem.code
            method, path, _ = OPERATIONS[name]
            pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
            [request] = sent
            assert request.method == method
            assert re.fullmatch(pattern, request.url.path), name
            assert refusal in REFUSED


@pytest.mark.parametrize(
    ("operation", "options", "arguments"),
    [
        ("list_explanations", ListOptions, set()),
        ("list_batches", PageOptions, set()),
        ("list_audit", AuditOptions, set()),
        ("get_heatmap", HeatmapOptions, {"style"}),
        ("get_figure", FigureOptions, {"id"}),
        ("get_batch_heatmap", FigureOptions, set()),
    ],
)
def test_each_parameter_can_be_given(operation: str, options: Any, arguments: set[str]) -> None:
    parameters = OPERATIONS[operation][2]["parameters"]
    known = {each["name"] for each in parameters if each["in"] == "query"}
    assert known == {*get_type_hints(options), *arguments}
