"""Waiting for changes, also across outages of Redis."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from service.api.auth.principal import OPERATOR
from service.api.routes.events import events_of
from service.api.services import ProcessServices
from service.api.state.change_feed import MAX_SHARED_READS, ChangeFeed
from service.api.state.repository import ExplanationRepository
from service.jobs.records import State
from service.jobs.redis_connections import MAX_CONCURRENT_READS
from service.jobs.redis_keys import CHANGES, new_id
from service.schemas.documents import Status
from tests.conftest import wait_until
from tests.ledger import Ledger

LOOK_AGAIN = "service.api.state.change_feed.POLL_S"


@pytest.fixture
def accepted(ledger, spec) -> list[str]:
    ids = [new_id(), new_id()]
    for explanation_id in ids:
        ledger.accept(explanation_id, spec, timeout_s=60)
    return ids


@pytest.fixture
def accepted_id(accepted) -> str:
    return accepted[0]


@pytest.fixture
async def catalogue(redis_url) -> AsyncIterator[ExplanationRepository]:
    async with redis.asyncio.Redis.from_url(redis_url) as connection:
        yield ExplanationRepository(connection, OPERATOR)


class Noted:
    """Reads states from a repository, and records which."""

    def __init__(self, catalogue: ExplanationRepository) -> None:
        self._catalogue = catalogue
        self.ids: list[str] = []

    async def __call__(self, explanation_id: str) -> State | None:
        self.ids.append(explanation_id)
        return await self._catalogue.find(explanation_id)


@pytest.fixture
def looks(catalogue) -> Noted:
    return Noted(catalogue)


@pytest.fixture
async def watch(accepted, redis_url, looks, monkeypatch) -> AsyncIterator[ChangeFeed]:
    """A feed that is subscribed, and that reads a state again only when notified."""
    monkeypatch.setattr(LOOK_AGAIN, 3600)
    async with redis.asyncio.Redis.from_url(redis_url) as connection:
        watch = ChangeFeed(connection, looks)
        listening = asyncio.create_task(watch.run())
        await until_subscribed(redis_url)
        yield watch
        listening.cancel()
        await asyncio.wait([listening])


async def until_subscribed(url: str) -> None:
    def subscribed() -> bool:
        with redis.Redis.from_url(url) as connection:
            [(_, subscribers)] = connection.pubsub_numsub(CHANGES)
        return bool(subscribers)

    await asyncio.to_thread(wait_until, subscribed, seconds=20)


async def statuses(followers: Sequence[AsyncIterator[State | None]]) -> set[Status | None]:
    """Returns the next status that each of them yields."""
    async with asyncio.timeout(60):
        states = await asyncio.gather(*map(anext, followers))
    return {state and state.status for state in states}


async def test_a_notice_wakes_all_its_followers_with_one_read(
    watch, looks, accepted_id, fake_worker
):
    followers = [watch.follow(accepted_id) for _ in range(50)]
    assert await statuses(followers) == {Status.QUEUED}
    attempt = fake_worker.begin(accepted_id)
    assert await statuses(followers) == {Status.RUNNING}
    fake_worker.end(accepted_id, attempt, Status.SUCCEEDED)
    assert await statuses(followers) == {Status.SUCCEEDED}
    assert looks.ids == [accepted_id] * 3


async def test_notices_of_others_wake_nobody(watch, looks, accepted, fake_worker, connection):
    quiet, busy = accepted
    followers = [watch.follow(quiet), watch.follow(busy)]
    await statuses(followers)
    waiting = asyncio.create_task(anext(followers[0]))
    for _ in range(100):
        connection.publish(CHANGES, new_id())
    connection.publish(CHANGES, b"\xff\xfe not even text")
    fake_worker.begin(busy)  # its notice comes last
    assert await statuses(followers[1:]) == {Status.RUNNING}
    assert looks.ids == [quiet, busy, busy]
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_a_change_without_a_notice_is_found_too(
    catalogue, accepted_id, fake_worker, monkeypatch
):
    monkeypatch.setattr(LOOK_AGAIN, 0.01)
    deaf = ChangeFeed(redis.asyncio.Redis(), catalogue.find)  # it never runs
    followers = [deaf.follow(accepted_id)]
    assert await statuses(followers) == {Status.QUEUED}
    fake_worker.succeed(accepted_id)
    assert await statuses(followers) == {Status.SUCCEEDED}


async def test_many_simultaneous_changes_are_read_a_few_at_a_time():
    under_way, most = 0, 0

    async def look(_explanation_id):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1

    watch = ChangeFeed(redis.asyncio.Redis(), look)

    async def first(explanation_id):
        async with aclosing(watch.follow(explanation_id)) as changes:
            return await anext(changes)

    assert await asyncio.gather(*(first(new_id()) for _ in range(20))) == [None] * 20
    assert most == MAX_SHARED_READS


async def test_a_client_that_stops_waiting_is_forgotten(watch, accepted_id):
    changes = watch.follow(accepted_id)
    await anext(changes)
    assert accepted_id in watch._waiting
    await changes.aclose()
    assert accepted_id not in watch._waiting


async def test_more_clients_than_connections_may_wait_for_one_explanation(
    settings, accepted_id, fake_worker
):
    services = ProcessServices.of(settings)
    async with services.running():
        followers = [
            services.change_feed.follow(accepted_id) for _ in range(10 * MAX_CONCURRENT_READS)
        ]
        assert await statuses(followers) == {Status.QUEUED}
        fake_worker.succeed(accepted_id)
        assert await statuses(followers) <= {Status.RUNNING, Status.SUCCEEDED}


async def test_a_stream_of_events_outlives_a_restart_of_redis(
    settings, mortal_redis, spec, store, new_fake_worker
):
    mortal = settings.model_copy(update={"redis_url": mortal_redis.url})
    services = ProcessServices.of(mortal)
    async with services.running():
        services.submissions.accept(explanation_id := new_id(), spec, timeout_s=60)
        await until_subscribed(mortal_redis.url)
        stream = events_of(services.change_feed, explanation_id, "")
        assert b"event: progress" in await anext(stream)
        following = asyncio.create_task(anext(stream))
        with capture_logs() as lines:
            mortal_redis.stop()
            paused = lambda: "events paused" in [line["event"] for line in lines]  # noqa: E731
            await asyncio.to_thread(wait_until, paused, seconds=20)
        assert not following.done()
        await asyncio.to_thread(mortal_redis.start)
        await until_subscribed(mortal_redis.url)
        new_fake_worker(
            Ledger.of(services.redis, services.settings), store, services.redis
        ).succeed(explanation_id)
        while b"event: progress" in (event := await asyncio.wait_for(following, 20)):
            following = asyncio.create_task(anext(stream))
        assert b"event: done" in event
        await stream.aclose()
