"""Events queue deliveries in the step that makes them happen; each is taken and settled once."""

import json
from typing import Any

import pytest
import redis
import redis.asyncio

from service.infra.artifacts import Artifact
from service.jobs.records import RecordReference
from service.jobs.redis_keys import new_batch_id, new_id, new_webhook_id
from service.jobs.sealing import RecordChain
from service.jobs.webhook_scripts import Settle
from service.jobs.webhooks import (
    ChangedError,
    DisabledError,
    FullError,
    StoredSecret,
    WebhookConfig,
    Webhooks,
)
from service.schemas.documents import Failure, Status
from service.schemas.webhooks import EVENTS, WebhookEvent
from tests.ledger import Ledger


@pytest.fixture
async def webhooks(redis_url):
    client = redis.asyncio.Redis.from_url(redis_url)
    yield Webhooks(client)
    await client.aclose()


@pytest.fixture
def add(webhooks):
    async def added(*events: WebhookEvent, owner: str | None = None, **more: Any) -> str:
        secret = StoredSecret(text="whsec_" + "A" * 32, until=None)
        config = WebhookConfig(
            url="https://a.example/", events=events or EVENTS, description="", secrets=(secret,)
        )
        id_ = new_webhook_id()
        await webhooks.save(id_, config, read=None, owner=owner, **({"most": 10} | more))
        return id_

    return added


@pytest.fixture
def told(webhooks):
    """Returns type, subject and status of the deliveries of a webhook, oldest first."""

    async def read(webhook: str) -> list[tuple[str, str, str]]:
        found = await webhooks.deliveries(webhook, None, 100)
        return [(each.type, each.subject, each.subject_status) for each in reversed(found)]

    return read


def settled(taken, status: str, **more: Any) -> Settle:
    known = {
        "id": taken.delivery.id,
        "webhook": taken.delivery.webhook,
        "token": taken.token,
        "status": status,
        "failure": None if status == "delivered" else "server_error",
        "body": "{}",
        "attempts": "[]",
        "tries": taken.delivery.tries + 1,
        "retry_s": 60.0 if status == "pending" else None,
        "kept": 100,
        "patience_s": 1000.0,
        "out_of_patience": "it fails",
        "disabled_for": None,
    }
    return Settle(**(known | more))


async def take(webhooks, limit=100, *, of_each=8, lease_s=60, token="t"):  # noqa: S107
    return (await webhooks.take(limit, of_each=of_each, lease_s=lease_s, token=token)).taken


def ended(ledger: Ledger, id_: str, status: Status, outcome=None) -> None:
    attempt = ledger.begin(id_)
    failure = Failure(code="model_failed", detail="x") if status is Status.FAILED else None
    ledger.finish(id_, attempt, status, outcome=outcome, error=failure)


# --- What is told


async def test_adding_it_again_after_a_lost_reply_of_redis_changes_nothing(webhooks, add):
    id_ = await add()
    read = await webhooks.find(id_)
    await webhooks.save(id_, read.config, read=None, owner=None, most=10)
    assert await webhooks.find(id_) == read


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
async def test_the_end_of_an_explanation_is_told_once(
    ledger, accepted, add, told, outcome, status, connection
):
    webhook, id_ = await add(), accepted()
    attempt = ledger.begin(id_)
    for _ in range(2):  # the reply got lost
        ledger.finish(id_, attempt, status, outcome=outcome)
    assert await told(webhook) == [(f"explanation.{status}", id_, status)]


async def test_a_waiting_explanation_that_is_canceled_is_told(ledger, accepted, add, told):
    webhook, id_ = await add(), accepted()
    ledger.cancel(id_)
    assert await told(webhook) == [("explanation.canceled", id_, "canceled")]


async def test_an_explanation_whose_workers_died_is_told(ledger, accepted, add, told, silence):
    webhook, id_ = await add(), accepted()
    attempt = ledger.begin(id_)
    silence(id_, attempt)
    assert ledger.reap(max_attempts=1) == 1
    assert await told(webhook) == [("explanation.failed", id_, "failed")]


async def test_an_answer_of_the_cache_is_told(ledger, accepted, add, told, outcome, spec):
    first = accepted()
    ended(ledger, first, Status.SUCCEEDED, outcome)
    webhook, again = await add(), new_id()
    ledger.accept(again, spec, timeout_s=60, earlier={again: ledger.read(first)})
    assert await told(webhook) == [("explanation.succeeded", again, "succeeded")]


async def test_a_record_and_the_expiry_are_told(ledger, accepted, add, told, outcome, connection):
    id_ = accepted()
    ended(ledger, id_, Status.SUCCEEDED, outcome)
    webhook = await add("explanation.recorded", "explanation.expired")
    reference = RecordReference(
        envelope=Artifact.of(b""), payload_sha256="0" * 64, key_id="k", sequence=0
    )
    for _ in range(2):
        RecordChain(connection).add(id_, reference)
        ledger.leave_tombstone(id_, tombstone_s=60)
    kinds = [("explanation.recorded", id_, "succeeded"), ("explanation.expired", id_, "expired")]
    assert await told(webhook) == kinds


