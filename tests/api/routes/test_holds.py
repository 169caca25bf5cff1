"""Holds over HTTP: who holds what, until when, and what is refused meanwhile."""

from datetime import UTC, datetime

import pytest

from service.api.auth.keys import Scope
from tests.api.auth.keyholders import bearing, issue

URL = "/v1/explanations"
HELD = {"reason": 'A complaint: "2026-117"\nsee file', "name": "Ada"}
RENEW = {"Cache-Control": "no-store"}


@pytest.fixture
async def done(create, fake_worker):
    id_ = await create()
    fake_worker.succeed(id_)
    return id_


async def test_a_hold_is_shown_and_forbids_deletion(served, refused, done):
    put = await served.put(f"{URL}/{done}/hold", json=HELD)
    assert put.status_code == 200, put.text
    document = (await served.get(f"{URL}/{done}")).json()
    assert document["hold"] == put.json() == (await served.get(document["links"]["hold"])).json()
    assert (document["hold"]["by"], document["hold"]["reason"]) == ("Ada", HELD["reason"])
    assert (document["hold"]["until"], document["expires_at"]) == (None, None)
    problem = refused(await served.delete(f"{URL}/{done}"), 409, "held")
    assert "by Ada, since" in problem["detail"]
    assert HELD["reason"] in problem["detail"]
    found = (await served.get(URL, params={"held": "true"})).json()
    assert [item["id"] for item in found["items"]] == [done]
    # without keys, everybody is the operator and may release it
    assert (await served.delete(f"{URL}/{done}/hold")).status_code == 204
    refused(await served.get(f"{URL}/{done}/hold"), 404, "no_result")
    refused(await served.delete(f"{URL}/{done}/hold"), 404, "no_result")
    assert (await served.get(URL, params={"held": "true"})).json()["items"] == []
    assert (await served.delete(f"{URL}/{done}")).status_code == 204


async def test_a_batch_with_a_held_explanation_is_not_deleted(served, refused, fake_worker, photo):
    made = await served.post("/v1/batches", files={"image": ("p.png", photo)}, headers=RENEW)
    batch = (await served.get(f"/v1/batches/{made.json()['id']}")).json()
    [member] = [each["id"] for each in batch["explanations"]]
    fake_worker.succeed(member)
    await served.put(f"{URL}/{member}/hold", json=HELD)
    problem = refused(await served.delete(f"/v1/batches/{batch['id']}"), 409, "held")
    assert problem["received"] == member
    assert (await served.get(f"{URL}/{member}/attributions")).status_code == 200


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": "Ada"}, "reason"),
        ({**HELD, "reason": " "}, "reason"),
        ({**HELD, "reason": "x" * 501}, "reason"),
        ({"reason": "why"}, "name"),
        ({**HELD, "name": "a\nb"}, "name"),
        ({**HELD, "until": "2001-01-01T00:00:00Z"}, "until"),
        ({**HELD, "until": "2101-01-01T00:00:00"}, "until"),
        ({**HELD, "until": 4102444800}, "until"),
        ({**HELD, "until": "soon"}, "until"),
        ({**HELD, "for": 7}, "for"),
    ],
)
async def test_an_invalid_hold_is_refused_by_name(served, refused, done, sent, field):
    answer = await served.put(f"{URL}/{done}/hold", json=sent)
    assert refused(answer, 422, "invalid_parameter")["field"] == field
    assert (await served.get(f"{URL}/{done}")).json()["hold"] is None


async def test_the_end_of_a_hold_is_told_in_utc(served, done):
    until = "2101-01-01T02:00:00+02:00"
    put = await served.put(f"{URL}/{done}/hold", json={**HELD, "until": until})
    assert datetime.fromisoformat(put.json()["until"]) == datetime(2101, 1, 1, tzinfo=UTC)


async def test_a_hold_is_of_its_key(
    start, settings, fake_worker, new_card, photo, refused, tmp_path
):
    file = tmp_path / "keys.jsonl"
    clinic, auditor = (
        bearing(issue(file, "clinic", Scope.EXPLAIN)),
        bearing(issue(file, "auditor", Scope.AUDITOR)),
    )
    admin = bearing(issue(file, "root", Scope.ADMIN))
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"keys_file": file})) as api:
        made = await api.post(URL, files={"image": photo}, headers=clinic)
        path = f"{made.headers['location']}/hold"
        why = {"reason": "Audit"}
        put = await api.put(path, json=why, headers=auditor)
        assert put.json()["by"] == "auditor", put.text
        refused(await api.put(path, json=why, headers=clinic), 409, "held")
        refused(await api.delete(path, headers=clinic), 409, "held")
        named = await api.put(path, json=why | {"name": "Ada"}, headers=auditor)
        assert refused(named, 422, "invalid_parameter")["accepted"] == ["auditor"]
        assert (await api.delete(path, headers=admin)).status_code == 204
