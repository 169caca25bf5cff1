"""`explain` in the form of Vertex AI: what its clients send, and what they read."""

import base64
import json

import numpy as np
import pytest

from service.api.facades.vertex import approximation_error
from tests.api.conftest import EXPLAINED, some_arrays, some_regions
from tests.tiny import MODEL, output_result

URL = "/v1/projects/p/locations/l/endpoints/tiny:explain"
NOW = {"Prefer": "wait=0"}


@pytest.fixture
def explain(served, photo):
    async def post(url=URL, override=None, instance=None, headers=NOW, **more):
        document = {"instances": [instance or {"image_bytes": {"b64": b64(photo)}}], **more}
        if override is not None:
            document["explanationSpecOverride"] = override
        return await served.post(url, content=json.dumps(document), headers=headers)

    return post


@pytest.fixture
def settings_for(served, explain):
    """Asks, and returns the settings of the explanation that was made."""

    async def ask(override=None, **more):
        answer = await explain(override=override, **more)
        assert answer.status_code == 504, answer.text
        return (await served.get(answer.headers["location"])).json()["settings"]

    return ask


def b64(content):
    return base64.b64encode(content).decode()


def shapley(count, **more):
    return {"parameters": {"sampledShapleyAttribution": {"pathCount": count}, **more}}


