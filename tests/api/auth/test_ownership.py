"""Explanations made with the key of one name do not exist for another name."""

import asyncio
import re

import numpy as np
import pytest

from service.api.auth.keys import Scope
from service.evidence.keys import SigningKey
from service.infra.artifact_store import attributions_key, image_key
from service.infra.settings.api import ApiSettings
from service.jobs.redis_keys import key_of, new_id
from service.schemas.scores import CoalitionScores, MaskedPicture
from tests.api.auth.keyholders import bearing, issue, routes
from tests.api.conftest import some_arrays, some_curves, some_regions
from tests.encoded import npy
from tests.ledger import Ledger

OF_RUNNING = [("GET", "/v1/explanations/{explanation_id}/preview")]  # see test_previews.py
OF_WEBHOOKS = [each for each in routes() if each[1].startswith("/v1/webhooks")]  # test_webhooks.py
ELSEWHERE = OF_RUNNING + OF_WEBHOOKS
OF_ONE = [each for each in routes() if "_id}" in each[1] and each not in ELSEWHERE]
OF_NONE = [  # routes of /v1 without an id; each shows nobody's explanations
    ("GET", "/v1/audit"),  # for auditors only: see test_audit.py
    ("GET", "/v1/audit/segments"),
    ("GET", "/v1/batches"),
    ("GET", "/v1/caller"),
    ("GET", "/v1/explanations"),
    ("GET", "/v1/methods"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{name}"),
    ("GET", "/v1/records"),  # for auditors only: see test_chain.py
    ("POST", "/v1/batches"),
    ("POST", "/v1/explanations"),
    ("POST", "/v1/models/{name}:explain"),
    ("POST", "/v1/projects/{project}/locations/{location}/endpoints/{endpoint}:explain"),
    ("POST", "/v1beta1/projects/{project}/locations/{location}/endpoints/{endpoint}:explain"),
]
OF_SEVERAL = [("GET", f"/v1/figure.{form}") for form in ("png", "svg", "pdf")]
PICTURE = MaskedPicture(png=b"")
RENEW = {"Cache-Control": "no-store"}
UNKNOWN = {
    "explanation_id": "exp_" + "0" * 32,
    "batch_id": "batch_" + "0" * 32,
    "scores_id": "scr_" + "0" * 32,
}
SENT = {  # what a request needs beside its path
    ("POST", "/v1/explanations/{explanation_id}/scores"): {
        "json": {"coalitions": [{"hidden": []}]}
    },
    ("GET", "/v1/explanations/{explanation_id}/masked.png"): {"params": {"hidden": ""}},
}
HOLD = "/v1/explanations/{explanation_id}/hold"
KEPT = {  # what auditors may do to everybody's explanations, beside reading them
    ("POST", "/v1/explanations/{explanation_id}/reviews"): {
        "json": {"verdict": "accept", "comment": "Fine"}
    },
    ("PUT", HOLD): {"json": {"reason": "A complaint"}},
    ("DELETE", HOLD): {},
}
SENT_TO = SENT | KEPT
REPRODUCE = ("POST", "/v1/explanations/{explanation_id}/reproduce")
CHANGES = [each for each in OF_ONE if each[0] != "GET" and each not in KEPT and each != REPRODUCE]


@pytest.fixture
def mine(keys_file):
    return bearing(issue(keys_file, "clinic", Scope.EXPLAIN))


@pytest.fixture
def theirs(keys_file):
    return bearing(issue(keys_file, "lab", Scope.EXPLAIN))


@pytest.fixture
def admins(keys_file):
    return bearing(issue(keys_file, "root", Scope.ADMIN))


@pytest.fixture
def auditors(keys_file):
    return bearing(issue(keys_file, "auditor", Scope.AUDITOR))


@pytest.fixture
def settings(settings, keys_file, mine, theirs, admins) -> ApiSettings:
    signing_key = keys_file.with_name("signing-key.pem")
    SigningKey.create(signing_key)
    files = {"keys_file": keys_file, "signing_key_file": signing_key}
    return settings.model_copy(update=files)


@pytest.fixture
def ask(served, photo):
    """Requests an explanation, or a batch of one, with a key; returns its id."""

    async def post(headers, to="/v1/explanations", *, label_map=None, **more) -> str:
        settings = '{"metrics": ["insertion"]}'
        parts = {"image": ("photo.png", photo)}
        if label_map:
            settings = '{"metrics": ["insertion"], "superpixels": {"kind": "labels"}}'
            parts["label_map"] = ("map.npy", label_map)
        parts["settings"] = (None, settings)
        answer = await served.post(to, files=parts, headers=headers | more)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    return post


@pytest.fixture
async def made(served, ask, fake_worker, mine):
    """An explanation that succeeded, and a batch of another, by the parameter that takes its id."""
    answers = {}
    label_map = npy(np.arange(8 * 12).reshape(8, 12) // 12)
    first, batch = await ask(mine, label_map=label_map), await ask(mine, "/v1/batches")
    fake_worker.succeed(first, arrays=some_arrays() | some_regions())
    again = await served.post(f"/v1/explanations/{first}/reproduce", headers=mine)
    single = again.json()["id"]  # a second run, so that it has all that can be shown
    found = await served.get(f"/v1/batches/{batch}", headers=mine)
    for id_ in (single, found.json()["explanations"][0]["id"]):
        arrays = some_arrays() | some_regions()
        fake_worker.succeed(id_, arrays=arrays, curves=some_curves("insertion"))
    for (method, path), sent in SENT.items():  # a repetition would be a cache hit
        answer = CoalitionScores(outputs=[], scores=[[]]) if method == "POST" else PICTURE
        path = path.format(explanation_id=single)
        asked = served.request(method, path, headers=mine, **sent)
        answers[method] = await fake_worker.answering(asked, answer)
    scores = answers["POST"]
    sealed = await served.get(f"/v1/explanations/{single}/record", headers=mine)
    assert sealed.status_code == 200, sealed.text
    return {"explanation_id": single, "batch_id": batch, "scores_id": scores.json()["id"]}


async def held_for(served, made, method, path, headers):
    """Holds the explanation with this key, if the request is about its hold."""
    if path == HOLD and method != "PUT":
        kept = await served.put(path.format(**made), json={"reason": "Why"}, headers=headers)
        assert kept.status_code == 200, kept.text


def test_every_route_of_the_api_is_tested_here():
    known = {*OF_ONE, *ELSEWHERE, *OF_NONE, *OF_SEVERAL}
    assert {route for route in routes() if route[1].startswith(("/v1/", "/v1beta1/"))} == known


@pytest.mark.parametrize(("method", "path"), OF_ONE)
async def test_explanations_of_others_seem_not_to_exist(
    served, refused, made, mine, theirs, method, path
):
    sent = SENT_TO.get((method, path), {})
    problem = refused(
        await served.request(method, path.format(**made), headers=theirs, **sent), 404, "not_found"
    )
    unknown = refused(
        await served.request(method, path.format(**UNKNOWN), headers=theirs, **sent),
        404,
        "not_found",
    )
    assert without_ids(problem) == without_ids(unknown)
    await held_for(served, made, method, path, mine)
    own = await served.request(method, path.format(**made), headers=mine, **sent)
    assert own.status_code in (200, 201, 202, 204), own.text


def without_ids(problem):
    return re.sub("[0-9a-f]{32}", "", str(problem))


@pytest.mark.parametrize(("method", "path"), OF_ONE)
async def test_an_admin_sees_explanations_of_others(served, made, mine, admins, method, path):
    await held_for(served, made, method, path, mine)
    sent = SENT_TO.get((method, path), {})
    answer = await served.request(method, path.format(**made), headers=admins, **sent)
    assert answer.status_code in (200, 201, 202, 204), answer.text


@pytest.mark.parametrize(("method", "path"), [each for each in OF_ONE if each not in KEPT])
async def test_an_auditor_sees_explanations_of_others_and_changes_none(
    served, refused, made, fake_worker, mine, auditors, method, path
):
    await held_for(served, made, method, path, mine)
    states = [
        fake_worker.read(made["explanation_id"]),
        fake_worker.ledger.read_batch(made["batch_id"]),
    ]
    sent = SENT_TO.get((method, path), {})
    answer = await served.request(method, path.format(**made), headers=auditors, **sent)
    if method == "GET":
        assert answer.status_code == 200, answer.text
    else:
        assert refused(answer, 403, "forbidden")["accepted"] == ["explain"]
    assert states == [
        fake_worker.read(made["explanation_id"]),
        fake_worker.ledger.read_batch(made["batch_id"]),
    ]


@pytest.mark.parametrize(("method", "path"), KEPT)
async def test_an_auditor_keeps_explanations_of_others(served, made, auditors, method, path):
    sent = KEPT[method, path]
    await held_for(served, made, method, path, auditors)
    answer = await served.request(method, path.format(**made), headers=auditors, **sent)
    assert answer.status_code in (200, 201, 204), answer.text


async def test_a_key_that_only_reads_reviews_nothing(served, refused, made, keys_file):
    reader = bearing(issue(keys_file, "clinic", Scope.READ))
    for (method, path), sent in KEPT.items():
        answer = await served.request(method, path.format(**made), headers=reader, **sent)
        assert refused(answer, 403, "forbidden")["accepted"] == ["explain", "auditor"]


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_an_auditor_with_the_scope_explain_changes_only_its_own_explanations(
    served, refused, keys_file, ask, made, fake_worker, method, path
):
    both = bearing(issue(keys_file, "both", Scope.AUDITOR, Scope.EXPLAIN))
    before = fake_worker.read(made["explanation_id"])
    sent = SENT_TO.get((method, path), {})
    answer = await served.request(method, path.format(**made), headers=both, **sent)
    assert refused(answer, 403, "forbidden")["accepted"] == ["admin"]
    assert fake_worker.read(made["explanation_id"]) == before
    own = {"explanation_id": await ask(both), "batch_id": await ask(both, "/v1/batches")}
    fake_worker.succeed(own["explanation_id"], arrays=some_arrays() | some_regions())
    at_once = both | {"Prefer": "wait=0"}
    answer = await served.request(method, path.format(**own), headers=at_once, **sent)
    assert answer.status_code in (200, 202, 204), answer.text


async def test_an_auditor_with_the_scope_explain_runs_anothers_explanation_again_as_its_own(
    served, keys_file, made, fake_worker
):
    both = bearing(issue(keys_file, "both", Scope.AUDITOR, Scope.EXPLAIN))
    before = fake_worker.read(made["explanation_id"])
    answer = await served.post(REPRODUCE[1].format(**made), headers=both)
    assert answer.status_code == 202, answer.text
    again = answer.json()
    assert (again["owner"], again["reproduces"]) == ("both", made["explanation_id"])
    arrays = some_arrays() | some_regions()
    fake_worker.succeed(again["id"], arrays=arrays, curves=some_curves("insertion"))
    compared = await served.get(f"/v1/explanations/{again['id']}/reproduction", headers=both)
    assert compared.json()["verdict"] == "same", compared.text
    assert fake_worker.read(made["explanation_id"]) == before


async def test_an_auditor_submits_nothing(served, refused, photo, auditors):
    for path in ("/v1/explanations", "/v1/batches"):
        answer = await served.post(path, files={"image": ("p", photo)}, headers=auditors)
        assert refused(answer, 403, "forbidden")["received"] == ["auditor", "read"]


async def test_documents_name_their_owner(served, start, settings, made, mine, auditors, photo):
    for headers in (mine, auditors):
        for path in ("/v1/explanations/{explanation_id}", "/v1/batches/{batch_id}"):
            answer = await served.get(path.format(**made), headers=headers)
            assert answer.json()["owner"] == "clinic"
        for path in ("/v1/explanations", "/v1/batches"):
            page = (await served.get(path, headers=headers)).json()
            assert {item["owner"] for item in page["items"]} == {"clinic"}
    async with start(settings.model_copy(update={"keys_file": None})) as unlocked:
        for path in ("/v1/explanations", "/v1/batches"):
            renewed = await unlocked.post(path, files={"image": ("p", photo)}, headers=RENEW)
            assert renewed.json()["owner"] is None


@pytest.mark.parametrize("path", ["/v1/explanations", "/v1/batches"])
async def test_keys_that_see_others_may_filter_by_owner(
    served, refused, ask, mine, theirs, admins, auditors, path
):
    of_mine, of_theirs = [await ask(mine, path), await ask(mine, path)], [await ask(theirs, path)]

    async def listed(headers, **query):
        page = (await served.get(path, params=query, headers=headers)).json()
        assert page["total"] == len(page["items"])
        return [item["id"] for item in page["items"]][::-1]

    for headers in (admins, auditors):
        assert await listed(headers, owner="clinic") == of_mine
        assert await listed(headers, owner="lab") == of_theirs
        assert await listed(headers, owner="nobody") == []
        assert await listed(headers) == [*of_mine, *of_theirs]
    assert await listed(mine, owner="clinic") == of_mine
    for name in ("lab", "nobody"):
        problem = refused(
            await served.get(path, params={"owner": name}, headers=mine), 403, "forbidden"
        )
        assert problem["field"] == "owner"


async def test_filters_neither_show_nor_count_explanations_of_others(
    served, ask, fake_worker, mine, theirs
):
    batch = await ask(theirs, "/v1/batches")
    await ask(mine)
    for query in ({"batch": batch}, {"status": "queued", "model": "tiny"}, {"method": "partition"}):
        page = (await served.get("/v1/explanations", params=query, headers=mine)).json()
        assert page["total"] == len(page["items"]) == (0 if "batch" in query else 1)


@pytest.mark.parametrize(("method", "path"), OF_SEVERAL)
async def test_a_figure_shows_no_explanation_of_others(
    method, path, served, refused, ask, made, fake_worker, mine, theirs
):
    own = [await ask(theirs) for _ in range(2)]
    for id_ in own:
        fake_worker.succeed(id_)
    for ids, status in ((own, 200), ([own[0], made["explanation_id"]], 404)):
        answer = await served.request(method, path, params={"id": ids}, headers=theirs)
        assert answer.status_code == status


async def test_a_refused_request_changes_nothing(served, fake_worker, ask, mine, theirs):
    id_ = await ask(mine)
    before = fake_worker.read(id_)
    for method, path in (("POST", f"/v1/explanations/{id_}/cancel"),
                         ("DELETE", f"/v1/explanations/{id_}")):  # fmt: skip
        assert (await served.request(method, path, headers=theirs)).status_code == 404
    assert fake_worker.read(id_) == before


@pytest.mark.parametrize("tail", ["", "/events"])
async def test_nobody_can_wait_for_explanations_of_others(served, refused, ask, mine, theirs, tail):
    path = f"/v1/explanations/{await ask(mine)}{tail}"
    headers = theirs | {"Prefer": "wait=60"}
    async with asyncio.timeout(30):  # an answer only after 60 s would reveal the id
        refused(await served.get(path, headers=headers), 404, "not_found")


async def test_an_expired_explanation_is_410_to_its_owner_and_404_to_others(
    served, refused, made, fake_worker, mine, theirs
):
    fake_worker.ledger.leave_tombstone(made["explanation_id"], tombstone_s=60)
    path = f"/v1/explanations/{made['explanation_id']}"
    refused(await served.get(path, headers=mine), 410, "gone")
    refused(await served.get(path, headers=theirs), 404, "not_found")


async def test_a_list_has_ones_own_explanations_page_by_page(served, ask, mine, theirs, admins):
    whose = [mine, theirs, mine, theirs, mine]
    ids = [await ask(headers) for headers in whose]

    async def listed(headers) -> list[str]:
        found, query = [], {"limit": 2}
        while query:
            page = (await served.get("/v1/explanations", params=query, headers=headers)).json()
            found += [item["id"] for item in page["items"]]
            query = {"limit": 2, "cursor": page["next_cursor"]} if page["next_cursor"] else None
        return found[::-1]

    assert await listed(mine) == ids[0::2]
    assert await listed(theirs) == ids[1::2]
    assert await listed(admins) == ids


async def test_ones_own_explanation_is_listed_at_once_behind_many_of_others(
    served, connection, settings, spec, ask, theirs
):
    own = await ask(theirs)
    boundless = Ledger(connection, queue=settings.queue, lease_s=60, retention_s=600)
    others = spec.model_copy(update={"owner": "clinic"})
    for _ in range(1001):
        boundless.accept(new_id(), others, timeout_s=60)
    page = (await served.get("/v1/explanations", headers=theirs)).json()
    assert [item["id"] for item in page["items"]] == [own]
    assert (page["next_cursor"], page["total"]) == (None, 1)


async def test_a_cursor_of_another_list_leads_into_ones_own(served, ask, mine, theirs):
    own = await ask(theirs)
    for _ in range(3):
        await ask(mine)
    query = {"limit": 1}
    first = (await served.get("/v1/explanations", params=query, headers=mine)).json()
    query |= {"cursor": first["next_cursor"]}
    page = (await served.get("/v1/explanations", params=query, headers=theirs)).json()
    assert [item["id"] for item in page["items"]] == [own]


@pytest.mark.parametrize("to", ["/v1/explanations", "/v1/batches"])
async def test_an_idempotency_key_belongs_to_its_owner(ask, mine, theirs, to):
    key = {"Idempotency-Key": "one"}
    first = await ask(mine, to, **key)
    assert await ask(mine, to, **key) == first
    assert await ask(theirs, to, **key) != first


async def test_results_of_another_owner_are_no_cache_hits(
    served, ask, fake_worker, mine, theirs, photo
):
    """A cached answer would reveal that somebody has the picture, and its id."""
    fake_worker.succeed(await ask(mine))
    queued = await served.get(f"/v1/explanations/{await ask(theirs)}", headers=theirs)
    assert (queued.json()["status"], queued.json()["cached_from"]) == ("queued", None)
    again = await served.post(
        "/v1/explanations",
        files={"image": ("photo.png", photo), "settings": (None, '{"metrics": ["insertion"]}')},
        headers=mine,
    )
    assert again.json()["cached_from"]


async def test_a_name_keeps_its_explanations_when_its_key_changes(served, ask, keys_file, mine):
    id_ = await ask(mine)
    keys_file.write_text("")
    new = bearing(issue(keys_file, "clinic", Scope.READ))
    assert (await served.get(f"/v1/explanations/{id_}", headers=new)).status_code == 200
    assert (await served.get(f"/v1/explanations/{id_}", headers=mine)).status_code == 401


async def test_explanations_made_without_keys_are_the_operators(
    start, settings, fake_worker, new_card, photo, mine, admins
):
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"keys_file": None})) as unlocked:
        made = await unlocked.post("/v1/explanations", files={"image": photo})
    async with start(settings) as locked:
        path = made.headers["location"]
        assert (await locked.get(path, headers=mine)).status_code == 404
        assert (await locked.get(path, headers=admins)).status_code == 200


