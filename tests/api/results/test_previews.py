"""Previews over HTTP, and who makes workers make them."""

import json

import pytest

from service.api.auth.keys import Scope
from service.jobs.leases import Heartbeat, LeaseStatus
from service.jobs.redis_keys import preview_key_of
from service.jobs.scripts import EncodedPreview
from service.schemas.documents import ErrorCode, Failure, Status
from service.schemas.previews import Preview, PreviewOutput
from service.schemas.results import Rectangle
from tests.api.auth.keyholders import bearing, issue


def encoded(evaluations: int) -> EncodedPreview:
    preview = Preview(
        evaluations=evaluations,
        planned=100,
        outputs=[PreviewOutput(index=0, label="ant", scale=0.25)],
        crop=Rectangle(left=0, top=0, right=60, bottom=40),
        rows=1,
        columns=2,
        cell=4,
        heat="ADwAvA==",  # 1 and -1
    )
    return EncodedPreview(preview.model_dump_json(), evaluations)


@pytest.fixture
def path(settings):
    return "/v1/explanations/{}/preview".format


async def test_it_is_there_from_the_first_to_the_end(
    served, create, refused, fake_worker, connection, path
):
    id_ = await create()
    assert "queued" in refused(await served.get(path(id_)), 409, "not_finished")["detail"]
    attempt = fake_worker.begin(id_)
    answer = await served.get(path(id_))
    refused(answer, 409, "not_finished")
    assert answer.headers["retry-after"] == "1"
    assert "preview" not in (await served.get(f"/v1/explanations/{id_}")).json()["links"]

    for evaluations in (20, 40):
        fake_worker.ledger.heartbeat(Heartbeat(id_, attempt, preview=encoded(evaluations)))
        answer = await served.get(path(id_))
        assert Preview.model_validate_json(answer.text).evaluations == evaluations
        assert answer.headers["content-type"] == "application/json"
        known = {"If-None-Match": answer.headers["etag"]}
        assert (await served.get(path(id_), headers=known)).status_code == 304
    linked = (await served.get(f"/v1/explanations/{id_}")).json()["links"]["preview"]
    assert linked == path(id_)

    connection.delete(preview_key_of(id_))  # it has expired
    refused(await served.get(path(id_)), 409, "not_finished")
    fake_worker.end(id_, attempt, Status.SUCCEEDED)
    refused(await served.get(path(id_)), 404, "no_result")


async def test_a_request_has_the_worker_make_previews(served, create, fake_worker, path):
    id_ = await create()
    beat = Heartbeat(id_, fake_worker.begin(id_))
    assert fake_worker.ledger.heartbeat(beat) == [LeaseStatus.OWNED]
    await served.get(path(id_))
    assert fake_worker.ledger.heartbeat(beat) == [LeaseStatus.WATCHED]


async def test_what_has_failed_has_none(served, create, refused, fake_worker, path):
    id_ = await create()
    fake_worker.fail(id_, Failure(code=ErrorCode.INTERNAL, detail="it broke"))
    assert "failed" in refused(await served.get(path(id_)), 404, "no_result")["detail"]


async def test_it_is_shown_to_its_owner_and_to_who_may_read_all(
    start, settings, refused, tmp_path, fake_worker, new_card, photo, path
):
    keys = tmp_path / "keys.jsonl"
    mine, theirs, auditors = (
        bearing(issue(keys, name, scope))
        for name, scope in (("a", Scope.EXPLAIN), ("b", Scope.EXPLAIN), ("c", Scope.AUDITOR))
    )
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"keys_file": keys})) as api:
        created = await api.post("/v1/explanations", files={"image": ("p", photo)}, headers=mine)
        id_ = created.json()["id"]
        attempt = fake_worker.begin(id_)
        refused(await api.get(path(id_), headers=theirs), 404, "not_found")
        assert fake_worker.ledger.heartbeat(Heartbeat(id_, attempt)) == [LeaseStatus.OWNED]
        fake_worker.ledger.heartbeat(Heartbeat(id_, attempt, preview=encoded(20)))
        refused(await api.get(path(id_), headers=theirs), 404, "not_found")
        stream = f"/v1/explanations/{id_}/events?previews=true"
        refused(await api.get(stream, headers=theirs), 404, "not_found")
        for headers in (mine, auditors):
            answer = await api.get(path(id_), headers=headers)
            assert json.loads(answer.text)["evaluations"] == 20
