"""What became of deliveries is counted once, by whichever process it was."""

import pytest

from service.api.http.redis_metrics import RedisMetrics
from service.api.outbound.destinations import OutboundPolicy
from service.jobs.redis_keys import new_delivery_id
from tests.api.outbound.receivers import certificate_for, drop, endless_headers, never, receiving

GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"


def answering(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.fixture
def read(connection):
    """Returns the values of the series of webhooks other than 0, by name and label."""

    def collected() -> dict[str, float]:
        return {
            " ".join([sample.name.removeprefix("shapshot_webhook"), *sample.labels.values()]): value
            for family in RedisMetrics(connection, "test").collect()
            for sample in family.samples
            if sample.name.startswith("shapshot_webhook") and (value := sample.value)
        }

    return collected


async def test_a_rude_receiver_is_counted_by_its_manners(
    add, happen, delivering, until, make_due, read
):
    answers = [
        *(answering("500 Oh"), answering("404 No"), answering("429 Slow"), answering("302 There")),
        *(drop, endless_headers, answering("204 No Content")),
    ]
    async with receiving(*answers) as receiver, delivering():
        webhook = await add(receiver.url)
        happen()
        for tries in range(1, len(answers)):
            await until(webhook, lambda delivery, tries=tries: delivery.tries == tries)
            assert read()["_deliveries_waiting"] == 1
            make_due(webhook)
        await until(webhook, lambda delivery: delivery.status == "delivered")
    assert read() == {
        "_failed_attempts_total client_error": 2,
        "_failed_attempts_total redirect": 1,
        "_failed_attempts_total server_error": 1,
        "_failed_attempts_total unreachable": 2,
        "_deliveries_total delivered": 1,
        "s enabled": 1,
    }


async def test_a_receiver_that_never_answers_is_counted(add, happen, delivering, until, read):
    async with receiving(never) as receiver, delivering(timeout_s=0.3):
        webhook = await add(receiver.url)
        happen()
        await until(webhook, lambda delivery: delivery.tries == 1)
    assert read()["_failed_attempts_total timeout"] == 1


async def test_what_is_given_up_is_counted(add, happen, delivering, until, make_due, read):
    async with receiving(answering("500 Oh")) as receiver, delivering(delays_s=[1000]):
        webhook = await add(receiver.url)
        happen()
        await until(webhook, lambda delivery: delivery.tries == 1)
        make_due(webhook)
        await until(webhook, lambda delivery: delivery.status == "failed")
    assert read() == {
        "_failed_attempts_total server_error": 2,
        "_deliveries_total failed": 1,
        "s enabled": 1,
    }


async def test_a_webhook_that_is_disabled_is_counted_once(add, happen, delivering, until, read):
    async with receiving(GONE) as receiver, delivering():
        webhook = await add(receiver.url)
        happen(3)
        await until(webhook, lambda _: read().get("_failed_attempts_total client_error") == 3)
    assert read() == {
        "_failed_attempts_total client_error": 3,
        "s_disabled_total gone": 1,
        "s disabled": 1,
    }


async def test_a_wrong_certificate_and_a_refused_address_are_counted(
    add, happen, delivering, until, read, tmp_path
):
    serving, _ = certificate_for("127.0.0.1", tmp_path)
    async with receiving(context=serving) as receiver:
        webhook = await add(receiver.url)
        happen()
        async with delivering():
            await until(webhook, lambda delivery: delivery.tries == 1)
        other = await add(receiver.url)
        happen()
        async with delivering(policy=OutboundPolicy()):
            await until(other, lambda delivery: delivery.tries == 1)
    found = read()
    assert found["_failed_attempts_total tls"] == 1
    assert found["_failed_attempts_total refused_url"] >= 1


async def test_events_that_a_webhook_misses_are_counted(add, happen, read, connection, webhooks):
    webhook = await add("http://127.0.0.1:1/")
    pending = {new_delivery_id(): 1e12 for _ in range(50_000)}
    connection.zadd(f"shapshot:deliveries:{webhook}", pending)
    happen(2)
    assert (await webhooks.find(webhook)).missed == 2
    assert read()["_deliveries_total missed"] == 2
