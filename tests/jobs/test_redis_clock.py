"""All times are Redis's, even if the clock of a process is wrong, or Redis's is changed."""

import time

import pytest
import time_machine
from structlog.testing import capture_logs

from service.jobs.leases import Heartbeat, LeaseStatus
from service.jobs.redis_clock import as_seconds, log_offset, measure_offset
from service.jobs.redis_keys import EXPIRY, new_batch_id, new_id
from service.jobs.statistics import read_statistics
from service.jobs.worker_registry import WORKERS, announce, read_live_workers
from service.schemas.documents import Status

HOUR_S = 3600
LEASE_S = 30
WIP, REAPED = "rq:wip:test", "shapshot:reaped:test"


@pytest.fixture(params=[60, -60, 8 * 86400, -8 * 86400])
def ahead_s(request):
    """The process's clock is wrong by this many seconds."""
    with time_machine.travel(time.time() + request.param, tick=True):
        yield request.param


@pytest.fixture
def now(connection):
    """Returns about the time of Redis's clock."""
    return pytest.approx(as_seconds(connection.time()), abs=20)


def test_a_process_measures_the_offset_of_its_clock(ahead_s, connection):
    assert measure_offset(connection) == pytest.approx(ahead_s, abs=1)


@pytest.mark.parametrize(
    ("seconds", "level", "offset_s"),
    [(1.0, "info", 1.0), (1.0014, "warning", 1.001), (-1.0016, "warning", -1.002), (0, "info", 0)],
)
def test_an_offset_of_more_than_a_second_is_a_warning(seconds, level, offset_s):
    with capture_logs() as lines:
        log_offset(seconds)
    [line] = lines
    assert (line["log_level"], line["offset_s"]) == (level, offset_s)


def test_every_time_of_an_explanation_is_by_the_clock_of_redis(
    ahead_s, ledger, spec, outcome, connection, now
):
    batch_id, ended, canceled, found = new_batch_id(), new_id(), new_id(), new_id()
    of_batch = spec.model_copy(update={"batch": batch_id})
    ledger.accept_batch(batch_id, {ended: of_batch, canceled: of_batch}, timeout_s=60)
    ledger.finish(ended, ledger.begin(ended), Status.SUCCEEDED, outcome=outcome)
    ledger.cancel(canceled)
    ledger.accept(found, spec, timeout_s=60, earlier={found: ledger.read(ended)})
    assert ledger.read_batch(batch_id).created_at == now
    for state in map(ledger.read, (ended, canceled, found)):
        assert (state.created_at, state.finished_at) == (now, now)
        assert connection.zscore(EXPIRY, state.id) == state.expires_at
        assert connection.zscore("shapshot:explanations", state.id) == state.created_at
    assert ledger.read(ended).started_at == now
    assert connection.zscore(EXPIRY, batch_id) is not None


def test_nothing_expires_and_no_lease_ends_early(ahead_s, ledger, accepted):
    ledger.reserve(new_id())
    attempt = ledger.begin(running := accepted())
    ledger.finish(ended := accepted(), ledger.begin(ended), Status.FAILED)
    assert ledger.expired() == []
    assert ledger.reap(max_attempts=1) == 0
    ledger.heartbeat(Heartbeat(running, attempt))
    assert ledger.reap(max_attempts=1) == 0


def test_a_worker_is_seen_for_a_lease(ahead_s, connection, new_card, now):
    announce(connection, "w", [new_card()], lease_s=LEASE_S)
    assert list(read_live_workers(connection).workers) == ["w"]
    assert connection.zscore(WORKERS, "w") - LEASE_S == now


def test_the_age_of_waiting_jobs_is_by_the_clock_of_redis(ahead_s, connection, accepted):
    accepted()
    assert 0 <= read_statistics(connection, "test").waiting["interactive"].oldest_s < 20


# --- Redis's own clock is set: what it had written is then earlier, or later, by so much


def leap(connection, by_s):
    """Shifts all times as if Redis's clock had been set forward, or back if negative."""
    for member, score in connection.zrange(WIP, 0, -1, withscores=True):
        connection.zadd(WIP, {member: score - by_s})
    if looked_at := connection.get(REAPED):
        connection.set(REAPED, float(looked_at) - by_s)


@pytest.fixture
def begun(ledger, accepted):
    """A job with a live worker, and its attempt; a reaper has run before."""
    explanation_id = accepted()
    attempt = ledger.begin(explanation_id)
    assert ledger.reap(max_attempts=1) == 0
    return explanation_id, attempt


def test_a_clock_set_forward_takes_no_job_from_a_live_worker(ledger, connection, begun):
    leap(connection, HOUR_S)
    assert ledger.reap(max_attempts=1) == 0
    assert ledger.heartbeat(Heartbeat(*begun)) == [LeaseStatus.OWNED]
    assert ledger.reap(max_attempts=1) == 0
    assert ledger.read(begun[0]).status is Status.RUNNING


def test_after_a_leap_a_silent_worker_is_found_within_its_lease(ledger, connection, begun):
    leap(connection, HOUR_S)
    ledger.reap(max_attempts=3)
    [(_, lease_ends)] = connection.zrange(WIP, 0, -1, withscores=True)
    assert 0 < lease_ends - as_seconds(connection.time()) <= LEASE_S / 4
    leap(connection, LEASE_S / 4)
    assert ledger.reap(max_attempts=3) == 1


def test_repeated_leaps_keep_no_silent_worker_alive(ledger, connection, begun):
    leap(connection, HOUR_S)
    assert ledger.reap(max_attempts=3) == 0
    leap(connection, HOUR_S)
    assert ledger.reap(max_attempts=3) == 1


def test_a_clock_set_back_extends_no_lease(ledger, connection, begun):
    leap(connection, -HOUR_S)
    ledger.reap(max_attempts=3)
    [(_, lease_ends)] = connection.zrange(WIP, 0, -1, withscores=True)
    assert lease_ends - as_seconds(connection.time()) <= LEASE_S


def test_a_clock_set_back_keeps_no_silent_worker_in_the_registry(connection, new_card):
    announce(connection, "dead", [new_card()], lease_s=HOUR_S)
    announce(connection, "living", [new_card()], lease_s=LEASE_S)
    assert connection.zscore(WORKERS, "dead") == connection.zscore(WORKERS, "living")


def test_a_clock_set_back_does_not_hide_a_job_that_was_never_begun(ledger, connection, accepted):
    explanation_id = accepted()
    connection.lmove("rq:queue:test", "rq:queue:test:intermediate")
    connection.zadd("shapshot:limbo", {explanation_id: time.time() + HOUR_S})
    ledger.reap(max_attempts=3)
    assert connection.zscore("shapshot:limbo", explanation_id) <= as_seconds(connection.time())


@pytest.mark.parametrize("wild", [b"", b"nan", b"-inf", b"inf", b"\xff", None])
def test_an_invalid_time_of_the_last_reap_delays_no_job_for_long(wild, ledger, connection, begun):
    connection.zadd(WIP, {":".join(begun): 1})
    connection.delete(REAPED)
    if wild is None:
        connection.hset(REAPED, "no", "text")
    else:
        connection.set(REAPED, wild)
    reaped = ledger.reap(max_attempts=3)
    connection.zadd(WIP, {":".join(begun): 1}, xx=True)  # the delay after the leap is over
    assert reaped + ledger.reap(max_attempts=3) == 1
    assert ledger.read(begun[0]).status is Status.QUEUED
