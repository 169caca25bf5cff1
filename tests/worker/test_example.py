"""The example in the OpenAPI document is an explanation that a worker could return."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from service.api.openapi import DOCUMENT
from service.api.state import openapi_example, serializers
from service.schemas.documents import Explanation
from service.schemas.results import Outcome
from tests.worker.cell_games import Case, explained, saturating
from worker.models.models_file import Backend

ROOT = Path(__file__).parents[2]
BY_WORKER = {"evaluations"}  # of an outcome, but shown as progress


def shown() -> list[dict]:
    """Return the complete explanations in the committed document."""
    found = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if {"id", "status", "outputs", "runtime"} <= node.keys() and "type" not in node:
                found.append(node)
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(json.loads((ROOT / DOCUMENT).read_text()))
    return [each for each in found if isinstance(each["id"], str)]


def test_the_document_has_valid_explanations_by_existing_backends():
    done = [each for each in shown() if each["done"]]
    assert len(shown()) > len(done) > 1
    for each in shown():
        Explanation.model_validate(each)
        assert each["model"]["parts"]["backend"] in get_args(Backend)
    for each in done:
        assert each["runtime"]["backend"] == each["model"]["parts"]["backend"]
        assert each["runtime"]["versions"].keys() > {"shapshot", "numpy"}


def test_the_example_has_the_warnings_of_a_worker():
    partition = {
        "method": "partition",
        "superpixels": {"kind": "pixels"},
        "max_evals": 100,
        "target_standard_error": None,
    }
    real = explained(Case(settings=partition))
    said = {each.code: without_numbers(each.detail) for each in real.warnings}
    told = openapi_example.succeeded()
    assert told["solution_concept"] == real.solution_concept
    assert told["warnings"]
    for warning in told["warnings"]:
        assert without_numbers(warning["detail"]) == said[warning["code"]]
    [output] = told["outputs"]
    parts = output["base_value"] + output["attribution_sum"] + output["efficiency_gap"]
    assert parts == pytest.approx(output["score"], abs=1e-12)


def test_a_document_shows_every_field_of_the_outcome():
    """A renamed field would be null or absent."""
    outcome = explained(Case(compared=saturating))
    state = openapi_example.state_of(outcome)
    document = serializers.explanation(state, root_path="")
    assert set(Outcome.model_fields) - set(Explanation.model_fields) == BY_WORKER
    for name in set(Outcome.model_fields) - BY_WORKER:
        assert getattr(document, name) == getattr(outcome, name), name
        assert getattr(document, name) is not None or name == "region_count", name


def without_numbers(text: str) -> str:
    return re.sub(r"\d+", "N", text)
