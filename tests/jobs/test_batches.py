"""Explanations accepted together, in a real Redis; each has its own life."""

import pytest

from service.jobs.admission_limits import AdmissionLimits, QueueFullError
from service.jobs.leases import Heartbeat, LeaseStatus
from service.jobs.records import ProgressCount
from service.jobs.redis_keys import key_of, new_batch_id, new_id
from service.jobs.submissions import StillRunningError
from service.schemas.documents import Status
from tests.ledger import Ledger


@pytest.fixture
def accept(spec):
    """Accepts a batch; returns its id and those of its explanations."""

    def accept(ledger, count=3):
        batch_id = new_batch_id()
        ids = [new_id() for _ in range(count)]
        specs = dict.fromkeys(ids, spec.model_copy(update={"batch": batch_id}))
        ledger.accept_batch(batch_id, specs, timeout_s=60)
        return batch_id, ids

    return accept


@pytest.fixture
def brief(connection):
    """A ledger whose explanations expire as soon as they are done."""
    return Ledger(connection, queue="test", lease_s=30, retention_s=0)


def finish(ledger, explanation_id):
    ledger.finish(explanation_id, ledger.begin(explanation_id), Status.SUCCEEDED)


def test_an_accepted_batch_is_queued_in_the_order_of_upload(ledger, accept, waiting):
    batch_id, ids = accept(ledger)
    assert waiting() == ids
    assert ledger.read_batch(batch_id).members == tuple(ids)
    states = [ledger.read(explanation_id) for explanation_id in ids]
    assert {state.status for state in states} == {Status.QUEUED}
    assert {state.spec.batch for state in states} == {batch_id}


@pytest.fixture
def capped(connection):
    """A ledger with a queue of at most four."""
    return Ledger(
        connection, queue="test", lease_s=30, retention_s=60, caps=AdmissionLimits(jobs=4)
    )


def test_a_batch_that_fills_the_queue_is_accepted(capped, accepted, accept, waiting):
    first, (_, ids) = accepted(), accept(capped)
    assert waiting() == [first, *ids]


def test_a_batch_that_does_not_fit_into_the_queue_leaves_no_trace(
    capped, accepted, accept, connection
):
    accepted(), accepted()
    before = set(connection.keys())
    with pytest.raises(QueueFullError, match="no room for 3 more"):
        accept(capped)
    assert set(connection.keys()) == before


def test_accepting_a_batch_again_after_a_lost_reply_queues_it_once(ledger, spec, waiting):
    batch_id, explanation_id = new_batch_id(), new_id()
    specs = {explanation_id: spec.model_copy(update={"batch": batch_id})}
    for _ in range(2):
        ledger.accept_batch(batch_id, specs, timeout_s=60)
    assert waiting() == [explanation_id]


def test_an_explanation_begun_with_a_sibling_leaves_the_queue(ledger, accept, waiting, connection):
    _, ids = accept(ledger)
    connection.lmove("rq:queue:test", "rq:queue:test:intermediate")
    first = ledger.begin(ids[0])
    assert first
    assert ledger.begin(ids[1])
    assert waiting() == [ids[2]]
    ledger.release(ids[0], first)
    assert waiting() == [ids[0], ids[2]]


def test_fresh_siblings_are_those_that_never_began(ledger, accept, accepted):
    _, ids = accept(ledger, count=5)
    ledger.begin(ids[0])
    finish(ledger, ids[1])
    ledger.cancel(ids[2])
    assert ledger.fresh_siblings(ledger.read(ids[0])) == ids[3:]
    assert ledger.fresh_siblings(ledger.read(accepted())) == []


def test_one_heartbeat_renews_several_attempts_and_returns_the_status_of_each(
    ledger, accept, connection
):
    _, ids = accept(ledger)
    ticks = [Heartbeat(id_, ledger.begin(id_), ProgressCount(n, 9)) for n, id_ in enumerate(ids)]
    ledger.cancel(ids[1])
    ledger.release(ids[2], ticks[2].attempt)
    assert ledger.heartbeat(*ticks) == [LeaseStatus.OWNED, LeaseStatus.CANCEL, LeaseStatus.FENCED]
    assert [ledger.read(id_).progress.evaluations for id_ in ids] == [0, 1, 0]
    assert connection.zcard("rq:wip:test") == 2


def test_a_lost_explanation_is_not_a_fresh_sibling(ledger, accept, silence):
    _, ids = accept(ledger)
    silence(ids[1], ledger.begin(ids[1]))
    assert ledger.reap(max_attempts=3) == 1
    assert ledger.read(ids[1]).status is Status.QUEUED
    assert ledger.fresh_siblings(ledger.read(ids[0])) == [ids[0], ids[2]]


def test_a_batch_expires_with_the_last_of_its_explanations(brief, accept, connection):
    batch_id, ids = accept(brief)
    finish(brief, ids[0])
    brief.cancel(ids[1])
    assert batch_id not in brief.expired()
    finish(brief, ids[2])
    assert set(brief.expired()) == {batch_id, *ids}
    for id_ in (batch_id, *ids):
        brief.leave_tombstone(id_, tombstone_s=60)
    assert brief.expired() == []
    assert brief.read_batch(batch_id).members == ()
    assert 0 < connection.ttl(key_of(batch_id)) <= 60


def test_a_batch_expires_even_if_its_last_unfinished_explanation_is_deleted(brief, accept):
    batch_id, ids = accept(brief, count=2)
    finish(brief, ids[0])
    brief.delete(ids[1])
    assert batch_id in brief.expired()


def test_a_batch_is_deleted_as_a_whole_or_not_at_all(ledger, accept, connection):
    batch_id, ids = accept(ledger)
    attempt = ledger.begin(ids[2])
    before = set(connection.keys())
    with pytest.raises(StillRunningError):
        ledger.delete(batch_id)
    assert set(connection.keys()) == before
    ledger.finish(ids[2], attempt, Status.SUCCEEDED)
    assert ledger.delete(batch_id) == [*ids, batch_id]
    assert set(ledger.expired()) == {batch_id, *ids}
    for id_ in (*ids, batch_id):
        ledger.leave_tombstone(id_, tombstone_s=60)
    assert not connection.keys("*explanation*") + connection.keys("rq:job:*")
