"""A damaged artifact is never returned: it counts as missing, and is computed again."""

import json

import pytest
from structlog.testing import capture_logs

from service.infra.artifact_store import attributions_key, faithfulness_key, image_key
from service.jobs.redis_keys import key_of
from tests.api.conftest import some_curves
from tests.faulty_store import faulty_store

URL = "/v1/explanations"
RESULTS = (
    *("attributions", "attributions?format=npz", "attributions?format=npy"),
    *("attributions?output=ant&format=npz", "heatmap.png", "heatmap.png?output=0&style=heat"),
)
CURVES = ("faithfulness", "faithfulness.png")


def flip(content: bytes) -> bytes:
    """Flips one bit in the numbers of the first output."""
    place = min(400, len(content) // 2)
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


DAMAGE = {
    "a flipped bit": flip,
    "half of it": lambda content: content[: len(content) // 2],
    "nothing of it": lambda _: b"",
}


@pytest.fixture
async def measured(ask, fake_worker):
    """An explanation that succeeded, with curves."""
    return fake_worker.succeed(
        (await ask(metrics=["insertion"])).json()["id"], curves=some_curves("insertion")
    )


def harm(store, key, damage):
    store.put(key, damage(store.get(key)))


async def assert_heals(served, ask, fake_worker, refused, explanation_id, path):
    """Checks the problem, the log line and the count, and that the next request computes anew."""
    with capture_logs() as lines:
        problem = refused(await served.get(f"{URL}/{explanation_id}/{path}"), 404, "no_result")
    assert "damaged" in problem["detail"]
    [told] = [line for line in lines if line["event"] == "artifact damaged"]
    assert told["log_level"] == "error"
    assert f"explanations/{explanation_id}/" in told["cause"]
    assert "shapshot_damaged_artefacts_total 1.0" in (await served.get("/metrics")).text
    again = await ask(metrics=["insertion"])
    assert again.status_code == 202
    fake_worker.succeed(again.json()["id"], curves=some_curves("insertion"))
    assert (await served.get(f"{URL}/{again.json()['id']}/{path}")).status_code == 200
    assert (await ask(metrics=["insertion"])).json()["cached_from"] == again.json()["id"]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("path", RESULTS)
async def test_damaged_arrays_are_no_result_and_are_computed_again(
    served, ask, fake_worker, refused, store, measured, path, damage
):
    harm(store, attributions_key(measured.id, measured.result), DAMAGE[damage])
    await assert_heals(served, ask, fake_worker, refused, measured.id, path)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("path", CURVES)
async def test_damaged_curves_are_no_result_and_are_computed_again(
    served, ask, fake_worker, refused, store, measured, path, damage
):
    harm(store, faithfulness_key(measured.id, measured.result), DAMAGE[damage])
    await assert_heals(served, ask, fake_worker, refused, measured.id, path)


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_photo_is_not_drawn_over(
    served, ask, fake_worker, refused, store, measured, damage
):
    harm(store, image_key(measured.id), DAMAGE[damage])
    path = "heatmap.png?style=overlay&size=original"
    await assert_heals(served, ask, fake_worker, refused, measured.id, path)


@pytest.mark.parametrize("path", RESULTS)
async def test_the_arrays_of_another_explanation_are_not_shown_as_its_own(
    served, create, fake_worker, refused, store, some_other_arrays, path
):
    one, other = (await create(), await create())
    mine, foreign = fake_worker.succeed(one), fake_worker.succeed(other, arrays=some_other_arrays)
    key = attributions_key(foreign.id, foreign.result)
    store.put(attributions_key(mine.id, mine.result), store.get(key))
    refused(await served.get(f"{URL}/{one}/{path}"), 404, "no_result")
    assert (await served.get(f"{URL}/{other}/{path}")).status_code == 200


async def test_damage_to_a_cached_copy_is_repaired_too(served, ask, fake_worker, refused, store):
    """The first is damaged after a cache hit, and then copied as it is for the next request."""
    first = fake_worker.succeed((await ask()).json()["id"])
    harm(store, attributions_key(first.id, first.result), flip)
    given = (await ask()).json()
    assert given["cached_from"] == first.id
    refused(await served.get(given["links"]["attributions"]), 404, "no_result")
    assert (await ask()).status_code == 202


@pytest.mark.parametrize("damage", ["half of it", "nothing of it"])
async def test_an_artifact_of_another_size_is_no_cache_hit(ask, fake_worker, store, damage):
    first = fake_worker.succeed((await ask()).json()["id"])
    harm(store, attributions_key(first.id, first.result), DAMAGE[damage])
    assert (await ask()).headers["cache-status"] == "Shapshot; fwd=miss"


async def test_a_copy_is_compared_with_the_records_of_the_original(
    served, ask, fake_worker, store, refused
):
    first = fake_worker.succeed((await ask()).json()["id"])
    given = (await ask()).json()
    harm(store, attributions_key(given["id"], first.result), flip)
    refused(await served.get(given["links"]["attributions"]), 404, "no_result")
    assert (await served.get(f"{URL}/{first.id}/attributions")).status_code == 200


async def test_a_result_stored_by_an_earlier_version_is_neither_read_nor_reused(
    served, ask, fake_worker, refused, connection
):
    first = fake_worker.succeed((await ask()).json()["id"])
    connection.hdel(key_of(first.id), "artefacts")
    for path in RESULTS:
        problem = refused(await served.get(f"{URL}/{first.id}/{path}"), 404, "no_result")
        assert "earlier version" in problem["detail"]
    assert (await ask()).status_code == 202


@pytest.mark.parametrize("count", [1, 3])
async def test_a_record_with_another_number_of_outputs_is_no_result(
    served, create, fake_worker, refused, connection, count
):
    id_ = await create()
    fake_worker.succeed(id_)
    found = json.loads(connection.hget(key_of(id_), "outcome"))
    found["outputs"] = (found["outputs"] * 2)[:count]
    connection.hset(key_of(id_), "outcome", json.dumps(found))
    for path in ("attributions", "heatmap.png"):
        refused(await served.get(f"{URL}/{id_}/{path}"), 404, "no_result")


@pytest.mark.parametrize("path", RESULTS[:1])
async def test_in_a_wrong_store_nothing_counts_as_missing_or_is_evicted(
    served, ask, fake_worker, refused, measured, connection, tmp_path, path
):
    """For example if a folder was not mounted."""
    pointers = connection.keys("shapshot:cache:*")
    right, wrong = tmp_path / "store", tmp_path / "away"
    right.rename(wrong)
    right.mkdir()
    for answer in (
        await served.get(f"{URL}/{measured.id}/{path}"),
        await ask(metrics=["insertion"]),
    ):
        refused(answer, 503, "store_unavailable")
    assert connection.keys("shapshot:cache:*") == pointers != []
    right.rename(tmp_path / "empty")
    wrong.rename(right)
    assert (await served.get("/healthz/ready")).status_code == 200  # it checks at once
    assert (await served.get(f"{URL}/{measured.id}/{path}")).status_code == 200
    assert (await ask(metrics=["insertion"])).json()["cached_from"] == measured.id


async def test_without_its_bucket_a_result_is_not_missing(
    start, settings, create, fake_worker, refused, monkeypatch, connection
):
    done = fake_worker.succeed(await create())
    with faulty_store((404, b"<Error><Code>NoSuchBucket</Code></Error>")) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        elsewhere = settings.model_copy(update={"store_url": "s3://no-bucket/prefix"})
        async with start(elsewhere) as api:
            answer = await api.get(f"{URL}/{done.id}/attributions")
    refused(answer, 503, "store_unavailable")
    assert connection.keys("shapshot:cache:*")
