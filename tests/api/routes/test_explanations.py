"""An explanation from acceptance to its end, as clients see it."""

import asyncio
import time

import pytest

from service.jobs.leases import Heartbeat
from service.jobs.records import ProgressCount
from service.jobs.redis_keys import INDEX, key_of, new_id
from service.schemas.documents import ErrorCode, Failure, Status
from tests.ledger import Ledger

URL = "/v1/explanations"
ALWAYS = {"self", "events", "picture", "thumbnail"}  # links


async def test_a_queued_explanation_can_be_followed_and_canceled(served, create):
    explanation_id = await create()
    answer = await served.get(f"{URL}/{explanation_id}")
    document = answer.json()
    assert (document["status"], document["done"], document["attempts"]) == ("queued", False, 0)
    assert set(document["links"]) == {*ALWAYS, "cancel"}
    assert document["progress"] == {
        "evaluations": 0,
        "planned": 0,
        "fraction": 0.0,
        "eta_s": None,
    }
    assert answer.headers["retry-after"] == "1"


async def test_a_running_explanation_shows_its_progress(served, create, fake_worker):
    explanation_id = await create()
    fake_worker.ledger.heartbeat(
        Heartbeat(explanation_id, fake_worker.begin(explanation_id), ProgressCount(25, 100, 4.2))
    )
    answer = await served.get(f"{URL}/{explanation_id}")
    document = answer.json()
    assert (document["status"], document["attempts"]) == ("running", 1)
    assert document["progress"]["fraction"] == 0.25
    assert document["progress"]["eta_s"] == 4.2
    assert document["started_at"] >= document["created_at"]
    assert answer.headers["retry-after"] == "5"


async def test_a_successful_explanation_shows_its_result(served, create, fake_worker):
    explanation_id = await create()
    fake_worker.succeed(explanation_id)
    answer = await served.get(f"{URL}/{explanation_id}")
    document = answer.json()
    assert (document["status"], document["done"], document["partial"]) == ("succeeded", True, False)
    assert [output["label"] for output in document["outputs"]] == ["ant", "crane"]
    assert document["solution_concept"] == "Owen values"
    assert document["progress"]["fraction"] == 1.0
    assert set(document["links"]) == {*ALWAYS, "attributions", "heatmap"}
    assert document["expires_at"] > document["finished_at"]
    assert "retry-after" not in answer.headers
    for link in document["links"].values():
        if not link.endswith("events"):  # for the stream, see test_events.py
            assert (await served.get(link)).status_code == 200


async def test_a_failed_explanation_carries_a_problem(served, create, fake_worker):
    explanation_id = await create()
    fake_worker.fail(explanation_id, Failure(code=ErrorCode.DEADLINE_EXCEEDED, detail="too slow"))
    document = (await served.get(f"{URL}/{explanation_id}")).json()
    assert document["status"] == "failed"
    assert document["error"] == {
        "type": "urn:shapshot:problem:deadline_exceeded",
        "title": "Deadline exceeded",
        "status": 504,
        "code": "deadline_exceeded",
        "detail": "too slow",
        "field": None,
        "received": None,
        "accepted": None,
    }
    assert set(document["links"]) == ALWAYS


@pytest.mark.parametrize(
    "explanation_id", ["exp_" + "0" * 32, "nonsense", "exp_*", "EXP_" + "0" * 32, "%00", "é"]
)
async def test_an_unknown_explanation_is_not_found(api, refused, explanation_id):
    for method, path in [
        ("GET", ""),
        ("POST", "/cancel"),
        ("DELETE", ""),
        ("GET", "/events"),
        ("GET", "/attributions"),
        ("GET", "/heatmap.png"),
    ]:
        answer = await api.request(method, f"{URL}/{explanation_id}{path}")
        refused(answer, 404, "not_found")


async def test_an_expired_explanation_is_gone(served, create, fake_worker, refused):
    explanation_id = await create()
    fake_worker.succeed(explanation_id)
    fake_worker.ledger.leave_tombstone(explanation_id, tombstone_s=60)
    for path in ("", "/events", "/attributions", "/heatmap.png"):
        refused(await served.get(f"{URL}/{explanation_id}{path}"), 410, "gone")
    assert (await served.get(URL)).json()["items"] == []


# --- ETag