def refused(answer, status, code, reason):
    """Checks that it is a google.rpc.Status with these; returns message and metadata."""
    assert answer.headers["content-type"] == "application/json", answer.text
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (status, status, code)
    [info] = error["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["domain"]) == (reason, "shapshot")
    assert all(isinstance(value, str) for value in info["metadata"].values())
    return error["message"], info["metadata"]


async def test_an_answer_too_late_for_its_client_is_an_error_that_leads_to_it(explain, served):
    answer = await explain()
    message, _ = refused(answer, 504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    path = answer.headers["location"]
    assert path in message
    assert (await served.get(path)).json()["status"] == "queued"


async def test_the_path_of_the_beta_is_an_alias(explain, served, fake_worker):
    beta = URL.replace("/v1/", "/v1beta1/")
    late = await explain(beta, headers=NOW | {"Idempotency-Key": "k-1"})
    refused(late, 504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    fake_worker.succeed(late.headers["location"].rpartition("/")[2])
    [one, other] = [
        await explain(url, headers=NOW | {"Idempotency-Key": "k-1"}) for url in (URL, beta)
    ]
    assert (one.status_code, other.status_code) == (200, 200)
    assert one.json() == other.json()
    asked = {"concurrentExplanationSpecOverride": {"a": shapley(2)}}
    _, known = refused(await explain(beta, **asked), 400, "INVALID_ARGUMENT", "INVALID_SETTINGS")
    assert known["field"] == "concurrentExplanationSpecOverride"


async def test_the_same_call_at_the_path_of_a_model_is_202(explain):
    answer = await explain("/v1/models/tiny:explain", override=shapley(2))
    assert (answer.status_code, answer.json()["settings"]["method"]) == (202, "permutation")
    refusal = await explain("/v1/models/tiny:explain", override=shapley(51))
    refused(refusal, 400, "INVALID_ARGUMENT", "BAD_REQUEST")


async def test_paths_are_permutations_of_the_regions(settings_for):
    settings = await settings_for(shapley(7))
    assert (settings["method"], settings["max_evals"]) == ("permutation", 7 * (2 * 50 + 1))
    assert settings["superpixels"]["kind"] == "slic"
    assert settings["outputs"] == {"top": 1, "indices": None, "labels": None}
    grid = {"kind": "grid", "rows": 2, "columns": 3}
    settings = await settings_for(shapley(7), parameters={"superpixels": grid})
    assert settings["max_evals"] == 7 * (2 * 6 + 1)
    assert (await settings_for())["max_evals"] == 10 * (2 * 50 + 1)


async def test_other_methods_are_chosen_by_the_parameters(settings_for):
    grid = {"kind": "grid", "rows": 2.0, "columns": 3.0}  # as its clients write integers
    parameters = {
        "method": "kernel",
        "max_evals": 60.0,
        "superpixels": grid,
        "metadata": {"a": [1.0]},
    }
    settings = await settings_for(parameters=parameters)
    assert (settings["method"], settings["max_evals"]) == ("kernel", 60)


@pytest.mark.parametrize(
    ("chosen", "outputs"),
    [
        ({"topK": 3}, {"top": 3}),
        ({"topK": -1}, {"top": 5}),
        ({"topK": 0}, {"top": 1}),
        ({"top_k": 2}, {"top": 2}),
        ({"outputIndices": [2.0, 0]}, {"indices": [2, 0]}),
    ],
)
async def test_outputs_are_chosen_as_vertex_does(settings_for, chosen, outputs):
    settings = await settings_for({"parameters": chosen})
    assert {k: v for k, v in settings["outputs"].items() if v is not None} == outputs


async def test_the_answer_has_vertexs_fields(explain, served, fake_worker):
    late = await explain(override=shapley(2))
    arrays = some_arrays() | some_regions()
    fake_worker.succeed(late.headers["location"].rpartition("/")[2], arrays=arrays)
    answer = await explain(override=shapley(2))
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert set(document) == {"explanations", "deployedModelId", "predictions", "shapshot"}
    assert document["deployedModelId"] == MODEL.fingerprint
    ids, labels = [str(index) for index in EXPLAINED], list(EXPLAINED.values())
    scores = {"ids": ids, "displayNames": labels, "confidences": [0.5, 0.5]}
    assert document["predictions"] == [scores]
    [explanation] = document["explanations"]
    for k, attribution in enumerate(explanation["attributions"]):
        given = attribution.pop("featureAttributions")
        assert list(given) == ["image_bytes"]  # as the instance names its input
        values = np.array(given["image_bytes"], np.float32)
        np.testing.assert_array_equal(values, arrays["values"][..., k])
        assert attribution == {
            "baselineOutputValue": 0.125,
            "instanceOutputValue": 0.5,
            "outputIndex": [list(EXPLAINED)[k]],
            "outputDisplayName": labels[k],
            "approximationError": arrays["region_standard_errors"][:, k].max() / 0.375,
            "outputName": "scores",
        }


def test_the_error_is_the_largest_standard_error_as_a_share_of_the_difference():
    output = output_result(0)  # 0.375 from 0.125 to 0.5
    assert approximation_error(output, np.array([0.01, 0.03, 0.02])) == 0.03 / 0.375
    gap = output.model_copy(update={"efficiency_gap": -0.075})
    assert approximation_error(gap, np.array([0.03])) == 0.075 / 0.375
    assert approximation_error(output, None) == "NaN"
    assert approximation_error(output, np.array([np.nan])) == "NaN"
    flat = output.model_copy(update={"score": 0.125})
    assert approximation_error(flat, np.array([0.03])) == "Infinity"
    assert approximation_error(flat, np.array([0.0])) == 0


@pytest.mark.parametrize(
    ("override", "field"),
    [
        (
            {"parameters": {"integratedGradientsAttribution": {"stepCount": 50}}},
            "explanationSpecOverride.parameters.integratedGradientsAttribution",
        ),
        (
            {"parameters": {"xrai_attribution": {"stepCount": 50}}},
            "explanationSpecOverride.parameters.xraiAttribution",
        ),
        ({"parameters": {"examples": {}}}, "explanationSpecOverride.parameters.examples"),
        ({"examplesOverride": {}}, "explanationSpecOverride.examplesOverride"),
        (
            {"metadata": {"inputs": {"image": {"inputBaselines": [0]}}}},
            "explanationSpecOverride.metadata",
        ),
    ],
)
async def test_what_is_not_offered_is_refused_by_name(explain, override, field):
    answer = await explain(override=override)
    message, metadata = refused(answer, 400, "INVALID_ARGUMENT", "INVALID_SETTINGS")
    assert metadata["field"] == field
    assert message.startswith(f"{field}: ")
    assert "sampledShapleyAttribution" in message or "parameters.masker" in message


async def test_the_two_names_of_a_setting_exclude_each_other(explain):
    answer = await explain(override=shapley(2), parameters={"max_evals": 60})
    _, metadata = refused(answer, 400, "INVALID_ARGUMENT", "INVALID_SETTINGS")
    assert metadata["field"] == "parameters.max_evals"
    override = {"parameters": {"topK": 2}}
    answer = await explain(override=override, parameters={"outputs": {"top": 2}})
    _, metadata = refused(answer, 400, "INVALID_ARGUMENT", "INVALID_SETTINGS")
    assert metadata["field"] == "parameters.outputs"


async def test_refusals_name_the_fields_of_vertex(explain):
    answer = await explain(override={"parameters": {"topK": 6}})
    _, metadata = refused(answer, 400, "INVALID_ARGUMENT", "UNKNOWN_OUTPUT")
    assert metadata["field"] == "explanationSpecOverride.parameters.topK"
    assert json.loads(metadata["accepted"]) == {"minimum": 1, "maximum": 5}
    answer = await explain(override=shapley(0))
    _, metadata = refused(answer, 400, "INVALID_ARGUMENT", "BAD_REQUEST")
    paths = "explanationSpecOverride.parameters.sampledShapleyAttribution.pathCount"
    assert metadata["field"] == paths
    answer = await explain("/v1/projects/p/locations/l/endpoints/none:explain")
    _, metadata = refused(answer, 404, "NOT_FOUND", "NOT_FOUND")
    assert metadata["field"] == "model"


async def test_more_paths_than_the_server_allows_are_refused(start, settings, served, photo):
    async with start(settings.model_copy(update={"max_evals": 300})) as api:
        document = {"instances": [b64(photo)], "explanationSpecOverride": shapley(3)}
        answer = await api.post(URL, json=document, headers=NOW)
        _, metadata = refused(answer, 400, "INVALID_ARGUMENT", "INVALID_SETTINGS")
        assert json.loads(metadata["accepted"]) == {"minimum": 1, "maximum": 2}
        document["explanationSpecOverride"] = shapley(2)
        assert (await api.post(URL, json=document, headers=NOW)).status_code == 504


async def test_another_deployed_model_is_refused(explain):
    answer = await explain(deployedModelId="sha256:" + "0" * 64)
    _, metadata = refused(answer, 409, "ABORTED", "MODEL_CHANGED")
    assert metadata["field"] == "deployedModelId"
    assert (await explain(deployedModelId=MODEL.fingerprint)).status_code == 504


async def test_statuses_are_those_that_its_clients_know(start, settings, served, photo):
    async with start(settings.model_copy(update={"max_upload_bytes": 100})) as api:
        answer = await api.post(URL, json={"instances": [b64(photo)]})
        refused(answer, 400, "INVALID_ARGUMENT", "TOO_LARGE")
        refused(await api.get(URL), 400, "INVALID_ARGUMENT", "METHOD_NOT_ALLOWED")
