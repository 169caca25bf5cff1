"""Every transition of an explanation, in a real Redis."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import redis

from service.jobs import submissions
from service.jobs.admission_limits import AdmissionLimits, QueueLimitError
from service.jobs.claims import AlreadyClaimedError, IdempotencyClaim
from service.jobs.leases import FencedError, Heartbeat, LeaseStatus
from service.jobs.records import ProgressCount
from service.jobs.redis_connections import connect
from service.jobs.redis_keys import CHANGES, EXPIRY, key_of, new_id
from service.jobs.submissions import StillRunningError
from service.schemas.documents import ErrorCode, Failure, Status
from tests.ledger import Ledger
from tests.outages import OUTAGES

# Keys that always stay
BOUNDED = {
    b"shapshot:audit",
    b"rq:queues",
    b"shapshot:flows",
    b"shapshot:ended",
    b"shapshot:totals",
}
WIP, INTERMEDIATE = "rq:wip:test", "rq:queue:test:intermediate"


def test_an_accepted_explanation_is_queued_with_its_spec(ledger, spec, accepted, waiting):
    explanation_id = accepted()
    state = ledger.read(explanation_id)
    assert (state.status, state.spec, state.attempts) == (Status.QUEUED, spec, 0)
    assert waiting() == [explanation_id]


def test_an_unknown_explanation_has_no_state(ledger):
    assert ledger.read(new_id()) is None
    assert ledger.cancel(new_id()) is None
    assert ledger.delete(new_id()) == []


def test_accepting_again_after_a_lost_reply_queues_once(ledger, spec, accepted, waiting):
    explanation_id = accepted()
    ledger.begin(explanation_id)
    ledger.accept(explanation_id, spec, timeout_s=60)
    assert ledger.read(explanation_id).status is Status.RUNNING
    assert waiting() == []


def test_only_the_first_to_begin_owns_it(ledger, accepted):
    explanation_id = accepted()
    assert ledger.begin(explanation_id)
    assert ledger.begin(explanation_id) is None
    state = ledger.read(explanation_id)
    assert (state.status, state.attempts) == (Status.RUNNING, 1)
    assert state.started_at >= state.created_at


def test_a_heartbeat_reports_progress_and_renews_the_lease(ledger, accepted, silence):
    explanation_id = accepted()
    attempt = ledger.begin(explanation_id)
    silence(explanation_id, attempt)
    assert ledger.heartbeat(Heartbeat(explanation_id, attempt, ProgressCount(10, 100, 2.5))) == [
        LeaseStatus.OWNED
    ]
    assert ledger.read(explanation_id).progress == ProgressCount(10, 100, 2.5)
    assert ledger.reap(max_attempts=3) == 0


def test_finishing_records_the_outcome_and_forgets_the_job(ledger, accepted, outcome, connection):
    explanation_id = accepted()
    attempt = ledger.begin(explanation_id)
    ledger.finish(
        explanation_id, attempt, Status.SUCCEEDED, outcome=outcome, count=ProgressCount(9, 9)
    )
    state = ledger.read(explanation_id)
    assert (state.status, state.outcome, state.result) == (Status.SUCCEEDED, outcome, attempt)
    assert state.progress == ProgressCount(9, 9)
    assert state.expires_at > state.finished_at
    assert not connection.exists(f"rq:job:{explanation_id}")
    assert connection.zcard(WIP) == 0


def test_a_failure_is_kept_as_a_value(ledger, accepted):
    explanation_id = accepted()
    failure = Failure(code=ErrorCode.INTERNAL, detail="it broke")
    ledger.finish(explanation_id, ledger.begin(explanation_id), Status.FAILED, error=failure)
    state = ledger.read(explanation_id)
    assert (state.status, state.error, state.result) == (Status.FAILED, failure, None)


def test_an_attempt_without_its_lease_can_write_nothing(ledger, accepted, outcome, silence):
    explanation_id = accepted()
    lost = ledger.begin(explanation_id)
    silence(explanation_id, lost)
    assert ledger.reap(max_attempts=3) == 1
    second = ledger.begin(explanation_id)
    for write in (
        lambda: ledger.finish(explanation_id, lost, Status.SUCCEEDED, outcome=outcome),
        lambda: ledger.release(explanation_id, lost),
    ):
        with pytest.raises(FencedError):
            write()
    assert ledger.heartbeat(Heartbeat(explanation_id, lost, ProgressCount(1, 2))) == [
        LeaseStatus.FENCED
    ]
    state = ledger.read(explanation_id)
    assert (state.status, state.outcome, state.progress) == (
        Status.RUNNING,
        None,
        ProgressCount(0, 0),
    )
    assert ledger.heartbeat(Heartbeat(explanation_id, second)) == [LeaseStatus.OWNED]


def test_a_released_job_is_next_and_its_start_does_not_count(ledger, accepted, waiting, connection):
    explanation_id = accepted()
    connection.lpop("rq:queue:test")
    attempt = ledger.begin(explanation_id)
    later = accepted()
    ledger.release(explanation_id, attempt)
    assert waiting() == [explanation_id, later]
    state = ledger.read(explanation_id)
    assert (state.status, state.attempts) == (Status.QUEUED, 0)


def test_a_job_released_after_a_cancel_is_canceled(ledger, accepted, connection, waiting):
    explanation_id = accepted()
    connection.lpop("rq:queue:test")
    attempt = ledger.begin(explanation_id)
    ledger.cancel(explanation_id)
    ledger.release(explanation_id, attempt)
    assert ledger.read(explanation_id).status is Status.CANCELED
    assert waiting() == []


def test_a_queued_explanation_is_canceled_at_once(ledger, accepted, waiting):
    explanation_id = accepted()
    assert ledger.cancel(explanation_id) == "canceled"
    assert waiting() == []
    assert ledger.begin(explanation_id) is None


def test_a_job_a_worker_has_just_taken_from_the_queue_is_canceled_too(ledger, accepted, connection):
    explanation_id = accepted()
    connection.lmove("rq:queue:test", INTERMEDIATE)
    assert ledger.cancel(explanation_id) == "canceled"
    assert connection.llen(INTERMEDIATE) == 0


def test_a_running_explanation_learns_of_a_cancel_at_its_next_heartbeat(ledger, accepted, outcome):
    explanation_id = accepted()
    attempt = ledger.begin(explanation_id)
    assert ledger.cancel(explanation_id) == "canceling"
    assert ledger.cancel(explanation_id) == "canceling"
    assert ledger.heartbeat(Heartbeat(explanation_id, attempt)) == [LeaseStatus.CANCEL]
    ledger.finish(explanation_id, attempt, Status.CANCELED, outcome=outcome)
    assert ledger.cancel(explanation_id) == "canceled"
    assert ledger.read(explanation_id).result == attempt


def test_a_running_explanation_cannot_be_deleted(ledger, accepted):
    explanation_id = accepted()
    ledger.begin(explanation_id)
    with pytest.raises(StillRunningError, match="running"):
        ledger.delete(explanation_id)
    ledger.cancel(explanation_id)
    with pytest.raises(StillRunningError, match="canceling"):
        ledger.delete(explanation_id)


@pytest.mark.parametrize("ended", [False, True])
def test_a_full_redis_still_deletes_an_explanation(ended, ledger, accepted, connection):
    explanation_id = accepted()
    if ended:
        ledger.finish(explanation_id, ledger.begin(explanation_id), Status.SUCCEEDED)
    with OUTAGES["OOM"](connection):
        assert ledger.delete(explanation_id) == [explanation_id]
    assert not ledger.exists(explanation_id)


def test_a_deleted_explanation_is_gone_and_its_artifacts_are_due(ledger, accepted, connection):
    explanation_id = accepted()
    assert ledger.delete(explanation_id) == [explanation_id]
    assert ledger.read(explanation_id) is None
    assert ledger.expired() == [explanation_id]
    ledger.leave_tombstone(explanation_id, tombstone_s=60)
    assert ledger.expired() == []
    assert set(connection.keys()) == BOUNDED


def test_the_job_of_a_silent_worker_is_requeued_at_the_front(
    ledger, accepted, connection, waiting, silence
):
    explanation_id = accepted()
    connection.lpop("rq:queue:test")
    silence(explanation_id, ledger.begin(explanation_id))
    later = accepted()
    assert ledger.reap(max_attempts=3) == 1
    assert waiting() == [explanation_id, later]
    assert ledger.read(explanation_id).status is Status.QUEUED


def test_a_job_that_killed_too_many_workers_fails(ledger, accepted, silence):
    explanation_id = accepted()
    for _ in range(2):
        silence(explanation_id, ledger.begin(explanation_id))
        ledger.reap(max_attempts=2)
    state = ledger.read(explanation_id)
    assert (state.status, state.error.code) == (Status.FAILED, ErrorCode.WORKER_LOST)
    assert ledger.begin(explanation_id) is None


def test_a_canceled_job_of_a_silent_worker_is_not_retried(ledger, accepted, silence):
    explanation_id = accepted()
    silence(explanation_id, ledger.begin(explanation_id))
    ledger.cancel(explanation_id)
    ledger.reap(max_attempts=3)
    assert ledger.read(explanation_id).status is Status.CANCELED


def test_an_id_that_was_taken_and_never_begun_is_requeued_after_a_lease(
    connection, accepted, waiting
):
    hasty = Ledger(connection, queue="test", lease_s=0, retention_s=60)
    explanation_id = accepted()
    connection.lmove("rq:queue:test", INTERMEDIATE)
    assert hasty.reap(max_attempts=3) == 0  # seen for the first time: its worker may be slow
    time.sleep(0.01)
    assert hasty.reap(max_attempts=3) == 1
    assert waiting() == [explanation_id]
    assert connection.llen(INTERMEDIATE) == 0


@pytest.mark.parametrize("key", ["shapshot:flows", "shapshot:virtual_time"])
def test_an_interrupted_begin_loses_no_job(key, ledger, accepted, connection, waiting):
    explanation_id = accepted()
    connection.lmove("rq:queue:test", INTERMEDIATE)
    connection.delete(key)
    connection.sadd(key, "somebody else's")
    with pytest.raises(redis.ResponseError):
        ledger.begin(explanation_id)
    connection.delete(key)
    [lease] = connection.zrange(WIP, 0, -1)
    connection.zadd(WIP, {lease: time.time() - 1})
    assert ledger.reap(max_attempts=3) == 1
    assert waiting() == [explanation_id]


def test_an_id_in_limbo_that_begins_in_time_is_not_requeued(connection, accepted, waiting):
    hasty = Ledger(connection, queue="test", lease_s=0, retention_s=60)
    explanation_id = accepted()
    connection.lmove("rq:queue:test", INTERMEDIATE)
    hasty.reap(max_attempts=3)
    assert Ledger(connection, queue="test", lease_s=30, retention_s=60).begin(explanation_id)
    time.sleep(0.01)
    assert hasty.reap(max_attempts=3) == 0
    assert waiting() == []


def test_invalid_leases_and_ids_do_not_prevent_requeueing(
    ledger, accepted, connection, waiting, silence
):
    explanation_id = accepted()
    connection.lpop("rq:queue:test")
    silence(explanation_id, ledger.begin(explanation_id))
    connection.zadd(WIP, dict.fromkeys(("no colon", ":", b"\xff:\xff", "../x:y"), 1))
    connection.rpush(INTERMEDIATE, "", b"\xff", "../x")
    connection.set(key_of("../x"), "no hash")
    assert ledger.reap(max_attempts=3) == 1
    assert waiting() == [explanation_id]
    assert not connection.exists(WIP, INTERMEDIATE)


def reap_often(url: str, times: int) -> int:
    """Reaps in several threads at once; returns the count of each."""
    with connect(url) as connection, ThreadPoolExecutor(5) as threads:
        ledger = Ledger(connection, queue="test", lease_s=30, retention_s=60)
        return sum(threads.map(lambda _: ledger.reap(max_attempts=3), range(times)))


def test_concurrent_reaps_requeue_each_job_once(
    ledger, accepted, connection, waiting, redis_url, silence
):
    ids = [accepted() for _ in range(250)]  # more than one reap handles
    connection.delete("rq:queue:test")
    for each in ids:
        silence(each, ledger.begin(each))
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as processes:
        reaped = list(processes.map(reap_often, [redis_url] * 4, [250] * 4))
    assert sum(reaped) == 250
    assert sorted(waiting()) == sorted(ids)
    assert connection.zcard(WIP) == 0


def test_an_expired_explanation_leaves_a_tombstone_for_a_while(connection, spec):
    brief = Ledger(connection, queue="test", lease_s=30, retention_s=0)
    explanation_id = new_id()
    brief.accept(explanation_id, spec, timeout_s=60)
    assert brief.expired() == []
    brief.finish(explanation_id, brief.begin(explanation_id), Status.FAILED)
    assert brief.expired() == [explanation_id]
    brief.leave_tombstone(explanation_id, tombstone_s=60)
    state = brief.read(explanation_id)
    assert (state.status, state.spec) == (Status.EXPIRED, None)
    assert 0 < connection.ttl(key_of(explanation_id)) <= 60
    assert brief.expired() == []


def test_an_upload_that_was_never_accepted_becomes_due(ledger, monkeypatch):
    monkeypatch.setattr(submissions, "RESERVATION_S", -1)
    orphan = new_id()
    ledger.reserve(orphan)
    assert ledger.expired() == [orphan]


def test_an_accepted_upload_is_not_swept(ledger, spec, connection):
    kept = new_id()
    ledger.reserve(kept)
    ledger.accept(kept, spec, timeout_s=60)
    assert connection.zscore(EXPIRY, kept) is None


def test_every_change_is_published_with_a_higher_version(ledger, accepted, connection):
    with connection.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(CHANGES)
        listener.get_message(timeout=20)
        explanation_id = accepted()
        versions = [ledger.read(explanation_id).version]
        attempt = ledger.begin(explanation_id)
        versions.append(ledger.read(explanation_id).version)
        ledger.heartbeat(Heartbeat(explanation_id, attempt, ProgressCount(1, 2)))
        versions.append(ledger.read(explanation_id).version)
        heard = [listener.get_message(timeout=20)["data"].decode() for _ in range(3)]
    assert heard == [explanation_id] * 3
    assert versions == sorted(set(versions))


def test_only_the_first_request_with_a_claim_is_accepted(ledger, spec, connection):
    claim = IdempotencyClaim("shapshot:idempotency:x", "what was asked, and the id", 60)
    first, second = new_id(), new_id()
    ledger.accept(first, spec, timeout_s=60, claim=claim)
    ledger.accept(first, spec, timeout_s=60, claim=claim)  # sent again after a lost reply
    with pytest.raises(AlreadyClaimedError):
        ledger.accept(second, spec, timeout_s=60, claim=claim)
    assert not ledger.exists(second)
    assert connection.lrange("rq:queue:test", 0, -1) == [first.encode()]
    assert 0 < connection.ttl(claim.key) <= 60


def test_a_refused_request_claims_nothing(connection, spec):
    claim = IdempotencyClaim("shapshot:idempotency:x", "what was asked, and the id", 60)
    full = Ledger(
        connection, queue="test", lease_s=30, retention_s=60, caps=AdmissionLimits(jobs=0)
    )
    with pytest.raises(QueueLimitError):
        full.accept(new_id(), spec, timeout_s=60, claim=claim)
    assert not connection.exists(claim.key)
