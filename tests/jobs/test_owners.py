"""The owner of an explanation: recorded, used for lists, and kept in its tombstone."""

import pytest

from service.jobs.records import State
from service.jobs.redis_keys import index_of, key_of, new_batch_id, new_id
from service.schemas.documents import Status
from tests.ledger import Ledger


@pytest.fixture
def accept_for(ledger, spec):
    """Accepts an explanation for an owner; returns its id."""

    def accept(owner):
        explanation_id = new_id()
        owned = spec.model_copy(update={"owner": owner})
        ledger.accept(explanation_id, owned, timeout_s=60)
        return explanation_id

    return accept


@pytest.fixture
def listed(connection):
    """Returns the ids in the list of an owner, or of everybody for None."""

    def read(owner):
        return {member.decode() for member in connection.zrange(index_of(owner), 0, -1)}

    return read


def test_each_owner_has_a_list_and_there_is_one_of_all(accept_for, listed, ledger):
    of_ann, of_bob, of_nobody = (accept_for(owner) for owner in ("ann", "bob", None))
    assert [ledger.read(id_).owner for id_ in (of_ann, of_bob, of_nobody)] == ["ann", "bob", None]
    assert listed("ann") == {of_ann}
    assert listed("bob") == {of_bob}
    assert listed(None) == {of_ann, of_bob, of_nobody}


def test_the_lists_hold_the_same_times(accept_for, connection):
    explanation_id = accept_for("ann")
    times = {connection.zscore(index_of(owner), explanation_id) for owner in ("ann", None)}
    assert len(times) == 1


def test_a_batch_and_its_explanations_have_the_requesting_owner(ledger, spec, listed):
    batch_id, ids = new_batch_id(), {new_id(), new_id()}
    specs = dict.fromkeys(ids, spec.model_copy(update={"batch": batch_id, "owner": "ann"}))
    ledger.accept_batch(batch_id, specs, timeout_s=60)
    assert ledger.read_batch(batch_id).owner == "ann"
    assert listed("ann") == listed(None) == ids


def test_a_deleted_explanation_leaves_both_lists(accept_for, ledger, listed, connection):
    ledger.delete(accept_for("ann"))
    assert listed("ann") == listed(None) == set()
    assert not connection.exists(index_of("ann"))


def test_an_expired_explanation_leaves_both_lists_and_keeps_its_owner(
    connection, accept_for, listed
):
    brief = Ledger(connection, queue="test", lease_s=30, retention_s=0)
    explanation_id = accept_for("ann")
    brief.finish(explanation_id, brief.begin(explanation_id), Status.FAILED)
    brief.leave_tombstone(explanation_id, tombstone_s=60)
    assert listed("ann") == listed(None) == set()
    tombstone: State = brief.read(explanation_id)
    assert (tombstone.status, tombstone.owner) == (Status.EXPIRED, "ann")
    assert connection.ttl(key_of(explanation_id)) > 0
