"""Errors of a Redis that temporarily takes no writes are told apart from permanent ones."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import redis

from service.jobs.redis_connections import connect
from service.jobs.redis_errors import REASONS, outage_reason
from tests.conftest import wait_until
from tests.outages import OUTAGES

WRITE = "return redis.call('SET', 'shapshot:outage', 1)"


def error_of(action: Callable[[], object]) -> redis.RedisError:
    with pytest.raises(redis.RedisError) as caught:
        action()
    return caught.value


def write_in_a_pipeline(connection: redis.Redis) -> None:
    with connection.pipeline() as pipe:
        pipe.set("shapshot:outage", 1).execute()


@pytest.mark.parametrize("code", OUTAGES)
def test_an_outage_is_recognized_by_its_code_also_from_scripts_and_pipelines(
    code: str, connection: redis.Redis
) -> None:
    with OUTAGES[code](connection):
        said = [
            error_of(lambda: connection.eval(WRITE, 0)),
            error_of(lambda: write_in_a_pipeline(connection)),
        ]
    # A replica that serves no stale data refuses a plain write as a replica
    others = {REASONS["READONLY"]} if code == "MASTERDOWN" else set()
    assert REASONS[code] in {outage_reason(error) for error in said} <= {REASONS[code], *others}
    assert connection.set("shapshot:outage", 1)


@pytest.mark.parametrize("code", ["MISCONF", "NOREPLICAS", "READONLY", "OOM"])
def test_an_outage_quoted_from_a_script_by_an_older_server_is_recognized(code: str) -> None:
    # redis-py's text of the error of Redis 6.2.14
    said = "Error running script (call to f_a48): @user_script:1: @user_script: 1: -" + code
    error = redis.ResponseError(f"{said} for some reason", status_code="ERR")
    assert outage_reason(error) == REASONS[code]


def test_a_blocked_worker_gets_an_outage_if_redis_becomes_a_replica(
    connection: redis.Redis, redis_url: str
) -> None:
    waits = "import sys, redis; redis.Redis.from_url(sys.argv[1]).blmove('a', 'b', 20)"
    waiter = subprocess.Popen(
        [sys.executable, "-c", waits, redis_url], stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: bool(connection.info("clients")["blocked_clients"]), seconds=20)
    with OUTAGES["READONLY"](connection):
        _, trace = waiter.communicate(timeout=20)
    error = redis.ResponseError(trace.splitlines()[-1].removeprefix("redis.exceptions."))
    assert outage_reason(error) == REASONS["UNBLOCKED"]


def test_a_redis_that_is_gone_is_an_outage() -> None:
    with connect("unix:///nowhere") as nobody:
        assert outage_reason(error_of(nobody.ping)) == "Redis does not answer"


def test_a_permanent_error_of_redis_is_not_an_outage(connection: redis.Redis) -> None:
    connection.set("shapshot:outage", "OOM BUSY")
    connection.acl_setuser("guest", enabled=True, nopass=True, commands=["+ping"])
    path = connection.connection_pool.connection_kwargs["path"]
    with redis.Redis(unix_socket_path=path, username="guest") as guest:
        errors = [
            error_of(lambda: connection.hget("shapshot:outage", "field")),
            error_of(lambda: connection.eval("return redis.call('HLEN', 'shapshot:outage')", 0)),
            error_of(lambda: connection.evalsha("0" * 40, 0)),
            error_of(lambda: guest.get("shapshot:outage")),
        ]
    connection.acl_deluser("guest")
    assert [outage_reason(error) for error in errors] == [None] * 4
