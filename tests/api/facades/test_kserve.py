"""`explain` in the form of KServe: what its clients send, and what they read."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from service.api.auth.keys import Scope
from service.infra.artifact_store import attributions_key
from service.schemas.documents import ErrorCode, Failure
from tests.api.auth.keyholders import issue
from tests.api.conftest import EXPLAINED, some_arrays

URL = "/v1/models/tiny:explain"
NOW = {"Prefer": "wait=0"}


def b64(content):
    return base64.b64encode(content).decode()


@pytest.fixture
def photos(new_photo):
    return [new_photo(60 + n, 40) for n in range(3)]


@pytest.fixture
def explain(served, photo):
    async def post(document=None, url=URL, headers=NOW, **parameters):
        document = document or {"instances": [{"b64": b64(photo)}]}
        if parameters:
            document = document | {"parameters": parameters}
        return await served.post(url, content=json.dumps(document), headers=headers)

    return post


def refused(answer, status, code):
    """Checks that it is an error of KServe with this code; returns the problem in it."""
    assert answer.headers["content-type"] == "application/json", answer.text
    document = answer.json()
    assert set(document) == {"error", "problem"}
    problem = document["problem"]
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert document["error"] == problem["detail"]
    return problem


async def test_what_is_not_done_in_time_has_an_id_to_ask_for(explain, served):
    answer = await explain(outputs={"top": 2}, seed=7)
    assert answer.status_code == 202, answer.text
    explanation = answer.json()
    assert answer.headers["location"] == explanation["links"]["self"]
    assert int(answer.headers["retry-after"]) >= 1
    assert explanation["settings"]["model"] == "tiny"
    assert (explanation["settings"]["seed"], explanation["settings"]["outputs"]["top"]) == (7, 2)


async def test_the_explained_output_is_the_highest_unless_the_request_says_otherwise(explain):
    assert (await explain()).json()["settings"]["outputs"]["top"] == 1


async def test_one_instance_is_answered_with_its_map(explain, fake_worker):
    id_ = (await explain()).json()["id"]
    fake_worker.succeed(id_)
    answer = await explain()  # now from the cache
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert set(document) == {"predictions", "explanations", "shapshot"}
    indices, labels = list(EXPLAINED), list(EXPLAINED.values())
    scores = {"indices": indices, "labels": labels, "scores": [0.5, 0.5]}
    assert document["predictions"] == [scores]
    [explanation] = document["explanations"]
    assert explanation["base_values"] == [0.125, 0.125]
    wanted = some_arrays()["values"].sum(axis=2).transpose(2, 0, 1)  # (K, H, W)
    np.testing.assert_array_equal(np.array(explanation["saliency"], np.float32), wanted)
    [reference] = document["shapshot"]
    assert (reference["status"], reference["warnings"]) == ("succeeded", [])
    assert reference["links"]["attributions"].startswith("/v1/explanations/exp_")
    assert answer.headers["location"] == reference["links"]["self"]


async def test_several_instances_are_a_batch_in_their_order(explain, served, fake_worker, photos):
    document = {"instances": [b64(photo) for photo in photos]}
    batch = (await explain(document)).json()
    assert [each["position"] for each in batch["explanations"]] == [0, 1, 2]
    for n, each in enumerate(batch["explanations"]):
        arrays = some_arrays()
        fake_worker.succeed(each["id"], arrays=arrays | {"values": arrays["values"] + n})
    answer = await explain(document)
    assert answer.status_code == 200, answer.text
    firsts = [each["saliency"][0][0][0] for each in answer.json()["explanations"]]
    np.testing.assert_allclose(np.diff(firsts), 3, rtol=1e-5)  # one more in each of 3 channels
    assert len(answer.json()["shapshot"]) == 3
    assert answer.headers["location"].startswith("/v1/batches/")


async def test_a_failed_instance_is_named_with_the_explanations_of_all(
    explain, fake_worker, photos
):
    document = {"instances": [b64(photo) for photo in photos]}
    headers = NOW | {"Idempotency-Key": "one"}
    batch = (await explain(document, headers=headers)).json()
    ids = [each["id"] for each in batch["explanations"]]
    fake_worker.succeed(ids[0])
    fake_worker.fail(ids[1], Failure(code=ErrorCode.MODEL_FAILED, detail="it broke"))
    fake_worker.succeed(ids[2])
    problem = refused(await explain(document, headers=headers), 500, "model_failed")
    assert problem["field"] == "instances.1"
    assert problem["detail"].startswith("instances.1: it broke")
    assert all(id_ in problem["detail"] for id_ in ids)


async def test_a_canceled_instance_is_no_answer(explain, served, fake_worker):
    headers = NOW | {"Idempotency-Key": "one"}
    document = (await explain(headers=headers)).json()
    await served.post(document["links"]["cancel"])
    problem = refused(await explain(headers=headers), 409, "canceled")
    assert document["id"] in problem["detail"]


async def test_an_instance_that_was_deleted_is_named(explain, served, fake_worker, photos):
    document = {"instances": [b64(photo) for photo in photos]}
    headers = NOW | {"Idempotency-Key": "one"}
    batch = (await explain(document, headers=headers)).json()
    for each in batch["explanations"]:
        fake_worker.succeed(each["id"])
    await served.delete(batch["explanations"][2]["links"]["self"])
    problem = refused(await explain(document, headers=headers), 410, "gone")
    assert problem["field"] == "instances.2"


async def test_a_request_sent_again_with_its_key_is_the_first_one(explain, served):
    headers = NOW | {"Idempotency-Key": "one"}
    ids = {(await explain(headers=headers)).json()["id"] for _ in range(2)}
    assert len(ids) == 1
    problem = refused(await explain(headers=headers, seed=1), 422, "idempotency_mismatch")
    assert problem["field"] == "Idempotency-Key"


async def test_settings_are_named_as_the_request_names_them(explain):
    problem = refused(await explain(max_evals=1), 422, "invalid_settings")
    assert problem["field"] == "parameters.max_evals"
    assert problem["detail"].startswith("parameters.max_evals: ")
    problem = refused(await explain(methd="kernel"), 422, "invalid_settings")
    assert problem["field"] == "parameters.methd"
    for name in ("model", "compare_with"):
        problem = refused(await explain(**{name: "tiny"}), 422, "invalid_settings")
        assert problem["field"] == f"parameters.{name}"


async def test_a_bad_picture_is_named_by_its_instance(explain, photo):
    answer = await explain({"instances": [b64(photo), b64(b"no picture")]})
    assert refused(answer, 415, "unsupported_media_type")["field"] == "instances.1"


async def test_pixels_of_a_whole_photo_are_taken_and_kept_as_a_picture(explain, served):
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3))  # more than MAX_VALUES
    explanation = (await explain({"instances": [pixels.tolist()]})).json()
    assert (explanation["image"]["width"], explanation["image"]["format"]) == (224, "PNG")
    picture = await served.get(explanation["links"]["picture"])
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(picture.content))), pixels)


async def test_the_audit_log_names_the_explanations_that_were_shown(
    explain, served, fake_worker, photos
):
    document = {"instances": [b64(photo) for photo in photos]}
    batch = (await explain(document)).json()
    for each in batch["explanations"]:
        fake_worker.succeed(each["id"])
    shown = {each["id"] for each in (await explain(document)).json()["shapshot"]}
    page = await served.get("/v1/audit", params={"action": "read"})
    assert {each["what"] for each in page.json()["items"]} == {"arrays"}
    assert {each["explanation"] for each in page.json()["items"]} == shown


async def test_metrics_tell_calls_that_wait_from_others(start, settings, served, photo):
    async with start(settings.model_copy(update={"explain_wait_s": 0})) as api:
        answer = await api.post(URL, json={"instances": [b64(photo)]})  # without Prefer
        assert answer.status_code == 202
        text = (await api.get("/metrics")).text
    [line] = [line for line in text.splitlines() if ":explain" in line and "_count{" in line]
    assert 'waits="yes"' in line


async def test_a_damaged_result_is_an_error_before_the_answer_starts(
    explain, fake_worker, store, monkeypatch
):
    monkeypatch.setattr("service.api.results.streaming.PIECE_BYTES", 1)  # as of a large answer
    headers = NOW | {"Idempotency-Key": "one"}
    id_ = (await explain(headers=headers)).json()["id"]
    state = fake_worker.succeed(id_)
    store.put(attributions_key(id_, state.result), b"damaged")
    problem = refused(await explain(headers=headers), 404, "no_result")
    assert "damaged" in problem["detail"]


async def test_an_unknown_model_is_not_found(explain):
    answer = await explain(url="/v1/models/none:explain")
    problem = refused(answer, 404, "not_found")
    assert (problem["field"], problem["accepted"]) == ("model", ["tiny"])


async def test_unknown_fields_are_refused_by_name(explain, photo):
    answer = await explain({"instances": [b64(photo)], "signature_name": "serving_default"})
    problem = refused(answer, 400, "bad_request")
    assert problem["field"] == "signature_name"


async def test_more_numbers_than_an_answer_may_have_are_refused(
    explain, fake_worker, photos, monkeypatch
):
    monkeypatch.setattr("service.api.facades.answers.MAX_NUMBERS", 8 * 12 * 3 * 2)
    document = {"instances": [b64(photo) for photo in photos[:2]]}
    batch = (await explain(document)).json()
    for each in batch["explanations"]:
        fake_worker.succeed(each["id"])
    problem = refused(await explain(document), 406, "not_acceptable")
    assert problem["received"] == 2 * 8 * 12 * 3 * 2


async def test_errors_before_the_route_have_the_same_form(start, settings, tmp_path, photo):
    keys_file = tmp_path / "keys.jsonl"
    issue(keys_file, "clinic", Scope.EXPLAIN)
    async with start(settings.model_copy(update={"keys_file": keys_file})) as api:
        answer = await api.post(URL, json={"instances": [b64(photo)]})
        problem = refused(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert problem["field"] == "Authorization"
        answer = await api.post(URL, json={}, headers={"Host": "other.example:80:80"})
        assert "error" in answer.json()
        answer = await api.post("/v1/explanations", json={})
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_card_tells_clients_of_kserve_whether_the_model_is_ready(served):
    card = (await served.get("/v1/models/tiny")).json()
    assert (card["name"], card["ready"]) == ("tiny", True)
    [summary] = (await served.get("/v1/models")).json()["items"]
    assert summary["ready"] is True
