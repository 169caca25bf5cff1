"""A key of another type reads as empty; any other error of Redis is raised."""

import pytest
import redis
import redis.asyncio
from structlog.testing import capture_logs

from service.jobs.hash_reader import read_batch, read_hash, read_hashes, read_state
from service.jobs.redis_keys import key_of, new_batch_id, new_id


async def test_a_key_of_another_type_is_logged_and_reads_as_empty(redis_url, connection, accepted):
    there, other, missing = accepted(), new_id(), new_id()
    connection.rpush(key_of(other), "no hash")
    fields = connection.hgetall(key_of(there))
    with capture_logs() as lines:
        assert read_state(connection, other) is None
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            assert await read_hash(client, other) == {}
            assert await read_hash(client, there) == fields
            assert await read_hashes(client, [other, there, missing]) == [{}, fields, {}]
    assert [(line["log_level"], line["id"]) for line in lines] == [("warning", other)] * 3
    assert read_state(connection, there).id == there
    assert read_state(connection, missing) is None
    assert read_batch(connection, new_batch_id()) is None


async def test_any_other_error_of_redis_is_raised(redis_url, connection):
    connection.acl_setuser("somebody", enabled=True, nopass=True, categories=["+@all"])
    client = redis.asyncio.Redis.from_url(redis_url, username="somebody", password="any")  # noqa: S106
    async with client:
        with pytest.raises(redis.exceptions.NoPermissionError):
            await read_hash(client, new_id())
        with pytest.raises(redis.exceptions.NoPermissionError):
            await read_hashes(client, [new_id()])
    connection.acl_deluser("somebody")