async def test_without_keys_everything_is_seen(start, settings, fake_worker, new_card, photo, mine):
    fake_worker.announce(new_card())
    async with start(settings) as locked:
        made = await locked.post("/v1/explanations", files={"image": photo}, headers=mine)
    async with start(settings.model_copy(update={"keys_file": None})) as unlocked:
        assert (await unlocked.get(made.headers["location"])).status_code == 200
        assert len((await unlocked.get("/v1/explanations")).json()["items"]) == 1


# --- Whatever Redis says


@pytest.fixture
async def forged(made, ask, connection, theirs):
    """A batch of theirs that lists as its members my explanation and one of my batch."""
    batch_id = await ask(theirs, "/v1/batches")
    own = connection.hget(key_of(batch_id), "members").decode()
    [other] = connection.hget(key_of(made["batch_id"]), "members").decode().split()
    members = " ".join([made["explanation_id"], own, other])
    connection.hset(key_of(batch_id), "members", members)
    return batch_id


@pytest.mark.parametrize("victims", ["as it was", "renamed", "renamed and queued"])
async def test_a_batch_touches_and_shows_only_its_own(
    served, made, forged, fake_worker, store, connection, mine, theirs, admins, victims
):
    """Even for an admin, who may see all explanations."""
    victim = fake_worker.read(made["explanation_id"])
    if "renamed" in victims:
        spec = victim.spec.model_copy(update={"batch": forged}).model_dump_json()
        connection.hset(key_of(victim.id), mapping={"batch": forged, "order": spec})
    if "queued" in victims:
        connection.hset(key_of(victim.id), "status", "queued")
    before = connection.hgetall(key_of(victim.id))
    path = f"/v1/batches/{forged}"
    for method, where in (("GET", path), ("POST", f"{path}/cancel"), ("DELETE", path)):
        for headers in (admins, theirs):
            answer = await served.request(method, where, headers=headers)
            assert answer.status_code in (200, 204, 404), answer.text
            assert victim.id not in answer.text
    assert connection.hgetall(key_of(victim.id)) == before
    assert store.get(image_key(victim.id))
    assert store.get(attributions_key(victim.id, victim.result))
    assert connection.zscore("shapshot:explanations", victim.id)
    answer = await served.get(f"/v1/batches/{made['batch_id']}", headers=mine)
    assert answer.json()["counts"]["succeeded"] == 1


