"""`python -m benchmarks.webhooks [--deliveries N] [--webhooks N]`: deliveries a minute.

It starts a Redis and ends N explanations, each of which queues a delivery for each webhook; that is
timed with and without webhooks. Then one deliverer, as in an API process, delivers all of it to a
receiver that answers at once. The receiver runs in the same process, so that its work counts, too.
"""

import argparse
import asyncio
from contextlib import contextmanager
from ipaddress import ip_network
from time import perf_counter, process_time

import redis

from service.api.outbound.destinations import OutboundPolicy
from service.api.outbound.sender import OutboundSender
from service.api.webhooks.deliverer import Deliverer
from service.api.webhooks.secrets import new_secret
from service.infra.logging import configure_logging
from service.infra.settings.api import ApiSettings
from service.jobs.redis_connections import connect_async
from service.jobs.redis_keys import new_id, new_webhook_id
from service.jobs.webhooks import StoredSecret, WebhookConfig, Webhooks
from service.schemas.documents import Status
from service.schemas.webhooks import EVENTS
from tests.api.outbound.receivers import receiving
from tests.conftest import started
from tests.ledger import Ledger
from tests.tiny import SPEC


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=2000)
    parser.add_argument("--webhooks", type=int, default=4)
    asked = parser.parse_args()
    configure_logging(level="ERROR", as_json=True)
    with contextmanager(started)(remembers=True) as server:
        asyncio.run(_measure(server.url, asked.deliveries, asked.webhooks))


async def _measure(url: str, deliveries: int, count: int) -> None:
    events = deliveries // count
    with redis.Redis.from_url(url) as connection:
        ledger = Ledger.of(connection, ApiSettings(queue="benchmark"))
        alone = _end(ledger, events)
        reading = connect_async(url)
        webhooks = Webhooks(reading)
        async with receiving() as receiver:
            ids = [await _add(webhooks, receiver.url) for _ in range(count)]
            told = _end(ledger, events)
            print(f"{events} explanations end, µs each for the script that ends one")
            print(f"  without webhooks {alone:.0f}, with {count} webhooks {told:.0f}")
            sender = OutboundSender(OutboundPolicy([ip_network("127.0.0.0/8")]))
            task = asyncio.create_task(Deliverer(webhooks, sender, "").run())
            began, worked = perf_counter(), process_time()
            while await _delivered(webhooks) < events * count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            taken_s, cpu_s = perf_counter() - began, process_time() - worked
            distinct = len({each.headers["webhook-id"] for each in receiver.received})
            assert distinct == len(receiver.received) == events * len(ids)
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.02)
    await sender.close()
    await reading.aclose()
    print(f"{events * count} deliveries to {count} webhooks")
    print(f"  {events * count / taken_s * 60:.0f} a minute, {1000 * cpu_s / events / count:.1f} ms")
    print("  of CPU time each, with the receiver's")


async def _delivered(webhooks: Webhooks) -> int:
    return sum(each.delivered for each in await webhooks.of_owner(None))


def _end(ledger: Ledger, events: int) -> float:
    """End so many explanations; return the mean time of the call that ends one, in µs."""
    seconds = 0.0
    for _ in range(events):
        id_ = new_id()
        ledger.accept(id_, SPEC, timeout_s=60)
        attempt = ledger.begin(id_)
        assert attempt
        began = perf_counter()
        ledger.finish(id_, attempt, Status.CANCELED)
        seconds += perf_counter() - began
    return 1e6 * seconds / events


async def _add(webhooks: Webhooks, url: str) -> str:
    secret = StoredSecret(text=new_secret("v1"), until=None)
    config = WebhookConfig(url=url, events=EVENTS, description="", secrets=(secret,))
    id_ = new_webhook_id()
    await webhooks.save(id_, config, read=None, owner=None, most=1000)
    return id_


if __name__ == "__main__":
    main()
