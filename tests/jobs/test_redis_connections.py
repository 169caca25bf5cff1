"""Connections to Redis: a broken one is retried once, and many calls share a few."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import redis

from service.jobs.redis_connections import MAX_CONCURRENT_READS, connect, connect_async
from tests.conftest import wait_until

Closing = tuple[str, Callable[[], int]]


@pytest.fixture
def closing() -> Iterator[Closing]:
    """The URL of a server that reads a little and hangs up, and how often it was called."""
    calls = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            nonlocal calls
            with contextlib.suppress(OSError):
                while True:
                    caller, _ = listener.accept()
                    with caller:
                        caller.recv(1)
                        calls += 1

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}", lambda: calls
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_broken_connection_is_retried_once(closing: Closing) -> None:
    url, calls = closing
    with connect(url) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    assert calls() == 2


async def test_a_broken_connection_of_an_asyncio_client_is_retried_once(closing: Closing) -> None:
    url, calls = closing
    async with connect_async(url) as client:
        with pytest.raises(redis.ConnectionError):
            await client.ping()
    assert calls() == 2


def test_options_of_the_caller_come_before_the_defaults(redis_url: str) -> None:
    with connect(redis_url, decode_responses=True) as client:
        assert client.ping()
        assert client.echo("as text") == "as text"
    with connect(redis_url, socket_timeout=0.25) as client, pytest.raises(redis.TimeoutError):
        client.blpop(["nothing"], timeout=20)


async def test_calls_beyond_the_most_at_once_wait_for_a_connection(
    redis_url: str, connection: redis.Redis
) -> None:
    def count_blocked() -> int:
        return connection.info("clients")["blocked_clients"]

    count = 2 * MAX_CONCURRENT_READS
    async with connect_async(redis_url) as client:
        calls = [asyncio.create_task(client.blpop(["list"], 20)) for _ in range(count)]
        await asyncio.to_thread(
            wait_until, lambda: count_blocked() == MAX_CONCURRENT_READS, seconds=20
        )
        connection.rpush("list", *range(count))
        assert len(await asyncio.gather(*calls)) == count
