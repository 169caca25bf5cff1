"""The list of batches, and the progress of a batch."""

import json

import pytest

from service.jobs.leases import Heartbeat
from service.jobs.records import ProgressCount
from service.jobs.redis_keys import BATCHES, key_of, new_batch_id
from service.schemas.documents import ErrorCode, Failure, Status
from tests.encoded import encoded, noise
from tests.ledger import Ledger

URL = "/v1/batches"


@pytest.fixture
def create_batch(served):
    """Creates a batch of this many pictures; returns its id and those of its explanations."""

    async def post(count=2, *, first=0, headers=None, **settings):
        parts = [("image", ("p", encoded(noise(20 + first + n, 20), "PNG"))) for n in range(count)]
        parts += [("settings", (None, json.dumps(settings)))]
        batch = (await served.post(URL, files=parts, headers=headers)).json()
        return batch["id"], [each["id"] for each in batch["explanations"]]

    return post


@pytest.fixture
def listed(served):
    async def read(**query):
        found, query = [], {"limit": 2, **query}
        while True:
            page = (await served.get(URL, params=query)).json()
            found += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                assert (page["total"], page["total_exact"]) == (len(found), True)
                return found
            query["cursor"] = page["next_cursor"]

    return read


async def test_batches_are_listed_newest_first_page_by_page(listed, create_batch, create):
    await create()
    ids = [(await create_batch())[0] for _ in range(5)]
    assert await listed() == ids[::-1]
    assert await listed(order="oldest") == ids


async def test_a_listed_batch_agrees_with_its_document(served, create_batch, fake_worker):
    await create_batch(2)
    batch, (done, failed, running, deleted, _) = await create_batch(5, first=5)
    fake_worker.succeed(done)
    fake_worker.fail(failed, Failure(code=ErrorCode.INTERNAL, detail=""))
    fake_worker.begin(running)
    await served.delete(f"/v1/explanations/{deleted}")
    document = (await served.get(f"{URL}/{batch}")).json()
    [listed, other] = (await served.get(URL)).json()["items"]
    assert listed == {name: document[name] for name in listed} | {
        "links": {"self": document["links"]["self"]}
    }
    assert (listed["status"], listed["size"], listed["model"]["name"]) == ("running", 5, "tiny")
    assert (other["status"], other["counts"]["queued"]) == ("queued", 2)


async def test_a_batch_leaves_the_list_with_its_last_explanation(
    listed, served, create_batch, settings, connection, fake_worker
):
    deleted, emptied, expired = [await create_batch(2, first=2 * n) for n in range(3)]
    await served.delete(f"{URL}/{deleted[0]}")
    assert await listed() == [expired[0], emptied[0]]
    for id_ in emptied[1]:
        await served.delete(f"/v1/explanations/{id_}")
    assert await listed() == [expired[0]]
    brief = Ledger(connection, queue=settings.queue, lease_s=30, retention_s=0)
    for id_ in expired[1]:
        assert await listed() == [expired[0]]
        brief.cancel(id_)
        brief.leave_tombstone(id_, tombstone_s=60)
    assert await listed() == []
    assert not connection.exists(BATCHES)


async def test_records_that_are_not_batches_are_skipped(listed, served, create_batch, connection):
    honest, _ = await create_batch()
    foreign, (member, _) = await create_batch(first=2)
    connection.hset(key_of(foreign), "members", "exp_1 ../x")
    connection.zadd(BATCHES, {"../x": 1, b"\xff": 2, new_batch_id(): 3})
    connection.hset(key_of(member), "status", "asleep")
    page = (await served.get(URL)).json()
    assert [item["id"] for item in page["items"]] == [honest]


@pytest.mark.parametrize("query", [{"limit": 0}, {"order": "x"}, {"cursor": "x"}, {"status": "x"}])
async def test_an_invalid_query_is_refused(served, refused, query):
    assert refused(await served.get(URL, params=query), 422, "invalid_parameter")


# --- Progress


@pytest.fixture
async def followed(served, create, create_batch, fake_worker):
    """A batch of eight, two of them cached, and the progress it has reported so far."""
    _, earlier = await create_batch(2)
    for id_ in earlier:
        fake_worker.succeed(id_)
    batch, ids = await create_batch(8)
    told = []

    async def look():
        document = (await served.get(f"{URL}/{batch}")).json()
        progress, counts = document["progress"], document["counts"]
        ended = sum(counts[status] for status in Status if status.done)
        assert ended / 8 <= progress["fraction"] <= 1
        assert progress["evaluations"] <= progress["planned"]
        assert document["done"] == (ended == 8)
        if document["done"]:
            assert progress["fraction"] == 1
            assert progress["evaluations"] == progress["planned"]
        told.append(progress)

    return ids, look, told


async def test_the_progress_of_a_batch_never_falls_and_is_consistent(followed, fake_worker, served):
    ids, look, told = followed
    await look()
    assert (told[0]["evaluations"], told[0]["fraction"]) == (2 * 96, 0.25)
    assert told[0]["planned"] == 2 * 96 + 6 * 100
    attempts = {}
    for id_ in ids[2:6]:
        attempts[id_] = fake_worker.begin(id_)
        await look()
        for evaluations in (2, 40, 80):
            tick = Heartbeat(id_, attempts[id_], ProgressCount(evaluations, 100))
            fake_worker.ledger.heartbeat(tick)
            await look()
    third, fourth, fifth, sixth, seventh, eighth = ids[2:]
    fake_worker.end(third, attempts[third], Status.SUCCEEDED)
    await look()
    failure = Failure(code=ErrorCode.INTERNAL, detail="")
    fake_worker.ledger.finish(fourth, attempts[fourth], Status.FAILED, error=failure)
    await look()
    fake_worker.ledger.cancel(fifth)
    await look()
    fake_worker.end(fifth, attempts[fifth], Status.CANCELED)
    await look()
    fake_worker.ledger.cancel(seventh)  # before it began
    await look()
    fake_worker.end(sixth, attempts[sixth], Status.SUCCEEDED)
    await look()
    fake_worker.succeed(eighth)
    await look()
    for name in ("evaluations", "fraction"):
        values = [progress[name] for progress in told]
        assert values == sorted(values), name
    assert told[-1]["fraction"] == 1
    assert told[-1]["evaluations"] == told[-1]["planned"]


async def test_evaluations_are_the_fraction_of_the_plan(create_batch, fake_worker, served):
    batch, ids = await create_batch(4, max_evals=100)
    before = (await served.get(f"{URL}/{batch}")).json()["progress"]
    assert before == {"evaluations": 0, "planned": 400, "fraction": 0, "eta_s": None}
    for id_ in ids[:2]:
        tick = Heartbeat(id_, fake_worker.begin(id_), ProgressCount(60, 120))
        fake_worker.ledger.heartbeat(tick)
    now = (await served.get(f"{URL}/{batch}")).json()["progress"]
    assert now == {"evaluations": 120, "planned": 480, "fraction": 0.25, "eta_s": None}
