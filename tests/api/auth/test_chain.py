"""The list of the chain is for auditors, and complete."""

import pytest

from service.api.auth.keys import Scope
from service.infra.artifacts import Artifact
from service.jobs.records import RecordReference
from service.jobs.sealing import RecordChain
from tests.api.auth.keyholders import bearing, issue

URL = "/v1/records"


@pytest.fixture
def clinic(keys_file):
    return bearing(issue(keys_file, "clinic", Scope.EXPLAIN))


@pytest.fixture
def auditor(keys_file):
    return bearing(issue(keys_file, "auditor", Scope.AUDITOR))


@pytest.fixture
def settings(settings, keys_file, clinic, auditor):
    return settings.model_copy(update={"keys_file": keys_file})


async def test_it_lists_every_statement_though_its_explanation_is_deleted(
    served, photo, fake_worker, connection, clinic, auditor
):
    ids, chain = [], RecordChain(connection)
    for sequence in range(3):
        headers = clinic | {"Cache-Control": "no-cache"}
        asked = await served.post("/v1/explanations", files={"image": photo}, headers=headers)
        ids.append(asked.json()["id"])
        fake_worker.succeed(ids[-1])
        record = RecordReference(
            envelope=Artifact.of(b""),
            payload_sha256=f"{sequence}" * 64,
            key_id="key",
            sequence=sequence,
        )
        assert chain.add(ids[-1], record) == "sealed"
    gone = await served.delete(f"/v1/explanations/{ids[1]}", headers=clinic)
    assert gone.status_code == 204
    page = (await served.get(URL, params={"limit": 2}, headers=auditor)).json()
    assert (page["length"], page["next_after"]) == (3, 1)
    assert page["items"] == [
        {"sequence": n, "id": ids[n], "sha256": f"{n}" * 64, "kind": "record"} for n in (0, 1)
    ]
    rest = (await served.get(URL, params={"after": 1}, headers=auditor)).json()
    assert [each["id"] for each in rest["items"]] == [ids[2]]
    assert rest["next_after"] is None
    beyond = (await served.get(URL, params={"after": 7}, headers=auditor)).json()
    assert (beyond["items"], beyond["length"], beyond["next_after"]) == ([], 3, None)


async def test_only_auditors_list_it(served, refused, clinic, auditor):
    refused(await served.get(URL, headers=clinic), 403, "forbidden")
    refused(await served.get(URL), 401, "unauthorized")
    refused(await served.get(URL, params={"after": -1}, headers=auditor), 422, "invalid_parameter")
