"""Deliveries to receivers, polite and rude, and what becomes of them."""

import asyncio
import json
from email.utils import format_datetime

import pytest
import redis
from standardwebhooks.webhooks import Webhook

from service.api.outbound.destinations import OutboundPolicy
from service.api.outbound.sender import OutboundSender
from service.api.state.serializers import to_datetime
from service.api.webhooks import deliverer
from service.api.webhooks.deliverer import (
    DELAYS_S,
    GONE,
    JITTER,
    MAX_RETRY_AFTER_S,
    OF_EACH,
    _seconds,
)
from service.infra.settings.api import ApiSettings
from service.jobs.redis_connections import connect_async
from service.jobs.redis_keys import new_delivery_id, new_id, new_webhook_id
from service.jobs.webhooks import StoredSecret, WebhookConfig, Webhooks
from service.schemas.webhooks import EVENTS, EventMessage
from tests.api.outbound.receivers import (
    OK,
    certificate_for,
    drop,
    endless_body,
    endless_headers,
    never,
    receiving,
)
from tests.api.webhooks.conftest import LOCAL, SECRET, eventually, stop
from tests.ledger import Ledger

ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


def tried(times: int):
    return lambda delivery: delivery.tries == times


def is_delivered(delivery) -> bool:
    return delivery.status == "delivered"


async def test_an_event_is_delivered_once_and_verified_by_the_library(
    add, happen, delivering, until
):
    async with receiving() as receiver, delivering():
        webhook = await add(receiver.url)
        [id_] = happen(patient="7")
        delivery = await until(webhook, is_delivered)
    [received] = receiver.received
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == delivery.id
    Webhook(SECRET).verify(received.body, dict(received.headers))
    message = EventMessage.model_validate_json(received.body)
    assert (message.type, message.data.id) == ("explanation.canceled", id_)
    assert message.data.status == "canceled"
    assert message.data.model.name == "tiny"
    assert message.data.metadata == {"patient": "7"}
    assert message.data.links == {"self": f"/v1/explanations/{id_}"}
    [attempt] = delivery.attempts
    assert (attempt.status_code, attempt.error) == (204, None)


async def test_a_test_is_delivered(add, webhooks, delivering, until):
    async with receiving() as receiver, delivering():
        webhook = await add(receiver.url)
        await webhooks.test(webhook, new_delivery_id())
        await until(webhook, is_delivered)
    message = json.loads(receiver.received[0].body)
    assert (message["type"], message["data"]) == ("webhook.test", {"id": webhook})


@pytest.mark.parametrize(
    ("answer", "code", "error"),
    [
        (ERROR, 500, "it answered 500"),
        (
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://169.254.169.254/\r\n\r\n",
            307,
            "it answered 307, and redirects are not followed",
        ),
        (never, None, "it did not answer in 0.3 s"),
        (drop, None, "broke"),
        (endless_headers, None, "broke off"),
    ],
)
async def test_a_failed_attempt_says_why_and_is_repeated_with_the_same_content(
    add, happen, delivering, until, make_due, answer, code, error
):
    async with receiving(answer, OK) as receiver, delivering(timeout_s=0.3):
        webhook = await add(receiver.url)
        happen()
        delivery = await until(webhook, tried(1))
        assert delivery.attempts[0].status_code == code
        assert error in delivery.attempts[0].error
        assert delivery.due_at is not None
        make_due(webhook)
        await until(webhook, is_delivered)
    first, second = receiver.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


@pytest.mark.parametrize("answer", [endless_body, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
async def test_an_answer_counts_without_the_rest_of_its_body(
    add, happen, delivering, until, answer
):
    """One does not end, the other breaks off."""
    async with receiving(answer) as receiver, delivering():
        webhook = await add(receiver.url)
        happen()
        delivery = await until(webhook, tried(1))
    assert is_delivered(delivery)


async def test_an_outage_of_more_than_a_day_ends_with_the_delivery(
    add, happen, delivering, until, make_due
):
    """The waits are read from Redis, and cut short."""
    failures = len(DELAYS_S)
    waits = []
    async with receiving(*[ERROR] * failures, OK) as receiver, delivering():
        webhook = await add(receiver.url)
        happen()
        for number in range(1, failures + 1):
            delivery = await until(webhook, tried(number))
            waits.append(delivery.due_at - delivery.attempts[-1].at.timestamp())
            make_due(webhook)
        delivery = await until(webhook, is_delivered)
    assert len(receiver.received) == failures + 1
    for wait, delay in zip(waits, DELAYS_S, strict=True):
        assert delay * (1 - JITTER) <= wait <= delay * (1 + JITTER) + 20
    assert sum(DELAYS_S) > 86400
    assert len(delivery.attempts) == 10


async def test_after_the_last_attempt_a_delivery_has_failed_and_may_be_replayed(
    add, happen, webhooks, delivering, until, make_due
):
    async with receiving(ERROR, ERROR, OK) as receiver, delivering(delays_s=[1000]):
        webhook = await add(receiver.url)
        happen()
        await until(webhook, tried(1))
        make_due(webhook)
        failed = await until(webhook, lambda delivery: delivery.status == "failed")
        assert failed.due_at is None
        await webhooks.replay(webhook, failed.id)
        delivery = await until(webhook, is_delivered)
    assert [attempt.status_code for attempt in delivery.attempts] == [500, 500, 204]
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1


async def test_410_disables_the_webhook(add, happen, webhooks, delivering, until):
    gone = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
    async with receiving(gone) as receiver, delivering():
        webhook = await add(receiver.url)
        happen()
        await until(webhook, tried(1))
    assert (await webhooks.find(webhook)).disabled_for == GONE


async def test_retry_after_is_honoured(add, happen, delivering, until):
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 3000\r\nContent-Length: 0\r\n\r\n"
    async with receiving(busy) as receiver, delivering():
        webhook = await add(receiver.url)
        happen()
        delivery = await until(webhook, tried(1))
    assert 2999 <= delivery.due_at - delivery.attempts[0].at.timestamp() <= 3020


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("-5", 0),
        ("soon", 0),
        ("120", 120),
        (format_datetime(to_datetime(1060.0), usegmt=True), 60),
        (format_datetime(to_datetime(900.0), usegmt=True), 0),
        ("Sat, 99 Foo 99999999 00:00:00 GMT", 0),
    ],
)
def test_retry_after_is_a_number_or_a_date(text, seconds):
    assert _seconds(text, 1000.0) == seconds


