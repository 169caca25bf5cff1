"""Waiting for changes, also while Redis comes and goes."""

import asyncio
import time
from contextlib import aclosing

import pytest
import redis.asyncio

from service.api.edge.caller import OPERATOR
from service.api.endpoints.events import events_of
from service.api.reading.watch import LOOK_AGAIN_S, LOOKS_AT_ONCE, Watch
from service.api.services import READS_AT_ONCE, open_services
from service.contract.names import CHANGES, new_id
from service.contract.schema import Status
from service.contract.traces import Traces


@pytest.fixture
async def watch(settings):
    async with open_services(settings, None, Traces()) as services:
        yield services.watch


async def test_a_change_wakes_whoever_follows_at_once(watch, accepted_id, hand):
    changes = watch.follow(accepted_id)
    assert (await anext(changes)).status is Status.QUEUED
    following = asyncio.create_task(anext(changes))
    await asyncio.sleep(0.2)
    began = time.monotonic()
    hand.begin(accepted_id)
    assert (await following).status is Status.RUNNING
    assert time.monotonic() - began < LOOK_AGAIN_S / 2
    await changes.aclose()


async def test_a_change_nobody_announced_is_seen_all_the_same(settings, accepted_id, hand):
    async with open_services(settings, None, Traces()) as services:
        catalogue = services.catalogue.of(OPERATOR)
        deaf = Watch(catalogue._redis, catalogue.find)  # it never runs
        waiting = asyncio.create_task(deaf.until_done(accepted_id, 30))
        await asyncio.sleep(0.1)
        hand.succeed(accepted_id)
        assert (await asyncio.wait_for(waiting, 20)).status is Status.SUCCEEDED


async def test_notices_of_others_wake_nobody(watch, accepted_id, connection):
    changes = watch.follow(accepted_id)
    await anext(changes)
    following = asyncio.create_task(anext(changes))
    for _ in range(100):
        connection.publish(CHANGES, new_id())
    connection.publish(CHANGES, b"\xff\xfe not even text")
    await asyncio.sleep(0.2)
    assert not following.done()
    following.cancel()
    await asyncio.wait([following])
    await changes.aclose()


async def test_all_who_are_woken_by_a_change_share_one_look(settings, accepted_id, hand):
    looks = 0

    async def look(explanation_id):
        nonlocal looks
        looks += 1
        return await catalogue.find(explanation_id)

    async with open_services(settings, None, Traces()) as services:
        catalogue = services.catalogue.of(OPERATOR)
        watch = Watch(catalogue._redis, look)
        listening = asyncio.create_task(watch.run())
        waiting = [asyncio.create_task(watch.until_done(accepted_id, 60)) for _ in range(50)]
        await asyncio.sleep(0.5)
        before = looks
        attempt = hand.begin(accepted_id)
        await asyncio.sleep(0.5)
        assert 1 <= looks - before <= 5
        hand.end(accepted_id, attempt, Status.SUCCEEDED)
        states = await asyncio.wait_for(asyncio.gather(*waiting), 60)
        listening.cancel()
    assert {state.status for state in states} == {Status.SUCCEEDED}


async def test_of_many_that_change_at_once_a_few_are_looked_at_at_a_time():
    under_way, most = 0, 0

    async def look(_explanation_id):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1

    async def first(explanation_id):
        async with aclosing(watch.follow(explanation_id)) as changes:
            return await anext(changes)

    watch = Watch(redis.asyncio.Redis(), look)
    assert await asyncio.gather(*(first(new_id()) for _ in range(20))) == [None] * 20
    assert most == LOOKS_AT_ONCE


async def test_whoever_stops_waiting_is_forgotten(watch, accepted_id):
    changes = watch.follow(accepted_id)
    await anext(changes)
    assert accepted_id in watch._waiting
    await changes.aclose()
    assert accepted_id not in watch._waiting


async def test_many_more_than_there_are_connections_may_wait_for_one(watch, accepted_id, hand):
    waiting = [
        asyncio.create_task(watch.until_done(accepted_id, 60)) for _ in range(10 * READS_AT_ONCE)
    ]
    await asyncio.sleep(0.5)
    hand.succeed(accepted_id)
    states = await asyncio.wait_for(asyncio.gather(*waiting), 60)
    assert {state.status for state in states} == {Status.SUCCEEDED}


async def test_a_stream_of_events_outlives_a_restart_of_redis(
    settings, mortal_redis, order, store, new_hand
):
    mortal = settings.model_copy(update={"redis_url": mortal_redis.url})
    async with open_services(mortal, None, Traces()) as services:
        services.ledger.accept(explanation_id := new_id(), order, timeout_s=60)
        await until_subscribed(mortal_redis.url)
        stream = events_of(services.watch, explanation_id)
        assert b"event: progress" in await anext(stream)
        following = asyncio.create_task(anext(stream))
        mortal_redis.stop()
        await asyncio.sleep(LOOK_AGAIN_S)
        assert not following.done()
        await asyncio.to_thread(mortal_redis.start)
        await until_subscribed(mortal_redis.url)
        new_hand(services.ledger, store, services.redis).succeed(explanation_id)
        while b"event: progress" in (event := await asyncio.wait_for(following, 20)):
            following = asyncio.create_task(anext(stream))
        assert b"event: done" in event
        await stream.aclose()


async def until_subscribed(url: str) -> None:
    async with redis.asyncio.Redis.from_url(url) as connection:
        for _ in range(500):
            [(_, subscribers)] = await connection.pubsub_numsub(CHANGES)
            if subscribers:
                return
            await asyncio.sleep(0.02)
    raise AssertionError("nobody has subscribed again")


@pytest.fixture
async def accepted_id(create):
    return await create()
