"""A repeated request gets the earlier result, as an explanation of its own."""

import shutil

import pytest

from service.jobs.redis_clock import as_seconds
from service.schemas.documents import ErrorCode, Failure
from tests.api.conftest import some_curves
from tests.ledger import Ledger
from tests.tiny import PARTS

URL = "/v1/explanations"
OTHER = PARTS.model_copy(update={"architecture": "sha256:" + "0" * 64})


async def test_a_repeated_request_is_answered_at_once_as_an_explanation_of_its_own(
    ask, served, fake_worker, connection
):
    first = await ask(metadata={"case": 1})
    assert (first.status_code, first.headers["cache-status"]) == (202, "Shapshot; fwd=miss")
    fake_worker.succeed(first.json()["id"])
    again = await ask(metadata={"case": 2}, priority="batch")
    assert (again.status_code, again.headers["cache-status"]) == (200, "Shapshot; hit")
    found, original = again.json(), (await served.get(f"{URL}/{first.json()['id']}")).json()
    assert found["id"] != original["id"]
    assert found["cached_from"] == original["id"]
    assert original["cached_from"] is None
    assert (found["status"], found["done"], found["attempts"]) == ("succeeded", True, 0)
    assert found["settings"]["metadata"] == {"case": 2}
    for name in ("outputs", "model", "image", "runtime", "timings", "progress"):
        assert found[name] == original[name]
    assert connection.llen("rq:queue:test") == 0


async def test_a_cache_hit_has_its_own_artifacts_which_outlive_the_first(ask, served, fake_worker):
    first = (await ask(metrics=["insertion"])).json()
    fake_worker.succeed(first["id"], curves=some_curves("insertion"))
    again = (await ask(metrics=["insertion"])).json()
    links = {"attributions", "heatmap", "faithfulness"}
    before = [(await served.get(again["links"][link])).content for link in links]
    assert (await served.delete(f"{URL}/{first['id']}")).status_code == 204
    answers = [await served.get(again["links"][link]) for link in links]
    assert [answer.content for answer in answers] == before
    assert {answer.status_code for answer in answers} == {200}


async def test_other_settings_or_another_picture_are_a_miss(ask, fake_worker, new_photo):
    fake_worker.succeed((await ask()).json()["id"])
    for differing in (
        {"seed": 1},
        {"masker": "mean"},
        {"fit": "pad"},
        {"picture": new_photo(50, 40)},
    ):
        assert (await ask(**differing)).headers["cache-status"] == "Shapshot; fwd=miss"


@pytest.mark.parametrize(
    "differing", [{"parts": OTHER}, {"device": "gpu:0 H200"}, {"revision": None}]
)
async def test_a_changed_model_is_a_miss(ask, fake_worker, new_card, differing):
    fake_worker.succeed((await ask()).json()["id"])
    fake_worker.announce(new_card(**differing))
    assert (await ask()).status_code == 202


async def test_a_model_without_a_fingerprint_is_computed_each_time(ask, fake_worker, new_card):
    fake_worker.announce(new_card(parts=None))
    fake_worker.succeed((await ask()).json()["id"])
    assert (await ask()).status_code == 202


@pytest.mark.parametrize("said", ["no-cache", "no-store", "max-age=9, No-Cache"])
async def test_the_client_may_request_a_new_computation(ask, fake_worker, said):
    fake_worker.succeed((await ask()).json()["id"])
    anew = await ask(headers={"Cache-Control": said})
    assert (anew.status_code, anew.headers["cache-status"]) == (202, "Shapshot; fwd=request")
    assert (await ask(headers={"Cache-Control": "max-age=9"})).status_code == 200


async def test_a_result_with_no_store_answers_nobody_else(ask, fake_worker):
    fake_worker.succeed((await ask(headers={"Cache-Control": "no-store"})).json()["id"])
    assert (await ask()).status_code == 202


async def test_the_first_of_two_concurrent_results_answers_later_requests(ask, fake_worker):
    slow, fast = (await ask()).json()["id"], (await ask()).json()["id"]
    fake_worker.succeed(fast)
    fake_worker.succeed(slow)
    assert (await ask()).json()["cached_from"] == fast


async def test_failed_and_canceled_explanations_are_not_cached(ask, served, fake_worker):
    failed, canceled = (await ask()).json()["id"], (await ask()).json()["id"]
    fake_worker.fail(failed, Failure(code=ErrorCode.INTERNAL, detail="it broke"))
    await served.post(f"{URL}/{canceled}/cancel")
    assert (await ask()).status_code == 202


async def test_a_deleted_explanation_is_no_cache_hit_and_leaves_no_entry(
    ask, served, fake_worker, connection
):
    first = (await ask()).json()["id"]
    fake_worker.succeed(first)
    assert connection.keys("shapshot:cache:*")
    await served.delete(f"{URL}/{first}")
    assert not connection.keys("shapshot:cache:*")
    assert (await ask()).status_code == 202


async def test_a_result_answers_no_longer_than_it_is_kept(ask, fake_worker, connection):
    first = fake_worker.succeed((await ask()).json()["id"])
    [pointer] = connection.keys("shapshot:cache:*")
    kept_s = first.expires_at - as_seconds(connection.time())
    assert connection.pttl(pointer) / 1000 == pytest.approx(kept_s, abs=1)
    Ledger(connection, queue="test", lease_s=30, retention_s=0).leave_tombstone(
        first.id, tombstone_s=60
    )
    assert (await ask()).status_code == 202