def test_retry_after_has_an_upper_bound():
    assert min(_seconds("9" * 30, 0), MAX_RETRY_AFTER_S) == MAX_RETRY_AFTER_S


async def test_a_rude_receiver_does_not_hold_others_up(add, happen, delivering, until, webhooks):
    async with receiving(never) as rude, receiving() as polite, delivering():
        await add(rude.url)
        happen(30)
        webhook = await add(polite.url)
        happen()
        await until(webhook, is_delivered)
        assert len(rude.received) == OF_EACH


async def test_an_address_that_is_not_public_is_refused_at_each_delivery(
    add, happen, delivering, until
):
    """It may have been public when the webhook was added."""
    async with receiving() as receiver, delivering(policy=OutboundPolicy()):
        webhook = await add(receiver.url)
        happen()
        delivery = await until(webhook, tried(1))
    assert "loopback" in delivery.attempts[0].error
    assert receiver.received == []


async def test_a_wrong_certificate_is_named(add, happen, delivering, until, tmp_path):
    serving, _ = certificate_for("127.0.0.1", tmp_path)
    async with receiving(context=serving) as receiver, delivering():
        webhook = await add(receiver.url)
        happen()
        delivery = await until(webhook, tried(1))
    assert "certificate is not valid" in delivery.attempts[0].error


async def test_a_delivery_whose_process_died_is_delivered_by_another(
    add, happen, webhooks, delivering, until, make_due, connection
):
    async with receiving() as receiver:
        webhook = await add(receiver.url)
        happen()
        due = await webhooks.take(1, of_each=1, lease_s=60, token="of the dead")  # noqa: S106
        assert len(due.taken) == 1
        connection.delete(f"shapshot:taken:{webhook}")  # its lease ends
        make_due(webhook)
        async with delivering():
            delivery = await until(webhook, is_delivered)
    assert [each.headers["webhook-id"] for each in receiver.received] == [delivery.id]


async def test_several_processes_share_the_deliveries(add, happen, delivering, connection):
    async with receiving() as receiver, delivering(), delivering():
        webhook = await add(receiver.url)
        happen(40)
        await eventually(
            lambda: connection.hget(f"shapshot:webhook:{webhook}", "delivered") == b"40"
        )
    ids = [each.headers["webhook-id"] for each in receiver.received]
    assert len(ids) == len(set(ids)) == 40


@pytest.mark.parametrize("clock", [0.0, 4e9])
async def test_a_wrong_clock_of_the_process_changes_nothing(
    monkeypatch, add, happen, delivering, until, connection, clock
):
    monkeypatch.setattr("time.time", lambda: clock)
    async with receiving(ERROR) as receiver, delivering():
        webhook = await add(receiver.url)
        happen()
        delivery = await until(webhook, tried(1))
    seconds, _ = connection.time()
    assert abs(int(receiver.received[0].headers["webhook-timestamp"]) - seconds) < 30
    assert abs(delivery.due_at - seconds) < 60


async def test_deliveries_go_on_after_a_restart_of_redis(mortal_redis, new_card, spec, monkeypatch):
    monkeypatch.setattr(deliverer, "OUTAGE_S", 0.1)
    reading, sender = connect_async(mortal_redis.url), OutboundSender(LOCAL)
    hooks = Webhooks(reading)
    task = asyncio.create_task(deliverer.Deliverer(hooks, sender, "").run())
    async with receiving(ERROR, OK) as receiver:
        config = WebhookConfig(
            url=receiver.url,
            events=EVENTS,
            description="",
            secrets=(StoredSecret(text=SECRET, until=None),),
        )
        await hooks.save(new_webhook_id(), config, read=None, owner=None, most=1)
        with redis.Redis.from_url(mortal_redis.url) as connection:
            ledger = Ledger.of(connection, ApiSettings(queue="test"))
            id_ = new_id()
            ledger.accept(id_, spec, timeout_s=60)
            ledger.cancel(id_)
            await eventually(lambda: len(receiver.received) == 1)
            await asyncio.to_thread(mortal_redis.shut_down)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(mortal_redis.start)
            await eventually(lambda: len(receiver.received) == 2)
    await stop(task)
    await sender.close()
    await reading.aclose()
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
