"""The audit log names who did what, and is for auditors only."""

import pytest

from service.api.auth.keys import Scope
from service.jobs.redis_keys import AUDIT
from tests.api.auth.keyholders import bearing, issue

URL = "/v1/explanations"


@pytest.fixture
def clinic(keys_file):
    return bearing(issue(keys_file, "clinic", Scope.EXPLAIN))


@pytest.fixture
def auditor(keys_file):
    return bearing(issue(keys_file, "auditor", Scope.AUDITOR))


@pytest.fixture
def settings(settings, keys_file, clinic, auditor):
    return settings.model_copy(update={"keys_file": keys_file})


async def test_each_entry_names_the_key_and_the_owner(served, photo, fake_worker, clinic, auditor):
    made = await served.post(URL, files={"image": photo}, headers=clinic)
    id_ = made.json()["id"]
    fake_worker.succeed(id_)
    for headers in (clinic, auditor, clinic):
        await served.get(f"{URL}/{id_}/picture", headers=headers)
    page = await served.get("/v1/audit", params={"explanation": id_}, headers=auditor)
    found = [(each["action"], each["actor"], each["owner"]) for each in page.json()["items"]]
    assert found == [
        ("read", "auditor", "clinic"),
        ("read", "clinic", "clinic"),
        ("asked", "clinic", "clinic"),
    ]
    page = await served.get("/v1/audit", params={"actor": "clinic"}, headers=auditor)
    assert {each["actor"] for each in page.json()["items"]} == {"clinic"}


async def test_refusals_are_told_once_a_minute_without_the_key(served, clinic, auditor):
    wrong = {"Authorization": "Bearer shapshot_secret"}
    for n in range(3):
        path = f"{URL}/exp_{n:032x}/picture"
        assert (await served.get(path, headers=wrong)).status_code == 401
    assert (await served.get("/v1/audit", headers=clinic)).status_code == 403
    page = await served.get("/v1/audit", params={"action": "refused"}, headers=auditor)
    found = [
        (each["actor"], each["what"], each["detail"], each["explanation"])
        for each in page.json()["items"]
    ]
    assert found == [
        ("clinic", "GET /v1/audit", "forbidden", None),
        (None, "GET /v1/explanations/{explanation_id}/picture", "unauthorized", None),
    ]
    assert "secret" not in page.text


async def test_the_start_tells_the_keys_but_no_secret(served, clinic, auditor):
    query = {"action": "started"}
    while True:  # it is noted beside the first requests
        page = await served.get("/v1/audit", params=query, headers=auditor)
        if found := page.json()["items"]:
            break
    [entry] = found
    assert "clinic (" in entry["detail"]
    assert "auditor (" in entry["detail"]
    assert clinic["Authorization"].split("_", 1)[1] not in page.text


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("cursor", ["0-0", "00-0", f"{2**64 - 1}-{2**64 - 1}", "5-0"])
async def test_a_cursor_at_either_end_of_all_ids_is_one(served, auditor, order, cursor):
    query = {"order": order, "cursor": cursor}
    page = await served.get("/v1/audit", params=query, headers=auditor)
    assert page.status_code == 200
    query = {"before": "1970-01-01T00:00:00Z"}
    page = await served.get("/v1/audit", params=query, headers=auditor)
    assert (page.json()["items"], page.json()["next_cursor"]) == ([], None)


async def test_a_cursor_beyond_all_ids_is_refused(served, auditor, refused):
    query = {"cursor": f"{2**64}-0"}
    answer = await served.get("/v1/audit", params=query, headers=auditor)
    assert refused(answer, 422, "invalid_parameter")["field"] == "cursor"


@pytest.mark.parametrize(
    ("audit", "expected"), [("reads", {"asked", "read"}), ("changes", {"asked"}), ("off", set())]
)
async def test_the_setting_says_what_is_kept(
    start, settings, fake_worker, new_card, photo, clinic, connection, audit, expected
):
    fake_worker.announce(new_card())
    addressed = {"audit": audit, "audit_addresses": True}
    async with start(settings.model_copy(update=addressed)) as api:
        made = await api.post(URL, files={"image": photo}, headers=clinic)
        await api.get(f"{made.headers['location']}/picture", headers=clinic)
        found = [fields for _, fields in connection.xrange(AUDIT)]
    kept = {fields[b"action"].decode() for fields in found} - {"started"}
    assert kept == expected
    assert {fields[b"address"] for fields in found if fields[b"action"] != b"started"} <= {
        b"127.0.0.1"
    }