async def test_the_end_of_a_batch_is_told_once_with_its_counts(
    ledger, add, told, spec, outcome, webhooks
):
    webhook, batch = await add("batch.finished"), new_batch_id()
    ids = [new_id() for _ in range(3)]
    ledger.accept_batch(
        batch, {id_: spec.model_copy(update={"batch": batch}) for id_ in ids}, timeout_s=60
    )
    ended(ledger, ids[0], Status.SUCCEEDED, outcome)
    ended(ledger, ids[1], Status.FAILED)
    assert await told(webhook) == []
    ledger.cancel(ids[2])
    ledger.delete(ids[1])
    assert await told(webhook) == [("batch.finished", batch, "done")]
    [delivery] = await webhooks.deliveries(webhook, None, 1)
    assert json.loads(delivery.counts) == {"succeeded": 1, "failed": 1, "canceled": 1}


async def test_a_batch_that_is_deleted_is_not_told_to_have_finished(
    ledger, add, told, spec, outcome
):
    webhook, batch = await add("batch.finished"), new_batch_id()
    ids = [new_id() for _ in range(2)]
    ledger.accept_batch(
        batch, {id_: spec.model_copy(update={"batch": batch}) for id_ in ids}, timeout_s=60
    )
    ended(ledger, ids[1], Status.SUCCEEDED, outcome)
    ledger.delete(batch)
    assert await told(webhook) == []


async def test_events_go_to_webhooks_of_the_owner_that_want_them(ledger, spec, add, told):
    mine, theirs = await add(owner="ann"), await add(owner="bob")
    failures = await add("explanation.failed", owner="ann")
    everyone = await add(owner="root", everyone=True)
    unowned = await add()
    for owner in ("ann", None):
        id_ = new_id()
        ledger.accept(id_, spec.model_copy(update={"owner": owner}), timeout_s=60)
        ended(ledger, id_, Status.CANCELED)
    assert [len(await told(each)) for each in (mine, theirs, failures, everyone, unowned)] == [
        1,
        0,
        0,
        2,
        1,
    ]


async def test_nothing_is_written_where_nobody_wants_it(ledger, accepted, add, outcome, connection):
    await add("explanation.failed")
    before = set(connection.keys("shapshot:deliver*"))
    ended(ledger, accepted(), Status.SUCCEEDED, outcome)
    assert set(connection.keys("shapshot:deliver*")) == before == set()


@pytest.mark.parametrize(
    "key",
    ["shapshot:subscriptions:", "shapshot:deliveries", "shapshot:deliveries:{}"],
)
async def test_foreign_data_does_not_keep_a_job_from_its_end(
    ledger, accepted, add, connection, key
):
    webhook = await add()
    key = key.format(webhook)
    connection.delete(key)
    connection.set(key, "foreign")
    id_ = accepted()
    ended(ledger, id_, Status.CANCELED)
    assert ledger.read(id_).status is Status.CANCELED


async def test_a_webhook_with_too_many_pending_deliveries_counts_what_it_missed(
    ledger, accepted, add, webhooks, connection
):
    webhook = await add()
    connection.zadd(f"shapshot:deliveries:{webhook}", {f"msg_{n}": 9e9 for n in range(50_000)})
    ended(ledger, accepted(), Status.CANCELED)
    found = await webhooks.find(webhook)
    assert (found.missed, found.pending) == (1, 50_000)


# --- Taking and settling


@pytest.fixture
def happen(ledger, accepted):
    def end(times: int = 1) -> list[str]:
        ids = [accepted() for _ in range(times)]
        for id_ in ids:
            ended(ledger, id_, Status.CANCELED)
        return ids

    return end


async def test_a_delivery_is_taken_by_one_until_its_lease_ends(add, webhooks, happen, connection):
    webhook = await add()
    happen()
    [taken] = await take(webhooks)
    assert await take(webhooks) == []
    for kind in ("taken", "deliveries"):  # the lease ends
        connection.zadd(f"shapshot:{kind}:{webhook}", {taken.delivery.id: 1})
    connection.zadd("shapshot:deliveries", {webhook: 1})
    [again] = await take(webhooks, token="u")  # noqa: S106
    assert again.delivery.id == taken.delivery.id
    assert not await webhooks.settle(settled(taken, "delivered"))  # its taker was too late
    assert await webhooks.settle(settled(again, "delivered"))
    assert not await webhooks.settle(settled(again, "delivered"))
    found = await webhooks.find(webhook)
    assert (found.delivered, found.pending, found.failing_since) == (1, 0, None)


async def test_a_webhook_gets_few_at_a_time_and_one_while_it_fails(add, webhooks, happen):
    await add()
    happen(5)
    first = await take(webhooks, of_each=3)
    assert len(first) == 3
    assert await take(webhooks, of_each=3) == []
    await webhooks.settle(settled(first[0], "delivered"))
    assert len(await take(webhooks, of_each=3)) == 1
    for each in first[1:]:
        await webhooks.settle(settled(each, "pending"))
    assert await take(webhooks, of_each=3) == []  # one is still taken