async def test_artifacts_that_have_vanished_are_a_miss_and_the_next_result_answers(
    ask, fake_worker, tmp_path
):
    first = (await ask()).json()["id"]
    attempt = fake_worker.succeed(first).result
    shutil.rmtree(tmp_path / "store" / "explanations" / first / attempt)
    second = await ask()
    assert (second.status_code, second.headers["cache-status"]) == (202, "Shapshot; fwd=miss")
    fake_worker.succeed(second.json()["id"])
    assert (await ask()).json()["cached_from"] == second.json()["id"]


async def test_a_full_queue_still_gives_cache_hits(
    start, settings, fake_worker, new_card, photo, new_photo
):
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"max_queued": 1})) as api:
        known = await api.post(URL, files={"image": ("p", photo)})
        fake_worker.succeed(known.json()["id"])
        other = {"image": ("p", new_photo(50, 40))}
        assert [(await api.post(URL, files=other)).status_code for _ in "ab"] == [202, 503]
        assert (await api.post(URL, files={"image": ("p", photo)})).status_code == 200


async def test_a_batch_computes_only_its_new_pictures(
    served, fake_worker, photo, new_photo, connection
):
    known = await served.post("/v1/batches", files=[("image", ("p", photo))])
    assert known.headers["cache-status"] == "Shapshot; fwd=miss"
    [member] = known.json()["explanations"]
    fake_worker.succeed(member["id"])
    files = [("image", ("p", photo)), ("image", ("p", new_photo(50, 40)))]
    answer = await served.post("/v1/batches", files=files)
    batch = answer.json()
    assert answer.headers["cache-status"] == "Shapshot; fwd=partial"
    assert [each["cached_from"] for each in batch["explanations"]] == [member["id"], None]
    assert [each["status"] for each in batch["explanations"]] == ["succeeded", "queued"]
    assert batch["status"] == "queued"
    assert connection.lrange("rq:queue:test", 0, -1) == [batch["explanations"][1]["id"].encode()]


async def test_a_batch_of_cache_hits_is_done_at_once_and_expires(
    served, fake_worker, photo, connection
):
    first = (await served.post("/v1/batches", files=[("image", ("p", photo))])).json()
    fake_worker.succeed(first["explanations"][0]["id"])
    again = await served.post("/v1/batches", files=[("image", ("p", photo))])
    assert (again.status_code, again.json()["status"]) == (200, "done")
    assert again.headers["cache-status"] == "Shapshot; hit"
    assert connection.zscore("shapshot:expiry", again.json()["id"])
    assert (await served.get(again.json()["links"]["attributions"])).status_code == 200


async def test_a_batch_may_be_computed_again(served, fake_worker, photo):
    files, anew = [("image", ("p", photo))], {"Cache-Control": "no-cache"}
    first = (await served.post("/v1/batches", files=files)).json()
    fake_worker.succeed(first["explanations"][0]["id"])
    again = await served.post("/v1/batches", files=files, headers=anew)
    assert (again.status_code, again.headers["cache-status"]) == (202, "Shapshot; fwd=request")
    assert again.json()["explanations"][0]["cached_from"] is None


async def test_a_hit_is_listed_and_counted_and_expires_as_any_other(
    ask, served, fake_worker, connection
):
    fake_worker.succeed((await ask()).json()["id"])
    found = (await ask()).json()
    listed = (await served.get(URL)).json()["items"]
    assert listed[0]["id"] == found["id"]
    assert connection.zscore("shapshot:expiry", found["id"]) > 0
    assert connection.hget("shapshot:totals", "cache_hits") == b"1"


async def test_without_a_worker_only_cache_hits_are_answered(
    ask, fake_worker, new_card, new_photo, refused, served
):
    fake_worker.succeed((await ask()).json()["id"])
    fake_worker.announce(new_card(), lease_s=-1)
    for named in ({}, {"model": "tiny"}):
        again = await ask(**named)
        assert (again.status_code, again.headers["cache-status"]) == (200, "Shapshot; hit")
    assert (await served.get("/v1/models/tiny")).json()["status"] == "unavailable"
    refused(await ask(picture=new_photo(50, 40)), 503, "no_worker")
    refused(await ask(picture=b"not even a picture"), 503, "no_worker")
    refused(await ask(headers={"Cache-Control": "no-cache"}), 503, "no_worker")


async def test_cache_hits_are_answered_while_the_model_reloads(
    ask, fake_worker, new_card, new_photo
):
    fake_worker.succeed((await ask()).json()["id"])
    fake_worker.announce(new_card(status="loading", parts=None, labels=None, output_count=None))
    assert (await ask()).status_code == 200
    assert (await ask(picture=new_photo(50, 40))).status_code == 202  # it waits for the model


async def test_without_a_worker_artifacts_that_have_vanished_are_a_refusal(
    ask, fake_worker, new_card, refused, tmp_path, connection
):
    first = fake_worker.succeed((await ask()).json()["id"])
    shutil.rmtree(tmp_path / "store" / "explanations" / first.id / first.result)
    fake_worker.announce(new_card(), lease_s=-1)
    refused(await ask(), 503, "no_worker")
    assert connection.llen("rq:queue:test") == 0
