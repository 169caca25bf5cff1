"""Faithfulness curves, as numbers and as a chart."""

import io

import pytest
from PIL import Image

from service.schemas.documents import Status
from tests.api.conftest import some_curves

URL = "/v1/explanations"
PATHS = ["faithfulness", "faithfulness.png"]


@pytest.fixture
async def measured(create, fake_worker):
    """The path of an explanation with two metrics, and its curves."""
    explanation_id = await create(metrics=["insertion", "keep_positive"])
    curves = some_curves("insertion", "keep_positive")
    fake_worker.succeed(explanation_id, curves=curves)
    return f"{URL}/{explanation_id}", curves


async def test_the_document_has_the_areas_and_links_to_the_curves(served, measured):
    path, curves = measured
    document = (await served.get(path)).json()
    assert document["metrics"] == [
        {
            "metric": curve.metric,
            "output": curve.output,
            "label": curve.label,
            "area": 0.25,
            "baseline_area": 0.125,
        }
        for curve in curves
    ]
    for link in (document["links"]["faithfulness"], document["links"]["faithfulness_chart"]):
        assert (await served.get(link)).status_code == 200


async def test_json_has_every_curve_beside_its_baseline(served, measured):
    path, curves = measured
    document = (await served.get(f"{path}/faithfulness")).json()
    assert document["id"] == path.rsplit("/", 1)[1]
    assert document["curves"] == [curve.model_dump() for curve in curves]


async def test_curves_of_selected_outputs_come_in_the_requested_order(served, measured):
    query = {"output": ["crane", "0"]}
    document = (await served.get(f"{measured[0]}/faithfulness", params=query)).json()
    assert [curve["output"] for curve in document["curves"]] == [2, 0, 2, 0]
    query = {"output": ["crane"]}
    document = (await served.get(f"{measured[0]}/faithfulness", params=query)).json()
    assert [curve["label"] for curve in document["curves"]] == ["crane", "crane"]


async def test_the_chart_shows_the_requested_curves(served, measured):
    both = await served.get(f"{measured[0]}/faithfulness.png")
    one = await served.get(f"{measured[0]}/faithfulness.png", params={"output": "crane"})
    assert both.headers["content-type"] == one.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(both.content)) as chart:
        assert min(chart.size) > 100
    assert both.content != one.content


@pytest.mark.parametrize("path", PATHS)
async def test_it_may_be_cached(served, measured, path):
    answer = await served.get(f"{measured[0]}/{path}")
    assert "immutable" in answer.headers["cache-control"]
    known = {"If-None-Match": answer.headers["etag"]}
    again = await served.get(f"{measured[0]}/{path}", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    other = await served.get(f"{measured[0]}/{path}", params={"output": "crane"})
    assert other.headers["etag"] != answer.headers["etag"]


@pytest.mark.parametrize("path", PATHS)
async def test_without_metrics_there_are_no_curves_and_the_problem_names_the_metrics(
    served, create, fake_worker, refused, path
):
    explanation_id = await create()
    fake_worker.succeed(explanation_id)
    document = (await served.get(f"{URL}/{explanation_id}")).json()
    assert document["metrics"] == []
    assert not {"faithfulness", "faithfulness_chart"} & set(document["links"])
    problem = refused(await served.get(f"{URL}/{explanation_id}/{path}"), 404, "no_result")
    assert problem["field"] == "metrics"
    assert {"insertion", "keep_positive"} <= set(problem["accepted"])


@pytest.mark.parametrize("path", PATHS)
async def test_before_the_end_there_are_no_curves(served, create, refused, path):
    explanation_id = await create(metrics=["deletion"])
    answer = await served.get(f"{URL}/{explanation_id}/{path}")
    refused(answer, 409, "not_finished")
    assert "retry-after" in answer.headers


@pytest.mark.parametrize("path", PATHS)
async def test_an_explanation_canceled_in_the_queue_has_no_curves(
    served, create, fake_worker, refused, path
):
    explanation_id = await create(metrics=["deletion"])
    fake_worker.end(explanation_id, fake_worker.begin(explanation_id), Status.CANCELED)
    problem = refused(await served.get(f"{URL}/{explanation_id}/{path}"), 404, "no_result")
    assert "canceled" in problem["detail"]


@pytest.mark.parametrize("path", PATHS)
async def test_metrics_and_outputs_that_were_not_computed_are_refused(
    served, measured, refused, store, path
):
    answer = await served.get(f"{measured[0]}/{path}", params={"output": "bee"})
    assert refused(answer, 422, "unknown_output")["received"] == "bee"
    answer = await served.get(f"{measured[0]}/{path}", params={"metric": "deletion"})
    assert refused(answer, 422, "invalid_parameter")["accepted"] == ["output"]
    store.delete_explanation(measured[0].rsplit("/", 1)[1])
    refused(await served.get(f"{measured[0]}/{path}"), 404, "no_result")