async def test_no_foreign_explanation_begins_together_with_a_batch(
    ask, fake_worker, connection, mine, theirs
):
    batch_id, foreign = await ask(theirs, "/v1/batches"), await ask(mine)
    own = connection.hget(key_of(batch_id), "members").decode()
    connection.hset(key_of(batch_id), "members", f"{foreign} {own}")
    assert fake_worker.ledger.fresh_siblings(fake_worker.read(own)) == [own]


async def test_a_cache_hit_is_of_the_same_owner(
    served, ask, fake_worker, made, connection, mine, theirs
):
    """Even if its entry names somebody else's explanation, or one's own of another request."""
    first = await ask(theirs)
    fake_worker.succeed(first)
    entry = "shapshot:cache:" + fake_worker.read(first).spec.cache
    assert connection.get(entry).decode() == first
    [other] = connection.hget(key_of(await ask(theirs, "/v1/batches", **RENEW)), "members").split()
    for forged in (other, made["explanation_id"]):
        connection.set(entry, forged)
        queued = await served.get(f"/v1/explanations/{await ask(theirs)}", headers=theirs)
        assert (queued.json()["status"], queued.json()["cached_from"]) == ("queued", None)
    fake_worker.succeed(queued.json()["id"])  # replaces the invalid cache entry
    assert connection.get(entry).decode() == queued.json()["id"]
