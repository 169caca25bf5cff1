"""A held explanation neither expires nor is deleted; released, it has the rest of its time."""

import time

import pytest

from service.infra.artifact_store import image_key
from service.infra.settings.api import ApiSettings
from service.jobs.redis_keys import EXPIRY, HOLDS, key_of, new_batch_id, new_id
from service.jobs.submissions import HeldError, HoldInPastError
from service.jobs.sweep import sweep_due
from service.schemas.documents import Status
from tests.ledger import Ledger
from tests.tiny import OUTCOME

DAY = 86400


@pytest.fixture
def finished(ledger, accepted):
    def make() -> str:
        id_ = accepted()
        ledger.finish(id_, ledger.begin(id_), Status.SUCCEEDED, outcome=OUTCOME)
        return id_

    return make


def hold(ledger, id_, by="ann", reason="A complaint", ends=None, *, replaces=False):
    return ledger.hold(id_, by, reason, ends, replaces=replaces)


def release(ledger, id_, by="ann", *, replaces=False):
    return ledger.release_hold(id_, by, replaces=replaces)


def expire(connection, id_):
    """Let its time be over."""
    connection.zadd(EXPIRY, {id_: 1})
    connection.hset(key_of(id_), "expires_at", "1")


def test_a_held_explanation_does_not_expire(ledger, connection, finished, store):
    id_ = finished()
    store.put(image_key(id_), b"picture")
    assert hold(ledger, id_)
    assert ledger.read(id_).expires_at is None
    sweep_due(ledger, store, tombstone_s=60)
    assert store.get(image_key(id_)) == b"picture"
    connection.zadd(EXPIRY, {id_: 1})  # as by a worker of the version before
    assert ledger.expired() == []
    assert connection.zscore(EXPIRY, id_) == float("inf")


def test_it_has_the_rest_of_its_time_once_it_is_released(ledger, connection, finished):
    id_, before = finished(), time.time()
    connection.hset(key_of(id_), "expires_at", repr(before + 3 * DAY))
    hold(ledger, id_)
    assert release(ledger, id_)
    state = ledger.read(id_)
    assert state.hold is None
    assert state.expires_at == pytest.approx(before + 3 * DAY, abs=60)
    assert connection.zscore(EXPIRY, id_) == pytest.approx(state.expires_at)
    assert not release(ledger, id_)


def test_it_has_a_day_at_least_once_it_is_released(ledger, connection, finished):
    id_ = finished()
    connection.hset(key_of(id_), "expires_at", repr(time.time() + 5))
    hold(ledger, id_)
    release(ledger, id_)
    assert ledger.read(id_).expires_at == pytest.approx(time.time() + DAY, abs=60)


def test_one_that_is_held_while_it_runs_is_kept_when_it_ends(ledger, connection, accepted):
    id_ = accepted()
    attempt = ledger.begin(id_)
    hold(ledger, id_)
    ledger.finish(id_, attempt, Status.SUCCEEDED, outcome=OUTCOME)
    assert ledger.read(id_).expires_at is None
    assert connection.zscore(EXPIRY, id_) == float("inf")
    release(ledger, id_)
    assert ledger.read(id_).expires_at == pytest.approx(time.time() + 7 * DAY, abs=60)


def test_it_cannot_be_deleted_alone_or_with_its_batch(ledger, connection, spec):
    batch, ids = new_batch_id(), [new_id(), new_id()]
    specs = {id_: spec.model_copy(update={"batch": batch}) for id_ in ids}
    ledger.accept_batch(batch, specs, timeout_s=60)
    for id_ in ids:
        ledger.finish(id_, ledger.begin(id_), Status.SUCCEEDED, outcome=OUTCOME)
    hold(ledger, ids[1])
    assert connection.zscore(EXPIRY, batch) == float("inf")
    for each in (ids[1], batch):
        with pytest.raises(HeldError) as refused:
            ledger.delete(each)
        assert refused.value.id == ids[1]
    assert ledger.read(ids[0])
    release(ledger, ids[1])
    assert connection.zscore(EXPIRY, batch) == pytest.approx(time.time() + 7 * DAY, abs=60)
    assert set(ledger.delete(batch)) == {batch, *ids}
    assert connection.zcard(HOLDS) == 0


def test_a_batch_lasts_as_long_as_one_of_it_that_was_held_while_it_ran(ledger, connection, spec):
    batch, ids = new_batch_id(), [new_id(), new_id()]
    specs = {id_: spec.model_copy(update={"batch": batch}) for id_ in ids}
    ledger.accept_batch(batch, specs, timeout_s=60)
    hold(ledger, ids[0])
    for id_ in ids:
        ledger.finish(id_, ledger.begin(id_), Status.SUCCEEDED, outcome=OUTCOME)
    assert connection.zscore(EXPIRY, batch) == float("inf")


def test_a_hold_ends_by_itself(ledger, connection, finished):
    id_ = finished()
    hold(ledger, id_, ends=time.time() + 1000)
    connection.zadd(HOLDS, {id_: 1})
    connection.hset(key_of(id_), "held_until", "1")
    assert ledger.expired() == []
    state = ledger.read(id_)
    assert state.hold is None
    assert state.expires_at is not None
    assert connection.zcard(HOLDS) == 0
    assert b"held:" not in connection.hget(key_of(id_), "facets")


def test_one_whose_hold_is_over_may_be_deleted_before_housekeeping_saw_it(
    ledger, connection, finished
):
    id_ = finished()
    hold(ledger, id_, ends=time.time() + 1000)
    connection.hset(key_of(id_), "held_until", "1")
    assert ledger.delete(id_) == [id_]


def test_what_has_expired_is_held_no_more(ledger, connection, finished):
    id_ = finished()
    expire(connection, id_)
    assert not hold(ledger, id_)
    assert ledger.expired() == [id_]
    connection.hset(key_of(id_), "expires_at", repr(time.time() + DAY))
    assert not hold(ledger, id_)  # its artifacts are being removed
    ledger.leave_tombstone(id_, tombstone_s=60)
    assert not hold(ledger, id_)
    assert not hold(ledger, new_id())


def test_only_who_holds_it_or_an_admin_changes_a_hold(ledger, finished):
    id_ = finished()
    hold(ledger, id_)
    since = ledger.read(id_).hold.since
    with pytest.raises(HeldError):
        hold(ledger, id_, by="bob")
    with pytest.raises(HeldError):
        release(ledger, id_, by="bob")
    hold(ledger, id_, reason="Another complaint", ends=time.time() + 1000)
    kept = ledger.read(id_).hold
    assert (kept.by, kept.reason, kept.since) == ("ann", "Another complaint", since)
    assert kept.until
    hold(ledger, id_, by="root", replaces=True)
    assert ledger.read(id_).hold.until is None
    assert release(ledger, id_, by="admin", replaces=True)


def test_a_hold_that_would_be_over_is_refused(ledger, finished):
    id_ = finished()
    with pytest.raises(HoldInPastError):
        hold(ledger, id_, ends=1.0)
    assert ledger.read(id_).hold is None


def test_the_grace_is_no_longer_than_the_retention(connection, finished):
    id_ = finished()
    brief = Ledger.of(connection, ApiSettings(queue="test", retention_s=60))
    connection.hset(key_of(id_), "expires_at", repr(time.time() + 5))
    hold(brief, id_)
    release(brief, id_)
    assert brief.read(id_).expires_at == pytest.approx(time.time() + 60, abs=30)
