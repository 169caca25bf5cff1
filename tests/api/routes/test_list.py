"""The list of explanations: its filters, order, pages and total."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from service.jobs.facets import word
from service.jobs.redis_keys import INDEX, facet_key_of, key_of, new_id
from service.schemas.documents import ErrorCode, Failure, Status
from service.schemas.warnings import ResultWarning, WarningCode
from tests.encoded import encoded, noise
from tests.tiny import MODEL

URL = "/v1/explanations"
COMPUTE = {"Cache-Control": "no-cache"}


@pytest.fixture
def listed(served):
    """Lists the ids that a query selects, page by page, and checks the total of each page."""

    async def read(limit=2, **query):
        found, query = [], {"limit": limit, **query}
        while True:
            answer = await served.get(URL, params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                assert (page["total"], page["total_exact"]) == (len(found), True)
                return found
            query["cursor"] = page["next_cursor"]

    return read


async def test_each_filter_lists_its_selection(listed, create, ask, fake_worker, new_card):
    fake_worker.announce(new_card(), new_card(name="other", default=False))
    ant = await create(metadata={"project": "a=b", "n": 3}, method="permutation", max_evals=1000)
    crane = await create(masker="blur(8, 8)", metadata={"project": "c"})
    other = await create(model="other")
    failed = await create()
    another = (await ask(encoded(noise(60, 41), "PNG"))).json()
    warned = ResultWarning(code=WarningCode.PARTIAL, detail="", output=None, value=None, limit=None)
    fake_worker.succeed(ant)
    fake_worker.succeed(crane, explained={2: "crane"}, warnings=[warned])
    fake_worker.fail(failed, Failure(code=ErrorCode.INTERNAL, detail=""))
    for query, ids in (
        ({"status": "succeeded"}, [crane, ant]),
        ({"status": "failed"}, [failed]),
        ({"model": "other"}, [other]),
        ({"model": "none"}, []),
        ({"fingerprint": MODEL.fingerprint}, [another["id"], failed, other, crane, ant]),
        ({"fingerprint": "sha256:" + "0" * 64}, []),
        ({"method": "permutation"}, [ant]),
        ({"masker": "blur( 8,8)"}, [crane]),
        ({"label": "ant"}, [ant]),
        ({"label": "crane"}, [crane]),  # only the top output counts
        ({"label": "2"}, [crane]),
        ({"warning": "partial"}, [crane]),
        ({"picture": another["image"]["sha256"]}, [another["id"]]),
        ({"metadata": "project=a=b"}, [ant]),
        ({"metadata": ["project=a=b", "n=3"]}, [ant]),
        ({"metadata": ["project=c", "n=3"]}, []),
        ({"status": "succeeded", "masker": "blur(8,8)", "label": "crane"}, [crane]),
        ({"status": "queued", "model": "tiny"}, [another["id"]]),
    ):
        assert await listed(**query) == ids, query
        assert await listed(**query, order="oldest") == ids[::-1], query


async def test_right_wrong_and_not_known_are_listed_by_true_class_and_file_name(
    listed, served, photo, fake_worker
):
    async def create(name, **settings):
        files = {"image": (name, photo), "settings": (None, json.dumps(settings))}
        return (await served.post(URL, files=files, headers=COMPUTE)).json()["id"]

    right = await create("Ant_01.png", true_label="ant")
    wrong = await create("crane 01.png", true_label=2, outputs={"top": 2})
    hidden = await create("ant-crane.png", true_label="bee", outputs={"indices": [0, 2]})
    unlabelled, queued = await create("ant.png"), await create("B01.PNG", true_label="ant")
    for id_ in (right, wrong, hidden, unlabelled):
        fake_worker.succeed(id_)
    for query, ids in (
        ({"correct": "true"}, [right]),
        ({"correct": "false"}, [wrong]),
        ({"correct": "null"}, [queued, unlabelled, hidden]),
        ({"correct": "null", "status": "succeeded"}, [unlabelled, hidden]),
        ({"true_label": "ant"}, [queued, right]),
        ({"true_label": "0", "correct": "true"}, [right]),
        ({"true_label": "crane", "label": "ant"}, [wrong]),
        ({"true_label": "dog"}, []),
        ({"name": "ANT"}, [unlabelled, hidden, right]),
        ({"name": "ant-01"}, [right]),
        ({"name": "01 png"}, [queued, wrong, right]),
        ({"name": "an"}, []),
        ({"name": "crane", "correct": "false"}, [wrong]),
    ):
        assert await listed(**query) == ids, query


async def test_a_name_without_a_word_is_refused(api, refused):
    problem = refused(await api.get(URL, params={"name": " _-."}), 422, "invalid_parameter")
    assert problem["field"] == "name"


async def test_a_batch_is_listed_by_its_id(listed, served, photo, create):
    await create()
    batch = await served.post("/v1/batches", files=[("image", ("p", photo))] * 3)
    ids = [each["id"] for each in batch.json()["explanations"]]
    assert sorted(await listed(batch=batch.json()["id"])) == sorted(ids)


async def test_times_of_creation_include_the_lower_and_exclude_the_upper_bound(
    listed, served, create
):
    ids = [await create() for _ in range(3)]
    times = [(await served.get(f"{URL}/{id_}")).json()["created_at"] for id_ in ids]
    assert await listed(created_after=times[1]) == [ids[2], ids[1]]
    assert await listed(created_before=times[1]) == [ids[0]]
    assert await listed(created_after=times[1], created_before=times[2]) == [ids[1]]
    assert await listed(created_after=times[1], created_before=times[0]) == []
    day = timedelta(days=1)
    yesterday, tomorrow = (datetime.now(UTC) + by * day for by in (-1, 1))
    within = {"created_after": yesterday.isoformat(), "created_before": tomorrow.isoformat()}
    assert await listed(**within) == ids[::-1]
    assert await listed(**within, status="queued", order="oldest") == ids


async def test_a_cache_hit_is_listed_by_its_label_and_status(listed, ask, create, fake_worker):
    first = await create()
    fake_worker.succeed(first)
    again = (await ask()).json()
    assert again["cached_from"] == first
    assert await listed(label="ant", status="succeeded") == [again["id"], first]


async def test_a_result_of_another_model_is_listed_by_that_model(
    listed, create, fake_worker, monkeypatch
):
    id_ = await create()
    now = MODEL.model_copy(update={"fingerprint": "sha256:" + "12" * 32})
    monkeypatch.setattr("tests.api.conftest.MODEL", now)
    fake_worker.succeed(id_)
    assert await listed(fingerprint=now.fingerprint) == [id_]
    assert await listed(fingerprint=MODEL.fingerprint) == []


async def test_a_cursor_works_in_any_list(served, create, fake_worker):
    ids = [await create() for _ in range(5)]
    for done in ids[::2]:
        fake_worker.succeed(done)
    first = (await served.get(URL, params={"limit": 2})).json()
    cursor = first["next_cursor"]  # after the fourth
    for query, found in (
        ({}, [ids[2], ids[1], ids[0]]),
        ({"status": "succeeded"}, [ids[2], ids[0]]),
        ({"order": "oldest"}, [ids[4]]),
    ):
        page = (await served.get(URL, params={"cursor": cursor, **query})).json()
        assert [item["id"] for item in page["items"]] == found
    assert page["total"] == 5


async def test_a_stale_index_shows_no_explanation_of_another_status(served, create, connection):
    id_ = await create()
    connection.hset(key_of(id_), "status", "running")
    page = (await served.get(URL, params={"status": "queued"})).json()
    assert page["items"] == []


async def test_a_total_that_was_not_counted_to_its_end_is_marked(
    served, create, connection, monkeypatch
):
    monkeypatch.setattr("service.api.state.listing.LOOKUPS", 10)
    ids = [await create() for _ in range(3)]
    entries = {new_id(): 1 + n for n in range(500)}
    for key in (INDEX, facet_key_of("status:queued"), facet_key_of(word("model", "tiny"))):
        connection.zadd(key, entries)
    query = {"status": "queued", "model": "tiny", "limit": 2}
    page = (await served.get(URL, params=query)).json()
    assert [item["id"] for item in page["items"]] == [ids[2], ids[1]]
    assert (page["total"], page["total_exact"]) == (400, False)
    page = (await served.get(URL, params=query | {"cursor": page["next_cursor"]})).json()
    assert [item["id"] for item in page["items"]] == [ids[0]]
    assert page["next_cursor"]  # the limit of look-ups was reached before the end


@pytest.mark.parametrize(
    ("query", "field", "accepted"),
    [
        ({"status": "done"}, "status", {"oneOf": [status.value for status in Status]}),
        ({"method": "magic"}, "method", "partition"),
        ({"masker": "magic"}, "masker", "inpaint_telea"),
        ({"warning": "magic"}, "warning", "partial"),
        ({"correct": "maybe"}, "correct", {"oneOf": ["true", "false", "null"]}),
        ({"fingerprint": "sha256:1"}, "fingerprint", "^sha256:[0-9a-f]{64}$"),
        ({"batch": "exp_1"}, "batch", "^batch_[0-9a-f]{32}$"),
        ({"picture": "A" * 64}, "picture", "^[0-9a-f]{64}$"),
        ({"owner": "a/b"}, "owner", "A-Za-z0-9"),
        ({"metadata": "key"}, "metadata", "="),
        ({"metadata": "=value"}, "metadata", "="),
        ({"metadata": ["a=b"] * 9}, "metadata", {"maxItems": 8}),
        ({"created_after": "yesterday"}, "created_after", "2026-01-31T12:00:00Z"),
        ({"created_before": "2026-01-31T12:00:00"}, "created_before", "2026-01-31T12:00:00Z"),
        ({"order": "random"}, "order", {"oneOf": ["newest", "oldest"]}),
    ],
)
async def test_an_invalid_filter_is_refused_with_the_accepted_values(
    api, refused, query, field, accepted
):
    problem = refused(await api.get(URL, params=query), 422, "invalid_parameter")
    assert problem["field"] == field
    if isinstance(accepted, dict):
        assert problem["accepted"] == accepted
    else:
        assert accepted in str(problem["accepted"])


HOSTILE = ("*", "a:b c", "é☃", "\x00", "shapshot:explanations", "${x}", "'; DROP", "x" * 256)


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_hostile_values_of_filters_are_harmless(listed, create, fake_worker, hostile):
    id_ = await create(metadata={hostile[:64]: hostile})
    other = await create()
    fake_worker.succeed(id_, explained={0: hostile})
    fake_worker.succeed(other)
    assert await listed(label=hostile) == [id_]
    assert await listed(metadata=f"{hostile[:64]}={hostile}") == [id_]
    assert await listed(model=hostile[:200]) == []