async def test_an_unchanged_document_is_not_sent_again(served, create, fake_worker):
    explanation_id = await create()
    etag = (await served.get(f"{URL}/{explanation_id}")).headers["etag"]
    for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        answer = await served.get(f"{URL}/{explanation_id}", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
    fake_worker.begin(explanation_id)
    answer = await served.get(f"{URL}/{explanation_id}", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.json()["status"]) == (200, "running")


# --- Prefer: wait


async def test_a_request_may_wait_until_it_is_done(served, create, fake_worker):
    explanation_id = await create()
    waiting = asyncio.create_task(
        served.get(f"{URL}/{explanation_id}", headers={"Prefer": "wait=30"})
    )
    await asyncio.sleep(0.1)
    assert not waiting.done()
    fake_worker.succeed(explanation_id)
    answer = await asyncio.wait_for(waiting, 10)
    assert answer.json()["done"]
    assert answer.headers["preference-applied"] == "wait=30"


async def test_a_wait_lasts_as_long_as_requested_and_ends_with_the_current_document(served, create):
    url = f"{URL}/{await create()}"
    patient = asyncio.create_task(served.get(url, headers={"Prefer": "wait=60"}))
    answer = await served.get(url, headers={"Prefer": "wait=1"})
    assert (answer.json()["status"], answer.headers["preference-applied"]) == ("queued", "wait=1")
    assert not patient.done()
    patient.cancel()


@pytest.mark.parametrize(
    ("preference", "applied"),
    [
        ("wait=99999", "wait=60"),
        ("respond-async, wait=7", "wait=7"),
        ('wait="7"', "wait=7"),
        ("Wait = 7", "wait=7"),
        ("wait=0", "wait=0"),
        ("wait=-1", None),
        ("wait=soon", None),
        ("waiter=3", None),
    ],
)
async def test_only_valid_preferences_are_applied(served, create, fake_worker, preference, applied):
    explanation_id = await create()
    fake_worker.succeed(explanation_id)
    answer = await served.get(f"{URL}/{explanation_id}", headers={"Prefer": preference})
    assert answer.headers.get("preference-applied") == applied


async def test_a_submission_may_wait_for_the_result(served, fake_worker, photo):
    asking = asyncio.create_task(
        served.post(URL, files={"image": ("p", photo)}, headers={"Prefer": "wait=30"})
    )
    while not (items := (await served.get(URL)).json()["items"]):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    fake_worker.succeed(items[0]["id"])
    answer = await asyncio.wait_for(asking, 10)
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert answer.headers["location"] == answer.json()["links"]["self"]


async def test_a_submission_gets_202_if_the_wait_was_too_short(served, photo):
    answer = await served.post(URL, files={"image": ("p", photo)}, headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=0")


async def test_an_explanation_deleted_while_somebody_waits_is_not_found(served, create, refused):
    explanation_id = await create()
    waiting = asyncio.create_task(
        served.get(f"{URL}/{explanation_id}", headers={"Prefer": "wait=30"})
    )
    await asyncio.sleep(0.1)
    await served.delete(f"{URL}/{explanation_id}")
    refused(await asyncio.wait_for(waiting, 10), 404, "not_found")


# --- Cancel and delete


async def test_canceling_twice_equals_canceling_once(served, create):
    explanation_id = await create()
    for _ in range(2):
        answer = await served.post(f"{URL}/{explanation_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert "cancel" not in answer.json()["links"]


async def test_a_running_explanation_is_canceling_until_its_worker_ends_it(
    served, create, fake_worker
):
    explanation_id = await create()
    attempt = fake_worker.begin(explanation_id)
    answer = await served.post(f"{URL}/{explanation_id}/cancel")
    assert (answer.json()["status"], answer.json()["done"]) == ("canceling", False)
    fake_worker.end(explanation_id, attempt, Status.CANCELED)
    document = (await served.get(f"{URL}/{explanation_id}")).json()
    assert (document["status"], document["partial"]) == ("canceled", True)
    assert (await served.get(document["links"]["attributions"])).status_code == 200


async def test_canceling_a_finished_explanation_changes_nothing(served, create, fake_worker):
    explanation_id = await create()
    fake_worker.succeed(explanation_id)
    answer = await served.post(f"{URL}/{explanation_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")


async def test_a_deleted_explanation_leaves_nothing(
    served, create, fake_worker, refused, connection, tmp_path
):
    explanation_id = await create()
    fake_worker.succeed(explanation_id)
    answer = await served.delete(f"{URL}/{explanation_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    refused(await served.get(f"{URL}/{explanation_id}"), 404, "not_found")
    refused(await served.delete(f"{URL}/{explanation_id}"), 404, "not_found")
    assert not [path for path in (tmp_path / "store" / "explanations").rglob("*") if path.is_file()]
    assert list(connection.scan_iter(f"*{explanation_id}*")) == []
    assert fake_worker.ledger.expired() == []


async def test_a_running_explanation_is_not_deleted(served, create, fake_worker, refused):
    explanation_id = await create()
    fake_worker.begin(explanation_id)
    answer = await served.delete(f"{URL}/{explanation_id}")
    refused(answer, 409, "still_running")
    assert "retry-after" in answer.headers


async def test_artifacts_a_store_will_not_delete_are_left_to_the_sweep(
    served, create, fake_worker, tmp_path
):
    explanation_id = await create()
    folder = tmp_path / "store" / "explanations"
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("a file where a folder should be")
    assert (await served.delete(f"{URL}/{explanation_id}")).status_code == 204
    assert fake_worker.ledger.read(explanation_id) is None


# --- The list


async def test_the_list_is_newest_first_page_by_page(served, create):
    ids = [await create() for _ in range(5)]
    pages, cursor = [], {}
    while cursor is not None:
        page = (await served.get(URL, params={"limit": 2, **cursor})).json()
        pages.append([item["id"] for item in page["items"]])
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]


async def test_a_page_that_is_exactly_full_is_the_last(served, create):
    for _ in range(2):
        await create()
    page = (await served.get(URL, params={"limit": 2})).json()
    assert (len(page["items"]), page["next_cursor"]) == (2, None)


async def test_an_explanation_that_comes_or_goes_between_pages_shifts_none(served, create):
    ids = [await create() for _ in range(4)]
    first = (await served.get(URL, params={"limit": 2})).json()
    await create()
    await served.delete(f"{URL}/{ids[2]}")  # the one that the cursor names
    second = await served.get(URL, params={"limit": 2, "cursor": first["next_cursor"]})
    assert [item["id"] for item in second.json()["items"]] == [ids[1], ids[0]]


async def test_explanations_of_the_same_moment_are_all_listed(served, create, connection):
    ids = [await create() for _ in range(4)]
    connection.zadd(INDEX, dict.fromkeys(ids, 1000.5))
    for explanation_id in ids:
        connection.hset(key_of(explanation_id), "created_at", "1000.5")
    first = (await served.get(URL, params={"limit": 3})).json()
    second = (await served.get(URL, params={"cursor": first["next_cursor"]})).json()
    listed = [item["id"] for page in (first, second) for item in page["items"]]
    assert listed == sorted(ids, reverse=True)


async def test_the_list_is_narrowed_by_status_and_model(served, create, fake_worker, new_card):
    fake_worker.announce(new_card(), new_card(name="other", default=False))
    done, waiting, other = await create(), await create(), await create(model="other")
    fake_worker.succeed(done)

    async def listed(**query):
        return [item["id"] for item in (await served.get(URL, params=query)).json()["items"]]

    assert await listed(status="succeeded") == [done]
    assert await listed(status="queued") == [other, waiting]
    assert await listed(model="other") == [other]
    assert await listed(model="tiny", status="queued") == [waiting]
    assert await listed(model="none") == []


async def test_a_rare_explanation_is_found_behind_a_thousand_others(
    served, create, fake_worker, connection
):
    rare = await create(metadata={"rare": True})
    fake_worker.succeed(rare)
    raw = connection.hgetall(key_of(await create()))
    with connection.pipeline() as pipe:
        for number in range(1500):
            other = new_id()
            pipe.hset(key_of(other), mapping=raw)
            pipe.zadd(INDEX, {other: time.time() + number})
        pipe.execute()
    page = (await served.get(URL, params={"status": "succeeded"})).json()
    assert [item["id"] for item in page["items"]] == [rare]
    assert (page["next_cursor"], page["total"]) == (None, 1)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"status": "asleep"}, "status"),
        ({"cursor": "???"}, "cursor"),
        ({"cursor": "bmFuIGV4cF8w"}, "cursor"),  # "nan exp_0"
        ({"cursor": "ü"}, "cursor"),
        ({"page": "2"}, "page"),
    ],
)
async def test_an_invalid_query_is_refused(api, refused, query, field):
    problem = refused(await api.get(URL, params=query), 422, "invalid_parameter")
    assert problem["field"] == field
    if field == "status":
        assert "queued" in problem["accepted"]["oneOf"]
    if field == "page":
        assert {"status", "model", "cursor", "limit"} < set(problem["accepted"])


async def test_expired_explanations_are_not_listed(served, create, settings, connection):
    brief = Ledger(connection, queue=settings.queue, lease_s=30, retention_s=0)
    explanation_id = await create()
    brief.cancel(explanation_id)
    for due in brief.expired():
        brief.leave_tombstone(due, tombstone_s=60)
    empty = {"items": [], "next_cursor": None, "total": 0, "total_exact": True}
    assert (await served.get(URL)).json() == empty
