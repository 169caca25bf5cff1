"""A deliverer to receivers on 127.0.0.1, and events to deliver."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
import redis.asyncio

from service.api.outbound.destinations import OutboundPolicy
from service.api.outbound.sender import OutboundSender
from service.api.webhooks import deliverer
from service.api.webhooks.secrets import new_secret
from service.jobs.redis_keys import new_id, new_webhook_id
from service.jobs.webhooks import StoredSecret, WebhookConfig, Webhooks
from service.schemas.documents import Status
from service.schemas.webhooks import EVENTS

LOCAL = OutboundPolicy(networks=[ip_network("127.0.0.0/8")])
SECRET = new_secret("v1")


@pytest.fixture
async def webhooks(redis_url):
    client = redis.asyncio.Redis.from_url(redis_url)
    yield Webhooks(client)
    await client.aclose()


@pytest.fixture
def add(webhooks):
    async def added(url: str) -> str:
        config = WebhookConfig(
            url=url,
            events=EVENTS,
            description="",
            secrets=(StoredSecret(text=SECRET, until=None),),
        )
        id_ = new_webhook_id()
        await webhooks.save(id_, config, read=None, owner=None, most=100)
        return id_

    return added


@pytest.fixture
def happen(ledger, spec):
    """Lets explanations be canceled; returns their ids."""

    def end(times: int = 1, **metadata: str) -> list[str]:
        settings = spec.settings.model_copy(update={"metadata": metadata})
        ids = [new_id() for _ in range(times)]
        for id_ in ids:
            ledger.accept(id_, spec.model_copy(update={"settings": settings}), timeout_s=60)
            ledger.finish(id_, ledger.begin(id_), Status.CANCELED)
        return ids

    return end


async def stop(task: asyncio.Task) -> None:
    while not task.done():  # redis-py may swallow a cancel during a read
        task.cancel()
        await asyncio.wait([task], timeout=0.02)


@pytest.fixture
def delivering(webhooks, monkeypatch):
    """Runs a deliverer, which looks often for what is due."""
    monkeypatch.setattr(deliverer, "PAUSE_S", 0.05)

    @asynccontextmanager
    async def running(**options):
        sender = OutboundSender(options.pop("policy", LOCAL))
        task = asyncio.create_task(deliverer.Deliverer(webhooks, sender, "", **options).run())
        try:
            yield
        finally:
            await stop(task)
            await sender.close()

    return running


@pytest.fixture
def until(webhooks):
    """Waits until the newest delivery of a webhook is as a test wants it; returns it."""

    async def wait(webhook: str, condition: Callable):
        async with asyncio.timeout(30):
            while True:
                found = await webhooks.deliveries(webhook, None, 1)
                if found and condition(found[0]):
                    return await webhooks.delivery(webhook, found[0].id)  # as it is since then
                await asyncio.sleep(0.02)

    return wait


async def eventually(condition: Callable[[], bool]) -> None:
    """Waits for a condition; the time only bounds a hang."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture
def make_due(connection):
    """Lets the next attempt of all deliveries of a webhook be due, as if the time had passed."""

    def shift(webhook: str) -> None:
        for id_ in connection.zrange(f"shapshot:deliveries:{webhook}", 0, -1):
            connection.zadd(f"shapshot:deliveries:{webhook}", {id_: 1})
        connection.zadd("shapshot:deliveries", {webhook: 1})

    return shift
