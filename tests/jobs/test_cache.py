"""Results that answer later requests: which result, for whom, and for how long."""

import pytest

from service.jobs.admission_limits import AdmissionLimits, QueueLimitError
from service.jobs.redis_clock import as_seconds
from service.jobs.redis_keys import EXPIRY, cache_key_of, key_of, new_batch_id, new_id
from service.schemas.documents import Status
from tests.ledger import Ledger

KEY = "a" * 64


@pytest.fixture
def cached_spec(spec):
    return spec.model_copy(update={"cache": KEY})


@pytest.fixture
def explained(ledger, cached_spec, outcome):
    """Explains a spec as a worker would; returns the id."""

    def explain(spec=cached_spec, status=Status.SUCCEEDED, by=ledger):
        by.accept(id_ := new_id(), spec, timeout_s=60)
        by.finish(id_, by.begin(id_), status, outcome=outcome)
        return id_

    return explain


def test_the_first_result_answers_until_it_expires(ledger, explained, connection, cached_spec):
    first = explained()
    later = explained()
    assert ledger.earlier(KEY, None).id == first
    assert later != first
    left_s = ledger.read(first).expires_at - as_seconds(connection.time())
    assert connection.ttl(cache_key_of(KEY)) == pytest.approx(left_s, abs=2)


def test_only_successful_results_answer(ledger, explained):
    explained(status=Status.FAILED)
    assert ledger.earlier(KEY, None) is None


def test_another_owners_result_does_not_answer(ledger, explained, cached_spec):
    explained(cached_spec.model_copy(update={"owner": "ann"}))
    assert ledger.earlier(KEY, None) is None
    first = explained()
    assert ledger.earlier(KEY, None).id == first


@pytest.mark.parametrize("go", [Ledger.evict_from_cache, Ledger.delete])
def test_an_evicted_result_answers_no_more_and_the_next_one_does(go, ledger, explained, connection):
    first, second = explained(), explained()
    go(ledger, second)
    assert ledger.earlier(KEY, None).id == first
    go(ledger, first)
    assert not connection.exists(cache_key_of(KEY))
    third = explained()
    assert ledger.earlier(KEY, None).id == third


def test_an_expired_result_answers_no_more(ledger, explained, connection):
    ledger.leave_tombstone(explained(), tombstone_s=60)
    assert not connection.exists(cache_key_of(KEY))


def test_an_unreadable_result_is_replaced(ledger, explained, connection):
    first = explained()
    connection.hset(key_of(first), "status", "failed")
    assert ledger.earlier(KEY, None).id == first  # until a later one ends
    second = explained()
    assert ledger.earlier(KEY, None).id == second


def test_a_cache_hit_has_ended_and_expires(ledger, explained, cached_spec, connection):
    first = ledger.read(explained())
    ledger.reserve(id_ := new_id())
    ledger.accept(id_, cached_spec, timeout_s=60, earlier={id_: first})
    state = ledger.read(id_)
    assert (state.status, state.cached_from) == (Status.SUCCEEDED, first.id)
    assert state.finished_at == state.created_at
    assert state.expires_at == pytest.approx(state.created_at + 7 * 86400)
    assert connection.zscore(EXPIRY, id_) == state.expires_at


def test_a_batch_of_cache_hits_expires_with_them(ledger, explained, cached_spec, connection):
    first = ledger.read(explained())
    spec = cached_spec.model_copy(update={"batch": (batch := new_batch_id())})
    specs = {new_id(): spec for _ in range(2)}
    ledger.accept_batch(batch, specs, timeout_s=60, earlier=dict.fromkeys(specs, first))
    state = ledger.read(next(iter(specs)))
    assert connection.zscore(EXPIRY, batch) == state.expires_at


def test_a_batch_with_one_waiting_explanation_does_not_expire(
    ledger, explained, cached_spec, connection
):
    first = ledger.read(explained())
    spec = cached_spec.model_copy(update={"batch": (batch := new_batch_id())})
    specs = {new_id(): spec for _ in range(2)}
    ledger.accept_batch(batch, specs, timeout_s=60, earlier={next(iter(specs)): first})
    assert connection.zscore(EXPIRY, batch) is None


@pytest.mark.parametrize("caps", [{"jobs": 1}, {"bytes": 1}, {"owner_jobs": 1}, {"owner_bytes": 1}])
def test_cache_hits_are_accepted_while_the_queue_exceeds_its_caps(
    caps, explained, cached_spec, connection
):
    """As after a restart with lower caps."""
    spec = cached_spec.model_copy(update={"owner": "ann"})
    unlimited = Ledger(connection, queue="test", lease_s=30, retention_s=60)
    first = unlimited.read(explained(spec))
    for _ in range(3):
        unlimited.accept(new_id(), spec, timeout_s=60)
    capped = Ledger(
        connection, queue="test", lease_s=30, retention_s=60, caps=AdmissionLimits(**caps)
    )
    capped.accept(id_ := new_id(), spec, timeout_s=60, earlier={id_: first})
    assert capped.read(id_).status is Status.SUCCEEDED
    with pytest.raises(QueueLimitError):
        capped.accept(new_id(), spec, timeout_s=60)