async def test_one_webhook_does_not_use_up_what_others_may_take(add, webhooks, happen):
    busy = await add()
    happen(20)
    other = await add()
    happen()
    found = [each.delivery.webhook for each in await take(webhooks, 10, of_each=8)]
    assert (found.count(busy), found.count(other)) == (8, 1)


async def test_the_next_attempt_is_due_after_the_delay(add, webhooks, happen, connection):
    webhook = await add()
    happen()
    [taken] = await take(webhooks)
    await webhooks.settle(settled(taken, "pending", retry_s=1000.0))
    due = await webhooks.take(10, of_each=8, lease_s=60, token="t")  # noqa: S106
    assert (due.taken, due.next_s) == ([], pytest.approx(1000, abs=5))
    [state] = await webhooks.deliveries(webhook, "pending", 10)
    assert state.due_at == pytest.approx(due.now + 1000, abs=5)
    assert (state.body, state.order, state.tries) == ("{}", None, 1)
    assert (await webhooks.find(webhook)).failing_since


async def test_ended_deliveries_are_kept_up_to_a_number(add, webhooks, happen, connection):
    webhook = await add()
    happen(4)
    for taken in await take(webhooks):
        await webhooks.settle(settled(taken, "delivered", kept=2))
    assert len(await webhooks.deliveries(webhook, None, 100)) == 2
    assert len(connection.keys("shapshot:delivery:*")) == 2


async def test_a_webhook_that_only_fails_is_disabled_and_keeps_what_is_pending(
    add, webhooks, happen, connection
):
    webhook = await add()
    happen(2)
    first, second = await take(webhooks)
    await webhooks.settle(settled(first, "pending"))
    connection.hincrbyfloat(f"shapshot:webhook:{webhook}", "failing_since", -2000)
    await webhooks.settle(settled(second, "failed"))
    found = await webhooks.find(webhook)
    assert (found.disabled_for, found.pending) == ("it fails", 1)
    happen()
    assert (await webhooks.find(webhook)).pending == 1
    due = await webhooks.take(1, of_each=1, lease_s=1, token="t")  # noqa: S106
    assert due.next_s is None
    with pytest.raises(DisabledError):
        await webhooks.replay(webhook, first.delivery.id)
    with pytest.raises(DisabledError):
        await webhooks.test(webhook, "msg_" + "0" * 32)
    await webhooks.save(webhook, found.config, read=found, owner=None, enabled=True)
    happen()
    found = await webhooks.find(webhook)
    assert (found.disabled_at, found.failing_since, found.pending) == (None, None, 2)
    assert len(await take(webhooks)) == 1  # the other waits for its time


async def test_a_replayed_delivery_is_due_at_once_with_the_same_id(add, webhooks, happen):
    webhook = await add()
    happen()
    [taken] = await take(webhooks)
    await webhooks.settle(settled(taken, "failed", tries=10))
    assert await webhooks.replay(webhook, taken.delivery.id)
    [again] = await take(webhooks)
    assert (again.delivery.id, again.delivery.tries) == (taken.delivery.id, 0)
    assert not await webhooks.replay(webhook, "msg_" + "0" * 32)
    assert not await webhooks.replay(new_webhook_id(), taken.delivery.id)


async def test_a_lost_delivery_is_dropped_from_the_queue(add, webhooks, happen, connection):
    webhook = await add()
    happen()
    connection.delete(*connection.keys("shapshot:delivery:*"))
    assert await take(webhooks) == []
    assert (await webhooks.find(webhook)).pending == 0


# --- Webhooks


async def test_an_owner_has_a_limited_number(add):
    await add(owner="ann", most=1)
    with pytest.raises(FullError):
        await add(owner="ann", most=1)
    await add(owner="bob", most=1)


async def test_a_change_of_another_version_is_refused(add, webhooks):
    id_ = await add()
    read = await webhooks.find(id_)
    await webhooks.save(id_, read.config, read=read, owner=None)
    with pytest.raises(ChangedError):
        await webhooks.save(id_, read.config, read=read, owner=None)


async def test_a_removed_webhook_leaves_nothing(add, webhooks, happen, connection):
    webhook = await add(owner=None)
    happen(3)
    taken = await take(webhooks)
    await webhooks.settle(settled(taken[0], "delivered"))
    await webhooks.settle(settled(taken[1], "failed"))
    await webhooks.remove(webhook)
    patterns = ("webhook", "deliver", "subscriptions", "taken", "undelivered")
    assert [key for each in patterns for key in connection.keys(f"shapshot:{each}*")] == []
    assert not await webhooks.settle(settled(taken[2], "delivered"))


async def test_webhooks_that_cannot_be_read_are_left_out(add, webhooks, connection):
    known, broken = await add(), await add()
    connection.hset(f"shapshot:webhook:{broken}", "config", "{")
    assert [each.id for each in await webhooks.of_owner(None)] == [known]
